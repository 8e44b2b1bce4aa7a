//! A line for each photo: where it was, how well it fits, or why it is not used.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{camera, fit::Fit};
use crate::photogrammetry::{
    bundle::Block,
    exposure::Exposure,
    photos::{Flight, PhotoInput, Rejected, position_of},
};

#[derive(Clone, Debug, Serialize)]
pub struct PhotoCounts {
    pub total: usize,
    pub used: usize,
    pub rejected: Vec<RejectedPhoto>,
}

/// A photo that is not in the orthophoto, why, and what its metadata said of its place.
#[derive(Clone, Debug, Serialize)]
pub struct RejectedPhoto {
    pub name: String,
    pub reason: String,
    pub longitude: Option<f64>,
    pub latitude: Option<f64>,
    pub east_m: Option<f64>,
    pub north_m: Option<f64>,
    /// How far it looks away from straight down.
    pub off_nadir_deg: Option<f64>,
}

/// A used photo, adjusted.
#[derive(Clone, Debug, Serialize)]
pub struct PhotoReport {
    pub name: String,
    /// Its camera, counted from 0 in the report's `cameras`; its sortie, whose barometer has one zero.
    pub camera: usize,
    pub sortie: usize,
    pub tie_points: usize,
    pub reprojection_rmse_px: f64,
    pub longitude: f64,
    pub latitude: f64,
    pub east_m: f64,
    pub north_m: f64,
    pub up_m: f64,
    pub height_above_ground_m: f64,
    /// Rows of the rotation from east, north, up to the camera's axes: x right, y down, z forward.
    pub rotation: [[f64; 3]; 3],
    /// How far the camera flew from its first row to its last, metres east, north, up; zero with a global shutter.
    pub motion_m: [f64; 3],
    /// Whether the file stores its pixels mirrored; the camera's pixels are those of the picture turned back.
    pub mirrored: bool,
    /// Adjusted minus GPS: east, north and up (after the sortie's altitude offset), metres.
    pub gps_residual_m: Option<[f64; 3]>,
    /// One sigma of its GPS: horizontal and vertical, metres.
    pub gps_sigma_m: Option<[f64; 2]>,
    /// One sigma of the adjusted place, east, north and up, where it was computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sigma_m: Option<[f64; 3]>,
    pub gain: [f64; 3],
}

impl PhotoReport {
    /// The distance of its GPS from its adjusted place in plan, metres.
    pub fn gps_distance_m(&self) -> Option<f64> {
        self.gps_residual_m.map(|[east, north, _]| east.hypot(north))
    }
}

/// A line for each photo of the block.
pub fn reports(flight: &Flight, block: &Block, exposure: &Exposure, fit: &Fit, ground_m: f64) -> Vec<PhotoReport> {
    let fits = fit.per_photo(block.photos.len());
    let cameras = camera::used(block);
    flight
        .photos
        .iter()
        .zip(&block.photos)
        .enumerate()
        .map(|(index, (photo, adjusted))| {
            let centre = adjusted.exterior.centre;
            let [longitude, latitude, _] = flight.frame.to_lonlat(centre.into());
            let (tie_points, reprojection_rmse_px) = fits[index];
            PhotoReport {
                name: photo.name.clone(),
                camera: cameras.iter().position(|used| *used == photo.camera).unwrap_or(0),
                sortie: photo.sortie,
                tie_points,
                reprojection_rmse_px,
                longitude,
                latitude,
                east_m: centre.x,
                north_m: centre.y,
                up_m: centre.z,
                height_above_ground_m: centre.z - ground_m,
                rotation: adjusted.exterior.rotation.transpose().into(),
                motion_m: block.motion(adjusted).into(),
                mirrored: photo.mirrored,
                gps_residual_m: super::agreement::residual(photo, adjusted, block).map(Into::into),
                gps_sigma_m: photo.gps.map(|gps| [gps.sigma_horizontal_m, gps.sigma_vertical_m]),
                sigma_m: block.precision.as_ref().map(|precision| precision.photos[index].centre_m.into()),
                gain: exposure.gain(index),
            }
        })
        .collect()
}

/// The photos that came in, and those that are not used by name.
pub fn counts(flight: &Flight, inputs: &[PhotoInput]) -> PhotoCounts {
    let by_name: HashMap<&str, &PhotoInput> = inputs.iter().map(|input| (input.name.as_str(), input)).collect();
    let line = |Rejected { name, reason }: &Rejected| {
        let metadata = by_name.get(name.as_str()).map(|input| &input.metadata);
        let lonlat = metadata.and_then(position_of);
        let place = lonlat.map(|[lon, lat]| flight.frame.to_enu([lon, lat, flight.origin[2]]));
        RejectedPhoto {
            name: name.clone(),
            reason: reason.clone(),
            longitude: lonlat.map(|place| place[0]),
            latitude: lonlat.map(|place| place[1]),
            east_m: place.map(|place| place[0]),
            north_m: place.map(|place| place[1]),
            off_nadir_deg: metadata.and_then(|known| known.gimbal).map(|gimbal| (gimbal.pitch_deg + 90.0).abs()),
        }
    };
    let mut rejected: Vec<RejectedPhoto> = flight.rejected.iter().map(line).collect();
    rejected.sort_by(|a, b| a.name.cmp(&b.name));
    PhotoCounts { total: inputs.len(), used: flight.photos.len(), rejected }
}

/// When the first and the last used photo were taken.
pub fn taken(flight: &Flight, inputs: &[PhotoInput]) -> Option<[DateTime<Utc>; 2]> {
    let used: std::collections::HashSet<&str> = flight.photos.iter().map(|photo| photo.name.as_str()).collect();
    let times = || inputs.iter().filter(|input| used.contains(input.name.as_str())).filter_map(|i| i.metadata.taken_at);
    Some([times().min()?, times().max()?])
}
