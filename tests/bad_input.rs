//! What goes wrong gets a sentence that says what to do, the right exit code, and leaves nothing half-written.
#![cfg(feature = "torch")]

mod support;

use std::{fs, net::TcpListener, path::Path, process::Command};

use support::{Polder, polder, said, small_flight, succeeds};

const PLACE: [&str; 4] = ["--project", "dijk-a", "--flight", "flight-2025"];

/// Runs a command that must fail with this exit code, and returns what it said.
fn fails(mut command: Command, code: i32) -> String {
    ends(&mut command, code)
}

/// Runs a command that must end with this exit code, and returns what it said.
fn ends(command: &mut Command, code: i32) -> String {
    let output = command.output().unwrap();
    let text = said(&output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

fn copy_photos(names: &[&str], to: &Path) {
    for name in names {
        fs::copy(small_flight().join("images").join(name), to.join(name)).unwrap();
    }
}

fn copy_all_photos(to: &Path) -> Vec<String> {
    let names = photo_names();
    copy_photos(&names.iter().map(String::as_str).collect::<Vec<_>>(), to);
    names
}

fn photo_names() -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(small_flight().join("images"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let text = fails(polder(["stitch", "/no/such/folder", "--out", "/tmp/never.tif"]), 1);
    assert!(text.contains("/no/such/folder"), "{text}");
}

#[test]
fn a_folder_without_photos_says_what_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("notes.txt"), "hello").unwrap();
    let mut command = polder(["stitch"]);
    command.arg(folder.path()).arg("--out").arg(folder.path().join("ortho.tif"));
    let text = fails(command, 1);
    assert!(text.contains("JPEG and TIFF"), "{text}");
    assert!(!folder.path().join("ortho.tif").exists());
}

#[test]
fn one_photo_is_no_flight() {
    let folder = tempfile::tempdir().unwrap();
    copy_photos(&[&photo_names()[0]], folder.path());
    let mut command = polder(["stitch"]);
    command.arg(folder.path()).arg("--out").arg(folder.path().join("ortho.tif"));
    let text = fails(command, 1);
    assert!(text.contains('3'), "it says how many are needed: {text}");
    assert!(!folder.path().join("ortho.tif").exists());
}

#[test]
fn photos_without_position_need_control_points() {
    let folder = tempfile::tempdir().unwrap();
    for name in photo_names() {
        let picture = polder::raster::read_photo(&small_flight().join("images").join(&name)).unwrap();
        fs::write(folder.path().join(&name), polder::raster::encode_jpeg(&picture, 90).unwrap()).unwrap();
    }
    let mut command = polder(["stitch"]);
    command.arg(folder.path()).arg("--out").arg(folder.path().join("ortho.tif"));
    let text = fails(command, 1);
    assert!(text.contains("GPS") && text.contains("--gcp"), "both remedies are named: {text}");
}

#[test]
fn photos_without_position_stand_on_control_points() {
    let folder = tempfile::tempdir().unwrap();
    let flight = ["--photos", "8", "--width", "800", "--height", "600", "--gsd", "0.06", "--seed", "3", "--gps", "rtk"];
    ends(polder(["simulate", "--out"]).arg(folder.path()).args(flight), 0);
    let images = folder.path().join("images");
    succeeds(Command::new("exiftool").args(["-overwrite_original", "-gps:all=", "-xmp:all="]).arg(&images));
    let report = folder.path().join("report.json");
    let mut command = polder(["stitch"]);
    command.arg(images).arg("--out").arg(folder.path().join("ortho.tif")).arg("--report").arg(&report);
    ends(command.arg("--gcp").arg(folder.path().join("gcp_list.txt")), 0);
    let report: serde_json::Value = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
    assert_eq!(report["photos"]["used"], 8, "{report}");
    let points = report["control_points"].as_array().unwrap();
    assert!(points.len() >= 5, "{report}");
    for (point, axis) in points.iter().flat_map(|point| ["east_m", "north_m", "up_m"].map(|axis| (point, axis))) {
        assert!(point[axis].as_f64().unwrap().abs() < 0.06, "{point}");
    }
}

/// Moves photos to the north, in EXIF and in DJI's XMP, each this many degrees farther than the one before.
fn move_north(folder: &Path, names: &[String], step_deg: f64) {
    for (index, name) in names.iter().enumerate() {
        let photo = folder.join(name);
        let read = succeeds(Command::new("exiftool").args(["-s3", "-n", "-GPSLatitude"]).arg(&photo));
        let latitude = read.trim().parse::<f64>().unwrap() + step_deg * (index + 1) as f64;
        let tags = ["GPSLatitude", "XMP-drone-dji:GpsLatitude"].map(|tag| format!("-{tag}={latitude}"));
        succeeds(Command::new("exiftool").args(["-overwrite_original", "-n", "-m"]).args(tags).arg(&photo));
    }
}

#[test]
fn of_two_places_the_larger_one_is_stitched_and_the_other_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let names = copy_all_photos(folder.path());
    // Each of the last three by itself, so that they stay together: a fifth of a degree is 22 km.
    for name in &names[5..] {
        move_north(folder.path(), std::slice::from_ref(name), 0.2);
    }
    let report = folder.path().join("report.json");
    let mut command = polder(["stitch"]);
    command.arg(folder.path()).arg("--out").arg(folder.path().join("ortho.tif")).arg("--report").arg(&report);
    let text = ends(&mut command, 0);
    let report: serde_json::Value = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
    assert_eq!((&report["photos"]["used"], &report["photos"]["total"]), (&5.into(), &8.into()), "{report}");
    for rejected in report["photos"]["rejected"].as_array().unwrap() {
        assert!(rejected["reason"].as_str().unwrap().contains("km away"), "{rejected}");
    }
    assert!(text.contains("km away"), "the command says so too: {text}");
}

#[test]
fn photos_that_do_not_overlap_are_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let names = copy_all_photos(folder.path());
    move_north(folder.path(), &names, 0.01);
    let mut command = polder(["stitch"]);
    command.arg(folder.path()).arg("--out").arg(folder.path().join("ortho.tif"));
    let text = fails(command, 1);
    assert!(text.contains("overlap"), "{text}");
    assert!(!folder.path().join("ortho.tif").exists());
}

/// A detector that gives `[1, 300, 6]`, as exporters with built-in NMS do.
#[test]
fn a_model_of_another_layout_is_refused_with_its_shape() {
    use tch::{CModule, Device, Kind, Tensor};
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model.torchscript");
    let archive = {
        let _guard = tch::no_grad_guard();
        let example = Tensor::zeros([1, 3, 64, 64], (Kind::Float, Device::Cpu));
        let mut run = |inputs: &[Tensor]| {
            vec![inputs[0].mean(Kind::Float) * Tensor::zeros([1, 300, 6], (Kind::Float, Device::Cpu))]
        };
        CModule::create_by_tracing("M", "forward", &[example], &mut run).unwrap().save(&model).unwrap();
        let config = serde_json::json!({"names": {"0": "trap", "1": "hole"}, "imgsz": [64, 64], "task": "detect"});
        polder::detection::add_config(fs::read(&model).unwrap(), &config, "model").unwrap()
    };
    fs::write(&model, archive).unwrap();
    let mut command = polder(["detect"]);
    command.arg(small_flight().join("truth/ortho.tif")).arg("--model").arg(&model);
    command.arg("--out").arg(folder.path().join("found.geojson"));
    let text = fails(command, 1);
    assert!(text.contains("[1, 300, 6]") && text.contains("[1, 6, N]"), "it is shown what is wanted: {text}");
    assert!(!folder.path().join("found.geojson").exists());
}

#[test]
fn a_text_file_is_no_model() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model.torchscript");
    fs::write(&model, "not a model").unwrap();
    let ortho = small_flight().join("truth/ortho.tif");
    let mut command = polder(["detect"]);
    command.arg(ortho).arg("--model").arg(&model).arg("--out").arg(folder.path().join("found.geojson"));
    let text = fails(command, 1);
    assert!(text.contains("TorchScript") && text.contains("model.torchscript"), "{text}");
    assert!(!folder.path().join("found.geojson").exists());
}

#[test]
fn a_taken_port_is_named_with_the_flag_that_changes_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let mut command = polder(["up", "--listen", &address, "--s3-listen", "127.0.0.1:0"]);
    command.arg("--data").arg(folder.path().join("data"));
    let text = fails(command, 1);
    assert!(text.contains(&address) && text.contains("--listen"), "{text}");
}

#[test]
fn commands_without_any_polder_say_how_to_start_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = polder(["run"].into_iter().chain(PLACE));
    command.arg("--data").arg(folder.path());
    let text = fails(command, 1);
    assert!(text.contains("polder up") && text.contains("DATABASE_URL"), "{text}");
}

#[test]
fn used_wrongly_is_exit_code_two() {
    fails(polder(["detect", "ortho.tif", "--item", "x"]), 2);
    fails(polder(["upload"]), 2);
    let text = fails(polder(["upload", ".", "--project", "../etc", "--flight", "a"]), 2);
    assert!(text.contains("../etc"), "{text}");
}

#[test]
fn one_polder_up_meets_the_rest_of_what_can_go_wrong() {
    let server = Polder::up();
    let folder = tempfile::tempdir().unwrap();

    let mut second = polder(["up", "--listen", "127.0.0.1:0", "--s3-listen", "127.0.0.1:0"]);
    second.arg("--data").arg(server.data());
    let text = fails(second, 1);
    assert!(text.contains(&server.pid().to_string()), "the second names the first: {text}");

    let text = fails(server.command(["run"].into_iter().chain(PLACE)), 1);
    assert!(text.contains("polder upload"), "an unknown flight: {text}");

    // One good photo, one truncated, one text, one twice, one of another camera without position.
    let names = photo_names();
    copy_photos(&[&names[0]], folder.path());
    let bytes = fs::read(folder.path().join(&names[0])).unwrap();
    fs::write(folder.path().join("truncated.jpg"), &bytes[..bytes.len() / 2]).unwrap();
    fs::write(folder.path().join("twice.JPG"), &bytes).unwrap();
    fs::write(folder.path().join("notes.txt"), "hello").unwrap();
    let upload = |more: &[&'static str]| {
        let source = folder.path().to_str().unwrap().to_owned();
        let arguments = ["upload", &source].into_iter().chain(PLACE).chain(more.iter().copied());
        server.command(arguments.map(str::to_owned).collect::<Vec<_>>())
    };
    let text = fails(upload(&["--fail-on-rejects"]), 3);
    for part in ["truncated", "not a JPEG", "duplicate"] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    assert_eq!(server.items("drone-raw").len(), 1);
    let again = server.run(["upload", folder.path().to_str().unwrap()].into_iter().chain(PLACE));
    assert_eq!((&again["unchanged"], &again["rejected"]), (&1.into(), &2.into()), "{again}");

    let text = fails(server.command(["run"].into_iter().chain(PLACE)), 1);
    assert!(text.contains('3'), "one photo is too few: {text}");
    assert!(server.items("drone-ortho").is_empty(), "nothing half-written");
}
