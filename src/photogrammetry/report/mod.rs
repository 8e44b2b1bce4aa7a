//! What was done, how good it is, and whether to use it.
//!
//! [`Report`] is `report.json`, and [`Report::page`] is the same for people: one HTML file that needs nothing else. Its
//! parts say one thing each: [`agreement`] holds the block against GPS, [`survey`] against surveyed points, [`overlap`]
//! counts photos over the ground, [`fit`] looks at the tie points, [`camera`] at the lenses, [`photo`] at each photo and
//! [`stage`] at time and memory. [`verdict`] reads all that and judges.
//!
//! A low reprojection error says nothing about scale: a bent block has it too. So nothing is good because it finished.
//!
//! Invariant: the page and the verdict see the [`Report`] alone. What they say can be checked in the JSON.
//!
//! Positions called `east_m`, `north_m`, `up_m` are in the local frame whose origin is [`Report::frame`].

mod agreement;
mod camera;
mod fit;
mod json;
mod overlap;
mod page;
mod photo;
mod stage;
mod survey;
mod verdict;

use chrono::{DateTime, SubsecRound as _, Utc};
use serde::Serialize;
use serde_json::Value;

use super::{
    blocks::BlockReport,
    bundle::Block,
    exposure::Exposure,
    gcp::{Role, Surveyed},
    heights::Heights,
    orthorectify::{Grid, View},
    photos::{Flight, PhotoInput, median},
    surface::Surface,
};

pub use agreement::{AxisResiduals, GpsAgreement, compare_with_gps};
pub use camera::{CameraParameter, CameraReport};
pub use fit::Reprojection;
pub use overlap::Overlap;
pub use page::Picture;
pub use photo::{PhotoCounts, PhotoReport, RejectedPhoto};
pub use stage::{StageReport, peak_memory_mb};
pub use survey::{SurveyResidual, SurveyRmse, georeferenced_by};

/// `report.json`: what a stitch made of its photos.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// `ok`, or `do not use: ` and why.
    pub verdict: String,
    /// The same reasons, one by one.
    pub reasons: Vec<String>,
    /// What to do about them.
    pub advice: Vec<String>,
    /// What a careful person should know though the orthophoto can be used.
    pub notes: Vec<String>,
    /// What it is a picture of, for people.
    pub title: String,
    pub photos: PhotoCounts,
    /// When the first and the last of the used photos were taken.
    pub taken: Option<[DateTime<Utc>; 2]>,
    pub reprojection_rmse_px: f64,
    pub gsd_m: f64,
    /// The median height of the cameras above the tie points.
    pub height_above_ground_m: f64,
    /// The median of what the aircraft says of the same photos: the height above its take-off.
    pub relative_altitude_m: Option<f64>,
    pub tie_points: usize,
    pub sightings: usize,
    /// The coordinate system of the orthophoto, and its size in pixels.
    pub crs: String,
    pub size_px: [usize; 2],
    /// Pixels that some photo covers, and the ground under them.
    pub covered_pixels: u64,
    pub covered_m2: f64,
    /// What its place rests on: `gps`, `rtk gps`, `control points` or `gps and too few control points`.
    pub georeferenced_by: &'static str,
    /// What heights count from: `NAP`, `WGS 84 ellipsoid`, `control points` or `recorded altitudes`.
    pub heights_from: &'static str,
    /// Sets of photos that matches hold together, the largest first; more than one when the flight has holes.
    pub blocks: Vec<BlockReport>,
    pub frame: Frame,
    pub gps: Option<GpsAgreement>,
    pub cameras: Vec<CameraReport>,
    /// Surveyed points of the adjustment.
    pub control_points: Vec<SurveyResidual>,
    pub control_rmse: Option<SurveyRmse>,
    /// Surveyed points held out.
    pub check_points: Vec<SurveyResidual>,
    pub check_rmse: Option<SurveyRmse>,
    pub reprojection: Reprojection,
    pub overlap: Overlap,
    /// The used photos in the order in which they were taken.
    pub per_photo: Vec<PhotoReport>,
    pub stages: Vec<StageReport>,
    /// What was asked for; paths without their folders.
    pub options: Value,
    pub software: String,
    pub finished_at: DateTime<Utc>,
}

/// The origin of the local frame: WGS 84, ellipsoidal height as far as the photos' altitudes are that.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Frame {
    pub longitude: f64,
    pub latitude: f64,
    pub height_m: f64,
}

/// Everything that a finished stitch has to show for itself.
pub struct Findings<'a> {
    pub inputs: &'a [PhotoInput],
    pub flight: &'a Flight,
    pub block: &'a Block,
    pub surveyed: &'a [Surveyed],
    pub views: &'a [View],
    pub surface: &'a Surface,
    pub exposure: &'a Exposure,
    pub grid: Grid,
    pub heights: Heights,
    /// Height of the ground in the local frame.
    pub ground_m: f64,
    pub gsd_m: f64,
    pub flying_height_m: f64,
    pub covered_pixels: u64,
    pub blocks: Vec<BlockReport>,
    pub notes: Vec<String>,
    pub stages: Vec<StageReport>,
    pub options: Value,
    pub title: String,
}

impl Findings<'_> {
    /// Writes the report and judges it.
    pub fn report(self) -> Report {
        let Self { flight, block, surveyed, grid, .. } = self;
        let control_points = survey::residuals(flight, block, surveyed, Role::Control);
        let check_points = survey::residuals(flight, block, surveyed, Role::Check);
        let fit = fit::Fit::of(block);
        let [longitude, latitude, height_m] = flight.origin;
        let taken = photo::taken(flight, self.inputs);
        let unit_m2 = self.gsd_m * self.gsd_m;
        let mut report = Report {
            verdict: String::new(),
            reasons: Vec::new(),
            advice: Vec::new(),
            notes: self.notes,
            title: self.title,
            photos: photo::counts(flight, self.inputs),
            taken,
            reprojection_rmse_px: fit.rmse_px(),
            gsd_m: self.gsd_m,
            height_above_ground_m: self.flying_height_m,
            relative_altitude_m: median(flight.photos.iter().filter_map(|photo| photo.relative_altitude_m)),
            tie_points: fit.tie_points(),
            sightings: fit.sightings(),
            crs: grid.crs.to_string(),
            size_px: grid.size,
            covered_pixels: self.covered_pixels,
            covered_m2: self.covered_pixels as f64 * unit_m2,
            georeferenced_by: georeferenced_by(flight, control_points.len()),
            heights_from: self.heights.from,
            blocks: self.blocks,
            frame: Frame { longitude, latitude, height_m },
            gps: compare_with_gps(flight, block),
            cameras: camera::reports(flight, block, &fit),
            control_rmse: SurveyRmse::of(&control_points),
            control_points,
            check_rmse: SurveyRmse::of(&check_points),
            check_points,
            reprojection: fit.reprojection(),
            overlap: Overlap::over(self.views, self.surface),
            per_photo: photo::reports(flight, block, self.exposure, &fit, self.ground_m),
            stages: self.stages,
            options: self.options,
            software: concat!("polder ", env!("CARGO_PKG_VERSION")).to_owned(),
            finished_at: Utc::now().trunc_subsecs(0),
        };
        verdict::judge(&mut report);
        report
    }
}

#[cfg(test)]
mod testing;
