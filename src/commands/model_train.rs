//! `polder model train`: makes the project's own detector, from nothing but seeds.
//!
//! Landscapes are rendered, pieces of them are learned, landscapes of other seeds are searched with the result,
//! and the figures go into the model card beside the weights.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::Context as _;
use rayon::prelude::*;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{Outcome, Session, flight::StepArgs};
use crate::{
    detection::{
        self, DetectOptions, Detector, Evaluation, Truth,
        training::{self, Known, Scene},
    },
    raster::{CogOptions, CogWriter, Raster},
    simulation::{CLASSES, Landscape, OrthoWindow, render_ortho},
    spatial::{Crs, GeoTransform},
};

/// GSD at which the model sees. A trap is 65-100 cm long, so 26-40 pixels.
pub(super) const GSD_M: f64 = 0.025;
/// Chip size that the model asks for.
pub(super) const IMAGE_SIZE: usize = 512;
/// Side of a rendered scene in pixels: a sample with room to turn.
const SCENE_SIDE: usize = 336;
/// Side of a landscape in metres, along and across the dike.
const LANDSCAPE_M: [f64; 2] = [65.0, 65.0];
/// Scenes of a landscape that show an object, and that show whatever there is. Few, of many landscapes: each has soil,
/// flowers and light of its own, and molehills of a colour that was never shown were taken for traps.
const WITH_OBJECT: usize = 5;
const ANYWHERE: usize = 8;
/// GSD of the rasters that the model is judged on: another one than its own, as in use.
const JUDGED_GSD_M: f64 = 0.03;
const JUDGED_SIDE: usize = 2100;
/// Confidence from which findings are judged and kept. Of the 474 objects that are seen at 0.25 on twenty
/// orthophotos of ten simulated flights, 472 are found and 6 % of the findings are false at 0.5, 471 and 2 % at 0.7, 466 and 1 % at 0.8.
pub(super) const CONFIDENCE: f64 = 0.7;
/// Landscapes that polder's own model has learned from.
const LANDSCAPES: u64 = 200;
const LICENSE: &str = "MIT OR Apache-2.0";

/// Train a detector: on a data set, or polder's own on rendered landscapes
///
/// With --dataset it learns from the split train, cut from the exact versions that the data set names, and the archive
/// tells the data set and its hash: `polder model push` links to it, `polder model eval` refuses to judge on it. Keep the
/// places of val and test for judging. Rendered landscapes may be mixed in (--landscapes) when it has their classes.
///
/// Without it, the project's own model: trained on rendered landscapes, judged on others. Takes a quarter of an hour of two cores and needs no data. The same options give the same weights on the same
/// kind of processor. Keep the seeds away from those that demos and tests use (below 10000).
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Learn from the split train of this data set
    #[arg(long, value_name = "NAME[@HASH]")]
    pub(super) dataset: Option<String>,

    /// Where the weights go; the card goes beside them, with the ending .md [default: models/muskrat.torchscript, or
    /// NAME.torchscript with --dataset]
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,

    /// Name written into the archive [default: that of the data set]
    #[arg(long, requires = "dataset")]
    pub(super) name: Option<String>,

    /// Version written into the archive and the card
    #[arg(long, default_value = detection::own_model().version)]
    pub(super) model_version: String,

    /// Licence written into the archive, best an SPDX identifier
    #[arg(long, visible_alias = "licence", value_name = "SPDX", default_value = LICENSE, requires = "dataset")]
    pub(super) license: String,

    /// GSD of the pictures, where the data set does not know it
    #[arg(long, value_name = "METRES", requires = "dataset")]
    pub(super) gsd: Option<f64>,

    /// Confidence from which a finding counts, written into the archive [default: 0.7]
    #[arg(long, value_name = "C", value_parser = super::detect::share, requires = "dataset")]
    pub(super) confidence: Option<f64>,

    /// Most memory for pictures; those that show nothing are left out first
    #[arg(long, value_name = "MIB", default_value_t = 1500)]
    pub(super) pictures_mb: usize,

    /// First seed; landscapes take it and those that follow
    #[arg(long, default_value_t = 1_000_000)]
    pub(super) seed: u64,

    /// Landscapes to learn from [default: 200, none with --dataset]
    #[arg(long, value_name = "N")]
    pub(super) landscapes: Option<u64>,

    /// Steps of training, each on 16 samples
    #[arg(long, default_value_t = 1800)]
    pub(super) steps: usize,

    /// Landscapes to be judged on; their seeds begin 500000 after the first one
    #[arg(long, default_value_t = 8)]
    held_out: u64,

    #[command(flatten)]
    pub(super) step: StepArgs,
}

pub(super) fn run(args: &Args, session: &Session) -> anyhow::Result<Outcome> {
    let started = Instant::now();
    let landscapes = args.landscapes.unwrap_or(LANDSCAPES);
    let bar = session.output.progress(landscapes, "rendering landscapes");
    let scenes: Vec<Scene> = (args.seed..args.seed + landscapes)
        .into_par_iter()
        .flat_map_iter(|seed| {
            let scenes = scenes(seed);
            bar.inc(1);
            scenes
        })
        .collect();
    bar.finish_and_clear();
    session.output.say(format!("{} scenes of {} landscapes rendered", scenes.len(), landscapes));

    let options = training::Options {
        name: detection::own_model().name.to_owned(),
        version: args.model_version.clone(),
        names: CLASSES.map(str::to_owned).to_vec(),
        gsd_m: GSD_M,
        image_size: IMAGE_SIZE,
        confidence: CONFIDENCE,
        license: LICENSE.to_owned(),
        seed: args.seed,
        steps: args.steps,
        about: serde_json::Map::new(),
    };
    let weights = learn(&scenes, &options, session)?;
    let detector = detection::load(&weights, &options.name)?;
    let judged = judge(args.seed + 500_000, args.held_out, detector.as_ref(), session)?;
    let card = card(args, &scenes, &weights, &judged, started.elapsed().as_secs());
    let out = args.out.clone().unwrap_or_else(|| "models/muskrat.torchscript".into());
    write(&out, &weights)?;
    write(&out.with_extension("md"), card.as_bytes())?;
    for (class, figures) in CLASSES.iter().zip(&judged) {
        session.output.say(format!(
            "{class}: AP50 {:.3}, recall {:.3} and precision {:.3} at confidence {CONFIDENCE}, {} objects",
            figures.ap50, figures.recall, figures.precision, figures.objects
        ));
    }
    session.output.say(format!("wrote {} ({} bytes) and its card", out.display(), weights.len()));
    session.output.event("trained", json!({
        "out": out, "bytes": weights.len(), "sha256": hex::encode(Sha256::digest(&weights)),
        "ap50": CLASSES.iter().zip(&judged).map(|(class, e)| (class.to_string(), json!(e.ap50))).collect::<serde_json::Map<_, _>>(),
    }));
    Ok(Outcome::Done)
}

/// Trains, and shows how far it is.
pub(super) fn learn(scenes: &[Scene], options: &training::Options, session: &Session) -> anyhow::Result<Vec<u8>> {
    let bar = session.output.progress(options.steps as u64, "training");
    let weights = training::train(scenes, options, &mut |progress| {
        bar.inc(1);
        bar.set_message(format!("training, loss {:.3}", progress.loss));
        if progress.step % 50 == 0 {
            session.output.event("step", json!({ "step": progress.step, "loss": progress.loss }));
        }
    })?;
    bar.finish_and_clear();
    Ok(weights)
}

/// Renders some pieces of a landscape: some around objects, some anywhere.
pub(super) fn scenes(seed: u64) -> Vec<Scene> {
    let landscape = Landscape::new(seed, LANDSCAPE_M);
    // Spread over the list, which has one class after the other.
    let all = landscape.objects();
    let count = WITH_OBJECT.min(all.len());
    let objects = (0..count).map(|i| all[i * all.len() / count].centre);
    // A spread over the square that needs no dice: multiples of irrational numbers (Weyl's sequence).
    let anywhere = (1..=ANYWHERE).map(|i| {
        let share = |step: f64| (i as f64 * step + seed as f64 * 0.618_034).fract() - 0.5;
        [share(0.754_878) * LANDSCAPE_M[0], share(0.569_840) * LANDSCAPE_M[1]]
    });
    objects.chain(anywhere).map(|centre| scene(&landscape, centre)).collect()
}

fn scene(landscape: &Landscape, centre: [f64; 2]) -> Scene {
    let window = OrthoWindow::around(centre, [SCENE_SIDE; 2], GSD_M);
    let (picture, _) = render_ortho(landscape, &window);
    let to_pixel = |[e, n]: [f64; 2]| [(e - window.west) / GSD_M, (window.north - n) / GSD_M];
    let known = landscape.objects().iter().map(|object| Known {
        class: CLASSES.iter().position(|class| *class == object.class).expect("objects have one of the classes"),
        ring: object.ring.iter().copied().map(to_pixel).collect(),
    });
    let side = SCENE_SIDE as f64;
    let inside = |known: &Known| known.ring.iter().any(|p| p.iter().all(|at| (0.0..side).contains(at)));
    Scene { picture, objects: known.filter(inside).collect() }
}

/// Searches rasters of landscapes that the model has not seen, the way an orthophoto is searched.
fn judge(seed: u64, count: u64, detector: &dyn Detector, session: &Session) -> anyhow::Result<Vec<Evaluation>> {
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let bar = session.output.progress(count, "judging");
    let mut rasters = Vec::new();
    for seed in seed..seed + count {
        let path = folder.path().join(format!("{seed}.tif"));
        let truth = write_raster(seed, JUDGED_SIDE, &path)?;
        let options = DetectOptions { confidence: Some(0.01), ..DetectOptions::default() };
        rasters.push((detection::detect_raster(&Raster::open(&path)?, detector, &options, &|_| {})?, truth));
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(CLASSES.map(|class| detection::evaluate(&rasters, class, CONFIDENCE)).to_vec())
}

/// Writes the middle of a landscape as an orthophoto of `side × side` pixels; returns the objects that are whole on it.
fn write_raster(seed: u64, side: usize, path: &Path) -> anyhow::Result<Vec<Truth>> {
    let landscape = Landscape::new(seed, LANDSCAPE_M);
    let size = [side; 2];
    let window = OrthoWindow::around([0.0, 0.0], size, JUDGED_GSD_M);
    let (picture, boxes) = render_ortho(&landscape, &window);
    let place = GeoTransform::north_up([155_000.0, 463_000.0], JUDGED_GSD_M);
    let mut cog = CogWriter::create(path, size, place, Crs::RD_NEW, CogOptions::default())?;
    cog.write_rgb([0, 0], size, &picture.data, &vec![255; side * side])?;
    cog.finish()?;
    let whole = |b: &[f64; 4]| b.iter().all(|at| (0.0..side as f64).contains(at));
    let boxes = boxes.into_iter().filter(|planted| whole(&planted.pixels));
    Ok(boxes.map(|planted| Truth { class: planted.class.to_owned(), pixel_box: planted.pixels }).collect())
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

fn card(args: &Args, scenes: &[Scene], weights: &[u8], judged: &[Evaluation], seconds: u64) -> String {
    let objects: usize = scenes.iter().map(|scene| scene.objects.len()).sum();
    let row = |(class, e): (&&str, &Evaluation)| {
        format!("| {class} | {} | {:.3} | {:.3} | {:.3} |", e.objects, e.ap50, e.recall, e.precision)
    };
    let rows = CLASSES.iter().zip(judged).map(row).collect::<Vec<_>>().join("\n");
    let map50 = judged.iter().map(|e| e.ap50).sum::<f64>() / judged.len() as f64;
    let landscapes = args.landscapes.unwrap_or(LANDSCAPES);
    let (first, last) = (args.seed, args.seed + landscapes.max(1) - 1);
    let (held, held_last) = (args.seed + 500_000, args.seed + 500_000 + args.held_out - 1);
    format!(
        include_str!("model_card.md"),
        name = detection::own_model().name,
        version = args.model_version,
        bytes = weights.len(),
        sha256 = hex::encode(Sha256::digest(weights)),
        license = LICENSE,
        trap = CLASSES[0],
        damage = CLASSES[1],
        gsd_cm = GSD_M * 100.0,
        judged_gsd_cm = JUDGED_GSD_M * 100.0,
        image_size = IMAGE_SIZE,
        confidence = CONFIDENCE,
        scenes = scenes.len(),
        objects = objects,
        landscapes = landscapes,
        first = first,
        last = last,
        held = held,
        held_last = held_last,
        steps = args.steps,
        seconds = seconds,
        rows = rows,
        map50 = map50,
    )
}
