//! A simulated flight is one that other programs take for real.

mod support;

use std::process::Command;

use support::{small_flight, succeeds};

#[test]
fn exiftool_reads_place_time_and_attitude() {
    let photo = small_flight().join("images");
    let first = std::fs::read_dir(photo).unwrap().map(|entry| entry.unwrap().path()).min().unwrap();
    let tags = [
        "-j",
        "-n",
        "-GPSLatitude",
        "-GPSLongitude",
        "-RelativeAltitude",
        "-GimbalYawDegree",
        "-RtkFlag",
        "-DateTimeOriginal",
        "-FocalLength",
    ];
    let text = succeeds(Command::new("exiftool").args(tags).arg(first));
    let tags: serde_json::Value = serde_json::from_str(&text).unwrap();
    let tags = &tags[0];
    assert!((50.0..54.0).contains(&tags["GPSLatitude"].as_f64().unwrap()), "{tags}");
    assert!((3.0..8.0).contains(&tags["GPSLongitude"].as_f64().unwrap()), "{tags}");
    assert_eq!(tags["RtkFlag"], 50, "{tags}");
    for name in ["RelativeAltitude", "GimbalYawDegree", "DateTimeOriginal", "FocalLength"] {
        assert!(!tags[name].is_null(), "{name} is missing in {tags}");
    }
}

#[test]
fn the_same_seed_gives_the_same_flight() {
    let folder = tempfile::tempdir().unwrap();
    let size = ["--photos", "8", "--width", "800", "--height", "600", "--seed", "3", "--gps", "rtk"];
    succeeds(support::polder(["simulate", "--out"]).arg(folder.path()).args(size));
    for entry in std::fs::read_dir(small_flight().join("images")).unwrap() {
        let name = entry.unwrap().file_name();
        let read = |root: &std::path::Path| std::fs::read(root.join("images").join(&name)).unwrap();
        assert!(read(small_flight()) == read(folder.path()), "{name:?} differs");
    }
}
