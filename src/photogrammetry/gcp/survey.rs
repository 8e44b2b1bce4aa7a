//! Surveyed points as points of a block: where they are, where it puts them, and how it is moved onto them.

use nalgebra::{Vector2, Vector3};
use serde::{Deserialize, Serialize};

use super::{
    super::{
        bundle::{Block, Observation, TiePoint, triangulate},
        photos::Flight,
    },
    Gcp, Role,
    belong::find_name,
    similarity::Similarity,
};

/// One sigma of a survey, east, north and up, metres.
const SURVEY_SIGMA_M: [f64; 3] = [0.01, 0.01, 0.015];
/// One sigma of a mark made by a person, pixels.
const MARK_SIGMA_PX: f64 = 0.7;

/// A surveyed point as a point of the block.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Surveyed {
    pub name: String,
    pub role: Role,
    /// East, north, up in the local frame.
    pub enu: Vector3<f64>,
    pub marks: Vec<Observation>,
}

/// Puts surveyed points into the local frame and joins their marks to the flight's photos; what is no place is left out.
pub fn locate(gcps: &[Gcp], flight: &Flight) -> Vec<Surveyed> {
    gcps.iter()
        .filter_map(|gcp| {
            let [lon, lat] = gcp.lonlat()?;
            let enu = Vector3::from(flight.frame.to_enu([lon, lat, gcp.height_m]));
            let mut marks: Vec<Observation> = gcp.marks.iter().filter_map(|mark| observe(mark, flight)).collect();
            marks.sort_by_key(|mark| mark.photo);
            marks.dedup_by_key(|mark| mark.photo);
            Some(Surveyed { name: gcp.name.clone(), role: gcp.role, enu, marks })
        })
        .collect()
}

fn observe((name, pixel): &(String, [f64; 2]), flight: &Flight) -> Option<Observation> {
    let photo = find_name(flight.photos.iter().map(|photo| photo.name.as_str()), name).ok().flatten()?;
    Some(Observation { photo: photo as u32, pixel: Vector2::from(*pixel), sigma_px: MARK_SIGMA_PX, rgb: [0.0; 3] })
}

/// The control points that at least two photos of the block see, as points of the adjustment.
pub fn control_points(surveyed: &[Surveyed]) -> Vec<TiePoint> {
    surveyed
        .iter()
        .filter(|point| point.role == Role::Control && point.marks.len() > 1)
        .map(|point| TiePoint {
            position: point.enu,
            sightings: point.marks.clone(),
            survey: Some((point.enu, Vector3::from(SURVEY_SIGMA_M))),
        })
        .collect()
}

/// Where the block itself puts a surveyed point.
pub fn measured(block: &Block, point: &Surveyed) -> Option<Vector3<f64>> {
    triangulate(block, &point.marks).map(|(position, _)| position)
}

/// Moves, turns and scales the block onto its control points. With one or two of them it is moved only.
///
/// Afterwards nearly right, so that the adjustment can take the points at their full weight. Returns how many were used.
pub fn pull_onto(block: &mut Block, surveyed: &[Surveyed]) -> usize {
    let pairs: Vec<(Vector3<f64>, Vector3<f64>)> = surveyed
        .iter()
        .filter(|point| point.role == Role::Control && point.marks.len() > 1)
        .filter_map(|point| Some((measured(block, point)?, point.enu)))
        .collect();
    if pairs.is_empty() {
        return 0;
    }
    let similarity = Similarity::between(&pairs);
    for photo in &mut block.photos {
        photo.exterior.centre = similarity.apply(&photo.exterior.centre);
        photo.exterior.rotation *= similarity.rotation.transpose();
    }
    for point in &mut block.points {
        point.position = similarity.apply(&point.position);
    }
    pairs.len()
}
