//! COCO and YOLO: labels in pixels of the orthophotos.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use serde_json::{Value, json};

use super::{Result, failed, pages};
use crate::{
    catalog::Layer,
    database::{Database, DetectionFilter, DetectionRow},
    pipeline::Error,
    spatial::{Crs, GeoTransform, Projection},
};

/// An orthophoto as labels name it.
struct Image {
    item: String,
    size: [f64; 2],
    transform: GeoTransform,
    from_lonlat: Projection,
}

/// A detection in pixels of its orthophoto: left, top, width, height, and its corners.
struct Label {
    image: usize,
    class: usize,
    bbox: [f64; 4],
    ring: Vec<[f64; 2]>,
    row: DetectionRow,
}

/// What a filter lets through, in pixels.
#[derive(Default)]
struct Labels {
    images: Vec<Image>,
    classes: Vec<String>,
    found: Vec<Label>,
}

/// Writes one file of COCO (cocodataset.org, "Data format", object detection).
///
/// # Errors
/// [`Error::Export`], [`Error::Database`], [`Error::UnknownOrthophoto`], [`Error::DamagedItem`].
pub(super) async fn coco(database: &Database, filter: &DetectionFilter, out: &Path) -> Result<usize> {
    let Labels { images, classes, found: labels } = Labels::read(database, filter).await?;
    let image = |(index, image): (usize, &Image)| {
        json!({
            "id": index + 1,
            "file_name": format!("{}.tif", image.item),
            "width": image.size[0] as u64,
            "height": image.size[1] as u64,
        })
    };
    let annotation = |(index, label): (usize, &Label)| {
        let [_, _, width, height] = label.bbox;
        let corners: Vec<f64> = label.ring.iter().skip(1).flatten().copied().collect();
        json!({
            "id": index + 1,
            "image_id": label.image + 1,
            "category_id": label.class + 1,
            "bbox": label.bbox,
            "area": width * height,
            "segmentation": [corners],
            "iscrowd": 0,
            "score": label.row.confidence,
            "attributes": { "run": label.row.run, "number": label.row.number, "review": label.row.review },
        })
    };
    let categories = classes.iter().enumerate().map(|(index, name)| json!({ "id": index + 1, "name": name }));
    let file = json!({
        "info": { "description": "detections of polder", "version": env!("CARGO_PKG_VERSION") },
        "images": images.iter().enumerate().map(image).collect::<Vec<_>>(),
        "annotations": labels.iter().enumerate().map(annotation).collect::<Vec<_>>(),
        "categories": categories.collect::<Vec<_>>(),
    });
    fs::write(out, file.to_string()).map_err(failed(out))?;
    Ok(labels.len())
}

/// Writes `data.yaml` and `labels/{orthophoto}.txt` into a folder.
///
/// # Errors
/// As [`coco`].
pub(super) async fn yolo(database: &Database, filter: &DetectionFilter, out: &Path) -> Result<usize> {
    let Labels { images, classes, found: labels } = Labels::read(database, filter).await?;
    let folder = out.join("labels");
    fs::create_dir_all(&folder).map_err(failed(out))?;
    let mut files = vec![String::new(); images.len()];
    for label in &labels {
        let ([left, top, width, height], [across, down]) = (label.bbox, images[label.image].size);
        let middle = [(left + width / 2.0) / across, (top + height / 2.0) / down];
        let size = [width / across, height / down];
        writeln!(files[label.image], "{} {:.8} {:.8} {:.8} {:.8}", label.class, middle[0], middle[1], size[0], size[1])
            .expect("writing to a string cannot fail");
    }
    for (image, text) in images.iter().zip(files) {
        let path = folder.join(format!("{}.txt", image.item));
        fs::write(&path, text).map_err(failed(&path))?;
    }
    let mut yaml = "path: .\ntrain: images\nval: images\nnames:\n".to_owned();
    for (index, class) in classes.iter().enumerate() {
        // A JSON string is a YAML string.
        writeln!(yaml, "  {index}: {}", json!(class)).expect("writing to a string cannot fail");
    }
    let path = out.join("data.yaml");
    fs::write(&path, yaml).map_err(failed(&path))?;
    Ok(labels.len())
}

impl Labels {
    async fn read(database: &Database, filter: &DetectionFilter) -> Result<Self> {
        let mut rows = Vec::new();
        pages(database, filter, |page| {
            rows.extend_from_slice(page);
            Ok(())
        })
        .await?;
        let mut classes: Vec<String> = rows.iter().map(|row| row.class.clone()).collect();
        classes.sort_unstable();
        classes.dedup();
        let mut labels = Self { classes, ..Self::default() };
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        for row in rows {
            let image = if let Some(image) = places.get(&row.orthophoto) {
                *image
            } else {
                labels.images.push(Image::of(database, &row.orthophoto).await?);
                places.insert(row.orthophoto.clone(), labels.images.len() - 1);
                labels.images.len() - 1
            };
            let ring = labels.images[image].ring(&row)?;
            let class = labels.classes.binary_search(&row.class).expect("all classes were collected");
            let Some(bbox) = crate::spatial::Bbox::of(ring.iter().copied()) else { continue };
            let bbox = [bbox.west, bbox.south, bbox.east - bbox.west, bbox.north - bbox.south];
            labels.found.push(Label { image, class, bbox, ring, row });
        }
        Ok(labels)
    }
}

impl Image {
    async fn of(database: &Database, id: &str) -> Result<Self> {
        let row = database.find_item(Layer::Ortho.collection(), id).await?;
        let item = row.ok_or_else(|| Error::UnknownOrthophoto(id.to_owned()))?.item()?;
        let fields = &item.properties.additional_fields;
        let damaged = |reason: &str| Error::DamagedItem { item: id.to_owned(), reason: reason.to_owned() };
        let numbers =
            |name: &str| fields.get(name).and_then(|value| serde_json::from_value::<Vec<f64>>(value.clone()).ok());
        let shape = numbers("proj:shape").filter(|shape| shape.len() == 2);
        let [height, width] = shape.ok_or_else(|| damaged("it has no proj:shape"))?[..] else {
            unreachable!("two numbers")
        };
        let transform = numbers("proj:transform").filter(|transform| transform.len() >= 6);
        let s = transform.ok_or_else(|| damaged("it has no proj:transform"))?;
        let code = fields.get("proj:code").and_then(Value::as_str).ok_or_else(|| damaged("it has no proj:code"))?;
        Ok(Self {
            item: id.to_owned(),
            size: [width, height],
            transform: GeoTransform::from_gdal([s[2], s[0], s[1], s[5], s[3], s[4]]),
            from_lonlat: Projection::new(Crs::WGS84, code.parse()?)?,
        })
    }

    /// The corners of a detection, in pixels, not beyond the picture.
    fn ring(&self, row: &DetectionRow) -> Result<Vec<[f64; 2]>> {
        let damaged = || Error::DamagedItem { item: row.run.clone(), reason: "a detection has no polygon".to_owned() };
        let mut geometry: Value = serde_json::from_str(&row.geometry).map_err(|_| damaged())?;
        let ring: Vec<[f64; 2]> = serde_json::from_value(geometry["coordinates"][0].take()).map_err(|_| damaged())?;
        ring.into_iter()
            .map(|lonlat| {
                let [x, y] = self.transform.ground_to_pixel(self.from_lonlat.forward(lonlat)?)?;
                Ok([x.clamp(0.0, self.size[0]), y.clamp(0.0, self.size[1])])
            })
            .collect()
    }
}
