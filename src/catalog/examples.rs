//! A small world for tests: one photo, its orthophoto, its detections, the model.

use chrono::{DateTime, Utc};
use serde_json::{Map, json};

use super::{
    Attitude, COG, Camera, Dataset, DetectionRun, Grid, Image, Label, Labels, Layer, Manifest, ModelVersion, Moment,
    ObjectRef, Orthophoto, Photo, PhotoName, Pinned, Processing, RunId, Split, SplitRule, Stage, StorageScheme, Taken,
    Upstream,
};
use crate::spatial::{Bbox, Crs, GeoTransform};

const RING: [[f64; 2]; 4] = [[5.10, 52.00], [5.12, 52.00], [5.12, 52.01], [5.10, 52.01]];

pub fn scheme() -> StorageScheme {
    StorageScheme { endpoint: Some("http://127.0.0.1:9000".into()), region: "local".into(), path_style: true }
}

pub fn object(layer: Layer, key: &str, content_type: &str) -> ObjectRef {
    ObjectRef {
        bucket: layer.collection().into(),
        key: key.into(),
        version_id: Some("v1".into()),
        sha256: "ab".repeat(32),
        size_bytes: 1234,
        content_type: content_type.into(),
    }
}

pub fn noon() -> DateTime<Utc> {
    "2025-06-23T10:00:00Z".parse().expect("a time")
}

pub fn photo() -> Photo {
    Photo {
        project: "dijk-a".parse().expect("a name"),
        flight: "flight-2025".parse().expect("a name"),
        name: PhotoName::for_file("DJI_0001.JPG"),
        file_name: None,
        object: object(Layer::Raw, "projects/dijk-a/flight-2025/DJI_0001.JPG", "image/jpeg"),
        stored_at: Some(noon()),
        taken: Taken::At(noon()),
        size: Some([4000, 3000]),
        camera: Camera { make: Some("DJI".into()), model: Some("FC330".into()), serial: None },
        lonlat: Some([5.11, 52.005]),
        absolute_altitude_m: Some(45.0),
        relative_altitude_m: Some(40.0),
        attitude: Some(Attitude { yaw_deg: -30.0, pitch_deg: -89.5, roll_deg: 0.0 }),
        gsd_m: Some(0.02),
        footprint: Some(RING.to_vec()),
        cloud_cover: Some(10.0),
        grid: None,
    }
}

fn upstream(layer: Layer, item_id: String, object: ObjectRef) -> Upstream {
    Upstream { layer, item_id, object }
}

pub fn processing() -> Processing {
    Processing {
        software: [("polder".to_owned(), "0.1.0".to_owned())].into(),
        lineage: "Stitched from 1 photo".into(),
        parameters: json!({ "gsd_m": 0.02 }),
        finished_at: Some(noon()),
    }
}

pub fn orthophoto() -> Orthophoto {
    let photo = photo();
    let run = RunId::of("inputs");
    let key = |name: &str| format!("projects/dijk-a/flight-2025/{name}-{run}");
    let grid = Grid {
        crs: Crs::from_epsg(32631),
        transform: GeoTransform::north_up([600_000.0, 5_760_000.0], 0.02),
        size: [800, 600],
    };
    Orthophoto {
        cog: object(Layer::Ortho, &key("ortho"), COG),
        grid,
        gsd_m: 0.02,
        footprint: RING.to_vec(),
        taken: Moment::Between(noon(), noon()),
        dsm: Some((object(Layer::Ortho, &key("dsm"), COG), grid)),
        dtm: Some((object(Layer::Ortho, &key("dtm"), COG), grid)),
        cameras: Some(object(Layer::Ortho, &key("cameras"), "application/json")),
        report: Some(object(Layer::Ortho, &key("report"), "application/json")),
        report_page: Some(object(Layer::Ortho, &key("report_page"), "text/html")),
        thumbnail: Some(object(Layer::Ortho, &key("thumbnail"), "image/jpeg")),
        photos: vec![upstream(Layer::Raw, photo.item_id(), photo.object)],
        figures: Map::from_iter([("photos_used".to_owned(), json!(1))]),
        processing: processing(),
        project: photo.project,
        flight: photo.flight,
        run,
    }
}

pub fn model_version() -> ModelVersion {
    ModelVersion {
        name: "dijkoog".parse().expect("a name"),
        version: "0.1.0".parse().expect("a name"),
        weights: object(Layer::Models, "models/dijkoog/0.1.0/model.torchscript", "application/octet-stream"),
        card: Some(object(Layer::Models, "models/dijkoog/0.1.0/card.md", "text/markdown")),
        created: noon(),
        classes: vec!["Muskusrat klem".into(), "Beschadiging oever".into()],
        stage: Stage::Candidate,
        image_size: [640, 640],
        output_shape: vec![1, 6, 8400],
        gsd_m: Some(0.02),
        confidence: 0.4,
        parameters: Some(400_000),
        framework_version: Some("2.13.0".into()),
        description: None,
        license: Some("MIT".into()),
        hyperparameters: Map::from_iter([("steps".to_owned(), json!(1800))]),
        metrics: Map::from_iter([("mAP50".to_owned(), json!(0.9))]),
        metrics_file: Some(object(Layer::Models, "models/dijkoog/0.1.0/files/metrics.json", "application/json")),
        plots: vec![("plot-pr".into(), object(Layer::Models, "models/dijkoog/0.1.0/files/pr.svg", "image/svg+xml"))],
        trained_on: Vec::new(),
    }
}

pub fn detection_run() -> DetectionRun {
    let (ortho, model) = (orthophoto(), model_version());
    DetectionRun {
        orthophoto: upstream(Layer::Ortho, ortho.item_id(), ortho.cog),
        model: upstream(Layer::Models, model.item_id(), model.weights),
        model_name: model.name,
        model_version: model.version,
        run: RunId::of("detect"),
        footprint: RING.to_vec(),
        taken: Moment::At(noon()),
        detections: object(Layer::Results, "projects/dijk-a/flight-2025/detections.geojson", "application/geo+json"),
        annotated: Some(object(Layer::Results, "projects/dijk-a/flight-2025/annotated.jpg", "image/jpeg")),
        counts: [("Muskusrat klem".to_owned(), 2), ("Beschadiging oever".to_owned(), 0)].into(),
        confidence: 0.4,
        processing: processing(),
        project: ortho.project,
        flight: ortho.flight,
    }
}

pub fn manifest() -> Manifest {
    let ortho = orthophoto();
    let image = |name: &str, left, split| Image {
        name: name.into(),
        source: 0,
        window: Some([left, 0, 64, 64]),
        size: [64, 64],
        split,
        place: "40 m: 1/2".into(),
    };
    let labels = object(Layer::Models, "datasets/sets/dijken/labels-1.json", "application/json");
    Manifest::new(
        "dijken".parse().expect("a name"),
        vec!["Muskusrat klem".into(), "Beschadiging oever".into()],
        Some(0.03),
        SplitRule { seed: 0, cell_m: 40.0, val: 0.15, test: 0.15 },
        vec![Pinned::of(&ortho.cog, Some(format!("drone-ortho/{}", ortho.item_id())))],
        Pinned::of(&labels, None),
        vec![image("a", 0, Split::Train), image("b", 64, Split::Val)],
    )
}

pub fn dataset() -> Dataset {
    let (manifest, ortho) = (manifest(), orthophoto());
    let label = Label { class: 1, ring: vec![[1.0, 2.0], [9.0, 2.0], [9.0, 8.0], [1.0, 8.0]], from: None };
    Dataset {
        labels: Labels { images: [("a".to_owned(), vec![label])].into() },
        object: object(Layer::Models, "datasets/sets/dijken/manifest-1.json", "application/json"),
        labels_object: manifest.labels.object().expect("an object"),
        created: noon(),
        bbox: Some(Bbox { west: 5.1, south: 52.0, east: 5.12, north: 52.01 }),
        made_from: vec![upstream(Layer::Ortho, ortho.item_id(), ortho.cog)],
        manifest,
    }
}
