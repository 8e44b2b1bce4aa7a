//! Each way in which a block can be wrong, and sound ones that look a little like it.

use super::*;
use crate::photogrammetry::blocks::BlockReport;
use crate::photogrammetry::report::{
    SurveyResidual,
    testing::{rejected, sample, surveyed, with_control},
};

/// The verdict and the advice after `change` was made to a sound report.
fn judged(mut report: Report, change: impl FnOnce(&mut Report)) -> Report {
    change(&mut report);
    judge(&mut report);
    assert_eq!(report.verdict == "ok", report.advice.is_empty(), "a fault has a remedy: {}", report.verdict);
    report
}

fn refused(report: Report, change: impl FnOnce(&mut Report), words: &str) {
    let verdict = judged(report, change).verdict;
    assert!(verdict.starts_with("do not use: ") && verdict.contains(words), "{verdict}");
}

#[test]
fn a_block_that_agrees_with_gps_may_be_used() {
    let report = judged(sample(), |_| ());
    assert_eq!((report.verdict.as_str(), report.notes.len()), ("ok", 0), "{:?}", report.notes);
    let report = judged(with_control(), |_| ());
    assert_eq!((report.verdict.as_str(), report.notes.len()), ("ok", 0), "{:?}", report.notes);
}

#[test]
fn a_block_of_another_size_than_gps_says_do_not_use() {
    refused(sample(), |report| report.gps.as_mut().unwrap().scale_ppm = 60_000.0, "6.0 %");
    refused(with_control(), |report| report.gps.as_mut().unwrap().scale_ppm = -60_000.0, "-6.0 %");
}

#[test]
fn a_block_that_is_turned_against_gps_says_do_not_use() {
    refused(sample(), |report| report.gps.as_mut().unwrap().rotation_mrad = -70.0, "turn by -4.0°");
}

#[test]
fn heights_that_lean_say_do_not_use_unless_control_points_decide() {
    let lean = |report: &mut Report| report.gps.as_mut().unwrap().tilt_mrad = [0.0, 200.0];
    refused(sample(), lean, "lean by 20.0 %");
    assert_eq!(judged(with_control(), lean).verdict, "ok");
}

#[test]
fn one_wrong_gps_is_a_note_and_many_are_a_fault() {
    let outliers = |count: usize| {
        move |report: &mut Report| report.gps.as_mut().unwrap().outliers = vec!["a.jpg".to_owned(); count]
    };
    let report = judged(sample(), outliers(1));
    assert!(report.verdict == "ok" && report.notes[0].contains("a.jpg"), "{:?}", report.notes);
    refused(sample(), outliers(3), "3 of 8 photos");
}

#[test]
fn control_points_far_from_gps_are_of_another_system() {
    let shift = |metres: f64| move |report: &mut Report| report.gps.as_mut().unwrap().east.mean_m = metres;
    refused(with_control(), shift(98.0), "98 m away");
    let report = judged(with_control(), shift(9.0));
    assert!(report.verdict == "ok" && report.notes[0].contains("9.0 m beside"), "{:?}", report.notes);
}

#[test]
fn a_focal_length_that_took_the_heights_along_says_do_not_use() {
    let heights = |height: f64, focal: f64| {
        move |report: &mut Report| {
            report.height_above_ground_m = height;
            report.cameras[0].focal_change_percent = focal;
        }
    };
    refused(sample(), heights(50.0, 20.0), "50.0 m above the ground, by the aircraft 40.0 m");
    refused(sample(), heights(40.0, -31.0), "-31 %");
    // It took off from a hill: the photos alone know better.
    let report = judged(sample(), heights(70.0, 1.0));
    assert!(report.verdict == "ok" && report.notes[0].contains("took off"), "{:?}", report.notes);
    let report = judged(sample(), heights(42.0, 10.0));
    assert!(report.verdict == "ok" && report.notes[0].contains("+10.0 %"), "{:?}", report.notes);
}

#[test]
fn a_control_point_that_is_off_says_do_not_use_by_name() {
    refused(with_control(), |report| report.control_points[1].north_m = 0.5, "control point gcp-2 is 0.50 m off");
    refused(with_control(), |report| report.control_points[2].up_m = -0.7, "gcp-3 is 0.00 m off in plan and 0.70 m");
}

#[test]
fn check_points_far_worse_than_control_points_say_do_not_use() {
    let check = |east_m: f64, up_m: f64| {
        move |report: &mut Report| {
            report.check_points = vec![SurveyResidual { east_m, up_m, ..surveyed("check-1") }];
            report.check_rmse = SurveyRmse::of(&report.check_points);
        }
    };
    assert_eq!(judged(with_control(), check(0.05, -0.08)).verdict, "ok");
    refused(with_control(), check(0.4, 0.0), "check points are off by 0.40 m in plan");
    refused(with_control(), check(0.0, -0.6), "0.60 m in height");
    // GPS of 1.5 m asks for no more than itself, and knows no zero of heights.
    let report = judged(sample(), check(3.0, 43.0));
    assert!(report.verdict == "ok" && report.notes[0].contains("different zeros"), "{:?}", report.notes);
    refused(sample(), check(9.0, 0.0), "GPS is good to 1.50 m");
}

#[test]
fn each_block_of_a_flight_with_a_hole_is_judged_by_itself() {
    let mut report = sample();
    let block = |gps| BlockReport {
        photos: 4,
        names: Vec::new(),
        tie_points: 900,
        reprojection_rmse_px: 0.3,
        gps,
        control_points: 0,
    };
    report.blocks = vec![block(report.gps.clone()), block(report.gps.clone())];
    assert_eq!(judged(report.clone(), |_| ()).verdict, "ok");
    refused(
        report.clone(),
        |report| report.blocks[1].gps.as_mut().unwrap().rotation_mrad = 70.0,
        "block 2: GPS asks for a turn by 4.0°",
    );
    refused(report, |report| report.blocks[1].gps = None, "block 2: neither GPS nor control points");
}

#[test]
fn nothing_that_fixes_place_and_scale_says_do_not_use() {
    refused(sample(), |report| report.gps = None, "neither GPS nor control points");
    assert_eq!(judged(with_control(), |report| report.gps = None).verdict, "ok");
}

#[test]
fn half_a_flight_says_do_not_use() {
    refused(sample(), |report| report.photos.total = 17, "only 8 of 17");
}

#[test]
fn a_part_of_the_flight_that_is_missing_says_do_not_use() {
    let rejects = |place: [f64; 2], off_nadir: f64| {
        move |report: &mut Report| {
            report.photos.rejected = vec![rejected(place, off_nadir); 4];
            report.photos.total = 12;
        }
    };
    refused(sample(), rejects([150.0, 10.0], 1.0), "4 photos that were not used lie outside it");
    // Not missed: their ground is there, they are of another place, or they look at the horizon.
    for (place, off_nadir) in [([5.0, 5.0], 1.0), ([5000.0, 0.0], 1.0), ([150.0, 10.0], 60.0)] {
        let report = judged(sample(), rejects(place, off_nadir));
        assert_eq!((report.verdict.as_str(), report.notes.len()), ("ok", 0), "{place:?} {:?}", report.notes);
    }
    // Their ground is there once the block's shift against GPS is added.
    let report = judged(with_control(), |report| {
        rejects([-55.0, 5.0], 1.0)(report);
        report.gps.as_mut().unwrap().east.mean_m = 60.0;
    });
    assert!(!report.verdict.contains("missing") && report.verdict.contains("60 m away"), "{}", report.verdict);
    let report = judged(sample(), |report| report.photos.rejected = vec![rejected([150.0, 10.0], 1.0)]);
    assert!(report.verdict == "ok" && report.notes[0].contains("smaller than the flight"), "{:?}", report.notes);
}
