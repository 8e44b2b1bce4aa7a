//! Small questions about one object.

use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use futures::TryStreamExt as _;
use sha2::{Digest as _, Sha256};

use super::{Error, Result, Storage};
use crate::catalog::{Layer, ObjectRef};

impl Storage {
    /// Returns when the store received a version of an object; nothing when the store does not say.
    ///
    /// # Errors
    /// [`Error::Missing`] without such a version, and what the store answers.
    pub async fn stored_at(&self, object: &ObjectRef) -> Result<Option<DateTime<Utc>>> {
        let ObjectRef { bucket, key, version_id, .. } = object;
        let request = self.client().head_object().bucket(bucket).key(key).set_version_id(version_id.clone());
        let head = request.send().await.map_err(|error| self.call("look for", bucket, key).error(error))?;
        Ok(head.last_modified.and_then(|time| DateTime::from_timestamp(time.secs(), 0)))
    }

    /// Reads a small object whole, as a report or a model, and checks it against its checksum.
    ///
    /// # Errors
    /// [`Error::Missing`] without such a version, [`Error::Corrupt`] when its content is another one.
    pub async fn read_bytes(&self, object: &ObjectRef) -> Result<Bytes> {
        let version = object.version_id.as_deref();
        let stream = self.read_object(&object.bucket, &object.key, version, None).await?;
        let bytes = stream.body.try_fold(BytesMut::new(), |mut all, part| async move {
            all.extend_from_slice(&part);
            Ok(all)
        });
        let bytes = bytes.await?.freeze();
        let found = hex::encode(Sha256::digest(&bytes));
        if found == object.sha256 {
            return Ok(bytes);
        }
        Err(Error::Corrupt { href: object.s3_href(), expected: object.sha256.clone(), found })
    }

    /// Asks each of the four buckets for a sign of life.
    ///
    /// # Errors
    /// [`Error::Missing`] when one is not there, and what the store answers.
    pub async fn check_buckets(&self) -> Result<()> {
        for layer in Layer::ALL {
            let bucket = self.bucket(layer);
            let head = self.client().head_bucket().bucket(bucket).send().await;
            head.map_err(|error| self.call("look for", bucket, "").error(error))?;
        }
        Ok(())
    }
}
