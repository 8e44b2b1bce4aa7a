//! A collection as it is served: what was given, and what its items are by now.
//!
//! What a person gave wins where it says something of its own (a title of an asset, a summary that is no plain range);
//! what follows from the items (extent, ranges, values, keys of assets) is always theirs.

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::{Coverage, Error, Result, Summary, collection::extent};
use crate::spatial::Bbox;

/// A collection as it was given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GivenCollection {
    pub id: String,
    /// All members but links and extent.
    pub body: Map<String, Value>,
    pub links: Vec<Value>,
    pub extent: Option<Value>,
}

impl GivenCollection {
    /// Takes apart a collection's JSON.
    ///
    /// # Errors
    /// [`Error::Faults`](super::Error::Faults) when it has no id.
    pub fn of(mut members: Map<String, Value>) -> Result<Self> {
        let id = members.get("id").and_then(Value::as_str).ok_or_else(|| Error::item("/id", "must be a string"))?;
        let id = id.to_owned();
        let links = match members.remove("links") {
            Some(Value::Array(links)) => links,
            _ => Vec::new(),
        };
        let extent = members.remove("extent");
        Ok(Self { id, body: members, links, extent })
    }

    /// Takes out what a client only sends because it had read it: extent, summaries and assets that follow from the
    /// items. As part of what is given they would stay when the items go.
    #[must_use]
    pub fn without_derived(mut self, before: &Self, served: &Map<String, Value>) -> Self {
        if self.extent.is_some() && self.extent.as_ref() == served.get("extent") {
            self.extent.clone_from(&before.extent);
        }
        for member in ["summaries", "item_assets"] {
            let Some(Value::Object(sent)) = self.body.get_mut(member) else { continue };
            let given = before.body.get(member);
            sent.retain(|name, value| {
                let derived = served.get(member).and_then(|served| served.get(name)) == Some(value);
                match given.and_then(|given| given.get(name)) {
                    Some(given) if derived => {
                        value.clone_from(given);
                        true
                    }
                    _ => !derived,
                }
            });
            if sent.is_empty() && given.is_none() {
                self.body.shift_remove(member);
            }
        }
        self
    }

    /// Names what was given: the same collection has the same digest.
    pub fn digest(&self) -> String {
        let text = json!([self.id, self.body, self.links, self.extent]).to_string();
        hex::encode(Sha256::digest(text))
    }
}

/// Writes a collection without its links. The given extent holds until there is an item.
pub fn described(given: &GivenCollection, summary: &Summary) -> Map<String, Value> {
    let body = &given.body;
    let mut described = body.clone();
    let coverage = coverage(summary);
    let extent = match &given.extent {
        Some(given) if summary.items == 0 => given.clone(),
        _ => json!(extent(&coverage)),
    };
    described.insert("extent".to_owned(), extent);
    let mut summaries = object(body.get("summaries"));
    summaries.extend(summary.properties.iter().filter_map(|(name, property)| Some((name.clone(), property.json()?))));
    let mut assets = object(body.get("item_assets"));
    for (key, asset) in &summary.assets {
        let mut known = asset.json();
        if let (Some(Value::Object(given)), Value::Object(known)) = (assets.get(key), &mut known) {
            known.extend(given.clone());
        }
        // STAC wants something said of each asset; the role is what it says of most.
        if known.as_object().is_some_and(Map::is_empty) {
            known = json!({ "title": key });
        }
        assets.insert(key.clone(), known);
    }
    for (name, members) in [("summaries", summaries), ("item_assets", assets)] {
        if !members.is_empty() {
            described.insert(name.to_owned(), Value::Object(members));
        }
    }
    described
}

fn object(value: Option<&Value>) -> Map<String, Value> {
    value.and_then(Value::as_object).cloned().unwrap_or_default()
}

/// What the items cover together.
pub fn coverage(summary: &Summary) -> Coverage {
    let bbox = summary.bbox.map(|[west, south, east, north]| Bbox { west, south, east, north });
    Coverage { bbox, first: summary.starts_at, last: summary.ends_at }
}
