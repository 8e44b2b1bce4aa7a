//! Moves a version between candidate, production and retired.

use stac::Item;

use super::find::{name_and_version, stage_of};
use crate::{
    catalog::{ModelVersion, Stage, StoredItem},
    database::{self, AuditOpen, ItemRow},
    pipeline::{Context, Error, Result},
};

/// How often it starts again because somebody else changed a version of the model in between.
const TRIES: usize = 10;

/// Gives a version (`NAME@VERSION`) its stage and returns the ids of the items that changed.
///
/// One version is in production at a time: the one that was becomes a candidate again, in the same transaction and
/// under the same line of the audit. A version that has the stage already stays as it is.
///
/// # Errors
/// [`Error::NoVersion`] without a version, [`Error::UnknownModel`], [`Error::Database`].
pub async fn stage_model(context: &Context, model: &str, stage: Stage) -> Result<Vec<String>> {
    let (name, version) = name_and_version(model)?;
    let version = version.ok_or_else(|| Error::NoVersion(name.to_string()))?;
    let id = ModelVersion::id_of(&name, &version);
    for _ in 0..TRIES {
        let rows = context.database.list_model_versions(&name).await?;
        let items = rows.iter().map(ItemRow::item).collect::<Result<Vec<_>, _>>()?;
        if !items.iter().any(|item| item.id == id) {
            return Err(Error::UnknownModel(model.to_owned()));
        }
        let changed = changes(items, &id, stage);
        if changed.is_empty() {
            return Ok(Vec::new());
        }
        let buckets = context.own_buckets();
        let stored = changed.iter().map(|item| StoredItem::of(item, &buckets)).collect::<Result<Vec<_>, _>>()?;
        let by = AuditOpen {
            who: context.actor.clone(),
            what: "model stage".to_owned(),
            detail: Some(format!("{model} {stage}")),
            ..AuditOpen::default()
        };
        match context.database.upsert_beside(&stored, &rows, Some(&by)).await {
            Err(database::Error::ItemChanged) => {}
            written => {
                written?;
                return Ok(changed.into_iter().map(|item| item.id).collect());
            }
        }
    }
    Err(database::Error::Contended.into())
}

/// Returns the items that have another stage afterwards.
fn changes(items: Vec<Item>, id: &str, stage: Stage) -> Vec<Item> {
    let wanted = |item: &Item| match stage_of(item) {
        _ if item.id == id => stage,
        Stage::Production if stage == Stage::Production => Stage::Candidate,
        same => same,
    };
    let changed = items.into_iter().filter_map(|mut item| {
        let new = wanted(&item);
        let is_new = new != stage_of(&item);
        item.properties.additional_fields.insert("polder:stage".to_owned(), new.as_str().into());
        is_new.then_some(item)
    });
    changed.collect()
}
