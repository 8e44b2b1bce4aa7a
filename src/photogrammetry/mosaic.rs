//! Joins the photos into one picture, tile by tile.
//!
//! Each ground cell takes its colour from the photo that sees it most steeply, so that trees lean as little as
//! possible. Where two photos are nearly as steep they fade into each other over a narrow band, and nowhere else:
//! a mean of many photos shows every crown twice. Exposure is balanced before, not here.
//!
//! Memory is bounded by one tile and a budget of decoded photos; tiles go back and forth along the rows, so
//! that each photo is decoded a few times at most.

use std::{path::Path, sync::Arc};

use nalgebra::{Vector2, Vector3};
use rayon::prelude::*;

use super::{
    error::Result,
    exposure::Exposure,
    orthorectify::{Grid, Lattice, View, ground_point, sample_bicubic},
    photos::{Flight, Photo},
    surface::Surface,
};
use crate::{
    raster::{CogOptions, CogWriter, DEM_NODATA, DemWriter, Rgb8},
    spatial::{Crs, Projection},
};

/// Side of a tile in pixels.
const TILE: usize = 1024;
/// Decoded photos kept between tiles, bytes.
const CACHE_BYTES: usize = 400 << 20;
/// The band in which two photos fade, in tangents of the viewing angle: 1.2 m at 40 m.
const FADE: f64 = 0.03;
/// Towards its frame a photo counts as more slanted, by up to this much over this share of its longer side: lenses are
/// worst there, and no seam then follows a frame.
const FRAME_PENALTY: f64 = 0.25;
const FRAME_MARGIN: f64 = 0.03;
/// Every this many pixels a tile asks which photos it needs.
const PROBE: usize = 16;

/// Everything the pixels depend on.
pub struct Mosaic<'a> {
    pub flight: &'a Flight,
    pub views: &'a [View],
    pub surface: &'a Surface,
    pub exposure: &'a Exposure,
    pub grid: Grid,
    pub ground_m: f64,
}

/// What was drawn.
#[derive(Clone, Copy, Debug, Default)]
pub struct Drawn {
    pub covered_pixels: u64,
    pub decoded_photos: usize,
}

impl Mosaic<'_> {
    /// Draws the orthophoto into a COG. `progress` hears the share done, 0 to 1.
    ///
    /// # Errors
    /// [`super::Error::PhotoGone`] and [`super::Error::PhotoChanged`] when a photo is not what it was;
    /// [`super::Error::Raster`] when the disk is full; the target is untouched then.
    pub fn write(&self, target: &Path, progress: &(dyn Fn(f64) + Sync)) -> Result<Drawn> {
        let mut writer =
            CogWriter::create(target, self.grid.size, self.grid.transform, self.grid.crs, CogOptions::default())?;
        let to_lonlat = Projection::new(self.grid.crs, Crs::WGS84)?;
        let mut cache = PhotoCache::new(self.flight.photos.clone());
        let mut drawn = Drawn::default();
        let tiles = tile_order(self.grid.size);
        for (done, &(at, size)) in tiles.iter().enumerate() {
            let lattice = self.grid.lattice(self.flight, &to_lonlat, at, size, self.ground_m)?;
            let needed = self.views_for(&lattice, size);
            if !needed.is_empty() {
                let photos: Vec<usize> = needed.iter().map(|view| view.photo).collect();
                let pictures = cache.load(&photos)?;
                let sources: Vec<Source> =
                    needed.into_iter().zip(pictures).map(|(view, picture)| Source { view, picture }).collect();
                let (rgb, mask) = self.draw(&lattice, &sources, size);
                drawn.covered_pixels += mask.iter().map(|&m| u64::from(m != 0)).sum::<u64>();
                writer.write_rgb(at, size, &rgb, &mask)?;
            }
            progress((done + 1) as f64 / tiles.len() as f64);
        }
        drawn.decoded_photos = cache.decoded;
        writer.finish()?;
        Ok(drawn)
    }

    /// Writes the surface as a COG of ellipsoidal heights, at its own cell size, where some photo sees it.
    ///
    /// # Errors
    /// [`super::Error::Raster`] when the disk is full; the target is untouched then.
    pub fn write_dsm(&self, target: &Path, grid: &Grid) -> Result<()> {
        let mut writer = DemWriter::create(target, grid.size, grid.transform, grid.crs)?;
        let to_lonlat = Projection::new(grid.crs, Crs::WGS84)?;
        for (at, size) in tile_order(grid.size) {
            let lattice = grid.lattice(self.flight, &to_lonlat, at, size, self.ground_m)?;
            let heights: Vec<f32> = (0..size[0] * size[1])
                .into_par_iter()
                .map(|index| {
                    let (x, y) = ((index % size[0]) as f64 + 0.5, (index / size[0]) as f64 + 0.5);
                    let point = ground_point(&lattice, self.surface, x, y);
                    if !self.views.iter().any(|view| view.may_see(&point) && view.see(&point).is_some()) {
                        return DEM_NODATA;
                    }
                    self.flight.frame.to_lonlat([point.x, point.y, point.z])[2] as f32
                })
                .collect();
            writer.write(at, size, &heights)?;
        }
        Ok(writer.finish()?)
    }

    /// The views that give a tile its colours: among the best at one of its probes, or nearly.
    fn views_for(&self, lattice: &Lattice, size: [usize; 2]) -> Vec<View> {
        let (columns, rows) = (size[0].div_ceil(PROBE) + 1, size[1].div_ceil(PROBE) + 1);
        let near = self.views_near(lattice, size);
        let wanted: Vec<Vec<bool>> = (0..rows)
            .into_par_iter()
            .map(|row| {
                let mut wanted = vec![false; near.len()];
                for column in 0..columns {
                    let x = (column * PROBE).min(size[0]) as f64;
                    let y = (row * PROBE).min(size[1]) as f64;
                    let point = ground_point(lattice, self.surface, x, y);
                    // On the surface, and on the ground under it, where holes are filled from.
                    for point in [point, self.lowered(&point)] {
                        let cost = |view: &View| view.see(&point).map(|pixel| cost_of(view, &point, &pixel));
                        let costs: Vec<Option<f64>> = near.iter().map(cost).collect();
                        let best = costs.iter().flatten().copied().fold(f64::INFINITY, f64::min);
                        // A probe stands for its surroundings: slack for what lies between probes.
                        let slack = 4.0 * FADE;
                        for (wants, cost) in wanted.iter_mut().zip(&costs) {
                            *wants |= cost.is_some_and(|cost| cost < best + slack);
                        }
                    }
                }
                wanted
            })
            .collect();
        near.into_iter()
            .enumerate()
            .filter(|(index, _)| wanted.iter().any(|row| row[*index]))
            .map(|(_, view)| view)
            .collect()
    }

    fn views_near(&self, lattice: &Lattice, size: [usize; 2]) -> Vec<View> {
        let (w, h) = (size[0] as f64, size[1] as f64);
        let corners = [[0.0, 0.0], [w, 0.0], [0.0, h], [w, h]].map(|[x, y]| lattice.ground(x, y));
        let tile = super::orthorectify::union(corners.iter().map(|p| [p[0], p[1], p[0], p[1]]));
        let touches = |view: &&View| {
            let margin = 0.15 * (view.extent[2] - view.extent[0]).max(view.extent[3] - view.extent[1]);
            view.extent[0] - margin < tile[2]
                && view.extent[2] + margin > tile[0]
                && view.extent[1] - margin < tile[3]
                && view.extent[3] + margin > tile[1]
        };
        self.views.iter().filter(touches).copied().collect()
    }

    fn draw(&self, lattice: &Lattice, sources: &[Source], size: [usize; 2]) -> (Vec<u8>, Vec<u8>) {
        let (mut rgb, mut mask) = (vec![0u8; 3 * size[0] * size[1]], vec![0u8; size[0] * size[1]]);
        rgb.par_chunks_mut(3 * size[0]).zip(mask.par_chunks_mut(size[0])).enumerate().for_each(
            |(row, (colours, mask))| {
                let mut candidates = Vec::with_capacity(sources.len());
                for (column, (colour, covered)) in colours.chunks_exact_mut(3).zip(mask).enumerate() {
                    let point = ground_point(lattice, self.surface, column as f64 + 0.5, row as f64 + 0.5);
                    let seen = self
                        .colour_at(&point, sources, &mut candidates)
                        .or_else(|| self.colour_at(&self.lowered(&point), sources, &mut candidates));
                    if let Some(seen) = seen {
                        colour.copy_from_slice(&seen);
                        *covered = 255;
                    }
                }
            },
        );
        (rgb, mask)
    }

    /// The place on the mean ground. At the border a crown may rise out of every frame while its foot is still seen.
    fn lowered(&self, point: &Vector3<f64>) -> Vector3<f64> {
        Vector3::new(point.x, point.y, point.z.min(self.ground_m))
    }

    /// The colour of a ground point; `None` when no source sees it.
    fn colour_at(
        &self,
        point: &Vector3<f64>,
        sources: &[Source],
        candidates: &mut Vec<(f64, usize)>,
    ) -> Option<[u8; 3]> {
        candidates.clear();
        candidates.extend(sources.iter().enumerate().map(|(index, source)| (source.view.slant(point), index)));
        candidates.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let mut best = f64::INFINITY;
        let mut seen: [(f64, usize, Vector2<f64>); 4] = [(f64::INFINITY, 0, Vector2::zeros()); 4];
        let mut count = 0;
        for &(slant, index) in candidates.iter() {
            // The cost is at least the slant: what follows cannot come into the band any more.
            if slant > best + FADE {
                break;
            }
            let view = &sources[index].view;
            let Some(pixel) = view.see(point) else { continue };
            let cost = cost_of(view, point, &pixel);
            best = best.min(cost);
            if count < seen.len() {
                seen[count] = (cost, index, pixel);
                count += 1;
            } else if let Some(worst) = seen.iter_mut().max_by(|a, b| a.0.total_cmp(&b.0)).filter(|w| w.0 > cost) {
                *worst = (cost, index, pixel);
            }
        }
        let (mut sum, mut total) = ([0.0f32; 3], 0.0f32);
        for (cost, index, pixel) in &seen[..count] {
            let share = 1.0 - (cost - best) / FADE;
            if share > 0.0 {
                let weight = (share * share * (3.0 - 2.0 * share)) as f32;
                let colour = self.corrected(&sources[*index], pixel);
                sum.iter_mut().zip(colour).for_each(|(s, c)| *s += weight * c);
                total += weight;
            }
        }
        (total > 0.0).then(|| sum.map(|s| (s / total).round().clamp(0.0, 255.0) as u8))
    }

    fn corrected(&self, source: &Source, pixel: &Vector2<f64>) -> [f32; 3] {
        let camera = &source.view.camera;
        let (x, y) = (pixel.x - 0.5 * camera.width_px, pixel.y - 0.5 * camera.height_px);
        let r2 = 4.0 * (x * x + y * y) / (camera.width_px.powi(2) + camera.height_px.powi(2));
        let factor = self.exposure.factor(source.view.photo, source.view.camera_index, r2);
        let colour = sample_bicubic(&source.picture, pixel);
        std::array::from_fn(|channel| colour[channel] * factor[channel])
    }
}

struct Source {
    view: View,
    picture: Arc<Rgb8>,
}

/// What it costs to take a point from a photo: its slant, and a penalty near the frame.
fn cost_of(view: &View, point: &Vector3<f64>, pixel: &Vector2<f64>) -> f64 {
    let camera = &view.camera;
    let inside = pixel.x.min(pixel.y).min(camera.width_px - pixel.x).min(camera.height_px - pixel.y);
    let margin = FRAME_MARGIN * camera.width_px.max(camera.height_px);
    view.slant(point) + FRAME_PENALTY * (1.0 - inside / margin).max(0.0)
}

/// Tiles of the grid, row by row, every other row backwards.
fn tile_order(size: [usize; 2]) -> Vec<([usize; 2], [usize; 2])> {
    let mut tiles = Vec::new();
    for (line, y) in (0..size[1]).step_by(TILE).enumerate() {
        let mut row: Vec<_> =
            (0..size[0]).step_by(TILE).map(|x| ([x, y], [TILE.min(size[0] - x), TILE.min(size[1] - y)])).collect();
        if line % 2 == 1 {
            row.reverse();
        }
        tiles.extend(row);
    }
    tiles
}

/// Decoded photos, the least recently used dropped first.
struct PhotoCache {
    photos: Vec<Photo>,
    /// Newest last.
    held: Vec<(usize, Arc<Rgb8>)>,
    decoded: usize,
}

impl PhotoCache {
    fn new(photos: Vec<Photo>) -> Self {
        Self { photos, held: Vec::new(), decoded: 0 }
    }

    /// The pictures of the given photos, in order; those not held are decoded side by side.
    fn load(&mut self, photos: &[usize]) -> Result<Vec<Arc<Rgb8>>> {
        let missing: Vec<usize> =
            photos.iter().copied().filter(|photo| !self.held.iter().any(|(held, _)| held == photo)).collect();
        // Make room first: old and new photos together would be the peak.
        self.held.sort_by_key(|(held, _)| photos.contains(held));
        let size = self.held.first().map_or(0, |(_, picture)| picture.data.len());
        let room = CACHE_BYTES.saturating_sub(missing.len() * size);
        while !self.held.is_empty()
            && self.held.iter().map(|(_, picture)| picture.data.len()).sum::<usize>() > room
            && !photos.contains(&self.held[0].0)
        {
            self.held.remove(0);
        }
        let read: Vec<Result<Rgb8>> = missing.par_iter().map(|&photo| self.photos[photo].read()).collect();
        for (photo, picture) in missing.into_iter().zip(read) {
            self.held.push((photo, Arc::new(picture?)));
            self.decoded += 1;
        }
        let find = |photo: &usize| {
            let held = self.held.iter().find(|(held, _)| held == photo);
            held.map(|(_, picture)| Arc::clone(picture)).expect("every photo was just held or read")
        };
        Ok(photos.iter().map(find).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_the_grid_once_and_neighbours_follow_each_other() {
        let tiles = tile_order([2500, 1500]);
        assert_eq!(tiles.iter().map(|(_, size)| size[0] * size[1]).sum::<usize>(), 2500 * 1500);
        for pair in tiles.windows(2) {
            let (a, b) = (pair[0].0, pair[1].0);
            assert!(a[0].abs_diff(b[0]) + a[1].abs_diff(b[1]) <= TILE, "{a:?} {b:?}");
        }
    }
}
