//! The name of one version of one object.

use serde::{Deserialize, Serialize};

/// One version of one object in a bucket, named so that it can be found and checked again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectRef {
    pub bucket: String,
    pub key: String,
    /// The store's id of the version; `None` where the store keeps no versions.
    pub version_id: Option<String>,
    /// SHA-256 of the content, 64 lower-case hexadecimal digits.
    pub sha256: String,
    pub size_bytes: u64,
    /// Media type, as `image/jpeg`.
    pub content_type: String,
}

impl ObjectRef {
    /// Returns `s3://bucket/key`.
    pub fn s3_href(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.key)
    }

    /// Returns the checksum as a multihash in hexadecimal: `1220` says SHA-256, 32 bytes (file extension v2.1.0).
    pub fn multihash(&self) -> String {
        format!("1220{}", self.sha256)
    }
}
