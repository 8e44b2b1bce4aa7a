//! Finds and reads objects, by version where one is named.

use std::{path::Path, time::Duration};

use aws_sdk_s3::{operation::head_object::HeadObjectOutput, presigning::PresigningConfig, types::ChecksumMode};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{StreamExt as _, TryStreamExt as _, stream, stream::BoxStream};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;

use super::{
    Error, Result, Storage,
    error::root_cause,
    write::{SHA256, hash_file, real_version},
};
use crate::catalog::ObjectRef;

/// Questions on their way at once when the objects of a listing are looked at one by one.
const HEADS_IN_FLIGHT: usize = 16;

/// The type of an object whose writer gave none.
const UNKNOWN_TYPE: &str = "application/octet-stream";

/// An object, or a range of it, on its way here.
pub struct ObjectStream {
    /// Bytes in [`ObjectStream::body`].
    pub length_bytes: u64,
    /// As in the answer to a range, `bytes 0-99/1234`; `None` for a whole object.
    pub content_range: Option<String>,
    pub content_type: String,
    /// With its quotes, as in the header.
    pub etag: Option<String>,
    pub last_modified: Option<DateTime<Utc>>,
    pub version_id: Option<String>,
    pub body: BoxStream<'static, Result<Bytes>>,
}

impl Storage {
    /// Returns the named version of an object, or its newest, if there is one.
    ///
    /// The SHA-256 is the one stored with the object. An object that others wrote may have none: then it is the
    /// empty string, and [`Storage::identify_object`] finds it by reading.
    ///
    /// # Errors
    /// What the store answers, except that there is no such object, version or bucket.
    pub async fn find_object(&self, bucket: &str, key: &str, version: Option<&str>) -> Result<Option<ObjectRef>> {
        let request = self.client().head_object().bucket(bucket).key(key).checksum_mode(ChecksumMode::Enabled);
        match request.set_version_id(version.map(str::to_owned)).send().await {
            Ok(head) => Ok(Some(object_ref(bucket, key, head))),
            Err(error) => match self.call("look for", bucket, key).error(error) {
                Error::Missing { .. } => Ok(None),
                error => Err(error),
            },
        }
    }

    /// Returns the object with its SHA-256, read from the content when nobody stored it.
    ///
    /// # Errors
    /// What the store answers, and [`Error::Body`] when the content breaks off.
    pub async fn identify_object(&self, object: ObjectRef) -> Result<ObjectRef> {
        if !object.sha256.is_empty() {
            return Ok(object);
        }
        let mut body = self.read_object(&object.bucket, &object.key, object.version_id.as_deref(), None).await?.body;
        let mut hasher = Sha256::new();
        while let Some(bytes) = body.try_next().await? {
            hasher.update(&bytes);
        }
        Ok(ObjectRef { sha256: hex::encode(hasher.finalize()), ..object })
    }

    /// Opens an object, or the range of it that a `Range` header names (`bytes=0-99`).
    ///
    /// # Errors
    /// [`Error::Missing`] without such an object or version, [`Error::Range`] when the range lies outside it.
    pub async fn read_object(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
        range: Option<&str>,
    ) -> Result<ObjectStream> {
        let call = self.call("read", bucket, key);
        let request = self.client().get_object().bucket(bucket).key(key).set_version_id(version.map(str::to_owned));
        let answer = request.set_range(range.map(str::to_owned)).send().await.map_err(|error| {
            match (range, error.raw_response().map(|response| response.status().as_u16())) {
                (Some(range), Some(416)) => Error::Range { range: range.to_owned(), href: call.href() },
                _ => call.error(error),
            }
        })?;
        let href = call.href();
        let body = stream::try_unfold(answer.body, move |mut body| {
            let href = href.clone();
            async move {
                let next = body.try_next().await.map_err(|error| Error::Body { href, message: root_cause(&error) })?;
                Ok(next.map(|bytes| (bytes, body)))
            }
        });
        Ok(ObjectStream {
            length_bytes: answer.content_length.unwrap_or_default().unsigned_abs(),
            content_range: answer.content_range,
            content_type: answer.content_type.unwrap_or_else(|| UNKNOWN_TYPE.to_owned()),
            etag: answer.e_tag,
            last_modified: answer
                .last_modified
                .and_then(|time| DateTime::from_timestamp(time.secs(), time.subsec_nanos())),
            version_id: real_version(answer.version_id),
            body: body.boxed(),
        })
    }

    /// Copies an object into a file, checked against its SHA-256. A file that has that content is left alone.
    ///
    /// The file appears whole or not at all: it is written beside its place, synced, and renamed.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the content is not what it should be, [`Error::File`] when it cannot be written,
    /// and what the store answers; the place is untouched then.
    pub async fn download(&self, object: &ObjectRef, to: &Path) -> Result<()> {
        if let Ok((sha256, _)) = hash_file(to.to_owned()).await
            && sha256 == object.sha256
        {
            return Ok(());
        }
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let temporary = tempfile::Builder::new().prefix(".polder-").tempfile_in(folder);
        let temporary = temporary.map_err(Error::file("write", to))?;
        let file = temporary.as_file().try_clone().map_err(Error::file("write", to))?;
        let found = self.copy_into(object, tokio::fs::File::from_std(file), to).await?;
        if !object.sha256.is_empty() && found != object.sha256 {
            return Err(Error::Corrupt { href: object.s3_href(), expected: object.sha256.clone(), found });
        }
        temporary.persist(to).map_err(|error| Error::file("write", to)(error.error))?;
        Ok(())
    }

    async fn copy_into(&self, object: &ObjectRef, mut file: tokio::fs::File, to: &Path) -> Result<String> {
        let stream = self.read_object(&object.bucket, &object.key, object.version_id.as_deref(), None).await?;
        let mut body = stream.body;
        let mut hasher = Sha256::new();
        while let Some(bytes) = body.try_next().await? {
            hasher.update(&bytes);
            file.write_all(&bytes).await.map_err(Error::file("write", to))?;
        }
        file.sync_data().await.map_err(Error::file("write", to))?;
        Ok(hex::encode(hasher.finalize()))
    }

    /// Returns the newest version of every object whose key starts with `prefix`, in the order of their keys.
    ///
    /// A listing knows neither checksums nor types, so each object is asked for; one that vanished between the
    /// two questions is left out.
    ///
    /// # Errors
    /// What the store answers.
    pub async fn list_objects(&self, bucket: &str, prefix: &str) -> Result<Vec<ObjectRef>> {
        let keys = self.list_keys(bucket, prefix).await?;
        let heads = keys.iter().map(|key| self.find_object(bucket, key, None));
        let found: Vec<_> = stream::iter(heads).buffered(HEADS_IN_FLIGHT).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn list_keys(&self, bucket: &str, prefix: &str) -> Result<Vec<String>> {
        let mut keys = Vec::new();
        let mut pages = self.client().list_objects_v2().bucket(bucket).prefix(prefix).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.call("list", bucket, prefix).error(error))?;
            keys.extend(page.contents.unwrap_or_default().into_iter().filter_map(|object| object.key));
        }
        Ok(keys)
    }

    /// Returns a URL that anybody can GET the object with until it expires, on the public endpoint.
    ///
    /// # Errors
    /// [`Error::Settings`] when there are no keys to sign with, or `expires` is longer than a week.
    pub async fn presign_get(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
        expires: Duration,
    ) -> Result<String> {
        let config = PresigningConfig::expires_in(expires).map_err(|error| Error::Settings(error.to_string()))?;
        let request = self.presigner().get_object().bucket(bucket).key(key).set_version_id(version.map(str::to_owned));
        let signed = request.presigned(config).await;
        Ok(signed.map_err(|error| self.call("sign", bucket, key).error(error))?.uri().to_owned())
    }
}

fn object_ref(bucket: &str, key: &str, head: HeadObjectOutput) -> ObjectRef {
    let stored = head.metadata.as_ref().and_then(|metadata| metadata.get(SHA256)).cloned();
    // A checksum of checksums ("…-3") says nothing about the content as a whole.
    let checksum = head.checksum_sha256.as_deref().filter(|checksum| !checksum.contains('-'));
    let checksum = checksum.and_then(|checksum| BASE64.decode(checksum).ok()).map(hex::encode);
    ObjectRef {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        version_id: real_version(head.version_id),
        sha256: stored.or(checksum).unwrap_or_default(),
        size_bytes: head.content_length.unwrap_or_default().unsigned_abs(),
        content_type: head.content_type.unwrap_or_else(|| UNKNOWN_TYPE.to_owned()),
    }
}
