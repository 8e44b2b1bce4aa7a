//! What a step needs goes away while it runs: it says so, and the same command succeeds once it is back.
#![cfg(feature = "torch")]

mod support;

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use support::{POLDER, Polder, said, signal, small_flight, wait_until};

const PLACE: [&str; 4] = ["--project", "dijk-a", "--flight", "flight-2025"];

fn upload(polder: &Polder) {
    let images = small_flight().join("images");
    polder.run(["upload", images.to_str().unwrap()].into_iter().chain(PLACE));
}

/// Starts `polder run` and returns when it is at work on the photos.
fn start_run(polder: &Polder) -> Child {
    let mut command = polder.command(["run"].into_iter().chain(PLACE));
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let work = polder.data().join("work");
    let has_photos =
        || walk(&work).any(|file| file.extension().is_some_and(|suffix| suffix.eq_ignore_ascii_case("jpg")));
    assert!(wait_until(Duration::from_mins(1), has_photos), "the photos are fetched");
    child
}

fn walk(folder: &Path) -> impl Iterator<Item = std::path::PathBuf> {
    let mut left = vec![folder.to_owned()];
    let mut files = Vec::new();
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() { left.push(path) } else { files.push(path) }
        }
    }
    files.into_iter()
}

fn one_of_everything(polder: &Polder) {
    let count = |collection| polder.items(collection).len();
    assert_eq!(["drone-raw", "drone-ortho", "ai-results", "ai-models"].map(count), [8, 1, 1, 1]);
}

#[test]
fn the_store_and_the_api_go_away() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut polder = Polder::up_on(&data);
    upload(&polder);
    let run = start_run(&polder);
    polder.kill();
    let output = run.wait_with_output().unwrap();
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    // It depends on the moment: between two answers, or within one.
    assert!(text.contains("does not answer") || text.contains("broke off its answer"), "{text}");
    assert!(text.contains("run the same command again"), "{text}");

    let mut polder = Polder::up_on(&data);
    assert!(polder.items("drone-ortho").is_empty(), "nothing half-written");
    polder.run(["run"].into_iter().chain(PLACE));
    one_of_everything(&polder);
    polder.stop();
}

#[test]
fn the_database_is_killed() {
    let mut polder = Polder::up();
    upload(&polder);
    let run = start_run(&polder);
    let pid_file = polder.data().join("postgres/postmaster.pid");
    let server = || fs::read_to_string(&pid_file).ok()?.lines().next()?.parse::<u32>().ok();
    let killed = server().unwrap();
    signal("KILL", killed);
    let output = run.wait_with_output().unwrap();
    let text = said(&output);
    assert!(output.status.success() || text.contains("database"), "{text}");

    assert!(wait_until(Duration::from_secs(30), || server().is_some_and(|pid| pid != killed)), "it is started again");
    let is_ready = || ureq::get(&format!("{}/readyz", polder.url)).call().is_ok();
    assert!(wait_until(Duration::from_secs(30), is_ready), "the API reaches it again");
    polder.run(["run"].into_iter().chain(PLACE));
    one_of_everything(&polder);
    polder.stop();
}

/// On a file system of one megabyte, which only root may make.
#[test]
fn the_disk_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let small = folder.path().join("small");
    fs::create_dir(&small).unwrap();
    let script = "mount -t tmpfs -o size=1m tmpfs \"$1\" || exit 77; \
        \"$2\" stitch \"$3\" --out \"$1/ortho.tif\"; code=$?; ls -A \"$1\"; exit $code";
    let output = Command::new("unshare")
        .args(["-m", "sh", "-c", script, "sh"])
        .args([small.as_os_str(), POLDER.as_ref(), small_flight().join("images").as_os_str()])
        .output()
        .unwrap();
    let text = said(&output);
    if output.status.code() == Some(77) || text.contains("unshare failed") {
        eprintln!("SKIPPED: only root can make a small file system: {text}");
        return;
    }
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("no space left") && text.contains("ortho.tif"), "{text}");
    assert!(text.contains("make room"), "it says what to do: {text}");
    let left = String::from_utf8_lossy(&output.stdout);
    assert!(!left.lines().any(|name| name == "ortho.tif"), "nothing half-written: {left}");
}
