//! `polder detect`: findings on an orthophoto, from the catalog or from a file.

use std::{collections::BTreeMap, fs, path::PathBuf};

use anyhow::{Context as _, bail};
use serde_json::json;

use super::{
    Outcome, Session,
    flight::{Stages, StepArgs},
    wait_for,
};
use crate::{
    catalog::Role,
    detection::{self, DetectOptions, Detector},
    pipeline::{self, DetectRequest, ModelChoice, Progress},
    raster::Raster,
};

/// Find things on an orthophoto.
///
/// From the catalog: polder detect --item ID. On a file, without database and S3:
/// polder detect ortho.tif --out detections.geojson. The model is a TorchScript file of the YOLOv8 layout or the name of
/// one in the registry; without --model polder's own looks for muskrat traps and bank damage.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Orthophoto file, any georeferenced raster (leave it out to work on the catalog)
    #[arg(value_name = "RASTER", requires = "out", conflicts_with = "item")]
    raster: Option<PathBuf>,

    /// Id of the orthophoto's item
    #[arg(long, env = "POLDER_ITEM", value_name = "ID")]
    item: Option<String>,

    #[command(flatten)]
    options: DetectArgs,

    /// `GeoJSON` file to write: WGS 84, with class and confidence
    #[arg(long, value_name = "FILE", requires = "raster")]
    out: Option<PathBuf>,

    #[command(flatten)]
    step: StepArgs,
}

/// What to look with.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct DetectArgs {
    /// Model: a file, or NAME[@VERSION] from the registry [default: polder's own]
    #[arg(long, env = "POLDER_MODEL", value_name = "MODEL")]
    pub(super) model: Option<String>,

    /// Confidence from which a finding counts, 0 to 1 [default: the model's own]
    #[arg(long, env = "POLDER_CONFIDENCE", value_name = "C", value_parser = share)]
    pub(super) confidence: Option<f64>,
}

pub(super) fn share(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.0..=1.0).contains(&number) { Ok(number) } else { Err("must be between 0 and 1".to_owned()) }
}

pub(super) fn run(args: &Args, session: &Session) -> anyhow::Result<Outcome> {
    match (&args.raster, &args.out, &args.item) {
        (Some(raster), Some(out), None) => detect_on_file(raster, out, &args.options, session)?,
        (None, None, Some(item)) => wait_for(detect_on_item(item.clone(), args, session))?,
        _ => bail!("say where to look: a raster with --out FILE, or --item ID"),
    }
    Ok(Outcome::Done)
}

async fn detect_on_item(orthophoto: String, args: &Args, session: &Session) -> anyhow::Result<()> {
    let model = ModelChoice::parse(args.options.model.as_deref())?;
    let context = args.step.context(session, Role::Pipeline).await?;
    let stages = Stages::new(session.output);
    let request = DetectRequest { orthophoto, model, confidence: args.options.confidence };
    let summary = pipeline::detect(&context, &request, &|progress| stages.show(&progress)).await?;
    drop(stages);
    args.step.write_result(&summary.item)?;
    session.output.say(counted(&summary.counts));
    let again = if summary.reused { " (published before, unchanged)" } else { "" };
    session.output.say(format!("detections {}{again}", summary.item));
    let fields = json!({ "item": summary.item, "reused": summary.reused, "counts": summary.counts });
    session.output.event("done", fields);
    Ok(())
}

fn detect_on_file(path: &PathBuf, out: &PathBuf, options: &DetectArgs, session: &Session) -> anyhow::Result<()> {
    let detector = load(options.model.as_deref())?;
    let raster = Raster::open(path)?;
    let stages = Stages::new(session.output);
    let observer = |p: detection::Progress| {
        stages.show(&Progress { stage: "searching".to_owned(), done: p.done as u64, total: p.total as u64 });
    };
    let confidence = DetectOptions { confidence: options.confidence, ..DetectOptions::default() };
    let findings = detection::detect_raster(&raster, detector.as_ref(), &confidence, &observer)?;
    drop(stages);
    let mut text = Vec::new();
    detection::write_geojson(&mut text, &findings, raster.crs()?)?;
    fs::write(out, text).with_context(|| format!("cannot write the detections to {}", out.display()))?;
    let mut counts: BTreeMap<String, usize> = detector.spec().names.iter().map(|name| (name.clone(), 0)).collect();
    for finding in &findings {
        *counts.entry(finding.class.clone()).or_default() += 1;
    }
    session.output.say(counted(&counts));
    session.output.say(format!("detections {}", out.display()));
    session.output.event("done", json!({ "out": out, "counts": counts }));
    Ok(())
}

fn load(model: Option<&str>) -> anyhow::Result<Box<dyn Detector>> {
    match ModelChoice::parse(model)? {
        ModelChoice::Own => Ok(detection::load(detection::own_model().bytes, detection::own_model().name)?),
        ModelChoice::File(path) => {
            let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            Ok(detection::load(&bytes, &path.display().to_string())?)
        }
        ModelChoice::Registered { name, .. } => {
            bail!("there is no file {name}: on a plain raster the model is a file; models of the registry need --item")
        }
    }
}

/// Says how many of what, as "3 × Muskusrat klem, 1 × Beschadiging oever".
pub(super) fn counted(counts: &BTreeMap<String, usize>) -> String {
    if counts.values().all(|count| *count == 0) {
        return "nothing found".to_owned();
    }
    counts.iter().map(|(class, count)| format!("{count} × {class}")).collect::<Vec<_>>().join(", ")
}
