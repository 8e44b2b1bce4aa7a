//! Compares findings with what was really there.

use super::{Finding, PixelBox};

/// IoU from which a finding is the object: the "50" of mAP50.
const SAME_OBJECT: f64 = 0.5;

/// An object that is known to be on a raster.
#[derive(Clone, Debug)]
pub struct Truth {
    pub class: String,
    /// Left, top, right, bottom, in pixels of the raster.
    pub pixel_box: [f64; 4],
}

/// How well findings agree with the truth, for one class or over all.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    pub objects: usize,
    /// Area under the curve of precision over recall, at an IoU of ½.
    pub ap50: f64,
    /// Part of the objects found, at the given confidence.
    pub recall: f64,
    /// Part of the findings that are objects, at the given confidence.
    pub precision: f64,
}

/// Judges the findings of several rasters for one class; recall and precision are those at `confidence`.
///
/// The findings should go far below that confidence, for the curve needs them. Each object is found once:
/// a second box on it counts as false. The area is that under the envelope of the curve, at every point
/// (Everingham et al., "The PASCAL visual object classes challenge: a retrospective", 2015, section 2.2).
pub fn evaluate(rasters: &[(Vec<Finding>, Vec<Truth>)], class: &str, confidence: f64) -> Evaluation {
    let mut hits: Vec<(f64, bool)> = rasters.iter().flat_map(|(found, truth)| matches(found, truth, class)).collect();
    hits.sort_by(|a, b| b.0.total_cmp(&a.0));
    let objects = rasters.iter().flat_map(|(_, truth)| truth).filter(|truth| truth.class == class).count();
    let count = |hits: &[(f64, bool)]| hits.iter().filter(|(_, hit)| *hit).count();
    let mut curve: Vec<(f64, f64)> = Vec::with_capacity(hits.len());
    let mut right = 0;
    for (i, (_, hit)) in hits.iter().enumerate() {
        right += usize::from(*hit);
        curve.push((share(right, objects), share(right, i + 1)));
    }
    let mut envelope = 0.0_f64;
    let mut ap50 = 0.0;
    for i in (0..curve.len()).rev() {
        envelope = envelope.max(curve[i].1);
        let before = if i == 0 { 0.0 } else { curve[i - 1].0 };
        ap50 += (curve[i].0 - before) * envelope;
    }
    let sure = &hits[..hits.partition_point(|(c, _)| *c >= confidence)];
    Evaluation { objects, ap50, recall: share(count(sure), objects), precision: share(count(sure), sure.len()) }
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Returns the confidence of each finding, and whether it is an object that no more confident one has claimed.
fn matches(found: &[Finding], truth: &[Truth], class: &str) -> Vec<(f64, bool)> {
    let as_box =
        |[left, top, right, bottom]: [f64; 4]| PixelBox { left, top, right, bottom, class: 0, confidence: 1.0 };
    let truth: Vec<_> = truth.iter().filter(|t| t.class == class).map(|t| as_box(t.pixel_box)).collect();
    let mut found: Vec<_> = found.iter().filter(|f| f.class == class).collect();
    found.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    let mut taken = vec![false; truth.len()];
    let mut claim = |finding: &Finding| {
        let seen = as_box(finding.pixel_box);
        let free = (0..truth.len()).filter(|&i| !taken[i]);
        let best = free.max_by(|&a, &b| seen.iou(&truth[a]).total_cmp(&seen.iou(&truth[b])));
        let hit = best.filter(|&i| seen.iou(&truth[i]) >= SAME_OBJECT);
        if let Some(i) = hit {
            taken[i] = true;
        }
        (finding.confidence, hit.is_some())
    };
    found.into_iter().map(&mut claim).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(left: f64, confidence: f64) -> Finding {
        let pixel_box = [left, 0.0, left + 10.0, 10.0];
        Finding { class: "trap".to_owned(), confidence, ring: vec![], pixel_box, chip: 0 }
    }

    fn truth(left: f64) -> Truth {
        Truth { class: "trap".to_owned(), pixel_box: [left, 0.0, left + 10.0, 10.0] }
    }

    #[test]
    fn finding_everything_and_nothing_else_is_one() {
        let raster = (vec![finding(0.0, 0.9), finding(51.0, 0.8)], vec![truth(0.0), truth(50.0)]);
        let evaluation = evaluate(&[raster], "trap", 0.5);
        assert_eq!(evaluation, Evaluation { objects: 2, ap50: 1.0, recall: 1.0, precision: 1.0 });
    }

    #[test]
    fn a_second_box_on_one_object_is_false() {
        let raster = (vec![finding(0.0, 0.9), finding(1.0, 0.8)], vec![truth(0.0)]);
        assert!((evaluate(&[raster], "trap", 0.5).precision - 0.5).abs() < 1e-12);
    }

    /// Right, wrong, right over four objects: precision 1, then 2/3 at half of them.
    #[test]
    fn the_area_follows_the_envelope_of_the_curve() {
        let found = vec![finding(0.0, 0.9), finding(300.0, 0.8), finding(50.0, 0.7)];
        let truth = [0.0, 50.0, 100.0, 150.0].map(truth).to_vec();
        let evaluation = evaluate(&[(found, truth)], "trap", 0.85);
        assert!((evaluation.ap50 - (0.25 + 0.25 * 2.0 / 3.0)).abs() < 1e-12);
        assert!((evaluation.recall - 0.25).abs() < 1e-12 && (evaluation.precision - 1.0).abs() < 1e-12);
    }
}
