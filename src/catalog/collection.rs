//! The four collections, one per layer.

use chrono::{DateTime, Utc};
use serde_json::json;
use stac::{Bbox, Collection, Extent, ItemAsset, SpatialExtent, TemporalExtent};

use super::{
    Layer,
    item::{COG, GEOJSON},
};
use crate::spatial;

/// What the items of a collection cover together. A collection without items covers the world at any time, for
/// STAC knows no empty extent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Coverage {
    pub bbox: Option<spatial::Bbox>,
    pub first: Option<DateTime<Utc>>,
    pub last: Option<DateTime<Utc>>,
}

/// Describes a layer as a STAC collection.
pub fn collection(layer: Layer, coverage: &Coverage) -> Collection {
    let words = words(layer);
    let mut collection = Collection::new(layer.collection(), words.description);
    collection.title = Some(words.title.to_owned());
    collection.keywords = Some(words.keywords.iter().map(|&word| word.to_owned()).collect());
    // QGIS drops a collection without a licence; the photos' owner decides, so `other` it is.
    "other".clone_into(&mut collection.license);
    collection.extent = extent(coverage);
    collection.item_assets = words
        .assets
        .iter()
        .map(|&(key, title, media_type, role)| (key.to_owned(), item_asset(title, media_type, role)))
        .collect();
    collection
}

/// Writes what is covered as a STAC extent.
pub fn extent(coverage: &Coverage) -> Extent {
    Extent {
        spatial: SpatialExtent { bbox: vec![coverage.bbox.map_or_else(world, |b| Bbox::TwoDimensional(b.to_array()))] },
        temporal: TemporalExtent { interval: vec![[coverage.first, coverage.last]] },
        ..Extent::default()
    }
}

const fn world() -> Bbox {
    Bbox::TwoDimensional([-180.0, -90.0, 180.0, 90.0])
}

fn item_asset(title: &str, media_type: Option<&str>, role: &str) -> ItemAsset {
    ItemAsset {
        title: Some(title.to_owned()),
        description: None,
        r#type: media_type.map(str::to_owned),
        roles: vec![role.to_owned()],
        additional_fields: json!({}).as_object().cloned().unwrap_or_default(),
    }
}

struct Words {
    title: &'static str,
    description: &'static str,
    keywords: &'static [&'static str],
    /// Key, title, media type where there is one only, role.
    assets: &'static [(&'static str, &'static str, Option<&'static str>, &'static str)],
}

const fn words(layer: Layer) -> Words {
    match layer {
        Layer::Raw => Words {
            title: "Drone photos",
            description: "Photos as the camera wrote them, with position, attitude and footprint where the file tells them.",
            keywords: &["drone", "photo", "dike"],
            assets: &[("photo", "The photo as the camera wrote it", None, "data")],
        },
        Layer::Ortho => Words {
            title: "Orthophotos",
            description: "Georeferenced mosaics of whole flights, as cloud-optimized GeoTIFF, with surface heights and the report of how they were made.",
            keywords: &["drone", "orthophoto", "COG", "dike"],
            assets: &[
                ("ortho", "Orthophoto", Some(COG), "data"),
                ("dsm", "Surface heights (DSM)", Some(COG), "data"),
                ("thumbnail", "Thumbnail", Some("image/jpeg"), "thumbnail"),
                ("report", "Report of the stitching", Some("application/json"), "metadata"),
                ("report_page", "Report of the stitching, as a page", Some("text/html"), "metadata"),
            ],
        },
        Layer::Results => Words {
            title: "Detections",
            description: "What a detector found on an orthophoto: one item per run, with all findings as GeoJSON and as a picture.",
            keywords: &["detection", "muskrat", "bank damage", "dike"],
            assets: &[
                ("detections", "Detections", Some(GEOJSON), "data"),
                ("annotated", "Orthophoto with detections", Some("image/jpeg"), "overview"),
            ],
        },
        Layer::Models => Words {
            title: "Detector models",
            description: "Versions of the detectors: weights, classes, calibrated threshold, and what they were trained on; and the data sets that they learn from and are judged on.",
            keywords: &["model", "object detection", "TorchScript"],
            assets: &[
                ("model", "TorchScript weights", None, "mlm:model"),
                ("card", "Model card", Some("text/markdown"), "metadata"),
                ("metrics", "Figures", Some("application/json"), "metadata"),
                ("manifest", "Manifest of a data set", Some("application/json"), "data"),
                ("labels", "Labels of a data set", Some("application/json"), "data"),
            ],
        },
    }
}
