//! A frozen data set, and its item in `ai-models`.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::json;
use stac::Item;

use super::{
    DatasetName, Labels, Layer, Manifest, Moment, ObjectRef, Split, StorageScheme, Upstream,
    item::{add_asset, asset_of, declare_extensions, new_item, set, set_polygon},
};
use crate::spatial::Bbox;

/// The value of `polder:kind` of a data set's item. Models lie in the same collection.
const KIND: &str = "dataset";
/// Digits of the manifest's SHA-256 in the id.
const DIGITS: usize = 12;

/// A data set in the models bucket.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    pub manifest: Manifest,
    pub labels: Labels,
    /// Where the manifest lies; its SHA-256 is the data set's version.
    pub object: ObjectRef,
    pub labels_object: ObjectRef,
    pub created: DateTime<Utc>,
    /// What the pictures show, degrees; nothing where nobody knows.
    pub bbox: Option<Bbox>,
    /// The items whose objects it is cut from, and the runs whose reviews are its labels.
    pub made_from: Vec<Upstream>,
}

impl Dataset {
    /// Returns the id of a data set's item, `dataset.{name}.{start of the hash}`.
    pub fn id_of(name: &DatasetName, sha256: &str) -> String {
        format!("{KIND}.{name}.{}", &sha256[..DIGITS.min(sha256.len())])
    }

    pub fn item_id(&self) -> String {
        Self::id_of(&self.manifest.name, &self.object.sha256)
    }

    /// Describes the data set as a STAC item.
    pub fn item(&self, scheme: &StorageScheme) -> Item {
        let mut item = new_item(Layer::Models, self.item_id(), Moment::At(self.created));
        let Bbox { west, south, east, north } =
            self.bbox.unwrap_or(Bbox { west: -180.0, south: -90.0, east: 180.0, north: 90.0 });
        set_polygon(&mut item, &[[west, south], [east, south], [east, north], [west, north]]);
        let manifest = &self.manifest;
        let hash = &self.object.sha256[..DIGITS.min(self.object.sha256.len())];
        item.properties.title = Some(format!("Data set {} {hash}", manifest.name));
        set(&mut item, "version", hash);
        set(&mut item, "gsd", manifest.gsd_m);
        set(&mut item, "polder:kind", KIND);
        set(&mut item, "polder:dataset", manifest.name.as_str());
        set(&mut item, "polder:sha256", self.object.sha256.as_str());
        set(&mut item, "polder:classes", json!(manifest.classes));
        set(&mut item, "polder:split", json!(manifest.rule));
        set(&mut item, "polder:images", json!(self.images()));
        set(&mut item, "polder:labels", json!(self.counts()));
        let object = asset_of(&self.object, "Manifest", &["data", "metadata"]);
        add_asset(&mut item, "manifest", &self.object, scheme, object);
        let labels = asset_of(&self.labels_object, "Labels", &["data"]);
        add_asset(&mut item, "labels", &self.labels_object, scheme, labels);
        item.links.extend(self.made_from.iter().map(Upstream::link));
        declare_extensions(item)
    }

    /// Returns how many pictures each split has.
    pub fn images(&self) -> BTreeMap<&'static str, usize> {
        Split::ALL.map(|split| (split.as_str(), self.manifest.of_split(split).count())).into()
    }

    /// Returns how many labels each class has in each split.
    pub fn counts(&self) -> BTreeMap<&str, BTreeMap<&'static str, usize>> {
        let manifest = &self.manifest;
        let zero: BTreeMap<_, _> = Split::ALL.map(|split| (split.as_str(), 0)).into();
        let mut counts: BTreeMap<&str, _> = manifest.classes.iter().map(|c| (c.as_str(), zero.clone())).collect();
        for image in &manifest.images {
            for label in self.labels.images.get(&image.name).into_iter().flatten() {
                let of_class = counts.get_mut(manifest.classes[label.class].as_str());
                if let Some(count) = of_class.and_then(|splits| splits.get_mut(image.split.as_str())) {
                    *count += 1;
                }
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use crate::catalog::examples::{dataset, scheme};

    #[test]
    fn a_data_set_says_what_is_in_it_and_what_it_was_made_from() {
        let item = dataset().item(&scheme());
        assert!(item.id.starts_with("dataset.dijken."));
        insta::assert_json_snapshot!(item);
    }
}
