//! The training itself: batches of samples, a loss, many small steps.

mod assign;
mod export;
mod loss;
mod mistakes;
mod network;
mod samples;
mod wear;

use std::{sync::mpsc::sync_channel, thread};

use polder::detection::{
    Result,
    training::{Options, Progress, Scene},
};
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;
use rayon::prelude::*;
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor, nn, nn::OptimizerConfig as _};

use self::{assign::Targets, mistakes::Mistake, network::Network, samples::Sample};
use crate::detector;

/// Side of a training sample in pixels: large enough for the largest object with its surroundings.
const SAMPLE_SIDE: usize = 192;
/// Samples a step. Larger batches train no better for their time on a processor.
const BATCH: usize = 16;
const LEARNING_RATE: f64 = 2.5e-3;
const WEIGHT_DECAY: f64 = 0.02;
/// Steps over which the learning rate rises, so that the first, random gradients do no harm.
const WARM_UP: usize = 40;
const MAX_GRADIENT: f64 = 10.0;
/// The training pauses between its parts to look for mistakes …
const PARTS: usize = 5;
/// … and from then on this part of the samples shows one.
const MISTAKEN: f64 = 0.4;

/// Does what [`polder::detection::training::train`] promises.
pub fn train(scenes: &[Scene], options: &Options, progress: &mut dyn FnMut(Progress)) -> Result<Vec<u8>> {
    assert!(!scenes.is_empty(), "there is something to learn from");
    detector::use_one_thread();
    tch::manual_seed(options.seed as i64);
    let variables = nn::VarStore::new(Device::Cpu);
    let network = Network::new(&variables.root(), options.names.len());
    let fault = |error| detector::fault("train", &options.name)(error);
    let mut optimizer =
        nn::AdamW { wd: WEIGHT_DECAY, ..nn::AdamW::default() }.build(&variables, 1e-3).map_err(fault)?;
    let mut smooth = None;
    for part in 0..PARTS {
        let steps = options.steps * part / PARTS..options.steps * (part + 1) / PARTS;
        let mistakes = if part == 0 { vec![] } else { mistakes::find(&network, scenes, options.names.len()) };
        let (queue, batches) = sync_channel(2);
        let (mistakes, range) = (&mistakes, steps.clone());
        thread::scope(|scope| {
            scope.spawn(move || {
                for step in range {
                    if queue.send(batch(scenes, mistakes, options.seed, step)).is_err() {
                        break;
                    }
                }
            });
            for (step, batch) in steps.zip(batches) {
                optimizer.set_lr(LEARNING_RATE * schedule(step, options.steps));
                let output = network.forward(&pictures(&batch), true);
                let targets = Targets::of(batch.iter().map(|sample| sample.boxes.as_slice()), SAMPLE_SIDE);
                let loss = loss::loss(&output, &targets);
                optimizer.backward_step_clip_norm(&loss, MAX_GRADIENT);
                let loss = loss.double_value(&[]);
                let smoothed = smooth.map_or(loss, |before: f64| before * 0.95 + loss * 0.05);
                smooth = Some(smoothed);
                progress(Progress { step: step + 1, steps: options.steps, loss: smoothed });
            }
        });
    }
    export::export(&network, options, &description(options))
}

/// Half a cosine from 1 to 0, after a straight rise.
fn schedule(step: usize, steps: usize) -> f64 {
    let rise = ((step + 1) as f64 / WARM_UP as f64).min(1.0);
    rise * (0.5 + 0.5 * (std::f64::consts::PI * step as f64 / steps as f64).cos())
}

/// Makes the samples of one step; each depends on the seed and its number alone.
fn batch(scenes: &[Scene], mistakes: &[Mistake], seed: u64, step: usize) -> Vec<Sample> {
    let sample = |number: usize| {
        let number = (step * BATCH + number) as u64;
        let mut rng = Pcg64Mcg::seed_from_u64(seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        if !mistakes.is_empty() && rng.random_bool(MISTAKEN) {
            let mistake = &mistakes[rng.random_range(0..mistakes.len())];
            return Sample::of(&scenes[mistake.scene], Some(mistake.place), SAMPLE_SIDE, &mut rng);
        }
        let scene = &scenes[rng.random_range(0..scenes.len())];
        Sample::of(scene, None, SAMPLE_SIDE, &mut rng)
    };
    (0..BATCH).into_par_iter().map(sample).collect()
}

/// Stacks the samples to `[batch, 3, side, side]`, 0-1.
fn pictures(batch: &[Sample]) -> Tensor {
    let bytes: Vec<u8> = batch.iter().flat_map(|sample| sample.picture.data.iter().copied()).collect();
    let side = SAMPLE_SIDE as i64;
    let stacked = Tensor::from_data_size(&bytes, &[batch.len() as i64, side, side, 3], Kind::Uint8);
    stacked.permute([0, 3, 1, 2]).to_kind(Kind::Float).contiguous() / 255.0
}

/// What the archive says about the model, in the words of Ultralytics' exporter plus polder's own two.
fn description(options: &Options) -> Value {
    let names: serde_json::Map<String, Value> =
        options.names.iter().enumerate().map(|(i, name)| (i.to_string(), json!(name))).collect();
    let mut description = json!({
        "description": format!("polder {} detector", options.name),
        "author": "the polder project",
        "version": options.version,
        "license": options.license,
        "task": "detect",
        "stride": network::STRIDE,
        "batch": 1,
        "channels": 3,
        "imgsz": [options.image_size, options.image_size],
        "names": names,
        "args": { "dynamic": true, "nms": false, "half": false },
        "gsd_m": options.gsd_m,
        "confidence": options.confidence,
    });
    if let Value::Object(description) = &mut description {
        description.extend(options.about.clone());
    }
    description
}

#[cfg(test)]
mod tests {
    use super::*;
    use polder::{
        detection::{Chip, Criteria, Detector as _, grid},
        raster::Rgb8,
    };

    fn options(steps: usize) -> Options {
        Options {
            name: "test".to_owned(),
            version: "0".to_owned(),
            names: vec!["a".to_owned(), "b".to_owned()],
            gsd_m: 0.05,
            image_size: 64,
            confidence: 0.3,
            license: "MIT".to_owned(),
            seed: 7,
            steps,
            about: serde_json::Map::new(),
        }
    }

    fn scenes() -> Vec<Scene> {
        vec![Scene { picture: Rgb8::new(300, 300), objects: vec![] }]
    }

    #[test]
    fn what_is_exported_loads_and_takes_pictures_of_other_sizes() {
        let archive = train(&scenes(), &options(1), &mut |_| {}).unwrap();
        let detector = detector::TorchDetector::load(&archive, "test").unwrap();
        let spec = detector.spec();
        assert_eq!((spec.image_size, spec.dynamic, spec.stride, spec.gsd_m), ([64, 64], true, 16, Some(0.05)));
        let place = grid([64, 64], [64, 64], 0.0).next().unwrap();
        let criteria = Criteria { confidence: vec![0.0; 2], iou: 0.5 };
        for (width, height) in [(64, 64), (160, 96), (512, 512)] {
            let boxes = detector.detect(&[Chip { place, pixels: Rgb8::new(width, height) }], &criteria).unwrap();
            assert!(!boxes[0].is_empty(), "{width} × {height}");
        }
    }

    #[test]
    fn training_twice_gives_the_same_weights() {
        let weights = || train(&scenes(), &options(2), &mut |_| {}).unwrap();
        assert_eq!(weights(), weights());
    }

    #[test]
    fn the_learning_rate_rises_then_falls_to_nothing() {
        let rates: Vec<f64> = (0..400).map(|step| schedule(step, 400)).collect();
        assert!(rates[0] < 0.05 && rates[39] > 0.95 && rates[200] < 0.55 && rates[399] < 0.001);
    }
}
