//! Surveyed points: reads ODM's `gcp_list.txt`, finds them in the photos, and pulls the block onto them.
//!
//! The first line names the coordinate system (`EPSG:28992`, `WGS84 UTM 31N`, a `+proj=utm` string); every
//! other line is `x y z column row photo [name] [role]`. A role of `check` holds a point out of the adjustment, to judge
//! it. Pixels count from the top-left corner.

use std::path::Path;

use nalgebra::{Matrix3, Vector2, Vector3};
use serde::{Deserialize, Serialize};

use super::{
    bundle::{Block, Observation, TiePoint, triangulate},
    error::{Error, Result},
    photos::Flight,
};
use crate::spatial::{Crs, Projection};

/// A surveyed point and where people marked it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Gcp {
    pub name: String,
    /// Longitude and latitude, degrees.
    pub lonlat: [f64; 2],
    /// Height as surveyed, metres; the orthophoto's heights follow its datum.
    pub height_m: f64,
    pub role: Role,
    /// Photo names and pixels.
    pub marks: Vec<(String, [f64; 2])>,
}

/// What a surveyed point is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// It takes part in the adjustment.
    Control,
    /// It is held out and judges the result.
    Check,
}

/// One sigma of a survey, east, north and up, metres.
const SURVEY_SIGMA_M: [f64; 3] = [0.01, 0.01, 0.015];
/// One sigma of a mark made by a person, pixels.
const MARK_SIGMA_PX: f64 = 0.7;
/// A control point farther from the photos than this is in another coordinate system.
const FARTHEST_KM: f64 = 10.0;

/// Reads a `gcp_list.txt`.
///
/// # Errors
/// [`Error::GcpFile`] when it cannot be read; [`Error::GcpSyntax`] with the line that is wrong;
/// [`Error::Spatial`] when a coordinate lies outside its system.
pub fn read_gcp_list(path: &Path) -> Result<Vec<Gcp>> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::GcpFile { path: path.to_owned(), source })?;
    parse_gcp_list(&text, path)
}

fn parse_gcp_list(text: &str, path: &Path) -> Result<Vec<Gcp>> {
    let wrong = |line: usize, detail: String| Error::GcpSyntax { path: path.to_owned(), line, detail };
    let mut lines =
        text.lines().enumerate().map(|(i, l)| (i + 1, l.trim())).filter(|(_, l)| !l.is_empty() && !l.starts_with('#'));
    let (line, header) = lines.next().ok_or_else(|| wrong(1, "the file is empty".to_owned()))?;
    let crs = crs_of_header(header)
        .ok_or_else(|| wrong(line, format!("{header:?} is no coordinate system; write for example EPSG:32631")))?;
    let to_lonlat = Projection::new(crs, Crs::WGS84)?;

    let mut gcps: Vec<Gcp> = Vec::new();
    for (line, text) in lines {
        let fields: Vec<&str> = text.split_whitespace().collect();
        if fields.len() < 6 {
            return Err(wrong(line, "expected: x y z column row photo [name] [role]".to_owned()));
        }
        let number = |index: usize| -> Result<f64> {
            let value: Option<f64> = fields[index].parse().ok().filter(|v: &f64| v.is_finite());
            value.ok_or_else(|| wrong(line, format!("{:?} is not a number", fields[index])))
        };
        let (xy, height_m) = ([number(0)?, number(1)?], number(2)?);
        let mark = (fields[5].to_owned(), [number(3)?, number(4)?]);
        let lonlat = to_lonlat.forward(xy)?;
        let role = if fields.get(7).is_some_and(|role| role.eq_ignore_ascii_case("check")) {
            Role::Check
        } else {
            Role::Control
        };
        let key = |[x, y]: [f64; 2], z: f64| [x, y, z].map(f64::to_bits);
        let same_place = |gcp: &Gcp| key(gcp.lonlat, gcp.height_m) == key(lonlat, height_m);
        if let Some(gcp) = gcps.iter_mut().find(|gcp| same_place(gcp)) {
            gcp.marks.push(mark);
        } else {
            let name = fields.get(6).map_or_else(|| format!("gcp {}", gcps.len() + 1), |name| (*name).to_owned());
            gcps.push(Gcp { name, lonlat, height_m, role, marks: vec![mark] });
        }
    }
    Ok(gcps)
}

/// The coordinate system of ODM's first line; `None` when it is none of the forms that tools write.
fn crs_of_header(header: &str) -> Option<Crs> {
    if let Ok(crs) = header.parse() {
        return Some(crs);
    }
    let lower = header.to_ascii_lowercase();
    if let Some(code) = lower.split_once("epsg:").map(|(_, rest)| rest) {
        let digits: String = code.chars().take_while(char::is_ascii_digit).collect();
        return digits.parse().ok().map(Crs::from_epsg);
    }
    if lower.contains("+proj=longlat") || lower == "wgs84" {
        return Some(Crs::WGS84);
    }
    if lower.contains("+proj=utm") {
        let zone = lower.split("+zone=").nth(1)?.split_whitespace().next()?.parse().ok()?;
        return utm(zone, lower.contains("+south"));
    }
    let zone = lower.strip_prefix("wgs84 utm ")?.trim();
    let south = zone.ends_with('s');
    utm(zone.trim_end_matches(['n', 's']).trim().parse().ok()?, south)
}

fn utm(zone: u32, south: bool) -> Option<Crs> {
    (1..=60).contains(&zone).then(|| Crs::from_epsg(if south { 32_700 } else { 32_600 } + zone))
}

/// The middle of surveyed points: longitude, latitude, height.
pub fn middle(gcps: &[Gcp]) -> Option<[f64; 3]> {
    let count = gcps.len() as f64;
    let sum = gcps.iter().fold([0.0; 3], |s, g| [s[0] + g.lonlat[0], s[1] + g.lonlat[1], s[2] + g.height_m]);
    (!gcps.is_empty()).then(|| sum.map(|v| v / count))
}

/// A surveyed point as a point of the block.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Surveyed {
    pub name: String,
    pub role: Role,
    /// East, north, up in the local frame.
    pub enu: Vector3<f64>,
    pub marks: Vec<Observation>,
}

/// Puts surveyed points into the local frame and joins their marks to the flight's photos.
///
/// # Errors
/// [`Error::GcpFarAway`] when a point cannot belong to this flight.
pub fn locate(gcps: &[Gcp], flight: &Flight) -> Result<Vec<Surveyed>> {
    gcps.iter()
        .map(|gcp| {
            let enu = Vector3::from(flight.frame.to_enu([gcp.lonlat[0], gcp.lonlat[1], gcp.height_m]));
            let distance_km = enu.xy().norm() / 1000.0;
            let reach_km = FARTHEST_KM + flight.radius_m() / 1000.0;
            if distance_km > reach_km {
                return Err(Error::GcpFarAway { name: gcp.name.clone(), distance_km });
            }
            let mut marks: Vec<Observation> = gcp.marks.iter().filter_map(|mark| observe(mark, flight)).collect();
            marks.sort_by_key(|mark| mark.photo);
            marks.dedup_by_key(|mark| mark.photo);
            Ok(Surveyed { name: gcp.name.clone(), role: gcp.role, enu, marks })
        })
        .collect()
}

fn observe((name, pixel): &(String, [f64; 2]), flight: &Flight) -> Option<Observation> {
    let photo = flight.photos.iter().position(|photo| same_file(&photo.name, name))?;
    Some(Observation { photo: photo as u32, pixel: Vector2::from(*pixel), sigma_px: MARK_SIGMA_PX, rgb: [0.0; 3] })
}

/// Whether two names mean one file, whatever the folder and the case.
fn same_file(a: &str, b: &str) -> bool {
    let last = |name: &str| name.rsplit(['/', '\\']).next().unwrap_or(name).to_ascii_lowercase();
    last(a) == last(b)
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

/// A rotation, a scale and a shift (Umeyama 1991).
pub struct Similarity {
    pub rotation: Matrix3<f64>,
    pub scale: f64,
    shift: Vector3<f64>,
}

impl Similarity {
    /// The similarity that takes the first of each pair nearest to the second; only a shift below three
    /// pairs, or when they lie on a line.
    pub fn between(pairs: &[(Vector3<f64>, Vector3<f64>)]) -> Self {
        let count = pairs.len().max(1) as f64;
        let from = pairs.iter().map(|(a, _)| a).sum::<Vector3<f64>>() / count;
        let to = pairs.iter().map(|(_, b)| b).sum::<Vector3<f64>>() / count;
        let shift_only = Self { rotation: Matrix3::identity(), scale: 1.0, shift: to - from };
        let covariance: Matrix3<f64> = pairs.iter().map(|(a, b)| (b - to) * (a - from).transpose()).sum();
        let svd = covariance.svd(true, true);
        let (Some(u), Some(v_t)) = (svd.u, svd.v_t) else { return shift_only };
        let mut order = [0, 1, 2];
        order.sort_by(|&a, &b| svd.singular_values[b].total_cmp(&svd.singular_values[a]));
        if pairs.len() < 3 || svd.singular_values[order[1]] < 1e-3 * svd.singular_values[order[0]] {
            return shift_only;
        }
        let mut sign = Vector3::repeat(1.0);
        if (u * v_t).determinant() < 0.0 {
            sign[order[2]] = -1.0;
        }
        let rotation = u * Matrix3::from_diagonal(&sign) * v_t;
        let variance: f64 = pairs.iter().map(|(a, _)| (a - from).norm_squared()).sum();
        let scale = svd.singular_values.component_mul(&sign).sum() / variance.max(1e-12);
        Self { rotation, scale, shift: to - scale * rotation * from }
    }

    pub fn apply(&self, point: &Vector3<f64>) -> Vector3<f64> {
        self.scale * self.rotation * point + self.shift
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "WGS84 UTM 31N\n\
        665000.00 5745000.00 1.50 100.5 200.5 DJI_0001.JPG a\n\
        665000.00 5745000.00 1.50 300.0 210.0 DJI_0002.JPG a\n\
        665050.00 5745020.00 4.25 10.0 20.0 DJI_0002.JPG b check\n";

    #[test]
    fn a_list_is_read_with_its_roles_and_marks() {
        let gcps = parse_gcp_list(LIST, Path::new("gcp_list.txt")).unwrap();
        assert_eq!(gcps.len(), 2);
        assert_eq!((gcps[0].marks.len(), gcps[0].role), (2, Role::Control));
        assert_eq!((gcps[1].name.as_str(), gcps[1].role), ("b", Role::Check));
        assert!((gcps[0].lonlat[0] - 5.4).abs() < 0.1 && (gcps[0].lonlat[1] - 51.84).abs() < 0.1);
    }

    #[test]
    fn headers_of_many_tools_are_understood() {
        for (header, epsg) in [
            ("EPSG:28992", 28_992),
            ("WGS84 UTM 17S", 32_717),
            ("+proj=utm +zone=31 +ellps=WGS84 +datum=WGS84 +units=m +no_defs", 32_631),
            ("+init=epsg:4326", 4326),
            ("WGS84", 4326),
        ] {
            assert_eq!(crs_of_header(header).map(Crs::epsg), Some(epsg), "{header}");
        }
        assert!(crs_of_header("665000 5745000 1.5 10 10 a.jpg").is_none());
    }

    #[test]
    fn a_wrong_line_is_named() {
        let text = LIST.replace("300.0", "three");
        let error = parse_gcp_list(&text, Path::new("gcp_list.txt")).unwrap_err().to_string();
        assert!(error.contains("line 3") && error.contains("three"), "{error}");
    }

    #[test]
    fn a_similarity_is_recovered() {
        let rotation = super::super::camera::rotation_exp(&Vector3::new(0.1, -0.2, 0.7));
        let points = [[0.0, 0.0, 0.0], [10.0, 0.0, 1.0], [0.0, 20.0, 2.0], [7.0, 9.0, 0.5]].map(Vector3::from);
        let shift = Vector3::new(3.0, -4.0, 5.0);
        let pairs: Vec<_> = points.iter().map(|p| (*p, 1.7 * rotation * p + shift)).collect();
        let found = Similarity::between(&pairs);
        assert!((found.scale - 1.7).abs() < 1e-9);
        assert!((found.apply(&points[3]) - pairs[3].1).norm() < 1e-9);
    }
}
