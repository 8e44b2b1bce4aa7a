//! Judges boxes against what is known to be there: average precision over several overlaps, and curves.
//!
//! Boxes are paired and areas taken as Ultralytics' `val` does, so that figures can be laid beside its own: a box goes to the
//! object of its class that it overlaps most, an object to the most confident of its boxes; precision is the envelope of the
//! curve, read at 101 recalls (COCO), and nothing is given beyond the last recall that was reached.

use serde::Serialize;

use super::PixelBox;

/// Overlaps (IoU) from which a box is the object, for mAP50-95.
const OVERLAPS: [f64; 10] = [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95];
/// Points of a curve.
const POINTS: usize = 101;

/// One picture: what was found, and what is there. Classes are numbers into one list of names.
#[derive(Clone, Debug, Default)]
pub struct Judged {
    pub found: Vec<PixelBox>,
    pub known: Vec<PixelBox>,
}

/// How good a detector is on some pictures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    pub images: usize,
    pub objects: usize,
    /// Means over the classes of which there are objects.
    #[serde(rename = "mAP50")]
    pub map50: f64,
    #[serde(rename = "mAP50-95")]
    pub map50_95: f64,
    /// The confidence at which the figures below are taken.
    pub confidence: f64,
    pub precision: f64,
    pub recall: f64,
    #[serde(rename = "F1")]
    pub f1: f64,
    /// The confidence with the best F1, as the mean over the classes.
    pub best_confidence: f64,
    pub classes: Vec<ClassScore>,
}

/// The same for one class.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassScore {
    pub class: String,
    pub objects: usize,
    /// Boxes at the confidence of the score.
    pub found: usize,
    #[serde(rename = "AP50")]
    pub ap50: f64,
    #[serde(rename = "AP50-95")]
    pub ap50_95: f64,
    pub precision: f64,
    pub recall: f64,
    #[serde(rename = "F1")]
    pub f1: f64,
    /// Precision at each hundredth of recall.
    pub precision_by_recall: Vec<f64>,
    /// Precision, recall and F1 at each hundredth of confidence.
    pub by_confidence: Vec<[f64; 3]>,
}

/// Judges some pictures. Boxes should go far below `confidence`, for the curves need them.
pub fn score(pictures: &[Judged], names: &[String], confidence: f64) -> Score {
    let classes: Vec<ClassScore> =
        names.iter().enumerate().map(|(class, name)| of_class(pictures, class, name, confidence)).collect();
    let judged: Vec<&ClassScore> = classes.iter().filter(|class| class.objects > 0).collect();
    let mean = |value: &dyn Fn(&ClassScore) -> f64| {
        judged.iter().map(|class| value(class)).sum::<f64>() / judged.len().max(1) as f64
    };
    let f1_at = |at: usize| mean(&|class| class.by_confidence[at][2]);
    let best = (0..POINTS).max_by(|&a, &b| f1_at(a).total_cmp(&f1_at(b)).then(b.cmp(&a))).unwrap_or_default();
    Score {
        images: pictures.len(),
        objects: judged.iter().map(|class| class.objects).sum(),
        map50: mean(&|class| class.ap50),
        map50_95: mean(&|class| class.ap50_95),
        confidence,
        precision: mean(&|class| class.precision),
        recall: mean(&|class| class.recall),
        f1: mean(&|class| class.f1),
        best_confidence: best as f64 / (POINTS - 1) as f64,
        classes,
    }
}

fn of_class(pictures: &[Judged], class: usize, name: &str, confidence: f64) -> ClassScore {
    let objects = pictures.iter().flat_map(|picture| &picture.known).filter(|known| known.class == class).count();
    // Confidence, and for each overlap whether the box is right.
    let mut boxes: Vec<(f64, [bool; OVERLAPS.len()])> =
        pictures.iter().flat_map(|picture| pair(picture, class)).collect();
    boxes.sort_by(|a, b| b.0.total_cmp(&a.0));
    let curve = |overlap: usize| {
        let mut right = 0;
        let point = |(i, (_, hits)): (usize, &(f64, [bool; OVERLAPS.len()]))| {
            right += usize::from(hits[overlap]);
            (share(right, objects), share(right, i + 1))
        };
        precision_by_recall(&boxes.iter().enumerate().map(point).collect::<Vec<_>>())
    };
    let curves: Vec<Vec<f64>> = (0..OVERLAPS.len()).map(curve).collect();
    let areas: Vec<f64> = curves.iter().map(|curve| area(curve)).collect();
    let at = |confidence: f64| {
        let sure = &boxes[..boxes.partition_point(|(c, _)| *c >= confidence)];
        let right = sure.iter().filter(|(_, hits)| hits[0]).count();
        let (precision, recall) = (share(right, sure.len()), share(right, objects));
        ([precision, recall, 2.0 * precision * recall / (precision + recall).max(f64::MIN_POSITIVE)], sure.len())
    };
    let ([precision, recall, f1], found) = at(confidence);
    ClassScore {
        class: name.to_owned(),
        objects,
        found,
        ap50: areas[0],
        ap50_95: areas.iter().sum::<f64>() / areas.len() as f64,
        precision,
        recall,
        f1,
        precision_by_recall: curves.into_iter().next().unwrap_or_default(),
        by_confidence: (0..POINTS).map(|i| at(i as f64 / (POINTS - 1) as f64).0).collect(),
    }
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Returns for each box of a class its confidence, and for each overlap whether it is an object.
fn pair(picture: &Judged, class: usize) -> Vec<(f64, [bool; OVERLAPS.len()])> {
    let mut found: Vec<&PixelBox> = picture.found.iter().filter(|found| found.class == class).collect();
    found.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    let known: Vec<&PixelBox> = picture.known.iter().filter(|known| known.class == class).collect();
    let most = |found: &&PixelBox| {
        let overlaps = known.iter().enumerate().map(|(i, known)| (i, found.iou(known)));
        overlaps.max_by(|a, b| a.1.total_cmp(&b.1))
    };
    let wanted: Vec<Option<(usize, f64)>> = found.iter().map(most).collect();
    let mut hits = vec![[false; OVERLAPS.len()]; found.len()];
    for (i, overlap) in OVERLAPS.iter().enumerate() {
        let mut taken = vec![false; known.len()];
        for (hit, wanted) in hits.iter_mut().zip(&wanted) {
            let Some((object, _)) = wanted.filter(|(_, iou)| iou >= overlap) else { continue };
            hit[i] = !std::mem::replace(&mut taken[object], true);
        }
    }
    found.iter().map(|found| found.confidence).zip(hits).collect()
}

/// Returns the envelope of the curve, at each hundredth of recall.
fn precision_by_recall(points: &[(f64, f64)]) -> Vec<f64> {
    let last = points.last().map_or(0.0, |(recall, _)| *recall);
    let mut curve: Vec<(f64, f64)> = vec![(0.0, 1.0)];
    curve.extend(points);
    curve.extend([(last, 0.0), (1.0, 0.0)]);
    let mut envelope = 0.0_f64;
    for (_, precision) in curve.iter_mut().rev() {
        envelope = envelope.max(*precision);
        *precision = envelope;
    }
    (0..POINTS).map(|i| between(&curve, i as f64 / (POINTS - 1) as f64)).collect()
}

/// Reads a curve of rising x; where several points have one x, the last counts.
fn between(curve: &[(f64, f64)], x: f64) -> f64 {
    let after = curve.partition_point(|(at, _)| *at <= x);
    let (x0, y0) = curve[after.saturating_sub(1)];
    let Some(&(x1, y1)) = curve.get(after) else { return y0 };
    y0 + (y1 - y0) * (x - x0) / (x1 - x0).max(f64::MIN_POSITIVE)
}

/// The area under a curve of evenly spaced points over 0-1, by trapezoids.
fn area(curve: &[f64]) -> f64 {
    curve.windows(2).map(|pair| f64::midpoint(pair[0], pair[1])).sum::<f64>() / (POINTS - 1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(left: f64, class: usize, confidence: f64) -> PixelBox {
        PixelBox { left, top: 0.0, right: left + 10.0, bottom: 10.0, class, confidence }
    }

    fn names() -> Vec<String> {
        vec!["a".into(), "b".into()]
    }

    #[test]
    fn finding_everything_and_nothing_else_is_one() {
        let known = vec![at(0.0, 0, 1.0), at(50.0, 1, 1.0)];
        let judged = Judged { found: vec![at(0.0, 0, 0.9), at(50.0, 1, 0.8)], known };
        let score = score(&[judged], &names(), 0.5);
        assert!((score.map50 - 1.0).abs() < 0.01 && (score.map50_95 - 1.0).abs() < 0.01, "{score:?}");
        assert_eq!((score.precision, score.recall, score.f1, score.objects), (1.0, 1.0, 1.0, 2));
    }

    #[test]
    fn a_box_that_is_off_counts_at_the_overlaps_that_it_reaches() {
        // Moved by a tenth: 9 of 11 parts are shared, an IoU of 0.818, so it counts at 0.5, 0.55 … 0.8: seven of ten.
        let judged = Judged { found: vec![at(1.0, 0, 0.9)], known: vec![at(0.0, 0, 1.0)] };
        let score = score(&[judged], &names(), 0.5);
        assert!((score.map50_95 / score.map50 - 0.7).abs() < 1e-9, "{score:?}");
    }

    #[test]
    fn another_class_and_a_second_box_on_one_object_are_false() {
        let found = vec![at(0.0, 0, 0.9), at(0.5, 0, 0.8), at(0.0, 1, 0.7)];
        let judged = Judged { found, known: vec![at(0.0, 0, 1.0), at(80.0, 0, 1.0)] };
        let score = score(&[judged], &names(), 0.5);
        let class = &score.classes[0];
        assert_eq!((class.precision, class.recall, class.found), (0.5, 0.5, 2));
        assert_eq!(score.classes[1].objects, 0);
        assert!((score.map50 - class.ap50).abs() < 1e-12, "a class without objects does not count");
        assert!((class.ap50 - 0.495).abs() < 1e-9, "half of the objects at precision 1: {}", class.ap50);
    }

    #[test]
    fn the_best_confidence_is_where_f1_is_highest() {
        let found = vec![at(0.0, 0, 0.9), at(50.0, 0, 0.6), at(200.0, 0, 0.4), at(300.0, 0, 0.3)];
        let judged = Judged { found, known: vec![at(0.0, 0, 1.0), at(50.0, 0, 1.0)] };
        let score = score(&[judged], &names(), 0.35);
        assert!((0.4..=0.6).contains(&score.best_confidence), "{}", score.best_confidence);
        assert!((score.precision - 2.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn nothing_found_is_nothing_and_no_number_is_missing() {
        let judged = Judged { found: vec![], known: vec![at(0.0, 0, 1.0)] };
        let score = score(&[judged], &names(), 0.5);
        assert!(score.map50 < 0.01 && score.recall == 0.0 && score.f1 == 0.0, "{score:?}");
        assert!(score.classes[0].precision_by_recall.iter().all(|value| value.is_finite()));
    }
}
