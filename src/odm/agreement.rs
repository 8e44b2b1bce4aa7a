//! Holds what ODM made against the photos' own GPS: its cameras, and the ground that the orthophoto covers.
//!
//! ODM ends with "completed" also when the model is of another size or elsewhere, so a success alone is not believed.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::{Result, regrid::Place, shipment::Shipment};
use crate::{
    photogrammetry::PhotoInput,
    raster::Rgba8,
    spatial::{Crs, LocalFrame, Projection},
};

/// One sigma of a receiver that does not report its own, as in the own engine.
const GPS_HORIZONTAL_M: f64 = 1.5;
/// GPS and photos must agree within this many sigmas, and never are asked for more than the floors.
const AGREEMENT_SIGMAS: f64 = 4.0;
const AGREEMENT_FLOOR_M: f64 = 0.3;
const AGREEMENT_FLOOR_PPM: f64 = 10_000.0;
/// A photo may have been taken so far outside what it shows: GPS is off, and ODM crops the border.
const BESIDE_M: f64 = 10.0;
/// At least this share of the photos must lie over the orthophoto.
const LEAST_OVER: f64 = 0.5;

/// A photo that ODM has placed.
#[derive(Clone, Debug, PartialEq)]
pub struct Shot {
    pub photo: String,
    /// Longitude, latitude, height.
    pub place: [f64; 3],
}

/// Reads `shots.geojson`; also returns the names that no photo of the flight has, of files that are there twice.
pub fn read_shots(shots: &Value, shipment: &Shipment) -> (Vec<Shot>, Vec<String>) {
    let (mut known, mut unknown) = (BTreeMap::new(), Vec::new());
    for feature in shots["features"].as_array().into_iter().flatten() {
        let coordinates = feature["geometry"]["coordinates"].as_array();
        let number = |axis: usize| coordinates.and_then(|c| c.get(axis)).and_then(Value::as_f64);
        let (Some(lon), Some(lat), Some(name)) = (number(0), number(1), feature["properties"]["filename"].as_str())
        else {
            continue;
        };
        match shipment.photo(name) {
            Some(photo) => drop(known.insert(photo.to_owned(), [lon, lat, number(2).unwrap_or(f64::NAN)])),
            None => unknown.push(name.to_owned()),
        }
    }
    (known.into_iter().map(|(photo, place)| Shot { photo, place }).collect(), unknown)
}

/// How ODM's cameras lie to those of GPS.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct GpsAgreement {
    pub horizontal_rmse_m: f64,
    /// After one offset for the whole flight.
    pub vertical_rmse_m: f64,
    /// What GPS would make larger or smaller, parts per million, and one sigma of that by GPS noise alone.
    pub scale_ppm: f64,
    pub scale_sigma_ppm: f64,
    pub rotation_mrad: f64,
}

/// The cameras against GPS.
pub struct Compared {
    pub agreement: GpsAgreement,
    /// East and north of each shot from its GPS, metres, by photo.
    pub residuals: BTreeMap<String, [f64; 2]>,
    /// The median sigma of the receivers.
    pub sigma_m: f64,
}

/// A camera in the plane, and where GPS put it.
type Pair = ([f64; 2], [f64; 2]);

/// Compares the cameras with GPS; `None` with fewer than three that have both.
pub fn compare(photos: &[PhotoInput], shots: &[Shot]) -> Option<Compared> {
    let by_name: BTreeMap<&str, &PhotoInput> = photos.iter().map(|photo| (photo.name.as_str(), photo)).collect();
    let gps = |shot: &Shot| {
        let metadata = &by_name.get(shot.photo.as_str())?.metadata;
        let [lon, lat] = metadata.lonlat?;
        let height = metadata.absolute_altitude_m.unwrap_or(f64::NAN);
        Some(([lon, lat, height], metadata.gps_sigma.map_or(GPS_HORIZONTAL_M, |sigma| sigma.horizontal_m)))
    };
    let with_gps = shots.iter().filter_map(|shot| gps(shot).map(|(place, sigma)| (shot, place, sigma)));
    let pairs: Vec<(&Shot, [f64; 3], f64)> = with_gps.collect();
    if pairs.len() < 3 {
        return None;
    }
    let [lon, lat, _] = pairs[0].1;
    let frame = LocalFrame::at([lon, lat, 0.0]);
    // Heights do not go into the plan: at sea level everywhere.
    let flat = |[lon, lat, _]: [f64; 3]| {
        let [east, north, _] = frame.to_enu([lon, lat, 0.0]);
        [east, north]
    };
    let points: Vec<Pair> = pairs.iter().map(|(shot, gps, _)| (flat(shot.place), flat(*gps))).collect();
    let count = points.len() as f64;
    let mean = |of: &dyn Fn(usize) -> f64| (0..points.len()).map(of).sum::<f64>() / count;
    let centre = |pick: fn(&Pair) -> [f64; 2]| [0, 1].map(|axis| mean(&|at| pick(&points[at])[axis]));
    let (of_shots, of_gps) = (centre(|p| p.0), centre(|p| p.1));
    // A turn and zoom in the plane: complex division of the GPS positions by those of the cameras.
    let (mut dot, mut cross, mut square) = (0.0, 0.0, 0.0);
    for (shot, gps) in &points {
        let (a, b) = ([shot[0] - of_shots[0], shot[1] - of_shots[1]], [gps[0] - of_gps[0], gps[1] - of_gps[1]]);
        dot += a[0] * b[0] + a[1] * b[1];
        cross += a[0] * b[1] - a[1] * b[0];
        square += a[0] * a[0] + a[1] * a[1];
    }
    let square = square.max(1e-9);
    let off = |at: usize| [0, 1].map(|axis| points[at].0[axis] - points[at].1[axis]);
    let up: Vec<f64> = pairs.iter().map(|(shot, gps, _)| shot.place[2] - gps[2]).filter(|up| up.is_finite()).collect();
    let offset = median(up.clone()).unwrap_or(0.0);
    let vertical = (up.iter().map(|up| (up - offset).powi(2)).sum::<f64>() / up.len().max(1) as f64).sqrt();
    let sigma_m = median(pairs.iter().map(|pair| pair.2).collect()).unwrap_or(GPS_HORIZONTAL_M);
    Some(Compared {
        agreement: GpsAgreement {
            horizontal_rmse_m: mean(&|at| off(at).iter().map(|d| d * d).sum()).sqrt(),
            vertical_rmse_m: if up.is_empty() { f64::NAN } else { vertical },
            scale_ppm: (dot.hypot(cross) / square - 1.0) * 1e6,
            scale_sigma_ppm: sigma_m / square.sqrt() * 1e6,
            rotation_mrad: cross.atan2(dot) * 1e3,
        },
        residuals: pairs.iter().enumerate().map(|(at, (shot, ..))| (shot.photo.clone(), off(at))).collect(),
        sigma_m,
    })
}

/// The share of the photos whose GPS lies over ground that the orthophoto covers; `None` when none has GPS.
///
/// `overview` is the whole orthophoto, shrunk.
///
/// # Errors
/// Those of the projection, for places outside its coordinate system.
pub fn share_over(photos: &[PhotoInput], place: &Place, overview: &Rgba8) -> Result<Option<f64>> {
    let to_crs = Projection::new(Crs::WGS84, place.crs)?;
    let gps: Vec<[f64; 2]> = photos.iter().filter_map(|photo| photo.metadata.lonlat).collect();
    if gps.is_empty() {
        return Ok(None);
    }
    let metres = crate::spatial::ground_gsd_m(place.crs, &place.transform, place.size)?;
    let scale = [overview.width as f64 / place.size[0] as f64, overview.height as f64 / place.size[1] as f64];
    let reach = (BESIDE_M / metres * scale[0]).ceil() as i64;
    let is_covered = |x: i64, y: i64| {
        let inside = (0..overview.width as i64).contains(&x) && (0..overview.height as i64).contains(&y);
        inside && overview.data[(y as usize * overview.width + x as usize) * 4 + 3] > 0
    };
    let is_over = |lonlat: &[f64; 2]| -> bool {
        // A place that the system does not know is not over the orthophoto.
        let Ok(pixel) = to_crs.forward(*lonlat).and_then(|ground| place.transform.ground_to_pixel(ground)) else {
            return false;
        };
        let [x, y] = [pixel[0] * scale[0], pixel[1] * scale[1]].map(|at| at.floor() as i64);
        (-reach..=reach).any(|dy| (-reach..=reach).any(|dx| is_covered(x.saturating_add(dx), y.saturating_add(dy))))
    };
    Ok(Some(gps.iter().filter(|lonlat| is_over(lonlat)).count() as f64 / gps.len() as f64))
}

/// `ok`, or why the orthophoto must not be used. With control points it is they who decide about place and scale.
pub fn verdict(compared: Option<&Compared>, over: Option<f64>, used: usize, total: usize, has_control: bool) -> String {
    let mut faults = Vec::new();
    if let Some(over) = over.filter(|over| *over < LEAST_OVER) {
        faults.push(format!("only {:.0} % of the photos' GPS positions lie over it", over * 100.0));
    }
    if let Some(Compared { agreement, sigma_m, .. }) = compared.filter(|_| !has_control) {
        if agreement.horizontal_rmse_m > (AGREEMENT_SIGMAS * sigma_m).max(AGREEMENT_FLOOR_M) {
            faults.push(format!("positions differ from GPS by {:.1} m", agreement.horizontal_rmse_m));
        }
        if agreement.scale_ppm.abs() > AGREEMENT_FLOOR_PPM + AGREEMENT_SIGMAS * agreement.scale_sigma_ppm {
            faults.push(format!("GPS asks for a scale that differs by {:.1} %", agreement.scale_ppm / 1e4));
        }
    }
    if 2 * used < total {
        faults.push(format!("only {used} of {total} photos are in it"));
    }
    if faults.is_empty() { "ok".to_owned() } else { format!("do not use: {}", faults.join("; ")) }
}

pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{raster::PhotoMetadata, spatial::GeoTransform};

    /// Photos on a square of 80 m, their GPS exact.
    fn photos() -> Vec<PhotoInput> {
        let frame = LocalFrame::at([5.0, 52.0, 0.0]);
        let photo = |index: usize| {
            let [lon, lat, _] = frame.to_lonlat([(index % 3) as f64 * 40.0, (index / 3) as f64 * 40.0, 0.0]);
            let metadata =
                PhotoMetadata { lonlat: Some([lon, lat]), absolute_altitude_m: Some(60.0), ..Default::default() };
            PhotoInput { name: format!("{index}.jpg"), path: "none".into(), metadata }
        };
        (0..9).map(photo).collect()
    }

    /// What ODM would have made of them, grown, turned and moved.
    fn shots(photos: &[PhotoInput], grown: f64, turned: f64, moved: f64) -> Vec<Shot> {
        let frame = LocalFrame::at([5.0, 52.0, 0.0]);
        let shot = |photo: &PhotoInput| {
            let [lon, lat] = photo.metadata.lonlat.unwrap();
            let [x, y, _] = frame.to_enu([lon, lat, 0.0]);
            let (sin, cos) = turned.sin_cos();
            let [lon, lat, _] =
                frame.to_lonlat([grown * (cos * x - sin * y) + moved, grown * (sin * x + cos * y), 0.0]);
            Shot { photo: photo.name.clone(), place: [lon, lat, 47.0] }
        };
        photos.iter().map(shot).collect()
    }

    #[test]
    fn scale_turn_and_distance_come_out() {
        let photos = photos();
        let compared = compare(&photos, &shots(&photos, 1.02, 0.003, 0.0)).unwrap();
        let GpsAgreement { scale_ppm, rotation_mrad, vertical_rmse_m, .. } = compared.agreement;
        // What GPS would make smaller, and turn back.
        assert!(
            (scale_ppm + 19_608.0).abs() < 20.0 && (rotation_mrad + 3.0).abs() < 0.01,
            "{scale_ppm} {rotation_mrad}"
        );
        // One offset of all heights is none.
        assert!(vertical_rmse_m < 1e-6);
        let moved = compare(&photos, &shots(&photos, 1.0, 0.0, 8.0)).unwrap();
        assert!((moved.agreement.horizontal_rmse_m - 8.0).abs() < 0.01);
        assert!((moved.residuals["4.jpg"][0] - 8.0).abs() < 0.01);
    }

    #[test]
    fn what_disagrees_with_gps_must_not_be_used() {
        let photos = photos();
        let of = |grown: f64, moved: f64| compare(&photos, &shots(&photos, grown, 0.0, moved)).unwrap();
        assert_eq!(verdict(Some(&of(1.0, 1.0)), Some(1.0), 9, 9, false), "ok");
        let words = verdict(Some(&of(1.3, 0.0)), Some(1.0), 9, 9, false);
        assert!(words.starts_with("do not use: ") && words.contains("scale"), "{words}");
        let words = verdict(Some(&of(1.0, 30.0)), None, 4, 9, false);
        assert!(words.contains("30.0 m") && words.contains("only 4 of 9"), "{words}");
        assert_eq!(verdict(Some(&of(1.0, 30.0)), Some(1.0), 9, 9, true), "ok");
    }

    #[test]
    fn an_orthophoto_elsewhere_lies_under_no_photo() {
        let photos = photos();
        let utm = Crs::utm_at([5.0, 52.0]);
        let to_utm = Projection::new(Crs::WGS84, utm).unwrap();
        let [x, y] = to_utm.forward(photos[4].metadata.lonlat.unwrap()).unwrap();
        let share = |moved: f64, alpha: u8| {
            let transform = GeoTransform::north_up([x - 60.0 + moved, y + 60.0], 0.1);
            let place = Place { crs: utm, transform, size: [1200, 1200] };
            let mut overview = Rgba8::new(60, 60);
            overview.data.fill(alpha);
            share_over(&photos, &place, &overview).unwrap()
        };
        assert_eq!(share(0.0, 255), Some(1.0));
        assert_eq!(share(0.0, 0), Some(0.0));
        assert_eq!(share(500.0, 255), Some(0.0));
        assert!(verdict(None, share(500.0, 255), 9, 9, true).contains("only 0 %"));
    }

    #[test]
    fn shots_are_read_by_their_names_on_the_server() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, [0xff, 0xd8]).unwrap();
        let photo = PhotoInput { name: "a/one two.jpg".to_owned(), path, metadata: PhotoMetadata::default() };
        let shipment = Shipment::of(&[photo], &[]).unwrap();
        let feature = |name: &str| json!({ "geometry": { "coordinates": [5.1, 52.2, 33.0] }, "properties": { "filename": name } });
        let shots = json!({ "features": [feature("one_two.jpg"), feature("one_two_.jpg"), { "geometry": null }] });
        let (known, unknown) = read_shots(&shots, &shipment);
        assert_eq!(known, [Shot { photo: "a/one two.jpg".to_owned(), place: [5.1, 52.2, 33.0] }]);
        assert_eq!(unknown, ["one_two_.jpg"]);
    }
}
