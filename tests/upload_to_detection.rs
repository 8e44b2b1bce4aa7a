//! A flight goes down the whole river, and clients that are not ours look at what came out.
#![cfg(feature = "torch")]

mod support;

use std::{
    fs,
    io::Write as _,
    process::{Command, Stdio},
};

use support::{Polder, python, small_flight, succeeds};

const PLACE: [&str; 4] = ["--project", "dijk-a", "--flight", "flight-2025"];

fn flown() -> Polder {
    let polder = Polder::up();
    let images = small_flight().join("images");
    let uploaded = polder.run(["upload", images.to_str().unwrap()].into_iter().chain(PLACE));
    assert_eq!(uploaded["registered"], 8, "{uploaded}");
    let done = polder.run(["run"].into_iter().chain(PLACE));
    assert_eq!(done["event"], "done");
    polder
}

/// One story, since its first half takes a minute: what it leaves is looked at from every side.
#[test]
fn a_flight_becomes_a_map_that_others_can_read() {
    let polder = flown();
    the_catalog_links_every_step_to_the_one_before(&polder);
    pystac_client_finds_and_validates_everything(&polder);
    gdal_reads_a_window_of_the_orthophoto(&polder);
    the_aws_cli_reads_the_exact_version(&polder);
    a_viewer_may_not_write(&polder);
    the_start_page_shows_the_picture(&polder);
    a_finding_leads_back_to_raw_objects_that_are_what_they_were(&polder);
    a_registered_model_is_what_its_name_stands_for(&polder);
    doing_it_again_changes_nothing(&polder);
}

fn the_catalog_links_every_step_to_the_one_before(polder: &Polder) {
    let (raw, ortho, results) = (polder.items("drone-raw"), polder.items("drone-ortho"), polder.items("ai-results"));
    assert_eq!((raw.len(), ortho.len(), results.len()), (8, 1, 1));
    let sources = |item: &serde_json::Value| -> Vec<String> {
        let links = item["links"].as_array().unwrap().iter();
        links
            .filter(|link| link["rel"] == "derived_from")
            .map(|link| link["href"].as_str().unwrap().to_owned())
            .collect()
    };
    let used = ortho[0]["properties"]["polder:photos_used"].as_u64().unwrap() as usize;
    assert_eq!(sources(&ortho[0]).len(), used);
    for href in sources(&ortho[0]).iter().chain(&sources(&results[0])) {
        let upstream = polder.get(href);
        assert_eq!(upstream["type"], "Feature", "{href} leads to an item");
    }
}

fn pystac_client_finds_and_validates_everything(polder: &Polder) {
    let Some(python) = python() else { return };
    println!("{}", succeeds(Command::new(python).arg("tests/python/stac_story.py").arg(&polder.url)));
}

fn gdal_reads_a_window_of_the_orthophoto(polder: &Polder) {
    let href = polder.items("drone-ortho")[0]["assets"]["ortho"]["href"].as_str().unwrap().to_owned();
    let info = succeeds(Command::new("gdalinfo").arg(format!("/vsicurl/{href}")));
    assert!(info.contains("LAYOUT=COG") && info.contains("EPSG\",32631"), "{info}");
    assert!(info.contains("Mask Flags: PER_DATASET"), "{info}");
    if let Some(python) = python() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ortho.tif");
        fs::write(&file, support::read_all(ureq::get(&href).call().unwrap().into_body().into_reader())).unwrap();
        println!("{}", succeeds(Command::new(python).arg("tests/python/cog_story.py").arg(&file)));
    }
}

fn the_aws_cli_reads_the_exact_version(polder: &Polder) {
    let Some(python) = python() else { return };
    let asset = polder.items("drone-ortho")[0]["assets"]["ortho"].clone();
    let s3 = asset["alternate"]["s3"].clone();
    let (bucket, key) = s3["href"].as_str().unwrap().strip_prefix("s3://").unwrap().split_once('/').unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ortho.tif");
    let mut aws = Command::new(python.with_file_name("aws"));
    aws.args(["s3api", "get-object", "--bucket", bucket, "--key", key, "--version-id"]);
    aws.arg(s3["polder:version_id"].as_str().unwrap()).arg(&file).envs(polder.s3_environment("s3-viewer.env"));
    succeeds(&mut aws);
    assert_eq!(fs::metadata(&file).unwrap().len(), asset["file:size"].as_u64().unwrap());
}

fn a_viewer_may_not_write(polder: &Polder) {
    let Some(python) = python() else { return };
    let put = |keys: &str, bucket: &str| {
        let mut aws = Command::new(python.with_file_name("aws"));
        aws.args(["s3api", "put-object", "--bucket", bucket, "--key", "intruder"]);
        aws.envs(polder.s3_environment(keys)).output().unwrap()
    };
    for (keys, bucket) in [("s3-viewer.env", "drone-raw"), ("s3-uploader.env", "drone-ortho")] {
        let refused = put(keys, bucket);
        assert!(support::said(&refused).contains("AccessDenied"), "{keys} {bucket}: {}", support::said(&refused));
    }
    assert!(put("s3-pipeline.env", "drone-ortho").status.success());
}

fn the_start_page_shows_the_picture(polder: &Polder) {
    let page = ureq::get(&format!("{}/", polder.url)).call().unwrap().into_body().read_to_string().unwrap();
    let annotated = polder.items("ai-results")[0]["assets"]["annotated"]["href"].as_str().unwrap().to_owned();
    let path = annotated.strip_prefix(&polder.url).unwrap();
    assert!(page.contains(path), "the page shows {path}");
    let picture = support::read_all(ureq::get(&annotated).call().unwrap().into_body().into_reader());
    assert!(picture.starts_with(&[0xff, 0xd8]), "it is a JPEG");
}

/// Which photos, which versions, which code: as the command tells it, and by following links with nothing but HTTP and
/// the AWS tools.
fn a_finding_leads_back_to_raw_objects_that_are_what_they_were(polder: &Polder) {
    let run = polder.items("ai-results").remove(0);
    let count = run["properties"]["polder:detections"].as_u64().unwrap();
    let name = run["id"].as_str().unwrap();
    let what = if count > 0 { format!("{name}#0") } else { format!("ai-results/{name}") };
    let output = polder.command(["lineage", &what, "--verify"]).output().unwrap();
    assert!(output.status.success(), "{}", support::said(&output));
    let steps: Vec<serde_json::Value> =
        String::from_utf8_lossy(&output.stdout).lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let of =
        |collection: &str| steps.iter().filter(|step| step["item"].as_str().unwrap().starts_with(collection)).count();
    let used = polder.items("drone-ortho")[0]["properties"]["polder:photos_used"].as_u64().unwrap() as usize;
    assert_eq!((of("drone-raw/"), of("drone-ortho/"), of("ai-models/")), (used, 1, 1), "{steps:?}");
    let objects: Vec<_> = steps.iter().flat_map(|step| step["objects"].as_array().unwrap()).collect();
    assert!(objects.len() > used && objects.iter().all(|object| object["fault"].is_null()), "{objects:?}");
    let code =
        &steps.iter().find(|step| step["item"].as_str().unwrap().starts_with("drone-ortho/")).unwrap()["software"];
    assert_eq!(code["polder"], env!("CARGO_PKG_VERSION"));
    the_links_lead_to_the_same_photos(polder, &run, &steps);
}

fn the_links_lead_to_the_same_photos(polder: &Polder, run: &serde_json::Value, steps: &[serde_json::Value]) {
    let upstream = |item: &serde_json::Value| -> Vec<serde_json::Value> {
        let links = item["links"].as_array().unwrap().iter();
        links.filter(|link| link["rel"] == "derived_from").cloned().collect()
    };
    let ortho = upstream(run).into_iter().find(|link| link["href"].as_str().unwrap().contains("drone-ortho")).unwrap();
    for link in upstream(&polder.get(ortho["href"].as_str().unwrap())) {
        let photo = polder.get(link["href"].as_str().unwrap());
        let asset = &photo["assets"]["photo"];
        assert_eq!(
            (&asset["file:checksum"], &asset["polder:version_id"]),
            (&link["file:checksum"], &link["polder:version_id"])
        );
        let told = steps.iter().find(|step| step["item"] == format!("drone-raw/{}", photo["id"].as_str().unwrap()));
        let sha256 = told.unwrap()["objects"][0]["sha256"].as_str().unwrap().to_owned();
        assert_eq!(link["file:checksum"], format!("1220{sha256}"));
        let body = ureq::get(asset["href"].as_str().unwrap()).call().unwrap().into_body().into_reader();
        let mut sha = Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        sha.stdin.take().unwrap().write_all(&support::read_all(body)).unwrap();
        let found = String::from_utf8(sha.wait_with_output().unwrap().stdout).unwrap();
        assert_eq!(found.split_whitespace().next(), Some(sha256.as_str()), "{}", photo["id"]);
    }
}

fn a_registered_model_is_what_its_name_stands_for(polder: &Polder) {
    let weights = concat!(env!("CARGO_MANIFEST_DIR"), "/models/muskrat.torchscript");
    let folder = tempfile::tempdir().unwrap();
    let metrics = folder.path().join("metrics.json");
    fs::write(&metrics, r#"{"mAP50": 0.97}"#).unwrap();
    let push = ["model", "push", weights, "--name", "dijkoog", "--model-version", "1.0", "--licence", "MIT"];
    let pushed = polder.run(push.into_iter().chain(["--stage", "production", "--metrics", metrics.to_str().unwrap()]));
    assert_eq!(pushed["item"], "dijkoog.1.0");
    let shown = polder.run(["model", "show", "dijkoog"]);
    let told = &shown["properties"];
    assert_eq!((&told["polder:stage"], &told["license"]), (&"production".into(), &"MIT".into()), "{told}");
    assert_eq!(
        (&told["mlm:output"][0]["result"]["shape"], &told["polder:metrics"]["mAP50"]),
        (&serde_json::json!([-1, 6, 5120]), &0.97.into())
    );
    polder.run(["model", "stage", "dijkoog@1.0", "retired"]);
    let ortho = polder.items("drone-ortho")[0]["id"].as_str().unwrap().to_owned();
    let refused = polder.command(["detect", "--item", &ortho, "--model", "dijkoog"]).output().unwrap();
    assert!(
        !refused.status.success() && support::said(&refused).contains("are retired"),
        "{}",
        support::said(&refused)
    );
    let text =
        polder.command(["model", "push", "Cargo.toml", "--name", "no", "--model-version", "1"]).output().unwrap();
    assert!(support::said(&text).contains("not TorchScript"), "{}", support::said(&text));
    let Some(python) = python() else { return };
    println!("{}", succeeds(Command::new(python).arg("tests/python/stac_story.py").arg(&polder.url)));
}

fn doing_it_again_changes_nothing(polder: &Polder) {
    let before = ["drone-raw", "drone-ortho", "ai-results", "ai-models"].map(|collection| polder.items(collection));
    let images = small_flight().join("images");
    let uploaded = polder.run(["upload", images.to_str().unwrap()].into_iter().chain(PLACE));
    assert_eq!((&uploaded["registered"], &uploaded["unchanged"]), (&0.into(), &8.into()), "{uploaded}");
    let done = polder.run(["run"].into_iter().chain(PLACE));
    assert_eq!(done["reused"], true, "{done}");
    let after = ["drone-raw", "drone-ortho", "ai-results", "ai-models"].map(|collection| polder.items(collection));
    assert_eq!(before, after);
}
