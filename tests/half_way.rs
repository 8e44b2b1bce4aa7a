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

/// Stitches with `small` in its arguments standing for a file system of so many kilobytes. Returns the exit code, what was
/// said, and the files that are left on it; `None` where nobody but root may make a file system.
fn stitch_beside(kilobytes: u32, arguments: &[&str]) -> Option<(Option<i32>, String, Vec<String>)> {
    let folder = tempfile::tempdir().unwrap();
    let small = folder.path().join("small");
    fs::create_dir(&small).unwrap();
    let script = "small=$1; polder=$2; photos=$3; shift 3; mount -t tmpfs -o size=${KILOBYTES}k tmpfs \"$small\" || exit 77; \
        cd \"$small\"; \"$polder\" stitch \"$photos\" \"$@\"; code=$?; find . -type f; exit $code";
    let output = Command::new("unshare")
        .args(["-m", "sh", "-c", script, "sh"])
        .args([small.as_os_str(), POLDER.as_ref(), small_flight().join("images").as_os_str()])
        .args(arguments.iter().map(|argument| argument.replace("large", &folder.path().to_string_lossy())))
        .env("KILOBYTES", kilobytes.to_string())
        .output()
        .unwrap();
    let text = said(&output);
    if output.status.code() == Some(77) || text.contains("unshare failed") {
        eprintln!("SKIPPED: only root can make a small file system: {text}");
        return None;
    }
    let stdout = String::from_utf8_lossy(&output.stdout);
    let left = stdout.lines().filter_map(|line| line.strip_prefix("./")).map(str::to_owned).collect();
    Some((output.status.code(), text, left))
}

#[test]
fn the_disk_is_full_when_the_orthophoto_is_written() {
    let work = ["--work-dir", "large/work"];
    let Some((code, text, left)) = stitch_beside(1000, &[&["--out", "ortho.tif"], &work[..]].concat()) else { return };
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("no space left") && text.contains("ortho.tif"), "{text}");
    assert!(text.contains("make room"), "it says what to do: {text}");
    assert!(left.is_empty(), "nothing half-written: {left:?}");
}

#[test]
fn the_disk_is_full_when_the_surface_is_written() {
    let arguments = ["--out", "large/ortho.tif", "--dsm", "dsm.tif", "--work-dir", "large/work"];
    let Some((code, text, left)) = stitch_beside(12, &arguments) else { return };
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("no space left") && text.contains("dsm.tif") && text.contains("make room"), "{text}");
    assert!(left.is_empty(), "nothing half-written: {left:?}");
}

#[test]
fn the_disk_is_full_when_the_report_is_written() {
    let arguments = ["--out", "large/ortho.tif", "--report", "report.json", "--work-dir", "large/work"];
    let Some((code, text, left)) = stitch_beside(4, &arguments) else { return };
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("report.json") && text.contains("make room"), "{text}");
    assert!(left.is_empty(), "nothing half-written: {left:?}");
}

#[test]
fn a_full_disk_for_what_is_kept_does_not_stop_a_stitch() {
    let Some((code, text, left)) = stitch_beside(64, &["--out", "large/ortho.tif", "--work-dir", "work"]) else {
        return;
    };
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("cannot keep"), "{text}");
    assert!(!left.iter().any(|name| name.contains("half")), "nothing half-written: {left:?}");
}
