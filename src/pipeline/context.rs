//! What a use case works with, and how it tells how far it is.

use std::path::PathBuf;

use crate::{
    catalog::{Layer, StorageScheme},
    database::Database,
    storage::Storage,
};

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
