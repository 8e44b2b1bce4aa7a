//! Reads from an item what the next step needs: the object behind an asset, and its times.

use chrono::{DateTime, Utc};
use serde_json::Value;
use stac::Item;

use super::{Error, Result};
use crate::catalog::{Layer, Moment, ObjectRef, Upstream};

/// Returns the exact object behind an asset of an item.
///
/// # Errors
/// [`Error::DamagedItem`] when the asset is missing or does not name an object with its checksum.
pub fn object_of(item: &Item, asset: &str) -> Result<ObjectRef> {
    let damaged =
        |reason: &str| Error::DamagedItem { item: item.id.clone(), reason: format!("asset {asset} {reason}") };
    let asset = item.assets.get(asset).ok_or_else(|| damaged("is missing"))?;
    let path = asset.href.strip_prefix("s3://").and_then(|path| path.split_once('/'));
    let (bucket, key) = path.ok_or_else(|| damaged("has no s3:// href"))?;
    let field = |name: &str| asset.additional_fields.get(name);
    let checksum = field("file:checksum").and_then(Value::as_str).and_then(|hash| hash.strip_prefix("1220"));
    Ok(ObjectRef {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        version_id: field("polder:version_id").and_then(Value::as_str).map(str::to_owned),
        sha256: checksum.ok_or_else(|| damaged("has no SHA-256 in file:checksum"))?.to_owned(),
        size_bytes: field("file:size").and_then(Value::as_u64).ok_or_else(|| damaged("has no file:size"))?,
        content_type: asset.r#type.clone().unwrap_or_default(),
    })
}

/// Returns the item in the exact version of one of its assets, for a `derived_from` link.
pub(super) fn upstream(layer: Layer, item: &Item, asset: &str) -> Result<Upstream> {
    Ok(Upstream { layer, item_id: item.id.clone(), object: object_of(item, asset)? })
}

/// Returns a text property of polder's own.
pub(super) fn text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.properties.additional_fields.get(name).and_then(Value::as_str)
}

/// Returns the first and the last moment that items speak of.
pub(super) fn span<'a>(items: impl IntoIterator<Item = &'a Item>) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let ends = |item: &Item| {
        let p = &item.properties;
        p.datetime.map(|at| (at, at)).or_else(|| p.start_datetime.zip(p.end_datetime))
    };
    items.into_iter().filter_map(ends).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
}

/// Returns a span as a moment of the catalog.
pub(super) fn moment((first, last): (DateTime<Utc>, DateTime<Utc>)) -> Moment {
    if first == last { Moment::At(first) } else { Moment::Between(first, last) }
}
