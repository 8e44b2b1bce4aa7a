//! The lenses before and after: what was known of each parameter, and what the photos say.

use nalgebra::Vector2;
use serde::Serialize;

use super::fit::Fit;
use crate::photogrammetry::{bundle::Block, camera::Camera, photos::Flight};

/// One camera of the flight.
#[derive(Clone, Debug, Serialize)]
pub struct CameraReport {
    pub camera: String,
    pub photos: usize,
    pub prior: Camera,
    pub adjusted: Camera,
    /// How far the focal length went from the EXIF's, in percent.
    pub focal_change_percent: f64,
    /// Each parameter of Brown's model, in the order f, cx, cy, k1, k2, k3, p1, p2.
    pub parameters: Vec<CameraParameter>,
    pub residuals: ResidualField,
}

/// A parameter of a lens; pixels for f, cx and cy, else without unit.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct CameraParameter {
    pub name: &'static str,
    pub prior: f64,
    /// One sigma of the prior.
    pub prior_sigma: f64,
    pub adjusted: f64,
    /// One sigma after the adjustment, where it was computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sigma: Option<f64>,
}

/// The mean residual in each part of the frame: what the camera model does not explain.
#[derive(Clone, Debug, Serialize)]
pub struct ResidualField {
    /// Rows from the top, each of `[right, down]` in pixels; `null` where too few points were seen.
    pub mean_px: Vec<Vec<Option<[f64; 2]>>>,
    /// The longest of them.
    pub largest_px: f64,
}

const NAMES: [&str; 8] = ["f", "cx", "cy", "k1", "k2", "k3", "p1", "p2"];
/// Cells across and down: fine enough to see a ring, coarse enough to be a mean.
const FIELD: [usize; 2] = [16, 12];
/// A mean of fewer sightings than this is noise.
const FEWEST_SIGHTINGS: u32 = 20;

/// The cameras that took a used photo, by their places in the flight.
pub fn used(block: &Block) -> Vec<usize> {
    let mut used: Vec<usize> = block.photos.iter().map(|photo| photo.camera).collect();
    used.sort_unstable();
    used.dedup();
    used
}

/// The cameras of [`used`], in that order.
pub fn reports(flight: &Flight, block: &Block, fit: &Fit) -> Vec<CameraReport> {
    let camera = |index: usize| {
        let (group, adjusted) = (&flight.cameras[index], &block.cameras[index]);
        let (before, after) = (group.prior.parameters(), adjusted.camera.parameters());
        let parameter = |at: usize| CameraParameter {
            name: NAMES[at],
            prior: before[at],
            prior_sigma: group.sigma[at],
            adjusted: after[at],
            sigma: block.precision.as_ref().map(|precision| precision.cameras[index][at]).filter(|sigma| *sigma > 0.0),
        };
        CameraReport {
            camera: group.label.clone(),
            photos: block.photos.iter().filter(|photo| photo.camera == index).count(),
            prior: group.prior,
            adjusted: adjusted.camera,
            focal_change_percent: (adjusted.camera.focal_px / group.prior.focal_px - 1.0) * 100.0,
            parameters: (0..NAMES.len()).map(parameter).collect(),
            residuals: field(block, fit, index),
        }
    };
    used(block).into_iter().map(camera).collect()
}

fn field(block: &Block, fit: &Fit, camera: usize) -> ResidualField {
    let size = &block.cameras[camera].camera;
    let [columns, rows] = FIELD;
    let mut sums = vec![(Vector2::<f64>::zeros(), 0); columns * rows];
    for residual in fit.residuals.iter().filter(|residual| block.photos[residual.photo].camera == camera) {
        let cell = |at: f64, length: f64, count: usize| ((at / length * count as f64) as usize).min(count - 1);
        let at =
            cell(residual.pixel.y, size.height_px, rows) * columns + cell(residual.pixel.x, size.width_px, columns);
        sums[at].0 += residual.off;
        sums[at].1 += 1;
    }
    let mean =
        |(sum, count): &(Vector2<f64>, u32)| (*count >= FEWEST_SIGHTINGS).then(|| (sum / f64::from(*count)).into());
    let mean_px: Vec<Vec<Option<[f64; 2]>>> = sums.chunks(columns).map(|row| row.iter().map(mean).collect()).collect();
    let largest_px = mean_px.iter().flatten().flatten().map(|[x, y]: &[f64; 2]| x.hypot(*y)).fold(0.0, f64::max);
    ResidualField { mean_px, largest_px }
}
