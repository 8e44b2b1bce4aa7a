//! From matches to cameras in their places, on GPS and on surveyed points.

use serde::{Deserialize, Serialize};

use super::{
    adjust::{Sightings, adjust_fully, adjust_roughly, first_block, fitting_sightings_per_photo, sightings_per_photo},
    bundle::Block,
    connect::drop_photos,
    error::{Error, Result},
    gcp::{self, Gcp, Surveyed},
    keypoints::Keypoints,
    matching::PairMatches,
    photos::{Flight, Rejected},
    start::estimate_start,
    tracks::build_tracks,
};

/// A photo with fewer tie points after the adjustment has no sure place.
const FEWEST_TIE_POINTS: usize = 25;

/// A flight whose cameras are in their places.
#[derive(Serialize, Deserialize)]
pub struct Oriented {
    pub block: Block,
    pub surveyed: Vec<Surveyed>,
    /// Photos that did not fit; the block has none of them.
    pub rejected: Vec<Rejected>,
    /// What a surveyor should know.
    pub notes: Vec<String>,
}

/// Adjusts the block onto GPS and surveyed points; photos that end with too few tie points are rejected.
///
/// # Errors
/// [`Error::NoGeometry`] when no three photos agree; [`Error::TooFewGcps`] when neither GPS nor points hold the block.
pub fn orient(
    mut flight: Flight,
    mut keypoints: Vec<Keypoints>,
    mut pairs: Vec<PairMatches>,
    gcps: &[Gcp],
) -> Result<Oriented> {
    let rejected_before = flight.rejected.len();
    loop {
        let photos = flight.photos.len();
        let start = estimate_start(&flight, &keypoints, &pairs)
            .ok_or_else(|| no_geometry(photos, "the matches do not fix where each photo is"))?;
        let counts: Vec<usize> = keypoints.iter().map(|k| k.points.len()).collect();
        let sightings = Sightings::new(&build_tracks(&counts, &pairs), &keypoints);
        let mut block = first_block(&flight, &start);
        adjust_roughly(&mut block, &sightings);
        let seen = fitting_sightings_per_photo(&block, &sightings);
        if keep_fitting(&mut flight, &mut keypoints, &mut pairs, &seen)? {
            continue;
        }
        let mut notes = Vec::new();
        let surveyed = pull_onto_survey(&flight, &mut block, gcps, &mut notes)?;
        adjust_fully(&mut block, &sightings, &gcp::control_points(&surveyed));
        if keep_fitting(&mut flight, &mut keypoints, &mut pairs, &sightings_per_photo(&block))? {
            continue;
        }
        let wrong_headings = flight
            .photos
            .iter()
            .zip(&start.right_headings)
            .filter(|(p, right)| p.attitude.is_some() && !**right)
            .count();
        if wrong_headings > 0 {
            notes.push(format!("the heading of {wrong_headings} photos was wrong and taken from their matches"));
        }
        if !start.heights_agree {
            notes.push("the relative altitudes disagree with GPS and the focal length and were not used".to_owned());
        }
        let rejected = flight.rejected.split_off(rejected_before);
        return Ok(Oriented { block, surveyed, rejected, notes });
    }
}

/// Drops the photos that see too few tie points; `true` when there were any.
fn keep_fitting(
    flight: &mut Flight,
    keypoints: &mut Vec<Keypoints>,
    pairs: &mut Vec<PairMatches>,
    seen: &[usize],
) -> Result<bool> {
    let keep: Vec<bool> = seen.iter().map(|count| *count >= FEWEST_TIE_POINTS).collect();
    if !keep.contains(&false) {
        return Ok(false);
    }
    drop_photos(flight, keypoints, pairs, &keep, |_| {
        format!("fewer than {FEWEST_TIE_POINTS} of its points fit the other photos")
    });
    if flight.photos.len() < 3 {
        return Err(no_geometry(keep.len(), "fewer than three photos agree with each other"));
    }
    Ok(true)
}

/// The error for photos that do not fit together.
pub fn no_geometry(photos: usize, detail: &str) -> Error {
    Error::NoGeometry { photos, detail: detail.to_owned() }
}

fn pull_onto_survey(
    flight: &Flight,
    block: &mut Block,
    gcps: &[Gcp],
    notes: &mut Vec<String>,
) -> Result<Vec<Surveyed>> {
    let mut surveyed = gcp::locate(gcps, flight);
    let names: Vec<&str> = flight.photos.iter().map(|photo| photo.name.as_str()).collect();
    notes.extend(gcp::set_wrong_marks_aside(block, &mut surveyed, &names));
    notes.extend(gcp::set_wrong_points_aside(block, &mut surveyed, &names));
    let control = gcp::control_points(&surveyed);
    let has_gps = flight.photos.iter().any(|photo| photo.gps.is_some());
    if !has_gps && control.len() < 3 {
        return Err(Error::TooFewGcps { usable: control.len(), total: gcps.len() });
    }
    if control.is_empty() {
        return Ok(surveyed);
    }
    gcp::pull_onto(block, &surveyed);
    if !has_gps {
        // The positions that held the floating block have no meaning any more.
        block.photos.iter_mut().for_each(|photo| photo.position = None);
    }
    Ok(surveyed)
}
