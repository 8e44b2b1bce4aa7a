//! Finds things on rasters: cuts chips, lets a model look at each, merges what it saw, puts it on the ground.
//!
//! A [`Detector`] answers for one chip; [`detect_raster`] asks it for a whole orthophoto, window by window.
//! What a model knows about itself (class names, chip size, GSD, confidence) travels in its archive and is read
//! by [`read_spec`], also in a build that cannot run it.
//!
//! Invariant: a class name is the model's own, letter for letter, from the archive to the map.

mod annotate;
mod archive;
mod chips;
mod curves;
mod decode;
mod detector;
mod engine;
mod error;
mod evaluate;
mod font;
mod geojson;
mod georeference;
mod look;
mod mask;
mod memory;
mod model_file;
mod nms;
mod outline;
mod own_model;
mod scan;
mod score;
pub mod training;

pub use annotate::annotate;
pub use archive::{add_config, count_constants, read_description, read_spec};
pub use chips::{Chip, ChipPlace, grid};
pub use curves::{f1_svg, precision_recall_svg};
pub use decode::{all_finite, decode, decode_rotated, decode_weighted};
pub use detector::{Criteria, DEFAULT_CONFIDENCE, Detector, ModelSpec, PixelBox, Seen, Task, Tried};
pub use engine::{Engine, run_models_with, runs_models};
pub use error::Error;
pub use evaluate::{Evaluation, Truth, evaluate};
pub use geojson::{finding_id, lonlat_ring, write_geojson};
pub use georeference::ring;
pub use look::detect_picture;
pub use mask::{Prototypes, segment};
pub use model_file::read_model;
pub use nms::{Candidate, Merger, merge, suppress};
pub use outline::Outline;
pub use own_model::{OwnModel, own_model};
pub use scan::{DetectOptions, Finding, Progress, detect_raster};
pub use score::{ClassScore, Judged, Score, score};

/// What the functions of this module return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Loads a model from the bytes of its TorchScript archive; `name` names it in errors.
///
/// # Errors
/// [`Error::NotTorchScript`], [`Error::Metadata`], [`Error::Task`], [`Error::Layout`] and [`Error::NotANumber`] when it is
/// not a YOLOv8 detector with a description, [`Error::TooLarge`] when there is no memory for it, [`Error::Torch`] when
/// libtorch cannot run it, and [`Error::WithoutTorch`] in a process without it.
pub fn load(model: &[u8], name: &str) -> Result<Box<dyn Detector>> {
    // The bytes themselves are in memory already.
    let (needed, free) = (memory::needed_by(model.len() as u64) - model.len() as u64, memory::free());
    if needed > free {
        return Err(Error::TooLarge { model: name.to_owned(), needed, free });
    }
    match engine::engine() {
        Some(engine) => (engine.load)(model, name),
        None => read_spec(model, name).and_then(|_| Err(Error::WithoutTorch { model: name.to_owned() })),
    }
}
