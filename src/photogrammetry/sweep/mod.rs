//! Heights of everything that stands on the ground: every cell is tried at every height, and the photos judge.
//!
//! Tie points know the land well but miss roofs, walls and shoulders. Here the ground is divided into cells; [`tile`]
//! lays layers of height over a few metres of them and chooses photos, [`volume`] compares the photos at each layer,
//! [`semiglobal`] picks layers on which neighbours agree, and [`fuse`] joins the result with the surface of tie points.
//! It looks twice, on cells of 4 and of 2 pixels, the second time only near the heights that the first look found and
//! only where they are news. On coarser cells roofs are too even to be told from what lies beside them.
//!
//! The ground is swept block by block ([`block`]), each in two looks ([`look`]). Memory is one block, a budget of reduced
//! photos and the finished heights. The result does not depend on the number of threads: each tile is computed for itself.

mod block;
mod fuse;
mod look;
mod pictures;
mod semiglobal;
mod tile;
mod volume;

use std::ops::Range;

use nalgebra::Vector3;

pub use self::pictures::{Pyramid, ShelvedPyramid};
use self::{block::Block, fuse::fuse, pictures::Pictures};
use super::{
    error::Result,
    orthorectify::View,
    surface::{Extent, Surface},
};

/// Cells of the finest look to a side of a block; a multiple of a cell of the coarsest.
const BLOCK: usize = 512;
/// Finished heights at most; a larger area gets larger cells.
const MOST_CELLS: f64 = 64e6;

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

#[cfg(test)]
mod tests;
