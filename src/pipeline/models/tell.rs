//! Writes into a model's item how it was judged.

use serde_json::{Map, Value};

use super::{Plot, push::plot_key};
use crate::{
    catalog::{Layer, StoredItem, Upstream, model_asset},
    database::{self, AuditOpen},
    pipeline::{Context, Error, Result},
    storage::ObjectKey,
};

/// How often it starts again because somebody else changed the item in between.
const TRIES: usize = 10;

/// Puts figures and curves into the bucket and tells them in the item: its numbers as `polder:metrics`.
///
/// Objects come first, then the item, in one write with its line in the audit.
///
/// # Errors
/// [`Error::UnknownModel`], [`Error::Storage`], [`Error::Database`].
pub(in crate::pipeline) async fn tell(
    context: &Context,
    model: &str,
    figures: Map<String, Value>,
    plots: Vec<Plot>,
    judged_on: &Upstream,
) -> Result<()> {
    let (name, version) = model.split_once('.').ok_or_else(|| Error::UnknownModel(model.to_owned()))?;
    let key = |file: String| ObjectKey::ModelFile { name: name.to_owned(), version: version.to_owned(), file };
    let json = serde_json::to_vec_pretty(&figures).map_err(crate::catalog::Error::from)?;
    let put = async |file: &str, bytes, content_type: &str| -> Result<_> {
        Ok(context.storage.put_bytes(Layer::Models, &key(file.to_owned()), bytes, content_type).await?)
    };
    let mut assets = vec![("metrics".to_owned(), put("metrics.json", json.into(), "application/json").await?)];
    for plot in plots {
        assets.push((plot_key(&plot.file), put(&plot.file, plot.bytes, plot.content_type).await?));
    }
    for _ in 0..TRIES {
        let row = context.database.find_item(Layer::Models.collection(), model).await?;
        let row = row.ok_or_else(|| Error::UnknownModel(model.to_owned()))?;
        let mut item = row.item()?;
        let numbers: Map<String, Value> =
            figures.iter().filter(|(_, value)| value.is_number()).map(|(k, v)| (k.clone(), v.clone())).collect();
        item.properties.additional_fields.insert("polder:metrics".to_owned(), Value::Object(numbers));
        let judged =
            format!("{} {}", judged_on.item_id, figures.get("split").and_then(Value::as_str).unwrap_or_default());
        item.properties.additional_fields.insert("polder:judged_on".to_owned(), judged.into());
        for (key, object) in &assets {
            item.assets.insert(key.clone(), model_asset(key, object));
        }
        let stored = StoredItem::of(&item, &context.own_buckets())?;
        let by = AuditOpen {
            who: context.actor.clone(),
            what: "model eval".to_owned(),
            detail: Some(model.to_owned()),
            ..AuditOpen::default()
        };
        match context.database.upsert_beside(&[stored], &[row], Some(&by)).await {
            Err(database::Error::ItemChanged) => {}
            written => return Ok(written.map(drop)?),
        }
    }
    Err(database::Error::Contended.into())
}
