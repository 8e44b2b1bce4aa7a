//! Why the embedded store cannot be opened or has stopped.

use std::{
    io,
    path::{Path, PathBuf},
};

/// Why the store's folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process has the folder open.
    #[error("cannot open the store in {}: process {pid} has it open", folder.display())]
    InUse { folder: PathBuf, pid: String },
    /// A file or folder of the store cannot be made, read or written.
    #[error("cannot {operation} {}: {source}", path.display())]
    File { operation: &'static str, path: PathBuf, source: io::Error },
    /// The index is damaged or cannot be written.
    #[error("cannot use the index of the store: {0}")]
    Index(#[from] redb::Error),
    /// A row of the index cannot be read.
    #[error("cannot read the index of the store: {0}")]
    Row(#[from] serde_json::Error),
    /// A request was refused; the answer says why.
    #[error("refused: {0}")]
    Refused(#[from] s3s::S3Error),
    /// The credentials are not usable.
    #[error("cannot use the credentials: {0}")]
    Credentials(String),
}

/// The result of a call on the store itself; requests answer in S3's own errors.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(super) fn file(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { operation, path, source }
    }
}

/// The many errors of redb are one to us.
macro_rules! index_errors {
    ($($name:ident),*) => {
        $(impl From<redb::$name> for Error {
            fn from(error: redb::$name) -> Self {
                Self::Index(error.into())
            }
        })*
    };
}

index_errors!(DatabaseError, TransactionError, TableError, StorageError, CommitError);
