//! What can go wrong between a model and a map.

use crate::{raster, spatial};

/// Why a model could not be used or a raster not be searched.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The model's file cannot be read.
    #[error("cannot read the model {model}: {source}")]
    ReadModel { model: String, source: std::io::Error },
    /// The model does not fit into the memory that is left.
    #[error(
        "cannot load the model {model}: it takes about {} MB, and {} MB are free (in this container, if there is one); \
             give it more memory or take a smaller model",
        needed.div_ceil(1_000_000), free / 1_000_000
    )]
    TooLarge { model: String, needed: u64, free: u64 },
    /// The bytes are no TorchScript archive.
    #[error("cannot load the model {model}: not TorchScript: {reason}")]
    NotTorchScript { model: String, reason: String },
    /// The archive is TorchScript, but does not say what polder must know about it.
    #[error("cannot use the model {model}: {reason}")]
    Metadata { model: String, reason: String },
    /// The model answers another question than "where is what".
    #[error(
        "cannot use the model {model}: its task is {task:?}, polder runs models of the tasks \"detect\", \"obb\" and \
             \"segment\""
    )]
    Task { model: String, task: String },
    /// The model's output is not that of a YOLOv8 detector.
    #[error("cannot use the model {model}: its output is {found}, but {expected}")]
    Layout { model: String, found: String, expected: String },
    /// The model's output holds NaN or infinity.
    #[error(
        "cannot use the model {model}: it gives numbers that are none (NaN or infinite); were its weights damaged, or \
             exported in half precision?"
    )]
    NotANumber { model: String },
    /// A threshold was given for a class that the model does not have.
    #[error("the model has no class {class:?}; its classes are {names:?}")]
    NoSuchClass { class: String, names: Vec<String> },
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
