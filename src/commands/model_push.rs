//! `polder model push`: a model into the registry.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use serde_json::{Map, Value, json};

use super::{Outcome, Session, flight::StepArgs};
use crate::{
    catalog::{ModelName, Role, Split, Stage, TrainedOn, Version},
    pipeline::{About, ModelToPublish, Plot, open_dataset, publish_model},
};

/// Pictures that a browser shows, with their media types.
const PICTURES: [(&str, &str); 4] =
    [("svg", "image/svg+xml"), ("png", "image/png"), ("jpg", "image/jpeg"), ("jpeg", "image/jpeg")];

/// Put a model into the registry: weights, card, figures and pictures into the bucket, an item into the catalog.
///
/// The weights are loaded and run once on a grey chip first; what is no TorchScript archive of the YOLOv8 layout with
/// its class names is refused, and nothing of it is published. A version has one set of weights for ever: push others
/// under another version. The same weights again change what is told of them; what is left out stays as it was.
///
/// polder model push best.torchscript --name muskrat --model-version 2.0.0 --card card.md --metrics metrics.json
///
/// The item (collection ai-models) follows STAC's MLM extension v1.4.0. It needs the role pipeline.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// `TorchScript` archive of the YOLOv8 layout, as Ultralytics' export and `polder model train` write it
    #[arg(value_name = "FILE")]
    weights: PathBuf,

    /// What the model is called, as muskrat
    #[arg(long, value_name = "NAME")]
    name: ModelName,

    /// Which version this is, as 2.0.0
    #[arg(long, value_name = "V")]
    model_version: Version,

    /// Model card, Markdown
    #[arg(long, value_name = "FILE")]
    card: Option<PathBuf>,

    /// A data set whose split train it has learned from; what polder trained says so itself, may be repeated
    #[arg(long, value_name = "NAME@HASH")]
    dataset: Vec<String>,

    /// Figures about it: a JSON object; its numbers can be searched for as polder:metrics
    #[arg(long, value_name = "FILE")]
    metrics: Option<PathBuf>,

    /// How it was trained: a JSON object [default: what the archive says]
    #[arg(long, value_name = "FILE")]
    hyperparameters: Option<PathBuf>,

    /// Folder of curves and other pictures (svg, png, jpg)
    #[arg(long, value_name = "DIR")]
    plots: Option<PathBuf>,

    /// Licence of the weights, best an SPDX identifier [default: what the archive says]
    #[arg(long, visible_alias = "licence", value_name = "SPDX")]
    license: Option<String>,

    /// candidate, production or retired [default: candidate, or what it was]
    #[arg(long, value_name = "STAGE")]
    stage: Option<Stage>,

    #[command(flatten)]
    step: StepArgs,
}

pub(super) async fn run(args: Args, session: &Session) -> anyhow::Result<Outcome> {
    let weights = read(&args.weights)?;
    let hyperparameters = match &args.hyperparameters {
        Some(path) => object(path)?,
        None => trained_with(&weights, &args.weights)?,
    };
    if let Some(name) = hyperparameters.keys().find(|name| !is_plain(name)) {
        bail!("the hyperparameter {name:?} needs a name of letters, digits, '_', '.' and '-'");
    }
    let context = args.step.context(session, Role::Pipeline).await?;
    let mut trained_on = Vec::new();
    for dataset in &args.dataset {
        let dataset = open_dataset(&context, dataset).await?.upstream();
        trained_on.push(TrainedOn { dataset, splits: vec![Split::Train.to_string()] });
    }
    let about = About {
        card: args.card.as_deref().map(text).transpose()?,
        license: args.license,
        stage: args.stage,
        hyperparameters,
        metrics: args.metrics.as_deref().map(object).transpose()?.unwrap_or_default(),
        plots: args.plots.as_deref().map(plots).transpose()?.unwrap_or_default(),
        trained_on,
    };
    let model = ModelToPublish { name: args.name, version: args.model_version, weights: weights.into(), about };
    let (item, object) = publish_model(&context, &model).await?;
    args.step.write_result(&item)?;
    let (name, version) = (&model.name, &model.version);
    session.output.say(format!("model {name}@{version}: item {item}, SHA-256 {}", object.sha256));
    session.output.event(
        "pushed",
        json!({
            "item": item, "name": name, "version": version, "sha256": object.sha256, "href": object.s3_href(),
            "version_id": object.version_id,
        }),
    );
    Ok(Outcome::Done)
}

/// What the archive says about its training, where polder trained it.
fn trained_with(weights: &[u8], path: &Path) -> anyhow::Result<Map<String, Value>> {
    let description = crate::detection::read_description(weights, &path.display().to_string())?;
    let told = description.as_ref().and_then(|description| description.get("hyperparameters"));
    Ok(told.and_then(Value::as_object).cloned().unwrap_or_default())
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn text(path: &Path) -> anyhow::Result<String> {
    String::from_utf8(read(path)?).with_context(|| format!("{} is no text", path.display()))
}

fn object(path: &Path) -> anyhow::Result<Map<String, Value>> {
    serde_json::from_slice(&read(path)?).with_context(|| format!("{} is no JSON object", path.display()))
}

/// Reads the pictures of a folder, by name.
fn plots(folder: &Path) -> anyhow::Result<Vec<Plot>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read the folder {}", folder.display()))?;
    let mut paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    paths.sort();
    let mut plots = Vec::new();
    for path in paths {
        let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        let Some((_, content_type)) = PICTURES.into_iter().find(|(known, _)| *known == ending) else { continue };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let file = name.chars().map(|c| if is_plain(&c.to_string()) { c } else { '_' }).collect();
        plots.push(Plot { file, bytes: read(&path)?.into(), content_type });
    }
    if plots.is_empty() {
        bail!("{} holds no picture (svg, png, jpg)", folder.display());
    }
    Ok(plots)
}
