//! What the API needs of the object store, and no more: it reads, it signs, it checks.
//!
//! A trait, so that the API's contract is tested without a store.

use std::{io, time::Duration};

use bytes::Bytes;
use futures::{future::BoxFuture, stream::BoxStream};

use crate::catalog::ObjectRef;

/// The content of an object, or of a range of it.
pub type ObjectBody = BoxStream<'static, io::Result<Bytes>>;

/// Why an object could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    #[error("there is no object {0}")]
    Missing(String),
    #[error("the object store cannot be reached: {0}")]
    Unavailable(String),
    #[error("the object store failed: {0}")]
    Failed(String),
}

/// A store of objects.
pub trait Objects: Send + Sync {
    /// Tells whether a bucket is polder's own: no other is ever read.
    fn is_own_bucket(&self, bucket: &str) -> bool;

    /// Describes an object, in the version that it names if it names one; nothing when it is not there.
    fn find<'a>(&'a self, object: &'a ObjectRef) -> BoxFuture<'a, Result<Option<ObjectRef>, ObjectError>>;

    /// Reads an object or the bytes `range` of it, first and last, both included.
    fn read<'a>(
        &'a self,
        object: &'a ObjectRef,
        range: Option<(u64, u64)>,
    ) -> BoxFuture<'a, Result<ObjectBody, ObjectError>>;

    /// Returns a URL under which anybody can read the object until it expires.
    fn presign<'a>(&'a self, object: &'a ObjectRef, expires: Duration) -> BoxFuture<'a, Result<String, ObjectError>>;

    /// Asks for a sign of life of each bucket.
    fn check(&self) -> BoxFuture<'_, Result<(), ObjectError>>;
}
