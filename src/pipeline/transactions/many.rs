//! Adding many items at once: all or none, in the memory of a few.
//!
//! The features of a request are read one by one from its bytes, sorted by id (so that two requests with the same items
//! wait for each other and never deadlock), checked batch by batch on another thread, and written as they come in one
//! transaction.

use std::{borrow::Cow, ops::Range};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use super::{EditError, Editor};
use crate::{
    catalog::{self, Fault, StoredItem},
    database::{FEW, Feed, NewItems, Written},
};

/// Items that are checked and written at once: so many that a statement's own cost does not show, and so few that the
/// database has not long to wait for the first, nor much memory is held.
const BATCH: usize = 128;

/// Batches that are checked before the database has taken them.
const AHEAD: usize = 2;

/// Faults that are told of one request.
const MOST_FAULTS: usize = 100;

/// What happens to items that are there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// The whole request is refused.
    #[default]
    Insert,
    /// They are replaced.
    Upsert,
}

/// An item in the bytes of a request.
#[derive(Clone, Debug)]
struct Feature {
    id: String,
    /// The id that the request gives it beside the item itself.
    named: Option<String>,
    /// Where it was in the request, as a JSON pointer.
    pointer: String,
    text: Range<usize>,
}

#[derive(Deserialize)]
struct FeatureCollection<'a> {
    #[serde(borrow)]
    features: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct BulkItems<'a> {
    #[serde(borrow)]
    items: std::collections::BTreeMap<Cow<'a, str>, &'a RawValue>,
    #[serde(default)]
    method: Method,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
}

impl Editor {
    /// Adds the items of a feature collection, all or none, and returns their ids.
    ///
    /// # Errors
    /// As [`Editor::add_item`]; faults are told by their place in the collection.
    pub async fn add_items(&self, collection: &str, body: Bytes) -> Result<Vec<String>, EditError> {
        let text = std::str::from_utf8(&body).map_err(|error| EditError::NoFeatures(error.to_string()))?;
        let read: FeatureCollection = serde_json::from_str(text).map_err(catalog::Error::from)?;
        let place = |(i, raw): (usize, &&RawValue)| feature(text, raw, format!("/features/{i}"), None);
        let features = read.features.iter().enumerate().map(place).collect();
        Ok(self.write(collection, body.clone(), features, Method::Insert).await?.0)
    }

    /// Adds or replaces the items of the bulk transaction extension, all or none, and says what became of them.
    ///
    /// # Errors
    /// As [`Editor::add_items`].
    pub async fn add_bulk(&self, collection: &str, body: Bytes) -> Result<Written, EditError> {
        let text = std::str::from_utf8(&body).map_err(|error| EditError::NoFeatures(error.to_string()))?;
        let read: BulkItems = serde_json::from_str(text).map_err(catalog::Error::from)?;
        let place = |(key, raw): (&Cow<str>, &&RawValue)| {
            feature(text, raw, format!("/items/{}", key.replace('~', "~0").replace('/', "~1")), Some(key))
        };
        let features = read.items.iter().map(place).collect();
        Ok(self.write(collection, body.clone(), features, read.method).await?.1)
    }

    async fn write(
        &self,
        collection: &str,
        body: Bytes,
        mut features: Vec<Feature>,
        method: Method,
    ) -> Result<(Vec<String>, Written), EditError> {
        let ids: Vec<String> = features.iter().map(|feature| feature.id.clone()).collect();
        features.sort_by(|a, b| a.id.cmp(&b.id));
        let by = self.signed("add items", &format!("{collection}: {} items", ids.len()));
        // Replacing needs to know what was there, and few are soon checked: they are not written while they are read.
        if method == Method::Upsert || features.len() <= FEW {
            let mut items = Vec::with_capacity(features.len());
            let mut faults = Vec::new();
            for batch in features.chunks(BATCH) {
                let (sound, found) = self.check(collection, &body, batch.to_vec(), |items| items).await?;
                items.extend(sound);
                keep(&mut faults, found);
            }
            refuse(faults)?;
            let written = match method {
                Method::Upsert => self.database.upsert_items(&items, Some(&by)).await?,
                Method::Insert => {
                    self.database.insert_items(&items, Some(&by)).await?;
                    Written { inserted: items.len(), ..Written::default() }
                }
            };
            return Ok((ids, written));
        }
        let (feed, fed) = mpsc::channel(AHEAD);
        let check = async {
            let mut faults = Vec::new();
            for batch in features.chunks(BATCH) {
                let (items, found) =
                    self.check(collection, &body, batch.to_vec(), |items| NewItems::of(&items)).await?;
                keep(&mut faults, found);
                // After a fault nothing is written any more, but the rest is still checked.
                if faults.is_empty() && feed.send(Feed::Items(items)).await.is_err() {
                    break;
                }
            }
            if faults.is_empty() {
                _ = feed.send(Feed::Done).await;
            }
            drop(feed);
            Ok::<_, EditError>(faults)
        };
        let (faults, written) = tokio::join!(check, self.database.insert_many(fed, Some(&by)));
        refuse(faults?)?;
        written?;
        let inserted = ids.len();
        Ok((ids, Written { inserted, ..Written::default() }))
    }

    /// Checks a batch on a thread of its own, and packs what is sound.
    async fn check<T: Send + 'static>(
        &self,
        collection: &str,
        body: &Bytes,
        batch: Vec<Feature>,
        pack: fn(Vec<StoredItem>) -> T,
    ) -> Result<(T, Vec<Fault>), EditError> {
        let (editor, body, collection) = (self.clone(), body.clone(), collection.to_owned());
        Ok(tokio::task::spawn_blocking(move || {
            let mut items = Vec::with_capacity(batch.len());
            let mut faults = Vec::new();
            for feature in batch {
                let text = std::str::from_utf8(&body[feature.text.clone()]).unwrap_or_default();
                match editor.incoming(&collection, feature.named.as_deref(), text, None) {
                    Ok(item) => items.push(item),
                    Err(EditError::Catalog(catalog::Error::Faults(found))) => {
                        faults.extend(
                            found.into_iter().map(|fault| Fault {
                                pointer: format!("{}{}", feature.pointer, fault.pointer),
                                ..fault
                            }),
                        );
                    }
                    Err(error) => faults.push(Fault { pointer: feature.pointer, problem: error.to_string() }),
                }
            }
            (pack(items), faults)
        })
        .await?)
    }
}

fn keep(faults: &mut Vec<Fault>, found: Vec<Fault>) {
    let room = MOST_FAULTS - faults.len().min(MOST_FAULTS);
    faults.extend(found.into_iter().take(room));
}

fn refuse(faults: Vec<Fault>) -> Result<(), EditError> {
    if faults.is_empty() { Ok(()) } else { Err(catalog::Error::Faults(faults).into()) }
}

/// Tells what a bulk request wants of items that are there already, which decides who may send it.
///
/// # Errors
/// [`EditError::Catalog`] when it cannot be read.
pub fn bulk_method(body: &[u8]) -> Result<Method, EditError> {
    #[derive(Deserialize)]
    struct Asked {
        #[serde(default)]
        method: Method,
    }
    let asked: Asked = serde_json::from_slice(body).map_err(catalog::Error::from)?;
    Ok(asked.method)
}

/// Finds where a feature lies in the text, and its id; one without an id is told so when it is checked.
fn feature(text: &str, raw: &RawValue, pointer: String, key: Option<&str>) -> Feature {
    let start = raw.get().as_ptr() as usize - text.as_ptr() as usize;
    let named: Option<Named> = serde_json::from_str(raw.get()).ok();
    let own = named.and_then(|named| named.id).unwrap_or_default();
    let id = key.unwrap_or(&own).to_owned();
    Feature { id, named: key.map(str::to_owned), pointer, text: start..start + raw.get().len() }
}
