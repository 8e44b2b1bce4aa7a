//! `polder stitch`: photos become an orthophoto, from the catalog or from a folder.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::{
    Outcome, Session,
    engine::EngineArgs,
    flight::{Stages, StepArgs},
    output::Output,
    wait_for,
};
use crate::{
    catalog::{Flight, Project, Role},
    odm,
    photogrammetry::{self, PhotoInput},
    pipeline::{self, Progress, StitchRequest},
    raster::{self, CogOptions, Compression},
    spatial::Crs,
};

/// What a shell reports of a program that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// Turn overlapping photos into one orthophoto.
///
/// From the catalog: polder stitch --project dijk-a --flight flight-2025. From a folder, without database and S3:
/// polder stitch DIR --out ortho.tif. Photos need GPS positions, or ground control points given with --gcp. A photo
/// that cannot be used is a line in the report.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Folder with photos (leave it out to work on the catalog)
    #[arg(value_name = "DIR", requires = "out", conflicts_with_all = ["project", "flight"])]
    folder: Option<PathBuf>,

    /// The area under care, as dijk-a
    #[arg(long, env = "POLDER_PROJECT", value_name = "NAME", requires = "flight")]
    project: Option<Project>,

    /// The flight over it, as flight-2025
    #[arg(long, env = "POLDER_FLIGHT", value_name = "NAME", requires = "project")]
    flight: Option<Flight>,

    /// Orthophoto to write, a Cloud Optimized GeoTIFF
    #[arg(long, value_name = "FILE", requires = "folder")]
    out: Option<PathBuf>,

    /// Surface model to write beside it
    #[arg(long, value_name = "FILE", requires = "folder")]
    dsm: Option<PathBuf>,

    /// Terrain model to write beside it: the surface without buildings, trees and cars
    #[arg(long, value_name = "FILE", requires = "folder")]
    dtm: Option<PathBuf>,

    /// Report to write: FILE.json for programs, and beside it FILE.html, a page for people
    ///
    /// Either of the two may be named; the other gets the same name. The page needs nothing but itself: it can be mailed
    /// and printed.
    #[arg(long, value_name = "FILE", requires = "folder")]
    report: Option<PathBuf>,

    #[command(flatten)]
    options: StitchArgs,

    #[command(flatten)]
    step: StepArgs,

    /// Exit with 3 when a photo was rejected
    #[arg(long)]
    fail_on_rejects: bool,
}

/// What the orthophoto should be like.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct StitchArgs {
    /// Ground control points: ODM's `gcp_list.txt`, a CSV table with a header row, or GeoJSON
    #[arg(long, value_name = "FILE")]
    pub(super) gcp: Option<PathBuf>,

    /// Coordinate system of the ground control points when their file names none, as EPSG:28992
    #[arg(long, value_name = "EPSG", requires = "gcp")]
    pub(super) gcp_crs: Option<Crs>,

    /// Coordinate system of the orthophoto, as EPSG:28992 [default: the UTM zone]
    #[arg(long, env = "POLDER_CRS", value_name = "EPSG")]
    pub(super) crs: Option<Crs>,

    /// Metres per pixel [default: the photos' median native one]
    #[arg(long, env = "POLDER_GSD", value_name = "M", value_parser = positive)]
    pub(super) gsd: Option<f64>,

    /// Draw over the surface of the tie points alone: quicker, but roofs and walls lean
    #[arg(long)]
    pub(super) fast: bool,

    #[command(flatten)]
    pub(super) engine: EngineArgs,

    /// How the orthophoto is compressed: jpeg and webp lose a little, deflate, zstd and lerc nothing [default: jpeg]
    #[arg(long, env = "POLDER_COMPRESS", value_enum)]
    pub(super) compress: Option<Compress>,

    /// Quality of jpeg or webp, 1 to 100 [default: 90]; webp loses nothing at 100
    #[arg(long, env = "POLDER_QUALITY", value_name = "N", value_parser = clap::value_parser!(u8).range(1..=100))]
    pub(super) quality: Option<u8>,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug)]
pub(super) enum Compress {
    Jpeg,
    Webp,
    Deflate,
    Zstd,
    Lerc,
}

impl StitchArgs {
    /// Refuses what another engine than polder's own would leave aside.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        self.engine.check()?;
        let asked =
            [("--fast", self.fast), ("--compress", self.compress.is_some()), ("--quality", self.quality.is_some())];
        match asked.into_iter().find(|(_, asked)| *asked) {
            Some((option, _)) if !self.engine.is_own() => bail!(not_with_odm(option)),
            _ => Ok(()),
        }
    }

    /// A quality for what loses nothing is left aside.
    fn cog(&self) -> CogOptions {
        let quality = self.quality.unwrap_or(CogOptions::QUALITY);
        let compression = match self.compress.unwrap_or(Compress::Jpeg) {
            Compress::Jpeg => Compression::Jpeg(quality),
            Compress::Webp => Compression::Webp(quality),
            Compress::Deflate => Compression::Deflate,
            Compress::Zstd => Compression::Zstd,
            Compress::Lerc => Compression::Lerc,
        };
        CogOptions { compression, ..CogOptions::default() }
    }
}

fn not_with_odm(option: &str) -> String {
    format!("{option} is for polder's own engine: leave it out, or leave out --engine odm")
}

fn positive(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if number > 0.0 && number.is_finite() { Ok(number) } else { Err("must be more than 0".to_owned()) }
}

pub(super) fn run(args: &Args, session: &Session) -> anyhow::Result<Outcome> {
    args.options.check()?;
    if args.dtm.is_some() && !args.options.engine.is_own() {
        bail!(not_with_odm("--dtm"));
    }
    let rejected = match (&args.folder, &args.out, &args.project, &args.flight) {
        (Some(folder), Some(out), ..) => stitch_files(folder, out, args, session)?,
        (None, None, Some(project), Some(flight)) => {
            wait_for(stitch_flight(project.clone(), flight.clone(), args, session))?
        }
        _ => bail!("say what to stitch: a folder with --out FILE, or --project and --flight"),
    };
    Ok(if args.fail_on_rejects && rejected > 0 { Outcome::Rejects } else { Outcome::Done })
}

/// What is asked of the pipeline. Within a runtime: whoever waits for a server hears of Ctrl-C.
pub(super) fn request(project: Project, flight: Flight, options: &StitchArgs) -> StitchRequest {
    let cog = options.cog();
    let StitchArgs { gcp, gcp_crs, crs, gsd, fast, engine, .. } = options.clone();
    StitchRequest { project, flight, crs, gsd_m: gsd, fast, gcp_list: gcp, gcp_crs, cog, engine: engine.engine() }
}

/// Stitches a flight of the catalog; returns the number of rejected photos.
async fn stitch_flight(project: Project, flight: Flight, args: &Args, session: &Session) -> anyhow::Result<usize> {
    let (request, step) = (request(project, flight, &args.options), &args.step);
    let context = step.context(session, Role::Pipeline).await?;
    let stages = Stages::new(session.output);
    let summary = pipeline::stitch(&context, &request, &|progress| stages.show(&progress)).await?;
    drop(stages);
    step.write_result(&summary.item)?;
    show(&summary.report, session);
    let again = if summary.reused { " (published before, unchanged)" } else { "" };
    session.output.say(format!("orthophoto {}{again}", summary.item));
    session.output.event("done", json!({ "item": summary.item, "reused": summary.reused, "report": summary.report }));
    Ok(summary.report["photos"]["rejected"].as_array().map_or(0, Vec::len))
}

fn stitch_files(folder: &Path, out: &Path, args: &Args, session: &Session) -> anyhow::Result<usize> {
    let (mut photos, mut not_photos) = (Vec::new(), Vec::new());
    for (path, name) in pipeline::find_photos(folder)? {
        match raster::read_metadata(&path) {
            Ok(metadata) => photos.push(PhotoInput { name, path, metadata }),
            Err(error) => not_photos.push((name, error)),
        }
    }
    for (name, error) in &not_photos {
        tracing::info!("{name} is left out: {error}");
    }
    if photos.is_empty() {
        return Err(pipeline::Error::NoPhotos(folder.to_owned()).into());
    }
    let report_files = args.report.as_deref().map(|named| report_files(named, out)).transpose()?;
    let cog = args.options.cog();
    let StitchArgs { gcp, gcp_crs, crs, gsd, fast, engine, .. } = args.options.clone();
    let gcps = gcp.map(|path| photogrammetry::read_gcps(&path, gcp_crs)).transpose()?.unwrap_or_default();
    let (out_file, dsm, work) = (out.to_owned(), args.dsm.clone(), args.step.work_folder());
    let stages = Stages::new(session.output);
    let observer = |p: photogrammetry::Progress| stages.show(&Progress::share(p.stage, p.done));
    // The report, as it is written, and as a page: that is the own engine's alone.
    let (report, text, html) = if engine.is_own() {
        let kept = Some(work.join(pipeline::STAGES));
        let stop = Some(stop_on_ctrl_c(session.output));
        let dtm = args.dtm.clone();
        let options = photogrammetry::Options { out: out_file, dsm, dtm, fast, crs, gsd_m: gsd, gcps, kept, cog, stop };
        let report = photogrammetry::stitch(&photos, &options, &observer).map_err(pipeline::Error::from)?;
        let picture = photogrammetry::Picture::of(out).map_err(pipeline::Error::from)?;
        (serde_json::to_value(&report)?, report.to_json(), Some(report.page(Some(&picture))))
    } else {
        let options = odm::Options { out: out_file, dsm, crs, gsd_m: gsd, gcps, work };
        let report = wait_for(engine.stitch_files(&photos, &options, &observer))?;
        let text = serde_json::to_string_pretty(&report)?;
        (report, text, None)
    };
    drop(stages);
    if let (Some([json, page]), Some(report_page)) = (&report_files, &html) {
        write_report(json, &text)?;
        write_report(page, report_page)?;
        session.output.say(format!("report {}", page.display()));
    } else if let Some([json, _]) = &report_files {
        write_report(json, &text)?;
    }
    show(&report, session);
    session.output.say(format!("orthophoto {}", out.display()));
    session.output.event("done", json!({ "out": out, "report": report }));
    Ok(report["photos"]["rejected"].as_array().map_or(0, Vec::len))
}

fn write_report(path: &Path, text: &str) -> anyhow::Result<()> {
    write_whole(path, text.as_bytes()).with_context(|| {
        let path = path.display();
        format!("cannot write the report to {path} (the orthophoto is finished): make room or name another file")
    })
}

/// Where the report goes as JSON and as a page, whichever of the two was named.
///
/// Asked before the work, so that hours of it do not end at a folder that is not there.
fn report_files(named: &Path, out: &Path) -> anyhow::Result<[PathBuf; 2]> {
    let extension = named.extension().unwrap_or_default().to_ascii_lowercase();
    let files = if extension == "html" || extension == "htm" {
        [named.with_extension("json"), named.to_owned()]
    } else if extension == "json" {
        [named.to_owned(), named.with_extension("html")]
    } else {
        let mut page = named.to_owned().into_os_string();
        page.push(".html");
        [named.to_owned(), page.into()]
    };
    if files.iter().any(|file| file == out) {
        bail!("--report would overwrite the orthophoto {}", out.display());
    }
    match named.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
        Some(folder) => bail!("cannot write the report: there is no folder {}", folder.display()),
        None => Ok(files),
    }
}

/// Writes a file beside its name and moves it there: a full disk leaves no half of it.
fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let partial = path.with_file_name(format!(".{name}.partial"));
    let written = std::fs::write(&partial, bytes).and_then(|()| std::fs::rename(&partial, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&partial);
    }
    written
}

/// Something that becomes true when somebody presses Ctrl-C. What is in the making is then put away, which may take a
/// while; pressed again, the process ends at once.
fn stop_on_ctrl_c(output: Output) -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let pressed = Arc::clone(&stop);
    std::thread::spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        while runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
            if pressed.swap(true, Ordering::Relaxed) {
                std::process::exit(INTERRUPTED);
            }
            output.say("stopping; press Ctrl-C again to stop at once");
        }
    });
    stop
}

/// Says what came of the photos, in sentences.
pub(super) fn show(report: &Value, session: &Session) {
    let number = |name: &str| report[name].as_f64().unwrap_or(f64::NAN);
    let output = session.output;
    for photo in report["photos"]["rejected"].as_array().into_iter().flatten() {
        let field = |name: &str| photo[name].as_str().unwrap_or_default();
        output.say(format!("{}: not used, {}", field("name"), field("reason")));
    }
    // Another engine may not tell all of it.
    let known = |text: String, name: &str| report[name].is_number().then_some(text);
    let figures = [
        Some(format!("{} of {} photos used", report["photos"]["used"], report["photos"]["total"])),
        known(format!("reprojection error {:.2} px", number("reprojection_rmse_px")), "reprojection_rmse_px"),
        known(format!("GSD {:.1} cm", number("gsd_m") * 100.0), "gsd_m"),
        known(format!("{:.1} m above ground", number("height_above_ground_m")), "height_above_ground_m"),
    ];
    output.say(figures.into_iter().flatten().collect::<Vec<_>>().join(", "));
    if let Some(verdict) = report["verdict"].as_str().filter(|verdict| *verdict != "ok") {
        output.say(format!("verdict: {verdict}"));
    }
    for (word, lines) in [("to do", &report["advice"]), ("note", &report["notes"])] {
        for line in lines.as_array().into_iter().flatten().filter_map(Value::as_str) {
            output.say(format!("{word}: {line}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_and_its_page_stand_beside_each_other_whichever_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("ortho.tif");
        let files = |name: &str| {
            report_files(&folder.path().join(name), &out)
                .map(|files| files.map(|file| file.file_name().unwrap().to_string_lossy().into_owned()))
        };
        for (named, both) in [
            ("r.json", ["r.json", "r.html"]),
            ("r.html", ["r.json", "r.html"]),
            ("r", ["r", "r.html"]),
            ("r.2025.json", ["r.2025.json", "r.2025.html"]),
            ("r.2025", ["r.2025", "r.2025.html"]),
        ] {
            assert_eq!(files(named).unwrap(), both, "{named}");
        }
        assert!(files("ortho.tif").is_err() && files("missing/r.json").is_err());
    }
}
