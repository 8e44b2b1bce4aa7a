//! Metadata as cameras and editors leave it.

use super::*;
use crate::raster::{GpsSigma, LensCalibration};

fn photo(name: &str, lonlat: [f64; 2]) -> PhotoInput {
    let metadata = PhotoMetadata {
        width: 4000,
        height: 3000,
        lonlat: Some(lonlat),
        absolute_altitude_m: Some(80.0),
        relative_altitude_m: Some(40.0),
        ..PhotoMetadata::default()
    };
    PhotoInput { name: name.to_owned(), path: name.into(), metadata }
}

fn row(step_deg: f64, write: impl Fn(f64) -> f64) -> Vec<PhotoInput> {
    (0..6)
        .map(|index| {
            let along = f64::from(index) * step_deg;
            photo(&format!("{index}.jpg"), [write(5.400_012_3 + along), write(51.850_045_6)])
        })
        .collect()
}

fn sigmas(inputs: &[PhotoInput]) -> Vec<f64> {
    let flight = sort_out(inputs, None).unwrap();
    flight.photos.iter().map(|photo| (photo.gps.unwrap().sigma_horizontal_m * 100.0).round() / 100.0).collect()
}

#[test]
fn rounded_positions_are_trusted_as_far_as_they_were_rounded() {
    let whole = row(0.000_13, |degrees| degrees);
    assert_eq!(sigmas(&whole), [1.5; 6]);
    let decimals = row(0.000_13, |degrees| (degrees * 1e4).round() / 1e4);
    // 11.132 m over the root of twelve is 3.21 m.
    assert_eq!(sigmas(&decimals), [3.55; 6]);
    let notes = sort_out(&decimals, None).unwrap().notes;
    assert!(notes.len() == 1 && notes[0].contains("4 decimals") && notes[0].contains("11 m"), "{notes:?}");
    let seconds = row(0.000_7, |degrees| (degrees * 3600.0).trunc() / 3600.0);
    assert!(sigmas(&seconds).iter().all(|sigma| (8.9..9.2).contains(sigma)), "{:?}", sigmas(&seconds));
}

#[test]
fn a_position_that_stands_still_is_hardly_trusted_and_alone_is_refused() {
    let mut photos = row(0.000_1, |degrees| degrees);
    let stuck = photos[3].metadata.lonlat;
    photos[4].metadata.lonlat = stuck;
    assert_eq!(sigmas(&photos), [1.5; 6], "two may have hovered");
    photos[5].metadata.lonlat = stuck;
    assert_eq!(sigmas(&photos), [1.5, 1.5, 1.5, 30.0, 30.0, 30.0]);
    let notes = sort_out(&photos, None).unwrap().notes;
    assert!(notes[0].contains("3 photos have exactly"), "{notes:?}");

    for photo in &mut photos {
        photo.metadata.lonlat = stuck;
    }
    let refused = sort_out(&photos, None).err().unwrap();
    assert!(matches!(refused, Error::StuckPosition { total: 6 }));
    assert!(refused.to_string().contains("same GPS position") && refused.to_string().contains("--gcp"));
    let placed = sort_out(&photos, Some([5.4, 51.85, 45.0])).unwrap();
    assert!(placed.photos.iter().all(|photo| photo.gps.is_none()) && placed.notes[0].contains("not used"));
}

#[test]
fn each_solution_of_a_receiver_has_its_own_sigma() {
    let mut photos = row(0.000_1, |degrees| degrees);
    let precise = Some(GpsSigma { horizontal_m: 0.012, vertical_m: 0.02 });
    for (index, (flag, sigma)) in [
        (Some(50), precise),
        (Some(50), None),
        (Some(34), precise),
        (Some(34), None),
        (Some(16), precise),
        (None, None),
    ]
    .into_iter()
    .enumerate()
    {
        (photos[index].metadata.rtk_flag, photos[index].metadata.gps_sigma) = (flag, sigma);
    }
    assert_eq!(sigmas(&photos), [0.01, 0.03, 0.1, 0.5, 0.8, 1.5]);
    let flight = sort_out(&photos, None).unwrap();
    let rtk: Vec<bool> = flight.photos.iter().map(|photo| photo.gps.unwrap().rtk).collect();
    assert_eq!(rtk, [true, true, true, false, false, false], "only heights as good as the plan need no offset");
}

#[test]
fn cameras_are_told_apart_by_all_that_changes_a_lens() {
    let mut photos = row(0.000_1, |degrees| degrees);
    for photo in &mut photos {
        photo.metadata.model = Some("M3E".to_owned());
        photo.metadata.focal_px = Some(3700.0);
    }
    photos[1].metadata.serial = Some("17".to_owned());
    photos[2].metadata.focal_px = Some(7400.0);
    photos[3].metadata.width = 5280;
    photos[4].metadata.focal_px = None;
    photos[5].metadata.calibration =
        Some(LensCalibration { focal_px: 3720.0, axis_px: [-8.0, 12.0], k: [-0.11, 0.02, 0.0], p: [0.001, 0.0] });
    let flight = sort_out(&photos, None).unwrap();
    assert_eq!(flight.photos.iter().map(|photo| photo.camera).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
    let shares: Vec<f64> =
        flight.cameras.iter().map(|group| (group.sigma[0] / group.prior.focal_px * 1000.0).round()).collect();
    assert_eq!(shares, [30.0, 30.0, 30.0, 30.0, 200.0, 15.0]);
    let own = &flight.cameras[5].prior;
    assert_eq!(own.parameters(), [3720.0, 1992.0, 1512.0, -0.11, 0.02, 0.0, 0.001, 0.0]);
}

#[test]
fn a_pause_begins_a_sortie_with_an_altitude_of_its_own() {
    let mut photos = row(0.000_1, |degrees| degrees);
    let start = chrono::DateTime::from_timestamp(1_760_000_000, 0).unwrap();
    for (index, photo) in photos.iter_mut().enumerate() {
        let pause = TimeDelta::minutes(if index > 2 { 45 } else { 0 });
        photo.metadata.taken_at = Some(start + pause + TimeDelta::seconds(4 * index as i64));
    }
    let flight = sort_out(&photos, None).unwrap();
    assert_eq!(flight.photos.iter().map(|photo| photo.sortie).collect::<Vec<_>>(), [0, 0, 0, 1, 1, 1]);
    let second = flight.part(&[3, 4, 5]);
    assert_eq!((second.sorties, second.photos[0].sortie, second.cameras.len()), (1, 0, 1));
}

#[test]
fn photos_that_look_far_aside_are_rejected_whichever_way_they_lean() {
    let mut photos = row(0.000_1, |degrees| degrees);
    for (photo, pitch_deg) in photos.iter_mut().zip([-90.0, -60.0, -50.0, -130.0, -89.0, -91.0]) {
        photo.metadata.gimbal = Some(Attitude { yaw_deg: 0.0, pitch_deg, roll_deg: 0.0 });
    }
    let flight = sort_out(&photos, None).unwrap();
    let names: Vec<&str> = flight.rejected.iter().map(|rejected| rejected.name.as_str()).collect();
    assert_eq!(names, ["2.jpg", "3.jpg"]);
    assert!(flight.rejected.iter().all(|rejected| rejected.reason.contains("40°")), "{:?}", flight.rejected);
}

#[test]
fn one_photo_under_two_names_is_used_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut photos = row(0.000_1, |degrees| degrees);
    for (index, photo) in photos.iter_mut().enumerate() {
        photo.path = folder.path().join(&photo.name);
        std::fs::write(&photo.path, [index as u8; 64]).unwrap();
    }
    let copy = PhotoInput { name: "copy of 2.jpg".to_owned(), path: folder.path().join("copy"), ..photos[2].clone() };
    std::fs::copy(&photos[2].path, &copy.path).unwrap();
    photos.push(copy);
    let flight = sort_out(&photos, None).unwrap();
    assert_eq!(flight.photos.len(), 6);
    let reason = "it is the same photo as 2.jpg".to_owned();
    assert_eq!(flight.rejected, [Rejected { name: "copy of 2.jpg".to_owned(), reason }]);
}
