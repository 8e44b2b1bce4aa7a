//! What can go wrong between polder and its database.

use crate::catalog;

/// Errors of the database.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot reach the database: {source}")]
    Connect { source: sqlx::Error },
    #[error("cannot bring the database schema up to date: {source}")]
    Migrate { source: sqlx::migrate::MigrateError },
    #[error("cannot {operation}: {source}")]
    Query { operation: &'static str, source: sqlx::Error },
    #[error("cannot store an item of the collection {0:?}: there is no such collection")]
    UnknownCollection(String),
    #[error("cannot read back what is stored: {0}")]
    Stored(#[from] catalog::Error),
    #[error("cannot read back the stored JSON: {0}")]
    StoredJson(#[from] serde_json::Error),
    #[error("cannot continue the search: {0:?} is no token of a page")]
    PageKey(String),
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Wraps an error of a statement; `operation` reads on after "cannot".
    pub(super) fn query(operation: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Query { operation, source }
    }

    /// Tells whether the database cannot be reached at present, so that trying again later may help.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Connect { .. } => true,
            Self::Query { source, .. } => match source {
                sqlx::Error::Io(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed => true,
                // connection exceptions, too many connections, shutdown and crash of the server
                _ => code(source).is_some_and(|code| {
                    code.starts_with("08") || matches!(code.as_str(), "53300" | "57P01" | "57P02" | "57P03")
                }),
            },
            _ => false,
        }
    }

    /// Tells whether the statement took longer than allowed.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Query { source, .. } if code(source).as_deref() == Some("57014"))
    }

    /// Returns the constraint that a write ran into.
    pub(super) fn constraint(error: &sqlx::Error) -> Option<&str> {
        error.as_database_error().and_then(sqlx::error::DatabaseError::constraint)
    }
}

fn code(error: &sqlx::Error) -> Option<String> {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).map(std::borrow::Cow::into_owned)
}
