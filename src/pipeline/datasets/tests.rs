//! Data sets on a real PostGIS and a real store, cut from orthophotos in which everything is known.

use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::{
    catalog::{Label, Layer, Split, SplitRule},
    database::testing::review,
    pipeline::{
        Context, DetectRequest, Error, ModelChoice, detect,
        testing::{Ortho, RED, WHITE, archive, put_ortho, with_context},
    },
    raster::Rgb8,
    spatial::{Cells, Crs, GeoTransform, Projection},
};

const GSD_M: f64 = 0.05;
const SIZE: [usize; 2] = [2400, 1700];

/// Boxes of both colours, evenly over the ground; none touches another.
fn boxes() -> Vec<([usize; 4], [u8; 3])> {
    let place = |i: usize| [60 + i % 12 * 190, 70 + i / 12 * 195, 30 + i % 3 * 8, 24 + i % 5 * 6];
    (0..96).map(|i| (place(i), if i % 4 == 0 { WHITE } else { RED })).collect()
}

fn flown(flight: &'static str) -> Ortho {
    let transform = GeoTransform::north_up([155_000.0, 463_000.0], GSD_M);
    Ortho { flight, crs: Crs::RD_NEW, transform, size: SIZE, boxes: boxes() }
}

fn request(orthophotos: &[String]) -> DatasetRequest {
    DatasetRequest {
        name: "dijken".parse().unwrap(),
        labels: LabelSource::Reviews { orthophotos: orthophotos.to_vec() },
        chip_px: 256,
        gsd_m: None,
        rule: SplitRule { seed: 3, cell_m: 40.0, val: 0.25, test: 0.25 },
        background: 0.2,
    }
}

/// Searches the orthophoto with [`crate::pipeline::testing::BrightBoxes`].
async fn searched(context: &Context, orthophoto: &str) {
    let weights = context.work.join("bright.torchscript");
    std::fs::write(&weights, archive(&json!({ "imgsz": [256, 256] }))).unwrap();
    let model = ModelChoice::File(weights);
    let request =
        DetectRequest { orthophoto: orthophoto.to_owned(), model, confidence: None, class_confidence: BTreeMap::new() };
    let summary = detect(context, &request, &|_| {}).await.unwrap();
    assert_eq!(summary.counts.values().sum::<usize>(), boxes().len(), "{:?}", summary.counts);
}

async fn created(context: &Context, request: &DatasetRequest) -> Created {
    create_dataset(context, request, &|_| {}).await.unwrap()
}

fn brightness(picture: &Rgb8, label: &Label) -> f64 {
    let [left, top, right, bottom] = labels::bounds(&label.ring);
    let inside = |from: f64, to: f64| (from + 1.0).ceil() as usize..(to - 1.0).floor() as usize;
    let pixels: Vec<f64> = inside(top, bottom)
        .flat_map(|row| inside(left, right).map(move |column| (column, row)))
        .map(|(column, row)| f64::from(picture.pixel(column, row)[0]))
        .collect();
    pixels.iter().sum::<f64>() / pixels.len() as f64
}

#[tokio::test]
async fn reviewed_findings_become_labels_and_what_nobody_has_looked_at_is_left_out() {
    with_context(|context| async move {
        let ortho = put_ortho(&context, &flown("one")).await;
        searched(&context, &ortho).await;
        let refused = create_dataset(&context, &request(std::slice::from_ref(&ortho)), &|_| {}).await.unwrap_err();
        assert!(matches!(refused, Error::NothingLabelled { waiting, .. } if waiting > 20), "{refused}");
        review(&context.database, "accepted", 2..=9).await;
        review(&context.database, "rejected", 1..=1).await;
        let made = created(&context, &request(std::slice::from_ref(&ortho))).await;
        assert!(made.waiting > 0 && made.images.values().all(|count| *count > 0), "{made:?}");
        let dataset = open_dataset(&context, "dijken").await.unwrap();
        assert_eq!(dataset.object.sha256, made.sha256);
        let (mut labels, mut empty, mut bright_and_unlabelled) = (0, 0, 0);
        let take = |image: &crate::catalog::Image, known: &[Label], picture: Rgb8| {
            assert_eq!([picture.width, picture.height], image.size);
            for label in known {
                assert!(brightness(&picture, label) > 200.0, "{} {label:?}", image.name);
                assert!(label.from.as_ref().is_some_and(|from| from.starts_with("ai-results/")), "{label:?}");
            }
            let bright = picture.data.chunks_exact(3).filter(|pixel| pixel[0] > 150).count();
            (labels, empty) = (labels + known.len(), empty + usize::from(known.is_empty()));
            // A rejected box is shown as what it is: ground without an object.
            bright_and_unlabelled += usize::from(known.is_empty() && bright > 400);
            Ok(())
        };
        Pictures::of(&context, &dataset).each(&Split::ALL, &|_| {}, take).await.unwrap();
        assert!(labels > 40 && empty > 0 && bright_and_unlabelled > 0, "{labels} {empty} {bright_and_unlabelled}");
        let runs = dataset.item.links.iter().filter(|link| link.rel == "derived_from").count();
        assert_eq!(runs, 2, "the orthophoto and the run whose reviews they are");
        let again = created(&context, &request(&[ortho])).await;
        assert!(again.reused && again.sha256 == made.sha256);
        assert_eq!(list_datasets(&context, None).await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_place_is_in_one_split_over_flights_and_coordinate_systems() {
    with_context(|context| async move {
        let first = flown("one");
        // The same ground in UTM, turned by 30 degrees.
        let utm = Crs::utm_at([5.4, 52.1]);
        let to_lonlat = Projection::new(Crs::RD_NEW, Crs::WGS84).unwrap();
        let corner = to_lonlat.forward([155_010.0, 462_990.0]).unwrap();
        let [x, y] = Projection::new(Crs::WGS84, utm).unwrap().forward(corner).unwrap();
        let (s, c) = 30_f64.to_radians().sin_cos();
        let transform = GeoTransform::from_gdal([x, GSD_M * c, GSD_M * s, y, GSD_M * s, -GSD_M * c]);
        let second = Ortho { flight: "two", crs: utm, transform, ..flown("two") };
        let mut ids = Vec::new();
        for ortho in [&first, &second] {
            ids.push(put_ortho(&context, ortho).await);
        }
        for id in &ids {
            searched(&context, id).await;
        }
        review(&context.database, "accepted", 0..=9).await;
        created(&context, &request(&ids)).await;
        let dataset = open_dataset(&context, "dijken").await.unwrap();
        let cells = Cells::new(40.0);
        let mut splits = BTreeMap::new();
        let mut flights = BTreeMap::<_, std::collections::BTreeSet<usize>>::new();
        for image in &dataset.manifest.images {
            let ortho = [&first, &second][ids.iter().position(|id| image.name.starts_with(id.as_str())).unwrap()];
            let to_lonlat = Projection::new(ortho.crs, Crs::WGS84).unwrap();
            let [left, top, width, height] = image.window.unwrap().map(|length| length as f64);
            let place = |x: f64, y: f64| to_lonlat.forward(ortho.transform.pixel_to_ground([x, y])).unwrap();
            let cell = cells.at(place(left + width / 2.0, top + height / 2.0));
            // A hair inside, for projections there and back are not exact to the last digit.
            for (u, v) in [(0.001, 0.001), (0.999, 0.001), (0.001, 0.999), (0.999, 0.999)] {
                assert_eq!(cells.at(place(left + u * width, top + v * height)), cell, "{}", image.name);
            }
            assert_eq!(*splits.entry(cell).or_insert(image.split), image.split, "{}", image.name);
            flights.entry(cell).or_default().insert(image.source);
        }
        assert!(flights.values().filter(|of| of.len() == 2).count() >= 3, "both flights see some places: {flights:?}");
        for (i, one) in dataset.manifest.images.iter().enumerate() {
            let overlaps = |other: &&crate::catalog::Image| {
                let [x, y, width, height] = other.window.unwrap().map(|length| length as f64);
                one.source == other.source
                    && labels::touches([x, y, x + width, y + height], one.window.unwrap())
                    && one.split != other.split
            };
            assert_eq!(
                dataset.manifest.images[..i].iter().find(overlaps).map(|other| &other.name),
                None,
                "{}",
                one.name
            );
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_exported_is_read_back_as_it_was() {
    with_context(|context| async move {
        let ortho = put_ortho(&context, &flown("one")).await;
        searched(&context, &ortho).await;
        review(&context.database, "accepted", 0..=9).await;
        created(&context, &request(&[ortho])).await;
        let dataset = open_dataset(&context, "dijken").await.unwrap();
        let (yolo, coco) = (context.work.join("yolo"), context.work.join("coco"));
        let exported = export_dataset(&context, &dataset, ExportFormat::Yolo, &yolo, &|_| {}).await.unwrap();
        export_dataset(&context, &dataset, ExportFormat::Coco, &coco, &|_| {}).await.unwrap();
        assert_eq!((exported.images, exported.empty.len()), (dataset.manifest.images.len(), 0));
        let again = export_dataset(&context, &dataset, ExportFormat::Coco, &coco, &|_| {}).await.unwrap_err();
        assert!(matches!(again, Error::NotEmpty(_)), "{again}");
        let of_yolo = read_yolo(&yolo).unwrap();
        assert_eq!(of_yolo.classes, dataset.manifest.classes);
        for split in Split::ALL {
            let file = coco.join(format!("annotations/instances_{split}.json"));
            let of_coco = read_coco(&file, &coco.join(split.as_str())).unwrap();
            for image in dataset.manifest.of_split(split) {
                let file = format!("{}.jpg", image.name);
                let [a, b] = [
                    &of_yolo.pictures[&yolo.join("images").join(split.as_str()).join(&file)],
                    &of_coco.pictures[&coco.join(split.as_str()).join(&file)],
                ];
                let frozen = &dataset.labels.images[&image.name];
                assert_eq!((a.len(), b.len()), (frozen.len(), frozen.len()));
                for (label, (a, b)) in frozen.iter().zip(a.iter().zip(b)) {
                    let bounds = labels::bounds(&label.ring);
                    let [width, height] = image.size.map(|length| length as f64);
                    let in_pixels: Vec<_> = a.ring.iter().map(|[x, y]| [x * width, y * height]).collect();
                    for other in [labels::bounds(&in_pixels), labels::bounds(&b.ring)] {
                        let off = bounds.iter().zip(other).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                        assert!(off < 0.01, "{bounds:?} {other:?}");
                    }
                    assert_eq!((a.class, b.class), (label.class, label.class));
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn pictures_from_elsewhere_are_put_into_the_bucket_once_and_verified() {
    with_context(|context| async move {
        let folder = context.work.join("theirs");
        for part in ["images/train", "labels/train"] {
            std::fs::create_dir_all(folder.join(part)).unwrap();
        }
        std::fs::write(folder.join("data.yaml"), "names: [trap]\n").unwrap();
        for i in 0..6_u8 {
            let mut picture = Rgb8::new(64, 48);
            picture.data.fill(10 * i);
            let jpeg = crate::raster::encode_jpeg(&picture, 90).unwrap();
            std::fs::write(folder.join(format!("images/train/{i}.jpg")), jpeg).unwrap();
            std::fs::write(folder.join(format!("labels/train/{i}.txt")), "0 0.5 0.5 0.25 0.5\n").unwrap();
        }
        let request = DatasetRequest { labels: LabelSource::Imported(read_yolo(&folder).unwrap()), ..request(&[]) };
        let made = created(&context, &request).await;
        let dataset = open_dataset(&context, &format!("dijken@{}", &made.sha256[..8])).await.unwrap();
        let label = &dataset.labels.images.values().next().unwrap()[0];
        assert_eq!(labels::bounds(&label.ring), [24.0, 12.0, 40.0, 36.0]);
        let checked = verify_dataset(&context, &dataset).await.unwrap();
        assert_eq!(checked.len(), 6 + 2);
        assert!(checked.iter().all(|one| one.fault.is_none() && one.version_id.is_some()), "{checked:?}");
        let mut tampered = dataset.clone();
        tampered.manifest.sources[2].sha256 = "0".repeat(64);
        tampered.manifest.sources[4].version_id = Some("gone".into());
        let faults = verify_dataset(&context, &tampered).await.unwrap().into_iter().filter(|one| one.fault.is_some());
        assert_eq!(faults.count(), 2);
        let objects = context.storage.list_objects(Layer::Models.collection(), "datasets/images/").await.unwrap();
        created(&context, &request).await;
        let after = context.storage.list_objects(Layer::Models.collection(), "datasets/images/").await.unwrap();
        assert_eq!(objects, after, "nothing is put there twice");
        std::fs::copy(folder.join("images/train/0.jpg"), folder.join("images/train/copy.jpg")).unwrap();
        let twice = DatasetRequest { labels: LabelSource::Imported(read_yolo(&folder).unwrap()), ..request };
        let refused = create_dataset(&context, &twice, &|_| {}).await.unwrap_err();
        assert!(refused.to_string().contains("the same content"), "{refused}");
        assert!(matches!(open_dataset(&context, "dijken@ffffffff").await, Err(Error::UnknownDataset(_))));
    })
    .await;
}

#[tokio::test]
async fn outlines_from_a_file_are_labels_and_a_later_data_set_is_compared_with_the_one_before() {
    with_context(|context| async move {
        let ortho = put_ortho(&context, &flown("one")).await;
        let to_lonlat = Projection::new(Crs::RD_NEW, Crs::WGS84).unwrap();
        let file = context.work.join("labels.geojson");
        let write = |count: usize| {
            let feature = |([left, top, width, height], _): ([usize; 4], _)| {
                let corner = |x: usize, y: usize| {
                    let at = flown("one").transform.pixel_to_ground([(left + x) as f64, (top + y) as f64]);
                    to_lonlat.forward(at).unwrap()
                };
                let ring = [corner(0, 0), corner(0, height), corner(width, height), corner(width, 0), corner(0, 0)];
                json!({ "type": "Feature", "properties": { "kind": "box" }, "geometry": { "type": "Polygon", "coordinates": [ring] } })
            };
            let features: Vec<_> = boxes().into_iter().take(count).map(feature).collect();
            std::fs::write(&file, json!({ "type": "FeatureCollection", "features": features }).to_string()).unwrap();
        };
        let labels = LabelSource::GeoJson { orthophoto: ortho, file: file.clone(), property: "kind".into() };
        let request = DatasetRequest { labels, ..request(&[]) };
        write(80);
        let before = created(&context, &request).await;
        write(96);
        let after = created(&context, &request).await;
        assert_ne!(before.sha256, after.sha256);
        let name = |created: &Created| format!("dijken@{}", &created.sha256[..12]);
        let diff = diff_datasets(&context, &name(&before), &name(&after)).await.unwrap();
        assert!(diff.same > 10 && !diff.added.is_empty() && diff.moved.is_empty() && !diff.classes_changed, "{diff:?}");
        let later = open_dataset(&context, "dijken").await.unwrap();
        assert_eq!(later.object.sha256, after.sha256, "a name stands for the newest");
    })
    .await;
}
