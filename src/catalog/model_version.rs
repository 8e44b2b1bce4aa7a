//! One version of a detector, and its item in `ai-models`.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use stac::Item;

use super::{
    Layer, ModelName, Moment, ObjectRef, StorageScheme, Upstream, Version,
    item::{add_asset, asset_of, declare_extensions, fields, new_item, set, set_polygon},
};

/// Detector weights in the models bucket, and what must travel with them.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelVersion {
    pub name: ModelName,
    pub version: Version,
    /// The `TorchScript` archive.
    pub weights: ObjectRef,
    /// The model card.
    pub card: Option<ObjectRef>,
    pub created: DateTime<Utc>,
    /// Class names, in the order of the outputs.
    pub classes: Vec<String>,
    /// Width and height of a chip, pixels.
    pub image_size: [usize; 2],
    /// How many boxes come out of one chip, where it is known.
    pub boxes: Option<usize>,
    /// The ground sampling distance that it was trained for.
    pub gsd_m: Option<f64>,
    /// The confidence threshold that it was calibrated to.
    pub confidence: f64,
    pub parameters: Option<u64>,
    pub description: Option<String>,
    /// The data sets it was trained on.
    pub trained_on: Vec<Upstream>,
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
        set(&mut item, "polder:model", format!("{}@{}", self.name, self.version));
        set(&mut item, "polder:confidence", self.confidence);
        set(&mut item, "polder:classes", json!(self.classes));
        set(&mut item, "mlm:name", format!("polder {} {}", self.name, self.version));
        set(&mut item, "mlm:architecture", "YOLOv8");
        set(&mut item, "mlm:tasks", json!(["object-detection"]));
        set(&mut item, "mlm:framework", "PyTorch");
        set(&mut item, "mlm:total_parameters", self.parameters);
        set(&mut item, "mlm:input", json!([self.input()]));
        set(&mut item, "mlm:output", json!([self.output()]));
        self.add_assets(&mut item, scheme);
        item.links.extend(self.trained_on.iter().map(Upstream::link));
        declare_extensions(item)
    }

    fn input(&self) -> Value {
        let [width, height] = self.image_size;
        json!({
            "name": "RGB chip, values divided by 255",
            "bands": [],
            "input": { "shape": [-1, 3, height, width], "dim_order": ["batch", "channel", "height", "width"], "data_type": "float32" },
        })
    }

    /// Describes the YOLOv8 head: per box its centre and size in pixels, then a confidence per class.
    ///
    /// The classes stand in `polder:classes`: the classification extension allows no space in a name.
    fn output(&self) -> Value {
        let rows = 4 + self.classes.len();
        let boxes = self.boxes.map_or(-1, |n| n as i64);
        json!({
            "name": "boxes",
            "tasks": ["object-detection"],
            "result": { "shape": [-1, rows, boxes], "dim_order": ["batch", "box", "candidate"], "data_type": "float32" },
        })
    }

    fn add_assets(&self, item: &mut Item, scheme: &StorageScheme) {
        let mut weights = asset_of(&self.weights, "TorchScript weights", &["mlm:model", "mlm:weights", "data"]);
        weights.additional_fields.extend(fields(json!({ "mlm:artifact_type": "torch.jit.save" })));
        add_asset(item, "model", &self.weights, scheme, weights);
        if let Some(object) = &self.card {
            add_asset(item, "card", object, scheme, asset_of(object, "Model card", &["metadata"]));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::catalog::examples::{model_version, scheme};

    #[test]
    fn a_model_says_what_goes_in_and_what_comes_out() {
        let item = model_version().item(&scheme());
        assert_eq!(item.id, model_version().item_id());
        insta::assert_json_snapshot!(item);
    }
}
