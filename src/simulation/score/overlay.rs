//! Lays a tested orthophoto onto the truth, place on place, and keeps what is left of both when detail is averaged out.

use rayon::prelude::*;

use super::{affine::Affine, pairing::Pairing, places::Tall};
use crate::{
    raster::{Raster, Rgba8, Window},
    simulation::{Result, cover::CELL_PX},
};

/// Side of a tile in cells.
const TILE_CELLS: usize = 64;
/// About the side of a block: a third of the blur that is made of them, whatever the GSD.
const BLOCK_M: f64 = 0.3;
/// Roofs and crowns may lean by this much, and the walls that a photo shows are not in the truth.
const LEAN_M: f64 = 2.0;
/// This near to water and reeds nothing is compared: at a dark edge a place that lies a pixel off looks like a seam.
const SHORE_M: f64 = 0.6;

/// Two orthophotos as cells of four by four pixels of the truth, and as blocks of some cells.
pub(super) struct Overlay {
    /// Columns and rows of cells.
    pub size: [usize; 2],
    pub cell_m: f64,
    /// Whether a photo saw the cell, and whether the tested orthophoto shows at least half of it.
    pub seen: Vec<bool>,
    pub covered: Vec<bool>,
    /// Columns and rows of blocks.
    pub blocks: [usize; 2],
    /// Side of a block in cells.
    pub block_cells: usize,
    /// What can be compared: sums of red, green, blue over the comparable cells of each block, of the truth and of the
    /// tested orthophoto, and how many cells they are.
    pub sums: Vec<[f32; 7]>,
}

/// One cell: seen, covered, and the mean colours where they can be compared.
type Cell = (bool, bool, Option<[f32; 6]>);

impl Overlay {
    /// Reads both orthophotos and the cover, tile by tile. `affine` says by how much places of the truth are displaced
    /// on the tested orthophoto, so that what is compared is not moved.
    pub(super) fn lay(pairing: &Pairing<'_>, cover: &Raster, affine: &Affine, tall: &Tall) -> Result<Self> {
        let size = cover.size();
        let cell_m = cover.geo_transform()?.pixel_size();
        let block_cells = (BLOCK_M / cell_m).floor().max(1.0) as usize;
        let blocks = size.map(|side| side.div_ceil(block_cells));
        let mut overlay = Self {
            size,
            cell_m,
            seen: vec![false; size[0] * size[1]],
            covered: vec![false; size[0] * size[1]],
            blocks,
            block_cells,
            sums: vec![[0.0; 7]; blocks[0] * blocks[1]],
        };
        for top in (0..size[1]).step_by(TILE_CELLS) {
            for left in (0..size[0]).step_by(TILE_CELLS) {
                let tile = [TILE_CELLS.min(size[0] - left), TILE_CELLS.min(size[1] - top)];
                let cells = cells(pairing, cover, affine, tall, ([left, top], tile))?;
                overlay.take([left, top], tile[0], &cells);
            }
        }
        Ok(overlay)
    }

    /// Returns the side of a block in metres.
    pub(super) fn block_m(&self) -> f64 {
        self.cell_m * self.block_cells as f64
    }

    fn take(&mut self, [left, top]: [usize; 2], width: usize, cells: &[Cell]) {
        for (index, (seen, covered, colours)) in cells.iter().enumerate() {
            let (column, row) = (left + index % width, top + index / width);
            let at = row * self.size[0] + column;
            (self.seen[at], self.covered[at]) = (*seen, *covered);
            if let Some(colours) = colours {
                let sums = &mut self.sums[row / self.block_cells * self.blocks[0] + column / self.block_cells];
                sums.iter_mut().zip(colours.iter().chain(&[1.0])).for_each(|(sum, colour)| *sum += colour);
            }
        }
    }
}

/// Returns the cells of a tile, row by row.
fn cells(
    pairing: &Pairing<'_>,
    cover: &Raster,
    affine: &Affine,
    tall: &Tall,
    ([left, top], size): ([usize; 2], [usize; 2]),
) -> Result<Vec<Cell>> {
    let (what, open) = ground(cover, [left, top], size)?;
    let to_ground = cover.geo_transform()?;
    // The cover's cells lie on whole pixels of the truth: both grids start at multiples of the GSD.
    let corner =
        pairing.reference.geo_transform()?.ground_to_pixel(to_ground.pixel_to_ground([left as f64, top as f64]))?;
    let corner = corner.map(f64::round);
    let pixels = size.map(|side| side * CELL_PX);
    let window = Window { x: corner[0] as isize, y: corner[1] as isize, width: pixels[0], height: pixels[1] };
    let truth = pairing.reference.read_rgba(window, pixels)?;
    let part = pairing.part(corner, pixels, |place| {
        let [dx, dy] = affine.displacement(place);
        [place[0] + dx, place[1] + dy]
    })?;
    let cell = |index: usize| {
        let (column, row) = (index % size[0], index / size[0]);
        let cover = &what.data[index * 4..][..4];
        let (mut sums, mut covered, mut there) = ([0.0; 6], 0, true);
        for pixel in 0..CELL_PX * CELL_PX {
            let (x, y) = (column * CELL_PX + pixel % CELL_PX, row * CELL_PX + pixel / CELL_PX);
            let true_colour = &truth.data[(y * pixels[0] + x) * 4..][..4];
            let colour = part.colour(part.position([x as f64 + 0.5, y as f64 + 0.5]));
            covered += usize::from(colour.is_some());
            there &= true_colour[3] > 0;
            for band in 0..3 {
                sums[band] += f32::from(true_colour[band]);
                sums[band + 3] += colour.unwrap_or_default()[band];
            }
        }
        let whole = there && covered == CELL_PX * CELL_PX;
        let middle = to_ground.pixel_to_ground([(left + column) as f64 + 0.5, (top + row) as f64 + 0.5]);
        let comparable = whole && open[index] && tall.is_clear(middle, LEAN_M);
        let means = comparable.then(|| sums.map(|sum: f32| sum / (CELL_PX * CELL_PX) as f32));
        (cover[0] == 255 && cover[3] > 0 && there, covered * 2 >= CELL_PX * CELL_PX, means)
    };
    Ok((0..size[0] * size[1]).into_par_iter().map(cell).collect())
}

/// Reads a tile of the cover, and which of its cells are open ground with nothing else near.
fn ground(cover: &Raster, [left, top]: [usize; 2], [width, height]: [usize; 2]) -> Result<(Rgba8, Vec<bool>)> {
    let apron = (SHORE_M / cover.geo_transform()?.pixel_size()).round() as usize;
    let wide = [width + 2 * apron, height + 2 * apron];
    let corner = [left, top].map(|at| at as isize - apron as isize);
    let around = cover.read_rgba(Window { x: corner[0], y: corner[1], width: wide[0], height: wide[1] }, wide)?;
    // Beyond the raster nobody knows of any water.
    let is_open = |column: usize, row: usize| {
        let cell = &around.data[(row * wide[0] + column) * 4..][..4];
        cell[3] == 0 || cell[1] == 255
    };
    let in_rows: Vec<bool> = (0..wide[1] * width)
        .map(|i| (i % width..=i % width + 2 * apron).all(|column| is_open(column, i / width)))
        .collect();
    let open = (0..width * height)
        .map(|i| (i / width..=i / width + 2 * apron).all(|row| in_rows[row * width + i % width]))
        .collect();
    let mut what = Rgba8::new(width, height);
    for (row, line) in what.data.chunks_exact_mut(width * 4).enumerate() {
        line.copy_from_slice(&around.data[((row + apron) * wide[0] + apron) * 4..][..width * 4]);
    }
    Ok((what, open))
}
