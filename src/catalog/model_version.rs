//! One version of a detector, and its item in `ai-models`.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use stac::{Asset, Item};

use super::{
    Layer, ModelName, Moment, ObjectRef, Stage, StorageScheme, Upstream, Version,
    item::{add_asset, asset_of, declare_extensions, fields, new_item, set, set_polygon},
    orthophoto::color_band,
};

/// The value of `polder:kind` of a model's item. Data sets lie in the same collection.
const KIND: &str = "model";

/// Detector weights in the models bucket, and what must travel with them.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelVersion {
    pub name: ModelName,
    pub version: Version,
    pub stage: Stage,
    /// The `TorchScript` archive.
    pub weights: ObjectRef,
    /// The model card.
    pub card: Option<ObjectRef>,
    pub created: DateTime<Utc>,
    /// Class names, in the order of the outputs.
    pub classes: Vec<String>,
    /// Width and height of a chip, pixels.
    pub image_size: [usize; 2],
    /// Shape of what comes out of one chip, as `[1, 6, 8400]`; empty where it is not known.
    pub output_shape: Vec<i64>,
    /// The ground sampling distance that it was trained for.
    pub gsd_m: Option<f64>,
    /// The confidence threshold that it was calibrated to.
    pub confidence: f64,
    /// Number of weights.
    pub parameters: Option<u64>,
    /// The version of `PyTorch` with which it was tried, as `2.13.0`.
    pub framework_version: Option<String>,
    pub description: Option<String>,
    /// An SPDX identifier, or any other words.
    pub license: Option<String>,
    pub hyperparameters: Map<String, Value>,
    /// Figures about it, by name.
    pub metrics: Map<String, Value>,
    /// The file that the figures come from.
    pub metrics_file: Option<ObjectRef>,
    /// Curves and other pictures, by asset key.
    pub plots: Vec<(String, ObjectRef)>,
    /// The data sets it was trained on.
    pub trained_on: Vec<TrainedOn>,
}

/// A data set, and the parts of it that a model has learned from.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainedOn {
    pub dataset: Upstream,
    pub splits: Vec<String>,
}

/// Describes figures or a picture of a model as an asset, by its key.
pub fn model_asset(key: &str, object: &ObjectRef) -> Asset {
    match key {
        "card" => asset_of(object, "Model card", &["metadata"]),
        "metrics" => asset_of(object, "Figures", &["metadata"]),
        other => asset_of(object, other, &["metadata", "plot"]),
    }
}

impl ModelVersion {
    /// Returns the id of a model's item, `{name}.{version}`.
    pub fn id_of(name: &ModelName, version: &Version) -> String {
        format!("{name}.{version}")
    }

    pub fn item_id(&self) -> String {
        Self::id_of(&self.name, &self.version)
    }

    /// Describes the model as a STAC item with the machine-learning-model extension.
    ///
    /// Its geometry is the whole world, as that extension advises for a model that is tied to no place, so that a
    /// search in any bbox finds it.
    pub fn item(&self, scheme: &StorageScheme) -> Item {
        let mut item = new_item(Layer::Models, self.item_id(), Moment::At(self.created));
        set_polygon(&mut item, &[[-180.0, -90.0], [180.0, -90.0], [180.0, 90.0], [-180.0, 90.0]]);
        item.properties.title = Some(format!("{} {}", self.name, self.version));
        item.properties.description.clone_from(&self.description);
        set(&mut item, "version", self.version.as_str());
        set(&mut item, "gsd", self.gsd_m);
        set(&mut item, "bands", json!([{ "name": "red" }, { "name": "green" }, { "name": "blue" }]));
        self.set_license(&mut item);
        set(&mut item, "polder:kind", KIND);
        set(&mut item, "polder:model", format!("{}@{}", self.name, self.version));
        set(&mut item, "polder:stage", self.stage.as_str());
        set(&mut item, "polder:confidence", self.confidence);
        set(&mut item, "polder:classes", json!(self.classes));
        if !self.metrics.is_empty() {
            set(&mut item, "polder:metrics", json!(self.metrics));
        }
        self.set_mlm(&mut item);
        self.add_assets(&mut item, scheme);
        self.add_datasets(&mut item);
        declare_extensions(item)
    }

    /// Sets the fields of the extension, v1.4.0.
    fn set_mlm(&self, item: &mut Item) {
        let name = format!("polder {} {}", self.name, self.version);
        set(item, "mlm:name", name.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()));
        set(item, "mlm:architecture", "YOLOv8");
        set(item, "mlm:tasks", json!(["object-detection"]));
        set(item, "mlm:framework", "PyTorch");
        set(item, "mlm:framework_version", self.framework_version.clone());
        set(item, "mlm:accelerator", "amd64");
        set(item, "mlm:accelerator_constrained", false);
        set(item, "mlm:total_parameters", self.parameters);
        set(item, "mlm:input", json!([self.input()]));
        set(item, "mlm:output", json!([self.output()]));
        if !self.hyperparameters.is_empty() {
            set(item, "mlm:hyperparameters", json!(self.hyperparameters));
        }
    }

    /// STAC takes one word there; what has more is told beside it.
    fn set_license(&self, item: &mut Item) {
        let Some(license) = &self.license else { return };
        let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '+' | '_');
        if license.chars().all(is_word) {
            set(item, "license", license.as_str());
        } else {
            set(item, "license", "other");
            set(item, "polder:license", license.as_str());
        }
    }

    fn input(&self) -> Value {
        let [width, height] = self.image_size;
        json!({
            "name": "RGB chip",
            "description": "A chip at the model's GSD, values divided by 255; grey (114) where there is no picture",
            "bands": ["red", "green", "blue"],
            "input": { "shape": [-1, 3, height, width], "dim_order": ["batch", "channel", "height", "width"], "data_type": "float32" },
            "value_scaling": [{ "type": "min-max", "minimum": 0, "maximum": 255 }],
            "resize_type": "pad",
        })
    }

    /// Describes the YOLOv8 head: per box its centre and size in pixels, then a confidence per class.
    fn output(&self) -> Value {
        let shape = match self.output_shape.as_slice() {
            [_, rest @ ..] => [&[-1], rest].concat(),
            [] => vec![-1, 4 + self.classes.len() as i64, -1],
        };
        let order = ["batch", "box", "candidate"].into_iter().chain(std::iter::repeat("more")).take(shape.len());
        json!({
            "name": "boxes",
            "tasks": ["object-detection"],
            "result": { "shape": shape, "dim_order": order.collect::<Vec<_>>(), "data_type": "float32" },
            "classification:classes": self.classes.iter().enumerate().map(|(i, class)| self.class(i, class)).collect::<Vec<_>>(),
        })
    }

    /// A class as the classification extension has it: its `name` takes no blanks, its `title` is the class, verbatim.
    fn class(&self, value: usize, class: &str) -> Value {
        let plain = |class: &str| -> String {
            class.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect()
        };
        let name = plain(class);
        let is_taken = self.classes[..value].iter().any(|other| plain(other) == name);
        let name = if is_taken { format!("{name}_{value}") } else { name };
        json!({ "value": value, "name": name, "title": class, "description": class })
    }

    fn add_assets(&self, item: &mut Item, scheme: &StorageScheme) {
        let mut weights = asset_of(&self.weights, "TorchScript weights", &["mlm:model", "mlm:weights", "data"]);
        // STAC allows bands in an item's properties, where MLM wants them, only beside those of an asset.
        weights.bands = ["red", "green", "blue"].map(color_band).to_vec();
        weights.additional_fields.extend(fields(json!({ "mlm:artifact_type": "torch.jit.save" })));
        add_asset(item, "model", &self.weights, scheme, weights);
        for (key, object) in [("card", &self.card), ("metrics", &self.metrics_file)] {
            if let Some(object) = object {
                add_asset(item, key, object, scheme, model_asset(key, object));
            }
        }
        for (key, object) in &self.plots {
            add_asset(item, key, object, scheme, model_asset(key, object));
        }
    }

    fn add_datasets(&self, item: &mut Item) {
        item.links.extend(self.trained_on.iter().map(|trained| trained.dataset.link()));
        if !self.trained_on.is_empty() {
            let told = |trained: &TrainedOn| json!({ "item": trained.dataset.item_id, "sha256": trained.dataset.object.sha256, "splits": trained.splits });
            set(item, "polder:trained_on", self.trained_on.iter().map(told).collect::<Vec<_>>());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::examples::{model_version, scheme};

    #[test]
    fn a_model_says_what_goes_in_and_what_comes_out() {
        let item = model_version().item(&scheme());
        assert_eq!(item.id, model_version().item_id());
        insta::assert_json_snapshot!(item);
    }

    #[test]
    fn classes_that_differ_in_blanks_alone_have_names_that_differ() {
        let model = ModelVersion { classes: vec!["a b".into(), "a_b".into()], ..model_version() };
        let item = serde_json::to_value(model.item(&scheme())).unwrap();
        let classes = &item["properties"]["mlm:output"][0]["classification:classes"];
        assert_eq!((classes[0]["name"].as_str(), classes[1]["name"].as_str()), (Some("a_b"), Some("a_b_1")));
        assert_eq!((classes[0]["title"].as_str(), classes[1]["title"].as_str()), (Some("a b"), Some("a_b")));
    }

    #[test]
    fn a_licence_of_several_words_is_told_in_full_beside_the_one_word_that_stac_takes() {
        let licensed = |license: &str| {
            let model = ModelVersion { license: Some(license.into()), ..model_version() };
            let item = serde_json::to_value(model.item(&scheme())).unwrap();
            (item["properties"]["license"].clone(), item["properties"].get("polder:license").cloned())
        };
        assert_eq!(licensed("AGPL-3.0"), (json!("AGPL-3.0"), None));
        assert_eq!(licensed("MIT OR Apache-2.0"), (json!("other"), Some(json!("MIT OR Apache-2.0"))));
    }
}
