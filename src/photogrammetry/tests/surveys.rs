//! Surveyed points: alone, with mistakes in them, and in another place than the photos.

use super::{
    super::{gcp::vet, photos::sort_out},
    *,
};

#[test]
fn photos_without_gps_are_placed_by_control_points() {
    let folder = tempfile::tempdir().unwrap();
    let mut photos = fly(folder.path());
    let gcps = survey(&photos);
    for photo in &mut photos {
        photo.metadata = PhotoMetadata {
            lonlat: None,
            gimbal: None,
            absolute_altitude_m: None,
            gps_sigma: None,
            ..photo.metadata.clone()
        };
    }
    let refused = stitch_quietly(&photos, folder.path().join("none.tif")).unwrap_err();
    assert!(matches!(refused, Error::NoPosition { .. }));
    assert!(refused.to_string().contains("GPS") && refused.to_string().contains("--gcp"));

    let out = folder.path().join("ortho.tif");
    let options = Options { out: out.clone(), gcps, ..Options::default() };
    let report = stitch(&photos, &options, &|_| ()).unwrap();
    assert_eq!((report.photos.used, report.control_points.len(), report.check_points.len()), (8, 4, 1));
    let check = &report.check_points[0];
    assert!(check.east_m.hypot(check.north_m) < 0.05, "{check:?}");
    let (shift, likeness) = shift_of(&out);
    assert!(likeness > 0.95 && shift[0].hypot(shift[1]) <= 0.05, "{shift:?} {likeness}");
}

#[test]
fn a_mistyped_mark_and_a_wrong_point_are_left_out_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut photos = fly(folder.path());
    let mut gcps = survey(&photos);
    for photo in &mut photos {
        photo.metadata.gps_sigma = None;
    }
    // Two digits of a column swapped, four metres on a coordinate, a photo of another flight, a row outside the photo.
    let typed = gcps[0].marks[1].clone();
    gcps[0].marks[1].1[0] += 150.0;
    let place = LocalFrame::at(ORIGIN).to_lonlat([14.0, 5.0, 0.0]);
    gcps[1].xy = [place[0], place[1]];
    gcps[2].marks.push(("other_flight.jpg".to_owned(), [10.0, 10.0]));
    let outside = gcps[3].marks.len() - 1;
    gcps[3].marks[outside].1[1] = 361.0;

    let out = folder.path().join("ortho.tif");
    let report = stitch(&photos, &Options { out: out.clone(), gcps, ..Options::default() }, &|_| ()).unwrap();
    let said = |parts: &[&str]| report.notes.iter().any(|note| parts.iter().all(|part| note.contains(part)));
    assert!(said(&["mark of 0", &typed.0, "px from", "mistyped"]), "{:?}", report.notes);
    assert!(said(&["control point 1", "left out", "+4.0", "north"]) || said(&["control point 1", "left out", "-4.0"]));
    assert!(said(&["mark of 2 in other_flight.jpg", "no photo of the flight"]), "{:?}", report.notes);
    assert!(said(&["mark of 3", "361", "outside the photo", "480 × 360"]), "{:?}", report.notes);
    assert_eq!(report.control_points.len(), 3, "{:?}", report.control_points);
    let check = &report.check_points[0];
    assert!(check.east_m.hypot(check.north_m) < 0.05, "{check:?}");
    let (shift, likeness) = shift_of(&out);
    assert!(likeness > 0.97 && shift[0].hypot(shift[1]) <= 0.05, "{shift:?} {likeness}");
}

/// What the engine says to surveyed points that were written down as `write` does.
fn said_to(write: impl Fn([f64; 2]) -> (Crs, [f64; 2])) -> String {
    let folder = tempfile::tempdir().unwrap();
    let photos = fly(folder.path());
    let mut gcps = survey(&photos);
    for gcp in &mut gcps {
        (gcp.crs, gcp.xy) = write(gcp.xy);
    }
    let flight = sort_out(&photos, None).unwrap();
    vet(&gcps, &photos, &flight).map_or_else(|error| error.to_string(), |(kept, _)| format!("{} kept", kept.len()))
}

#[test]
fn points_elsewhere_are_refused_with_the_reading_that_would_put_them_right() {
    let place = |lonlat, crs| Projection::new(Crs::WGS84, crs).unwrap().forward(lonlat).unwrap();
    let swapped = |[x, y]: [f64; 2]| [y, x];
    let (utm31, utm32) = (Crs::from_epsg(32631), Crs::from_epsg(32632));
    assert_eq!(said_to(|lonlat| (utm31, place(lonlat, utm31))), "5 kept");
    for (what, text, parts) in [
        (
            "swapped",
            said_to(|lonlat| (utm31, swapped(place(lonlat, utm31)))),
            &["km from the photos", "with x and y swapped they would lie", " m from them: swap the columns"][..],
        ),
        (
            "latitude first",
            said_to(|lonlat| (Crs::WGS84, swapped(lonlat))),
            &["6,", "km from the photos", "swap the columns"],
        ),
        (
            "the neighbouring zone",
            said_to(|lonlat| (utm32, place(lonlat, utm31))),
            &["km from the photos", "read as EPSG:32631 (UTM)", "in place of EPSG:32632"],
        ),
        (
            "RD named as UTM",
            said_to(|lonlat| (utm31, place(lonlat, Crs::RD_NEW))),
            &["read as EPSG:28992 (RD New)", "name EPSG:28992"],
        ),
        (
            "UTM named as RD",
            said_to(|lonlat| (Crs::RD_NEW, place(lonlat, utm31))),
            &["read as EPSG:32631 (UTM)", "in place of EPSG:28992"],
        ),
        (
            "RD with its axes swapped, named as UTM",
            said_to(|lonlat| (utm31, swapped(place(lonlat, Crs::RD_NEW)))),
            &["read as EPSG:28992 (RD New) and with x and y swapped", "swap the columns"],
        ),
        ("west of Greenwich", said_to(|[lon, lat]| (Crs::WGS84, [-lon, lat])), &["longitudes negative", "minus"]),
        (
            "degrees in a metric system",
            said_to(|lonlat| (Crs::RD_NEW, lonlat)),
            &["EPSG:4326 (longitude and latitude)"],
        ),
        ("another country", said_to(|[lon, lat]| (Crs::WGS84, [lon + 3.0, lat - 2.0])), &["310 km", "of this flight"]),
    ] {
        assert!(parts.iter().all(|part| text.contains(part)), "{what}: {text} has not all of {parts:?}");
    }
}
