//! `polder demo`: the whole river once, by the commands that a user would type.
//!
//! Each step is this very binary, started again as anybody would start it, so that what is shown is what is used.

use std::{
    ffi::OsString,
    io::{BufRead as _, BufReader, Read as _},
    net::TcpListener,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::{
    Outcome, Session,
    target::{Running, Target},
    wait_for,
};
use crate::{
    catalog::{Flight, Layer, Project, Role},
    simulation::{DetectionScore, OrthoScore, score_detections, score_orthophoto},
};

/// How far the orthophoto may be from the truth, in pixels; the issue that the demo answers to says so.
const LARGEST_RMSE_GSD: f64 = 2.0;
/// How many of the planted objects must be found, and how much of what is found may be wrong.
const LOWEST_RECALL: f64 = 0.9;
const HIGHEST_FALSE_SHARE: f64 = 0.1;

/// The whole river once: fly (or take your photos), upload, stitch, detect, publish, judge, serve.
///
/// Starts a `polder up` on the data folder, or uses the one that runs there. A synthetic flight is judged against its
/// truth, twice: by GPS alone and with its ground control points; the command fails when the figures are not met.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Folder with your own photos, in place of a synthetic flight
    #[arg(long, value_name = "DIR")]
    photos: Option<PathBuf>,

    /// Project to publish under
    #[arg(long, value_name = "NAME", default_value = "demo-dijk")]
    project: Project,

    /// Flight to publish under [default: named for the seed]
    #[arg(long, value_name = "NAME")]
    flight: Option<Flight>,

    /// Seed of the synthetic flight
    #[arg(long, value_name = "N", default_value_t = 7)]
    seed: u64,

    /// Accuracy of its GPS
    #[arg(long, value_name = "KIND", default_value = "standard", value_parser = ["standard", "rtk"])]
    gps: String,

    /// Stop when done, in place of serving until Ctrl-C; the results stay in the data folder
    #[arg(long)]
    once: bool,

    /// Address of the API; a free port is taken when this one is not free
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: String,

    /// Address of the S3 store, likewise
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9000")]
    s3_listen: String,
}

static STOPPED: AtomicBool = AtomicBool::new(false);

pub(super) fn run(args: &Args, session: &Session) -> anyhow::Result<Outcome> {
    let start = Instant::now();
    let data = session.settings.data_folder();
    let mut demo = Demo { session, data: data.clone(), timings: Vec::new(), server: None };
    demo.start_server(args)?;
    let shown = match &args.photos {
        Some(photos) => demo.own_photos(photos, args).map(|()| true),
        None => demo.synthetic(args),
    };
    if shown.is_ok() {
        demo.show_timings(start.elapsed());
    }
    if matches!(shown, Ok(true)) && !args.once {
        demo.serve_until_stopped();
    }
    demo.stop_server();
    anyhow::ensure!(shown?, "the figures above do not meet what the demo promises");
    Ok(Outcome::Done)
}

struct Demo<'a> {
    session: &'a Session,
    data: PathBuf,
    timings: Vec<(String, Duration)>,
    /// The `polder up` that this demo has started; `None` when one was running.
    server: Option<Child>,
}

impl Demo<'_> {
    fn say(&self, text: impl AsRef<str>) {
        self.session.output.say(text);
    }

    fn start_server(&mut self, args: &Args) -> anyhow::Result<()> {
        if let Some(running) = Running::find(&self.data) {
            self.say(format!("using the polder that runs at {}", running.url));
            return Ok(());
        }
        let start = Instant::now();
        let mut command = Command::new(std::env::current_exe().context("cannot find this program")?);
        command.arg("up").arg("--data").arg(&self.data).arg("--json");
        command.args(["--listen", &free_address(&args.listen)?, "--s3-listen", &free_address(&args.s3_listen)?]);
        self.say(format!("$ polder up --data {}", self.data.display()));
        // Ctrl-C is for the demo, which stops the server when its step has ended.
        command.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
        let mut server = command.spawn().context("cannot start polder up")?;
        let stdout = server.stdout.take().expect("it is piped");
        self.server = Some(server);
        let mut lines = BufReader::new(stdout).lines();
        let ready = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let event: Value = serde_json::from_str(&line).ok()?;
            (event["event"] == "ready").then_some(event)
        });
        let Some(ready) = ready else { bail!("polder up did not start; its message is above") };
        self.say(format!("  ready at {}", ready["url"].as_str().unwrap_or_default()));
        // Nobody reads on, but a full pipe would stop the server.
        thread::spawn(move || lines.for_each(drop));
        self.timings.push(("start database, store and API".to_owned(), start.elapsed()));
        Ok(())
    }

    /// Runs a step as its own process, and returns the last event that it printed.
    fn step(&mut self, what: &str, arguments: &[OsString]) -> anyhow::Result<Value> {
        let shown: Vec<_> = arguments.iter().map(|a| a.to_string_lossy()).collect();
        self.say(format!("$ polder {}", shown.join(" ")));
        let start = Instant::now();
        let mut command = Command::new(std::env::current_exe().context("cannot find this program")?);
        command.args(arguments).arg("--data").arg(&self.data).arg("--json");
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cannot start the step")?;
        let mut text = String::new();
        child.stdout.take().expect("it is piped").read_to_string(&mut text)?;
        let status = child.wait()?;
        let last = text.lines().rev().find_map(|line| serde_json::from_str::<Value>(line).ok()).unwrap_or_default();
        anyhow::ensure!(status.success(), "polder {} failed; its message is above", shown.join(" "));
        self.timings.push((what.to_owned(), start.elapsed()));
        Ok(last)
    }

    fn own_photos(&mut self, photos: &Path, args: &Args) -> anyhow::Result<()> {
        let flight = args.flight.clone().map_or_else(|| Flight::new("flight-1"), Ok)?;
        let place = place(&args.project, &flight);
        let uploaded = self.step("upload", &line(&[&words(&["upload"]), &[photos.into()], &place]))?;
        let done = self.step("stitch and detect", &line(&[&words(&["run"]), &place]))?;
        self.say(format!(
            "\n{} photos registered, {} rejected; found: {}",
            number(&uploaded["registered"]) + number(&uploaded["unchanged"]),
            number(&uploaded["rejected"]),
            counted(&done["counts"]),
        ));
        self.show_links(&done)
    }

    /// Flies, uploads, stitches, detects and judges; returns whether the figures are met.
    fn synthetic(&mut self, args: &Args) -> anyhow::Result<bool> {
        let named = format!("seed-{}-{}", args.seed, args.gps);
        let flight = args.flight.clone().map_or_else(|| Flight::new(named.clone()), Ok)?;
        let folder = self.data.join("demo").join(&named);
        let simulate = words(&["simulate", "--seed", &args.seed.to_string(), "--gps", &args.gps, "--out"]);
        self.step("simulate the flight", &line(&[&simulate, &[folder.clone().into()]]))?;
        let place = place(&args.project, &flight);
        let images = folder.join("images");
        self.step("upload", &line(&[&words(&["upload"]), &[images.into()], &place]))?;
        let by_gps = self.step("stitch and detect", &line(&[&words(&["run"]), &place]))?;
        let control = line(&[&words(&["run"]), &place, &words(&["--gcp"]), &[folder.join("gcp_list.txt").into()]]);
        let by_control = self.step("stitch and detect, with control points", &control)?;

        self.say("");
        let start = Instant::now();
        let is_rtk = args.gps == "rtk";
        let gps = if is_rtk { "RTK positions" } else { "standard GPS" };
        let met = self.judge(&folder, &by_gps, gps, is_rtk)?;
        let met = self.judge(&folder, &by_control, "ground control points", true)? && met;
        self.timings.push(("compare with the truth".to_owned(), start.elapsed()));
        self.show_links(&by_control)?;
        Ok(met)
    }

    /// Compares a run with the truth. By standard GPS alone the shift, scale and rotation that its noise carries are
    /// taken out first; with RTK or control points everything holds where it is.
    fn judge(&self, folder: &Path, run: &Value, by: &str, absolutely: bool) -> anyhow::Result<bool> {
        let folder = folder.join("truth");
        let (ortho, detections) = self.fetch(run)?;
        let ground = score_orthophoto(&folder, &ortho)?;
        let found = score_detections(&folder, &detections, &ortho)?;
        let (rmse, how) = if absolutely {
            (ground.absolute_rmse_gsd, "where it is")
        } else {
            (ground.affine_rmse_gsd, "after an affine fit")
        };
        let (recall, wrong) = shares(&found, absolutely);
        let met = rmse <= LARGEST_RMSE_GSD && recall >= LOWEST_RECALL && wrong <= HIGHEST_FALSE_SHARE;
        self.show_score(by, how, rmse, &ground, &found, (recall, wrong));
        let fields =
            json!({ "by": by, "absolutely": absolutely, "orthophoto": ground, "detections": found, "met": met });
        self.session.output.event("score", fields);
        Ok(met)
    }

    fn show_score(
        &self,
        by: &str,
        how: &str,
        rmse: f64,
        ground: &OrthoScore,
        found: &DetectionScore,
        shares: (f64, f64),
    ) {
        let mark = |good: bool| if good { "ok" } else { "NOT MET" };
        self.say(format!("by {by}:"));
        self.say(format!(
            "  orthophoto   {rmse:.2} GSD from the truth {how} ({:.3} m absolutely, GSD {:.1} cm)   {}",
            ground.absolute_rmse_m,
            ground.gsd_m * 100.0,
            mark(rmse <= LARGEST_RMSE_GSD)
        ));
        let (recall, wrong) = shares;
        let good = recall >= LOWEST_RECALL && wrong <= HIGHEST_FALSE_SHARE;
        self.say(format!(
            "  detections   {:.0} % of {} planted objects found, {:.0} % of {} findings false   {}",
            recall * 100.0,
            found.planted,
            wrong * 100.0,
            found.detections,
            mark(good)
        ));
    }

    /// Fetches the orthophoto and the detections of a run from the bucket, as any client would.
    fn fetch(&self, run: &Value) -> anyhow::Result<(PathBuf, PathBuf)> {
        let id = |name: &str| run[name].as_str().map(str::to_owned).context("the run names no item");
        let (orthophoto, result) = (id("orthophoto")?, id("item")?);
        let folder = self.data.join("demo").join("fetched");
        std::fs::create_dir_all(&folder)?;
        let paths = (folder.join(format!("{orthophoto}.tif")), folder.join(format!("{result}.geojson")));
        wait_for(async {
            let mut settings = self.session.settings.clone();
            settings.data = Some(self.data.clone());
            let target = Target::connect(&Session { settings, output: self.session.output }, Role::Viewer).await?;
            for (layer, item, asset, path) in
                [(Layer::Ortho, &orthophoto, "ortho", &paths.0), (Layer::Results, &result, "detections", &paths.1)]
            {
                let row = target.database.find_item(layer.collection(), item).await?.context("the item is gone")?;
                let object = crate::pipeline::object_of(&row.item()?, asset)?;
                target.storage.download(&object, path).await?;
            }
            Ok(())
        })?;
        Ok(paths)
    }

    fn show_links(&self, run: &Value) -> anyhow::Result<()> {
        let running = Running::find(&self.data).context("polder up has stopped")?;
        let text = |name: &str| run[name].as_str().unwrap_or_default();
        let (orthophoto, result) = (text("orthophoto"), text("item"));
        self.say("\nlook at it:");
        self.say(format!("  start page   {}/", running.url));
        self.say(format!("  STAC item    {}/stac/collections/drone-ortho/items/{orthophoto}", running.url));
        self.say(format!("  orthophoto   {}/assets/drone-ortho/{orthophoto}/ortho", running.url));
        self.say(format!("  picture      {}/assets/ai-results/{result}/annotated", running.url));
        self.say(format!("  detections   {}/assets/ai-results/{result}/detections", running.url));
        let fields = json!({ "url": running.url, "orthophoto": orthophoto, "item": result });
        self.session.output.event("published", fields);
        Ok(())
    }

    fn show_timings(&self, total: Duration) {
        self.say("\nit took:");
        for (what, time) in &self.timings {
            self.say(format!("  {:>7.1} s  {what}", time.as_secs_f64()));
        }
        self.say(format!("  {:>7.1} s  in all", total.as_secs_f64()));
        let steps: Vec<_> =
            self.timings.iter().map(|(what, t)| json!({ "step": what, "seconds": t.as_secs_f64() })).collect();
        self.session.output.event("timings", json!({ "steps": steps, "seconds": total.as_secs_f64() }));
    }

    fn serve_until_stopped(&mut self) {
        let Some(server) = &mut self.server else { return };
        self.session.output.say("\nserving until Ctrl-C …");
        listen_for_stop();
        while !STOPPED.load(Ordering::Relaxed) && matches!(server.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn stop_server(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        let _ = Command::new("kill").arg(server.id().to_string()).status();
        let _ = server.wait();
        self.say(format!("stopped; the results are in {} (`polder up` serves them again)", self.data.display()));
    }
}

impl Drop for Demo<'_> {
    fn drop(&mut self) {
        self.stop_server();
    }
}

fn listen_for_stop() {
    thread::spawn(|| {
        let _ = wait_for(async {
            tokio::signal::ctrl_c().await?;
            STOPPED.store(true, Ordering::Relaxed);
            Ok(())
        });
    });
}

fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

fn line(parts: &[&[OsString]]) -> Vec<OsString> {
    parts.concat()
}

fn place(project: &Project, flight: &Flight) -> Vec<OsString> {
    words(&["--project", project.as_str(), "--flight", flight.as_str()])
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

fn counted(counts: &Value) -> String {
    serde_json::from_value(counts.clone())
        .map_or_else(|_| "nothing".to_owned(), |counts| super::detect::counted(&counts))
}

fn shares(found: &DetectionScore, absolutely: bool) -> (f64, f64) {
    if absolutely { (found.recall_absolute, found.false_share_absolute) } else { (found.recall, found.false_share) }
}

/// Returns the address if it is free, else one of the same host with a port that is.
fn free_address(wanted: &str) -> anyhow::Result<String> {
    if TcpListener::bind(wanted).is_ok() {
        return Ok(wanted.to_owned());
    }
    let host = wanted.rsplit_once(':').map_or("127.0.0.1", |(host, _)| host);
    let free = TcpListener::bind(format!("{host}:0")).with_context(|| format!("cannot listen on {wanted}"))?;
    Ok(free.local_addr()?.to_string())
}
