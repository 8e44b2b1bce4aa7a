//! Changing the catalog item by item: what the transaction extensions of the STAC API do, for whoever asks.
//!
//! What comes in is checked as a whole and refused with every fault that it has. Each write is one transaction with its
//! line in the audit: both are there or neither is.

mod collections;
mod items;
mod many;

use crate::{
    catalog,
    database::{self, AuditOpen, Database},
};

pub use many::{Method, bulk_method};

/// Somebody who changes the catalog.
#[derive(Clone, Debug)]
pub struct Editor {
    pub database: Database,
    /// Buckets whose objects polder hands out.
    pub own_buckets: Vec<String>,
    /// Address under which the API was asked, as `https://polder.example.org`: its own URLs in what comes in are turned
    /// back into what they stand for.
    pub base: String,
    /// For the audit.
    pub actor: String,
}

/// Why a change was refused. Nothing is changed then.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    #[error(transparent)]
    Catalog(#[from] catalog::Error),
    #[error(transparent)]
    Database(#[from] database::Error),
    #[error("cannot read the features: {0}")]
    NoFeatures(String),
    #[error("cannot remove or rename the collection {0:?}: polder writes into it")]
    Layer(String),
    #[error("the computation broke off: {0}")]
    Computation(#[from] tokio::task::JoinError),
}

impl Editor {
    fn buckets(&self) -> Vec<&str> {
        self.own_buckets.iter().map(String::as_str).collect()
    }

    fn signed(&self, what: &str, name: &str) -> AuditOpen {
        AuditOpen {
            who: self.actor.clone(),
            what: what.to_owned(),
            detail: Some(name.to_owned()),
            ..AuditOpen::default()
        }
    }
}
