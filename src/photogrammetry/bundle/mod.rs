//! Adjusts cameras, poses and tie points together until they explain every sighting as well as they can.
//!
//! Levenberg–Marquardt on the Schur complement (Triggs et al. 2000, *Bundle adjustment: a modern synthesis*): tie
//! points are eliminated one by one, what is left is a dense system of photos, cameras and flights.
//! Beside the sightings, the adjustment listens to priors: GPS with the sigma its receiver reported, gimbal
//! angles, the focal length of the EXIF, height over the ground, and surveyed points.
//!
//! Two of them deserve a word. On a flat nadir flight the focal length is not observable (reprojection moves by 2 %
//! while height moves by 24 %), so the height over the ground is a soft constraint. And a simple radial camera
//! bends the block while its reprojection error stays small, so the principal point is always adjusted with it.
//!
//! Invariant: results do not depend on the number of threads; points are summed in fixed chunks, in order.

mod normal;
mod priors;
mod residuals;
mod solve;
mod triangulate;

use nalgebra::{Matrix3, Vector2, Vector3};
use serde::{Deserialize, Serialize};

use super::camera::{Camera, Exterior, PARAMETERS};

pub use residuals::reprojection;
pub use solve::Solver;
pub use triangulate::triangulate;

/// Everything that one adjustment changes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Block {
    pub cameras: Vec<AdjustedCamera>,
    pub photos: Vec<AdjustedPhoto>,
    pub points: Vec<TiePoint>,
    /// For each flight the height that its barometer or GPS adds to the truth, metres.
    pub altitude_offsets_m: Vec<f64>,
    /// For each flight the turn that its gimbal and compass add to the truth, about the camera's axes, radians.
    pub gimbal_offsets: Vec<Vector3<f64>>,
}

/// A camera group with what was known of it before.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AdjustedCamera {
    pub camera: Camera,
    pub prior: [f64; PARAMETERS],
    /// One sigma of every parameter; zero holds it fixed.
    pub sigma: [f64; PARAMETERS],
}

/// A photo with what its metadata said.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AdjustedPhoto {
    pub exterior: Exterior,
    pub camera: usize,
    pub position: Option<PositionPrior>,
    pub rotation: Option<RotationPrior>,
    /// Height over the mean of the ground it sees and one sigma, metres.
    pub height_above_ground_m: Option<(f64, f64)>,
    /// When it was taken, seconds on the flight's own clock.
    pub taken_at_s: Option<f64>,
}

/// Where GPS put the camera, local east-north-up in metres.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct PositionPrior {
    pub enu: Vector3<f64>,
    pub sigma_horizontal_m: f64,
    pub sigma_vertical_m: f64,
    /// The flight whose altitude offset applies; none for RTK heights.
    pub flight: Option<usize>,
    /// The position before, whose error this one shares.
    pub after: Option<After>,
}

/// How a receiver's error goes on from one photo to the next: a first-order Gauss–Markov process.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct After {
    /// Index of the photo before.
    pub photo: usize,
    /// The share of its error that is still there, 0 to 1.
    pub share: f64,
}

/// Where the gimbal pointed the camera.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct RotationPrior {
    pub rotation: Matrix3<f64>,
    /// One sigma about the camera's x, y and z axes beside what is alike for the flight, radians.
    pub sigma: Vector3<f64>,
    /// The flight whose gimbal offset applies; none when the heading is not the compass's.
    pub flight: Option<usize>,
}

/// A ground point and where photos saw it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TiePoint {
    pub position: Vector3<f64>,
    pub sightings: Vec<Observation>,
    /// A surveyed position and one sigma for east, north and up.
    pub survey: Option<(Vector3<f64>, Vector3<f64>)>,
}

/// One place in one photo.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Observation {
    pub photo: u32,
    pub pixel: Vector2<f64>,
    /// One sigma of the place, in pixels.
    pub sigma_px: f64,
    /// The colour there, 0–255; the adjustment does not look at it.
    pub rgb: [f32; 3],
}

#[cfg(test)]
mod tests;
