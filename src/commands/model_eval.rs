//! `polder model eval`: how good a model is on a data set.

use std::{fs, path::PathBuf};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::{
    Outcome, Session,
    flight::{Stages, StepArgs},
};
use crate::{
    catalog::{Role, Split},
    pipeline::{self, EvaluateRequest, ModelChoice, evaluate, open_dataset},
};

/// Judge a model on a data set that it has not learned from
///
/// polder model eval muskrat@2.0.0 --dataset dijken@3f9a12 --out judged
///
/// Prints mAP50, mAP50-95, and precision, recall and F1 at the confidence that the model is used with, over all and for
/// each class; boxes are paired and areas taken as Ultralytics' val does. Writes metrics.json, precision-recall.svg and
/// f1.svg into --out; with --publish they go onto the model's item too (role pipeline).
///
/// A model that has learned from what it would be judged on is refused: the same split of the same data set, or pictures
/// that show the same content. Places that it has seen in other pictures are counted and told.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The model: a file, or NAME[@VERSION] from the registry
    #[arg(value_name = "MODEL")]
    model: String,

    /// The data set
    #[arg(long, value_name = "NAME[@HASH]")]
    dataset: String,

    /// train, val or test
    #[arg(long, value_name = "SPLIT", default_value = "test")]
    split: Split,

    /// Confidence at which precision, recall and F1 are taken, 0 to 1 [default: the model's own]
    #[arg(long, value_name = "C", value_parser = super::detect::share)]
    confidence: Option<f64>,

    /// Folder for figures and curves
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Tell the figures and curves in the model's item
    #[arg(long)]
    publish: bool,

    #[command(flatten)]
    step: StepArgs,
}

pub(super) async fn run(args: Args, session: &Session) -> anyhow::Result<Outcome> {
    let model = ModelChoice::parse(Some(&args.model))?;
    let context = args.step.context(session, Role::Pipeline).await?;
    let dataset = open_dataset(&context, &args.dataset).await?;
    let request = EvaluateRequest { model, split: args.split, confidence: args.confidence, publish: args.publish };
    let stages = Stages::new(session.output);
    let observer = |progress: pipeline::Progress| stages.show(&progress);
    let judged = evaluate(&context, &dataset, &request, &observer).await?;
    drop(stages);
    let figures = judged.figures();
    if let Some(folder) = &args.out {
        let broken = || format!("cannot write to {}", folder.display());
        fs::create_dir_all(folder).with_context(broken)?;
        fs::write(folder.join("metrics.json"), serde_json::to_vec_pretty(&figures)?).with_context(broken)?;
        for (file, svg) in &judged.curves {
            fs::write(folder.join(file), svg).with_context(broken)?;
        }
    }
    let (output, score) = (session.output, &judged.score);
    output.say(format!("{} on {} of {}: {} pictures", judged.model, judged.split, judged.dataset, score.images));
    output.say(format!(
        "{:24} objects   AP50  AP50-95  precision  recall     F1",
        format!("at confidence {:.2}", score.confidence)
    ));
    let row = |name: &str, objects: usize, values: [f64; 5]| {
        let [ap50, ap50_95, precision, recall, f1] = values;
        format!("{name:24} {objects:7}  {ap50:.3}    {ap50_95:.3}      {precision:.3}   {recall:.3}  {f1:.3}")
    };
    for c in &score.classes {
        output.say(row(&c.class, c.objects, [c.ap50, c.ap50_95, c.precision, c.recall, c.f1]));
    }
    let all = [score.map50, score.map50_95, score.precision, score.recall, score.f1];
    output.say(row("mean", score.objects, all));
    output.say(format!("F1 is best at confidence {:.2}", score.best_confidence));
    for class in &judged.unknown {
        output.say(format!("the model does not know {class:?}: it misses all of them"));
    }
    for class in &judged.unjudged {
        output.say(format!("the data set has no word on {class:?}: what the model finds of it is not judged"));
    }
    if judged.shared_places > 0 {
        output.say(format!("{} judged places lie where it has learned, in other pictures", judged.shared_places));
    }
    let mut event = json!({
        "model": judged.model, "unknown": judged.unknown, "unjudged": judged.unjudged,
        "shared_places": judged.shared_places,
    });
    if let Value::Object(event) = &mut event {
        event.extend(figures);
    }
    output.event("judged", event);
    Ok(Outcome::Done)
}
