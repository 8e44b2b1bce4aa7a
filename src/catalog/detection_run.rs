//! One detector over one orthophoto, and its item in `ai-results`.

use std::collections::BTreeMap;

use serde_json::json;
use stac::Item;

use super::{
    Flight, Layer, ModelName, Moment, ObjectRef, Processing, Project, RunId, StorageScheme, Upstream, Version,
    item::{add_asset, asset_of, declare_extensions, new_item, set, set_polygon},
    lineage::set_processing,
};

/// A detection run. A run that found nothing is one too.
#[derive(Clone, Debug, PartialEq)]
pub struct DetectionRun {
    pub project: Project,
    pub flight: Flight,
    pub orthophoto: Upstream,
    pub model: Upstream,
    pub model_name: ModelName,
    pub model_version: Version,
    pub run: RunId,
    /// What was searched: the footprint of the orthophoto, a ring of lon, lat, WGS 84.
    pub footprint: Vec<[f64; 2]>,
    /// When the photos of the orthophoto were taken.
    pub taken: Moment,
    /// All findings as `GeoJSON`.
    pub detections: ObjectRef,
    /// The orthophoto with the findings drawn on it.
    pub annotated: Option<ObjectRef>,
    /// How many findings there are of each class, also of those of which there are none.
    pub counts: BTreeMap<String, usize>,
    /// The lowest confidence that was kept.
    pub confidence: f64,
    pub processing: Processing,
}

impl DetectionRun {
    /// Returns the id of a run's item, `{orthophoto}.{model}-{version}.{run}`.
    pub fn id_of(orthophoto: &str, model: &ModelName, version: &Version, run: &RunId) -> String {
        format!("{orthophoto}.{model}-{version}.{run}")
    }

    pub fn item_id(&self) -> String {
        Self::id_of(&self.orthophoto.item_id, &self.model_name, &self.model_version, &self.run)
    }

    /// Describes the run as a STAC item.
    pub fn item(&self, scheme: &StorageScheme) -> Item {
        let mut item = new_item(Layer::Results, self.item_id(), self.taken);
        set_polygon(&mut item, &self.footprint);
        item.properties.title = Some(format!("Detections on {} · {}", self.project, self.flight));
        set(&mut item, "polder:project", self.project.as_str());
        set(&mut item, "polder:flight", self.flight.as_str());
        set(&mut item, "polder:run", self.run.as_str());
        set(&mut item, "polder:orthophoto", self.orthophoto.item_id.as_str());
        set(&mut item, "polder:model", format!("{}@{}", self.model_name, self.model_version));
        set(&mut item, "polder:confidence", self.confidence);
        set(&mut item, "polder:detections", self.counts.values().sum::<usize>());
        set(&mut item, "polder:classes", json!(self.counts));
        set_processing(&mut item, &self.processing, "L4");
        let detections = asset_of(&self.detections, "Detections", &["data"]);
        add_asset(&mut item, "detections", &self.detections, scheme, detections);
        if let Some(object) = &self.annotated {
            let annotated = asset_of(object, "Orthophoto with detections", &["overview", "visual"]);
            add_asset(&mut item, "annotated", object, scheme, annotated);
        }
        item.links.extend([self.orthophoto.link(), self.model.link()]);
        declare_extensions(item)
    }
}

#[cfg(test)]
mod tests {
    use crate::catalog::examples::{detection_run, scheme};

    #[test]
    fn a_run_names_its_orthophoto_and_its_model_and_counts_every_class() {
        let item = detection_run().item(&scheme());
        assert_eq!(item.id, detection_run().item_id());
        insta::assert_json_snapshot!(item);
    }
}
