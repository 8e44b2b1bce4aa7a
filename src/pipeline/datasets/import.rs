//! Reads labelled pictures from elsewhere: COCO's JSON, and folders as Ultralytics has them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::pipeline::{Error, Result};

/// Endings of pictures that are looked for beside a file of labels.
const PICTURES: [&str; 4] = ["jpg", "jpeg", "tif", "tiff"];

/// Labelled pictures, and the names of the classes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Imported {
    pub classes: Vec<String>,
    /// By path.
    pub pictures: BTreeMap<PathBuf, Vec<ImportedLabel>>,
}

/// One object: its class by number, its outline `[column, row]` either in pixels or in parts of the picture's sides.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportedLabel {
    pub class: usize,
    pub ring: Vec<[f64; 2]>,
    pub is_relative: bool,
}

fn fault(file: &Path, reason: impl Into<String>) -> Error {
    Error::Labels { file: file.display().to_string(), reason: reason.into() }
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })
}

fn four([left, top, width, height]: [f64; 4]) -> Vec<[f64; 2]> {
    vec![[left, top], [left + width, top], [left + width, top + height], [left, top + height]]
}

/// Reads COCO's `annotations.json`; file names are looked for in `folder`. Crowds are left out.
///
/// A polygon comes before a box; of several polygons of one object, the first counts.
///
/// # Errors
/// [`Error::Read`], [`Error::Labels`] with the annotation that cannot be used.
pub fn read_coco(file: &Path, folder: &Path) -> Result<Imported> {
    let json: Value =
        serde_json::from_str(&read(file)?).map_err(|error| fault(file, format!("it is no JSON: {error}")))?;
    let list = |name: &str| json[name].as_array().ok_or_else(|| fault(file, format!("it has no list {name:?}")));
    let mut classes = Vec::new();
    let mut numbers = BTreeMap::new();
    for category in list("categories")? {
        let (id, name) = (category["id"].as_i64(), category["name"].as_str());
        let (id, name) = id.zip(name).ok_or_else(|| fault(file, "a category has no id or no name"))?;
        numbers.insert(id, classes.len());
        classes.push(name.to_owned());
    }
    let mut paths = BTreeMap::new();
    let mut pictures: BTreeMap<PathBuf, Vec<ImportedLabel>> = BTreeMap::new();
    for image in list("images")? {
        let (id, name) = (image["id"].as_i64(), image["file_name"].as_str());
        let (id, name) = id.zip(name).ok_or_else(|| fault(file, "an image has no id or no file_name"))?;
        let path = folder.join(name);
        if !path.is_file() {
            return Err(fault(file, format!("its image {name:?} is not in {}", folder.display())));
        }
        pictures.insert(path.clone(), Vec::new());
        paths.insert(id, path);
    }
    for (i, annotation) in list("annotations")?.iter().enumerate() {
        if annotation["iscrowd"].as_i64() == Some(1) {
            continue;
        }
        let class = annotation["category_id"].as_i64().and_then(|id| numbers.get(&id));
        let class = *class.ok_or_else(|| fault(file, format!("annotation {i} has a category that is not listed")))?;
        let path = annotation["image_id"].as_i64().and_then(|id| paths.get(&id));
        let path = path.ok_or_else(|| fault(file, format!("annotation {i} has an image that is not listed")))?;
        let polygon = numbers_of(&annotation["segmentation"][0]).filter(|p| p.len() >= 6 && p.len() % 2 == 0);
        let polygon = polygon.map(|p| p.chunks_exact(2).map(|at| [at[0], at[1]]).collect::<Vec<_>>());
        let bbox = || numbers_of(&annotation["bbox"]).and_then(|b| b.try_into().ok()).map(four);
        let ring =
            polygon.or_else(bbox).ok_or_else(|| fault(file, format!("annotation {i} has neither box nor polygon")))?;
        pictures.entry(path.clone()).or_default().push(ImportedLabel { class, ring, is_relative: false });
    }
    Ok(Imported { classes, pictures })
}

fn numbers_of(value: &Value) -> Option<Vec<f64>> {
    value.as_array()?.iter().map(Value::as_f64).collect()
}

/// Reads a folder as Ultralytics has it: `data.yaml` with the names, `labels/…/x.txt` beside `images/…/x.jpg`.
///
/// Lines are boxes (class, centre, size), turned boxes (class, four corners) or polygons, in parts of the sides. The splits
/// that the folder has are not taken over: polder splits by place. A picture without labels shows nothing.
///
/// # Errors
/// [`Error::Read`], [`Error::Labels`] with file and line.
pub fn read_yolo(folder: &Path) -> Result<Imported> {
    let yaml = folder.join("data.yaml");
    let classes = names(&read(&yaml)?).ok_or_else(|| fault(&yaml, "it has no names, as `names: [a, b]`"))?;
    let mut pictures = BTreeMap::new();
    for path in files(&folder.join("images"))? {
        let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        if !PICTURES.contains(&ending.as_str()) {
            continue;
        }
        let inside = path.strip_prefix(folder.join("images")).unwrap_or(&path);
        let labels = folder.join("labels").join(inside).with_extension("txt");
        let lines = if labels.is_file() { read(&labels)? } else { String::new() };
        let mut found = Vec::new();
        for (i, line) in lines.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let label = yolo_line(line).filter(|label| label.class < classes.len());
            found.push(label.ok_or_else(|| fault(&labels, format!("line {} is no label: {line:?}", i + 1)))?);
        }
        pictures.insert(path, found);
    }
    Ok(Imported { classes, pictures })
}

fn yolo_line(line: &str) -> Option<ImportedLabel> {
    let mut words = line.split_whitespace();
    let class = words.next()?.parse().ok()?;
    let numbers: Vec<f64> =
        words.map(|word| word.parse().ok().filter(|n: &f64| n.is_finite())).collect::<Option<_>>()?;
    let ring = match numbers.as_slice() {
        [x, y, width, height] => four([x - width / 2.0, y - height / 2.0, *width, *height]),
        corners if corners.len() >= 6 && corners.len() % 2 == 0 => {
            corners.chunks_exact(2).map(|at| [at[0], at[1]]).collect()
        }
        _ => return None,
    };
    Some(ImportedLabel { class, ring, is_relative: true })
}

/// Reads the class names: `names: [a, b]`, or below `names:` a list (`- a`) or numbers (`0: a`).
fn names(yaml: &str) -> Option<Vec<String>> {
    let plain = |text: &str| {
        let text = text.trim();
        let quoted = ['"', '\''].into_iter().find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote));
        quoted.unwrap_or(text).to_owned()
    };
    let mut lines = yaml.lines().skip_while(|line| !line.starts_with("names:"));
    let first = lines.next()?.strip_prefix("names:")?.split(" #").next()?.trim();
    if let Some(list) = first.strip_prefix('[') {
        return Some(list.strip_suffix(']')?.split(',').map(plain).collect());
    }
    let below = lines.map(|line| line.split(" #").next().unwrap_or(line)).filter(|line| !line.trim().is_empty());
    let below = below.take_while(|line| line.starts_with([' ', '-']));
    let mut found = BTreeMap::new();
    for (i, line) in below.enumerate() {
        match line.trim().strip_prefix("- ") {
            Some(name) => found.insert(i, plain(name)),
            None => {
                line.split_once(':').and_then(|(number, name)| found.insert(number.trim().parse().ok()?, plain(name)))
            }
        };
    }
    let is_complete = !found.is_empty() && found.keys().copied().eq(0..found.len());
    is_complete.then(|| found.into_values().collect())
}

/// Lists the files of a folder and of those in it.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let broken = |source| Error::Read { path: folder.to_owned(), source };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(broken)? {
        let path = entry.map_err(broken)?.path();
        if path.is_dir() { found.extend(files(&path)?) } else { found.push(path) }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_each_of_the_ways_that_people_write_them() {
        let wanted = Some(vec!["Muskusrat klem".to_owned(), "b".to_owned()]);
        assert_eq!(names("path: x\nnames: ['Muskusrat klem', b]\n"), wanted);
        assert_eq!(names("names:\n  0: Muskusrat klem\n  1: b # the other\ntrain: x\n"), wanted);
        assert_eq!(names("nc: 2\nnames:\n- Muskusrat klem\n- \"b\"\nval: y"), wanted);
        assert_eq!(names("names:\n  0: a\n  2: b\n"), None, "a number is missing");
    }

    #[test]
    fn lines_are_boxes_or_outlines() {
        let ring = |line: &str| yolo_line(line).map(|label| label.ring);
        assert_eq!(ring("1 0.5 0.5 0.2 0.4").unwrap()[0], [0.4, 0.3]);
        assert_eq!(ring("0 0.1 0.1 0.2 0.1 0.2 0.2").unwrap().len(), 3);
        for wrong in ["", "x 0 0 1 1", "0 0.1 0.2", "0 0.1 0.2 0.3 nan", "0 0.1 0.2 0.3 0.4 0.5"] {
            assert!(ring(wrong).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn coco_is_read_with_polygons_before_boxes_and_without_crowds() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.jpg"), "x").unwrap();
        let file = folder.path().join("coco.json");
        let write = |image: i64| {
            let json = serde_json::json!({
                "categories": [{ "id": 7, "name": "trap" }], "images": [{ "id": 1, "file_name": "a.jpg" }],
                "annotations": [
                    { "image_id": 1, "category_id": 7, "bbox": [1, 2, 3, 4], "segmentation": [] },
                    { "image_id": 1, "category_id": 7, "bbox": [0, 0, 9, 9], "segmentation": [[1, 1, 5, 1, 5, 5]] },
                    { "image_id": image, "category_id": 7, "bbox": [0, 0, 9, 9], "iscrowd": i64::from(image == 1) },
                ],
            });
            fs::write(&file, json.to_string()).unwrap();
        };
        write(1);
        let imported = read_coco(&file, folder.path()).unwrap();
        let labels = &imported.pictures[&folder.path().join("a.jpg")];
        assert_eq!((imported.classes, labels.len()), (vec!["trap".to_owned()], 2));
        assert_eq!((labels[0].ring[2], labels[1].ring[2]), ([4.0, 6.0], [5.0, 5.0]));
        write(2);
        assert!(read_coco(&file, folder.path()).unwrap_err().to_string().contains("annotation 2 has an image"));
    }
}
