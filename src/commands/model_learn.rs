//! `polder model train --dataset`: a detector from a data set, instead of from rendered landscapes alone.

use std::{fs, time::Instant};

use anyhow::{Context as _, bail};
use rayon::prelude::*;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    Outcome, Session,
    flight::Stages,
    model_train::{self, Args, CONFIDENCE, GSD_M, IMAGE_SIZE, scenes},
    wait_for,
};
use crate::{
    catalog::{Role, Split},
    detection::training::{self, Scene},
    pipeline::{self, Opened, open_dataset},
    simulation::CLASSES,
};

pub(super) fn run(args: &Args, session: &Session) -> anyhow::Result<Outcome> {
    let started = Instant::now();
    let (dataset, mut learned) = wait_for(read(args, session))?;
    let manifest = &dataset.manifest;
    let pictures = learned.len();
    if pictures == 0 {
        bail!("{} has no picture to learn from: make it with smaller --val and --test", dataset.reference());
    }
    let gsd_m = manifest.gsd_m.or(args.gsd).context("nobody knows the GSD of these pictures: say it with --gsd")?;
    let landscapes = args.landscapes.unwrap_or(0);
    if landscapes > 0 {
        learned.append(&mut rendered(args.seed, landscapes, &manifest.classes, gsd_m)?);
    }
    let hyperparameters = json!({
        "dataset": dataset.reference(), "steps": args.steps, "seed": args.seed, "landscapes": landscapes,
        "pictures": pictures, "gsd_m": gsd_m,
    });
    let trained_on = json!([{ "item": dataset.item.id, "sha256": dataset.object.sha256, "splits": [Split::Train] }]);
    let options = training::Options {
        name: args.name.clone().unwrap_or_else(|| manifest.name.to_string()),
        version: args.model_version.clone(),
        names: manifest.classes.clone(),
        gsd_m,
        image_size: IMAGE_SIZE,
        confidence: args.confidence.unwrap_or(CONFIDENCE),
        license: args.license.clone(),
        seed: args.seed,
        steps: args.steps,
        about: Map::from_iter([
            ("trained_on".to_owned(), trained_on),
            ("hyperparameters".to_owned(), hyperparameters.clone()),
        ]),
    };
    session.output.say(format!("learning from {pictures} pictures of {}", dataset.reference()));
    let weights = model_train::learn(&learned, &options, session)?;
    let objects: usize = learned.iter().map(|scene| scene.objects.len()).sum();
    let sha256 = hex::encode(Sha256::digest(&weights));
    let card = card(&options, &dataset, &hyperparameters, objects, &sha256, started.elapsed().as_secs());
    let out = args.out.clone().unwrap_or_else(|| format!("{}.torchscript", options.name).into());
    for (path, bytes) in [(out.clone(), weights.as_slice()), (out.with_extension("md"), card.as_bytes())] {
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    }
    session.output.say(format!("wrote {} ({} bytes) and its card", out.display(), weights.len()));
    session.output.say(format!("judge it: polder model eval {} --dataset {}", out.display(), dataset.reference()));
    let fields = json!({ "out": out, "bytes": weights.len(), "sha256": sha256, "dataset": dataset.reference(), "pictures": pictures });
    session.output.event("trained", fields);
    Ok(Outcome::Done)
}

async fn read(args: &Args, session: &Session) -> anyhow::Result<(Opened, Vec<Scene>)> {
    let context = args.step.context(session, Role::Viewer).await?;
    let reference = args.dataset.as_deref().context("there is a data set to learn from")?;
    let dataset = open_dataset(&context, reference).await?;
    let stages = Stages::new(session.output);
    let observer = |progress: pipeline::Progress| stages.show(&progress);
    let most = args.pictures_mb << 20;
    let scenes = pipeline::scenes(&context, &dataset, Split::Train, most, &observer).await?;
    Ok((dataset, scenes))
}

/// Renders landscapes beside the data set, with the same class numbers.
fn rendered(seed: u64, landscapes: u64, classes: &[String], gsd_m: f64) -> anyhow::Result<Vec<Scene>> {
    let number = |class: &str| classes.iter().position(|known| known == class);
    let Some(numbers) = CLASSES.iter().map(|class| number(class)).collect::<Option<Vec<_>>>() else {
        bail!("--landscapes show {}, and the data set does not have both", CLASSES.join(" and "));
    };
    if (gsd_m / GSD_M - 1.0).abs() > 0.5 {
        bail!("--landscapes are drawn at {GSD_M} m, too far from the data set's {gsd_m} m: make it with --gsd {GSD_M}");
    }
    let renumbered = |mut scene: Scene| {
        for object in &mut scene.objects {
            object.class = numbers[object.class];
        }
        scene
    };
    Ok((seed..seed + landscapes)
        .into_par_iter()
        .flat_map_iter(|seed| scenes(seed).into_iter().map(renumbered))
        .collect())
}

fn card(
    options: &training::Options,
    dataset: &Opened,
    hyperparameters: &Value,
    objects: usize,
    sha256: &str,
    seconds: u64,
) -> String {
    let classes = options.names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    format!(
        "# {} {}\n\nTrained with `polder model train --dataset {}` in {seconds} seconds.\n\n\
         | | |\n| --- | --- |\n| SHA-256 | `{sha256}` |\n| licence | {} |\n| classes | {classes} |\n\
         | input | {} × {} RGB chips of {} m per pixel |\n| data set | `{}`, SHA-256 `{}`, split `train`, {objects} objects |\n\
         | hyperparameters | `{hyperparameters}` |\n\nNo figures stand here: `polder model eval --publish` puts them onto the model's item.\n",
        options.name,
        options.version,
        dataset.reference(),
        options.license,
        options.image_size,
        options.image_size,
        options.gsd_m,
        dataset.reference(),
        dataset.object.sha256,
    )
}
