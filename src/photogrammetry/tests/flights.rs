//! Flights that come out well, though some of their metadata is wrong, and go on where they were broken off.

use super::*;

#[test]
fn a_textured_plane_comes_out_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut photos = fly(folder.path());
    // A photo that ends early, one of another place, and one without a position come along.
    let whole = std::fs::read(&photos[0].path).unwrap();
    let truncated =
        PhotoInput { name: "truncated.jpg".to_owned(), path: folder.path().join("truncated.jpg"), ..photos[0].clone() };
    std::fs::write(&truncated.path, &whole[..whole.len() / 2]).unwrap();
    let mut elsewhere = PhotoInput { name: "elsewhere.jpg".to_owned(), ..photos[1].clone() };
    elsewhere.metadata.lonlat = Some([5.6, 51.9]);
    let mut nowhere = PhotoInput { name: "nowhere.jpg".to_owned(), ..photos[2].clone() };
    nowhere.metadata.lonlat = None;
    photos.extend([truncated, elsewhere, nowhere]);

    let out = folder.path().join("ortho.tif");
    let report = stitch_quietly(&photos, out.clone()).unwrap();
    assert_eq!((report.photos.total, report.photos.used), (11, 8), "{:?}", report.photos.rejected);
    let reasons: Vec<(&str, &str)> =
        report.photos.rejected.iter().map(|r| (r.name.as_str(), r.reason.as_str())).collect();
    assert!(reasons[0].0 == "elsewhere.jpg" && reasons[0].1.contains("km away"), "{reasons:?}");
    assert!(reasons[1].0 == "nowhere.jpg" && reasons[1].1.contains("no GPS"), "{reasons:?}");
    assert!(reasons[2].0 == "truncated.jpg" && reasons[2].1.contains("truncated"), "{reasons:?}");

    assert_eq!(report.verdict, "ok");
    assert!(report.reprojection_rmse_px < 0.7, "{} px", report.reprojection_rmse_px);
    assert!((report.height_above_ground_m - HEIGHT_M).abs() < 0.6, "{} m", report.height_above_ground_m);
    // 5 cm is the GSD; RTK knows eight positions within 2 cm.
    let (shift, likeness) = shift_of(&out);
    assert!(likeness > 0.97, "likeness {likeness}");
    assert!(shift[0].hypot(shift[1]) <= 0.05, "{shift:?}");
}

#[test]
fn wrong_headings_are_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut photos = fly(folder.path());
    for photo in &mut photos[4..] {
        // The second strip claims to fly like the first.
        photo.metadata.gimbal = photo.metadata.gimbal.map(|gimbal| Attitude { yaw_deg: 90.0, ..gimbal });
    }
    let out = folder.path().join("ortho.tif");
    let report = stitch_quietly(&photos, out.clone()).unwrap();
    assert_eq!(report.photos.used, 8);
    assert!(report.notes.iter().any(|note| note.contains("heading of 4 photos")), "{:?}", report.notes);
    let (shift, likeness) = shift_of(&out);
    assert!(likeness > 0.97 && shift[0].hypot(shift[1]) <= 0.05, "{shift:?} {likeness}");
}

#[test]
fn a_stitch_starts_where_something_is_new() {
    let folder = tempfile::tempdir().unwrap();
    let photos = fly(folder.path());
    let made = |gsd_m: f64, kept: bool| {
        let out = folder.path().join("ortho.tif");
        let kept = kept.then(|| folder.path().join("stages"));
        let options = Options { out: out.clone(), gsd_m: Some(gsd_m), kept, ..Options::default() };
        let report = stitch(&photos, &options, &|_| ()).unwrap();
        let kept: Vec<&str> = report.stages.iter().filter(|stage| stage.kept).map(|stage| stage.name).collect();
        (kept, std::fs::read(&out).unwrap())
    };
    let (kept, first) = made(0.05, true);
    assert!(kept.is_empty(), "{kept:?}");
    let (kept, again) = made(0.05, true);
    assert_eq!(kept, ["keypoints", "matching", "adjustment", "sweep"]);
    assert!(first == again, "the same pixels");
    let (kept, coarse) = made(0.1, true);
    assert_eq!(kept, ["keypoints", "matching", "adjustment", "sweep"]);
    assert!(coarse == made(0.1, false).1, "as without anything kept");

    // One photo is another: its keypoints and all that follows from them are made again.
    let other = encode_jpeg(&crate::raster::read_photo(&photos[3].path).unwrap(), 80).unwrap();
    std::fs::write(&photos[3].path, other).unwrap();
    let stages = || std::fs::read_dir(folder.path().join("stages")).unwrap().count();
    let before = stages();
    let (kept, changed) = made(0.05, true);
    assert!(kept.is_empty() && changed == made(0.05, false).1, "{kept:?}");
    // Keypoints of one photo, the pairs of those that it is the second of, its own, the adjustment, and the sweep.
    assert!((4..=7).contains(&(stages() - before)), "{}", stages() - before);
}
