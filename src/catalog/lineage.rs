//! What an item was made from and how: `derived_from` links with exact versions, and `processing:*`.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use stac::{Item, Link};

use super::{
    Layer, ObjectRef,
    item::{GEOJSON, fields, set, timestamp},
};

/// Scheme of a stored href that points into this catalog's own API, wherever that is served.
///
/// An item does not know under which address it will be read. `polder:/collections/…` becomes
/// `{base}/stac/collections/…` when the API hands it out.
pub const API_SCHEME: &str = "polder:";

/// One exact version of an item that a later one was made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    pub layer: Layer,
    pub item_id: String,
    /// The object that was read.
    pub object: ObjectRef,
}

impl Upstream {
    /// Returns the `derived_from` link, with the version, size and checksum of what was read.
    pub fn link(&self) -> Link {
        let mut link = Link::new(item_href(self.layer.collection(), &self.item_id), "derived_from");
        link.r#type = Some(GEOJSON.to_owned());
        link.title = Some(self.item_id.clone());
        link.additional_fields = fields(json!({
            "polder:version_id": self.object.version_id,
            "file:checksum": self.object.multihash(),
            "file:size": self.object.size_bytes,
        }));
        link
    }
}

/// Returns the stored href of an item of this catalog.
pub fn item_href(collection: &str, id: &str) -> String {
    format!("{API_SCHEME}/collections/{collection}/items/{id}")
}

/// How an item was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Processing {
    /// Name and version of each program that shaped the result.
    pub software: BTreeMap<String, String>,
    /// One sentence for people.
    pub lineage: String,
    /// The parameters, all of them: the same ones on the same inputs give the same result.
    pub parameters: Value,
    /// When the step ended; the only thing here that differs between two runs.
    pub finished_at: Option<DateTime<Utc>>,
}

pub(super) fn set_processing(item: &mut Item, processing: &Processing, level: &str) {
    set(item, "processing:software", json!(processing.software));
    set(item, "processing:lineage", processing.lineage.clone());
    set(item, "processing:level", level);
    set(item, "processing:expression", json!({ "format": "polder", "expression": processing.parameters }));
    set(item, "processing:datetime", processing.finished_at.map(timestamp));
}
