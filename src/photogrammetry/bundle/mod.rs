//! Adjusts cameras, poses and tie points together until they explain every sighting as well as they can.
//!
//! Levenberg–Marquardt on the Schur complement (Triggs et al. 2000, *Bundle adjustment: a modern synthesis*): tie
//! points are eliminated one by one, what is left is a system of photos, cameras and flights, dense for few photos and sparse
//! for many.
//! Beside the sightings, the adjustment listens to priors: GPS with the sigma its receiver reported, gimbal
//! angles, the focal length of the EXIF, height over the ground, and surveyed points.
//!
//! Two of them deserve a word. On a flat nadir flight the focal length is not observable (reprojection moves by 2 %
//! while height moves by 24 %), so the height over the ground is a soft constraint. And a simple radial camera
//! bends the block while its reprojection error stays small, so the principal point is always adjusted with it.
//!
//! A rolling shutter reads a photo row by row while the drone flies on; each row has its own centre along the velocity, and the time of
//! a whole photo is one more unknown of its camera.
//!
//! Invariant: results do not depend on the number of threads; points are summed in fixed chunks, in order.

mod covariance;
mod eliminate;
mod index;
mod normal;
mod priors;
mod residuals;
mod solve;
mod triangulate;

use nalgebra::{Matrix3, Vector2, Vector3};
use serde::{Deserialize, Serialize};

use super::camera::{Camera, Exterior, PARAMETERS};
use priors::CAMERA_UNKNOWNS;

pub use covariance::Precision;
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
    /// How sure the last adjustment is of all that; none when something is not determined.
    pub precision: Option<Precision>,
}

/// A camera group with what was known of it before.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AdjustedCamera {
    pub camera: Camera,
    pub prior: [f64; PARAMETERS],
    /// One sigma of every parameter; zero holds it fixed.
    pub sigma: [f64; PARAMETERS],
    /// How long the camera takes to read a photo out from its first row to its last; zero with a global shutter.
    pub readout_s: f64,
    /// What was known of that, and one sigma; a sigma of zero holds it fixed.
    pub readout_prior_s: (f64, f64),
}

impl AdjustedCamera {
    /// A camera that is known: nothing of it is adjusted.
    #[cfg(test)]
    pub fn held(camera: Camera) -> Self {
        Self {
            camera,
            prior: camera.parameters(),
            sigma: [0.0; PARAMETERS],
            readout_s: 0.0,
            readout_prior_s: (0.0, 0.0),
        }
    }

    /// All that the adjustment may change: [`Camera::parameters`], then the readout.
    pub fn values(&self) -> [f64; CAMERA_UNKNOWNS] {
        with_last(self.camera.parameters(), self.readout_s)
    }

    /// What [`AdjustedCamera::values`] were before.
    pub fn priors(&self) -> [f64; CAMERA_UNKNOWNS] {
        with_last(self.prior, self.readout_prior_s.0)
    }

    /// One sigma of the priors, zero for what is held.
    pub fn sigmas(&self) -> [f64; CAMERA_UNKNOWNS] {
        with_last(self.sigma, self.readout_prior_s.1)
    }

    /// Takes other [`AdjustedCamera::values`].
    pub fn set(&mut self, values: [f64; CAMERA_UNKNOWNS]) {
        self.camera = self.camera.with_parameters(std::array::from_fn(|at| values[at]));
        self.readout_s = values[PARAMETERS];
    }
}

fn with_last(values: [f64; PARAMETERS], last: f64) -> [f64; CAMERA_UNKNOWNS] {
    std::array::from_fn(|at| if at < PARAMETERS { values[at] } else { last })
}

/// A photo with what its metadata said.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AdjustedPhoto {
    pub exterior: Exterior,
    pub camera: usize,
    /// The flight it belongs to.
    pub sortie: usize,
    pub position: Option<PositionPrior>,
    pub rotation: Option<RotationPrior>,
    /// Height over the middle of the ground it sees and one sigma, metres.
    pub height_above_ground_m: Option<(f64, f64)>,
    /// When it was taken, seconds on the flight's own clock.
    pub taken_at_s: Option<f64>,
    /// How fast the camera flew, metres a second east, north and up; zero when nothing says so.
    pub velocity: Vector3<f64>,
}

impl AdjustedPhoto {
    /// A photo of the first camera and flight of which nothing but its pose is known.
    #[cfg(test)]
    pub fn at(exterior: Exterior) -> Self {
        Self {
            exterior,
            camera: 0,
            sortie: 0,
            position: None,
            rotation: None,
            height_above_ground_m: None,
            taken_at_s: None,
            velocity: Vector3::zeros(),
        }
    }
}

impl Block {
    /// How far a photo's camera flew while the photo was read out, first row to last, metres.
    pub fn motion(&self, photo: &AdjustedPhoto) -> Vector3<f64> {
        photo.velocity * self.cameras[photo.camera].readout_s
    }

    /// Puts another block behind this one; its photos, cameras and flights get the next numbers.
    pub fn append(&mut self, other: Self) {
        let (photos, cameras, flights) = (self.photos.len(), self.cameras.len(), self.altitude_offsets_m.len());
        self.photos.extend(other.photos.into_iter().map(|mut photo| {
            photo.camera += cameras;
            photo.sortie += flights;
            if let Some(prior) = &mut photo.position {
                prior.flight = prior.flight.map(|flight| flight + flights);
                prior.after = prior.after.map(|after| After { photo: after.photo + photos, ..after });
            }
            if let Some(prior) = &mut photo.rotation {
                prior.flight = prior.flight.map(|flight| flight + flights);
            }
            photo
        }));
        self.points.extend(other.points.into_iter().map(|mut point| {
            point.sightings.iter_mut().for_each(|sighting| sighting.photo += photos as u32);
            point
        }));
        self.cameras.extend(other.cameras);
        self.altitude_offsets_m.extend(other.altitude_offsets_m);
        self.gimbal_offsets.extend(other.gimbal_offsets);
        self.precision = self.precision.take().zip(other.precision).map(|(own, other)| own.with(other));
    }
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
mod properties;
#[cfg(test)]
mod tests;
