//! What people say about detections, and what that says about a model.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::Error;

/// What somebody does with a detection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReviewAction {
    /// It is what the model says.
    Accept,
    /// It is nothing of the kind.
    Reject,
    /// It is there, but of another class or shape.
    Correct,
    /// A remark, which decides nothing.
    Comment,
    /// It is to be looked at again; corrections are taken back.
    Reopen,
}

impl ReviewAction {
    pub const ALL: [Self; 5] = [Self::Accept, Self::Reject, Self::Correct, Self::Comment, Self::Reopen];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Reject => "reject",
            Self::Correct => "correct",
            Self::Comment => "comment",
            Self::Reopen => "reopen",
        }
    }
}

impl fmt::Display for ReviewAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ReviewAction {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let rule = "it is one of accept, reject, correct, comment, reopen";
        let refusal = Error::Review { what: "action", rule };
        Self::ALL.into_iter().find(|action| action.as_str() == text).ok_or(refusal)
    }
}

/// A finding that was accepted or rejected.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// What the model said.
    pub class: String,
    /// What it is; nothing when it was rejected.
    pub truly: Option<String>,
    pub confidence: f64,
}

/// What else there is of a class.
#[derive(Clone, Debug, PartialEq)]
pub struct Unjudged {
    pub class: String,
    /// Findings that nobody has judged.
    pub open: i64,
    /// Things that people saw and the model did not.
    pub missed: i64,
}

/// What reviews say about one class of a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassFigures {
    pub class: String,
    pub reviewed: usize,
    /// Reviewed findings that are of this class.
    pub right: usize,
    pub open: i64,
    /// Things of this class that the model did not find, or found as another class.
    pub missed: i64,
    /// `right` of `reviewed`.
    pub precision: Option<f64>,
    /// `right` of `right` and `missed`. It is one as long as nobody notes what was missed.
    pub recall: Option<f64>,
    pub f1: Option<f64>,
    /// Mean distance of the confidence from the share that is right, over ten equal bins (expected calibration error:
    /// Naeini, Cooper and Hauskrecht 2015).
    pub calibration_error: Option<f64>,
    /// From which confidence a finding of this class is right with which probability: the steps of an isotonic
    /// regression (pool adjacent violators, Ayer and others 1955).
    pub calibration: Vec<Step>,
    /// The threshold with the best F1 among the reviewed, and what holds from there on.
    pub suggestion: Option<Suggestion>,
}

/// One step of a calibration.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Step {
    pub from_confidence: f64,
    pub probability: f64,
    pub findings: usize,
}

/// A threshold and what it would give.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Suggestion {
    pub confidence: f64,
    pub precision: f64,
    pub recall: f64,
    pub f1: f64,
}

/// Bins of the calibration error.
const BINS: usize = 10;

/// Of one class: confidence and whether it is right of each reviewed finding, how many are open, how many were missed.
type Tally = (Vec<(f64, bool)>, i64, i64);

/// Counts reviews, class by class.
///
/// A finding that was corrected to another class is wrong for the class that the model said, and missed for the class
/// that it is.
pub fn review_figures(judged: &[Judged], unjudged: &[Unjudged]) -> Vec<ClassFigures> {
    let mut classes: BTreeMap<&str, Tally> = BTreeMap::new();
    for finding in judged {
        let right = finding.truly.as_deref() == Some(&finding.class);
        classes.entry(&finding.class).or_default().0.push((finding.confidence, right));
        if let Some(truly) = finding.truly.as_deref().filter(|_| !right) {
            classes.entry(truly).or_default().2 += 1;
        }
    }
    for Unjudged { class, open, missed } in unjudged {
        let entry = classes.entry(class).or_default();
        entry.1 += open;
        entry.2 += missed;
    }
    classes.into_iter().map(|(class, (findings, open, missed))| figures(class, findings, open, missed)).collect()
}

fn figures(class: &str, mut findings: Vec<(f64, bool)>, open: i64, missed: i64) -> ClassFigures {
    findings.sort_by(|a, b| b.0.total_cmp(&a.0));
    let right = findings.iter().filter(|(_, right)| *right).count();
    let there = right as f64 + missed as f64;
    let share = |part: f64, whole: f64| (whole > 0.0).then(|| part / whole);
    let (precision, recall) = (share(right as f64, findings.len() as f64), share(right as f64, there));
    ClassFigures {
        class: class.to_owned(),
        reviewed: findings.len(),
        right,
        open,
        missed,
        precision,
        recall,
        f1: precision.zip(recall).map(|(p, r)| f1(p, r)),
        calibration_error: calibration_error(&findings),
        calibration: isotonic(&findings),
        suggestion: suggestion(&findings, there),
    }
}

fn f1(precision: f64, recall: f64) -> f64 {
    if precision + recall > 0.0 { 2.0 * precision * recall / (precision + recall) } else { 0.0 }
}

fn calibration_error(findings: &[(f64, bool)]) -> Option<f64> {
    let mut bins = [(0_usize, 0.0, 0_usize); BINS];
    for (confidence, right) in findings {
        let bin = &mut bins[((confidence * BINS as f64) as usize).min(BINS - 1)];
        *bin = (bin.0 + 1, bin.1 + confidence, bin.2 + usize::from(*right));
    }
    let apart = bins.iter().map(|(_, confidence, right)| (confidence - *right as f64).abs()).sum::<f64>();
    (!findings.is_empty()).then(|| apart / findings.len() as f64)
}

/// `findings` from the most confident down.
fn isotonic(findings: &[(f64, bool)]) -> Vec<Step> {
    let mut blocks: Vec<Step> = Vec::new();
    for (confidence, right) in findings.iter().rev() {
        let mut block = Step { from_confidence: *confidence, probability: f64::from(u8::from(*right)), findings: 1 };
        while let Some(before) = blocks
            .last()
            .copied()
            .filter(|before| before.probability >= block.probability || before.from_confidence == block.from_confidence)
        {
            let findings = before.findings + block.findings;
            let sum = before.probability * before.findings as f64 + block.probability * block.findings as f64;
            block = Step { from_confidence: before.from_confidence, probability: sum / findings as f64, findings };
            blocks.pop();
        }
        blocks.push(block);
    }
    blocks
}

/// `findings` from the most confident down; `there` things of the class in all.
fn suggestion(findings: &[(f64, bool)], there: f64) -> Option<Suggestion> {
    let mut best: Option<Suggestion> = None;
    let mut right = 0;
    for (index, (confidence, is_right)) in findings.iter().enumerate() {
        right += usize::from(*is_right);
        // Findings of one confidence stay or go together.
        if findings.get(index + 1).is_some_and(|next| next.0 == *confidence) || right == 0 {
            continue;
        }
        let (precision, recall) = (right as f64 / (index + 1) as f64, right as f64 / there);
        let at = Suggestion { confidence: *confidence, precision, recall, f1: f1(precision, recall) };
        if best.is_none_or(|best| at.f1 > best.f1) {
            best = Some(at);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(confidence: f64, truly: Option<&str>) -> Judged {
        Judged { class: "trap".to_owned(), truly: truly.map(str::to_owned), confidence }
    }

    #[test]
    fn precision_recall_and_threshold_follow_from_the_reviews() {
        let reviews = [
            judged(0.9, Some("trap")),
            judged(0.8, Some("trap")),
            judged(0.6, None),
            judged(0.5, Some("damage")),
            judged(0.4, None),
        ];
        let rest = [Unjudged { class: "trap".to_owned(), open: 7, missed: 1 }];
        let figures = review_figures(&reviews, &rest);
        let (damage, trap) = (&figures[0], &figures[1]);
        assert_eq!((trap.reviewed, trap.right, trap.open, trap.missed), (5, 2, 7, 1));
        assert_eq!((trap.precision, trap.recall), (Some(0.4), Some(2.0 / 3.0)));
        // At 0.9 F1 is 1/2, at 0.8 it is 4/5; below it falls.
        let suggestion = trap.suggestion.unwrap();
        assert_eq!((suggestion.confidence, suggestion.precision, suggestion.recall), (0.8, 1.0, 2.0 / 3.0));
        assert_eq!((damage.class.as_str(), damage.reviewed, damage.missed, damage.recall), ("damage", 0, 1, Some(0.0)));
    }

    #[test]
    fn probabilities_rise_with_confidence_and_keep_the_mean() {
        let rights = [(0.1, false), (0.2, true), (0.3, false), (0.4, false), (0.6, true), (0.7, false), (0.9, true)];
        let reviews: Vec<Judged> = rights.iter().map(|(c, right)| judged(*c, right.then_some("trap"))).collect();
        let figures = review_figures(&reviews, &[]).remove(0);
        assert!(
            figures
                .calibration
                .is_sorted_by(|a, b| a.probability < b.probability && a.from_confidence < b.from_confidence)
        );
        let mean = figures.calibration.iter().map(|step| step.probability * step.findings as f64).sum::<f64>();
        assert!((mean - 3.0).abs() < 1e-12);
        assert_eq!(figures.calibration.len(), 4, "{:?}", figures.calibration);
    }

    #[test]
    fn a_model_that_knows_how_sure_it_is_has_no_calibration_error() {
        let reviews: Vec<Judged> = (0..10).map(|i| judged(0.7, (i < 7).then_some("trap"))).collect();
        assert!(review_figures(&reviews, &[])[0].calibration_error.unwrap() < 1e-12);
        let sure: Vec<Judged> = (0..10).map(|i| judged(0.9, (i < 5).then_some("trap"))).collect();
        assert!((review_figures(&sure, &[])[0].calibration_error.unwrap() - 0.4).abs() < 1e-12);
    }
}
