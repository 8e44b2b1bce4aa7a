//! Whether surveyed points belong to a flight, and their marks to its photos.
//!
//! A file in another coordinate system than it says, or with its axes swapped, puts the points far from the photos. Then
//! the numbers are read in the other ways that people mix up, and the one that lands at the photos is named. It is
//! never taken in silence: what lands nearby by chance would be survey-grade nonsense.

use super::{
    super::{
        error::{Error, Result},
        photos::{Flight, PhotoInput},
    },
    Gcp, place_in,
};
use crate::spatial::Crs;

/// No usable photo sees ground this far off, and no receiver errs by as much.
const FARTHEST_M: f64 = 1000.0;
/// Systems that a point may be in beside the UTM zones around the flight: web maps, and the national grids around here.
const OTHER_SYSTEMS: [(u32, &str); 7] = [
    (4326, "longitude and latitude"),
    (28_992, "RD New"),
    (3857, "web Mercator"),
    (31_370, "Belgian Lambert 72"),
    (3812, "Belgian Lambert 2008"),
    (27_700, "the British National Grid"),
    (2154, "Lambert-93"),
];
/// Lines of one kind that are written out; more are counted.
const MOST_LINES: usize = 5;

/// The middle of surveyed points: longitude, latitude, height. `None` when none of them is a place.
pub fn middle(gcps: &[Gcp]) -> Option<[f64; 3]> {
    let places: Vec<[f64; 3]> =
        gcps.iter().filter_map(|gcp| gcp.lonlat().map(|[lon, lat]| [lon, lat, gcp.height_m])).collect();
    let count = places.len() as f64;
    let sum = places.iter().fold([0.0; 3], |s, p| [s[0] + p[0], s[1] + p[1], s[2] + p[2]]);
    (!places.is_empty()).then(|| sum.map(|v| v / count))
}

/// Returns the points and marks that can belong to the flight, and a line for each that cannot.
///
/// `photos` are all photos that came in, used or not.
///
/// # Errors
/// [`Error::GcpElsewhere`] when most points lie far from the photos, with what would put them there.
pub fn vet(gcps: &[Gcp], photos: &[PhotoInput], flight: &Flight) -> Result<(Vec<Gcp>, Vec<String>)> {
    let stations = Stations::of(flight);
    let mut lines = Vec::new();
    let mut kept = Vec::new();
    if stations.places.is_empty() {
        kept.extend_from_slice(gcps);
    } else {
        let distances = stations.distances(gcps, Gcp::lonlat);
        if !gcps.is_empty() && middle_of(&distances) > FARTHEST_M {
            return Err(elsewhere(gcps, &stations, &distances));
        }
        let mut far = Vec::new();
        for (gcp, distance) in gcps.iter().zip(distances) {
            if distance > FARTHEST_M {
                let words = in_words(distance);
                far.push(format!(
                    "surveyed point {} lies {words} from the photos and was left out: check its coordinates",
                    gcp.name
                ));
            } else {
                kept.push(gcp.clone());
            }
        }
        lines.extend(shortened(far, "surveyed points lie far from the photos and were left out"));
    }
    let mut strange = Vec::new();
    for gcp in &mut kept {
        let name = gcp.name.clone();
        gcp.marks.retain(|(photo, pixel)| match fault_of_mark(photo, *pixel, photos) {
            Some(fault) => {
                strange.push(format!("the mark of {name} in {photo} {fault}"));
                false
            }
            None => true,
        });
    }
    lines.extend(shortened(strange, "marks of surveyed points could not be used"));
    Ok((kept, lines))
}

fn fault_of_mark(photo: &str, [column, row]: [f64; 2], photos: &[PhotoInput]) -> Option<String> {
    let Ok(found) = find_name(photos.iter().map(|input| input.name.as_str()), photo) else {
        return Some("is ambiguous: several photos have that name; write the folder before it".to_owned());
    };
    let Some(found) = found else { return Some("is in no photo of the flight".to_owned()) };
    let (width, height) = (photos[found].metadata.width, photos[found].metadata.height);
    let inside = column >= 0.0 && row >= 0.0 && column <= f64::from(width) && row <= f64::from(height);
    (!inside).then(|| format!("at ({column}, {row}) lies outside the photo, which has {width} × {height} pixels"))
}

/// The photo that a name means: the same path, or else the same file name whatever the folder and the case.
///
/// # Errors
/// When several photos go by that file name.
pub(super) fn find_name<'a>(names: impl Iterator<Item = &'a str> + Clone, wanted: &str) -> Result<Option<usize>, ()> {
    if let Some(index) = names.clone().position(|name| name == wanted) {
        return Ok(Some(index));
    }
    let last = |name: &str| name.rsplit(['/', '\\']).next().unwrap_or(name).to_lowercase();
    let mut found = names.enumerate().filter(|(_, name)| last(name) == last(wanted)).map(|(index, _)| index);
    match (found.next(), found.next()) {
        (Some(_), Some(_)) => Err(()),
        (first, _) => Ok(first),
    }
}

fn shortened(mut lines: Vec<String>, what: &str) -> Vec<String> {
    let more = lines.len().saturating_sub(MOST_LINES);
    if more > 0 {
        lines.truncate(MOST_LINES);
        lines.push(format!("{more} more {what}"));
    }
    lines
}

/// Where the photos were taken, by GPS.
struct Stations<'a> {
    /// Name, longitude and latitude.
    places: Vec<(&'a str, [f64; 2])>,
}

impl<'a> Stations<'a> {
    fn of(flight: &'a Flight) -> Self {
        let place = |enu: [f64; 3]| {
            let [lon, lat, _] = flight.frame.to_lonlat(enu);
            [lon, lat]
        };
        let located =
            flight.photos.iter().filter_map(|photo| Some((photo.name.as_str(), place(photo.gps?.enu.into()))));
        Self { places: located.collect() }
    }

    /// How far each point is from the photos that it is marked in, or from any when those have no position; metres.
    /// Infinite for what is no place.
    fn distances(&self, gcps: &[Gcp], read: impl Fn(&Gcp) -> Option<[f64; 2]>) -> Vec<f64> {
        let names = || self.places.iter().map(|(name, _)| *name);
        gcps.iter()
            .map(|gcp| {
                let Some(lonlat) = read(gcp) else { return f64::INFINITY };
                let marked: Vec<usize> =
                    gcp.marks.iter().filter_map(|(photo, _)| find_name(names(), photo).ok().flatten()).collect();
                let to = |index: usize| distance_m(lonlat, self.places[index].1);
                let nearest = |photos: &mut dyn Iterator<Item = usize>| photos.map(to).fold(f64::INFINITY, f64::min);
                if marked.is_empty() { nearest(&mut (0..self.places.len())) } else { nearest(&mut marked.into_iter()) }
            })
            .collect()
    }
}

/// The error for points that lie elsewhere, with the reading of their numbers that would put them at the photos.
fn elsewhere(gcps: &[Gcp], stations: &Stations, distances: &[f64]) -> Error {
    let middle = middle_of(distances);
    let crs = gcps[0].crs;
    let found = if middle.is_finite() {
        format!("the ground control points lie {} from the photos", in_words(middle))
    } else {
        format!("the ground control points are no places in {crs}")
    };
    let reading = readings(crs, stations.places[0].1).into_iter().find_map(|reading| {
        let read = |gcp: &Gcp| {
            let [x, y] = gcp.xy;
            let turned = if reading.swapped { [y, x] } else { [x, y] };
            place_in(reading.crs, [turned[0] * reading.signs[0], turned[1] * reading.signs[1]])
        };
        let middle = middle_of(&stations.distances(gcps, read));
        (middle < FARTHEST_M).then_some((reading, middle))
    });
    let remedy = match reading {
        Some((reading, distance)) => {
            format!("{} they would lie {} from them: {}", reading.words, in_words(distance), reading.remedy)
        }
        None => format!(
            "check that {crs} is the coordinate system they were surveyed in, that x (easting, longitude) comes before \
             y, and that the file is of this flight"
        ),
    };
    Error::GcpElsewhere { found, remedy }
}

fn middle_of(distances: &[f64]) -> f64 {
    let mut sorted = distances.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::INFINITY)
}

/// Another way to read the numbers of a file.
struct Reading {
    crs: Crs,
    swapped: bool,
    signs: [f64; 2],
    words: String,
    remedy: String,
}

/// The ways that people mix up, the likeliest first: the same system with its axes swapped, then other systems.
fn readings(crs: Crs, [lon, lat]: [f64; 2]) -> Vec<Reading> {
    let mut readings = Vec::new();
    let mut add = |crs, swapped, signs, words: String, remedy: String| {
        readings.push(Reading { crs, swapped, signs, words, remedy });
    };
    add(crs, true, [1.0; 2], "with x and y swapped".to_owned(), "swap the columns".to_owned());
    if crs == Crs::WGS84 {
        for (signs, axis) in [([-1.0, 1.0], "longitudes"), ([1.0, -1.0], "latitudes"), ([-1.0, -1.0], "both axes")] {
            add(crs, false, signs, format!("with {axis} negative"), "write west and south with a minus".to_owned());
        }
    }
    let mut systems: Vec<(Crs, String)> =
        OTHER_SYSTEMS.iter().map(|&(code, name)| (Crs::from_epsg(code), format!(" ({name})"))).collect();
    for step in [0.0, -6.0, 6.0] {
        for side in [lat, -lat] {
            let east = (lon + step + 540.0).rem_euclid(360.0) - 180.0;
            // Latitude zero and its mirror are one hemisphere to a zone.
            systems.push((Crs::utm_at([east, side]), " (UTM)".to_owned()));
        }
    }
    for (other, name) in systems.into_iter().filter(|(other, _)| *other != crs) {
        for swapped in [false, true] {
            let also = if swapped { " and with x and y swapped" } else { "" };
            let columns = if swapped { ", and swap the columns" } else { "" };
            let words = format!("read as {other}{name}{also}");
            add(other, swapped, [1.0; 2], words, format!("name {other} in the file in place of {crs}{columns}"));
        }
    }
    readings
}

/// Metres along the Earth, which is a ball of 6,371 km here.
fn distance_m(a: [f64; 2], b: [f64; 2]) -> f64 {
    let [dlon, dlat] = [(b[0] - a[0]).to_radians(), (b[1] - a[1]).to_radians()];
    let h = (dlat / 2.0).sin().powi(2) + a[1].to_radians().cos() * b[1].to_radians().cos() * (dlon / 2.0).sin().powi(2);
    2.0 * 6_371_000.0 * h.clamp(0.0, 1.0).sqrt().asin()
}

/// `40 m`, `1.2 km`, `5,400 km`.
fn in_words(metres: f64) -> String {
    let km = metres / 1000.0;
    if !metres.is_finite() {
        return "nowhere on Earth: infinitely far".to_owned();
    }
    if metres < 1000.0 {
        return format!("{metres:.0} m");
    }
    if km < 100.0 {
        return format!("{km:.1} km");
    }
    let rounded = ((km / 10.0).round() * 10.0) as u64;
    if rounded < 1000 { format!("{rounded} km") } else { format!("{},{:03} km", rounded / 1000, rounded % 1000) }
}
