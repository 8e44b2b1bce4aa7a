//! What was done, how good it is, and whether to use it.
//!
//! A low reprojection error says nothing about scale: a bent block has it too. So the adjusted positions
//! are held against GPS, and the verdict says "do not use" when they disagree by more than GPS itself can.

use nalgebra::{Vector2, Vector3};
use serde::Serialize;

use super::{
    adjust,
    blocks::BlockReport,
    bundle::Block,
    camera::Camera,
    exposure::Exposure,
    gcp::{Role, Surveyed, measured},
    photos::{Flight, Rejected, median},
};

/// `report.json`: what a stitch made of its photos.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// `ok`, or `do not use: ` and why.
    pub verdict: String,
    /// What a careful person should know though the orthophoto can be used.
    pub notes: Vec<String>,
    pub photos: PhotoCounts,
    pub reprojection_rmse_px: f64,
    pub gsd_m: f64,
    pub height_above_ground_m: f64,
    pub tie_points: usize,
    pub sightings: usize,
    /// The coordinate system of the orthophoto, and its size in pixels.
    pub crs: String,
    pub size_px: [usize; 2],
    /// Pixels that some photo covers.
    pub covered_pixels: u64,
    /// Sets of photos that matches hold together; more than one when the flight has holes.
    pub blocks: Vec<BlockReport>,
    pub gps: Option<GpsAgreement>,
    pub cameras: Vec<CameraReport>,
    /// Surveyed points of the adjustment.
    pub control_points: Vec<SurveyResidual>,
    /// Surveyed points held out.
    pub check_points: Vec<SurveyResidual>,
    pub per_photo: Vec<PhotoReport>,
    pub stages: Vec<StageReport>,
    pub software: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct PhotoCounts {
    pub total: usize,
    pub used: usize,
    pub rejected: Vec<Rejected>,
}

/// How the adjusted positions lie to those of GPS.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct GpsAgreement {
    pub horizontal_rmse_m: f64,
    /// After the flight's altitude offset.
    pub vertical_rmse_m: f64,
    /// What GPS would make larger or smaller, parts per million, and one sigma of that by GPS noise alone.
    pub scale_ppm: f64,
    pub scale_sigma_ppm: f64,
    pub rotation_mrad: f64,
}

#[derive(Clone, Debug, Serialize)]
pub struct CameraReport {
    pub camera: String,
    pub photos: usize,
    pub prior: Camera,
    pub adjusted: Camera,
    /// How far the focal length went from the EXIF's, in percent.
    pub focal_change_percent: f64,
}

/// A surveyed point: measured minus surveyed, metres.
#[derive(Clone, Debug, Serialize)]
pub struct SurveyResidual {
    pub name: String,
    pub photos: usize,
    pub east_m: f64,
    pub north_m: f64,
    pub up_m: f64,
}

#[derive(Clone, Debug, Serialize)]
pub struct PhotoReport {
    pub name: String,
    pub tie_points: usize,
    pub longitude: f64,
    pub latitude: f64,
    pub height_above_ground_m: f64,
    /// Adjusted minus GPS, east and north, metres.
    pub gps_residual_m: Option<[f64; 2]>,
    pub gain: [f64; 3],
}

/// How long a stage took, and the most memory the process had used by its end.
#[derive(Clone, Debug, Serialize)]
pub struct StageReport {
    pub name: &'static str,
    pub seconds: f64,
    pub peak_memory_mb: f64,
    /// Whether all of it was there from an earlier attempt.
    pub kept: bool,
}

/// GPS and photos must agree within this many sigmas of GPS, and never are asked for more than these.
const AGREEMENT_SIGMAS: f64 = 4.0;
const AGREEMENT_FLOOR_M: f64 = 0.3;
const AGREEMENT_FLOOR_PPM: f64 = 10_000.0;
/// A focal length farther from the EXIF than this is worth a line.
const FOCAL_NOTE_PERCENT: f64 = 8.0;
const FOCAL_REFUSED_PERCENT: f64 = 30.0;

/// An adjusted centre, where GPS put it, and one sigma of that.
type Compared = (Vector3<f64>, Vector3<f64>, f64);

/// Compares the adjusted centres with GPS; `None` with fewer than three GPS positions.
pub fn compare_with_gps(flight: &Flight, block: &Block) -> Option<GpsAgreement> {
    let pairs: Vec<Compared> = flight
        .photos
        .iter()
        .zip(&block.photos)
        .filter_map(|(photo, adjusted)| {
            let gps = photo.gps?;
            let offset = if gps.rtk { 0.0 } else { block.altitude_offsets_m[photo.sortie] };
            let centre = adjusted.exterior.centre + Vector3::new(0.0, 0.0, offset);
            Some((centre, gps.enu, gps.sigma_horizontal_m))
        })
        .collect();
    if pairs.len() < 3 {
        return None;
    }
    let count = pairs.len() as f64;
    let mean = |values: fn(&Compared) -> f64| pairs.iter().map(values).sum::<f64>() / count;
    let horizontal = mean(|(a, b, _)| (a - b).xy().norm_squared()).sqrt();
    let vertical = mean(|(a, b, _)| (a.z - b.z).powi(2)).sqrt();
    // A turn and zoom in the plane: complex division of the GPS positions by the adjusted ones.
    let (ca, cb) = (Vector2::new(mean(|p| p.0.x), mean(|p| p.0.y)), Vector2::new(mean(|p| p.1.x), mean(|p| p.1.y)));
    let (mut dot, mut cross, mut square) = (0.0, 0.0, 0.0);
    for (a, b, _) in &pairs {
        let (a, b) = (a.xy() - ca, b.xy() - cb);
        dot += a.dot(&b);
        cross += a.x * b.y - a.y * b.x;
        square += a.norm_squared();
    }
    let sigma = median(pairs.iter().map(|p| p.2)).unwrap_or(1.0);
    Some(GpsAgreement {
        horizontal_rmse_m: horizontal,
        vertical_rmse_m: vertical,
        scale_ppm: (dot.hypot(cross) / square.max(1e-9) - 1.0) * 1e6,
        scale_sigma_ppm: sigma / square.max(1e-9).sqrt() * 1e6,
        rotation_mrad: cross.atan2(dot) * 1e3,
    })
}

/// The cameras before and after.
pub fn camera_reports(flight: &Flight, block: &Block) -> Vec<CameraReport> {
    let used = |index: usize| block.photos.iter().filter(|photo| photo.camera == index).count();
    flight
        .cameras
        .iter()
        .zip(&block.cameras)
        .enumerate()
        .filter(|(index, _)| used(*index) > 0)
        .map(|(index, (group, adjusted))| CameraReport {
            camera: group.label.clone(),
            photos: used(index),
            prior: group.prior,
            adjusted: adjusted.camera,
            focal_change_percent: (adjusted.camera.focal_px / group.prior.focal_px - 1.0) * 100.0,
        })
        .collect()
}

/// Surveyed points of one role, measured in the adjusted block.
pub fn survey_residuals(block: &Block, surveyed: &[Surveyed], role: Role) -> Vec<SurveyResidual> {
    surveyed
        .iter()
        .filter(|point| point.role == role)
        .filter_map(|point| {
            let off = measured(block, point)? - point.enu;
            let photos = point.marks.len();
            Some(SurveyResidual { name: point.name.clone(), photos, east_m: off.x, north_m: off.y, up_m: off.z })
        })
        .collect()
}

/// A line for each photo of the block.
pub fn photo_reports(flight: &Flight, block: &Block, exposure: &Exposure, ground_m: f64) -> Vec<PhotoReport> {
    let sightings = adjust::sightings_per_photo(block);
    flight
        .photos
        .iter()
        .zip(&block.photos)
        .enumerate()
        .map(|(index, (photo, adjusted))| {
            let centre = adjusted.exterior.centre;
            let [longitude, latitude, _] = flight.frame.to_lonlat(centre.into());
            PhotoReport {
                name: photo.name.clone(),
                tie_points: sightings[index],
                longitude,
                latitude,
                height_above_ground_m: centre.z - ground_m,
                gps_residual_m: photo.gps_xy().map(|gps| (centre.xy() - gps).into()),
                gain: exposure.gain(index),
            }
        })
        .collect()
}

/// `ok`, or why the orthophoto must not be used.
///
/// With control points it is they who decide about place and scale; without, it is GPS.
pub fn verdict(
    gps: Option<&GpsAgreement>,
    cameras: &[CameraReport],
    photos: &PhotoCounts,
    control: &[SurveyResidual],
    gps_sigma_m: f64,
) -> String {
    let mut faults = Vec::new();
    if control.len() < 3
        && let Some(gps) = gps
    {
        let limit = (AGREEMENT_SIGMAS * gps_sigma_m).max(AGREEMENT_FLOOR_M);
        if gps.horizontal_rmse_m > limit {
            faults.push(format!("positions differ from GPS by {:.1} m", gps.horizontal_rmse_m));
        }
        if gps.scale_ppm.abs() > AGREEMENT_FLOOR_PPM + AGREEMENT_SIGMAS * gps.scale_sigma_ppm {
            faults.push(format!("GPS asks for a scale that differs by {:.1} %", gps.scale_ppm / 1e4));
        }
    }
    for camera in cameras.iter().filter(|camera| camera.focal_change_percent.abs() > FOCAL_REFUSED_PERCENT) {
        faults.push(format!("the focal length left the EXIF's by {:.0} %", camera.focal_change_percent));
    }
    for point in control.iter().filter(|point| point.east_m.hypot(point.north_m) > 1.0) {
        faults.push(format!("control point {} is {:.1} m off", point.name, point.east_m.hypot(point.north_m)));
    }
    if 2 * photos.used < photos.total {
        faults.push(format!("only {} of {} photos are in it", photos.used, photos.total));
    }
    if faults.is_empty() { "ok".to_owned() } else { format!("do not use: {}", faults.join("; ")) }
}

/// Lines about lenses that left their prior.
pub fn camera_notes(cameras: &[CameraReport]) -> Vec<String> {
    cameras
        .iter()
        .filter(|camera| camera.focal_change_percent.abs() > FOCAL_NOTE_PERCENT)
        .map(|camera| {
            format!(
                "the focal length of {} was adjusted by {:+.1} % from the EXIF's: heights may be off by as much",
                camera.camera, camera.focal_change_percent
            )
        })
        .collect()
}

/// The most memory this process has used so far, in megabytes; 0 where the system does not say.
pub fn peak_memory_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse::<f64>().ok()).map_or(0.0, |kb| kb / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agreement(horizontal_rmse_m: f64, scale_ppm: f64) -> GpsAgreement {
        GpsAgreement { horizontal_rmse_m, vertical_rmse_m: 1.0, scale_ppm, scale_sigma_ppm: 3000.0, rotation_mrad: 0.0 }
    }

    #[test]
    fn a_block_that_agrees_with_gps_may_be_used() {
        let photos = PhotoCounts { total: 10, used: 10, rejected: Vec::new() };
        assert_eq!(verdict(Some(&agreement(1.4, 5000.0)), &[], &photos, &[], 1.5), "ok");
    }

    #[test]
    fn a_block_of_another_size_than_gps_says_do_not_use() {
        let photos = PhotoCounts { total: 10, used: 10, rejected: Vec::new() };
        let words = verdict(Some(&agreement(2.0, 60_000.0)), &[], &photos, &[], 1.5);
        assert!(words.starts_with("do not use: ") && words.contains("6.0 %"), "{words}");
    }

    #[test]
    fn half_a_flight_says_do_not_use() {
        let photos = PhotoCounts { total: 10, used: 4, rejected: Vec::new() };
        assert!(verdict(Some(&agreement(1.0, 0.0)), &[], &photos, &[], 1.5).contains("only 4 of 10"));
    }
}
