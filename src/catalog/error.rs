//! What can be wrong with a name or an item.

use super::fault::{Fault, listed};

/// Errors of the catalog.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot use {value:?} as the name of a {what}: {rule}")]
    Name { what: &'static str, value: String, rule: &'static str },
    /// Something of a review.
    #[error("cannot take the {what}: {rule}")]
    Review { what: &'static str, rule: &'static str },
    #[error("cannot read {value:?} as a time: {rule}")]
    Time { value: String, rule: &'static str },
    #[error("cannot read the JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// All that is wrong, or the first hundred of it.
    #[error("cannot accept the JSON: {}", listed(.0))]
    Faults(Vec<Fault>),
    /// What a patch asked for first is not so: somebody else was faster.
    #[error("cannot apply the patch: its test of {pointer:?} fails")]
    PatchTest { pointer: String },
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// One fault.
    pub(crate) fn item(pointer: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Faults(vec![Fault { pointer: pointer.into(), problem: problem.into() }])
    }
}
