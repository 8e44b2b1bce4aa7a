//! What ODM made of the photos, in the fields of the own engine's report as far as ODM tells them.
//!
//! What it does not tell is null, never a guess. Its statistics are OpenSfM's, with a few of its own.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    agreement::{Compared, GpsAgreement, Shot, median},
    node::Choice,
    regrid::Place,
};
use crate::photogrammetry::PhotoInput;

/// `report.json` of a stitch by ODM.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// `ok`, or `do not use: ` and why.
    pub verdict: String,
    /// What a careful person should know though the orthophoto can be used.
    pub notes: Vec<String>,
    pub photos: PhotoCounts,
    /// From ODM's histogram of the errors, which leaves out those of more than 4 pixels.
    pub reprojection_rmse_px: Option<f64>,
    pub gsd_m: f64,
    pub height_above_ground_m: Option<f64>,
    pub tie_points: Option<u64>,
    pub sightings: Option<u64>,
    /// The coordinate system of the orthophoto, and its size in pixels.
    pub crs: String,
    pub size_px: [usize; 2],
    /// Pixels that some photo covers.
    pub covered_pixels: u64,
    pub gps: Option<GpsAgreement>,
    /// The share of the photos' GPS positions that lie over the orthophoto.
    pub gps_over_orthophoto: Option<f64>,
    pub cameras: Vec<CameraReport>,
    /// ODM gives figures for all control points together, in [`OdmReport::gcp_errors`].
    pub control_points: [(); 0],
    pub check_points: [(); 0],
    pub per_photo: Vec<PhotoReport>,
    pub stages: Vec<StageReport>,
    pub software: String,
    pub odm: OdmReport,
    /// Whether a surface came back too, when one was asked for.
    #[serde(skip)]
    pub has_surface: bool,
}

#[derive(Clone, Debug, Serialize)]
pub struct PhotoCounts {
    pub total: usize,
    pub used: usize,
    pub rejected: Vec<Rejected>,
}

/// A photo that is not in the orthophoto, and why.
#[derive(Clone, Debug, Serialize)]
pub struct Rejected {
    pub name: String,
    pub reason: String,
}

/// A lens as OpenSfM describes it: focal length in parts of the longer side, and distortion.
#[derive(Clone, Debug, Serialize)]
pub struct CameraReport {
    pub camera: String,
    pub prior: Value,
    pub adjusted: Value,
    pub focal_change_percent: Option<f64>,
}

#[derive(Clone, Debug, Serialize)]
pub struct PhotoReport {
    pub name: String,
    pub longitude: f64,
    pub latitude: f64,
    /// Adjusted minus GPS, east and north, metres.
    pub gps_residual_m: Option<[f64; 2]>,
}

/// How long a part took. The memory of the server is not known here.
#[derive(Clone, Debug, Serialize)]
pub struct StageReport {
    pub name: String,
    pub seconds: f64,
    pub peak_memory_mb: Option<f64>,
    /// Whether the result was there from an earlier attempt.
    pub kept: bool,
}

/// What is ODM's alone.
#[derive(Clone, Debug, Serialize)]
pub struct OdmReport {
    /// Its address and the version of its API.
    pub server: String,
    pub task: String,
    pub options: Map<String, Value>,
    /// Mean and root mean square at the control points, metres, as ODM gives them.
    pub gcp_errors: Option<Value>,
}

/// What a report is made of.
pub struct Findings<'a> {
    pub photos: &'a [PhotoInput],
    pub statistics: Option<&'a Value>,
    pub shots: Option<&'a [Shot]>,
    pub compared: Option<&'a Compared>,
    pub over: Option<f64>,
    pub place: Place,
    pub covered_pixels: u64,
    pub gsd_m: f64,
    /// Heights of the cameras over the surface under them.
    pub heights_m: Vec<f64>,
    pub has_control: bool,
    pub has_surface: bool,
}

impl Findings<'_> {
    /// Writes it all down.
    pub fn report(self, software: String, stages: Vec<StageReport>, odm: OdmReport, mut notes: Vec<String>) -> Report {
        let photos = self.counts(&mut notes);
        if self.shots.is_some() && self.compared.is_none() && !self.has_control {
            notes.push("fewer than three photos have GPS: the place of the orthophoto could not be checked".to_owned());
        }
        let figure =
            |name: &str| self.statistics.map_or(Value::Null, |all| all["reconstruction_statistics"][name].clone());
        let verdict = super::agreement::verdict(self.compared, self.over, photos.used, photos.total, self.has_control);
        Report {
            verdict,
            reprojection_rmse_px: rms_of_histogram(&figure("reprojection_histogram_pixels")),
            gsd_m: self.gsd_m,
            height_above_ground_m: median(self.heights_m.clone()),
            tie_points: figure("reconstructed_points_count").as_u64(),
            sightings: figure("observations_count").as_u64(),
            crs: self.place.crs.to_string(),
            size_px: self.place.size,
            covered_pixels: self.covered_pixels,
            gps: self.compared.map(|compared| compared.agreement),
            gps_over_orthophoto: self.over,
            cameras: self.statistics.map(cameras).unwrap_or_default(),
            control_points: [],
            check_points: [],
            per_photo: self.per_photo(),
            stages,
            software,
            odm,
            has_surface: self.has_surface,
            notes,
            photos,
        }
    }

    /// Which photos are in it: by name when ODM has said where its cameras are, else by number, else unknown.
    fn counts(&self, notes: &mut Vec<String>) -> PhotoCounts {
        let total = self.photos.len();
        if let Some(shots) = self.shots {
            let used: BTreeSet<&str> = shots.iter().map(|shot| shot.photo.as_str()).collect();
            let reason = "ODM found no place for it: too little in common with other photos, or it could not be read";
            let left_out = self.photos.iter().filter(|photo| !used.contains(photo.name.as_str()));
            let rejected: Vec<Rejected> =
                left_out.map(|photo| Rejected { name: photo.name.clone(), reason: reason.to_owned() }).collect();
            return PhotoCounts { total, used: total - rejected.len(), rejected };
        }
        let counted =
            self.statistics.and_then(|all| all["reconstruction_statistics"]["reconstructed_shots_count"].as_u64());
        notes.push("ODM has not said which photos it used: the cameras could not be held against GPS".to_owned());
        let used = counted.map_or(total, |count| (count as usize).min(total));
        PhotoCounts { total, used, rejected: Vec::new() }
    }

    fn per_photo(&self) -> Vec<PhotoReport> {
        let residual = |name: &str| self.compared.and_then(|compared| compared.residuals.get(name).copied());
        let report = |shot: &Shot| PhotoReport {
            name: shot.photo.clone(),
            longitude: shot.place[0],
            latitude: shot.place[1],
            gps_residual_m: residual(&shot.photo),
        };
        self.shots.unwrap_or_default().iter().map(report).collect()
    }
}

/// The root mean square of a histogram: `[counts, edges]`, one edge more than counts.
fn rms_of_histogram(histogram: &Value) -> Option<f64> {
    let numbers = |at: usize| -> Option<Vec<f64>> { histogram[at].as_array()?.iter().map(Value::as_f64).collect() };
    let (counts, edges) = (numbers(0)?, numbers(1)?);
    if edges.len() != counts.len() + 1 {
        return None;
    }
    // The mean of the squares within a bin, if errors are spread evenly over it.
    let square = |edges: &[f64]| (edges[0] * edges[0] + edges[0] * edges[1] + edges[1] * edges[1]) / 3.0;
    let total: f64 = counts.iter().sum();
    let sum: f64 = counts.iter().zip(edges.windows(2)).map(|(count, edges)| count * square(edges)).sum();
    (total > 0.0).then(|| (sum / total).sqrt())
}

fn cameras(statistics: &Value) -> Vec<CameraReport> {
    let focal = |lens: &Value| lens["focal"].as_f64().or_else(|| lens["focal_x"].as_f64()).filter(|focal| *focal > 0.0);
    let report = |(camera, lens): (&String, &Value)| {
        let (prior, adjusted) = (lens["initial_values"].clone(), lens["optimized_values"].clone());
        let change = focal(&prior).zip(focal(&adjusted)).map(|(before, after)| (after / before - 1.0) * 100.0);
        CameraReport { camera: camera.clone(), prior, adjusted, focal_change_percent: change }
    };
    statistics["camera_errors"].as_object().into_iter().flatten().map(report).collect()
}

/// Options as an object, for reports and items.
pub fn as_object(choices: &[Choice]) -> Map<String, Value> {
    choices.iter().map(|choice| (choice.name.clone(), choice.value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_root_mean_square_comes_from_the_histogram() {
        // All errors between 0 and 2, evenly: the root of 4/3.
        let rms = rms_of_histogram(&json!([[50, 50], [0.0, 1.0, 2.0]])).unwrap();
        assert!((rms - (4.0_f64 / 3.0).sqrt()).abs() < 1e-12, "{rms}");
        for broken in [json!(null), json!([[], [0.0]]), json!([[1], [0.0]]), json!([["x"], [0.0, 1.0]])] {
            assert_eq!(rms_of_histogram(&broken), None, "{broken}");
        }
    }

    #[test]
    fn a_lens_is_held_against_its_prior() {
        let statistics = json!({ "camera_errors": { "v2 dji": {
            "initial_values": { "focal": 0.8, "k1": 0.0 }, "optimized_values": { "focal": 0.82, "k1": 0.01 } } } });
        let cameras = cameras(&statistics);
        assert_eq!(cameras[0].camera, "v2 dji");
        assert!((cameras[0].focal_change_percent.unwrap() - 2.5).abs() < 1e-9);
    }
}
