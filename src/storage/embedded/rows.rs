//! What the index knows: buckets, versions, uploads and their parts.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use s3s::dto::{Checksum, ChecksumType, ETag, Timestamp};
use serde::{Deserialize, Serialize};

use super::blobs::Segment;

/// The id of the version that a bucket without versions has.
pub(super) const NULL: &str = "null";

/// A bucket.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Bucket {
    pub created_ms: i64,
    pub versioning: Versioning,
    /// The lifecycle configuration, as XML.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifecycle: Option<String>,
}

/// Whether a bucket keeps versions. It never becomes `Off` again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Versioning {
    Off,
    Enabled,
    Suspended,
}

/// One version of one key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Version {
    pub id: String,
    pub modified_ms: i64,
    /// `None` is a delete marker: the object was deleted, its versions were not.
    pub content: Option<Content>,
}

/// What a version holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Content {
    /// MD5 in hexadecimal, or the MD5 of the parts' MD5s and their number.
    pub etag: String,
    pub size: u64,
    /// The blobs that make up the content, in order; one for each part of a multipart upload.
    pub segments: Vec<Segment>,
    #[serde(flatten)]
    pub headers: Headers,
    #[serde(default, skip_serializing_if = "Checksums::is_empty")]
    pub checksums: Checksums,
}

/// What the writer said about an object.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Headers {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_language: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_disposition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// The checksums that were sent along and found right, in base64.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Checksums {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crc32: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crc32c: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crc64nvme: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha1: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// `FULL_OBJECT` or `COMPOSITE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

/// A multipart upload that is not finished.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Upload {
    pub begun_ms: i64,
    #[serde(flatten)]
    pub headers: Headers,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum_algorithm: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum_type: Option<String>,
}

/// A part of a multipart upload.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Part {
    /// MD5 in hexadecimal.
    pub etag: String,
    pub segment: Segment,
    pub modified_ms: i64,
    #[serde(default, skip_serializing_if = "Checksums::is_empty")]
    pub checksums: Checksums,
}

impl Version {
    pub fn is_marker(&self) -> bool {
        self.content.is_none()
    }
}

impl Checksums {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns each checksum with the name of its algorithm as it stands in a header.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = [
            ("crc32", &self.crc32),
            ("crc32c", &self.crc32c),
            ("crc64nvme", &self.crc64nvme),
            ("sha1", &self.sha1),
            ("sha256", &self.sha256),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }

    /// Returns them as S3 names them, with the type that they have unless they are of the whole object.
    pub fn to_dto(&self) -> Checksum {
        Checksum {
            checksum_crc32: self.crc32.clone(),
            checksum_crc32c: self.crc32c.clone(),
            checksum_crc64nvme: self.crc64nvme.clone(),
            checksum_sha1: self.sha1.clone(),
            checksum_sha256: self.sha256.clone(),
            checksum_type: self.kind.clone().map(ChecksumType::from),
        }
    }
}

impl From<Checksum> for Checksums {
    fn from(checksum: Checksum) -> Self {
        let mut checksums = Self {
            crc32: checksum.checksum_crc32,
            crc32c: checksum.checksum_crc32c,
            crc64nvme: checksum.checksum_crc64nvme,
            sha1: checksum.checksum_sha1,
            sha256: checksum.checksum_sha256,
            kind: None,
        };
        if !checksums.is_empty() {
            checksums.kind = Some(ChecksumType::FULL_OBJECT.to_owned());
        }
        checksums
    }
}

/// Returns the time now, in milliseconds since 1970.
pub(super) fn now_ms() -> i64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |elapsed| elapsed.as_millis() as i64)
}

/// Returns a time of a row as S3 writes it.
pub(super) fn timestamp(ms: i64) -> Timestamp {
    (SystemTime::UNIX_EPOCH + Duration::from_millis(ms.unsigned_abs())).into()
}

/// Returns the strong `ETag` of a row.
pub(super) fn etag(value: &str) -> ETag {
    ETag::Strong(value.to_owned())
}
