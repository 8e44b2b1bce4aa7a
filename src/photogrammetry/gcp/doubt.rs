//! Finds the surveyed points and marks that cannot be right: a mistyped pixel, a coordinate with two digits swapped.
//!
//! One wrong mark at its full weight bends a block by metres. So before the block is pulled onto the points, their marks are
//! held against each other, and the points against a similarity that most of them agree with (least trimmed squares,
//! Rousseeuw 1984). What does not fit is left out and named.

use nalgebra::Vector3;

use super::{
    super::{
        adjust::error_px,
        bundle::{Block, Observation, triangulate},
        photos::median,
    },
    Role,
    similarity::Similarity,
    survey::{Surveyed, measured},
};

/// Marks of one point that are farther apart than this are not of one thing, pixels: people mark within two or three.
const MARKS_APART_PX: f64 = 12.0;
/// A point that most others disagree with by less than this may be right: a block on GPS alone bends as much, pixels.
const POINT_OFF_PX: f64 = 25.0;
/// So many times the middle residual is not chance.
const POINT_OFF_FACTOR: f64 = 6.0;
/// Triples of points that are tried at most.
const MOST_TRIPLES: usize = 2000;

/// Drops the marks that disagree with most other marks of their point, and says so. `names` are those of the block's photos.
///
/// Two of four can be told from the others; of three marks none is judged here.
pub fn set_wrong_marks_aside(block: &Block, surveyed: &mut [Surveyed], names: &[&str]) -> Vec<String> {
    let mut lines = Vec::new();
    for point in surveyed {
        let count = point.marks.len();
        let agree = agreeing(block, &point.marks);
        if agree.len() == count || agree.len() < 3 || 2 * agree.len() <= count {
            continue;
        }
        let right: Vec<Observation> = agree.iter().map(|&index| point.marks[index]).collect();
        let Some((position, _)) = triangulate(block, &right) else { continue };
        let wrong = (0..count).filter(|index| !agree.contains(index)).map(|index| &point.marks[index]);
        lines.extend(wrong.map(|mark| {
            let off = error_px(block, &position, mark);
            sentence(&point.name, mark, names, off, "the other marks of the point put it")
        }));
        point.marks = right;
    }
    lines
}

/// The largest set of marks that one place explains.
fn agreeing(block: &Block, marks: &[Observation]) -> Vec<usize> {
    let fitting = |chosen: &[Observation]| -> Vec<usize> {
        let Some((position, _)) = triangulate(block, chosen) else { return Vec::new() };
        (0..marks.len()).filter(|&index| error_px(block, &position, &marks[index]) <= MARKS_APART_PX).collect()
    };
    let mut best = fitting(marks);
    if best.len() == marks.len() {
        return best;
    }
    for i in 0..marks.len() {
        for j in i + 1..marks.len() {
            let found = fitting(&[marks[i], marks[j]]);
            if found.len() > best.len() {
                best = found;
            }
        }
    }
    best
}

fn sentence(point: &str, mark: &Observation, names: &[&str], off_px: f64, who: &str) -> String {
    let photo = names.get(mark.photo as usize).copied().unwrap_or_default();
    let off = if off_px.is_finite() { format!("{off_px:.0} px from") } else { "far from".to_owned() };
    format!(
        "the mark of {point} in {photo} at ({}, {}) is {off} where {who}: it was left out and is probably mistyped",
        mark.pixel.x, mark.pixel.y
    )
}

/// Drops marks and control points that disagree with most points, and says so.
///
/// A check point keeps its marks, unless one of them alone is wrong: it is there to judge, not to please.
pub fn set_wrong_points_aside(block: &Block, surveyed: &mut [Surveyed], names: &[&str]) -> Vec<String> {
    let pairs: Vec<(usize, Vector3<f64>, Vector3<f64>)> = surveyed
        .iter()
        .enumerate()
        .filter(|(_, point)| point.marks.len() > 1)
        .filter_map(|(index, point)| Some((index, measured(block, point)?, point.enu)))
        .collect();
    if pairs.len() < 4 {
        return Vec::new();
    }
    let both: Vec<(Vector3<f64>, Vector3<f64>)> = pairs.iter().map(|(_, from, to)| (*from, *to)).collect();
    let similarity = most_agreed(&both);
    let residuals: Vec<f64> = both.iter().map(|(from, to)| (similarity.apply(from) - to).norm()).collect();
    let gsd_m = gsd_m(block, &both) * similarity.scale;
    let limit_m = (POINT_OFF_PX * gsd_m).max(POINT_OFF_FACTOR * median(residuals.iter().copied()).unwrap_or(0.0));
    let wrong: Vec<usize> = (0..pairs.len()).filter(|&index| residuals[index] > limit_m).collect();
    if 2 * wrong.len() >= pairs.len() {
        return vec![format!(
            "the surveyed points do not fit each other: the photos put them {:.1} m from their coordinates in the middle; \
             check the coordinate system, swapped columns and the marks",
            median(residuals.iter().copied()).unwrap_or(0.0)
        )];
    }
    let back = similarity.inverse();
    let limit_px = limit_m / gsd_m.max(1e-6);
    let mut lines = Vec::new();
    for at in wrong {
        let point = &mut surveyed[pairs[at].0];
        let place = back.apply(&point.enu);
        let off: Vec<f64> = point.marks.iter().map(|mark| error_px(block, &place, mark)).collect();
        if off.iter().any(|off| *off <= limit_px) {
            let wrong_marks = point.marks.iter().zip(&off).filter(|(_, off)| **off > limit_px);
            lines.extend(
                wrong_marks.map(|(mark, off)| sentence(&point.name, mark, names, *off, "its coordinates put it")),
            );
            let mut off = off.iter();
            point.marks.retain(|_| off.next().is_some_and(|off| *off <= limit_px));
            continue;
        }
        let [east, north, up]: [f64; 3] = (similarity.apply(&pairs[at].1) - point.enu).into();
        let (name, what) = (&point.name, format!("{east:+.2} m east, {north:+.2} m north, {up:+.2} m up"));
        if point.role == Role::Control {
            lines.push(format!(
                "control point {name} was left out: by its marks it lies {what} of its coordinates, and the other points \
                 agree with each other"
            ));
            point.marks.clear();
        } else {
            lines.push(format!("check point {name} is in doubt: by its marks it lies {what} of its coordinates"));
        }
    }
    lines
}

/// What a pixel is on the ground around the points, metres of the block.
fn gsd_m(block: &Block, pairs: &[(Vector3<f64>, Vector3<f64>)]) -> f64 {
    let ground = median(pairs.iter().map(|(from, _)| from.z)).unwrap_or(0.0);
    let of_photos = block
        .photos
        .iter()
        .map(|photo| (photo.exterior.centre.z - ground).abs() / block.cameras[photo.camera].camera.focal_px);
    median(of_photos).unwrap_or(0.01)
}

/// The similarity of some three pairs for which the best-fitting majority fits best.
fn most_agreed(pairs: &[(Vector3<f64>, Vector3<f64>)]) -> Similarity {
    let count = pairs.len();
    // Any three points nearly fit, however wrong their heights; four do not.
    let majority = (count / 2 + 1).max(4.min(count - 1));
    let cost_of = |similarity: &Similarity| {
        let mut off: Vec<f64> = pairs.iter().map(|(from, to)| (similarity.apply(from) - to).norm_squared()).collect();
        off.sort_by(f64::total_cmp);
        off[..majority].iter().sum::<f64>()
    };
    let mut best = Similarity::between(pairs);
    let mut lowest = cost_of(&best);
    let triples = count * (count - 1) * (count - 2) / 6;
    let stride = triples.div_ceil(MOST_TRIPLES);
    let mut number = 0;
    for i in 0..count {
        for j in i + 1..count {
            for k in j + 1..count {
                number += 1;
                if number % stride != 0 {
                    continue;
                }
                let similarity = Similarity::between(&[pairs[i], pairs[j], pairs[k]]);
                let cost = cost_of(&similarity);
                if cost < lowest {
                    (best, lowest) = (similarity, cost);
                }
            }
        }
    }
    // Once more with all that agree, which evens out the marks.
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|&a, &b| {
        let off = |index: usize| (best.apply(&pairs[index].0) - pairs[index].1).norm();
        off(a).total_cmp(&off(b))
    });
    let agreed: Vec<_> = order[..majority].iter().map(|&index| pairs[index]).collect();
    let refined = Similarity::between(&agreed);
    if cost_of(&refined) <= lowest { refined } else { best }
}
