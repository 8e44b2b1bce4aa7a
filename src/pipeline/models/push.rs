//! Puts a model into the bucket and the catalog.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use stac::Item;

use super::{find::stage_of, stage_model};
use crate::{
    catalog::{Layer, ModelName, ModelVersion, ObjectRef, Stage, StoredItem, TrainedOn, Version},
    detection::{self, ModelSpec, Tried},
    pipeline::{
        Context, Error, Result,
        audit::{Subject, Tally, audited, path_of},
        lineage::upstream,
        object_of,
    },
    storage::ObjectKey,
};

/// Media type of a `TorchScript` archive, which is a zip.
const TORCHSCRIPT: &str = "application/zip; application=pytorch";

/// The name that no model may have: items of data sets begin with it.
const RESERVED: &str = "dataset";

/// Weights that are about to be registered.
#[derive(Clone, Debug)]
pub struct ModelToPublish {
    pub name: ModelName,
    pub version: Version,
    pub weights: Bytes,
    pub about: About,
}

/// What is told of a model beside its weights. What is left out is taken from the archive, or stays as it was.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// Markdown.
    pub card: Option<String>,
    pub license: Option<String>,
    pub stage: Option<Stage>,
    pub hyperparameters: Map<String, Value>,
    /// A JSON object; its numbers can be searched for.
    pub metrics: Map<String, Value>,
    pub plots: Vec<Plot>,
    pub trained_on: Vec<TrainedOn>,
}

/// A curve or another picture.
#[derive(Clone, Debug)]
pub struct Plot {
    /// As `pr.svg`.
    pub file: String,
    pub bytes: Bytes,
    pub content_type: &'static str,
}

/// Registers a model, after loading it and running it once, and returns the id of its item and the object of its
/// weights.
///
/// A version has one set of weights for ever. The same weights again change what is told of them, and nothing when that
/// is the same too. Objects are there before the item, which is written at once: what breaks off half-way is invisible.
///
/// # Errors
/// [`Error::Detection`] when the weights are no detector that polder can run, [`Error::OtherWeights`] when the version is
/// there with others, [`Error::ReservedName`]; nothing is published then.
pub async fn publish_model(context: &Context, model: &ModelToPublish) -> Result<(String, ObjectRef)> {
    if model.name.as_str() == RESERVED {
        return Err(Error::ReservedName(model.name.to_string()));
    }
    let id = ModelVersion::id_of(&model.name, &model.version);
    let row = context.database.find_item(Layer::Models.collection(), &id).await?;
    let before = row.map(|row| row.item()).transpose()?;
    if let Some(before) = &before {
        let object = object_of(before, "model")?;
        if object.sha256 != hex::encode(Sha256::digest(&model.weights)) {
            return Err(Error::OtherWeights {
                model: format!("{}@{}", model.name, model.version),
                there: object.sha256,
            });
        }
        if !model.about.is_news_beside(before) {
            return Ok((id, object));
        }
    }
    let (weights, label) = (model.weights.clone(), id.clone());
    let tried = tokio::task::spawn_blocking(move || {
        detection::load(&weights, &label).map(|detector| (detector.spec().clone(), detector.tried()))
    });
    let (spec, tried) = tried.await??;
    let object = register(context, model, before.as_ref(), &spec, tried).await?;
    if let Some(stage) = model.about.stage {
        stage_model(context, &format!("{}@{}", model.name, model.version), stage).await?;
    }
    Ok((id, object))
}

/// Writes objects and item of a model that has shown that it runs.
async fn register(
    context: &Context,
    model: &ModelToPublish,
    before: Option<&Item>,
    spec: &ModelSpec,
    tried: Tried,
) -> Result<ObjectRef> {
    let key = ObjectKey::Model { name: model.name.to_string(), version: model.version.to_string() };
    let subject = Subject {
        what: "model",
        bucket: context.storage.bucket(Layer::Models).to_owned(),
        key: Some(path_of(&key)?),
        detail: ModelVersion::id_of(&model.name, &model.version),
    };
    audited(context, subject, async {
        let object = context.storage.put_bytes(Layer::Models, &key, model.weights.clone(), TORCHSCRIPT).await?;
        let created = before.and_then(|item| item.properties.datetime).unwrap_or_else(Utc::now);
        let described = describe(context, model, object.clone(), spec, tried, created).await?;
        let trained_on = trained_on(context, model).await?;
        let mut item = ModelVersion { trained_on, ..described }.item(&context.scheme);
        if let Some(before) = before {
            keep_what_was_told(&mut item, before);
        }
        context.database.upsert_item(&StoredItem::of(&item, &context.own_buckets())?).await?;
        let tally = Tally { version_id: object.version_id.clone(), records_in: 1, records_ok: 1 };
        Ok((object, tally))
    })
    .await
}

async fn describe(
    context: &Context,
    model: &ModelToPublish,
    weights: ObjectRef,
    spec: &ModelSpec,
    tried: Tried,
    created: DateTime<Utc>,
) -> Result<ModelVersion> {
    let about = &model.about;
    let names = || (model.name.to_string(), model.version.to_string());
    let put = async |key: ObjectKey, bytes: Bytes, content_type: &str| -> Result<ObjectRef> {
        Ok(context.storage.put_bytes(Layer::Models, &key, bytes, content_type).await?)
    };
    let file = |file: &str| {
        let (name, version) = names();
        ObjectKey::ModelFile { name, version, file: file.to_owned() }
    };
    let card = match &about.card {
        Some(card) => {
            let (name, version) = names();
            Some(put(ObjectKey::ModelCard { name, version }, Bytes::from(card.clone()), "text/markdown").await?)
        }
        None => None,
    };
    let metrics_file = if about.metrics.is_empty() {
        None
    } else {
        let json = serde_json::to_vec_pretty(&about.metrics).map_err(crate::catalog::Error::from)?;
        Some(put(file("metrics.json"), json.into(), "application/json").await?)
    };
    let mut plots = Vec::with_capacity(about.plots.len());
    for plot in &about.plots {
        let object = put(file(&plot.file), plot.bytes.clone(), plot.content_type).await?;
        plots.push((plot_key(&plot.file), object));
    }
    let numbers = about.metrics.iter().filter(|(_, value)| value.is_number());
    Ok(ModelVersion {
        name: model.name.clone(),
        version: model.version.clone(),
        stage: Stage::default(),
        weights,
        card,
        created,
        classes: spec.names.clone(),
        image_size: spec.image_size,
        output_shape: tried.output_shape,
        gsd_m: spec.gsd_m,
        confidence: spec.confidence,
        parameters: tried.parameters,
        framework_version: tried.framework_version,
        description: spec.description.clone(),
        license: about.license.clone().or_else(|| spec.license.clone()),
        hyperparameters: about.hyperparameters.clone(),
        metrics: numbers.map(|(name, value)| (name.clone(), value.clone())).collect(),
        metrics_file,
        plots,
        trained_on: Vec::new(),
    })
}

/// Returns the data sets that the model has learned from: those that were named, and those that its archive names.
async fn trained_on(context: &Context, model: &ModelToPublish) -> Result<Vec<TrainedOn>> {
    let mut trained_on = model.about.trained_on.clone();
    let description = detection::read_description(&model.weights, model.name.as_str())?.unwrap_or_default();
    for told in description["trained_on"].as_array().into_iter().flatten() {
        let (Some(id), Some(sha256)) = (told["item"].as_str(), told["sha256"].as_str()) else { continue };
        if trained_on.iter().any(|known| known.dataset.object.sha256 == sha256) {
            continue;
        }
        let Some(row) = context.database.find_item(Layer::Models.collection(), id).await? else {
            // A model from another catalog: what it learned from is not here, and no link may lead nowhere.
            tracing::warn!("the data set {id}, from which {} was trained, is not in this catalog", model.name);
            continue;
        };
        let dataset = upstream(Layer::Models, &row.item()?, "manifest")?;
        let splits = told["splits"].as_array().into_iter().flatten().filter_map(|s| s.as_str().map(str::to_owned));
        trained_on.push(TrainedOn { dataset, splits: splits.collect() });
    }
    Ok(trained_on)
}

/// Takes over what an earlier push told and this one does not: stage, figures, pictures, data sets.
fn keep_what_was_told(item: &mut Item, before: &Item) {
    let fields = &mut item.properties.additional_fields;
    for (name, value) in &before.properties.additional_fields {
        fields.entry(name.clone()).or_insert_with(|| value.clone());
    }
    fields.insert("polder:stage".to_owned(), stage_of(before).as_str().into());
    for (key, asset) in &before.assets {
        item.assets.entry(key.clone()).or_insert_with(|| asset.clone());
    }
    for link in &before.links {
        if !item.links.iter().any(|new| new.rel == link.rel && new.href == link.href) {
            item.links.push(link.clone());
        }
    }
    for extension in &before.extensions {
        if !item.extensions.contains(extension) {
            item.extensions.push(extension.clone());
        }
    }
}

impl About {
    /// Tells whether there is anything to tell that could change an item that is there.
    fn is_news_beside(&self, before: &Item) -> bool {
        let Self { card, license, stage, hyperparameters, metrics, plots, trained_on } = self;
        let same_card = |card: &String| {
            object_of(before, "card").is_ok_and(|object| object.sha256 == hex::encode(Sha256::digest(card)))
        };
        !card.as_ref().is_none_or(same_card)
            || license.is_some()
            || stage.is_some()
            || !(hyperparameters.is_empty() && metrics.is_empty() && plots.is_empty() && trained_on.is_empty())
    }
}

/// Returns the key of the asset of a picture.
pub(super) fn plot_key(file: &str) -> String {
    format!("plot-{}", file.rsplit_once('.').map_or(file, |(stem, _)| stem))
}
