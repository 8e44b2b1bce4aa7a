//! What the API needs of the object store, and no more: it reads, it signs, it checks.
//!
//! A trait, so that the API's contract is tested without a store.

use std::{io, time::Duration};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, future::BoxFuture, stream::BoxStream};

use crate::{
    catalog::{Layer, ObjectRef},
    storage::{self, Storage},
};

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

    /// Lists polder's own buckets.
    fn own_buckets(&self) -> Vec<String>;

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

impl Objects for Storage {
    fn is_own_bucket(&self, bucket: &str) -> bool {
        self.buckets().layer(bucket).is_some()
    }

    fn own_buckets(&self) -> Vec<String> {
        Layer::ALL.map(|layer| self.bucket(layer).to_owned()).to_vec()
    }

    fn find<'a>(&'a self, object: &'a ObjectRef) -> BoxFuture<'a, Result<Option<ObjectRef>, ObjectError>> {
        Box::pin(async {
            let found = self.find_object(&object.bucket, &object.key, object.version_id.as_deref()).await;
            found.map_err(ObjectError::from)
        })
    }

    fn read<'a>(
        &'a self,
        object: &'a ObjectRef,
        range: Option<(u64, u64)>,
    ) -> BoxFuture<'a, Result<ObjectBody, ObjectError>> {
        Box::pin(async move {
            let range = range.map(|(first, last)| format!("bytes={first}-{last}"));
            let version = object.version_id.as_deref();
            let stream = self.read_object(&object.bucket, &object.key, version, range.as_deref()).await?;
            Ok(stream.body.map_err(io::Error::other).boxed())
        })
    }

    fn presign<'a>(&'a self, object: &'a ObjectRef, expires: Duration) -> BoxFuture<'a, Result<String, ObjectError>> {
        Box::pin(async move {
            let version = object.version_id.as_deref();
            Ok(self.presign_get(&object.bucket, &object.key, version, expires).await?)
        })
    }

    fn check(&self) -> BoxFuture<'_, Result<(), ObjectError>> {
        Box::pin(async { Ok(self.check_buckets().await?) })
    }
}

impl From<storage::Error> for ObjectError {
    fn from(error: storage::Error) -> Self {
        match error {
            storage::Error::Missing { href, .. } => Self::Missing(href),
            storage::Error::Unreachable { .. } => Self::Unavailable(error.to_string()),
            other => Self::Failed(other.to_string()),
        }
    }
}
