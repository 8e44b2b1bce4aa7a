//! Looks models up: by name, by name and version, all of them.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use stac::Item;

use crate::{
    catalog::{Layer, ModelName, ModelVersion, Stage, Version, timestamp},
    database::ItemRow,
    pipeline::{Context, Error, Result, lineage::text},
};

/// One version of a model, in a line.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelEntry {
    pub item: String,
    pub name: String,
    pub version: String,
    pub stage: Stage,
    pub created: Option<DateTime<Utc>>,
    pub classes: Vec<String>,
    pub sha256: String,
    pub metrics: Value,
}

impl ModelEntry {
    fn of(item: &Item) -> Option<Self> {
        let (name, version) = text(item, "polder:model")?.split_once('@')?;
        let more = &item.properties.additional_fields;
        let classes = more.get("polder:classes").and_then(|classes| serde_json::from_value(classes.clone()).ok());
        let sha256 = item.assets.get("model").and_then(crate::catalog::object_of).map(|object| object.sha256);
        Some(Self {
            item: item.id.clone(),
            name: name.to_owned(),
            version: version.to_owned(),
            stage: stage_of(item),
            created: item.properties.datetime,
            classes: classes.unwrap_or_default(),
            sha256: sha256.unwrap_or_default(),
            metrics: more.get("polder:metrics").cloned().unwrap_or(Value::Null),
        })
    }

    /// Returns what a program wants to know.
    pub fn to_json(&self) -> Value {
        json!({
            "item": self.item, "name": self.name, "version": self.version, "stage": self.stage,
            "created": self.created.map(timestamp), "classes": self.classes, "sha256": self.sha256,
            "metrics": self.metrics,
        })
    }
}

/// Lists the versions of one model, or of all, by name and then by age.
///
/// # Errors
/// [`Error::Database`].
pub async fn list_models(context: &Context, name: Option<&ModelName>) -> Result<Vec<ModelEntry>> {
    let rows = match name {
        Some(name) => context.database.list_model_versions(name).await?,
        // Items from before there were data sets have no kind, so the field of models alone is asked for.
        None => context.database.list_items_with(Layer::Models, "mlm:framework", "PyTorch").await?,
    };
    let mut entries = Vec::with_capacity(rows.len());
    for row in &rows {
        entries.extend(ModelEntry::of(&row.item()?));
    }
    entries.sort_by(|a, b| (&a.name, a.created, &a.version).cmp(&(&b.name, b.created, &b.version)));
    Ok(entries)
}

/// Returns the item of `NAME[@VERSION]`; without a version the one that the name stands for.
///
/// # Errors
/// As [`find_version`].
pub async fn show_model(context: &Context, name: &str) -> Result<Item> {
    let (name, version) = name_and_version(name)?;
    find_version(context, &name, version.as_ref()).await
}

/// Splits `NAME[@VERSION]`.
pub(super) fn name_and_version(text: &str) -> Result<(ModelName, Option<Version>)> {
    let (name, version) = text.split_once('@').map_or((text, None), |(name, version)| (name, Some(version)));
    Ok((ModelName::new(name)?, version.map(Version::new).transpose()?))
}

/// Returns the item of a version; without one that in production, else the newest that is not retired.
///
/// # Errors
/// [`Error::UnknownModel`], [`Error::AllRetired`].
pub(super) async fn find_version(context: &Context, name: &ModelName, version: Option<&Version>) -> Result<Item> {
    if let Some(version) = version {
        let row = context.database.find_item(Layer::Models.collection(), &ModelVersion::id_of(name, version)).await?;
        let row = row.ok_or_else(|| Error::UnknownModel(format!("{name}@{version}")))?;
        return Ok(row.item()?);
    }
    let rows = context.database.list_model_versions(name).await?;
    let items = rows.iter().map(ItemRow::item).collect::<Result<Vec<_>, _>>()?;
    if items.is_empty() {
        return Err(Error::UnknownModel(name.to_string()));
    }
    best(items).ok_or_else(|| Error::AllRetired(name.to_string()))
}

fn best(items: Vec<Item>) -> Option<Item> {
    let rank = |item: &Item| match stage_of(item) {
        Stage::Production => 1,
        Stage::Candidate | Stage::Retired => 0,
    };
    let usable = items.into_iter().filter(|item| stage_of(item) != Stage::Retired);
    usable.max_by_key(|item| (rank(item), item.properties.datetime, item.id.clone()))
}

/// Returns the stage; items that were made before there were stages are candidates.
pub(super) fn stage_of(item: &Item) -> Stage {
    text(item, "polder:stage").and_then(|stage| stage.parse().ok()).unwrap_or_default()
}

pub(super) fn version_of(item: &Item) -> Result<Version> {
    let damaged = || Error::DamagedItem { item: item.id.clone(), reason: "it has no version".to_owned() };
    Ok(Version::new(text(item, "version").ok_or_else(damaged)?)?)
}
