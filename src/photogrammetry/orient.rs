//! From matches to cameras in their places, on GPS and on surveyed points.

use serde::{Deserialize, Serialize};

use super::{
    adjust::{Sightings, adjust_fully, adjust_roughly, first_block, fitting_sightings_per_photo, sightings_per_photo},
    bundle::Block,
    connect::drop_photos,
    error::{Error, Result},
    gcp::{self, Gcp, Surveyed},
    keypoints::ShelvedKeypoints,
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
/// [`Error::NoGeometry`] when no three photos agree; [`Error::TooFewGcps`] when neither GPS nor points hold the block;
/// [`Error::Shelf`].
pub fn orient(
    mut flight: Flight,
    mut keypoints: Vec<ShelvedKeypoints>,
    mut pairs: Vec<PairMatches>,
    gcps: &[Gcp],
) -> Result<Oriented> {
    let rejected_before = flight.rejected.len();
    loop {
        let photos = flight.photos.len();
        let start = estimate_start(&flight, &keypoints, &pairs)?
            .ok_or_else(|| no_geometry(photos, "the matches do not fix where each photo is"))?;
        let counts: Vec<usize> = keypoints.iter().map(|keypoints| keypoints.count).collect();
        let sightings = Sightings::new(&build_tracks(&counts, &pairs), &keypoints)?;
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
    keypoints: &mut Vec<ShelvedKeypoints>,
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

#[cfg(test)]
mod tests {
    use nalgebra::{Vector2, Vector3};
    use rand::{RngExt, SeedableRng};
    use rand_pcg::Pcg64Mcg;

    use super::{
        super::{
            camera::{Camera, Exterior, rotation_of},
            gcp::Role,
            keypoints::{Keypoint, Keypoints},
            photos::{Aside, CameraGroup, Gps, Photo},
        },
        *,
    };
    use crate::{
        raster::Attitude,
        spatial::{Crs, LocalFrame},
    };

    const ORIGIN: [f64; 3] = [5.4, 51.85, 45.0];

    /// Three strips of six photos there and back at 35 m over a dike, with the matches that they would have.
    struct World {
        flight: Flight,
        centres: Vec<Vector3<f64>>,
        exteriors: Vec<Exterior>,
        keypoints: Vec<ShelvedKeypoints>,
        pairs: Vec<PairMatches>,
    }

    /// `order` is the order in which the photos come.
    fn world(order: &[usize]) -> World {
        let mut random = Pcg64Mcg::seed_from_u64(31);
        let lens = Camera::ideal(1600.0, 1200.0, 1130.0)
            .with_parameters([1130.0, 797.0, 603.0, -0.05, 0.01, -0.002, 0.0003, -0.0002]);
        let mut photos = Vec::new();
        for index in 0..18u32 {
            let (strip, along) = (index / 6, index % 6);
            let forwards = strip % 2 == 0;
            let attitude = Attitude {
                yaw_deg: if forwards { 90.0 } else { -90.0 },
                pitch_deg: -90.0 + random.random_range(-2.0..2.0),
                roll_deg: random.random_range(-2.0..2.0),
            };
            let along = f64::from(if forwards { along } else { 5 - along });
            let centre = Vector3::new(along * 9.0, f64::from(strip) * 15.0, 35.0 + random.random_range(-0.5..0.5));
            photos.push((index, attitude, Exterior { rotation: rotation_of(&attitude), centre }));
        }
        let photos: Vec<_> = order.iter().map(|&index| photos[index]).collect();
        let mut keypoints = vec![Keypoints::default(); 18];
        let mut pairs: std::collections::BTreeMap<(usize, usize), Vec<[u32; 2]>> = std::collections::BTreeMap::new();
        for _ in 0..2500 {
            let (east, north): (f64, f64) = (random.random_range(-20.0..65.0), random.random_range(-20.0..50.0));
            let height = (3.0 - (north - 15.0).abs() / 2.0).max(0.0) + random.random_range(-0.1..0.1);
            let mut seen: Vec<(usize, u32)> = Vec::new();
            for (photo, (.., exterior)) in photos.iter().enumerate() {
                let place = exterior.in_camera(&Vector3::new(east, north, height));
                let Some(pixel) = lens.project(&place).filter(|pixel| lens.contains(pixel)) else { continue };
                let noise = Vector2::from_fn(|_, _| random.random_range(-0.3..0.3));
                let keypoint = keypoints[photo].points.len() as u32;
                keypoints[photo].points.push(Keypoint {
                    xy: (pixel + noise).into(),
                    scale_px: 2.0,
                    angle: 0.0,
                    rgb: [128.0; 3],
                });
                for &(other, theirs) in &seen {
                    pairs.entry((other, photo)).or_default().push([theirs, keypoint]);
                }
                seen.push((photo, keypoint));
            }
        }
        let prior = Camera::ideal(1600.0, 1200.0, 1150.0);
        let group = CameraGroup {
            label: "a camera".to_owned(),
            prior,
            sigma: [34.5, 32.0, 32.0, 0.2, 0.2, 0.1, 0.005, 0.005],
            readout_s: (0.0, 0.03),
        };
        let flight = Flight {
            frame: LocalFrame::at(ORIGIN),
            origin: ORIGIN,
            photos: photos
                .iter()
                .map(|(index, attitude, exterior)| Photo {
                    name: format!("{index}.jpg"),
                    path: format!("{index}.jpg").into(),
                    size: [1600, 1200],
                    mirrored: false,
                    camera: 0,
                    sortie: 0,
                    gps: Some(Gps {
                        enu: exterior.centre,
                        sigma_horizontal_m: 0.02,
                        sigma_vertical_m: 0.03,
                        rtk: true,
                    }),
                    attitude: Some(*attitude),
                    relative_altitude_m: Some(exterior.centre.z),
                    taken_at_s: Some(f64::from(*index) * 3.0),
                    aside: Aside::default(),
                })
                .collect(),
            cameras: vec![group],
            sorties: 1,
            rejected: Vec::new(),
            notes: Vec::new(),
        };
        let pairs = pairs
            .into_iter()
            .filter(|(_, matches)| matches.len() >= 20)
            .map(|((first, second), matches)| PairMatches { first, second, matches })
            .collect();
        let exteriors: Vec<Exterior> = photos.iter().map(|(.., exterior)| *exterior).collect();
        let shelf = std::sync::Arc::default();
        let keypoints = keypoints.into_iter().map(|keypoints| ShelvedKeypoints::of(keypoints, &shelf)).collect();
        World { flight, centres: exteriors.iter().map(|e| e.centre).collect(), exteriors, keypoints, pairs }
    }

    fn in_order() -> Vec<usize> {
        (0..18).collect()
    }

    fn worst_centre(found: &Oriented, centres: &[Vector3<f64>]) -> f64 {
        assert_eq!((found.block.photos.len(), found.rejected.len()), (centres.len(), 0));
        let offs = found.block.photos.iter().zip(centres).map(|(photo, known)| (photo.exterior.centre - known).norm());
        offs.fold(0.0, f64::max)
    }

    #[test]
    fn wrong_headings_are_taken_from_the_matches() {
        let World { mut flight, centres, keypoints, pairs, .. } = world(&in_order());
        for (index, photo) in flight.photos.iter_mut().enumerate() {
            photo.attitude.as_mut().unwrap().yaw_deg += 40.0 + 37.0 * index as f64;
        }
        let found = orient(flight, keypoints, pairs, &[]).unwrap();
        let worst = worst_centre(&found, &centres);
        assert!(worst < 0.05, "{worst} m");
        assert!(found.notes.iter().any(|note| note.contains("heading of 1")), "{:?}", found.notes);
    }

    #[test]
    fn photos_may_come_in_any_order() {
        let order: Vec<usize> = (0..18).map(|index| index * 7 % 18).collect();
        let World { flight, centres, keypoints, pairs, .. } = world(&order);
        let found = orient(flight, keypoints, pairs, &[]).unwrap();
        let worst = worst_centre(&found, &centres);
        assert!(worst < 0.05, "{worst} m");
    }

    #[test]
    fn without_any_metadata_control_points_alone_place_a_flight() {
        let World { mut flight, centres, exteriors, keypoints, pairs } = world(&in_order());
        for photo in &mut flight.photos {
            (photo.gps, photo.attitude, photo.relative_altitude_m, photo.taken_at_s) = (None, None, None, None);
        }
        let lens = Camera::ideal(1600.0, 1200.0, 1130.0)
            .with_parameters([1130.0, 797.0, 603.0, -0.05, 0.01, -0.002, 0.0003, -0.0002]);
        let places = [[-5.0, -5.0, 0.1], [50.0, -4.0, 0.0], [48.0, 36.0, 0.2], [-3.0, 35.0, 0.0], [22.0, 15.0, 3.0]];
        let gcps: Vec<Gcp> = places
            .iter()
            .enumerate()
            .map(|(index, place)| {
                let [lon, lat, height_m] = flight.frame.to_lonlat(*place);
                let seen = exteriors.iter().enumerate().filter_map(|(photo, exterior)| {
                    let pixel = lens.project(&exterior.in_camera(&Vector3::from(*place)))?;
                    lens.contains(&pixel).then(|| (format!("{photo}.jpg"), pixel.into()))
                });
                let (name, role) = (format!("point {index}"), Role::Control);
                Gcp { name, crs: Crs::WGS84, xy: [lon, lat], height_m, role, marks: seen.collect() }
            })
            .collect();
        let found = orient(flight, keypoints, pairs, &gcps).unwrap();
        let worst = worst_centre(&found, &centres);
        // A centimetre of survey at the corners, a third of a pixel in the keypoints.
        assert!(worst < 0.15, "{worst} m");
    }
}
