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
    #[error("cannot read back a stored filter: {0}")]
    StoredFilter(#[from] super::FilterError),
    #[error("cannot continue the search: {0:?} is no token of a page")]
    PageToken(String),
    #[error("cannot add the item {1:?} to the collection {0:?}: there is one of this name already")]
    ItemExists(String, String),
    #[error("cannot add the collection {0:?}: there is one of this name already")]
    CollectionExists(String),
    #[error("cannot change what somebody else has changed meanwhile")]
    ItemChanged,
    #[error("cannot write the items: others write the same ones again and again")]
    Contended,
    #[error("cannot write the items: not all of them came")]
    Unfinished,
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

    /// Tells whether another transaction changed what this one had read (`repeatable read`).
    pub(super) fn is_overtaken(&self) -> bool {
        matches!(self, Self::Query { source, .. } if code(source).as_deref() == Some("40001"))
    }

    /// Tells whether two writers waited for each other and this one was chosen to give way.
    pub(super) fn is_deadlock(&self) -> bool {
        matches!(self, Self::Query { source, .. } if code(source).as_deref() == Some("40P01"))
    }

    /// Returns collection and id of the row that a write ran into: `Key (collection, id)=(a, b) already exists.`
    ///
    /// A collection's name holds no comma that is followed by a blank, or the item is looked up in vain, which harms
    /// nobody.
    pub(super) fn key_of(error: &sqlx::Error) -> Option<(String, String)> {
        let error = error.as_database_error()?.try_downcast_ref::<sqlx::postgres::PgDatabaseError>()?;
        let key = error.detail()?.strip_prefix("Key (collection, id)=(")?.strip_suffix(") already exists.")?;
        key.split_once(", ").map(|(collection, id)| (collection.to_owned(), id.to_owned()))
    }

    /// Returns the collection that an item names and that is not there.
    pub(super) fn missing_of(error: &sqlx::Error) -> Option<String> {
        let error = error.as_database_error()?.try_downcast_ref::<sqlx::postgres::PgDatabaseError>()?;
        let (name, _) = error.detail()?.strip_prefix("Key (collection)=(")?.rsplit_once(") is not present in table")?;
        Some(name.to_owned())
    }

    /// Returns the constraint that a write ran into.
    pub(super) fn constraint(error: &sqlx::Error) -> Option<&str> {
        error.as_database_error().and_then(sqlx::error::DatabaseError::constraint)
    }
}

fn code(error: &sqlx::Error) -> Option<String> {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).map(std::borrow::Cow::into_owned)
}
