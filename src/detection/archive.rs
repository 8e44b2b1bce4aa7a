//! Reads what a TorchScript file says about itself, and writes it.
//!
//! A TorchScript file is a zip whose entries share one folder: `code/` holds the program, `constants.pkl` and
//! `data.pkl` the weights. Exporters put a description into `extra/config.txt`, as JSON; Ultralytics' is the
//! one that polder reads, and its own models add `gsd_m` and `confidence`. tch has no call for extra files, so
//! this goes through the zip itself, and works in a build without libtorch too.

use std::{
    collections::BTreeMap,
    io::{Cursor, Read as _, Write as _},
};

use serde_json::Value;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter, write::SimpleFileOptions};

use super::{Error, ModelSpec, Result, Task, detector::DEFAULT_CONFIDENCE};

/// Longest description that is read; real ones are a few kilobytes.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// Where libtorch wants entries to begin, so that weights can be mapped into memory.
const ENTRY_ALIGNMENT: u16 = 64;

/// The chip size that Ultralytics trains with unless told otherwise.
const DEFAULT_IMAGE_SIZE: u64 = 640;

/// Reads a model's description from its archive; `model` names it in errors.
///
/// # Errors
/// [`Error::NotTorchScript`] when the bytes are something else, [`Error::Task`] when the model does not detect,
/// [`Error::Metadata`] when class names are missing or the description cannot be understood.
pub fn read_spec(archive: &[u8], model: &str) -> Result<ModelSpec> {
    let config = read_config(archive, model)?;
    let fault = |reason: &str| Error::Metadata { model: model.to_owned(), reason: reason.to_owned() };
    let config = config.ok_or_else(|| {
        fault(
            "its archive holds no extra/config.txt with the class names; export it with them (Ultralytics does), or put \
                 them beside it as NAME.json or NAME.yaml: {\"task\": \"detect\", \"imgsz\": 640, \"names\": [\"a\", \"b\"]}",
        )
    })?;
    let config: Value =
        serde_json::from_slice(&config).map_err(|e| fault(&format!("its extra/config.txt is not JSON: {e}")))?;
    let task = match config.get("task").and_then(Value::as_str) {
        None => None,
        Some(task) => {
            Some(Task::parse(task).ok_or_else(|| Error::Task { model: model.to_owned(), task: task.to_owned() })?)
        }
    };
    if config.get("channels").and_then(Value::as_u64).is_some_and(|channels| channels != 3) {
        return Err(fault("it wants another number of channels than red, green and blue"));
    }
    let positive = |key: &str| config.get(key).and_then(Value::as_f64).filter(|v| v.is_finite() && *v > 0.0);
    let text = |key: &str| config.get(key).and_then(Value::as_str).map(str::to_owned);
    let names = names(&config).ok_or_else(|| fault("its description has no usable class names"))?;
    Ok(ModelSpec {
        class_confidence: class_confidence(&config, &names).map_err(|reason| fault(&reason))?,
        names,
        task,
        image_size: image_size(&config).ok_or_else(|| fault("its description has no usable image size (imgsz)"))?,
        dynamic: [config.get("dynamic"), config.pointer("/args/dynamic")].contains(&Some(&Value::Bool(true))),
        stride: config.get("stride").and_then(Value::as_u64).filter(|s| *s > 0).unwrap_or(32) as usize,
        gsd_m: positive("gsd_m"),
        confidence: positive("confidence").filter(|c| *c <= 1.0).unwrap_or(DEFAULT_CONFIDENCE),
        description: text("description"),
        version: text("version"),
        license: text("license"),
    })
}

/// Returns all that a model's archive says of it; nothing when it has no description or one that is not JSON.
///
/// # Errors
/// [`Error::NotTorchScript`] when the bytes are something else.
pub fn read_description(archive: &[u8], model: &str) -> Result<Option<Value>> {
    Ok(read_config(archive, model)?.and_then(|config| serde_json::from_slice(&config).ok()))
}

/// Counts the numbers that a traced program holds as constants, four bytes each. This is where tracing without gradients
/// puts the weights; a scripted model has them as parameters instead.
///
/// # Errors
/// [`Error::NotTorchScript`] when the bytes are something else.
pub fn count_constants(archive: &[u8], model: &str) -> Result<u64> {
    let mut zip = open(archive, model)?;
    let constants = format!("{}/constants/", folder(&mut zip, model)?);
    let mut bytes = 0;
    for i in 0..zip.len() {
        bytes += zip.by_index_raw(i).ok().filter(|entry| entry.name().starts_with(&constants)).map_or(0, |e| e.size());
    }
    Ok(bytes / 4)
}

/// Returns the archive with a description added, uncompressed as libtorch wants it; other entries stay as they are.
///
/// # Errors
/// [`Error::NotTorchScript`] when the bytes are something else, [`Error::Write`] when the zip cannot be extended.
pub fn add_config(archive: Vec<u8>, config: &Value, model: &str) -> Result<Vec<u8>> {
    let folder = folder(&mut open(&archive, model)?, model)?;
    let mut zip = ZipWriter::new_append(Cursor::new(archive)).map_err(std::io::Error::from)?;
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::DEFAULT)
        .with_alignment(ENTRY_ALIGNMENT);
    zip.start_file(format!("{folder}/extra/config.txt"), options).map_err(std::io::Error::from)?;
    zip.write_all(config.to_string().as_bytes())?;
    Ok(zip.finish().map_err(std::io::Error::from)?.into_inner())
}

/// Returns the bytes of `extra/config.txt`, if there is one.
pub(super) fn read_config(archive: &[u8], model: &str) -> Result<Option<Vec<u8>>> {
    let mut zip = open(archive, model)?;
    let path = format!("{}/extra/config.txt", folder(&mut zip, model)?);
    let Ok(entry) = zip.by_name(&path) else { return Ok(None) };
    let mut config = Vec::new();
    entry
        .take(MAX_CONFIG_BYTES)
        .read_to_end(&mut config)
        .map_err(|e| not_torch_script(model, format!("its {path} is damaged: {e}")))?;
    Ok(Some(config))
}

fn open<'a>(archive: &'a [u8], model: &str) -> Result<ZipArchive<Cursor<&'a [u8]>>> {
    if archive.is_empty() {
        return Err(not_torch_script(model, "the file is empty"));
    }
    ZipArchive::new(Cursor::new(archive)).map_err(|_| not_torch_script(model, "it is no zip archive, or a damaged one"))
}

/// Returns the folder that all entries share, once it is clear that they are a program with its weights.
fn folder(zip: &mut ZipArchive<Cursor<&[u8]>>, model: &str) -> Result<String> {
    let folder = zip
        .file_names()
        .find_map(|name| name.strip_suffix("/data.pkl").filter(|folder| !folder.contains('/')))
        .ok_or_else(|| not_torch_script(model, "the zip holds no data.pkl"))?
        .to_owned();
    let has = |part: &str| zip.file_names().any(|name| name.starts_with(&format!("{folder}/{part}")));
    if has("code/") && has("constants.pkl") {
        return Ok(folder);
    }
    Err(not_torch_script(
        model,
        "it holds weights without a program (a checkpoint of torch.save); export it as TorchScript first",
    ))
}

fn not_torch_script(model: &str, reason: impl Into<String>) -> Error {
    Error::NotTorchScript { model: model.to_owned(), reason: reason.into() }
}

/// Reads `{"0": "a", "1": "b"}` or `["a", "b"]`; class numbers must be complete.
fn names(config: &Value) -> Option<Vec<String>> {
    let name = |value: &Value| value.as_str().map(str::to_owned);
    let names: Vec<String> = match config.get("names")? {
        Value::Array(names) => names.iter().map(name).collect::<Option<_>>()?,
        Value::Object(names) => {
            (0..names.len()).map(|i| names.get(&i.to_string()).and_then(name)).collect::<Option<_>>()?
        }
        _ => return None,
    };
    (!names.is_empty()).then_some(names)
}

/// Reads `{"class": 0.4}` under `class_confidence`; the classes must be the model's.
fn class_confidence(config: &Value, names: &[String]) -> Result<BTreeMap<String, f64>, String> {
    let Some(given) = config.get("class_confidence") else { return Ok(BTreeMap::new()) };
    let given = given.as_object().ok_or("its class_confidence is no map of class names to confidences")?;
    let one = |(class, value): (&String, &Value)| match value.as_f64().filter(|c| (0.0..=1.0).contains(c)) {
        Some(confidence) if names.contains(class) => Ok((class.clone(), confidence)),
        _ => {
            Err(format!("its class_confidence says {value} of {class:?}, which is no confidence of a class of its own"))
        }
    };
    given.iter().map(one).collect()
}

/// Reads `640` or `[height, width]` as `[width, height]`.
fn image_size(config: &Value) -> Option<[usize; 2]> {
    let side = |value: &Value| value.as_u64().filter(|side| (1..=16_384).contains(side)).map(|side| side as usize);
    match config.get("imgsz").unwrap_or(&Value::from(DEFAULT_IMAGE_SIZE)) {
        Value::Array(sides) => match sides.as_slice() {
            [both] => side(both).map(|s| [s, s]),
            [height, width] => Some([side(width)?, side(height)?]),
            _ => None,
        },
        both => side(both).map(|s| [s, s]),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn zip_of(names: &[&str]) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for name in names {
            zip.start_file(*name, SimpleFileOptions::default()).unwrap();
            zip.write_all(b"x").unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    const PROGRAM: [&str; 3] = ["net/data.pkl", "net/constants.pkl", "net/code/__torch__.py"];

    fn reason(archive: &[u8]) -> String {
        read_spec(archive, "m.torchscript").unwrap_err().to_string()
    }

    #[test]
    fn a_file_that_is_not_torch_script_is_named_with_the_reason() {
        assert!(reason(b"").contains("m.torchscript: not TorchScript: the file is empty"));
        assert!(reason(b"hello, this is text").contains("no zip archive"));
        assert!(reason(&zip_of(&["word/document.xml"])).contains("no data.pkl"));
        assert!(reason(&zip_of(&["archive/data.pkl", "archive/data/0"])).contains("weights without a program"));
        assert!(reason(&zip_of(&PROGRAM)).contains("no extra/config.txt"));
    }

    #[test]
    fn a_description_that_was_added_is_read_back() {
        let config = json!({
            "names": {"0": "Muskusrat klem", "1": "Beschadiging oever"}, "imgsz": [480, 640], "stride": 16,
            "task": "obb", "args": {"dynamic": true}, "gsd_m": 0.03, "confidence": 0.4, "license": "MIT",
            "class_confidence": {"Beschadiging oever": 0.6},
        });
        let archive = add_config(zip_of(&PROGRAM), &config, "m").unwrap();
        let spec = read_spec(&archive, "m").unwrap();
        assert_eq!(spec.names, ["Muskusrat klem", "Beschadiging oever"]);
        assert_eq!((spec.image_size, spec.stride, spec.dynamic), ([640, 480], 16, true));
        assert_eq!(spec.task, Some(Task::Rotated));
        assert_eq!(spec.class_confidence, BTreeMap::from([("Beschadiging oever".to_owned(), 0.6)]));
        assert_eq!((spec.gsd_m, spec.confidence, spec.license.as_deref()), (Some(0.03), 0.4, Some("MIT")));
    }

    #[test]
    fn what_a_description_leaves_out_has_the_usual_value() {
        let archive = add_config(zip_of(&PROGRAM), &json!({"names": ["a"]}), "m").unwrap();
        let spec = read_spec(&archive, "m").unwrap();
        assert_eq!((spec.image_size, spec.stride, spec.dynamic), ([640, 640], 32, false));
        assert_eq!((spec.gsd_m, spec.confidence, spec.task), (None, DEFAULT_CONFIDENCE, None));
    }

    #[test]
    fn a_description_that_is_no_detector_s_is_refused() {
        let refused = |config: Value| reason(&add_config(zip_of(&PROGRAM), &config, "m").unwrap());
        assert!(refused(json!({"names": ["a"], "task": "pose"})).contains("\"pose\""));
        assert!(refused(json!({"names": {"0": "a", "2": "b"}})).contains("class names"));
        assert!(refused(json!({"task": "detect"})).contains("class names"));
        assert!(refused(json!({"names": ["a"], "imgsz": [0, 640]})).contains("imgsz"));
        assert!(refused(json!({"names": ["a"], "channels": 4})).contains("channels"));
        assert!(refused(json!({"names": ["a"], "class_confidence": {"b": 0.5}})).contains("\"b\""));
        assert!(refused(json!({"names": ["a"], "class_confidence": {"a": 5}})).contains("class_confidence"));
    }
}
