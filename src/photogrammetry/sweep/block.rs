//! A block of the ground on its way through the looks, from coarse cells to fine ones.

use std::{ops::Range, sync::Arc};

use rayon::prelude::*;

use super::{
    Scene,
    fuse::Swept,
    look::{APRON, Look, SPECK},
    pictures::{LEVELS, Pictures, Pyramid},
    semiglobal::choose_layers,
    tile::{Chosen, Tile},
    volume::compare,
};
use crate::photogrammetry::{error::Result, orthorectify::View, photos::median, surface::Surface};

/// Cells of a tile to a side.
const TILE: usize = 64;
/// Cells that a look knows beyond what is asked of it, for the aprons and filters of the next.
const MARGIN: usize = 16;
/// The finest look is left out where the one before agrees with the tie points within this many of its layers.
const SAME_LAYERS: f64 = 1.2;
/// More layers than this are trees: a finer look at leaves finds no more than their noise.
const MOST_FINE_LAYERS: usize = 64;
/// Layers that a finer look goes beyond the heights that the coarser one found.
const SPARE_LAYERS: f64 = 3.0;

/// Of a tile the distance of its layers, and height and likeness of its cells.
type Found = (f64, Vec<(f32, f32)>);

/// Photos at hand, by view.
pub type Near = Vec<(usize, Arc<Pyramid>)>;

/// A part of the ground on the way through the looks.
pub struct Block<'a> {
    pub scene: &'a Scene<'a>,
    /// The tie points' surface without what stands on it.
    pub ground: &'a Surface,
    /// East and north of the first cell of the finest look.
    pub origin: [f64; 2],
    pub cell_m: f64,
    pub tallest_m: f64,
}

impl Block<'_> {
    /// Reads the photos that see some of a block.
    pub fn pictures_near(&self, pictures: &mut Pictures<'_>, cells: [&Range<usize>; 2]) -> Result<Near> {
        let reach = (MARGIN * 4) as f64;
        let side = |axis: usize, cell: f64| self.origin[axis] + cell * self.cell_m;
        let west = side(0, cells[0].start as f64 - reach);
        let east = side(0, cells[0].end as f64 + reach);
        let south = side(1, cells[1].start as f64 - reach);
        let north = side(1, cells[1].end as f64 + reach);
        let views = self.scene.views;
        let near: Vec<usize> =
            (0..views.len()).filter(|&view| views[view].may_touch(&[west, south, east, north])).collect();
        let photos: Vec<usize> = near.iter().map(|&view| views[view].photo).collect();
        Ok(near.into_iter().zip(pictures.load(&photos)?).collect())
    }

    /// Looks twice; `None` where no two photos see the block.
    pub fn sweep(&self, cells: [&Range<usize>; 2], near: &Near) -> Option<Swept> {
        if near.len() < 2 {
            return None;
        }
        let views: Vec<View> = near.iter().map(|(view, _)| self.scene.views[*view]).collect();
        let pictures: Vec<Arc<Pyramid>> = near.iter().map(|(_, picture)| Arc::clone(picture)).collect();
        let mut coarser: Option<Look> = None;
        for level in (1..=LEVELS).rev() {
            let size = 1usize << (level - 1);
            let span = |range: &Range<usize>| {
                let from = (range.start / size) as i64 - MARGIN as i64;
                (from, (range.end.div_ceil(size) + MARGIN) as i64)
            };
            let ((west, east), (south, north)) = (span(cells[0]), span(cells[1]));
            let (columns, rows) = ((east - west) as usize, (north - south) as usize);
            let mut look = Look {
                level,
                at: [west, south],
                columns,
                rows,
                cells: vec![(f32::NAN, 0.0); columns * rows],
                step_m: 0.0,
            };
            self.look(&mut look, coarser.as_ref(), &views, &pictures);
            look.calm();
            look.forget_specks();
            coarser = Some(look);
        }
        let finest = coarser?;
        let known = finest.cells.iter().any(|(height, _)| height.is_finite());
        known.then_some(Swept {
            at: finest.at,
            columns: finest.columns,
            rows: finest.rows,
            step_m: finest.step_m,
            cells: finest.cells,
        })
    }

    /// Heights of a surface for the cells of a swept block.
    pub fn heights_of(&self, surface: &Surface, swept: &Swept) -> Vec<f32> {
        let place =
            |axis: usize, index: usize| self.origin[axis] + (swept.at[axis] + index as i64) as f64 * self.cell_m;
        (0..swept.columns * swept.rows)
            .into_par_iter()
            .map(|index| {
                let (column, row) = (index % swept.columns, index / swept.columns);
                surface.height_at(place(0, column), place(1, row)) as f32
            })
            .collect()
    }

    fn look(&self, look: &mut Look, coarser: Option<&Look>, views: &[View], pictures: &[Arc<Pyramid>]) {
        let tiles: Vec<[usize; 2]> = (0..look.rows)
            .step_by(TILE)
            .flat_map(|row| (0..look.columns).step_by(TILE).map(move |column| [column, row]))
            .collect();
        let shape: &Look = look;
        let found: Vec<Option<Found>> =
            tiles.par_iter().map(|&from| self.look_at_tile(shape, from, coarser, views, pictures)).collect();
        let mut steps = Vec::new();
        for ([column, row], found) in tiles.into_iter().zip(found) {
            let Some((step_m, cells)) = found else { continue };
            steps.push(step_m);
            let (width, height) = (TILE.min(look.columns - column), TILE.min(look.rows - row));
            for line in 0..height {
                let to = (row + line) * look.columns + column;
                look.cells[to..to + width].copy_from_slice(&cells[line * width..(line + 1) * width]);
            }
        }
        look.step_m = median(steps.into_iter().filter(|step| *step > 0.0))
            .unwrap_or_else(|| coarser.map_or(0.0, |look| 0.5 * look.step_m));
    }

    /// Heights of a tile's cells and the distance of its layers; `None` where no two photos see
    /// enough of it from places far enough apart.
    fn look_at_tile(
        &self,
        look: &Look,
        [column, row]: [usize; 2],
        coarser: Option<&Look>,
        views: &[View],
        pictures: &[Arc<Pyramid>],
    ) -> Option<Found> {
        let cell_m = self.cell_m * (1usize << (look.level - 1)) as f64;
        let (width, height) = (TILE.min(look.columns - column), TILE.min(look.rows - row));
        let first = [look.at[0] + column as i64 - APRON as i64, look.at[1] + row as i64 - APRON as i64];
        let mut tile = Tile {
            origin: [0, 1].map(|axis| self.origin[axis] + first[axis] as f64 * cell_m),
            cell_m,
            columns: width + 2 * APRON,
            rows: height + 2 * APRON,
            plane: [0.0; 3],
            lowest_m: 0.0,
            step_m: 0.0,
            layers: 0,
        };
        if let Some(look) = coarser.filter(|look| self.tells_nothing_new(&tile, first, look)) {
            return Some((0.0, look.cells_of(&tile, first)));
        }
        let range = self.lay_plane(&mut tile, first, coarser);
        let chosen = tile.prepare(views, range);
        if let Some(look) = coarser.filter(|_| tile.layers > MOST_FINE_LAYERS) {
            return Some((0.0, look.cells_of(&tile, first)));
        }
        if tile.layers == 0 {
            return None;
        }
        let of_chosen: Vec<Arc<Pyramid>> =
            chosen.iter().map(|chosen: &Chosen| Arc::clone(&pictures[chosen.view])).collect();
        let volume = compare(&tile, &chosen, views, &of_chosen, look.level);
        let picks = choose_layers(&volume, tile.columns, tile.layers);
        let mut cells = Vec::with_capacity(width * height);
        for line in APRON..APRON + height {
            for place in APRON..APRON + width {
                let cell = line * tile.columns + place;
                let z = tile.point(place as f64, line as f64, f64::from(picks[cell].layer)).z;
                cells.push(if volume.known[cell] { (z as f32, picks[cell].likeness) } else { (f32::NAN, 0.0) });
            }
        }
        Some((tile.step_m, cells))
    }

    /// Whether all around the tile the coarser look found the ground where the tie points say, and nothing on it: a
    /// finer look would only bring its own noise.
    fn tells_nothing_new(&self, tile: &Tile, first: [i64; 2], look: &Look) -> bool {
        let cells =
            (0..tile.rows).step_by(2).flat_map(|row| (0..tile.columns).step_by(2).map(move |column| [column, row]));
        let differs = |at: &[usize; 2]| {
            look.cell(first, *at).is_none_or(|(height, _)| {
                (f64::from(height) - self.ground_at(tile, at[0], at[1])).abs() > SAME_LAYERS * look.step_m
            })
        };
        // A height that is not known differs from nothing: every comparison with NaN is false.
        cells.filter(differs).count() <= SPECK / 4
    }

    fn ground_at(&self, tile: &Tile, column: usize, row: usize) -> f64 {
        let place = |axis: usize, index: usize| tile.origin[axis] + index as f64 * tile.cell_m;
        self.ground.height_at(place(0, column), place(1, row))
    }

    /// Lays the tile's plane through the heights that are known already, and says from where to where over it the
    /// ground may lie.
    fn lay_plane(&self, tile: &mut Tile, first: [i64; 2], coarser: Option<&Look>) -> [f64; 2] {
        let mut known: Vec<[f64; 3]> = Vec::new();
        for row in (0..tile.rows).step_by(2) {
            for column in (0..tile.columns).step_by(2) {
                let from_coarser =
                    coarser.and_then(|look| look.cell(first, [column, row])).filter(|(z, _)| z.is_finite());
                let height =
                    from_coarser.map_or_else(|| self.ground_at(tile, column, row), |(height, _)| f64::from(height));
                known.push([column as f64 * tile.cell_m, row as f64 * tile.cell_m, height]);
            }
        }
        let range_over = |plane: &[f64; 3]| {
            let over = known.iter().map(|[x, y, z]| z - (plane[0] + x * plane[1] + y * plane[2]));
            over.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], z| [low.min(z), high.max(z)])
        };
        let level = [known.iter().map(|[_, _, z]| z).sum::<f64>() / known.len() as f64, 0.0, 0.0];
        // Where a house stands, the best plane leans on it and leaves more to search than a level one.
        let planes = [plane_through(&known), level].map(|plane| (plane, range_over(&plane)));
        let [sloping, level] = planes;
        let (plane, [low, high]) = if level.1[1] - level.1[0] < sloping.1[1] - sloping.1[0] { level } else { sloping };
        tile.plane = plane;
        if let Some(look) = coarser {
            return [low - SPARE_LAYERS * look.step_m, high + SPARE_LAYERS * look.step_m];
        }
        let spare = 0.03 * self.scene.flying_height_m;
        [low - spare, (high + spare).max(low + self.tallest_m.max(3.0 * spare) + spare)]
    }
}

/// The plane `a + b x + c y` nearest to points; level in the middle of them when they lie on a line.
fn plane_through(points: &[[f64; 3]]) -> [f64; 3] {
    let count = points.len() as f64;
    let mean = [0, 1, 2].map(|axis| points.iter().map(|point| point[axis]).sum::<f64>() / count);
    let (mut xx, mut xy, mut yy, mut xz, mut yz) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for point in points {
        let [x, y, z] = [0, 1, 2].map(|axis| point[axis] - mean[axis]);
        (xx, xy, yy, xz, yz) = (xx + x * x, xy + x * y, yy + y * y, xz + x * z, yz + y * z);
    }
    let determinant = xx * yy - xy * xy;
    if determinant < 1e-9 * (xx + yy).powi(2) {
        return [mean[2], 0.0, 0.0];
    }
    let (b, c) = ((xz * yy - yz * xy) / determinant, (yz * xx - xz * xy) / determinant);
    [mean[2] - b * mean[0] - c * mean[1], b, c]
}
