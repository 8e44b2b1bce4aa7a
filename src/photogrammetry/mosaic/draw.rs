//! Draws a tile: which photo each pixel comes from, its colour, and what is added to it near seams.
//!
//! Invariant: a pixel is the same whatever tile it is drawn with. A tile knows as much of its surroundings as can matter.

use nalgebra::{Vector2, Vector3};
use rayon::prelude::*;

use super::{
    blend::{REACH, Region},
    cache::PhotoCache,
    candidates::cost_of,
    labels::{Labels, NONE},
    sample::Sampler,
    terrain::Terrain,
};
use crate::{
    photogrammetry::{
        error::Result,
        exposure::Exposure,
        orthorectify::{Lattice, View, ground_point},
    },
    spatial::Projection,
};

/// Regions begin where the lattice of coordinates has a node, so that it is the same lattice for all.
const ALIGNMENT: usize = 32;

/// A tile's pixels: interleaved red, green and blue, and 255 where there is a photo.
pub struct Tile {
    pub rgb: Vec<u8>,
    pub mask: Vec<u8>,
}

/// Everything that a pixel depends on.
pub struct Painter<'a> {
    pub terrain: &'a Terrain<'a>,
    pub exposure: &'a Exposure,
    pub labels: &'a Labels,
}

/// How colours become bytes: as they are, but for the brightest, which are pressed together so that nothing that a photo
/// shows is lost in white.
#[derive(Clone, Copy)]
struct Tone {
    press: f32,
}

/// Up to here colours stay as they are.
const KNEE: f32 = 200.0;

impl Tone {
    /// `white` becomes 255.
    fn up_to(white: f32) -> Self {
        let range = ((white - KNEE) / (255.0 - KNEE)).max(1.0);
        Self { press: (range - 1.0) / range }
    }

    fn of(self, value: f32) -> u8 {
        let over = ((value - KNEE) / (255.0 - KNEE)).max(0.0);
        let pressed = value.min(KNEE) + (255.0 - KNEE) * over / (1.0 + self.press * over);
        pressed.round().clamp(0.0, 255.0) as u8
    }
}

/// Where a pixel's colour comes from.
#[derive(Clone, Copy)]
struct Spot {
    source: u16,
    pixel: [f32; 2],
}

const NOWHERE: Spot = Spot { source: NONE, pixel: [0.0; 2] };

impl Painter<'_> {
    /// Draws the pixels from `at` on; `None` when no photo shows any of them.
    ///
    /// # Errors
    /// Those of [`PhotoCache::load`].
    pub fn draw(
        &self,
        at: [usize; 2],
        size: [usize; 2],
        to_lonlat: &Projection,
        cache: &mut PhotoCache,
    ) -> Result<Option<Tile>> {
        let terrain = self.terrain;
        let from = at.map(|at| at.saturating_sub(REACH) / ALIGNMENT * ALIGNMENT);
        let to: [usize; 2] = std::array::from_fn(|axis| {
            (at[axis] + size[axis] + REACH).next_multiple_of(ALIGNMENT).min(terrain.grid.size[axis])
        });
        let around = [to[0] - from[0], to[1] - from[1]];
        let lattice = terrain.grid.lattice(terrain.flight, to_lonlat, from, around, terrain.ground_m)?;
        let near = terrain.views_near(&lattice, around);
        let spots = self.spots(&lattice, &near, from, around);
        let inside = [at[0] - from[0], at[1] - from[1]];
        let of_tile = |y: usize| &spots[(inside[1] + y) * around[0] + inside[0]..][..size[0]];
        if (0..size[1]).all(|y| of_tile(y).iter().all(|spot| spot.source == NONE)) {
            return Ok(None);
        }

        let mut photos: Vec<usize> = spots.iter().filter(|s| s.source != NONE).map(|s| s.source as usize).collect();
        photos.dedup();
        photos.sort_unstable();
        photos.dedup();
        let pictures = cache.load(&photos)?;
        let mut samplers: Vec<Option<Sampler>> = (0..terrain.views.len()).map(|_| None).collect();
        for (photo, picture) in photos.into_iter().zip(pictures) {
            let view = &terrain.views[photo];
            samplers[photo] = Some(Sampler::new(view, picture, self.exposure, terrain.ground_m, terrain.gsd_m));
        }
        let sampler = |source: u16| samplers[source as usize].as_ref().expect("the photos of all spots were loaded");

        let region = Region { at: from, size: around, sources: spots.iter().map(|spot| spot.source).collect() };
        let zones = region.zones();
        let in_tile = |x: usize, y: usize| {
            (inside[0]..inside[0] + size[0]).contains(&x) && (inside[1]..inside[1] + size[1]).contains(&y)
        };
        let mut colours = vec![[0.0f32; 3]; around[0] * around[1]];
        colours.par_chunks_mut(around[0]).enumerate().for_each(|(y, line)| {
            for (x, colour) in line.iter_mut().enumerate() {
                let spot = &spots[y * around[0] + x];
                if spot.source != NONE && (in_tile(x, y) || zones.iter().any(|zone| zone.has(x, y))) {
                    *colour = sampler(spot.source).colour(&place(spot));
                }
            }
        });
        let corrections = (!zones.is_empty()).then(|| {
            region.corrections(&zones, &|zone, x, y| {
                let point = ground_point(&lattice, terrain.surface, x as f64 + 0.5, y as f64 + 0.5);
                let sampler = sampler(zone.source);
                let seen = sampler.colour(&terrain.see(sampler.view, &point)?);
                let own = colours[y * around[0] + x];
                Some(of_the_same_thing(std::array::from_fn(|channel| seen[channel] - own[channel])))
            })
        });

        let tone = Tone::up_to(self.exposure.white());
        let mut tile = Tile { rgb: vec![0; 3 * size[0] * size[1]], mask: vec![0; size[0] * size[1]] };
        let rows = tile.rgb.par_chunks_mut(3 * size[0]).zip(tile.mask.par_chunks_mut(size[0]));
        rows.enumerate().for_each(|(y, (rgb, mask))| {
            let start = (inside[1] + y) * around[0] + inside[0];
            for (x, (rgb, mask)) in rgb.chunks_exact_mut(3).zip(mask).enumerate() {
                if spots[start + x].source == NONE {
                    continue;
                }
                *mask = 255;
                let added = corrections.as_ref().map_or([0.0; 4], |corrections| corrections[start + x]);
                for channel in 0..3 {
                    rgb[channel] = tone.of(colours[start + x][channel] + added[channel]);
                }
            }
        });
        Ok(Some(tile))
    }

    fn spots(&self, lattice: &Lattice, near: &[&View], from: [usize; 2], size: [usize; 2]) -> Vec<Spot> {
        let mut spots = vec![NOWHERE; size[0] * size[1]];
        spots.par_chunks_mut(size[0]).enumerate().for_each(|(y, line)| {
            for (x, spot) in line.iter_mut().enumerate() {
                let (x_map, y_map) = ((from[0] + x) as f64 + 0.5, (from[1] + y) as f64 + 0.5);
                let votes = self.labels.vote(x_map, y_map);
                if votes[0] == NONE && self.far_from_photos(from[0] + x, from[1] + y) {
                    continue;
                }
                let point = ground_point(lattice, self.terrain.surface, x as f64 + 0.5, y as f64 + 0.5);
                let lowered = self.terrain.lowered(&point);
                let open = |view: &View, point: &Vector3<f64>| self.terrain.see(view, point);
                // What all photos have something before is shown as that: better than a hole.
                *spot = self
                    .voted(votes, &point, open)
                    .or_else(|| self.cheapest(near, &point, open))
                    .or_else(|| self.voted(votes, &point, View::see))
                    .or_else(|| self.cheapest(near, &point, View::see))
                    .or_else(|| self.voted(votes, &lowered, View::see))
                    .or_else(|| self.cheapest(near, &lowered, View::see))
                    .unwrap_or(NOWHERE);
            }
        });
        spots
    }

    /// Whether neither the cell of a pixel nor one beside it is seen: no photo's border runs through it then.
    fn far_from_photos(&self, x: usize, y: usize) -> bool {
        let (column, row) = (x / self.labels.cell_px, y / self.labels.cell_px);
        let beside = |at: usize| at.saturating_sub(1)..=at + 1;
        beside(row).all(|row| beside(column).all(|column| self.labels.at(column, row) == NONE))
    }

    fn voted(
        &self,
        votes: [u16; 4],
        point: &Vector3<f64>,
        see: impl Fn(&View, &Vector3<f64>) -> Option<Vector2<f64>>,
    ) -> Option<Spot> {
        let seen = |source: u16| Some(spot(source, see(&self.terrain.views[source as usize], point)?));
        votes.into_iter().take_while(|source| *source != NONE).find_map(seen)
    }

    /// The best of all views that see a point whose own photo does not: at the outer border, or behind a roof.
    fn cheapest(
        &self,
        near: &[&View],
        point: &Vector3<f64>,
        see: impl Fn(&View, &Vector3<f64>) -> Option<Vector2<f64>>,
    ) -> Option<Spot> {
        let mut best: Option<(f64, Spot)> = None;
        for view in near.iter().filter(|view| view.may_see(point)) {
            let Some(pixel) = see(view, point) else { continue };
            let cost = cost_of(view, point, &pixel, self.terrain.sharpness[view.photo]);
            if best.is_none_or(|(least, _)| cost < least) {
                best = Some((cost, spot(view.photo as u16, pixel)));
            }
        }
        best.map(|(_, spot)| spot)
    }
}

/// Grey levels by which two photos may differ in what they show of the same thing; beyond, it is not the same thing.
const SAME: f32 = 40.0;

/// A difference of brightness, and nothing where two photos show different things: who stood in one of them would be
/// faded into the other, broad and faint, though the seam goes round him.
fn of_the_same_thing(difference: [f32; 3]) -> [f32; 3] {
    let most = difference.iter().fold(0.0, |most: f32, value| most.max(value.abs()));
    let share = 1.0 / (1.0 + (most / SAME).powi(4));
    difference.map(|value| share * value)
}

fn spot(source: u16, pixel: Vector2<f64>) -> Spot {
    Spot { source, pixel: [pixel.x as f32, pixel.y as f32] }
}

fn place(spot: &Spot) -> Vector2<f64> {
    Vector2::new(f64::from(spot.pixel[0]), f64::from(spot.pixel[1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evenly_exposed_photos_keep_every_grey_level() {
        let tone = Tone::up_to(255.0);
        assert!((0..=255u8).all(|grey| tone.of(f32::from(grey)) == grey));
        assert_eq!((tone.of(-3.0), tone.of(261.0)), (0, 255));
    }

    #[test]
    fn what_is_brighter_than_white_is_told_apart_and_what_is_dark_stays() {
        let tone = Tone::up_to(360.0);
        assert!((0..=200u8).all(|grey| tone.of(f32::from(grey)) == grey));
        assert_eq!(tone.of(360.0), 255);
        let steps: Vec<u8> = (20..=36).map(|ten| tone.of(10.0 * ten as f32)).collect();
        assert!(steps.windows(2).all(|pair| pair[0] < pair[1]), "{steps:?}");
    }
}
