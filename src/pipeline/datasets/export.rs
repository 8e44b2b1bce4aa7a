//! Writes a data set as files that trainers read: COCO, or folders as Ultralytics has them.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{
    Opened, Pictures,
    labels::{as_box, bounds},
};
use crate::{
    catalog::{Image, Label, Split},
    pipeline::{Context, Error, Observer, Result},
    raster::{self, Rgb8},
};

/// Quality of the JPEGs: what compression does to a chip is well below what a stitch has done to it.
const QUALITY: u8 = 95;

/// How files are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// `annotations/instances_{split}.json` and the pictures in `{split}/`.
    Coco,
    /// `data.yaml`, `images/{split}/` and `labels/{split}/`: boxes.
    Yolo,
}

/// What was written.
#[derive(Clone, Debug)]
pub struct Exported {
    pub images: usize,
    pub labels: usize,
    /// Splits without a picture, of which trainers may complain.
    pub empty: Vec<Split>,
    /// What to hand to the trainer.
    pub entry: PathBuf,
}

/// Writes all pictures and labels into a folder that is empty or not there yet. The list of files comes last, so that a
/// folder without it is one that broke off.
///
/// # Errors
/// [`Error::NotEmpty`], [`Error::Work`] when a file cannot be written, and those of [`Pictures::each`].
pub async fn export_dataset(
    context: &Context,
    dataset: &Opened,
    format: ExportFormat,
    folder: &Path,
    observer: Observer<'_>,
) -> Result<Exported> {
    let broken = |source| Error::Work { path: folder.to_owned(), source };
    fs::create_dir_all(folder).map_err(broken)?;
    if fs::read_dir(folder).map_err(broken)?.next().is_some() {
        return Err(Error::NotEmpty(folder.to_owned()));
    }
    let folder = folder.canonicalize().map_err(broken)?;
    let mut coco = Split::ALL.map(|split| (split, Coco::default()));
    let (mut images, mut count) = (0, 0);
    let take = |image: &Image, labels: &[Label], picture: Rgb8| {
        let split = image.split.as_str();
        let file = format!("{}.jpg", image.name);
        let shown = match format {
            ExportFormat::Coco => folder.join(split).join(&file),
            ExportFormat::Yolo => folder.join("images").join(split).join(&file),
        };
        write(&shown, &raster::encode_jpeg(&picture, QUALITY)?)?;
        if format == ExportFormat::Yolo {
            let text = folder.join("labels").join(split).join(format!("{}.txt", image.name));
            write(&text, yolo(labels, image.size).as_bytes())?;
        }
        for (_, list) in coco.iter_mut().filter(|(split, _)| *split == image.split) {
            list.add(&file, image, labels);
        }
        images += 1;
        count += labels.len();
        Ok(())
    };
    Pictures::of(context, dataset).each(&Split::ALL, observer, take).await?;
    let empty: Vec<Split> = coco.iter().filter(|(_, list)| list.images.is_empty()).map(|(split, _)| *split).collect();
    let entry = match format {
        ExportFormat::Yolo => {
            let entry = folder.join("data.yaml");
            write(&entry, data_yaml(dataset, &folder, &empty).as_bytes())?;
            entry
        }
        ExportFormat::Coco => {
            let entry = folder.join("annotations");
            for (split, list) in coco {
                let json = list.json(dataset).to_string();
                write(&entry.join(format!("instances_{}.json", split.as_str())), json.as_bytes())?;
            }
            entry
        }
    };
    Ok(Exported { images, labels: count, empty, entry })
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let broken = |source| Error::Work { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(broken)?;
    }
    fs::write(path, bytes).map_err(broken)
}

/// Writes a line for each box: class, centre and size in parts of the sides.
fn yolo(labels: &[Label], [width, height]: [usize; 2]) -> String {
    let mut text = String::new();
    for label in labels {
        let [left, top, right, bottom] = bounds(&label.ring);
        let (w, h) = (width as f64, height as f64);
        let (x, y) = (f64::midpoint(left, right) / w, f64::midpoint(top, bottom) / h);
        let _ = writeln!(text, "{} {x:.6} {y:.6} {:.6} {:.6}", label.class, (right - left) / w, (bottom - top) / h);
    }
    text
}

fn data_yaml(dataset: &Opened, folder: &Path, empty: &[Split]) -> String {
    let mut text = format!("# {} of polder\n# Change the path when the folder moves.\n", dataset.reference());
    let quoted = |text: &str| json!(text).to_string();
    let _ = writeln!(text, "path: {}", quoted(&folder.display().to_string()));
    for split in Split::ALL.into_iter().filter(|split| !empty.contains(split)) {
        let _ = writeln!(text, "{0}: images/{0}", split.as_str());
    }
    text.push_str("names:\n");
    for (i, class) in dataset.manifest.classes.iter().enumerate() {
        let _ = writeln!(text, "  {i}: {}", quoted(class));
    }
    text
}

/// The lists of one split.
#[derive(Default)]
struct Coco {
    images: Vec<Value>,
    annotations: Vec<Value>,
}

impl Coco {
    fn add(&mut self, file: &str, image: &Image, labels: &[Label]) {
        let id = self.images.len() + 1;
        let [width, height] = image.size;
        self.images.push(json!({ "id": id, "file_name": file, "width": width, "height": height }));
        for label in labels {
            let [left, top, right, bottom] = bounds(&label.ring);
            let outline: Vec<f64> = label.ring.iter().flatten().copied().collect();
            self.annotations.push(json!({
                "id": self.annotations.len() + 1, "image_id": id, "category_id": label.class + 1, "iscrowd": 0,
                "bbox": [left, top, right - left, bottom - top], "area": as_box([left, top, right, bottom]).area(),
                "segmentation": [outline],
            }));
        }
    }

    fn json(self, dataset: &Opened) -> Value {
        let classes = dataset.manifest.classes.iter().enumerate();
        let categories: Vec<Value> = classes.map(|(i, name)| json!({ "id": i + 1, "name": name })).collect();
        json!({
            "info": { "description": dataset.reference(), "version": dataset.object.sha256 },
            "licenses": [], "categories": categories, "images": self.images, "annotations": self.annotations,
        })
    }
}
