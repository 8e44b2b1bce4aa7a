//! Which photos could show a cell of the ground, what each would cost, and what colours it has there.
//!
//! The steepest and sharpest view is the cheapest. A view towards its frame costs more, and so does one that shows
//! something that the other views do not: what moved between the photos is in one of them only.

use nalgebra::{Vector2, Vector3};

use super::{relief, terrain::Terrain};
use crate::photogrammetry::{
    error::Result,
    exposure::{Exposure, corner_distance_squared},
    orthorectify::{View, ground_point},
    reduced::{AtHand, Reduced},
};
use crate::spatial::{Crs, Projection};

/// Samples of a cell, two by two, of three channels each.
pub const SAMPLES: usize = 12;
/// Views that are asked about a cell, the cheapest first.
const MOST_VIEWS: usize = 6;
/// A view that costs this much more than the cheapest is not taken for any seam's sake: 17 degrees more slanted.
const SLACK: f32 = 0.3;
/// Towards its frame a photo counts as more slanted, by up to this much over this share of its longer side: lenses are
/// worst there, and no seam then follows a frame.
const FRAME_PENALTY: f64 = 0.25;
const FRAME_MARGIN: f64 = 0.03;
/// A photo this much less sharp than the middle one is as sharp as any: photos of water are smooth. Beyond that, a
/// photo of half the sharpness counts as 22 degrees more slanted.
const BLUR_ALLOWED: f64 = 0.1;
const BLUR_PENALTY: f64 = 1.0;
/// Grey levels by which a view may differ from the middle of all views, beside twice what they usually differ: noise.
const AGREEMENT: f32 = 8.0;
/// The grey levels beyond that at which a view disagrees fully, and what it costs then: more than any slant.
const DISAGREEMENT: f32 = 24.0;
const DISAGREEMENT_COST: f32 = 2.0;

/// A view that could give a cell its colours.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    pub view: u16,
    pub cost: f32,
    pub colours: [u8; SAMPLES],
}

/// The candidates of a window of cells, and how far each cell stands out above the ground around it.
pub struct Candidates {
    pub size: [usize; 2],
    starts: Vec<u32>,
    all: Vec<Candidate>,
    pub height_m: Vec<f32>,
}

impl Candidates {
    /// The candidates of a cell, the cheapest first.
    pub fn of(&self, cell: usize) -> &[Candidate] {
        &self.all[self.starts[cell] as usize..self.starts[cell + 1] as usize]
    }

    #[cfg(test)]
    pub fn given(size: [usize; 2], cells: &[Vec<Candidate>], height_m: Vec<f32>) -> Self {
        let mut starts = vec![0];
        starts.extend(cells.iter().scan(0, |sum, cell| {
            *sum += cell.len() as u32;
            Some(*sum)
        }));
        Self { size, starts, all: cells.concat(), height_m }
    }
}

/// What candidates are found with.
pub struct Lookout<'a> {
    pub terrain: &'a Terrain<'a>,
    pub exposure: &'a Exposure,
    pub reduced: &'a Reduced,
    /// Side of a cell in pixels of the orthophoto.
    pub cell_px: usize,
}

impl Lookout<'_> {
    /// Looks at a window of cells; `None` when no view is near.
    ///
    /// # Errors
    /// [`crate::photogrammetry::Error::Spatial`] when the coordinate system cannot be left, and those of
    /// [`Reduced::at_hand`].
    pub fn look(&self, at: [usize; 2], size: [usize; 2]) -> Result<Option<Candidates>> {
        let terrain = self.terrain;
        let pixels = |cells: [usize; 2]| cells.map(|count| count * self.cell_px);
        let reach = (relief::REACH_M / (self.cell_px as f64 * terrain.gsd_m)).ceil().min(48.0) as usize;
        let before = at.map(|first| first.min(reach));
        let wide = [size[0] + before[0] + reach, size[1] + before[1] + reach];
        let from = [at[0] - before[0], at[1] - before[1]];
        let to_lonlat = Projection::new(terrain.grid.crs, Crs::WGS84)?;
        let lattice = terrain.grid.lattice(terrain.flight, &to_lonlat, pixels(from), pixels(wide), terrain.ground_m)?;
        let near = terrain.views_near(&lattice, pixels(wide));
        if near.is_empty() {
            return Ok(None);
        }
        let copies = self.reduced.at_hand(near.iter().map(|view| view.photo))?;
        let middle = |cell: usize| (cell as f64 + 0.5) * self.cell_px as f64;
        let heights: Vec<f32> = (0..wide[0] * wide[1])
            .map(|index| {
                ground_point(&lattice, terrain.surface, middle(index % wide[0]), middle(index / wide[0])).z as f32
            })
            .collect();
        let above = relief::above_ground(&heights, wide, reach);
        let mut found =
            Candidates { size, starts: vec![0], all: Vec::new(), height_m: Vec::with_capacity(size[0] * size[1]) };
        let step = [lattice.ground(0.0, 0.0), lattice.ground(self.cell_px as f64, 0.0)];
        let step = [step[1][0] - step[0][0], step[1][1] - step[0][1]];
        for index in 0..size[0] * size[1] {
            let (column, row) = (index % size[0] + before[0], index / size[0] + before[1]);
            found.height_m.push(above[row * wide[0] + column]);
            let point = ground_point(&lattice, terrain.surface, middle(column), middle(row));
            let mut seen = self.views_of(&near, &point, |view, point| terrain.see(view, point));
            if seen.is_empty() {
                seen = self.views_of(&near, &point, View::see);
            }
            if seen.is_empty() {
                seen = self.views_of(&near, &terrain.lowered(&point), View::see);
            }
            let mut candidates: Vec<Candidate> = seen
                .iter()
                .map(|(cost, view, point, pixel)| self.candidate(&copies, *cost, view, point, pixel, step))
                .collect();
            charge_disagreement(&mut candidates);
            let least = candidates.iter().map(|candidate| candidate.cost).fold(f32::INFINITY, f32::min);
            candidates.retain(|candidate| candidate.cost <= least + SLACK);
            candidates.sort_by(|a, b| a.cost.total_cmp(&b.cost).then(a.view.cmp(&b.view)));
            found.all.extend(candidates);
            found.starts.push(found.all.len() as u32);
        }
        Ok(Some(found))
    }

    /// The views that see a point, with their costs, the cheapest few.
    fn views_of<'v>(
        &self,
        near: &[&'v View],
        point: &Vector3<f64>,
        see: impl Fn(&View, &Vector3<f64>) -> Option<Vector2<f64>>,
    ) -> Vec<(f64, &'v View, Vector3<f64>, Vector2<f64>)> {
        let mut seen: Vec<_> = near
            .iter()
            .filter(|view| view.may_see(point))
            .filter_map(|view| {
                let pixel = see(view, point)?;
                Some((cost_of(view, point, &pixel, self.terrain.sharpness[view.photo]), *view, *point, pixel))
            })
            .collect();
        seen.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.photo.cmp(&b.1.photo)));
        seen.truncate(MOST_VIEWS);
        seen
    }

    /// The colours at the middles of a cell's quarters; `step` is the way along a cell's upper side, metres.
    fn candidate(
        &self,
        copies: &AtHand,
        cost: f64,
        view: &View,
        point: &Vector3<f64>,
        pixel: &Vector2<f64>,
        [east, north]: [f64; 2],
    ) -> Candidate {
        let beside = |east: f64, north: f64| {
            let there = view.camera.project(&view.exterior.in_camera(&(point + Vector3::new(east, north, 0.0))));
            0.25 * (there.unwrap_or(*pixel) - pixel)
        };
        let (right, below) = (beside(east, north), beside(north, -east));
        let r2 = corner_distance_squared(&view.camera, (*pixel).into());
        let factor = self.exposure.factor(view.photo, view.camera_index, r2);
        let mut colours = [0; SAMPLES];
        for (index, colour) in colours.chunks_exact_mut(3).enumerate() {
            let (x, y) = (if index % 2 == 0 { -1.0 } else { 1.0 }, if index < 2 { -1.0 } else { 1.0 });
            let seen = copies.colour(view.photo, &(pixel + right * x + below * y));
            for channel in 0..3 {
                colour[channel] = (seen[channel] * factor[channel] + 0.5).clamp(0.0, 255.0) as u8;
            }
        }
        Candidate { view: view.photo as u16, cost: cost as f32, colours }
    }
}

/// What it costs to take a point from a photo: its slant, a penalty near the frame, and one for blur.
pub fn cost_of(view: &View, point: &Vector3<f64>, pixel: &Vector2<f64>, sharpness: f64) -> f64 {
    let camera = &view.camera;
    let inside = pixel.x.min(pixel.y).min(camera.width_px - pixel.x).min(camera.height_px - pixel.y);
    let margin = FRAME_MARGIN * camera.width_px.max(camera.height_px);
    let blur = BLUR_PENALTY * (1.0 - BLUR_ALLOWED - sharpness).max(0.0);
    view.slant(point) + FRAME_PENALTY * (1.0 - inside / margin).max(0.0) + blur
}

/// Makes the views more expensive that show something else than the middle of all views, where most of them agree.
fn charge_disagreement(candidates: &mut [Candidate]) {
    if candidates.len() < 3 {
        return;
    }
    let middle: [u8; SAMPLES] = std::array::from_fn(|sample| {
        let mut values = [0; MOST_VIEWS];
        values.iter_mut().zip(candidates.iter()).for_each(|(value, candidate)| *value = candidate.colours[sample]);
        values[..candidates.len()].sort_unstable();
        values[candidates.len() / 2]
    });
    let mut apart = [0.0; MOST_VIEWS];
    apart.iter_mut().zip(candidates.iter()).for_each(|(apart, c)| *apart = difference(&c.colours, &middle));
    let mut sorted = apart;
    sorted[..candidates.len()].sort_unstable_by(f32::total_cmp);
    let usual = sorted[candidates.len() / 2];
    for (candidate, apart) in candidates.iter_mut().zip(apart) {
        let beyond = (apart - 2.0 * usual - AGREEMENT).max(0.0);
        candidate.cost += DISAGREEMENT_COST * (beyond / DISAGREEMENT).min(1.0);
    }
}

/// The mean difference of two views' samples, grey levels.
pub fn difference(a: &[u8; SAMPLES], b: &[u8; SAMPLES]) -> f32 {
    a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(*b))).sum::<u32>() as f32 / SAMPLES as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(view: u16, cost: f32, grey: u8) -> Candidate {
        Candidate { view, cost, colours: [grey; SAMPLES] }
    }

    #[test]
    fn what_is_in_one_of_three_views_only_is_expensive_there() {
        let mut cell = [candidate(0, 0.0, 200), candidate(1, 0.2, 100), candidate(2, 0.3, 104)];
        charge_disagreement(&mut cell);
        assert!((cell[0].cost - DISAGREEMENT_COST).abs() < 1e-6);
        assert!((cell[1].cost - 0.2).abs() < 1e-6 && (cell[2].cost - 0.3).abs() < 1e-6);
    }

    #[test]
    fn views_that_all_differ_are_not_to_blame() {
        let mut cell = [candidate(0, 0.0, 160), candidate(1, 0.2, 100), candidate(2, 0.3, 130)];
        charge_disagreement(&mut cell);
        assert!(cell[0].cost < 0.1, "{}", cell[0].cost);
        let mut two = [candidate(0, 0.0, 200), candidate(1, 0.2, 100)];
        charge_disagreement(&mut two);
        assert!(two[0].cost < 1e-6, "of two views none is right");
    }
}
