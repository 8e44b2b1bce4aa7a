//! The use cases: what changes the world, once for the command line, HTTP and Tekton alike.
//!
//! Each step reads what an earlier one published and publishes something new: objects first, the item last,
//! since only what an item names exists. A step's run is named by a hash of its inputs and parameters, so that
//! doing it again, after a crash or for no reason, ends with the same catalog.

mod audit;
mod detect;
mod error;
mod examine;
mod footprint;
mod ingest;
mod lineage;
mod models;
mod stitch;

use std::path::PathBuf;

use crate::{
    catalog::{Layer, StorageScheme},
    database::Database,
    storage::Storage,
};

pub use detect::{DetectRequest, DetectionSummary, detect};
pub use error::{Error, Result};
pub use examine::{Warning, find_photos};
pub use ingest::{FileOutcome, FileReport, IngestReport, IngestRequest, ingest};
pub use lineage::object_of;
pub use models::{ModelChoice, ModelToPublish, publish_model};
pub use stitch::{StitchRequest, StitchSummary, stitch};

/// What a use case works with.
#[derive(Clone)]
pub struct Context {
    pub database: Database,
    pub storage: Storage,
    /// How items name the store.
    pub scheme: StorageScheme,
    /// Who is at work, for the audit.
    pub actor: String,
    /// Where files are kept while a step works.
    pub work: PathBuf,
}

impl Context {
    /// Returns the names of the buckets whose objects the API hands out.
    pub(crate) fn own_buckets(&self) -> Vec<&str> {
        Layer::ALL.into_iter().map(|layer| self.storage.bucket(layer)).collect()
    }
}

/// How far a step is: what it does, and how much of it.
#[derive(Clone, Debug)]
pub struct Progress {
    pub stage: String,
    pub done: u64,
    pub total: u64,
}

impl Progress {
    /// Makes it from a share done, 0 to 1.
    pub fn share(stage: &str, done: f64) -> Self {
        Self { stage: stage.to_owned(), done: (done * 1000.0) as u64, total: 1000 }
    }
}

/// Is told how far a step is.
pub type Observer<'a> = &'a (dyn Fn(Progress) + Send + Sync);
