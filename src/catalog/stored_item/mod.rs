//! An item as it is kept: its exact text, split so that it can be handed out without being parsed.
//!
//! An item is read thousands of times for every time that it is written. So the places that differ between
//! readers, the address of the API and the form of an asset's href, are found once, at write. The text is kept in
//! three parts (body, links, assets) in which characters that JSON text cannot contain mark those places:
//!
//! ```text
//! FORK stored OR https OR s3 END     three forms of one place, of which a reader gets one
//! BASE                               the address of polder, as https://polder.example.org
//! ```
//!
//! [`ItemText::write`] then is a copy that looks out for two characters.
//!
//! Invariant: reading with [`Hrefs::Stored`] gives every member of the item as it was given, number by number; only
//! `links` and `assets` move to the end.

mod hrefs;
mod marks;
mod split;
#[cfg(test)]
mod tests;
mod text;

pub use hrefs::Hrefs;
pub(super) use split::{ALTERNATE_ASSETS, OWN_PLACE};
pub use text::ItemText;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use self::split::split;
use super::{Result, Shape, Summary, check::checked, fault::Faults, members::Members};

/// An item ready to be stored: its text, and what search needs of it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredItem {
    pub collection: String,
    pub id: String,
    /// Nothing for an item without a place.
    pub geometry: Option<Shape>,
    pub starts_at: DateTime<Utc>,
    pub ends_at: DateTime<Utc>,
    /// The properties as JSON, for searching.
    pub properties: String,
    pub text: ItemText,
    /// What it adds to what is said of its collection.
    pub summary: Summary,
    /// SHA-256 of the text: two items with the same digest are the same.
    pub digest: String,
}

impl StoredItem {
    /// Splits an item that polder built.
    ///
    /// # Errors
    /// As [`StoredItem::parse`].
    pub fn of(item: &stac::Item, own_buckets: &[&str]) -> Result<Self> {
        Self::parse(&serde_json::to_string(item)?, own_buckets)
    }

    /// Checks and splits the JSON of an item. Hrefs of objects in `own_buckets` get an https form too; all others
    /// are handed out as they are.
    ///
    /// # Errors
    /// [`Error::Json`](super::Error::Json) when it is no JSON, [`Error::Faults`](super::Error::Faults) with all that
    /// is wrong with it.
    pub fn parse(json: &str, own_buckets: &[&str]) -> Result<Self> {
        Self::parse_beside(Faults::default(), json, own_buckets)
    }

    /// Does what [`StoredItem::parse`] does, for an item of which some faults are known already.
    pub(super) fn parse_beside(faults: Faults, json: &str, own_buckets: &[&str]) -> Result<Self> {
        let searchable = checked(json, faults)?;
        let members = Members::parse(json)?;
        let text = split(&members, [&searchable.collection, &searchable.id], own_buckets)?;
        let digest = hex::encode(Sha256::digest(format!("{}\0{}\0{}", text.body, text.links, text.assets)));
        Ok(Self {
            collection: searchable.collection,
            id: searchable.id,
            geometry: searchable.geometry,
            starts_at: searchable.starts_at,
            ends_at: searchable.ends_at,
            properties: members.get("properties").unwrap_or("{}").to_owned(),
            text,
            summary: searchable.summary,
            digest,
        })
    }
}
