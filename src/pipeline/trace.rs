//! Follows `derived_from` back: from a finding, a run or a model to the photos, in their exact versions.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Value, json};
use stac::{Item, Link};

use super::{
    Context, Error, Result,
    datasets::{Checked, check},
    lineage::text,
};
use crate::{
    catalog::{API_SCHEME, Layer, ObjectRef, object_of},
    database::DetectionFilter,
};

/// Longer chains than this do not exist; items that were written by hand may go round in circles.
const DEEPEST: usize = 12;

/// One step of a lineage.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// 0 is what was asked for; what it was made from comes below it, one deeper.
    pub depth: usize,
    /// As `drone-ortho/dijk-a.flight-2025.…`; of a finding `ai-results/RUN#7`.
    pub item: String,
    pub title: String,
    /// Which code, by name and version.
    pub software: BTreeMap<String, String>,
    /// Which parameters.
    pub parameters: Value,
    /// The exact objects: those of what was asked for, and of all else the one that was read.
    pub objects: Vec<Checked>,
    /// It stands further up with what it was made from, and is not followed again.
    pub told_before: bool,
}

/// Returns what something was made from, all the way, depth first.
///
/// `what` is `COLLECTION/ID`, an id alone, `NAME@VERSION` of a model, or `RUN#NUMBER` for one finding. With `fetch` every
/// object is read in its exact version and its SHA-256 compared; else they are only named.
///
/// # Errors
/// [`Error::UnknownItem`], [`Error::Database`]. What is gone or another is a fault of its object, not an error.
pub async fn trace(context: &Context, what: &str, fetch: bool) -> Result<Vec<Step>> {
    let mut walk = Walk { context, fetch, told: BTreeSet::new(), steps: Vec::new() };
    let (name, number) = match what.rsplit_once('#').map(|(name, number)| (name, number.parse::<i32>())) {
        Some((name, Ok(number))) => (name, Some(number)),
        _ => (what, None),
    };
    let item = find(context, name).await?;
    let depth = match number {
        Some(number) => {
            walk.finding(&item, number).await?;
            1
        }
        None => 0,
    };
    let own: Vec<ObjectRef> = item.assets.values().filter_map(object_of).collect();
    walk.item(item, depth, own).await?;
    Ok(walk.steps)
}

/// Finds an item by what a person would call it.
async fn find(context: &Context, what: &str) -> Result<Item> {
    let mut names: Vec<(String, String)> = Vec::new();
    if let Some((collection, id)) = what.split_once('/') {
        names.push((collection.to_owned(), id.to_owned()));
    } else {
        let id = what.replacen('@', ".", 1);
        names.extend(Layer::ALL.map(|layer| (layer.collection().to_owned(), id.clone())));
    }
    for (collection, id) in names {
        if let Some(row) = context.database.find_item(&collection, &id).await? {
            return Ok(row.item()?);
        }
    }
    Err(Error::UnknownItem(what.to_owned()))
}

struct Walk<'a> {
    context: &'a Context,
    fetch: bool,
    told: BTreeSet<String>,
    steps: Vec<Step>,
}

impl Walk<'_> {
    /// Tells one finding of a run.
    async fn finding(&mut self, run: &Item, number: i32) -> Result<()> {
        let filter = DetectionFilter {
            run: Some(run.id.clone()),
            after: Some((run.id.clone(), number - 1)),
            limit: 1,
            ..DetectionFilter::default()
        };
        let found = self.context.database.list_detections(&filter).await?.into_iter().find(|row| row.number == number);
        let found = found.ok_or_else(|| Error::UnknownItem(format!("{}#{number}", run.id)))?;
        self.steps.push(Step {
            depth: 0,
            item: format!("{}/{}#{number}", Layer::Results.collection(), run.id),
            title: format!("{}, confidence {:.3}, {}", found.class, found.confidence, found.review),
            software: BTreeMap::new(),
            parameters: json!({ "geometry": serde_json::from_str::<Value>(&found.geometry).unwrap_or_default() }),
            objects: Vec::new(),
            told_before: false,
        });
        Ok(())
    }

    /// Tells an item, and then what it was made from.
    async fn item(&mut self, item: Item, depth: usize, objects: Vec<ObjectRef>) -> Result<()> {
        // A stack, not recursion: an async function cannot call itself without a box, and a flight has a thousand photos.
        let mut stack = vec![(item, depth, objects, None)];
        while let Some((item, depth, objects, fault)) = stack.pop() {
            let name = format!("{}/{}", item.collection.as_deref().unwrap_or_default(), item.id);
            let told_before = !self.told.insert(name.clone());
            let mut checked = Vec::with_capacity(objects.len());
            for object in objects {
                checked.push(self.checked(object, fault.as_ref()).await);
            }
            self.steps.push(Step {
                depth,
                title: item.properties.title.clone().unwrap_or_else(|| name.clone()),
                item: name,
                software: software(&item),
                parameters: parameters(&item),
                objects: checked,
                told_before,
            });
            if told_before || depth >= DEEPEST {
                continue;
            }
            let links = item.links.iter().filter(|link| link.rel == "derived_from").rev();
            for link in links {
                match self.upstream(link).await? {
                    Ok((above, object, fault)) => stack.push((above, depth + 1, vec![object], fault)),
                    Err(missing) => self.steps.push(Step { depth: depth + 1, ..missing }),
                }
            }
        }
        Ok(())
    }

    /// Returns the item that a link leads to, and the object in the version that the link names.
    async fn upstream(&self, link: &Link) -> Result<Result<(Item, ObjectRef, Option<String>), Step>> {
        let place = link.href.clone();
        let field = |name: &str| link.additional_fields.get(name);
        let version_id = field("polder:version_id").and_then(Value::as_str).map(str::to_owned);
        let multihash = field("file:checksum").and_then(Value::as_str).unwrap_or_default();
        let sha256 = multihash.strip_prefix("1220").unwrap_or(multihash).to_owned();
        let missing = |fault: &str| Step {
            depth: 0,
            item: place.clone(),
            title: "gone".to_owned(),
            software: BTreeMap::new(),
            parameters: Value::Null,
            objects: vec![Checked {
                uri: place.clone(),
                version_id: version_id.clone(),
                sha256: sha256.clone(),
                size_bytes: field("file:size").and_then(Value::as_u64).unwrap_or_default(),
                fault: Some(fault.to_owned()),
            }],
            told_before: false,
        };
        let names = place.strip_prefix(API_SCHEME).and_then(|path| path.strip_prefix("/collections/"));
        let Some((collection, id)) = names.and_then(|names| names.split_once("/items/")) else {
            return Ok(Err(missing("it is no item of this catalog")));
        };
        let Some(row) = self.context.database.find_item(collection, id).await? else {
            return Ok(Err(missing("there is no such item any more")));
        };
        let item = row.item()?;
        let objects: Vec<ObjectRef> = item.assets.values().filter_map(object_of).collect();
        let same = objects.iter().find(|object| object.sha256 == sha256).cloned();
        Ok(match same {
            // The version that was read, even where the item has the same content in a newer one.
            Some(object) => {
                Ok((item, ObjectRef { version_id: version_id.or(object.version_id.clone()), ..object }, None))
            }
            None => match objects.into_iter().next() {
                Some(object) => {
                    let fault = "the item names another content by now".to_owned();
                    Ok((item, ObjectRef { version_id, sha256, ..object }, Some(fault)))
                }
                None => Err(missing("the item names no object any more")),
            },
        })
    }

    async fn checked(&self, object: ObjectRef, fault: Option<&String>) -> Checked {
        if self.fetch && fault.is_none() {
            return check(self.context, object).await;
        }
        Checked {
            uri: object.s3_href(),
            version_id: object.version_id,
            sha256: object.sha256,
            size_bytes: object.size_bytes,
            fault: fault.cloned(),
        }
    }
}

fn software(item: &Item) -> BTreeMap<String, String> {
    let told = item.properties.additional_fields.get("processing:software").and_then(Value::as_object);
    let mut software: BTreeMap<String, String> = told
        .into_iter()
        .flatten()
        .filter_map(|(name, version)| Some((name.clone(), version.as_str()?.to_owned())))
        .collect();
    if let Some((framework, version)) = text(item, "mlm:framework").zip(text(item, "mlm:framework_version")) {
        software.insert(framework.to_owned(), version.to_owned());
    }
    software
}

fn parameters(item: &Item) -> Value {
    let fields = &item.properties.additional_fields;
    let told = fields.get("processing:expression").and_then(|expression| expression.get("expression"));
    told.or_else(|| fields.get("mlm:hyperparameters"))
        .or_else(|| fields.get("polder:split"))
        .cloned()
        .unwrap_or_default()
}
