//! Altitudes that are wrong by tens of metres, as barometers and geoids have them.

use super::*;

/// Ordinary GPS: no sigma is claimed, and the heights may have an offset.
fn fly_without_rtk(folder: &Path) -> Vec<PhotoInput> {
    let mut photos = fly(folder);
    let start = chrono::DateTime::from_timestamp(1_760_000_000, 0).unwrap();
    for (index, photo) in photos.iter_mut().enumerate() {
        photo.metadata.gps_sigma = None;
        // The second strip is flown after a change of batteries.
        let pause = chrono::TimeDelta::minutes(if index < 4 { 0 } else { 40 });
        photo.metadata.taken_at = Some(start + pause + chrono::TimeDelta::seconds(3 * index as i64));
    }
    photos
}

fn raise(photos: &mut [PhotoInput], metres: f64) {
    for photo in photos {
        photo.metadata.absolute_altitude_m = photo.metadata.absolute_altitude_m.map(|height| height + metres);
    }
}

/// Stitches and looks whether the flight has its size and its place.
fn comes_out_right(photos: &[PhotoInput], folder: &Path) -> Report {
    let out = folder.join("ortho.tif");
    let report = stitch_quietly(photos, out.clone()).unwrap();
    assert_eq!((report.photos.used, report.verdict.as_str()), (8, "ok"), "{:?}", report.photos.rejected);
    assert!((report.height_above_ground_m - HEIGHT_M).abs() < 1.0, "{} m", report.height_above_ground_m);
    let (shift, likeness) = shift_of(&out);
    assert!(likeness > 0.97 && shift[0].hypot(shift[1]) <= 0.1, "{shift:?} {likeness}");
    report
}

#[test]
fn thirty_five_metres_too_high_on_one_flight_or_on_both_do_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let mut photos = fly_without_rtk(folder.path());
    raise(&mut photos[4..], 35.0);
    comes_out_right(&photos, folder.path());
    raise(&mut photos[..4], 35.0);
    comes_out_right(&photos, folder.path());
}

#[test]
fn heights_over_the_ground_that_gps_contradicts_are_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let mut photos = fly_without_rtk(folder.path());
    for photo in &mut photos {
        photo.metadata.relative_altitude_m = Some(HEIGHT_M + 35.0);
    }
    let report = comes_out_right(&photos, folder.path());
    assert!(report.notes.iter().any(|note| note.contains("relative altitudes disagree")), "{:?}", report.notes);
}
