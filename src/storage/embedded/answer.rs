//! The answers that the store gives when it cannot do what was asked.

use std::{fmt::Display, io};

use http::StatusCode;
use s3s::{S3Error, S3ErrorCode, StdError, s3_error};

use super::Error;

/// The answer when there is no room left.
pub(super) fn full() -> S3Error {
    coded("InsufficientStorage", StatusCode::INSUFFICIENT_STORAGE, "the disk of the store is full")
}

/// The answer to something that should not happen; the cause goes to the log, not to the client.
pub(super) fn internal(operation: &'static str, error: &impl Display) -> S3Error {
    tracing::error!("the store cannot {operation}: {error}");
    s3_error!(InternalError, "the store cannot {operation}")
}

/// The answer when a body cannot be read to its end: cut off, or not what its signature says.
pub(super) fn body_error(error: StdError) -> S3Error {
    let text = error.to_string();
    let mut answer = if text.contains("Sha256Mismatch") {
        coded("XAmzContentSHA256Mismatch", StatusCode::BAD_REQUEST, "the body is not the one that was signed")
    } else if text.contains("SignatureMismatch") {
        s3_error!(SignatureDoesNotMatch, "a chunk of the body is not the one that was signed")
    } else {
        s3_error!(IncompleteBody, "the body broke off or is malformed")
    };
    answer.set_source(error);
    answer
}

fn coded(code: &'static str, status: StatusCode, message: &'static str) -> S3Error {
    let mut error = S3Error::with_message(S3ErrorCode::Custom(code.into()), message);
    error.set_status_code(status);
    error
}

impl From<Error> for S3Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(answer) => answer,
            Error::Index(redb::Error::Io(cause)) if cause.kind() == io::ErrorKind::StorageFull => full(),
            other => internal("use its index", &other),
        }
    }
}
