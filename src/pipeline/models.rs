//! Detectors in the registry: the weights in `ai-models`, an item for each version.

use std::path::PathBuf;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};
use stac::Item;

use super::{
    Context, Error, Result,
    audit::{Subject, Tally, audited, path_of},
    lineage::object_of,
};
use crate::{
    catalog::{Layer, ModelName, ModelVersion, ObjectRef, StoredItem, Version},
    detection::{self, Detector, ModelSpec},
    storage::ObjectKey,
};

/// Media type of a `TorchScript` archive, which is a zip.
const TORCHSCRIPT: &str = "application/zip; application=pytorch";

/// Which detector to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelChoice {
    /// The one that comes with polder.
    Own,
    /// A file, which is registered under its name and a hash of its content.
    File(PathBuf),
    /// One in the registry; without a version the one made last.
    Registered { name: ModelName, version: Option<Version> },
}

impl ModelChoice {
    /// Reads what a user wrote: a file if it exists, else `NAME[@VERSION]`; nothing is polder's own.
    ///
    /// # Errors
    /// [`Error::Catalog`] when it is neither a file nor a name.
    pub fn parse(text: Option<&str>) -> Result<Self> {
        let Some(text) = text else { return Ok(Self::Own) };
        let path = PathBuf::from(text);
        if path.is_file() {
            return Ok(Self::File(path));
        }
        let has_ending = |ending| path.extension().is_some_and(|found| found.eq_ignore_ascii_case(ending));
        let looks_like_a_path = text.contains('/') || has_ending("torchscript") || has_ending("pt");
        if looks_like_a_path {
            return Err(Error::NoSource(path));
        }
        let (name, version) = text.split_once('@').map_or((text, None), |(name, version)| (name, Some(version)));
        let version = version.map(Version::new).transpose()?;
        Ok(Self::Registered { name: ModelName::new(name)?, version })
    }
}

/// Weights that are about to be registered.
#[derive(Clone, Debug)]
pub struct ModelToPublish {
    pub name: ModelName,
    pub version: Version,
    pub weights: Bytes,
    pub card: Option<String>,
}

/// A model that is ready to run, with the item that describes it.
pub(super) struct Chosen {
    pub(super) name: ModelName,
    pub(super) version: Version,
    pub(super) weights: Bytes,
    pub(super) item_id: String,
    pub(super) object: ObjectRef,
}

/// Finds the model in the registry, putting a file or polder's own there on first use.
pub(super) async fn choose(context: &Context, choice: &ModelChoice) -> Result<Chosen> {
    let model = match choice {
        ModelChoice::Own => {
            let own = detection::own_model();
            ModelToPublish {
                name: ModelName::new(own.name)?,
                version: Version::new(own.version)?,
                weights: Bytes::from_static(own.bytes),
                card: Some(own.card.to_owned()),
            }
        }
        ModelChoice::File(path) => {
            let read = |source| Error::Read { path: path.clone(), source };
            let weights = Bytes::from(tokio::fs::read(path).await.map_err(read)?);
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            let fit: String = stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
            let name = ModelName::new(fit.trim_matches('-').chars().take(60).collect::<String>())?;
            let version = Version::new(&hex::encode(Sha256::digest(&weights))[..12])?;
            ModelToPublish { name, version, weights, card: None }
        }
        ModelChoice::Registered { name, version } => return find_registered(context, name, version.as_ref()).await,
    };
    let (item_id, object) = publish_model(context, &model).await?;
    Ok(Chosen { name: model.name, version: model.version, weights: model.weights, item_id, object })
}

/// Puts a model into the bucket and the catalog, after checking that it can be loaded, and returns the id of its item
/// and the object of its weights. A version that is there with the same weights stays as it is.
///
/// # Errors
/// [`Error::Detection`] when the weights are no detector that polder can run; nothing is published then.
pub async fn publish_model(context: &Context, model: &ModelToPublish) -> Result<(String, ObjectRef)> {
    let id = ModelVersion::id_of(&model.name, &model.version);
    if let Some(row) = context.database.find_item(Layer::Models.collection(), &id).await? {
        let object = object_of(&row.item()?, "model")?;
        if object.sha256 == hex::encode(Sha256::digest(&model.weights)) {
            return Ok((id, object));
        }
    }
    let (weights, label) = (model.weights.clone(), id.clone());
    let spec = tokio::task::spawn_blocking(move || {
        detection::load(&weights, &label).map(|detector: Box<dyn Detector>| detector.spec().clone())
    });
    let spec = spec.await??;
    let key = ObjectKey::Model { name: model.name.to_string(), version: model.version.to_string() };
    let subject = Subject {
        what: "model",
        bucket: context.storage.bucket(Layer::Models).to_owned(),
        key: Some(path_of(&key)?),
        detail: id.clone(),
    };
    audited(context, subject, async {
        let object = context.storage.put_bytes(Layer::Models, &key, model.weights.clone(), TORCHSCRIPT).await?;
        let card = match &model.card {
            Some(card) => {
                let key = ObjectKey::ModelCard { name: model.name.to_string(), version: model.version.to_string() };
                Some(context.storage.put_bytes(Layer::Models, &key, Bytes::from(card.clone()), "text/markdown").await?)
            }
            None => None,
        };
        let item = describe(model, &spec, object.clone(), card, Utc::now()).item(&context.scheme);
        let item = StoredItem::of(&item, &context.own_buckets())?;
        context.database.upsert_item(&item).await?;
        let tally = Tally { version_id: object.version_id.clone(), records_in: 1, records_ok: 1 };
        Ok(((id, object), tally))
    })
    .await
}

fn describe(
    model: &ModelToPublish,
    spec: &ModelSpec,
    weights: ObjectRef,
    card: Option<ObjectRef>,
    created: DateTime<Utc>,
) -> ModelVersion {
    ModelVersion {
        name: model.name.clone(),
        version: model.version.clone(),
        weights,
        card,
        created,
        classes: spec.names.clone(),
        image_size: spec.image_size,
        boxes: None,
        gsd_m: spec.gsd_m,
        confidence: spec.confidence,
        parameters: None,
        description: spec.description.clone(),
        trained_on: Vec::new(),
    }
}

async fn find_registered(context: &Context, name: &ModelName, version: Option<&Version>) -> Result<Chosen> {
    let wanted = version.map_or_else(|| name.to_string(), |version| format!("{name}@{version}"));
    let item = find_version(context, name, version).await?.ok_or_else(|| Error::UnknownModel(wanted))?;
    let object = object_of(&item, "model")?;
    let damaged = || Error::DamagedItem { item: item.id.clone(), reason: "it has no version".to_owned() };
    let version = super::lineage::text(&item, "version").ok_or_else(damaged)?;
    let weights = context.storage.read_bytes(&object).await?;
    Ok(Chosen { name: name.clone(), version: Version::new(version)?, weights, item_id: item.id.clone(), object })
}

async fn find_version(context: &Context, name: &ModelName, version: Option<&Version>) -> Result<Option<Item>> {
    let collection = Layer::Models.collection();
    if let Some(version) = version {
        let row = context.database.find_item(collection, &ModelVersion::id_of(name, version)).await?;
        return Ok(row.map(|row| row.item()).transpose()?);
    }
    let rows = context.database.list_model_versions(name).await?;
    let items = rows.iter().map(crate::database::ItemRow::item).collect::<Result<Vec<_>, _>>()?;
    Ok(items.into_iter().max_by_key(|item| (item.properties.datetime, item.id.clone())))
}
