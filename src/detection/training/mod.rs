//! Teaches a small detector what to look for, from pictures in which everything is known.
//!
//! The network has the output layout of YOLOv8 and nothing else of it: a few plain convolutions, boxes as
//! distances to four sides, cells assigned to boxes by place. Scenes come from the caller; each sample is a
//! piece of one, turned, scaled and worn as stitching wears pictures.
//!
//! Promise: the same scenes and options give the same weights on the same kind of processor. Torch runs on one
//! thread, because sums over several would depend on their order; a second one prepares the samples.

use super::{Error, Result, engine::engine};
use crate::raster::Rgb8;

/// A picture at the model's GSD in which every object is known.
#[derive(Clone, Debug)]
pub struct Scene {
    pub picture: Rgb8,
    pub objects: Vec<Known>,
}

/// An object of a scene.
#[derive(Clone, Debug)]
pub struct Known {
    /// Index into the class names.
    pub class: usize,
    /// Its outline, `[column, row]` in pixels of the scene; it may reach outside.
    pub ring: Vec<[f64; 2]>,
}

/// What to train, and how long.
#[derive(Clone, Debug)]
pub struct Options {
    pub name: String,
    pub version: String,
    /// Class names.
    pub names: Vec<String>,
    /// GSD of the scenes.
    pub gsd_m: f64,
    /// Chip size that the model asks for, a multiple of the network's stride; it takes others too.
    pub image_size: usize,
    /// Confidence from which a box counts, written into the archive.
    pub confidence: f64,
    pub license: String,
    pub seed: u64,
    pub steps: usize,
    /// What else the archive says of itself: `trained_on`, `hyperparameters`.
    pub about: serde_json::Map<String, serde_json::Value>,
}

/// Where the training is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    pub step: usize,
    pub steps: usize,
    /// Loss of the step, smoothed over about the last twenty.
    pub loss: f64,
}

/// Trains a detector and returns its TorchScript archive.
///
/// `progress` is called after each step. Memory: the scenes, and about 1 GB.
///
/// # Errors
/// [`Error::Torch`](super::Error::Torch) when libtorch fails, [`Error::Write`](super::Error::Write) when the
/// archive cannot be written to the temporary folder, and [`Error::WithoutTorch`](super::Error::WithoutTorch)
/// in a process without it.
///
/// # Panics
/// Without scenes, or when a class is not among the names.
pub fn train(scenes: &[Scene], options: &Options, progress: &mut dyn FnMut(Progress)) -> Result<Vec<u8>> {
    assert!(!scenes.is_empty(), "there is something to learn from");
    match engine() {
        Some(engine) => (engine.train)(scenes, options, progress),
        None => Err(Error::WithoutTorch { model: options.name.clone() }),
    }
}
