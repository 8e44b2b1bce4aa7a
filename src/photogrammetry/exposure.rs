//! Makes the photos equally bright before they are joined.
//!
//! A tie point has one colour; what its photos recorded differs by each photo's gain and by the lens's fall-off
//! towards the corners. Both are found by least squares over the logarithms, for each channel apart, so that
//! drifting white balance goes too. Gains are relative: their mean is 1.

use super::{adjust::error_px, bundle::Block, dense::NormalEquations};

/// Brightness corrections of a block's photos, for red, green and blue.
#[derive(Clone, Debug)]
pub struct Exposure {
    /// Logarithm of what to divide each photo by.
    gains: Vec<[f64; 3]>,
    /// Terms in r² and r⁴ of each camera's fall-off, logarithmic; r is 1 in the corner.
    fall_off: Vec<[[f64; 2]; 3]>,
}

/// Tie points that are used: gains are two hundred unknowns, not twenty thousand.
const MOST_POINTS: usize = 12_000;
/// Darker or brighter than this a sample is noise or clipped.
const USABLE: std::ops::RangeInclusive<f32> = 8.0..=247.0;
/// One sigma of a sample's logarithm: moving shadows and grass that shines.
const SAMPLE_SIGMA: f64 = 0.08;
/// One sigma of a gain and of a fall-off term before looking: an exposure step is 0.7.
const GAIN_SIGMA: f64 = 0.5;
const FALL_OFF_SIGMA: f64 = 0.3;

impl Exposure {
    /// Corrections that change nothing.
    pub fn neutral(block: &Block) -> Self {
        Self { gains: vec![[0.0; 3]; block.photos.len()], fall_off: vec![[[0.0; 2]; 3]; block.cameras.len()] }
    }

    /// Estimates the corrections from the colours at the tie points; neutral where nothing can be said.
    pub fn estimate(block: &Block) -> Self {
        let mut exposure = Self::neutral(block);
        for channel in 0..3 {
            for _ in 0..3 {
                let Some(change) = exposure.equations(block, channel).solve() else { break };
                exposure.apply(&change, channel);
            }
        }
        exposure
    }

    /// What a colour at squared corner distance `r2` is to be multiplied with.
    pub fn factor(&self, photo: usize, camera: usize, r2: f64) -> [f32; 3] {
        std::array::from_fn(|channel| (-self.correction(photo, camera, r2, channel)).exp() as f32)
    }

    /// The mean gains of a photo, for the report.
    pub fn gain(&self, photo: usize) -> [f64; 3] {
        self.gains[photo].map(f64::exp)
    }

    fn correction(&self, photo: usize, camera: usize, r2: f64, channel: usize) -> f64 {
        let [a, b] = self.fall_off[camera][channel];
        self.gains[photo][channel] + r2 * (a + r2 * b)
    }

    fn apply(&mut self, change: &[f64], channel: usize) {
        let photos = self.gains.len();
        let mean = change[..photos].iter().sum::<f64>() / photos.max(1) as f64;
        for (gain, step) in self.gains.iter_mut().zip(change) {
            gain[channel] += step - mean;
        }
        for (camera, terms) in self.fall_off.iter_mut().enumerate() {
            for (index, term) in terms[channel].iter_mut().enumerate() {
                *term += change[photos + 2 * camera + index];
            }
        }
    }

    fn equations(&self, block: &Block, channel: usize) -> NormalEquations {
        let photos = block.photos.len();
        let mut equations = NormalEquations::new(photos + 2 * block.cameras.len());
        let stride = block.points.len().div_ceil(MOST_POINTS).max(1);
        for point in block.points.iter().step_by(stride) {
            let samples: Vec<Sample> = point
                .sightings
                .iter()
                .filter(|sighting| USABLE.contains(&sighting.rgb[channel]))
                .filter(|sighting| error_px(block, &point.position, sighting) < 3.0)
                .map(|sighting| {
                    let (photo, camera) = (sighting.photo as usize, block.photos[sighting.photo as usize].camera);
                    let r2 = corner_distance_squared(block, camera, sighting.pixel.into());
                    let seen = f64::from(sighting.rgb[channel]).ln();
                    Sample { photo, camera, r2, value: seen - self.correction(photo, camera, r2, channel) }
                })
                .collect();
            add_samples(&mut equations, &samples, photos);
        }
        for (photo, gain) in self.gains.iter().enumerate() {
            equations.add_row(&[(photo, 1.0 / GAIN_SIGMA)], gain[channel] / GAIN_SIGMA);
        }
        for (camera, terms) in self.fall_off.iter().enumerate() {
            for (index, term) in terms[channel].iter().enumerate() {
                equations.add_row(&[(photos + 2 * camera + index, 1.0 / FALL_OFF_SIGMA)], term / FALL_OFF_SIGMA);
            }
        }
        equations
    }
}

/// The squared distance from the middle of the photo, 1 in its corners.
pub fn corner_distance_squared(block: &Block, camera: usize, pixel: [f64; 2]) -> f64 {
    let camera = &block.cameras[camera].camera;
    let (x, y) = (pixel[0] - 0.5 * camera.width_px, pixel[1] - 0.5 * camera.height_px);
    4.0 * (x * x + y * y) / (camera.width_px * camera.width_px + camera.height_px * camera.height_px)
}

struct Sample {
    photo: usize,
    camera: usize,
    r2: f64,
    value: f64,
}

/// Each sample against the next one round: differences do not know the point's own colour.
fn add_samples(equations: &mut NormalEquations, samples: &[Sample], photos: usize) {
    if samples.len() < 2 {
        return;
    }
    for (index, a) in samples.iter().enumerate() {
        let b = &samples[(index + 1) % samples.len()];
        if samples.len() == 2 && index == 1 {
            break;
        }
        let off = a.value - b.value;
        let weight = 1.0 / (SAMPLE_SIGMA * (1.0 + (off / (2.0 * SAMPLE_SIGMA)).powi(2)).sqrt());
        // The value falls when the correction grows: slopes are negative for a, positive for b.
        let mut row = vec![(a.photo, -weight), (b.photo, weight)];
        let (at_a, at_b) = (photos + 2 * a.camera, photos + 2 * b.camera);
        if a.camera == b.camera {
            row.push((at_a, -weight * (a.r2 - b.r2)));
            row.push((at_a + 1, -weight * (a.r2 * a.r2 - b.r2 * b.r2)));
        } else {
            row.extend([(at_a, -weight * a.r2), (at_a + 1, -weight * a.r2 * a.r2)]);
            row.extend([(at_b, weight * b.r2), (at_b + 1, weight * b.r2 * b.r2)]);
        }
        equations.add_row(&row, weight * off);
    }
}
