//! Heights of everything that stands on the ground: every cell is tried at every height, and the photos judge.
//!
//! Tie points know the land well but miss roofs, walls and shoulders. Here the ground is divided into cells; [`tile`]
//! lays layers of height over a few metres of them and chooses photos, [`volume`] compares the photos at each layer,
//! [`semiglobal`] picks layers on which neighbours agree, and [`fuse`] joins the result with the surface of tie points.
//! It looks twice, on cells of 4 and of 2 pixels, the second time only near the heights that the first look found and
//! only where they are news. On coarser cells roofs are too even to be told from what lies beside them.
//!
//! The ground is swept block by block. Memory is one block, a budget of reduced photos and the finished heights. The
//! result does not depend on the number of threads: each tile is computed for itself.

mod fuse;
mod pictures;
mod semiglobal;
mod tile;
mod volume;

use std::{ops::Range, sync::Arc};

use nalgebra::Vector3;
use rayon::prelude::*;

pub use self::pictures::{Pyramid, ShelvedPyramid};
use self::{
    fuse::{Swept, drop_patches, fuse},
    pictures::{LEVELS, Pictures},
    semiglobal::choose_layers,
    tile::{Chosen, Tile},
    volume::compare,
};
use super::{
    error::Result,
    orthorectify::View,
    photos::median,
    surface::{Extent, Surface},
};

/// Cells of the finest look to a side of a block; a multiple of a cell of the coarsest.
const BLOCK: usize = 512;
/// Cells of a tile to a side, and the apron around it that is computed and thrown away.
const TILE: usize = 64;
const APRON: usize = 10;
/// Cells that a look knows beyond what is asked of it, for the aprons and filters of the next.
const MARGIN: usize = 16;
/// Finished heights at most; a larger area gets larger cells.
const MOST_CELLS: f64 = 64e6;
/// The finest look is left out where the one before agrees with the tie points within this many of its layers.
const SAME_LAYERS: f64 = 1.2;
/// Where photos are less alike than this, a finer look starts from the tie points again.
const LIKELY: f32 = 0.4;
/// As many cells that disagree with all around them are a mistake.
const SPECK: usize = 16;
/// More layers than this are trees: a finer look at leaves finds no more than their noise.
const MOST_FINE_LAYERS: usize = 64;
/// Layers that a finer look goes beyond the heights that the coarser one found.
const SPARE_LAYERS: f64 = 3.0;

/// What the sweep is made of.
pub struct Scene<'a> {
    pub views: &'a [View],
    /// Reads the photo that [`View::photo`] counts.
    pub read: &'a (dyn Fn(usize) -> Result<Pyramid> + Sync),
    /// The surface of the tie points.
    pub base: &'a Surface,
    pub points: &'a [Vector3<f64>],
    pub flying_height_m: f64,
    /// Of the photos at nadir.
    pub gsd_m: f64,
}

/// Returns the surface with everything that stands on it, on cells of two pixels. `progress` hears the share done.
///
/// # Errors
/// [`super::Error::PhotoGone`] and [`super::Error::PhotoChanged`] when a photo is not what it was.
pub fn sweep(scene: &Scene, extent: Extent, progress: &(dyn Fn(f64) + Sync)) -> Result<Surface> {
    let area = (extent[2] - extent[0]) * (extent[3] - extent[1]);
    let cell_m = (2.0 * scene.gsd_m).max((area / MOST_CELLS).sqrt());
    let mut surface = scene.base.resampled(extent, cell_m);
    let [columns, rows] = surface.size();
    let tallest_m = tallest(scene.points, 0.4 * scene.flying_height_m);
    let ground = scene.base.ground();
    let mut pictures = Pictures::new(scene.read);
    let blocks = blocks([columns, rows]);
    for (done, [block_columns, block_rows]) in blocks.iter().enumerate() {
        let block = Block { scene, ground: &ground, origin: [extent[0], extent[1]], cell_m, tallest_m };
        let near = block.pictures_near(&mut pictures, [block_columns, block_rows])?;
        let swept = block.sweep([block_columns, block_rows], &near);
        if let Some(swept) = swept {
            let heights = fuse(&swept, &block.heights_of(&ground, &swept), &block.heights_of(scene.base, &swept));
            surface.put(&heights, swept.at, swept.columns, [block_columns.clone(), block_rows.clone()]);
        }
        progress((done + 1) as f64 / blocks.len() as f64);
    }
    Ok(surface)
}

/// Blocks of cells, row by row, every other row backwards.
fn blocks(size: [usize; 2]) -> Vec<[Range<usize>; 2]> {
    let cut = |count: usize| (0..count).step_by(BLOCK).map(move |from| from..(from + BLOCK).min(count));
    let mut blocks = Vec::new();
    for (line, rows) in cut(size[1]).enumerate() {
        let mut row: Vec<_> = cut(size[0]).map(|columns| [columns, rows.clone()]).collect();
        if line % 2 == 1 {
            row.reverse();
        }
        blocks.extend(row);
    }
    blocks
}

/// How far tie points rise within a few metres, wherever they rise most.
fn tallest(points: &[Vector3<f64>], side_m: f64) -> f64 {
    let mut squares: std::collections::BTreeMap<[i64; 2], Vec<f64>> = std::collections::BTreeMap::new();
    for point in points {
        let square = [point.x, point.y].map(|v| (v / side_m).floor() as i64);
        squares.entry(square).or_default().push(point.z);
    }
    let rise = |heights: &mut Vec<f64>| {
        heights.sort_by(f64::total_cmp);
        // A point in fifty may be wrong.
        let at = |share: f64| heights[((heights.len() - 1) as f64 * share) as usize];
        at(0.98) - at(0.05)
    };
    squares.values_mut().filter(|heights| heights.len() >= 50).map(rise).fold(0.0, f64::max)
}

/// Of a tile the distance of its layers, and height and likeness of its cells.
type Found = (f64, Vec<(f32, f32)>);

/// Photos at hand, by view.
type Near = Vec<(usize, Arc<Pyramid>)>;

/// A part of the ground on the way through the looks.
struct Block<'a> {
    scene: &'a Scene<'a>,
    /// The tie points' surface without what stands on it.
    ground: &'a Surface,
    /// East and north of the first cell of the finest look.
    origin: [f64; 2],
    cell_m: f64,
    tallest_m: f64,
}

/// Heights of one look over a block and around it.
struct Look {
    level: usize,
    /// First column and row, in cells of this look, counted from the same origin at every level; may be negative.
    at: [i64; 2],
    columns: usize,
    rows: usize,
    /// Height and likeness; NaN where fewer than two photos look.
    cells: Vec<(f32, f32)>,
    /// Between layers; for each tile the same order of size.
    step_m: f64,
}

impl Block<'_> {
    /// Reads the photos that see some of a block.
    fn pictures_near(&self, pictures: &mut Pictures<'_>, cells: [&Range<usize>; 2]) -> Result<Near> {
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
    fn sweep(&self, cells: [&Range<usize>; 2], near: &Near) -> Option<Swept> {
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
    fn heights_of(&self, surface: &Surface, swept: &Swept) -> Vec<f32> {
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

impl Look {
    /// Height and likeness for a cell of the next finer look, given from its first one; `None` outside.
    fn cell(&self, first: [i64; 2], [column, row]: [usize; 2]) -> Option<(f32, f32)> {
        let column = (first[0] + column as i64).div_euclid(2) - self.at[0];
        let row = (first[1] + row as i64).div_euclid(2) - self.at[1];
        if column < 0 || row < 0 || column >= self.columns as i64 || row >= self.rows as i64 {
            return None;
        }
        Some(self.cells[row as usize * self.columns + column as usize])
    }

    /// What is known of the cells of a tile of the next finer look, its apron left out.
    fn cells_of(&self, tile: &Tile, first: [i64; 2]) -> Vec<(f32, f32)> {
        let inner = |count: usize| APRON..count - APRON;
        let cells = inner(tile.rows).flat_map(|row| inner(tile.columns).map(move |column| [column, row]));
        cells.map(|at| self.cell(first, at).unwrap_or((f32::NAN, 0.0))).collect()
    }

    /// Forgets what the photos do not agree on and what stands alone.
    fn forget_specks(&mut self) {
        let known = |(height, likeness): &(f32, f32)| if *likeness < LIKELY { f32::NAN } else { *height };
        let mut heights: Vec<f32> = self.cells.iter().map(known).collect();
        drop_patches(&mut heights, self.columns, 1.5 * self.step_m as f32, SPECK);
        self.cells.iter_mut().zip(heights).for_each(|(cell, height)| cell.0 = height);
    }

    /// A median over 3 × 3 cells.
    fn calm(&mut self) {
        let before = self.cells.clone();
        let (columns, rows) = (self.columns, self.rows);
        self.cells.par_chunks_exact_mut(columns).enumerate().for_each(|(row, line)| {
            for (column, cell) in line.iter_mut().enumerate() {
                let mut near = [0.0f32; 9];
                let mut count = 0;
                for y in row.saturating_sub(1)..(row + 2).min(rows) {
                    for x in column.saturating_sub(1)..(column + 2).min(columns) {
                        let height = before[y * columns + x].0;
                        if height.is_finite() {
                            near[count] = height;
                            count += 1;
                        }
                    }
                }
                if count > 0 && cell.0.is_finite() {
                    near[..count].sort_unstable_by(f32::total_cmp);
                    cell.0 = near[count / 2];
                }
            }
        });
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

#[cfg(test)]
mod tests;
