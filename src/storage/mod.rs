//! S3: object keys, versions, presigned URLs, and the embedded store.
//!
//! [`Storage`] is the client of one S3 store, whichever it is: AWS, Ceph RGW, RustFS, SeaweedFS or polder's own
//! [`embedded`] one. It asks for nothing that only one of them has. What it writes is named by bucket, key,
//! version and SHA-256 ([`ObjectRef`](crate::catalog::ObjectRef)); nothing is overwritten in place, and writing
//! the same content twice leaves one version.
//!
//! Where a store keeps no versions, the content's hash goes into the key instead, so the key of an answer can
//! differ from the one that was asked for: use the `ObjectRef` that a write returns.

mod buckets;
mod client;
mod error;
mod key;
mod object;
mod read;
mod secret;
mod write;

pub mod embedded;

#[cfg(test)]
pub(crate) mod tests;

pub use buckets::BucketState;
pub use client::Storage;
pub use error::{Error, Result};
pub use key::{KeyError, ObjectKey, flight_prefix};
pub use read::ObjectStream;
pub use secret::Secret;

use crate::catalog::Layer;

/// Where the S3 store is and how to sign in to it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The store's URL as polder reaches it; `None` is AWS itself.
    pub endpoint: Option<String>,
    /// The store's URL as browsers and GIS programs reach it, for presigned URLs: a signature covers the host.
    pub public_endpoint: Option<String>,
    pub region: String,
    pub access_key_id: Option<String>,
    pub secret_access_key: Option<Secret>,
    pub session_token: Option<Secret>,
    /// `http://host/bucket/key` rather than `http://bucket.host/key`; nearly every store but AWS needs it.
    pub path_style: bool,
    pub buckets: Buckets,
}

/// The names of the four buckets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buckets {
    pub raw: String,
    pub ortho: String,
    pub results: String,
    pub models: String,
}

impl Buckets {
    /// Returns the name of a layer's bucket.
    pub fn name(&self, layer: Layer) -> &str {
        match layer {
            Layer::Raw => &self.raw,
            Layer::Ortho => &self.ortho,
            Layer::Results => &self.results,
            Layer::Models => &self.models,
        }
    }

    /// Returns the layer whose bucket has this name.
    pub fn layer(&self, bucket: &str) -> Option<Layer> {
        Layer::ALL.into_iter().find(|layer| self.name(*layer) == bucket)
    }
}

impl Default for Buckets {
    fn default() -> Self {
        let name = |layer: Layer| layer.collection().to_owned();
        Self {
            raw: name(Layer::Raw),
            ortho: name(Layer::Ortho),
            results: name(Layer::Results),
            models: name(Layer::Models),
        }
    }
}
