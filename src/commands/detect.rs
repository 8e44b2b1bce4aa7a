//! `polder detect`: findings on an orthophoto, from the catalog or from a file.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use serde_json::json;

use super::{
    Outcome, Session,
    flight::{Stages, StepArgs},
    wait_for,
    whole_file::write_whole,
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
/// polder detect ortho.tif --out detections.geojson. The raster may be a local file, `s3://bucket/key`, an `https://` link
/// (presigned ones too) or anything that GDAL opens by name, with one to any number of bands, 8-bit, 16-bit or float, in any
/// coordinate system; red, green and blue are taken by what the bands say they are, else the first three.
///
/// The model is a TorchScript file of a YOLOv8 layout (detect, obb or segment) or the name of one in the registry; without
/// --model polder's own looks for muskrat traps and bank damage. Class names, chip size, stride, GSD and thresholds are read
/// from its archive (extra/config.txt) or from NAME.json or NAME.yaml beside it.
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

    /// `GeoJSON` file to write: WGS 84, with class and confidence. It is there when all is done, and not before
    #[arg(long, value_name = "FILE", requires = "raster")]
    out: Option<PathBuf>,

    /// GSD that the model wants, in metres [default: the model's own, else the raster's]
    #[arg(long, value_name = "M", requires = "raster", value_parser = length)]
    gsd: Option<f64>,

    /// Part of a chip's side that it shares with its neighbour: more than the largest object [0 to 0.9]
    #[arg(long, value_name = "PART", requires = "raster", default_value = "0.2", value_parser = share)]
    overlap: f64,

    /// `IoU` above which two boxes of a class are one thing
    #[arg(long, value_name = "IOU", requires = "raster", default_value = "0.5", value_parser = share)]
    iou: f64,

    /// Threads that run the model [default: what the machine or its container grants]
    #[arg(long, value_name = "N", requires = "raster")]
    threads: Option<usize>,

    #[command(flatten)]
    step: StepArgs,
}

/// What to look with.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct DetectArgs {
    /// Model: a file, or NAME[@VERSION] from the registry [default: polder's own]
    #[arg(long, env = "POLDER_MODEL", value_name = "MODEL")]
    pub(super) model: Option<String>,

    /// Confidence from which a finding counts, 0 to 1; CLASS=C for one class; can be repeated [default: the model's own]
    #[arg(long, env = "POLDER_CONFIDENCE", value_name = "[CLASS=]C", value_parser = threshold)]
    pub(super) confidence: Vec<Threshold>,
}

/// A confidence, for all classes or for one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Threshold {
    class: Option<String>,
    confidence: f64,
}

impl DetectArgs {
    pub(super) fn request(&self, orthophoto: String, model: ModelChoice) -> DetectRequest {
        let (confidence, class_confidence) = self.thresholds();
        DetectRequest { orthophoto, model, confidence, class_confidence }
    }

    /// The last one for all classes, and the last one for each.
    fn thresholds(&self) -> (Option<f64>, BTreeMap<String, f64>) {
        let for_all = self.confidence.iter().rfind(|one| one.class.is_none()).map(|one| one.confidence);
        let named = self.confidence.iter().filter_map(|one| Some((one.class.clone()?, one.confidence)));
        (for_all, named.collect())
    }
}

pub(super) fn share(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.0..=1.0).contains(&number) { Ok(number) } else { Err("must be between 0 and 1".to_owned()) }
}

fn length(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if number.is_finite() && number > 0.0 { Ok(number) } else { Err("must be more than 0".to_owned()) }
}

fn threshold(text: &str) -> Result<Threshold, String> {
    let (class, number) = match text.rsplit_once('=') {
        Some((class, number)) => (Some(class.to_owned()), number),
        None => (None, text),
    };
    Ok(Threshold { class, confidence: share(number)? })
}

pub(super) fn run(args: &Args, session: &Session) -> anyhow::Result<Outcome> {
    match (&args.raster, &args.out, &args.item) {
        (Some(raster), Some(out), None) => detect_on_file(raster, out, args, session)?,
        (None, None, Some(item)) => wait_for(detect_on_item(item.clone(), args, session))?,
        _ => bail!("say where to look: a raster with --out FILE, or --item ID"),
    }
    Ok(Outcome::Done)
}

async fn detect_on_item(orthophoto: String, args: &Args, session: &Session) -> anyhow::Result<()> {
    let model = ModelChoice::parse(args.options.model.as_deref())?;
    let context = args.step.context(session, Role::Pipeline).await?;
    let stages = Stages::new(session.output);
    let request = args.options.request(orthophoto, model);
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

fn detect_on_file(path: &Path, out: &Path, args: &Args, session: &Session) -> anyhow::Result<()> {
    let raster = Raster::open(path)?;
    let crs = raster.crs()?;
    if let Some([low, high]) = raster.scale() {
        session.output.say(format!("{}: the model sees {low} as 0 and {high} as 255", path.display()));
    }
    let detector = load(args.options.model.as_deref())?;
    let stages = Stages::new(session.output);
    let observer = |p: detection::Progress| {
        stages.show(&Progress { stage: "searching".to_owned(), done: p.done as u64, total: p.total as u64 });
    };
    let (confidence, class_confidence) = args.options.thresholds();
    let options = DetectOptions {
        confidence,
        class_confidence,
        iou: args.iou,
        overlap: args.overlap,
        gsd_m: args.gsd,
        threads: args.threads,
    };
    let findings = detection::detect_raster(&raster, detector.as_ref(), &options, &observer)?;
    drop(stages);
    write_whole(out, |file| Ok(detection::write_geojson(file, &findings, crs)?))
        .with_context(|| format!("cannot write the detections to {}", out.display()))?;
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
        ModelChoice::File(path) => Ok(detection::load(&detection::read_model(&path)?, &path.display().to_string())?),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_is_for_all_classes_or_for_the_one_before_the_last_equals_sign() {
        assert_eq!(threshold("0.4"), Ok(Threshold { class: None, confidence: 0.4 }));
        let one = Threshold { class: Some("a=b klem".to_owned()), confidence: 0.6 };
        assert_eq!(threshold("a=b klem=0.6"), Ok(one.clone()));
        assert!(threshold("klem=1.6").is_err() && threshold("klem=").is_err());
        let given = DetectArgs { model: None, confidence: vec![threshold("0.4").unwrap(), one] };
        assert_eq!(given.thresholds(), (Some(0.4), BTreeMap::from([("a=b klem".to_owned(), 0.6)])));
    }
}
