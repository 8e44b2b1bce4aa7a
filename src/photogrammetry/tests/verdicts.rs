//! Whole stitches and what their reports say of them.

use serde_json::Value;

use super::{super::Picture, *};

/// A flight with ordinary GPS and its surveyed points, after `change`; what the stitch reports.
fn judged(change: impl FnOnce(&mut [PhotoInput], &mut [Gcp])) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let mut photos = fly(folder.path());
    let mut gcps = survey(&photos);
    for photo in &mut photos {
        photo.metadata.gps_sigma = None;
    }
    change(&mut photos, &mut gcps);
    let options = Options { out: folder.path().join("ortho.tif"), gcps, ..Options::default() };
    stitch(&photos, &options, &|_| ()).unwrap()
}

/// Moves a place by metres.
fn moved([lon, lat]: [f64; 2], by: impl Fn(f64, f64) -> [f64; 2]) -> [f64; 2] {
    let frame = LocalFrame::at(ORIGIN);
    let [east, north, _] = frame.to_enu([lon, lat, ORIGIN[2]]);
    let [east, north] = by(east, north);
    let [lon, lat, _] = frame.to_lonlat([east, north, 0.0]);
    [lon, lat]
}

#[test]
fn control_points_beside_the_flight_say_do_not_use() {
    let report = judged(|_, gcps| {
        for gcp in gcps {
            gcp.xy = moved(gcp.xy, |east, north| [east + 60.0, north]);
        }
    });
    assert!(report.control_rmse.unwrap().horizontal_m < 0.05, "the photos follow them all the same");
    assert!(report.verdict.starts_with("do not use: control points lie 60 m away"), "{}", report.verdict);
    assert!(report.advice[0].contains("coordinate system"), "{:?}", report.advice);
}

#[test]
fn gps_that_tells_of_another_size_than_the_control_points_says_do_not_use() {
    let report = judged(|photos, _| {
        for photo in photos {
            // Receivers of 10 cm: a scale of 1.2 shows on a flight of 15 m.
            photo.metadata.gps_sigma = Some(GpsSigma { horizontal_m: 0.1, vertical_m: 3.0 });
            photo.metadata.lonlat = photo.metadata.lonlat.map(|at| moved(at, |east, north| [east * 1.2, north * 1.2]));
        }
    });
    assert!(
        report.verdict.contains("beside the control points, GPS asks for a scale that differs by"),
        "{}",
        report.verdict
    );
    assert!(report.gps.unwrap().scale_ppm > 150_000.0);
}

#[test]
fn a_check_point_that_disagrees_says_do_not_use() {
    let report = judged(|_, gcps| gcps[4].xy = moved(gcps[4].xy, |east, north| [east, north + 0.8]));
    assert!(report.verdict.contains("check points are off by 0.8"), "{}", report.verdict);
    let check = report.check_rmse.unwrap();
    assert!((check.north_m - 0.8).abs() < 0.05 && check.east_m < 0.05, "{check:?}");
}

/// Every member of a JSON value, by its path; of an array those of its first element.
fn members(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                members(value, &format!("{path}.{name}"), found);
            }
        }
        Value::Array(values) if values.first().is_some_and(Value::is_object) => {
            members(&values[0], &format!("{path}[]"), found);
        }
        _ => found.push(path.trim_start_matches('.').to_owned()),
    }
}

/// What programs read of `report.json`. A member may be added here; none may go.
const MEMBERS: &str = "verdict reasons advice notes title \
    photos.total photos.used photos.rejected[].name photos.rejected[].reason photos.rejected[].longitude \
    photos.rejected[].latitude photos.rejected[].east_m photos.rejected[].north_m photos.rejected[].off_nadir_deg taken \
    reprojection_rmse_px gsd_m height_above_ground_m relative_altitude_m tie_points sightings crs size_px covered_pixels \
    covered_m2 georeferenced_by heights_from frame.longitude frame.latitude frame.height_m \
    gps.photos gps.horizontal_rmse_m gps.vertical_rmse_m gps.scale_ppm gps.scale_sigma_ppm gps.scale_limit_ppm \
    gps.rotation_mrad gps.rotation_sigma_mrad gps.rotation_limit_mrad gps.tilt_mrad gps.tilt_sigma_mrad \
    gps.tilt_limit_mrad gps.sigma_horizontal_m gps.sigma_vertical_m gps.spread_m gps.east.mean_m gps.east.rmse_m \
    gps.east.largest_m gps.north.mean_m gps.north.rmse_m gps.north.largest_m gps.up.mean_m gps.up.rmse_m gps.up.largest_m \
    gps.outliers gps.altitude_offsets_m \
    cameras[].camera cameras[].photos cameras[].prior.width_px cameras[].prior.height_px cameras[].prior.focal_px \
    cameras[].prior.cx cameras[].prior.cy cameras[].prior.k cameras[].prior.p cameras[].adjusted.width_px \
    cameras[].adjusted.height_px cameras[].adjusted.focal_px cameras[].adjusted.cx cameras[].adjusted.cy \
    cameras[].adjusted.k cameras[].adjusted.p cameras[].focal_change_percent cameras[].parameters[].name \
    cameras[].parameters[].prior cameras[].parameters[].prior_sigma cameras[].parameters[].adjusted \
    cameras[].residuals.mean_px cameras[].residuals.largest_px \
    control_points[].name control_points[].photos control_points[].east_m control_points[].north_m control_points[].up_m \
    control_points[].at_m control_points[].longitude control_points[].latitude control_rmse.points control_rmse.east_m \
    control_rmse.north_m control_rmse.up_m control_rmse.horizontal_m \
    check_points[].name check_points[].photos check_points[].east_m check_points[].north_m check_points[].up_m \
    check_points[].at_m check_points[].longitude check_points[].latitude check_rmse.points check_rmse.east_m \
    check_rmse.north_m check_rmse.up_m check_rmse.horizontal_m \
    reprojection.bin_px reprojection.counts reprojection.beyond reprojection.median_px reprojection.p95_px \
    reprojection.tie_points_seen_by overlap.west_m overlap.north_m overlap.cell_m overlap.photos overlap.median_photos \
    overlap.at_least_two overlap.at_least_three overlap.at_least_five \
    per_photo[].name per_photo[].camera per_photo[].sortie per_photo[].tie_points per_photo[].reprojection_rmse_px \
    per_photo[].longitude per_photo[].latitude per_photo[].east_m per_photo[].north_m per_photo[].up_m \
    per_photo[].height_above_ground_m per_photo[].gps_residual_m per_photo[].gps_sigma_m per_photo[].gain \
    stages[].name stages[].seconds stages[].peak_memory_mb stages[].kept software finished_at";

#[test]
fn a_report_has_its_members_and_agrees_with_itself_and_with_the_flight() {
    let folder = tempfile::tempdir().unwrap();
    let mut photos = fly(folder.path());
    let gcps = survey(&photos);
    photos[7].metadata.gimbal = Some(Attitude { yaw_deg: 0.0, pitch_deg: -20.0, roll_deg: 0.0 });
    let out = folder.path().join("dijk & dam.tif");
    let report = stitch(&photos, &Options { out: out.clone(), gcps, ..Options::default() }, &|_| ()).unwrap();
    let json: Value = serde_json::from_str(&report.to_json()).unwrap();
    let mut found = Vec::new();
    members(&json, "", &mut found);
    let missing: Vec<&str> = MEMBERS.split_whitespace().filter(|name| !found.iter().any(|path| path == name)).collect();
    assert!(missing.is_empty(), "{missing:?} of {found:?}");

    assert_eq!((report.verdict.as_str(), report.reasons.len()), ("ok", 0), "{}", report.verdict);
    let by = (report.georeferenced_by, report.heights_from);
    assert_eq!((report.title.as_str(), by), ("dijk & dam", ("control points", "control points")));
    let rejected = &report.photos.rejected[0];
    assert_eq!((rejected.name.as_str(), rejected.off_nadir_deg), ("photo_7.jpg", Some(70.0)));
    // The last photo of the second strip was taken over its beginning.
    assert!((rejected.east_m.unwrap() - report.per_photo[3].east_m).abs() < 1.0, "{rejected:?}");
    let counted = report.reprojection.counts.iter().sum::<u64>() + report.reprojection.beyond;
    assert_eq!(counted, report.sightings as u64);
    assert_eq!(report.per_photo.iter().map(|photo| photo.tie_points).sum::<usize>(), report.sightings);
    assert_eq!(report.reprojection.tie_points_seen_by.iter().sum::<usize>(), report.tie_points);
    // The grid of the overlap counts the same ground as the pixels do, but for its rim.
    let cells = report.overlap.photos.iter().flatten().filter(|count| **count > 0).count() as f64;
    let seen_m2 = cells * report.overlap.cell_m.powi(2);
    assert!((seen_m2 / report.covered_m2 - 1.0).abs() < 0.05, "{seen_m2} m² and {} m²", report.covered_m2);
    for photo in &report.per_photo {
        assert!(
            photo.gps_distance_m().unwrap() < 0.1 && (photo.height_above_ground_m - HEIGHT_M).abs() < 0.6,
            "{photo:?}"
        );
        assert!(
            report.overlap.at([photo.east_m, photo.north_m]) > 1,
            "a photo and its neighbours see the ground under it"
        );
    }
    let [focal, ..] = report.cameras[0].parameters[..] else { panic!("no parameters") };
    assert_eq!((focal.name, focal.prior, focal.prior_sigma), ("f", 395.0, 11.85));
    assert!((focal.adjusted - 400.0).abs() < 6.0, "{focal:?}");

    let page = report.page(Some(&Picture::of(&out).unwrap()));
    assert!(page.contains("data:image/jpeg;base64,") && page.contains("dijk &amp; dam") && page.len() < 400_000);
}
