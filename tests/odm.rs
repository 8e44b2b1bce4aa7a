//! OpenDroneMap stitches in place of polder's own engine, and everything that a server and a link do to that.
//!
//! The server is a double that follows NodeODM's OpenAPI document; what it hands out is a real orthophoto of the same
//! flight, made once by the own engine and written as ODM writes them.

#[path = "support/nodeodm.rs"]
mod nodeodm;
mod support;

use std::{
    fs,
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::OnceLock,
    time::Duration,
};

use nodeodm::{NodeOdm, Script, archive, as_odm_writes};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use support::{Polder, polder, said, signal, small_flight, succeeds, wait_until};
use tempfile::TempDir;

const TOKEN: &str = "a-token-that-nobody-may-see";
const PHOTOS: usize = 8;

/// What the own engine has made of the small flight.
struct Own {
    folder: TempDir,
    report: Value,
}

fn own() -> &'static Own {
    static OWN: OnceLock<Own> = OnceLock::new();
    OWN.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        let mut command = polder(["stitch"]);
        command
            .arg(small_flight().join("images"))
            .arg("--out")
            .arg(file("ortho.tif"))
            .arg("--dsm")
            .arg(file("dsm.tif"));
        command.arg("--report").arg(file("report.json")).arg("--work-dir").arg(file("work"));
        succeeds(&mut command);
        let report = read_json(&file("report.json"));
        assert_eq!(report["photos"]["used"], PHOTOS, "{report}");
        Own { folder, report }
    })
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The figures that ODM puts beside the orthophoto, of the cameras that the own engine has found.
fn figures() -> (Value, Value) {
    let dsm = gdal::Dataset::open(own().folder.path().join("dsm.tif")).unwrap();
    let ground = dsm.rasterband(1).unwrap().read_as::<f32>((0, 0), dsm.raster_size(), dsm.raster_size(), None).unwrap();
    let mut ground: Vec<f32> = ground.data().iter().copied().filter(|height| *height > -9000.0).collect();
    ground.sort_by(f32::total_cmp);
    let ground = f64::from(ground[ground.len() / 2]);
    let shot = |photo: &Value| {
        let up = ground + photo["height_above_ground_m"].as_f64().unwrap();
        json!({
            "type": "Feature",
            "geometry": { "type": "Point", "coordinates": [photo["longitude"], photo["latitude"], up] },
            "properties": { "filename": photo["name"], "width": 800, "height": 600, "focal": 0.8 },
        })
    };
    let photos = own().report["per_photo"].as_array().unwrap();
    // ODM has found no place for the last one.
    let shots: Vec<Value> = photos[..PHOTOS - 1].iter().map(shot).collect();
    let statistics = json!({
        "reconstruction_statistics": {
            "reconstructed_shots_count": PHOTOS - 1, "reconstructed_points_count": 4321, "observations_count": 15000,
            "reprojection_error_pixels": 0.5, "reprojection_histogram_pixels": [[100, 100], [0.0, 0.5, 1.0]],
        },
        "camera_errors": { "v2 simulated": {
            "initial_values": { "focal": 0.8 }, "optimized_values": { "focal": 0.804, "k1": 0.01 } } },
        "gcp_errors": { "error": { "x": 0.01, "y": 0.02, "z": 0.03 }, "average_error": 0.02 },
    });
    (json!({ "type": "FeatureCollection", "features": shots }), statistics)
}

/// The archive of a task that went well; the orthophoto `moved` metres to the east, or without a place.
fn result(moved: Option<f64>) -> Vec<u8> {
    let orthophoto = as_odm_writes(&own().folder.path().join("ortho.tif"), moved);
    let (shots, statistics) = figures();
    archive(&[
        ("odm_orthophoto/odm_orthophoto.tif", orthophoto),
        ("odm_dem/dsm.tif", fs::read(own().folder.path().join("dsm.tif")).unwrap()),
        ("odm_report/shots.geojson", shots.to_string().into_bytes()),
        ("odm_report/stats.json", statistics.to_string().into_bytes()),
    ])
}

fn server(change: impl FnOnce(&mut Script)) -> NodeOdm {
    static RESULT: OnceLock<Vec<u8>> = OnceLock::new();
    let mut script =
        Script { token: Some(TOKEN), result: RESULT.get_or_init(|| result(Some(0.0))).clone(), ..Script::default() };
    change(&mut script);
    NodeOdm::start(script)
}

/// A stitch of the small flight by a server, with everything in `folder`.
fn stitch(server: &NodeOdm, folder: &Path, more: &[&str]) -> Command {
    let mut command = polder(["stitch"]);
    command.arg(small_flight().join("images")).arg("--out").arg(folder.join("ortho.tif"));
    command.arg("--report").arg(folder.join("report.json")).arg("--work-dir").arg(folder.join("work"));
    command.args(["--engine", "odm", "--odm-url", &server.url]).args(more).env("POLDER_ODM_TOKEN", TOKEN);
    command
}

fn works(server: &NodeOdm, folder: &Path, more: &[&str]) -> Value {
    let output = stitch(server, folder, more).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    hides_the_token(&output);
    read_json(&folder.join("report.json"))
}

fn fails(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    hides_the_token(&output);
    said(&output)
}

fn hides_the_token(output: &Output) {
    let text = said(output);
    assert!(!text.contains(TOKEN), "the token is in: {text}");
}

fn begun(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits for what another process does to the server.
fn waits_for(what: &str, is_so: impl FnMut() -> bool) {
    assert!(wait_until(Duration::from_mins(2), is_so), "{what}");
}

fn info(path: &Path) -> Value {
    let text = succeeds(Command::new("gdalinfo").arg("-json").arg(path));
    serde_json::from_str(&text).unwrap()
}

#[test]
fn plain_files_become_the_files_that_the_own_engine_makes() {
    let (server, folder) = (server(|_| ()), tempfile::tempdir().unwrap());
    let (gcp, dsm) = (small_flight().join("gcp_list.txt"), folder.path().join("dsm.tif"));
    // The tasks of a server are removed once their result is here, so this one is looked at before.
    server.rewrite(|script| script.holds = true);
    let more = ["--gcp", gcp.to_str().unwrap(), "--dsm", dsm.to_str().unwrap(), "--odm-option", "feature-quality=low"];
    let child = begun(stitch(&server, folder.path(), &more));
    waits_for("the task is committed", || server.tasks().values().any(|task| task.committed));
    what_was_uploaded_is_the_flight(&server);
    server.rewrite(|script| script.holds = false);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    hides_the_token(&output);
    assert!(server.tasks().is_empty(), "the task is removed");

    let (ortho, own_ortho) = (info(&folder.path().join("ortho.tif")), info(&own().folder.path().join("ortho.tif")));
    assert_eq!(ortho["metadata"]["IMAGE_STRUCTURE"]["LAYOUT"], "COG");
    for name in ["size", "geoTransform", "wgs84Extent"] {
        assert_eq!(ortho[name], own_ortho[name], "{name}");
    }
    assert_eq!(ortho["bands"][0]["mask"]["flags"], own_ortho["bands"][0]["mask"]["flags"]);
    assert_eq!(info(&dsm)["metadata"]["IMAGE_STRUCTURE"]["LAYOUT"], "COG");

    let (report, own) = (read_json(&folder.path().join("report.json")), &own().report);
    assert_eq!(report["verdict"], "ok", "{report}");
    assert_eq!(report["photos"]["total"], PHOTOS);
    assert_eq!(report["photos"]["used"], PHOTOS - 1);
    assert_eq!(report["photos"]["rejected"][0]["name"], own["per_photo"][PHOTOS - 1]["name"]);
    assert_eq!(report["software"], "ODM 3.5.6");
    assert_eq!(report["tie_points"], 4321);
    // Errors from 0 to 1 pixel, evenly: the root of a third.
    assert!((report["reprojection_rmse_px"].as_f64().unwrap() - 0.577).abs() < 1e-3, "{report}");
    assert_eq!((&report["crs"], &report["covered_pixels"]), (&own["crs"], &own["covered_pixels"]));
    let near = |name: &str, tolerance: f64| {
        let (here, there) = (report[name].as_f64().unwrap(), own[name].as_f64().unwrap());
        assert!((here - there).abs() < tolerance, "{name}: {here} {there}");
    };
    near("gsd_m", 1e-4);
    // The camera over the surface below it, and over the middle of all ground: the dike is some metres high.
    near("height_above_ground_m", 3.0);
    assert!(report["gps"]["horizontal_rmse_m"].as_f64().unwrap() < 0.3, "{report}");
    assert!(report["check_points"].as_array().unwrap().is_empty());
    let stages: Vec<&str> = report["stages"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap()).collect();
    assert_eq!(stages, ["upload", "odm", "download", "orthophoto"]);
}

fn what_was_uploaded_is_the_flight(server: &NodeOdm) {
    let task = server.task();
    let photos = fs::read_dir(small_flight().join("images")).unwrap().map(|entry| entry.unwrap().path());
    for path in photos {
        let name = path.file_name().unwrap().to_str().unwrap();
        let digest = hex::encode(Sha256::digest(fs::read(&path).unwrap()));
        assert_eq!(task.files.get(name), Some(&digest), "{name} came over whole");
    }
    assert_eq!(task.files.len(), PHOTOS + 1);
    let control = &task.texts["gcp_list.txt"];
    let lines: Vec<Vec<&str>> = control.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(control.starts_with("EPSG:326") && lines.len() > 4, "{control}");
    assert!(lines[1..].iter().all(|line| line.len() == 7 && task.files.contains_key(line[5])), "{control}");
    assert_eq!(task.options["fast-orthophoto"], true);
    assert_eq!(task.options["dsm"], true);
    assert_eq!(task.options["feature-quality"], "low");
    let (centimetres, own) = (&task.options["orthophoto-resolution"], own().report["gsd_m"].as_f64().unwrap());
    let ratio = centimetres.as_f64().unwrap() / 100.0 / own;
    assert!((0.5..1.0).contains(&ratio), "never coarser: {centimetres} cm, the own engine's GSD is {own} m");
    assert!(task.outputs.contains(&"odm_orthophoto/odm_orthophoto.tif".to_owned()), "{:?}", task.outputs);
}

#[test]
fn another_coordinate_system_and_gsd_are_made_of_the_same_result() {
    let (server, folder) = (server(|_| ()), tempfile::tempdir().unwrap());
    works(&server, folder.path(), &["--gsd", "0.05"]);
    let (begun, downloads) = (server.calls("POST /task/new/init"), server.calls("GET /task/"));
    let report = works(&server, folder.path(), &["--gsd", "0.05", "--crs", "EPSG:28992"]);
    assert_eq!(report["crs"], "EPSG:28992");
    assert_eq!(report["stages"][0]["kept"], true, "{report}");
    assert_eq!((server.calls("POST /task/new/init"), server.calls("GET /task/")), (begun, downloads));
    let ortho = info(&folder.path().join("ortho.tif"));
    let system = ortho["coordinateSystem"]["wkt"].as_str().unwrap();
    assert!(system.contains("Amersfoort / RD New") && system.contains("28992"), "{system}");
    assert_eq!(ortho["geoTransform"][1], 0.05);
    // The same ground is covered: 5 cm are fewer pixels than the flight's own.
    let own = &own().report;
    let area = |report: &Value, gsd: f64| report["covered_pixels"].as_f64().unwrap() * gsd * gsd;
    let ratio = area(&report, 0.05) / area(own, own["gsd_m"].as_f64().unwrap());
    assert!((ratio - 1.0).abs() < 0.01, "{ratio}");
}

#[test]
fn a_link_that_breaks_is_outlived() {
    let (server, folder) = (server(|_| ()), tempfile::tempdir().unwrap());
    server.rewrite(|script| (script.failing_uploads, script.broken_downloads) = (3, 2));
    let report = works(&server, folder.path(), &[]);
    assert_eq!(report["verdict"], "ok");
    assert_eq!(server.calls("POST /task/new/upload"), PHOTOS + 3);
    let [calm, rough] = [own().folder.path(), folder.path()].map(|folder| info(&folder.join("ortho.tif")));
    assert_eq!(calm["size"], rough["size"]);
}

#[test]
fn a_killed_stitch_finds_its_task_and_uploads_nothing_twice() {
    let (server, folder) = (server(|_| ()), tempfile::tempdir().unwrap());
    server.rewrite(|script| (script.uploads_until_silence, script.holds) = (Some(4), true));
    let mut child = begun(stitch(&server, folder.path(), &[]));
    let kept = || fs::read_dir(folder.path().join("work/odm")).into_iter().flatten().flatten();
    let confirmed = || {
        let files = kept().filter(|entry| entry.path().extension().is_some_and(|ending| ending == "task"));
        files.map(|entry| fs::read_to_string(entry.path()).unwrap().matches("has ").count()).sum::<usize>()
    };
    waits_for("half of the photos is there", || confirmed() == 4 && server.calls("POST /task/new/upload") == PHOTOS);
    child.kill().unwrap();
    child.wait().unwrap();

    let calls = server.calls("POST /task/new/upload");
    server.rewrite(|script| script.uploads_until_silence = None);
    let mut child = begun(stitch(&server, folder.path(), &[]));
    waits_for("the task is committed", || server.tasks().values().any(|task| task.committed));
    waits_for("it is known to be", || server.calls("GET /task/") > 3);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(server.calls("POST /task/new/upload") - calls, 4, "the other half alone");
    assert_eq!(server.task().files.len(), PHOTOS);

    server.rewrite(|script| script.holds = false);
    let report = works(&server, folder.path(), &[]);
    assert_eq!(report["verdict"], "ok");
    assert_eq!((server.calls("POST /task/new/init"), server.calls("POST /task/new/upload") - calls), (1, 4));
}

#[test]
fn ctrl_c_cancels_the_task_and_the_next_stitch_restarts_it() {
    for name in ["INT", "TERM"] {
        let (server, folder) = (server(|_| ()), tempfile::tempdir().unwrap());
        server.rewrite(|script| script.holds = true);
        let child = begun(stitch(&server, folder.path(), &[]));
        waits_for("the task runs", || server.calls("GET /task/") > 4);
        signal(name, child.id());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains("was cancelled on the ODM server"), "{}", said(&output));
        hides_the_token(&output);
        assert!(server.task().cancelled);
        server.rewrite(|script| script.holds = false);
        works(&server, folder.path(), &[]);
        let counts =
            ["POST /task/new/init", "POST /task/new/upload", "POST /task/restart"].map(|call| server.calls(call));
        assert_eq!(counts, [1, PHOTOS, 1]);
    }
}

#[test]
fn a_server_that_has_forgotten_the_task_gets_the_photos_anew() {
    for cluster in [false, true] {
        let (server, folder) = (server(|_| ()), tempfile::tempdir().unwrap());
        server.rewrite(|script| (script.holds, script.cluster) = (true, cluster));
        let mut child = begun(stitch(&server, folder.path(), &[]));
        waits_for("the task runs", || server.calls("GET /task/") > 4);
        server.forget();
        let output = child.wait_with_output_or_kill();
        assert!(output.contains("no longer knows task"), "{output}");
        server.rewrite(|script| script.holds = false);
        works(&server, folder.path(), &[]);
        assert_eq!(server.calls("POST /task/new/init"), 2);
    }
}

trait EndsBySelf {
    fn wait_with_output_or_kill(&mut self) -> String;
}

impl EndsBySelf for Child {
    /// What a process says that must end by itself with 1.
    fn wait_with_output_or_kill(&mut self) -> String {
        let ended = wait_until(Duration::from_mins(2), || self.try_wait().unwrap().is_some());
        let _ = self.kill();
        assert!(ended, "it ends");
        assert_eq!(self.wait().unwrap().code(), Some(1));
        String::from_utf8(support::read_all(self.stderr.take().unwrap())).unwrap()
    }
}

#[test]
fn faults_of_the_server_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let told = |change: fn(&mut Script), more: &[&str]| {
        let server = server(change);
        let text = fails(stitch(&server, &tempfile::tempdir_in(folder.path()).unwrap().keep(), more));
        let uploads = server.calls("POST /task/new/upload");
        (text, uploads)
    };
    let holds = |(text, uploads): (String, usize), words: &[&str], most_uploads: usize| {
        assert!(words.iter().all(|word| text.contains(word)), "{words:?} in {text}");
        assert!(uploads <= most_uploads, "{uploads} uploads: {text}");
    };
    holds(
        told(|s| s.failure = Some(("Not enough memory", "[ERROR] Killed by the kernel")), &[]),
        &["Not enough memory", "split=100", "Killed by the kernel"],
        PHOTOS,
    );
    holds(
        told(|s| s.failure = Some(("Cannot process dataset", "Check that the images have enough overlap")), &[]),
        &["Cannot process dataset", "70 % overlap", "enough overlap"],
        PHOTOS,
    );
    holds(told(|s| s.token = Some("another"), &[]), &["does not accept the token", "POLDER_ODM_TOKEN"], 0);
    holds(told(|s| (s.token, s.cluster) = (Some("another"), true), &[]), &["does not accept the token", "401"], 0);
    holds(told(|_| (), &["--odm-option", "quality=best"]), &["no option quality", "feature-quality"], 0);
    holds(told(|_| (), &["--odm-option", "feature-quality=best"]), &["one of ultra, high"], 0);
    for own in [&["--fast"][..], &["--dtm", "dtm.tif"], &["--compress", "lerc"], &["--quality", "80"]] {
        holds(told(|_| (), own), &[own[0], "is for polder's own engine"], 0);
    }
    holds(told(|s| s.without = Some("dsm"), &["--dsm", "dsm.tif"]), &["no option dsm"], 0);
    holds(told(|s| s.max_images = Some(5), &[]), &["takes 5 photos at most and there are 8"], 0);
    holds(told(|s| s.result.truncate(s.result.len() / 2), &[]), &["did not come over whole"], PHOTOS);
    holds(
        told(|s| s.result = archive(&[("log.json", b"{}".to_vec())]), &[]),
        &["has no orthophoto", "log.json"],
        PHOTOS,
    );
    holds(told(|s| s.result = result(None), &[]), &["does not say where it is", "--gcp"], PHOTOS);
}

#[test]
fn what_is_no_odm_server_is_said_so() {
    let folder = tempfile::tempdir().unwrap();
    let told = |url: &str| {
        let mut command = polder(["stitch"]);
        command.arg(small_flight().join("images")).arg("--out").arg(folder.path().join("ortho.tif"));
        command.arg("--work-dir").arg(folder.path()).args(["--engine", "odm", "--odm-url", url]);
        fails(command)
    };
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let text = told(&format!("http://{nobody}"));
    assert!(text.contains("cannot reach the ODM server") && text.contains("--odm-url"), "{text}");
    let server = server(|script| script.token = None);
    let text = told(&format!("{}/elsewhere", server.url));
    assert!(text.contains("is no NodeODM or ClusterODM"), "{text}");
    let text = told("http://127.0.0.1:3000?token=abc");
    assert!(text.contains("POLDER_ODM_TOKEN") && !text.contains("abc"), "{text}");
    let text = told("odm");
    assert!(text.contains("http://host:3000"), "{text}");
}

#[test]
fn an_orthophoto_that_lies_elsewhere_says_do_not_use() {
    let (server, folder) = (server(|script| script.result = result(Some(400.0))), tempfile::tempdir().unwrap());
    let verdict = works(&server, folder.path(), &[])["verdict"].as_str().unwrap().to_owned();
    assert!(verdict.starts_with("do not use: only 0 % of the photos' GPS positions lie over it"), "{verdict}");
}

#[test]
fn the_catalog_gets_the_same_item_with_another_run() {
    let (server, polder) = (server(|_| ()), Polder::up());
    let place = ["--project", "dijk-a", "--flight", "flight-2025"];
    let images = small_flight().join("images");
    polder.run(["upload", images.to_str().unwrap()].into_iter().chain(place));
    let stitch = |more: &[&str]| {
        let mut command = polder.command(["stitch"].into_iter().chain(place).chain(more.iter().copied()));
        let output = command.env("POLDER_ODM_TOKEN", TOKEN).env("POLDER_ODM_URL", &server.url).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        hides_the_token(&output);
        support::last_event(&output)
    };
    let done = stitch(&["--engine", "odm"]);
    assert_eq!((&done["event"], &done["reused"]), (&json!("done"), &json!(false)), "{done}");
    assert_eq!(done["report"]["verdict"], "ok", "{done}");
    let uploads = server.calls("POST /task/new/upload");
    let again = stitch(&["--engine", "odm"]);
    assert_eq!((&again["item"], &again["reused"]), (&done["item"], &json!(true)));
    assert_eq!(server.calls("POST /task/new/upload"), uploads);
    let other = stitch(&["--engine", "odm", "--odm-option", "min-num-features=20000"]);
    assert_ne!(other["item"], done["item"]);
    let own = stitch(&[]);
    assert!(own["item"] != done["item"] && own["item"] != other["item"], "{own}");

    let items = polder.items("drone-ortho");
    assert_eq!(items.len(), 3);
    let item = |id: &Value| items.iter().find(|item| item["id"] == *id).unwrap().clone();
    let (odm, own) = (item(&done["item"]), item(&own["item"]));
    assert_eq!(
        odm["properties"]["processing:software"],
        json!({ "ODM": "3.5.6", "polder": env!("CARGO_PKG_VERSION") })
    );
    let expression = &item(&other["item"])["properties"]["processing:expression"]["expression"];
    assert_eq!(
        (&expression["engine"], &expression["odm_options"]["min-num-features"]),
        (&json!("ODM 3.5.6"), &json!(20000))
    );
    assert_eq!(odm["properties"]["polder:photos_used"], PHOTOS - 1);
    let names = |item: &Value| -> Vec<String> { item["assets"].as_object().unwrap().keys().cloned().collect() };
    for asset in ["ortho", "dsm", "report", "thumbnail"] {
        assert!(names(&odm).contains(&asset.to_owned()) && names(&own).contains(&asset.to_owned()), "{asset}");
    }
    for name in ["proj:shape", "proj:transform", "proj:code"] {
        assert_eq!(odm["properties"][name], own["properties"][name], "{name}");
    }
    let sources = odm["links"].as_array().unwrap().iter().filter(|link| link["rel"] == "derived_from").count();
    assert_eq!(sources, PHOTOS - 1);
}
