//! Fetches every object of a data set and checks it.

use futures::{StreamExt as _, stream};
use serde::Serialize;

use super::Opened;
use crate::{
    catalog::{ObjectRef, Pinned},
    pipeline::{Context, Result},
};

/// Objects on their way at once.
const IN_FLIGHT: usize = 4;

/// What came of one object.
#[derive(Clone, Debug, Serialize)]
pub struct Checked {
    pub uri: String,
    pub version_id: Option<String>,
    pub sha256: String,
    pub size_bytes: u64,
    /// Why it cannot be trusted; nothing when it is what it was.
    pub fault: Option<String>,
}

/// Reads every version that the manifest names, and the manifest itself, and compares each SHA-256.
///
/// Nothing is held: objects are hashed as they come.
///
/// # Errors
/// None but that of a store that does not answer; what is gone or another is a fault of its object.
pub async fn verify_dataset(context: &Context, dataset: &Opened) -> Result<Vec<Checked>> {
    let manifest = &dataset.manifest;
    let pinned = manifest.sources.iter().chain([&manifest.labels]).filter_map(Pinned::object);
    let objects: Vec<ObjectRef> = pinned.chain([dataset.object.clone()]).collect();
    let checks = objects.into_iter().map(|object| check(context, object));
    Ok(stream::iter(checks).buffered(IN_FLIGHT).collect().await)
}

/// Reads one object and compares its SHA-256.
pub(in crate::pipeline) async fn check(context: &Context, object: ObjectRef) -> Checked {
    let expected = object.sha256.clone();
    // Without a checksum the store hashes what it reads.
    let unknown = ObjectRef { sha256: String::new(), ..object.clone() };
    let fault = match context.storage.identify_object(unknown).await {
        Ok(found) if found.sha256 == expected => None,
        Ok(found) => Some(format!("its SHA-256 is {}", found.sha256)),
        Err(error) => Some(error.to_string()),
    };
    let ObjectRef { version_id, size_bytes, .. } = object.clone();
    Checked { uri: object.s3_href(), version_id, sha256: expected, size_bytes, fault }
}
