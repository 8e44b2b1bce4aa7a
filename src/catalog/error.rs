//! What can be wrong with a name or an item.

/// Errors of the catalog.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot use {value:?} as the name of a {what}: {rule}")]
    Name { what: &'static str, value: String, rule: &'static str },
    #[error("cannot read {value:?} as a time: {rule}")]
    Time { value: String, rule: &'static str },
    #[error("cannot read the item: {0}")]
    Json(#[from] serde_json::Error),
    #[error("cannot accept the item: {pointer} {problem}")]
    Item { pointer: String, problem: String },
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn item(pointer: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Item { pointer: pointer.into(), problem: problem.into() }
    }
}
