//! A sound report of a small flight, to change in tests.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::{
    AxisResiduals, CameraParameter, CameraReport, Frame, GpsAgreement, Overlap, PhotoCounts, PhotoReport,
    RejectedPhoto, Report, Reprojection, StageReport, SurveyResidual, SurveyRmse,
};
use crate::photogrammetry::camera::Camera;

/// Eight photos in two strips, 40 m high, GPS of 1.5 m, no surveyed points; not judged yet.
pub fn sample() -> Report {
    let axis = |rmse_m: f64| AxisResiduals { mean_m: 0.01, rmse_m, largest_m: -2.0 * rmse_m };
    Report {
        verdict: String::new(),
        reasons: Vec::new(),
        advice: Vec::new(),
        notes: Vec::new(),
        title: "dijk-a · flight-2025".to_owned(),
        photos: PhotoCounts { total: 8, used: 8, rejected: Vec::new() },
        taken: Some([noon(), noon() + TimeDelta::minutes(2)]),
        reprojection_rmse_px: 0.31,
        gsd_m: 0.02,
        height_above_ground_m: 40.2,
        relative_altitude_m: Some(40.0),
        tie_points: 5400,
        sightings: 16_000,
        crs: "EPSG:32631".to_owned(),
        size_px: [3000, 2000],
        covered_pixels: 5_000_000,
        covered_m2: 2000.0,
        georeferenced_by: "gps",
        heights_from: "recorded altitudes",
        blocks: Vec::new(),
        frame: Frame { longitude: 5.4, latitude: 51.85, height_m: 5.0 },
        gps: Some(GpsAgreement {
            photos: 8,
            horizontal_rmse_m: 1.4,
            vertical_rmse_m: 0.9,
            scale_ppm: 5000.0,
            scale_sigma_ppm: 9000.0,
            scale_limit_ppm: 46_000.0,
            rotation_mrad: -3.0,
            rotation_sigma_mrad: 9.0,
            rotation_limit_mrad: 46.0,
            tilt_mrad: [2.0, -8.0],
            tilt_sigma_mrad: [18.0, 30.0],
            tilt_limit_mrad: [92.0, 140.0],
            sigma_horizontal_m: 1.5,
            sigma_vertical_m: 3.0,
            spread_m: 55.0,
            east: axis(1.0),
            north: axis(0.9),
            up: axis(0.9),
            outliers: Vec::new(),
            altitude_offsets_m: vec![43.1],
        }),
        cameras: vec![camera()],
        control_points: Vec::new(),
        control_rmse: None,
        check_points: Vec::new(),
        check_rmse: None,
        reprojection: Reprojection {
            bin_px: 0.05,
            counts: (0..60u64).map(|bin| 3000 / (bin + 1)).collect(),
            beyond: 7,
            median_px: 0.24,
            p95_px: 0.7,
            tie_points_seen_by: vec![2000, 1500, 900, 500, 300, 120, 60, 20, 0, 0, 0],
        },
        overlap: Overlap::of(-10.0, 40.0, 10.0, vec![vec![1, 2, 3, 3, 3, 3, 3, 2, 1, 0]; 6]),
        per_photo: (0..8).map(photo).collect(),
        stages: ["keypoints", "matching", "adjustment", "mosaic"]
            .map(|name| StageReport { name, seconds: 1.5, peak_memory_mb: 320.0, kept: name == "matching" })
            .into(),
        options: json!({ "out": "ortho.tif", "crs": null, "gsd_m": 0.02 }),
        software: "polder 0.0.0".to_owned(),
        finished_at: noon(),
    }
}

/// The same with four control points and a check point, all within 2 cm.
pub fn with_control() -> Report {
    let control_points: Vec<SurveyResidual> =
        (1..=4).map(|number| SurveyResidual { east_m: 0.0, ..surveyed(&format!("gcp-{number}")) }).collect();
    let check_points = vec![surveyed("check-1")];
    Report {
        control_rmse: SurveyRmse::of(&control_points),
        control_points,
        check_rmse: SurveyRmse::of(&check_points),
        check_points,
        georeferenced_by: "control points",
        ..sample()
    }
}

pub fn surveyed(name: &str) -> SurveyResidual {
    SurveyResidual {
        name: name.to_owned(),
        photos: 4,
        east_m: 0.01,
        north_m: 0.0,
        up_m: -0.02,
        at_m: [20.0, 10.0, 0.5],
        longitude: 5.4003,
        latitude: 51.8501,
    }
}

pub fn rejected([east_m, north_m]: [f64; 2], off_nadir_deg: f64) -> RejectedPhoto {
    RejectedPhoto {
        name: "DJI_0099.JPG".to_owned(),
        reason: "no matches connect it with the other photos".to_owned(),
        longitude: Some(5.4),
        latitude: Some(51.85),
        east_m: Some(east_m),
        north_m: Some(north_m),
        off_nadir_deg: Some(off_nadir_deg),
    }
}

fn noon() -> DateTime<Utc> {
    DateTime::parse_from_rfc3339("2025-06-01T12:00:00Z").unwrap().to_utc()
}

fn photo(index: u32) -> PhotoReport {
    let (strip, along) = (f64::from(index / 4), f64::from(index % 4));
    PhotoReport {
        name: format!("DJI_{index:04}.JPG"),
        camera: 0,
        sortie: 0,
        tie_points: 2000,
        reprojection_rmse_px: 0.3,
        longitude: 5.4,
        latitude: 51.85,
        east_m: 20.0 * along,
        north_m: 20.0 * strip,
        up_m: 40.0,
        height_above_ground_m: 40.2,
        rotation: [[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]],
        motion_m: [0.0; 3],
        mirrored: false,
        gps_residual_m: Some([1.0 - along * 0.5, 0.6 - strip, 0.3]),
        gps_sigma_m: Some([1.5, 3.0]),
        sigma_m: None,
        gain: [1.0, 0.98, 1.02],
    }
}

fn camera() -> CameraReport {
    let prior = Camera::ideal(1600.0, 1200.0, 1160.0);
    let adjusted = prior.with_parameters([1150.0, 798.0, 601.0, -0.05, 0.01, -0.002, 0.0002, 0.0]);
    let names = ["f", "cx", "cy", "k1", "k2", "k3", "p1", "p2"];
    let sigmas = [58.0, 32.0, 32.0, 0.2, 0.2, 0.1, 0.005, 0.005];
    let parameter = |at: usize| CameraParameter {
        name: names[at],
        prior: prior.parameters()[at],
        prior_sigma: sigmas[at],
        adjusted: adjusted.parameters()[at],
        sigma: None,
    };
    CameraReport {
        camera: "DJI FC3582, 1600 × 1200, 1160 px".to_owned(),
        photos: 8,
        prior,
        adjusted,
        focal_change_percent: -0.86,
        parameters: (0..8).map(parameter).collect(),
        residuals: super::camera::ResidualField {
            mean_px: vec![vec![Some([0.02, -0.01]); 16]; 12],
            largest_px: 0.0224,
        },
    }
}
