//! The text of an item, and writing it for a reader.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::{Hrefs, marks::splice};
use crate::catalog::{Result, members::Members, percent_encoded};

/// The text of an item in three parts, with marks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemText {
    /// All members but `links` and `assets`, without the outer braces.
    pub body: String,
    /// The links, without the outer brackets, each with a comma before it.
    pub links: String,
    /// The assets, without the outer braces.
    pub assets: String,
}

impl ItemText {
    /// Appends the item's JSON to `out`, with hrefs as asked for and polder at the address `base`.
    pub fn write(&self, out: &mut String, [collection, id]: [&str; 2], base: &str, hrefs: Hrefs) {
        out.push('{');
        splice(out, &self.body, base, hrefs);
        out.push_str(",\"links\":[");
        if hrefs != Hrefs::Stored {
            own_links(out, &percent_encoded(collection), &percent_encoded(id), base);
        }
        let start = out.len();
        splice(out, &self.links, base, hrefs);
        if hrefs == Hrefs::Stored && out[start..].starts_with(',') {
            out.remove(start);
        }
        out.push_str("],\"assets\":{");
        splice(out, &self.assets, base, hrefs);
        out.push_str("}}");
    }

    /// Returns one asset as it is stored, or nothing when the item has none of this name.
    ///
    /// # Errors
    /// [`Error::Json`](crate::catalog::Error::Json) when what is stored is no JSON: somebody changed the table by hand.
    pub fn find_asset(&self, key: &str) -> Result<Option<Value>> {
        let asset = Members::parse(&self.stored_assets())?.get(key).map(serde_json::from_str);
        Ok(asset.transpose()?)
    }

    /// Returns all assets as they are stored.
    ///
    /// # Errors
    /// As [`ItemText::find_asset`].
    pub fn assets(&self) -> Result<Map<String, Value>> {
        Ok(serde_json::from_str(&self.stored_assets())?)
    }

    pub(in crate::catalog) fn stored_assets(&self) -> String {
        let mut json = String::with_capacity(self.assets.len() + 2);
        json.push('{');
        splice(&mut json, &self.assets, "", Hrefs::Stored);
        json.push('}');
        json
    }
}

fn own_links(out: &mut String, collection: &str, id: &str, base: &str) {
    write!(
        out,
        "{{\"rel\":\"self\",\"href\":\"{base}/stac/collections/{collection}/items/{id}\",\"type\":\"application/geo+json\"}},\
         {{\"rel\":\"parent\",\"href\":\"{base}/stac/collections/{collection}\",\"type\":\"application/json\"}},\
         {{\"rel\":\"collection\",\"href\":\"{base}/stac/collections/{collection}\",\"type\":\"application/json\"}},\
         {{\"rel\":\"root\",\"href\":\"{base}/stac\",\"type\":\"application/json\"}}"
    )
    .expect("writing to a string cannot fail");
}
