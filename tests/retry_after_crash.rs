//! Every step is killed half-way, several times, and run again: the catalog ends the same as that of an undisturbed run.
#![cfg(feature = "torch")]

mod support;

use std::{
    fs,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::Value;
use support::{Polder, small_flight};

const PLACE: [&str; 4] = ["--project", "dijk-a", "--flight", "flight-2025"];

/// Kills the command after each of these; then lets it end.
fn disturbed(polder: &Polder, arguments: &[&str], after: &[u64]) -> usize {
    let mut killed = 0;
    for milliseconds in after {
        let mut child = polder.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(*milliseconds));
        killed += usize::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    polder.run(arguments);
    killed
}

#[test]
fn a_killed_step_that_is_run_again_leaves_the_catalog_of_an_undisturbed_one() {
    let images = small_flight().join("images");
    let upload: Vec<&str> = ["upload", images.to_str().unwrap()].into_iter().chain(PLACE).collect();
    let run: Vec<&str> = ["run"].into_iter().chain(PLACE).collect();

    let calm = Polder::up();
    // Moments within what an undisturbed step takes on this machine. A step that goes on where it was killed takes less.
    let moments = |step: &[&str]| {
        let start = Instant::now();
        calm.run(step);
        let all = start.elapsed().as_millis() as u64;
        [5, 15, 25, 35].map(|percent| all * percent / 100)
    };
    let (while_uploading, while_running) = (moments(&upload), moments(&run));

    let rough = Polder::up();
    let killed = disturbed(&rough, &upload, &while_uploading) + disturbed(&rough, &run, &while_running);
    assert!(killed >= 4, "only {killed} of the kills met a running step");

    for collection in ["drone-raw", "drone-ortho", "ai-results", "ai-models"] {
        assert_eq!(essence(&calm, collection), essence(&rough, collection), "{collection}");
    }
    assert_eq!(pixels(&calm), pixels(&rough), "the orthophotos have the same pixels");
    assert_eq!(detections(&calm), detections(&rough), "the rows in PostGIS are the same");
}

#[test]
fn a_killed_polder_up_comes_back_with_everything() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let images = small_flight().join("images");
    let mut polder = Polder::up_on(&data);
    polder.run(["upload", images.to_str().unwrap()].into_iter().chain(PLACE));
    let before = essence(&polder, "drone-raw");
    polder.kill();
    let mut polder = Polder::up_on(&data);
    assert_eq!(before, essence(&polder, "drone-raw"));
    let photo = polder.items("drone-raw")[0]["assets"]["photo"]["href"].as_str().unwrap().to_owned();
    let bytes = support::read_all(ureq::get(&photo).call().unwrap().into_body().into_reader());
    assert!(bytes.starts_with(&[0xff, 0xd8]), "the photo is readable");
    polder.stop();
}

/// The items of a collection without what may differ between two runs: times, versions, ports, and the report,
/// which holds times.
fn essence(polder: &Polder, collection: &str) -> Vec<Value> {
    let mut items = polder.items(collection);
    for item in &mut items {
        let assets = item["assets"].as_object_mut().unwrap();
        assets.remove("report");
        assets.remove("report_page");
        simplify(item, &[&polder.url, &polder.s3_endpoint]);
    }
    items
}

fn simplify(value: &mut Value, addresses: &[&str]) {
    const DIFFERENT: [&str; 6] =
        ["created", "updated", "processing:datetime", "polder:version_id", "datetime_of_run", "storage:schemes"];
    match value {
        Value::Object(members) => {
            members.retain(|name, _| !DIFFERENT.contains(&name.as_str()));
            members.values_mut().for_each(|value| simplify(value, addresses));
            // A model is made when it is first used.
            if members.get("polder:model").is_some() && members.get("mlm:name").is_some() {
                members.remove("datetime");
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| simplify(value, addresses)),
        Value::String(text) => {
            for address in addresses {
                *text = text.replace(address, "");
            }
        }
        _ => {}
    }
}

fn pixels(polder: &Polder) -> Vec<u8> {
    let href = polder.items("drone-ortho")[0]["assets"]["ortho"]["href"].as_str().unwrap().to_owned();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ortho.tif");
    fs::write(&file, support::read_all(ureq::get(&href).call().unwrap().into_body().into_reader())).unwrap();
    decoded(&file)
}

fn decoded(file: &Path) -> Vec<u8> {
    let raster = polder::raster::Raster::open(file).unwrap();
    let [width, height] = raster.size();
    raster.read_rgba(polder::raster::Window { x: 0, y: 0, width, height }, [width, height]).unwrap().data
}

fn detections(polder: &Polder) -> String {
    let statement = "select class, confidence, st_astext(geometry) from detections order by 1, 2, 3";
    support::succeeds(std::process::Command::new("psql").args(["-At", "-c", statement, &polder.database_url]))
}
