//! `polder model list`, `show` and `stage`: what is in the registry, and what it is for.

use serde_json::{Value, json};

use super::{Outcome, Session, flight::StepArgs, lineage};
use crate::{
    catalog::{Layer, ModelName, Role, Stage},
    pipeline::{list_models, show_model, stage_model},
};

/// Move a version to another stage
///
/// candidate: it may be tried. production: it is what the model's name stands for; the version that was in production
/// becomes a candidate again. retired: it is used only where it is named with its version, for what was made with it
/// refers to it. The change is one transaction with its line in the audit. It needs the role pipeline.
#[derive(clap::Args, Debug)]
pub(super) struct StageArgs {
    /// The version, as muskrat@2.0.0
    #[arg(value_name = "NAME@VERSION")]
    model: String,

    /// candidate, production or retired
    #[arg(value_name = "STAGE")]
    stage: Stage,

    #[command(flatten)]
    step: StepArgs,
}

/// List the models in the registry, or the versions of one, oldest first
#[derive(clap::Args, Debug)]
pub(super) struct ListArgs {
    /// One model only
    #[arg(value_name = "NAME")]
    name: Option<ModelName>,

    #[command(flatten)]
    step: StepArgs,
}

/// Tell what the registry knows of a model: stage, classes, figures, weights with their checksum, licence
///
/// Without @VERSION it is the version that `polder detect --model NAME` would take. `polder lineage` follows anything else.
#[derive(clap::Args, Debug)]
pub(super) struct ShowArgs {
    /// The model, as muskrat or muskrat@2.0.0
    #[arg(value_name = "NAME[@VERSION]")]
    model: String,

    /// Tell what it was made from too: data sets, orthophotos, photos, each in its exact version
    #[arg(long)]
    lineage: bool,

    /// With --lineage: fetch every object and compare its SHA-256
    #[arg(long, requires = "lineage")]
    verify: bool,

    #[command(flatten)]
    step: StepArgs,
}

pub(super) async fn stage(args: StageArgs, session: &Session) -> anyhow::Result<Outcome> {
    let context = args.step.context(session, Role::Pipeline).await?;
    let changed = stage_model(&context, &args.model, args.stage).await?;
    let again = if changed.is_empty() { " (it was already)" } else { "" };
    session.output.say(format!("{} is {}{again}", args.model, args.stage));
    session.output.event("staged", json!({ "model": args.model, "stage": args.stage, "changed": changed }));
    Ok(Outcome::Done)
}

pub(super) async fn list(args: ListArgs, session: &Session) -> anyhow::Result<Outcome> {
    let context = args.step.context(session, Role::Viewer).await?;
    let models = list_models(&context, args.name.as_ref()).await?;
    if models.is_empty() {
        session.output.say("there is no model: `polder model push` puts one there, and so does `polder detect`");
    }
    for model in models {
        let figure = model.metrics.get("mAP50").and_then(Value::as_f64);
        let figure = figure.map_or(String::new(), |figure| format!("  mAP50 {figure:.3}"));
        let classes = model.classes.join(", ");
        session.output.say(format!("{:10} {}@{}  {classes}{figure}", model.stage.as_str(), model.name, model.version));
        session.output.event("model", model.to_json());
    }
    Ok(Outcome::Done)
}

pub(super) async fn show(args: ShowArgs, session: &Session) -> anyhow::Result<Outcome> {
    let context = args.step.context(session, Role::Viewer).await?;
    let item = show_model(&context, &args.model).await?;
    let name = format!("{}/{}", Layer::Models.collection(), item.id);
    let item = serde_json::to_value(&item)?;
    for line in lines(&item) {
        session.output.say(line);
    }
    session.output.event("model", item);
    if args.lineage {
        lineage::tell(&context, &name, args.verify, session).await?;
    }
    Ok(Outcome::Done)
}

/// What people want to know of a model, in lines.
fn lines(item: &Value) -> Vec<String> {
    let properties = &item["properties"];
    let wanted = [
        ("model", &properties["polder:model"]),
        ("stage", &properties["polder:stage"]),
        ("made", &properties["datetime"]),
        ("about", &properties["description"]),
        ("classes", &properties["polder:classes"]),
        ("GSD, m", &properties["gsd"]),
        ("confidence", &properties["polder:confidence"]),
        ("weights", &properties["mlm:total_parameters"]),
        ("framework", &properties["mlm:framework_version"]),
        ("training", &properties["mlm:hyperparameters"]),
        ("figures", &properties["polder:metrics"]),
        ("licence", &properties["license"]),
        ("", &properties["polder:license"]),
        ("file", &item["assets"]["model"]["href"]),
        ("version", &item["assets"]["model"]["polder:version_id"]),
        ("checksum", &item["assets"]["model"]["file:checksum"]),
        ("trained on", &properties["polder:trained_on"]),
    ];
    let told = wanted.into_iter().filter(|(_, value)| !value.is_null());
    told.map(|(name, value)| format!("{name:11}{}", value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
        .collect()
}
