//! What goes wrong gets a sentence that says what to do, the right exit code, and leaves nothing half-written.
#![cfg(feature = "torch")]

mod support;

use std::{fs, net::TcpListener, path::Path};

use support::{Polder, polder, said, small_flight};

const PLACE: [&str; 4] = ["--project", "dijk-a", "--flight", "flight-2025"];

/// Runs a command that must fail with this exit code, and returns what it said.
fn fails(mut command: std::process::Command, code: i32) -> String {
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
