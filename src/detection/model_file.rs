//! Reads a model's file, with the description that may lie beside it.

use std::{fs, path::Path};

use serde_json::{Map, Value};

use super::{Error, Result, add_config, archive::read_config, memory};

/// Returns a model's archive from its file.
///
/// When the archive says nothing about itself, the description beside it is put in: `NAME.json`, `NAME.yaml` or `NAME.yml` for
/// `NAME.torchscript`, with the keys of Ultralytics' `config.txt` or `metadata.yaml`. What comes back speaks for itself from
/// then on, wherever it is stored.
///
/// # Errors
/// [`Error::ReadModel`]; [`Error::TooLarge`], before a byte is read, when loading it would take more memory than there is;
/// [`Error::NotTorchScript`] and [`Error::Metadata`] when the file or its description is something else.
pub fn read_model(path: &Path) -> Result<Vec<u8>> {
    read_within(path, memory::free())
}

fn read_within(path: &Path, free: u64) -> Result<Vec<u8>> {
    let model = path.display().to_string();
    let unread = |source| Error::ReadModel { model: model.clone(), source };
    let needed = memory::needed_by(fs::metadata(path).map_err(unread)?.len());
    if needed > free {
        return Err(Error::TooLarge { model, needed, free });
    }
    let archive = fs::read(path).map_err(unread)?;
    if read_config(&archive, &model)?.is_some() {
        return Ok(archive);
    }
    match description_beside(path)? {
        Some(description) => add_config(archive, &description, &model),
        None => Ok(archive),
    }
}

fn description_beside(path: &Path) -> Result<Option<Value>> {
    for extension in ["json", "yaml", "yml"] {
        let beside = path.with_extension(extension);
        let Ok(text) = fs::read_to_string(&beside) else { continue };
        let fault = |reason: String| Error::Metadata { model: beside.display().to_string(), reason };
        let description = if extension == "json" {
            serde_json::from_str(&text).map_err(|error| fault(format!("it is not JSON: {error}")))?
        } else {
            plain_yaml(&text).map_err(fault)?
        };
        return Ok(Some(description));
    }
    Ok(None)
}

/// Reads the YAML that exporters write: keys with a plain value, a flow list or map, or an indented list or map of plain values.
fn plain_yaml(text: &str) -> Result<Value, String> {
    let mut all = Map::new();
    let mut open: Option<String> = None;
    for (number, line) in text.lines().enumerate() {
        let line = without_comment(line).trim_end();
        let content = line.trim_start();
        if content.is_empty() || content == "---" {
            continue;
        }
        let fault = || format!("line {} is more than this reads of YAML; write it as NAME.json", number + 1);
        let is_inside = content.len() < line.len() || content.starts_with("- ");
        if !is_inside {
            let (key, value) = content.split_once(':').ok_or_else(fault)?;
            let key = scalar(key).as_str().map_or_else(|| key.trim().to_owned(), str::to_owned);
            open = value.trim().is_empty().then(|| key.clone());
            all.insert(
                key,
                if value.trim().is_empty() { Value::Null } else { inline(value.trim()).ok_or_else(fault)? },
            );
            continue;
        }
        let parent = all.get_mut(open.as_ref().ok_or_else(fault)?).ok_or_else(fault)?;
        if let Some(value) = content.strip_prefix("- ") {
            if parent.is_null() {
                *parent = Value::Array(vec![]);
            }
            parent.as_array_mut().ok_or_else(fault)?.push(inline(value.trim()).ok_or_else(fault)?);
        } else {
            let (key, value) = content.split_once(':').ok_or_else(fault)?;
            if parent.is_null() {
                *parent = Value::Object(Map::new());
            }
            let value = inline(value.trim()).ok_or_else(fault)?;
            parent.as_object_mut().ok_or_else(fault)?.insert(unquoted(key.trim()).to_owned(), value);
        }
    }
    Ok(Value::Object(all))
}

fn without_comment(line: &str) -> &str {
    if line.starts_with('#') {
        return "";
    }
    line.find(" #").map_or(line, |at| &line[..at])
}

/// Reads a value on one line.
fn inline(text: &str) -> Option<Value> {
    let parts = |inner: &str| -> Vec<String> {
        inner.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
    };
    if let Some(list) = text.strip_prefix('[') {
        return Some(parts(list.strip_suffix(']')?).iter().map(|part| scalar(part)).collect());
    }
    if let Some(map) = text.strip_prefix('{') {
        let pair =
            |part: &String| part.split_once(':').map(|(key, value)| (unquoted(key.trim()).to_owned(), scalar(value)));
        return parts(map.strip_suffix('}')?).iter().map(pair).collect::<Option<Map<_, _>>>().map(Value::Object);
    }
    Some(scalar(text))
}

fn scalar(text: &str) -> Value {
    let text = text.trim();
    match text {
        "true" | "True" => Value::Bool(true),
        "false" | "False" => Value::Bool(false),
        "null" | "~" => Value::Null,
        _ if unquoted(text) != text => Value::from(unquoted(text)),
        _ => text
            .parse::<u64>()
            .map(Value::from)
            .or_else(|_| text.parse::<f64>().map(Value::from))
            .unwrap_or(text.into()),
    }
}

fn unquoted(text: &str) -> &str {
    ['"', '\''].iter().find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write as _};

    use serde_json::json;
    use zip::{ZipWriter, write::SimpleFileOptions};

    use super::*;
    use crate::detection::{Task, read_spec};

    fn archive() -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for name in ["net/data.pkl", "net/constants.pkl", "net/code/__torch__.py"] {
            zip.start_file(name, SimpleFileOptions::default()).unwrap();
            zip.write_all(b"x").unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    fn spec_with(beside: &str, text: &str) -> Result<crate::detection::ModelSpec> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("net.torchscript");
        fs::write(&path, archive()).unwrap();
        fs::write(folder.path().join(beside), text).unwrap();
        read_spec(&read_model(&path)?, "net")
    }

    #[test]
    fn a_description_beside_the_weights_is_the_model_s() {
        let spec = spec_with("net.json", r#"{"names": ["a", "b"], "task": "segment", "imgsz": 320}"#).unwrap();
        assert_eq!(
            (spec.names, spec.task, spec.image_size),
            (vec!["a".into(), "b".into()], Some(Task::Segment), [320; 2])
        );
        let yaml = "# made by hand\ntask: obb\nstride: 32\nimgsz:\n- 480\n- 640\nnames:\n  0: Muskusrat klem\n  1: 'oever: stuk'\nargs: {dynamic: true}\n";
        let spec = spec_with("net.yaml", &yaml.replace("oever: stuk", "oever")).unwrap();
        assert_eq!((spec.names, spec.image_size), (vec!["Muskusrat klem".into(), "oever".into()], [640, 480]));
        assert_eq!((spec.task, spec.dynamic, spec.stride), (Some(Task::Rotated), true, 32));
    }

    #[test]
    fn a_description_that_cannot_be_read_is_named_by_its_file() {
        assert!(spec_with("net.json", "names: a").unwrap_err().to_string().contains("net.json"));
        let message = spec_with("net.yaml", "names\n").unwrap_err().to_string();
        assert!(message.contains("net.yaml") && message.contains("line 1"), "{message}");
        assert!(spec_with("other.json", "{}").unwrap_err().to_string().contains("NAME.json"));
    }

    #[test]
    fn yaml_values_have_their_types() {
        let text = "a: 1\nb: 0.5\nc: [x, 'y z']\nd: yes it is # really\ne:\n  - 7\nf: \"640\"\n";
        let read = plain_yaml(text).unwrap();
        assert_eq!(read, json!({"a": 1, "b": 0.5, "c": ["x", "y z"], "d": "yes it is", "e": [7], "f": "640"}));
    }

    #[test]
    fn a_model_that_does_not_fit_is_refused_before_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("huge.torchscript");
        fs::File::create(&path).unwrap().set_len(40 << 30).unwrap();
        let message = read_within(&path, 8 << 30).unwrap_err().to_string();
        assert!(message.contains("huge.torchscript") && message.contains("8589 MB are free"), "{message}");
        assert!(read_model(&folder.path().join("none.pt")).unwrap_err().to_string().contains("none.pt"));
    }
}
