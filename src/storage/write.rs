//! Writes objects so that writing the same content twice leaves one version.
//!
//! Every object carries its SHA-256 as metadata. Before an upload the newest version is asked for; when it has
//! the same checksum and size, nothing is sent. Files above 8 MiB go up in parts, a few at a time, hashed while
//! they are read, so that a file that changes meanwhile is noticed and never becomes an object.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use aws_sdk_s3::{
    error::ProvideErrorMetadata as _,
    primitives::ByteStream,
    types::{CompletedMultipartUpload, CompletedPart},
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use futures::{TryStreamExt as _, stream};
use md5::Md5;
use sha2::{Digest as _, Sha256};
use tokio::task;

use super::{Error, ObjectKey, Result, Storage};
use crate::catalog::{Layer, ObjectRef};

/// Above this a file goes up in parts, and this is the size of a part.
const PART_BYTES: u64 = 8 << 20;

/// S3 takes no more parts than this; a larger file gets larger parts.
const MOST_PARTS: u64 = 10_000;

/// Parts of one file on their way at once: 32 MiB of memory, and enough to fill a fast line.
const PARTS_IN_FLIGHT: usize = 4;

/// The metadata that holds the checksum; on the wire `x-amz-meta-sha256`.
pub(super) const SHA256: &str = "sha256";

/// What is about to be written.
struct Upload<'a> {
    bucket: &'a str,
    key: String,
    content_type: &'a str,
    sha256: String,
    size_bytes: u64,
}

impl Storage {
    /// Stores a file and returns its version. When the newest version has the same content, returns that one.
    ///
    /// At most four parts of 8 MiB are in memory. An upload that fails is aborted and leaves nothing behind.
    ///
    /// # Errors
    /// [`Error::File`] when the file cannot be read, [`Error::Changed`] when it is written to meanwhile,
    /// [`Error::Key`] when the key has an unusable part, and what the store answers.
    pub async fn put_file(&self, layer: Layer, key: &ObjectKey, path: &Path, content_type: &str) -> Result<ObjectRef> {
        let (sha256, size_bytes) = hash_file(path.to_owned()).await?;
        let upload = self.upload(layer, key, content_type, sha256, size_bytes).await?;
        if let Some(stored) = self.find_same(&upload).await? {
            return Ok(stored);
        }
        let version = if size_bytes <= PART_BYTES {
            let bytes = tokio::fs::read(path).await.map_err(Error::file("read", path))?;
            if hex::encode(Sha256::digest(&bytes)) != upload.sha256 {
                return Err(Error::Changed { path: path.to_owned() });
            }
            self.put_whole(&upload, bytes.into()).await?
        } else {
            self.put_parts(&upload, path).await?
        };
        self.named(layer, upload, version).await
    }

    /// Stores bytes and returns their version. When the newest version has the same content, returns that one.
    ///
    /// # Errors
    /// [`Error::Key`] when the key has an unusable part, and what the store answers.
    pub async fn put_bytes(
        &self,
        layer: Layer,
        key: &ObjectKey,
        bytes: Bytes,
        content_type: &str,
    ) -> Result<ObjectRef> {
        let sha256 = hex::encode(Sha256::digest(&bytes));
        let upload = self.upload(layer, key, content_type, sha256, bytes.len() as u64).await?;
        if let Some(stored) = self.find_same(&upload).await? {
            return Ok(stored);
        }
        let version = self.put_whole(&upload, bytes).await?;
        self.named(layer, upload, version).await
    }

    async fn upload<'a>(
        &'a self,
        layer: Layer,
        key: &ObjectKey,
        content_type: &'a str,
        sha256: String,
        size_bytes: u64,
    ) -> Result<Upload<'a>> {
        let key = if self.keeps_versions(layer).await? { key.path()? } else { key.path_with_content(&sha256)? };
        Ok(Upload { bucket: self.bucket(layer), key, content_type, sha256, size_bytes })
    }

    async fn find_same(&self, upload: &Upload<'_>) -> Result<Option<ObjectRef>> {
        let stored = self.find_object(upload.bucket, &upload.key, None).await?;
        Ok(stored.filter(|stored| stored.sha256 == upload.sha256 && stored.size_bytes == upload.size_bytes))
    }

    /// Gives what was written its name. A store that keeps versions may answer without one (Ceph RGW does so for
    /// some multipart uploads): then the newest version is asked for and must be ours.
    async fn named(&self, layer: Layer, upload: Upload<'_>, version_id: Option<String>) -> Result<ObjectRef> {
        if version_id.is_none() && self.keeps_versions(layer).await? {
            return self.find_same(&upload).await?.ok_or_else(|| Error::Answer {
                operation: "store",
                href: format!("s3://{}/{}", upload.bucket, upload.key),
                code: "NoVersion".to_owned(),
                message: "the store named no version, and the newest one is another".to_owned(),
            });
        }
        Ok(ObjectRef {
            bucket: upload.bucket.to_owned(),
            key: upload.key,
            version_id,
            sha256: upload.sha256,
            size_bytes: upload.size_bytes,
            content_type: upload.content_type.to_owned(),
        })
    }

    async fn put_whole(&self, upload: &Upload<'_>, bytes: Bytes) -> Result<Option<String>> {
        let request = self.client().put_object().bucket(upload.bucket).key(&upload.key);
        let request = request.content_type(upload.content_type).metadata(SHA256, &upload.sha256);
        let request = request.content_md5(BASE64.encode(Md5::digest(&bytes))).body(ByteStream::from(bytes));
        let answer = request.send().await.map_err(|e| self.call("store", upload.bucket, &upload.key).error(e))?;
        Ok(real_version(answer.version_id))
    }

    async fn put_parts(&self, upload: &Upload<'_>, path: &Path) -> Result<Option<String>> {
        let call = self.call("begin the upload of", upload.bucket, &upload.key);
        let request = self.client().create_multipart_upload().bucket(upload.bucket).key(&upload.key);
        let request = request.content_type(upload.content_type).metadata(SHA256, &upload.sha256);
        let begun = request.send().await.map_err(|e| call.error(e))?;
        let id = begun.upload_id.ok_or_else(|| Error::Answer {
            operation: "begin the upload of",
            href: call.href(),
            code: "NoUploadId".to_owned(),
            message: "the store named no upload".to_owned(),
        })?;
        let mut guard = AbortOnDrop::new(self, upload, &id);
        let parts = match self.send_parts(upload, path, &id).await {
            Ok(parts) => parts,
            Err(error) => {
                guard.disarm();
                abort(self.clone(), upload.bucket.to_owned(), upload.key.clone(), id).await;
                return Err(error);
            }
        };
        // From here on the upload may have become an object even if we never hear of it: no abort.
        guard.disarm();
        self.complete(upload, &id, parts).await
    }

    /// Reads the file once, in order, hashing it, and sends a few parts at a time.
    async fn send_parts(&self, upload: &Upload<'_>, path: &Path, id: &str) -> Result<Vec<CompletedPart>> {
        let reader = PartReader::open(path, upload.size_bytes).await?;
        let whole = upload.sha256.as_str();
        let parts = stream::try_unfold(reader, |reader| async move { reader.next(whole).await });
        parts
            .map_ok(|(number, bytes)| self.send_part(upload, id, number, bytes))
            .try_buffered(PARTS_IN_FLIGHT)
            .try_collect()
            .await
    }

    async fn send_part(&self, upload: &Upload<'_>, id: &str, number: i32, bytes: Bytes) -> Result<CompletedPart> {
        let request = self.client().upload_part().bucket(upload.bucket).key(&upload.key).upload_id(id);
        let request = request.part_number(number).content_md5(BASE64.encode(Md5::digest(&bytes)));
        let answer = request.body(ByteStream::from(bytes)).send().await;
        let answer = answer.map_err(|e| self.call("store a part of", upload.bucket, &upload.key).error(e))?;
        Ok(CompletedPart::builder().part_number(number).set_e_tag(answer.e_tag).build())
    }

    async fn complete(&self, upload: &Upload<'_>, id: &str, parts: Vec<CompletedPart>) -> Result<Option<String>> {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let request = self.client().complete_multipart_upload().bucket(upload.bucket).key(&upload.key);
        match request.upload_id(id).multipart_upload(parts).send().await {
            Ok(answer) => Ok(real_version(answer.version_id)),
            // The answer to an earlier attempt was lost on the way: the upload is gone because it is an object now.
            Err(error) if error.code() == Some("NoSuchUpload") => match self.find_same(upload).await? {
                Some(stored) => Ok(stored.version_id),
                None => Err(self.call("finish the upload of", upload.bucket, &upload.key).error(error)),
            },
            Err(error) => {
                let ours = self.call("finish the upload of", upload.bucket, &upload.key).error(error);
                if !ours.is_temporary() {
                    abort(self.clone(), upload.bucket.to_owned(), upload.key.clone(), id.to_owned()).await;
                }
                Err(ours)
            }
        }
    }
}

/// Returns a version id unless it is the one that means "there are no versions".
pub(super) fn real_version(id: Option<String>) -> Option<String> {
    id.filter(|id| !id.is_empty() && id != "null")
}

async fn abort(storage: Storage, bucket: String, key: String, id: String) {
    let request = storage.client().abort_multipart_upload().bucket(&bucket).key(&key).upload_id(id);
    if let Err(error) = request.send().await {
        // The first error is the one to tell; the bucket's lifecycle rule removes what is left.
        let error = storage.call("abort the upload of", &bucket, &key).error(error);
        tracing::warn!(bucket.name = bucket, object.key = key, "{error}");
    }
}

/// Aborts an upload whose future is dropped halfway, as by Ctrl-C.
struct AbortOnDrop {
    armed: Option<(Storage, String, String, String)>,
}

impl AbortOnDrop {
    fn new(storage: &Storage, upload: &Upload<'_>, id: &str) -> Self {
        let armed = (storage.clone(), upload.bucket.to_owned(), upload.key.clone(), id.to_owned());
        Self { armed: Some(armed) }
    }

    fn disarm(&mut self) {
        self.armed = None;
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        if let (Some((storage, bucket, key, id)), Ok(runtime)) =
            (self.armed.take(), tokio::runtime::Handle::try_current())
        {
            runtime.spawn(abort(storage, bucket, key, id));
        }
    }
}

/// Reads a file part by part and hashes it on the way.
struct PartReader {
    path: PathBuf,
    file: File,
    hasher: Sha256,
    part_bytes: u64,
    size_bytes: u64,
    read_bytes: u64,
    number: i32,
}

impl PartReader {
    async fn open(path: &Path, size_bytes: u64) -> Result<Self> {
        let file = tokio::fs::File::open(path).await.map_err(Error::file("read", path))?.into_std().await;
        let part_bytes = part_bytes(size_bytes);
        Ok(Self {
            path: path.to_owned(),
            file,
            hasher: Sha256::new(),
            part_bytes,
            size_bytes,
            read_bytes: 0,
            number: 0,
        })
    }

    /// Returns the next part with its number, or `None` after the last. The last one is handed out only when
    /// the whole file had the checksum that it should have.
    async fn next(mut self, whole: &str) -> Result<Option<((i32, Bytes), Self)>> {
        if self.read_bytes == self.size_bytes {
            return Ok(None);
        }
        let size = self.part_bytes.min(self.size_bytes - self.read_bytes) as usize;
        let (mut reader, part) = task::spawn_blocking(move || {
            let mut part = vec![0; size];
            let read = self.file.read_exact(&mut part);
            self.hasher.update(&part);
            (self, read.map(|()| part))
        })
        .await
        .expect("reading a part does not panic");
        let part = part.map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => Error::Changed { path: reader.path.clone() },
            _ => Error::File { operation: "read", path: reader.path.clone(), source },
        })?;
        reader.read_bytes += size as u64;
        reader.number += 1;
        if reader.read_bytes == reader.size_bytes && hex::encode(reader.hasher.clone().finalize()) != whole {
            return Err(Error::Changed { path: reader.path });
        }
        Ok(Some(((reader.number, part.into()), reader)))
    }
}

fn part_bytes(size_bytes: u64) -> u64 {
    PART_BYTES.max(size_bytes.div_ceil(MOST_PARTS).next_multiple_of(1 << 20))
}

/// Returns the SHA-256, in hexadecimal, and the size of a file, reading it in small pieces off the async threads.
pub(super) async fn hash_file(path: PathBuf) -> Result<(String, u64)> {
    let hashing = move || {
        let mut file = File::open(&path).map_err(Error::file("read", &path))?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 256 << 10];
        let mut size_bytes = 0;
        loop {
            let read = file.read(&mut buffer).map_err(Error::file("read", &path))?;
            if read == 0 {
                return Ok((hex::encode(hasher.finalize()), size_bytes));
            }
            hasher.update(&buffer[..read]);
            size_bytes += read as u64;
        }
    };
    task::spawn_blocking(hashing).await.expect("hashing a file does not panic")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_grow_with_files_that_would_need_too_many() {
        assert_eq!(part_bytes(20 << 20), 8 << 20);
        let huge: u64 = 200 << 30;
        assert!(huge.div_ceil(part_bytes(huge)) <= MOST_PARTS);
    }

    #[tokio::test]
    async fn a_file_that_changes_while_it_is_read_is_noticed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"before").unwrap();
        let (sha256, size) = hash_file(file.path().to_owned()).await.unwrap();
        std::fs::write(file.path(), b"after!").unwrap();
        let reader = PartReader::open(file.path(), size).await.unwrap();
        assert!(matches!(reader.next(&sha256).await, Err(Error::Changed { .. })));
    }

    #[test]
    fn null_is_no_version() {
        assert_eq!(real_version(Some("null".to_owned())), None);
        assert_eq!(real_version(Some("0192".to_owned())).as_deref(), Some("0192"));
    }
}
