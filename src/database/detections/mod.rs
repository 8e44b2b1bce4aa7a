//! The tables `detection_runs` and `detections`: loading a run, and asking what was found where.

mod bulk;
mod copy;
mod feature;
mod list;
mod load;
#[cfg(test)]
pub(super) mod tests;

use chrono::{DateTime, Utc};

use crate::spatial::Bbox;

pub(super) use copy::ewkb;
pub(super) use list::conditions;

/// One detection run, as it is about to be loaded.
#[derive(Clone, Debug, PartialEq)]
pub struct RunRow {
    /// The id of its item in `ai-results`.
    pub id: String,
    pub project: String,
    pub flight: String,
    /// The id of the searched item in `drone-ortho`.
    pub orthophoto: String,
    pub model: String,
    pub model_version: String,
    /// When the photos were taken.
    pub starts_at: DateTime<Utc>,
    pub ends_at: DateTime<Utc>,
    /// What the orthophoto covers: a ring of lon, lat, WGS 84, closed. Empty when nobody knows.
    pub footprint: Vec<[f64; 2]>,
    /// Ids of the photo items that [`Sighting::photo`] counts.
    pub photos: Vec<String>,
}

/// One finding.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Detection {
    pub class: String,
    /// In [0, 1].
    pub confidence: f64,
    /// Lon, lat, WGS 84; closed.
    pub ring: Vec<[f64; 2]>,
    /// On the ground.
    pub area_m2: Option<f64>,
    /// The chip on which the model saw it.
    pub chip: Option<i32>,
    /// The photos that saw it best, best first.
    pub seen: Vec<Sighting>,
}

/// A photo that shows the middle of a finding, and where.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sighting {
    /// Its place in [`RunRow::photos`].
    pub photo: i32,
    /// x and y from the top-left corner of the photo as it is stored.
    pub pixel: [f32; 2],
}

/// A finding as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct DetectionRow {
    pub run: String,
    pub number: i32,
    /// What it is: as a person corrected it, else as the model says.
    pub class: String,
    pub model_class: String,
    pub confidence: f64,
    /// A `GeoJSON` polygon, as a person corrected it, else as the model drew it.
    pub geometry: String,
    /// What the model drew, where a person corrected it.
    pub model_geometry: Option<String>,
    pub area_m2: Option<f64>,
    pub chip: Option<i32>,
    /// Photo items and the pixel in each, best first.
    pub seen: Vec<(String, [f32; 2])>,
    /// `open`, `accepted` or `rejected`.
    pub review: String,
    /// How often somebody said something about it.
    pub version: i32,
    pub reviewed_by: Option<String>,
    pub reviewed_at: Option<DateTime<Utc>>,
    pub comment: Option<String>,
    pub project: String,
    pub flight: String,
    pub orthophoto: String,
    pub model: String,
    pub model_version: String,
    pub starts_at: DateTime<Utc>,
    pub ends_at: DateTime<Utc>,
}

/// A question about detections. What is `None` is not asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DetectionFilter {
    pub bbox: Option<Bbox>,
    pub run: Option<String>,
    pub project: Option<String>,
    pub flight: Option<String>,
    pub orthophoto: Option<String>,
    pub model: Option<String>,
    /// As it is now: corrected ones by what they were corrected to.
    pub class: Option<String>,
    /// The least.
    pub confidence: Option<f64>,
    /// `open`, `accepted` or `rejected`.
    pub review: Option<String>,
    /// Photos taken at this time or later.
    pub since: Option<DateTime<Utc>>,
    pub limit: i64,
    /// Run and number of the last one of the page before.
    pub after: Option<(String, i32)>,
}
