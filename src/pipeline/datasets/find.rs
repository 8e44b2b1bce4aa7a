//! Looks data sets up, opens them, compares them.

use serde_json::Value;
use stac::Item;

use crate::{
    catalog::{DatasetName, Labels, Layer, Manifest, ManifestDiff, ObjectRef, Upstream},
    pipeline::{Context, Error, Result, lineage::text, object_of},
};

/// A data set, opened: its manifest and labels, each checked against its checksum.
#[derive(Clone, Debug)]
pub struct Opened {
    pub item: Item,
    pub manifest: Manifest,
    pub labels: Labels,
    /// The manifest's object; its SHA-256 is the version of the data set.
    pub object: ObjectRef,
}

impl Opened {
    /// Returns `NAME@HASH`, with the first twelve digits.
    pub fn reference(&self) -> String {
        format!("{}@{}", self.manifest.name, &self.object.sha256[..12])
    }

    /// Returns what a model that learned from it refers to.
    pub fn upstream(&self) -> Upstream {
        Upstream { layer: Layer::Models, item_id: self.item.id.clone(), object: self.object.clone() }
    }
}

/// Lists the items of data sets, by name and then by age.
///
/// # Errors
/// [`Error::Database`].
pub async fn list_datasets(context: &Context, name: Option<&DatasetName>) -> Result<Vec<Item>> {
    let rows = match name {
        Some(name) => context.database.list_items_with(Layer::Models, "polder:dataset", name.as_str()).await?,
        None => context.database.list_items_with(Layer::Models, "polder:kind", "dataset").await?,
    };
    let mut items = rows.iter().map(crate::database::ItemRow::item).collect::<Result<Vec<_>, _>>()?;
    items.sort_by_key(|item| (text(item, "polder:dataset").map(str::to_owned), item.properties.datetime));
    Ok(items)
}

/// Opens `NAME[@HASH]`; without a hash the newest, with the start of one the one that has it.
///
/// # Errors
/// [`Error::UnknownDataset`], [`Error::Storage`] when manifest or labels are gone or not what they were.
pub async fn open_dataset(context: &Context, reference: &str) -> Result<Opened> {
    let (name, hash) = reference.split_once('@').map_or((reference, None), |(name, hash)| (name, Some(hash)));
    let name = DatasetName::new(name)?;
    let matches = |item: &Item| {
        let sha256 = text(item, "polder:sha256").unwrap_or_default();
        hash.is_none_or(|hash| hash.len() >= 4 && sha256.starts_with(&hash.to_lowercase()))
    };
    let mut items: Vec<Item> = list_datasets(context, Some(&name)).await?.into_iter().filter(matches).collect();
    if hash.is_some() && items.len() > 1 {
        return Err(Error::SeveralDatasets(reference.to_owned()));
    }
    let item = items.pop().ok_or_else(|| Error::UnknownDataset(reference.to_owned()))?;
    opened(context, item).await
}

/// Opens the data set that an item describes.
pub(in crate::pipeline) async fn opened(context: &Context, item: Item) -> Result<Opened> {
    let object = object_of(&item, "manifest")?;
    let manifest = Manifest::parse(&context.storage.read_bytes(&object).await?)?;
    let damaged = |reason: &str| Error::DamagedItem { item: item.id.clone(), reason: reason.to_owned() };
    let labels = manifest.labels.object().ok_or_else(|| damaged("its labels are no object of S3"))?;
    let labels = context.storage.read_bytes(&labels).await?;
    let labels: Labels = serde_json::from_slice(&labels).map_err(|_| damaged("its labels cannot be read"))?;
    let most = labels.images.values().flatten().map(|label| label.class).max();
    if most.is_some_and(|class| class >= manifest.classes.len()) {
        return Err(damaged("its labels have classes that it has not"));
    }
    Ok(Opened { item, manifest, labels, object })
}

/// Compares two data sets.
///
/// # Errors
/// As [`open_dataset`].
pub async fn diff_datasets(context: &Context, before: &str, after: &str) -> Result<ManifestDiff> {
    let (before, after) = (open_dataset(context, before).await?, open_dataset(context, after).await?);
    Ok(before.manifest.diff(&before.labels, &after.manifest, &after.labels))
}

/// Returns the data sets that a model's item says it has learned from: item id, hash, splits.
pub(in crate::pipeline) fn trained_on(model: &Item) -> Vec<(String, String, Vec<String>)> {
    let told = model.properties.additional_fields.get("polder:trained_on").and_then(Value::as_array);
    let one = |value: &Value| {
        let splits = value["splits"].as_array()?.iter().filter_map(|split| split.as_str().map(str::to_owned)).collect();
        Some((value["item"].as_str()?.to_owned(), value["sha256"].as_str()?.to_owned(), splits))
    };
    told.into_iter().flatten().filter_map(one).collect()
}
