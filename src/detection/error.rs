//! What can go wrong between a model and a map.

use crate::{raster, spatial};

/// Why a model could not be used or a raster not be searched.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes are no TorchScript archive.
    #[error("cannot load the model {model}: not TorchScript: {reason}")]
    NotTorchScript { model: String, reason: String },
    /// The archive is TorchScript, but does not say what polder must know about it.
    #[error("cannot use the model {model}: {reason}")]
    Metadata { model: String, reason: String },
    /// The model answers another question than "where is what".
    #[error("cannot use the model {model}: its task is {task:?}, polder runs models of the task \"detect\"")]
    Task { model: String, task: String },
    /// The model's output is not that of a YOLOv8 detector.
    #[error("cannot use the model {model}: its output is {found}, but a YOLOv8 detector of {classes} classes gives \
             [1, {}, N] (box centre, size and a confidence for each class)", 4 + classes)]
    Layout { model: String, found: String, classes: usize },
    /// This process has no libtorch, and there was no program with it to become.
    #[error(
        "cannot run the model {model}: this polder comes without libtorch; take one that has it (`make build`, or the \
             container image polder-torch), or put the program polder-torch of the same build beside it"
    )]
    WithoutTorch { model: String },
    /// libtorch refused.
    #[error("cannot {operation} the model {model}: {reason}")]
    Torch { operation: &'static str, model: String, reason: String },
    /// A pixel could not be read or written.
    #[error(transparent)]
    Raster(#[from] raster::Error),
    /// A coordinate could not be converted.
    #[error(transparent)]
    Spatial(#[from] spatial::Error),
    /// The findings could not be written.
    #[error("cannot write the findings: {0}")]
    Write(#[from] std::io::Error),
}
