//! A stitch that is killed in any of its stages goes on where it was, and ends with the same orthophoto.

mod support;

use std::{fs, path::Path, process::Stdio, time::Duration};

use serde_json::Value;
use support::{polder, small_flight, succeeds, wait_until};

/// Stitches the small flight into `folder`, with what is kept in `folder/work`; returns the stages that were kept.
fn stitch(folder: &Path) -> Vec<String> {
    succeeds(&mut command(folder));
    let report: Value = serde_json::from_slice(&fs::read(folder.join("report.json")).unwrap()).unwrap();
    let stages = report["stages"].as_array().unwrap().iter();
    stages.filter(|stage| stage["kept"] == true).map(|stage| stage["name"].as_str().unwrap().to_owned()).collect()
}

fn command(folder: &Path) -> std::process::Command {
    let mut command = polder(["stitch"]);
    command.arg(small_flight().join("images")).arg("--out").arg(folder.join("ortho.tif"));
    command.arg("--report").arg(folder.join("report.json")).arg("--work-dir").arg(folder.join("work"));
    command
}

/// How many results of a stage are whole.
fn results(folder: &Path, stage: &str) -> usize {
    let Ok(entries) = fs::read_dir(folder.join("work/stages")) else { return 0 };
    let names = entries.flatten().map(|entry| entry.file_name().into_string().unwrap());
    names.filter(|name| name.starts_with(stage) && !name.contains('.')).count()
}

#[test]
fn a_stitch_that_is_killed_in_each_stage_goes_on_there() {
    let calm = tempfile::tempdir().unwrap();
    assert!(stitch(calm.path()).is_empty());

    let rough = tempfile::tempdir().unwrap();
    let mut finished = false;
    for (stage, least) in [("keypoints", 2), ("keypoints", 8), ("matches", 1), ("adjustment", 1), ("sweep", 1)] {
        let mut child = command(rough.path()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let reached = wait_until(Duration::from_mins(2), || results(rough.path(), stage) >= least);
        // A quick machine may be done with the rest before it is noticed that a stage is.
        finished |= child.try_wait().unwrap().is_some();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(reached, "{stage}");
        let there = rough.path().join("ortho.tif").exists();
        assert!(finished || stage == "adjustment" || !there, "{stage}: nothing half-made has its name");
    }
    assert_eq!(stitch(rough.path()), ["keypoints", "matching", "adjustment", "sweep"]);
    let [calm, rough] = [calm, rough].map(|folder| fs::read(folder.path().join("ortho.tif")).unwrap());
    assert!(calm == rough, "the orthophotos have the same bytes");
}
