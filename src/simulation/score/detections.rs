//! How many of the planted objects were found, and what was found that is none.

use std::{collections::BTreeMap, path::Path};

use serde::Serialize;

use super::{fault, median, polygons};
use crate::{
    raster::{Raster, Window},
    simulation::Result,
    spatial::{Bbox, Crs, Projection},
};

/// A finding belongs to an object when their middles are this close.
const NEAR_M: f64 = 1.0;
/// The common displacement is looked for up to here.
const FARTHEST_SHIFT_M: f64 = 3.5;

/// How detections compare with what was planted.
#[derive(Clone, Debug, Serialize)]
pub struct DetectionScore {
    /// Planted objects that the orthophoto shows whole.
    pub planted: usize,
    /// Findings, those on half-hidden objects left out.
    pub detections: usize,
    /// Found within a metre, after the median shift is removed.
    pub found: usize,
    /// `found / planted`.
    pub recall: f64,
    /// Findings that belong to no object, as a share of all.
    pub false_share: f64,
    /// The same without removing the shift.
    pub found_absolute: usize,
    pub recall_absolute: f64,
    pub false_share_absolute: f64,
    /// Common displacement of the findings, east and north.
    pub median_shift_m: [f64; 2],
    pub classes: BTreeMap<String, ClassScore>,
}

/// The same for one class, after the median shift is removed.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ClassScore {
    pub planted: usize,
    pub detections: usize,
    pub found: usize,
    pub recall: f64,
    pub false_share: f64,
    pub found_absolute: usize,
}

struct Thing {
    class: String,
    /// Middle of its box, easting and northing.
    at: [f64; 2],
    /// Whether the orthophoto shows it whole. Findings are always.
    whole: bool,
}

/// Compares detections (`GeoJSON` with `class`, longitude and latitude) with the planted objects that the valid area
/// of an orthophoto shows.
///
/// # Errors
/// [`super::Error::Read`] when a file is missing or is no such collection, [`super::Error::Raster`] for the orthophoto.
pub fn score_detections(truth: &Path, detections: &Path, orthophoto: &Path) -> Result<DetectionScore> {
    let raster = Raster::open(orthophoto)?;
    let objects_path = truth.join("objects.geojson");
    let mut objects = Vec::new();
    for (class, ring) in classed(&objects_path)? {
        let whole = shows_whole(&raster, &ring)?;
        objects.push(thing(class, ring, whole)?);
    }
    let findings =
        classed(detections)?.into_iter().map(|(class, ring)| thing(class, ring, true)).collect::<Result<Vec<_>>>()?;
    Ok(compare(&objects, &findings))
}

fn classed(path: &Path) -> Result<Vec<(String, Vec<[f64; 2]>)>> {
    polygons(path)?
        .into_iter()
        .map(|(properties, ring)| {
            let class = properties["class"].as_str().ok_or_else(|| fault(path, "a feature has no class"))?;
            Ok((class.to_owned(), ring))
        })
        .collect()
}

fn thing(class: String, mut ring: Vec<[f64; 2]>, whole: bool) -> Result<Thing> {
    let utm = Projection::new(Crs::WGS84, Crs::utm_at(ring[0]))?;
    utm.forward_many(&mut ring)?;
    let b = Bbox::of(ring).expect("a ring has points");
    Ok(Thing { class, at: [f64::midpoint(b.west, b.east), f64::midpoint(b.south, b.north)], whole })
}

/// Returns whether every corner of a ring lies where the raster has data.
fn shows_whole(raster: &Raster, ring: &[[f64; 2]]) -> Result<bool> {
    let mut corners = ring.to_vec();
    Projection::new(Crs::WGS84, raster.crs()?)?.forward_many(&mut corners)?;
    let transform = raster.geo_transform()?;
    for corner in corners {
        let [x, y] = transform.ground_to_pixel(corner)?;
        let window = Window { x: x.floor() as isize, y: y.floor() as isize, width: 1, height: 1 };
        if raster.read_rgba(window, [1, 1])?.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

fn compare(objects: &[Thing], findings: &[Thing]) -> DetectionScore {
    let shift = common_shift(objects, findings);
    let (relative, absolute) = (assign(objects, findings, shift), assign(objects, findings, [0.0; 2]));
    let mut classes: BTreeMap<String, ClassScore> = BTreeMap::new();
    for (index, object) in objects.iter().enumerate().filter(|(_, object)| object.whole) {
        let class = classes.entry(object.class.clone()).or_default();
        class.planted += 1;
        class.found += usize::from(relative.contains(&Some(index)));
        class.found_absolute += usize::from(absolute.contains(&Some(index)));
    }
    let on_whole = |assigned: &Option<usize>| assigned.is_none_or(|object| objects[object].whole);
    for (finding, assigned) in findings.iter().zip(&relative) {
        if on_whole(assigned) {
            classes.entry(finding.class.clone()).or_default().detections += 1;
        }
    }
    for class in classes.values_mut() {
        class.recall = share(class.found, class.planted, 1.0);
        class.false_share = share(class.detections - class.found, class.detections, 0.0);
    }
    let planted = objects.iter().filter(|object| object.whole).count();
    let found = |assigned: &[Option<usize>]| assigned.iter().flatten().filter(|&&object| objects[object].whole).count();
    let counted = |assigned: &[Option<usize>]| assigned.iter().filter(|a| on_whole(a)).count();
    let (found_relative, found_absolute) = (found(&relative), found(&absolute));
    let (detections, detections_absolute) = (counted(&relative), counted(&absolute));
    DetectionScore {
        planted,
        detections,
        found: found_relative,
        recall: share(found_relative, planted, 1.0),
        false_share: share(detections - found_relative, detections, 0.0),
        found_absolute,
        recall_absolute: share(found_absolute, planted, 1.0),
        false_share_absolute: share(detections_absolute - found_absolute, detections_absolute, 0.0),
        median_shift_m: shift,
        classes,
    }
}

fn share(part: usize, whole: usize, of_nothing: f64) -> f64 {
    if whole == 0 { of_nothing } else { part as f64 / whole as f64 }
}

/// Returns the displacement that most pairs of one class share: the median of the densest heap of differences.
fn common_shift(objects: &[Thing], findings: &[Thing]) -> [f64; 2] {
    let mut differences = Vec::new();
    for object in objects {
        for finding in findings.iter().filter(|finding| finding.class == object.class) {
            let d = [finding.at[0] - object.at[0], finding.at[1] - object.at[1]];
            if d[0].hypot(d[1]) <= FARTHEST_SHIFT_M {
                differences.push(d);
            }
        }
    }
    let near = |a: &[f64; 2], b: &[f64; 2]| (a[0] - b[0]).hypot(a[1] - b[1]) <= 0.6;
    let neighbours = |d: &[f64; 2]| differences.iter().filter(|other| near(d, other)).count();
    // The first of equals, so that the answer does not depend on how a maximum is taken.
    let Some(densest) = differences.iter().rev().max_by_key(|d| neighbours(d)) else { return [0.0; 2] };
    [0, 1].map(|i| median(differences.iter().filter(|d| near(d, densest)).map(|d| d[i]).collect()))
}

/// Returns for each finding the object that it belongs to: nearest pairs first, each object and finding once.
fn assign(objects: &[Thing], findings: &[Thing], shift: [f64; 2]) -> Vec<Option<usize>> {
    let mut pairs = Vec::new();
    for (f, finding) in findings.iter().enumerate() {
        for (o, object) in objects.iter().enumerate().filter(|(_, object)| object.class == finding.class) {
            let apart = (finding.at[0] - shift[0] - object.at[0]).hypot(finding.at[1] - shift[1] - object.at[1]);
            if apart <= NEAR_M {
                pairs.push((apart, f, o));
            }
        }
    }
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
    let mut assigned = vec![None; findings.len()];
    for (_, finding, object) in pairs {
        if assigned[finding].is_none() && !assigned.contains(&Some(object)) {
            assigned[finding] = Some(object);
        }
    }
    assigned
}

#[cfg(test)]
mod tests {
    use super::*;

    fn things(class: &str, places: &[[f64; 2]]) -> Vec<Thing> {
        places.iter().map(|&at| Thing { class: class.to_owned(), at, whole: true }).collect()
    }

    #[test]
    fn a_common_shift_is_removed_before_objects_are_counted() {
        let objects = things("a", &[[0.0, 0.0], [10.0, 3.0], [20.0, -4.0], [30.0, 0.0]]);
        let findings = things("a", &[[1.5, 0.8], [11.4, 3.9], [21.5, -3.2], [50.0, 50.0]]);
        let score = compare(&objects, &findings);
        assert_eq!((score.planted, score.found, score.found_absolute), (4, 3, 0));
        assert!((score.false_share - 0.25).abs() < 1e-9 && (score.recall - 0.75).abs() < 1e-9);
        assert!((score.median_shift_m[0] - 1.5).abs() < 0.1, "{:?}", score.median_shift_m);
    }

    #[test]
    fn a_second_box_on_one_object_is_false() {
        let score = compare(&things("a", &[[0.0, 0.0]]), &things("a", &[[0.1, 0.0], [-0.2, 0.0]]));
        assert_eq!((score.found, score.detections), (1, 2));
        assert!((score.false_share - 0.5).abs() < 1e-9);
    }

    #[test]
    fn another_class_at_the_same_place_is_false() {
        let score = compare(&things("a", &[[0.0, 0.0]]), &things("b", &[[0.0, 0.0]]));
        assert_eq!((score.found, score.classes["b"].detections), (0, 1));
    }

    #[test]
    fn a_half_hidden_object_neither_counts_nor_makes_a_finding_false() {
        let mut objects = things("a", &[[0.0, 0.0], [10.0, 0.0]]);
        objects[1].whole = false;
        let score = compare(&objects, &things("a", &[[0.0, 0.0], [10.0, 0.0]]));
        assert_eq!((score.planted, score.found, score.detections), (1, 1, 1));
        assert!(score.false_share.abs() < 1e-9);
    }

    #[test]
    fn nothing_found_is_no_recall() {
        let score = compare(&things("a", &[[0.0, 0.0]]), &[]);
        assert!(score.recall.abs() < 1e-9 && score.false_share.abs() < 1e-9);
    }
}
