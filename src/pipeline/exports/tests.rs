//! Each format is read again by a reader that is not ours where there is one.

use gdal::{Dataset, vector::LayerAccess as _};
use serde_json::Value;

use super::*;
use crate::{
    catalog::ReviewAction,
    catalog::{StoredItem, examples},
    database::{Detection, Review, RunRow, testing::with_database},
    spatial::{Crs, Projection},
};

/// Two findings on the orthophoto of the examples, 50 × 25 pixels of 2 cm from (100, 200) and (300, 400); the second one
/// is corrected to another class.
async fn filled(database: &Database) -> DetectionFilter {
    let orthophoto = examples::orthophoto();
    let item = StoredItem::of(&orthophoto.item(&examples::scheme()), &["drone-ortho"]).unwrap();
    database.upsert_item(&item).await.unwrap();
    let to_lonlat = Projection::new(orthophoto.grid.crs, Crs::WGS84).unwrap();
    let found = |left: f64, top: f64| {
        let corners = [[left, top], [left, top + 25.0], [left + 50.0, top + 25.0], [left + 50.0, top], [left, top]];
        let corner = |pixel| to_lonlat.forward(orthophoto.grid.transform.pixel_to_ground(pixel)).unwrap();
        Detection { class: "trap".into(), confidence: 0.75, ring: corners.map(corner).to_vec(), ..Detection::default() }
    };
    let run = RunRow {
        id: "run-1".into(),
        project: "dijk-a".into(),
        flight: "flight-2025".into(),
        orthophoto: orthophoto.item_id(),
        model: "dijkoog".into(),
        model_version: "0.1.0".into(),
        starts_at: examples::noon(),
        ends_at: examples::noon(),
        footprint: Vec::new(),
        photos: Vec::new(),
    };
    database.replace_detections(&run, &[found(100.0, 200.0), found(300.0, 400.0)], None).await.unwrap();
    let correct = Review {
        who: "els".into(),
        action: ReviewAction::Correct,
        class: Some("bank \"damage\"".into()),
        ring: None,
        comment: None,
    };
    database.review("run-1", 1, &correct, None).await.unwrap();
    DetectionFilter { run: Some("run-1".into()), ..DetectionFilter::default() }
}

#[tokio::test]
async fn geographic_formats_are_read_by_gdal_and_parquet_with_every_finding_once() {
    with_database(|database| async move {
        let filter = filled(&database).await;
        let folder = tempfile::tempdir().unwrap();
        for (format, name) in [(DetectionFormat::GeoJson, "d.geojson"), (DetectionFormat::FlatGeobuf, "d.fgb")] {
            let path = folder.path().join(name);
            for _ in 0..2 {
                assert_eq!(export_detections(&database, &filter, format, &path).await.unwrap(), 2);
            }
            let dataset = Dataset::open(&path).unwrap();
            let mut layer = dataset.layer(0).unwrap();
            let classes: Vec<String> = layer
                .features()
                .map(|feature| {
                    let index = feature.field_index("class").unwrap();
                    feature.field_as_string(index).unwrap().unwrap()
                })
                .collect();
            assert_eq!(classes.len(), 2, "{name}");
            assert!(
                classes.contains(&"trap".to_owned()) && classes.contains(&"bank \"damage\"".to_owned()),
                "{classes:?}"
            );
        }
        let path = folder.path().join("d.parquet");
        assert_eq!(export_detections(&database, &filter, DetectionFormat::GeoParquet, &path).await.unwrap(), 2);
        let file = File::open(&path).unwrap();
        let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        let metadata = reader.metadata().file_metadata().key_value_metadata().unwrap().clone();
        let value = |key: &str| metadata.iter().find(|pair| pair.key == key).and_then(|pair| pair.value.clone());
        let geo: Value = serde_json::from_str(&value("geo").unwrap()).unwrap();
        assert_eq!((geo["version"].as_str(), value("stac-geoparquet")), (Some("1.1.0"), None));
        assert_eq!(geo["columns"]["geometry"]["geometry_types"], json!(["Polygon"]));
        let batch = reader.build().unwrap().next().unwrap().unwrap();
        assert_eq!(batch.num_rows(), 2);
        for column in ["geometry", "bbox", "class", "confidence", "review", "number"] {
            assert!(batch.column_by_name(column).is_some(), "{column}");
        }
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 3, "no half file is left: {left:?}");
    })
    .await;
}

#[tokio::test]
async fn labels_are_in_pixels_of_the_orthophoto_and_say_what_people_said() {
    with_database(|database| async move {
        let filter = filled(&database).await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("coco.json");
        assert_eq!(export_detections(&database, &filter, DetectionFormat::Coco, &path).await.unwrap(), 2);
        let coco: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let bbox: Vec<f64> = serde_json::from_value(coco["annotations"][0]["bbox"].clone()).unwrap();
        // Nine decimals of a degree are 0.1 mm: a hundredth of a pixel.
        let apart = bbox.iter().zip([100.0, 200.0, 50.0, 25.0]).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(apart < 0.02, "{bbox:?}");
        assert_eq!(coco["images"][0]["width"], 800);
        assert_eq!(coco["categories"][0]["name"], "bank \"damage\"");
        assert_eq!(coco["annotations"][1]["category_id"], 1);
        let path = folder.path().join("yolo");
        export_detections(&database, &filter, DetectionFormat::Yolo, &path).await.unwrap();
        let text = fs::read_to_string(path.join(format!("labels/{}.txt", examples::orthophoto().item_id()))).unwrap();
        let first: Vec<f64> = text.lines().next().unwrap().split(' ').map(|part| part.parse().unwrap()).collect();
        assert!(first[0] == 1.0 && (first[1] - 125.0 / 800.0).abs() < 1e-4 && (first[4] - 25.0 / 600.0).abs() < 1e-4);
        assert!(fs::read_to_string(path.join("data.yaml")).unwrap().contains("  0: \"bank \\\"damage\\\"\"\n"));
        let nowhere = folder.path().join("no/such/folder.geojson");
        let error = export_detections(&database, &filter, DetectionFormat::GeoJson, &nowhere).await.unwrap_err();
        assert!(error.to_string().contains("no/such"), "{error}");
    })
    .await;
}
