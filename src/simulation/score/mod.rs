//! The judge: holds an orthophoto and detections against the truth of a simulated flight.

mod affine;
mod detections;
mod footprint;
mod gps;
mod orthophoto;
mod overlay;
mod pairing;
mod patch;
mod pictures;
mod places;
mod radiometry;
mod sharpness;

use std::{fs, path::Path};

use serde_json::Value;

use super::{Error, Result};

pub use detections::{ClassScore, DetectionScore, score_detections};
pub use footprint::FootprintScore;
pub use gps::GpsError;
pub use orthophoto::{KindScore, OrthoScore, judge_orthophoto, score_orthophoto};
pub use radiometry::RadiometryScore;

fn read_json(path: &Path) -> Result<Value> {
    let text = read_text(path)?;
    serde_json::from_str(&text).map_err(|error| fault(path, &error.to_string()))
}

fn read_text(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|error| fault(path, &error.to_string()))
}

fn fault(path: &Path, reason: &str) -> Error {
    Error::Read { path: path.to_owned(), reason: reason.to_owned() }
}

/// Returns the properties and the first rings (longitude, latitude) of a collection of polygons.
fn polygons(path: &Path) -> Result<Vec<(Value, Vec<[f64; 2]>)>> {
    let collection = read_json(path)?;
    let features =
        collection["features"].as_array().ok_or_else(|| fault(path, "it is not a GeoJSON FeatureCollection"))?;
    features
        .iter()
        .map(|feature| {
            let ring: Option<Vec<[f64; 2]>> = feature["geometry"]["coordinates"][0]
                .as_array()
                .and_then(|ring| ring.iter().map(|p| Some([p[0].as_f64()?, p[1].as_f64()?])).collect());
            let ring = ring.filter(|ring| ring.len() >= 4).ok_or_else(|| fault(path, "a feature is not a polygon"))?;
            Ok((feature["properties"].clone(), ring))
        })
        .collect()
}

/// Returns the middle value; 0 of nothing.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}
