//! A changed JSON value in the spelling of the text that it came from.
//!
//! A value that is read and written again is another text: `1.10` becomes `1.1`, and the last digit of a long number
//! may change. Where only a member changed, all others keep their text.

use std::collections::HashMap;

use serde_json::{Map, Value, value::RawValue};

use super::members::{Members, push_name};

/// Writes `after` as JSON. What is the same as in `before`, which was read from `text`, is written as it stands there,
/// and members keep the order that they had.
pub(super) fn respelled(text: &str, before: &Value, after: &Value) -> String {
    let mut out = String::with_capacity(text.len());
    write(&mut out, text, before, after);
    out
}

fn write(out: &mut String, text: &str, before: &Value, after: &Value) {
    match (before, after) {
        _ if before == after => out.push_str(text.trim()),
        (Value::Object(before), Value::Object(after)) => write_object(out, text, before, after),
        (Value::Array(before), Value::Array(after)) => write_list(out, text, before, after),
        _ => out.push_str(&after.to_string()),
    }
}

fn write_object(out: &mut String, text: &str, before: &Map<String, Value>, after: &Map<String, Value>) {
    let members = Members::parse(text);
    let texts: HashMap<&str, &str> = members.iter().flat_map(Members::iter).collect();
    let kept = before.keys().filter(|name| after.contains_key(*name));
    let added = after.keys().filter(|name| !before.contains_key(*name));
    out.push('{');
    for (i, name) in kept.chain(added).enumerate() {
        if i > 0 {
            out.push(',');
        }
        push_name(out, name);
        match (texts.get(name.as_str()), before.get(name)) {
            (Some(text), Some(before)) => write(out, text, before, &after[name]),
            _ => out.push_str(&after[name].to_string()),
        }
    }
    out.push('}');
}

/// An element that moved because others came or went is found by its distance to the end.
fn write_list(out: &mut String, text: &str, before: &[Value], after: &[Value]) {
    let texts: Vec<&RawValue> = serde_json::from_str(text).unwrap_or_default();
    let shift = before.len() as isize - after.len() as isize;
    out.push('[');
    for (i, value) in after.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        let moved = i.checked_add_signed(shift).filter(|&i| before.get(i) == Some(value));
        let place = moved.unwrap_or(i);
        match (texts.get(place), before.get(place)) {
            (Some(text), Some(before)) => write(out, text.get(), before, value),
            _ => out.push_str(&value.to_string()),
        }
    }
    out.push(']');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn changed(text: &str, change: impl FnOnce(&mut Value)) -> String {
        let before: Value = serde_json::from_str(text).unwrap();
        let mut after = before.clone();
        change(&mut after);
        let out = respelled(text, &before, &after);
        assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), after);
        out
    }

    #[test]
    fn what_did_not_change_keeps_its_spelling_and_its_place() {
        let text = r#"{"a": 1.10, "b": {"c": 1e3, "d": "\u00e9", "e": [1.0,  2.50]}, "f": 3}"#;
        let out = changed(text, |value| {
            value.as_object_mut().unwrap().swap_remove("a");
            value["b"]["c"] = json!(7);
            value["new"] = json!(null);
        });
        assert_eq!(out, r#"{"b":{"c":7,"d":"\u00e9","e":[1.0,  2.50]},"f":3,"new":null}"#);
    }

    #[test]
    fn elements_that_moved_keep_their_spelling() {
        let out = changed("[{\"a\": 1}, {\"b\": 2.0}, {\"c\": 3}]", |value| {
            value.as_array_mut().unwrap().remove(0);
        });
        assert_eq!(out, "[{\"b\": 2.0},{\"c\": 3}]");
        let out = changed("[{\"a\": 1}, {\"b\": 2.0}]", |value| {
            value.as_array_mut().unwrap().insert(0, json!(0));
        });
        assert_eq!(out, "[0,{\"a\": 1},{\"b\": 2.0}]");
    }

    #[test]
    fn what_did_not_change_at_all_is_the_text() {
        assert_eq!(changed(" {\"a\" : 1.0}\n", |_| {}), "{\"a\" : 1.0}");
    }
}
