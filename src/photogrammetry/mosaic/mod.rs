//! Joins the photos into one picture, tile by tile.
//!
//! [`reduced`](super::reduced) copies of the photos say, cell by cell of the ground, which photos could show it and what
//! that would cost ([`candidates`]). [`labels`] chooses one for each cell, so that seams run where the photos agree, not
//! over what stands out ([`relief`]), and what moved is left out. [`draw`] then looks into the photos themselves
//! ([`sample`]) and lets them fade over the seams, each band of detail over its own width ([`blend`]). Exposure is
//! balanced before, not here.
//!
//! Memory is bounded by the map of labels, one tile and a budget of decoded photos; neighbouring tiles are drawn after
//! each other, so that each photo is decoded a few times at most.

mod blend;
mod cache;
mod candidates;
mod draw;
mod labels;
mod max_flow;
mod pyramid;
mod relief;
mod sample;
mod terrain;
mod tiles;

use std::path::Path;

use rayon::prelude::*;

pub use self::terrain::Terrain;
use self::{
    cache::{PhotoCache, Stored},
    candidates::Lookout,
    draw::Painter,
    labels::Labels,
    sample::shrink_factor,
};
use super::{
    error::Result,
    exposure::Exposure,
    heights::Heights,
    orthorectify::{Grid, ground_point},
    reduced::Reduced,
    surface::Surface,
};
use crate::{
    raster::{CogOptions, CogWriter, DEM_NODATA, DemWriter},
    spatial::{Crs, Projection},
};

/// Decoded photos kept between tiles, bytes.
const CACHE_BYTES: usize = 160 << 20;
/// A cell is as wide as two pixels of the small copies, but at least this many of the orthophoto, and at most so many.
const CELL_PX: std::ops::RangeInclusive<f64> = 4.0..=64.0;
/// What the share of the labels in the work is about.
const LABELS_SHARE: f64 = 0.3;

/// Everything the pixels depend on.
pub struct Mosaic<'a> {
    pub terrain: Terrain<'a>,
    pub exposure: &'a Exposure,
    pub reduced: &'a Reduced,
    /// Metres per pixel of the photos at nadir.
    pub native_gsd_m: f64,
}

/// What was drawn.
#[derive(Clone, Copy, Debug, Default)]
pub struct Drawn {
    pub covered_pixels: u64,
    pub decoded_photos: usize,
}

impl Mosaic<'_> {
    /// Draws the orthophoto into a COG. `tell` hears the share done, 0 to 1, and says whether to go on.
    ///
    /// # Errors
    /// [`super::Error::PhotoGone`] and [`super::Error::PhotoChanged`] when a photo is not what it was,
    /// [`super::Error::Raster`] when the disk is full, or that of `tell`; the target is untouched then.
    pub fn write(
        &self,
        target: &Path,
        options: CogOptions,
        tell: &(dyn Fn(f64) -> Result<()> + Sync),
    ) -> Result<Drawn> {
        let grid = &self.terrain.grid;
        let labels = self.labels(&|done| tell(done * LABELS_SHARE))?;
        let mut writer = CogWriter::create(target, grid.size, grid.transform, grid.crs, options)?;
        let painter = Painter { terrain: &self.terrain, exposure: self.exposure, labels: &labels };
        let to_lonlat = Projection::new(grid.crs, Crs::WGS84)?;
        let mut cache = self.cache();
        let mut drawn = Drawn::default();
        let tiles = tiles::in_order(grid.size);
        for (done, &(at, size)) in tiles.iter().enumerate() {
            if let Some(tile) = painter.draw(at, size, &to_lonlat, &mut cache)? {
                drawn.covered_pixels += tile.mask.iter().map(|&m| u64::from(m != 0)).sum::<u64>();
                writer.write_rgb(at, size, &tile.rgb, &tile.mask)?;
            }
            tell(LABELS_SHARE + (1.0 - LABELS_SHARE) * (done + 1) as f64 / tiles.len() as f64)?;
        }
        drawn.decoded_photos = cache.decoded;
        drop(cache);
        writer.finish()?;
        Ok(drawn)
    }

    fn labels(&self, tell: &(dyn Fn(f64) -> Result<()> + Sync)) -> Result<Labels> {
        let cell_px = 2.0 * self.reduced.factor as f64 * self.native_gsd_m / self.terrain.gsd_m;
        let cell_px = cell_px.round().clamp(*CELL_PX.start(), *CELL_PX.end()) as usize;
        let lookout = Lookout { terrain: &self.terrain, exposure: self.exposure, reduced: self.reduced, cell_px };
        Labels::find(&lookout, self.terrain.grid.size, tell)
    }

    fn cache(&self) -> PhotoCache {
        let Terrain { flight, views, ground_m, gsd_m, .. } = &self.terrain;
        let photos = flight
            .photos
            .iter()
            .zip(*views)
            .map(|(photo, view)| Stored { photo: photo.clone(), factor: shrink_factor(view, *ground_m, *gsd_m) });
        PhotoCache::new(photos.collect(), CACHE_BYTES)
    }

    /// Writes a surface as a COG of heights above their zero, at its own cell size, where some photo sees it.
    ///
    /// # Errors
    /// [`super::Error::Raster`] when the disk is full; the target is untouched then.
    pub fn write_heights(&self, surface: &Surface, heights: &Heights, target: &Path, grid: &Grid) -> Result<()> {
        let Terrain { flight, ground_m, .. } = &self.terrain;
        let mut writer = DemWriter::create(target, grid.size, grid.transform, grid.crs)?;
        let to_lonlat = Projection::new(grid.crs, Crs::WGS84)?;
        for (at, size) in tiles::in_order(grid.size) {
            let lattice = grid.lattice(flight, &to_lonlat, at, size, *ground_m)?;
            let near = self.terrain.views_near(&lattice, size);
            let heights: Vec<f32> = (0..size[0] * size[1])
                .into_par_iter()
                .map(|index| {
                    let (x, y) = ((index % size[0]) as f64 + 0.5, (index / size[0]) as f64 + 0.5);
                    let point = ground_point(&lattice, surface, x, y);
                    if !near.iter().any(|view| view.may_see(&point) && view.see(&point).is_some()) {
                        return DEM_NODATA;
                    }
                    heights.height_of(flight.frame.to_lonlat([point.x, point.y, point.z])) as f32
                })
                .collect();
            writer.write(at, size, &heights)?;
        }
        Ok(writer.finish()?)
    }
}

#[cfg(test)]
mod tests;
