//! Makes the photos equally bright before they are joined.
//!
//! A place on the ground has one colour; what its photos recorded differs by each photo's gain and by the lens's fall-off
//! towards the corners. Both are found by robust least squares over the logarithms (after Goldman 2010), for each channel
//! apart, so that drifting white balance goes too. Gains are relative: their mean is 1.
//!
//! What is not estimated is a glow, grass being brighter with the sun behind the camera: ground that gets brighter
//! towards one side, with gains to match, gives the very same photos. On a flight that had none it made a ramp of 12 %.

use nalgebra::Vector3;
use rayon::prelude::*;

use super::{
    adjust::error_px,
    bundle::Block,
    camera::Camera,
    dense::NormalEquations,
    error::Result,
    orthorectify::{View, union},
    reduced::{AtHand, Reduced},
    surface::Surface,
};

/// Brightness corrections of a block's photos, for red, green and blue.
#[derive(Clone, Debug)]
pub struct Exposure {
    /// Logarithm of what to divide each photo by.
    gains: Vec<[f64; 3]>,
    /// Terms in r², r⁴ and r⁶ of each camera's fall-off, logarithmic; r is 1 in the corner.
    fall_off: Vec<[[f64; FALL_OFF_TERMS]; 3]>,
}

const FALL_OFF_TERMS: usize = 3;
/// Tie points that are used, at most. They lie on edges, where a pixel's shift is a step of brightness.
const MOST_POINTS: usize = 12_000;
/// Places on the ground that are looked at in the small copies: more for each photo than it has unknowns by far.
const PLACES: f64 = 16_000.0;
const PLACES_PER_PHOTO: f64 = 150.0;
/// Photos that are asked at one place: the steepest.
const MOST_VIEWS: usize = 8;
/// Darker or brighter than this a sample is noise or clipped.
const USABLE: std::ops::RangeInclusive<f32> = 8.0..=247.0;
/// One sigma of a sample's logarithm, a tie point's and a small copy's: moving shadows and grass that shines.
const TIE_SIGMA: f64 = 0.1;
const PLACE_SIGMA: f64 = 0.04;
/// One sigma of a gain and of a fall-off term before looking: an exposure step is 0.7.
const GAIN_SIGMA: f64 = 0.5;
const FALL_OFF_SIGMA: f64 = 0.3;
/// Times that the equations are solved, with weights from the time before.
const ROUNDS: usize = 5;

/// What one photo recorded of a place, and where in its frame.
struct Sample {
    photo: usize,
    camera: usize,
    r2: f64,
    rgb: [f32; 3],
}

/// One place in several photos, and how well a sample is known.
struct Place {
    sigma: f64,
    samples: Vec<Sample>,
}

impl Exposure {
    /// Corrections that change nothing.
    pub fn neutral(photos: usize, cameras: usize) -> Self {
        Self { gains: vec![[0.0; 3]; photos], fall_off: vec![[[0.0; FALL_OFF_TERMS]; 3]; cameras] }
    }

    /// Estimates the corrections from the colours at the tie points and of small copies on the ground between them;
    /// neutral where nothing can be said.
    ///
    /// `views` and `reduced` are in the order of the block's photos.
    ///
    /// # Errors
    /// Those of [`Reduced::at_hand`].
    pub fn estimate(block: &Block, views: &[View], surface: &Surface, reduced: &Reduced) -> Result<Self> {
        let mut places = tie_points(block, views);
        places.extend(ground_places(views, surface, reduced)?);
        let solved: Vec<Self> = (0..3).into_par_iter().map(|channel| Self::solve(block, &places, channel)).collect();
        let mut exposure = Self::neutral(block.photos.len(), block.cameras.len());
        for (channel, solution) in solved.iter().enumerate() {
            exposure.take_channel(solution, channel);
        }
        Ok(exposure)
    }

    fn solve(block: &Block, places: &[Place], channel: usize) -> Self {
        let mut exposure = Self::neutral(block.photos.len(), block.cameras.len());
        for _ in 0..ROUNDS {
            let Some(change) = exposure.equations(places, channel).solve() else { break };
            exposure.apply(&change, channel);
        }
        exposure
    }

    /// What a colour at squared corner distance `r2`, is to be multiplied with.
    pub fn factor(&self, photo: usize, camera: usize, r2: f64) -> [f32; 3] {
        std::array::from_fn(|channel| (-self.correction(photo, camera, r2, channel)).exp() as f32)
    }

    /// Up to which value an evenly exposed colour can get, 255 at least: what a photo that was exposed less than the others
    /// shows as white is brighter than their white.
    pub fn white(&self) -> f32 {
        let least = self.gains.iter().flatten().copied().fold(0.0, f64::min);
        (255.0 * (-least).exp()) as f32
    }

    /// The mean gains of a photo, for the report.
    pub fn gain(&self, photo: usize) -> [f64; 3] {
        self.gains[photo].map(f64::exp)
    }

    fn correction(&self, photo: usize, camera: usize, r2: f64, channel: usize) -> f64 {
        let fall_off = self.fall_off[camera][channel].iter().rev().fold(0.0, |sum, term| (sum + term) * r2);
        self.gains[photo][channel] + fall_off
    }

    fn apply(&mut self, change: &[f64], channel: usize) {
        let photos = self.gains.len();
        let mean = change[..photos].iter().sum::<f64>() / photos.max(1) as f64;
        for (gain, step) in self.gains.iter_mut().zip(change) {
            gain[channel] += step - mean;
        }
        for (camera, steps) in self.fall_off.iter_mut().zip(change[photos..].chunks_exact(FALL_OFF_TERMS)) {
            camera[channel].iter_mut().zip(steps).for_each(|(term, step)| *term += step);
        }
    }

    fn take_channel(&mut self, other: &Self, channel: usize) {
        self.gains.iter_mut().zip(&other.gains).for_each(|(to, from)| to[channel] = from[channel]);
        self.fall_off.iter_mut().zip(&other.fall_off).for_each(|(to, from)| to[channel] = from[channel]);
    }

    fn equations(&self, places: &[Place], channel: usize) -> NormalEquations {
        let photos = self.gains.len();
        let mut equations = NormalEquations::new(photos + FALL_OFF_TERMS * self.fall_off.len());
        let mut rows = Vec::new();
        for place in places {
            rows.clear();
            for sample in place.samples.iter().filter(|sample| USABLE.contains(&sample.rgb[channel])) {
                let known = self.correction(sample.photo, sample.camera, sample.r2, channel);
                rows.push((sample, f64::from(sample.rgb[channel]).ln() - known));
            }
            add_place(&mut equations, &rows, place.sigma, photos);
        }
        let mut hold = |unknown: usize, value: f64, sigma: f64| {
            equations.add_row(&[(unknown, 1.0 / sigma)], value / sigma);
        };
        for (photo, gain) in self.gains.iter().enumerate() {
            hold(photo, gain[channel], GAIN_SIGMA);
        }
        for (camera, terms) in self.fall_off.iter().enumerate() {
            for (index, term) in terms[channel].iter().enumerate() {
                hold(photos + FALL_OFF_TERMS * camera + index, *term, FALL_OFF_SIGMA);
            }
        }
        equations
    }
}

/// Adds each sample's difference from the place's own colour, which is taken as the samples' median: it does not follow
/// one of them that is off. A sample that is (a car, a glint) counts less the farther it is (Cauchy's weights).
fn add_place(equations: &mut NormalEquations, rows: &[(&Sample, f64)], sigma: f64, photos: usize) {
    if rows.len() < 2 {
        return;
    }
    let middle = super::photos::median(rows.iter().map(|(_, value)| *value)).unwrap_or(0.0);
    let weights: Vec<f64> =
        rows.iter().map(|(_, value)| 1.0 / (1.0 + ((value - middle) / (2.0 * sigma)).powi(2))).collect();
    // The place's own colour is an unknown too: differences between all pairs, w_i w_j / Σ w, know nothing of it.
    let total: f64 = weights.iter().sum();
    for (index, (a, value_a)) in rows.iter().enumerate() {
        for (other, (b, value_b)) in rows.iter().enumerate().take(index) {
            let weight = (weights[index] * weights[other] / total).sqrt() / sigma;
            // The value falls when the correction grows: slopes are negative for a, positive for b.
            let mut row = vec![(a.photo, -weight), (b.photo, weight)];
            let mut power = [1.0, 1.0];
            for term in 0..FALL_OFF_TERMS {
                power = [power[0] * a.r2, power[1] * b.r2];
                let at = |camera: usize| photos + FALL_OFF_TERMS * camera + term;
                if a.camera == b.camera {
                    row.push((at(a.camera), weight * (power[1] - power[0])));
                } else {
                    row.extend([(at(a.camera), -weight * power[0]), (at(b.camera), weight * power[1])]);
                }
            }
            equations.add_row(&row, weight * (value_a - value_b));
        }
    }
}

fn tie_points(block: &Block, views: &[View]) -> Vec<Place> {
    let stride = block.points.len().div_ceil(MOST_POINTS).max(1);
    let sample = |point: &super::bundle::TiePoint| {
        let good = point.sightings.iter().filter(|sighting| error_px(block, &point.position, sighting) < 3.0);
        let samples = good.map(|sighting| {
            let view = &views[sighting.photo as usize];
            sample_of(view, sighting.pixel.into(), sighting.rgb)
        });
        Place { sigma: TIE_SIGMA, samples: samples.take(MOST_VIEWS).collect() }
    };
    block.points.iter().step_by(stride).map(sample).collect()
}

/// Places on a regular grid over all that the photos see, with the colours of the steepest photos.
fn ground_places(views: &[View], surface: &Surface, reduced: &Reduced) -> Result<Vec<Place>> {
    let extent = union(views.iter().map(|view| view.extent));
    let (width, height) = (extent[2] - extent[0], extent[3] - extent[1]);
    let wanted = PLACES.max(PLACES_PER_PHOTO * views.len() as f64);
    let step = (width * height / wanted).sqrt();
    let (columns, rows) = ((width / step) as usize, (height / step) as usize);
    let place = |index: usize| {
        let east = extent[0] + ((index % columns) as f64 + 0.5) * step;
        let north = extent[1] + ((index / columns) as f64 + 0.5) * step;
        let point = Vector3::new(east, north, surface.height_at(east, north));
        let mut seen: Vec<(f64, &View, [f64; 2])> = views
            .iter()
            .filter(|view| view.may_see(&point))
            .filter_map(|view| Some((view.slant(&point), view, view.see(&point)?.into())))
            .collect();
        seen.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.photo.cmp(&b.1.photo)));
        seen.truncate(MOST_VIEWS);
        seen.into_iter().map(|(_, view, pixel)| (view, pixel)).collect()
    };
    let seen: Vec<Vec<(&View, [f64; 2])>> = (0..columns * rows).into_par_iter().map(place).collect();

    // A photo is looked at once, for all of its places.
    let mut places_of: Vec<Vec<[u32; 2]>> = vec![Vec::new(); views.len()];
    for (place, seen) in seen.iter().enumerate() {
        for (turn, (view, _)) in seen.iter().enumerate() {
            places_of[view.photo].push([place as u32, turn as u32]);
        }
    }
    let look = |(photo, places): (usize, &Vec<[u32; 2]>)| -> Result<Vec<[f32; 3]>> {
        let copy = reduced.at_hand([photo])?;
        let colour = |&[place, turn]: &[u32; 2]| {
            mean_colour(&copy, photo, reduced.factor, seen[place as usize][turn as usize].1)
        };
        Ok(places.iter().map(colour).collect())
    };
    let colours: Vec<Vec<[f32; 3]>> = places_of.par_iter().enumerate().map(look).collect::<Result<_>>()?;

    let sample = |&(view, pixel): &(&View, [f64; 2])| sample_of(view, pixel, [0.0; 3]);
    let unlit = |seen: &Vec<_>| Place { sigma: PLACE_SIGMA, samples: seen.iter().map(sample).collect() };
    let mut places: Vec<Place> = seen.iter().map(unlit).collect();
    for ([place, turn], colour) in places_of.iter().flatten().zip(colours.iter().flatten()) {
        places[*place as usize].samples[*turn as usize].rgb = *colour;
    }
    Ok(places)
}

/// The mean over three by three pixels of the copy: where exactly the place is then matters little.
fn mean_colour(copy: &AtHand, photo: usize, factor: usize, [x, y]: [f64; 2]) -> [f32; 3] {
    let step = factor as f64;
    let mut sum = [0.0; 3];
    for (dx, dy) in (0..9).map(|index| (f64::from(index % 3 - 1), f64::from(index / 3 - 1))) {
        let colour = copy.colour(photo, &[x + dx * step, y + dy * step].into());
        sum.iter_mut().zip(colour).for_each(|(total, value)| *total += value / 9.0);
    }
    sum
}

fn sample_of(view: &View, pixel: [f64; 2], rgb: [f32; 3]) -> Sample {
    let r2 = corner_distance_squared(&view.camera, pixel);
    Sample { photo: view.photo, camera: view.camera_index, r2, rgb }
}

/// The squared distance from the middle of the photo, 1 in its corners.
pub fn corner_distance_squared(camera: &Camera, pixel: [f64; 2]) -> f64 {
    let (x, y) = (pixel[0] - 0.5 * camera.width_px, pixel[1] - 0.5 * camera.height_px);
    4.0 * (x * x + y * y) / (camera.width_px * camera.width_px + camera.height_px * camera.height_px)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::photogrammetry::toy::Toy;

    const GAINS: [[f64; 3]; 6] =
        [[1.0, 1.0, 1.0], [0.7, 0.72, 0.75], [1.1, 1.1, 1.05], [0.9, 0.95, 1.0], [1.2, 1.2, 1.2], [1.0, 0.98, 0.9]];

    fn fall_off(r2: f64) -> f64 {
        1.0 - 0.25 * r2 + 0.05 * r2 * r2
    }

    fn meadow(east: f64, north: f64) -> [f64; 3] {
        let wave = (east * 1.7).sin() * (north * 2.3).cos() + (east * 0.4 + north * 0.3).sin();
        [110.0 + 15.0 * wave, 120.0 + 20.0 * wave, 80.0 + 10.0 * wave]
    }

    /// Two strips of three photos; a white van stands in the middle one of the first strip only.
    fn flown() -> Toy {
        let places = [[0.0, 0.0], [4.0, 0.0], [8.0, 0.0], [0.0, 4.0], [4.0, 4.0], [8.0, 4.0]];
        Toy::over_plane(&places, |look| {
            let van = look.photo == 1 && (look.east - 4.0).abs() < 1.5 && (look.north - 1.0).abs() < 1.0;
            let colour = if van { [210.0; 3] } else { meadow(look.east, look.north) };
            std::array::from_fn(|i| colour[i] * GAINS[look.photo][i] * fall_off(look.r2))
        })
    }

    #[test]
    fn exposure_steps_and_the_fall_off_are_recovered_though_a_van_drives_through() {
        let toy = flown();
        let reduced = Reduced::of_pictures(2, &toy.photos);
        let exposure = Exposure::estimate(&toy.block, &toy.views, &toy.surface, &reduced).unwrap();
        for channel in 0..3 {
            let mean = GAINS.iter().map(|gain| gain[channel].ln()).sum::<f64>() / 6.0;
            for (photo, gain) in GAINS.iter().enumerate() {
                let off = exposure.gain(photo)[channel].ln() - (gain[channel].ln() - mean);
                assert!(off.abs() < 0.01, "photo {photo}, channel {channel}: {off}");
            }
        }
        for r2 in [0.1, 0.4, 0.8] {
            let centre = exposure.factor(0, 0, 0.0);
            let there = exposure.factor(0, 0, r2);
            for channel in 0..3 {
                let off = (f64::from(there[channel] / centre[channel]) * fall_off(r2)).ln();
                assert!(off.abs() < 0.02, "fall-off at {r2}: {off}");
            }
        }
    }

    #[test]
    fn the_median_brightness_is_kept() {
        let toy = flown();
        let reduced = Reduced::of_pictures(2, &toy.photos);
        let exposure = Exposure::estimate(&toy.block, &toy.views, &toy.surface, &reduced).unwrap();
        let mean = (0..6).map(|photo| exposure.gain(photo)[1].ln()).sum::<f64>() / 6.0;
        assert!(mean.abs() < 1e-9);
    }

    #[test]
    fn the_white_of_the_darkest_photo_is_the_brightest_colour() {
        let mut exposure = Exposure::neutral(2, 1);
        assert_eq!(exposure.white(), 255.0);
        exposure.gains = vec![[-0.5, -0.4, -0.4], [0.5, 0.4, 0.4]];
        assert!((exposure.white() - 255.0 * 0.5f32.exp()).abs() < 1e-3);
    }

    #[test]
    fn photos_that_share_nothing_are_left_as_they_are() {
        let toy = Toy::over_plane(&[[0.0, 0.0], [100.0, 0.0]], |look| meadow(look.east, look.north).map(|v| v * 0.5));
        let reduced = Reduced::of_pictures(2, &toy.photos);
        let exposure = Exposure::estimate(&toy.block, &toy.views, &toy.surface, &reduced).unwrap();
        assert!((exposure.gain(0)[0] - 1.0).abs() < 1e-9 && (exposure.factor(1, 0, 0.5)[2] - 1.0).abs() < 1e-6);
    }
}
