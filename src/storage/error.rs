//! What can go wrong with objects.

use std::{
    error::Error as StdError,
    io,
    path::{Path, PathBuf},
};

use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError as Sdk};

use super::KeyError;

/// Why an object could not be stored, found or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings contradict each other or lack something.
    #[error("cannot use the S3 settings: {0}")]
    Settings(String),
    /// Nothing answers at the endpoint.
    #[error("cannot {operation} {href}: the S3 store at {endpoint} does not answer ({message})")]
    Unreachable { operation: &'static str, href: String, endpoint: String, message: String },
    /// The key that polder uses may not do this.
    #[error("cannot {operation} {href}: the access key may not do that ({code})")]
    Denied { operation: &'static str, href: String, code: String },
    /// There is no such object, version or bucket.
    #[error("cannot {operation} {href}: there is no such {what}")]
    Missing { operation: &'static str, href: String, what: &'static str },
    /// The range lies outside the object.
    #[error("cannot read {range} of {href}: the range lies outside the object")]
    Range { range: String, href: String },
    /// The store has no room left.
    #[error("cannot {operation} {href}: the S3 store is full")]
    Full { operation: &'static str, href: String },
    /// The store answered something else.
    #[error("cannot {operation} {href}: {code}: {message}")]
    Answer { operation: &'static str, href: String, code: String, message: String },
    /// The bytes that came are not the bytes that were stored.
    #[error("cannot trust {href}: its SHA-256 should be {expected} and is {found}")]
    Corrupt { href: String, expected: String, found: String },
    /// The file was written to while it was being uploaded.
    #[error("cannot upload {}: it changed meanwhile", path.display())]
    Changed { path: PathBuf },
    /// A local file cannot be read or written.
    #[error("cannot {operation} {}: {source}", path.display())]
    File { operation: &'static str, path: PathBuf, source: io::Error },
    /// The body of an answer broke off.
    #[error("cannot read {href}: the S3 store broke off its answer ({message})")]
    Body { href: String, message: String },
    /// The object has no proper name.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// The result of a call on a bucket.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Returns a closure that wraps an I/O error, for `map_err`.
    pub(super) fn file(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { operation, path, source }
    }

    /// Says whether trying the same call later may help.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Full { .. } | Self::Body { .. })
    }
}

/// The call that was made, for the error that it may end in.
#[derive(Clone, Debug)]
pub(super) struct Call<'a> {
    pub operation: &'static str,
    pub endpoint: &'a str,
    pub bucket: &'a str,
    pub key: &'a str,
}

impl Call<'_> {
    pub fn href(&self) -> String {
        let slash = if self.key.is_empty() { "" } else { "/" };
        format!("s3://{}{slash}{}", self.bucket, self.key)
    }

    /// Turns an error of the SDK into ours.
    #[expect(clippy::needless_pass_by_value, reason = "as `map_err` hands it over")]
    pub fn error<E>(&self, error: SdkError<E, HttpResponse>) -> Error
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        let (operation, href) = (self.operation, self.href());
        let Some(status) = error.raw_response().map(|response| response.status().as_u16()) else {
            if let Sdk::ConstructionFailure(_) = &error {
                return Error::Settings(DisplayErrorContext(&error).to_string());
            }
            let message = root_cause(&error);
            return Error::Unreachable { operation, href, endpoint: self.endpoint.to_owned(), message };
        };
        let code = error.code().map_or_else(|| format!("HTTP {status}"), str::to_owned);
        match (status, code.as_str()) {
            (_, "NoSuchBucket") => Error::Missing { operation, href, what: "bucket" },
            (_, "NoSuchVersion") => Error::Missing { operation, href, what: "version" },
            // A HEAD has no body to say more; a delete marker asked for by version answers 405.
            (404 | 405, _) if !self.key.is_empty() => Error::Missing { operation, href, what: "object" },
            (404, _) => Error::Missing { operation, href, what: "bucket" },
            (401 | 403, _) => Error::Denied { operation, href, code },
            (507, _) => Error::Full { operation, href },
            _ => {
                let message = error.message().map_or_else(|| root_cause(&error), str::to_owned);
                Error::Answer { operation, href, code, message }
            }
        }
    }
}

/// Returns the innermost message: the SDK's own say little more than "dispatch failure".
pub(super) fn root_cause(error: &(dyn StdError + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
