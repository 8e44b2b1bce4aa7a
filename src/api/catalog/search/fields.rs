//! `fields`: which members of an item come back.
//!
//! Without it an item is copied as it is kept; with it each item is parsed. `id`, `collection`, `type` and what else makes
//! an item valid come by default when nothing is included by name (STAC API, fields 1.0).

use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::api::problem::Problem;

/// What comes when something is only taken away, or when an empty list asks for the least.
const USUAL: [&str; 9] =
    ["type", "stac_version", "id", "geometry", "bbox", "links", "assets", "properties.datetime", "collection"];

/// Without these two no client can tell what it got.
const ALWAYS: [&str; 2] = ["id", "collection"];

/// The members to give and to leave out; a dot leads inside.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::api::catalog) struct Fields {
    include: Option<Vec<String>>,
    exclude: Option<Vec<String>>,
}

impl Fields {
    /// Reads `id,properties.gsd,-geometry`.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let (mut include, mut exclude) = (Vec::new(), Vec::new());
        for field in text.split(',').map(str::trim).filter(|field| !field.is_empty()) {
            match field.strip_prefix('-') {
                Some("") => return Err(Problem::parameter("fields", text, "write fields with commas between")),
                Some(field) => exclude.push(field.to_owned()),
                None => include.push(field.strip_prefix('+').unwrap_or(field).to_owned()),
            }
        }
        let some = |list: Vec<String>| (!list.is_empty()).then_some(list);
        let fields = Self { include: some(include), exclude: some(exclude) };
        // `fields=` asks for the least.
        Ok(if fields == Self::default() { Self { include: Some(Vec::new()), ..fields } } else { fields })
    }

    /// Writes an item's JSON with these fields only.
    pub fn apply(&self, item: &str) -> String {
        let Ok(Value::Object(item)) = serde_json::from_str(item) else { return item.to_owned() };
        let mut kept = match &self.include {
            None => item.clone(),
            Some(include) => {
                let mut kept = Map::new();
                let usual: &[&str] = if include.is_empty() { &USUAL } else { &ALWAYS };
                for path in usual.iter().copied().chain(include.iter().map(String::as_str)) {
                    copy(&item, &mut kept, path);
                }
                kept
            }
        };
        for path in self.exclude.iter().flatten().filter(|path| !self.includes(path)) {
            remove(&mut kept, path);
        }
        for path in self.include.iter().flatten().filter(|path| self.is_inside_excluded(path)) {
            copy(&item, &mut kept, path);
        }
        Value::Object(kept).to_string()
    }

    /// What is named inside of something that is taken away comes alone: `-properties,properties.gsd`.
    fn is_inside_excluded(&self, path: &str) -> bool {
        let inside = |excluded: &String| path.strip_prefix(excluded.as_str()).is_some_and(|rest| rest.starts_with('.'));
        self.exclude.iter().flatten().any(inside)
    }

    /// What is asked for by name comes, also when it is taken away too.
    fn includes(&self, path: &str) -> bool {
        self.include.iter().flatten().any(|included| included == path)
    }
}

/// The parts of a path. A member may have a dot in its own name, so the rest is tried as one name first.
fn split<'a>(members: &Map<String, Value>, path: &'a str) -> (&'a str, Option<&'a str>) {
    match path.split_once('.') {
        Some((first, rest)) if !members.contains_key(path) => (first, Some(rest)),
        _ => (path, None),
    }
}

fn copy(from: &Map<String, Value>, to: &mut Map<String, Value>, path: &str) {
    let (name, rest) = split(from, path);
    match (from.get(name), rest) {
        (Some(value), None) => _ = to.insert(name.to_owned(), value.clone()),
        (Some(Value::Object(inner)), Some(rest)) => {
            let inside = to.entry(name).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inside) = inside {
                copy(inner, inside, rest);
            }
        }
        _ => {}
    }
}

fn remove(members: &mut Map<String, Value>, path: &str) {
    let (name, rest) = split(members, path);
    match rest {
        None => _ = members.shift_remove(name),
        Some(rest) => {
            if let Some(Value::Object(inner)) = members.get_mut(name) {
                remove(inner, rest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(text: &str) -> Value {
        let item = json!({
            "type": "Feature", "stac_version": "1.1.0", "id": "a", "collection": "c", "geometry": null, "links": [],
            "properties": { "datetime": "2025-01-01T00:00:00Z", "gsd": 0.1, "a.b": 1 }, "assets": { "x": { "href": "y" } },
        });
        serde_json::from_str(&Fields::parse(text).unwrap().apply(&item.to_string())).unwrap()
    }

    #[test]
    fn what_is_included_comes_with_the_name_of_the_item() {
        assert_eq!(fields("properties.gsd"), json!({ "id": "a", "collection": "c", "properties": { "gsd": 0.1 } }));
        assert_eq!(fields("properties.a.b")["properties"], json!({ "a.b": 1 }));
    }

    #[test]
    fn what_is_excluded_is_missing_and_the_rest_is_there() {
        let item = fields("-geometry,-properties.gsd");
        assert!(item.get("geometry").is_none() && item["properties"].get("gsd").is_none());
        assert_eq!((&item["properties"]["a.b"], &item["assets"]["x"]["href"]), (&json!(1), &json!("y")));
    }

    #[test]
    fn including_wins_and_an_empty_list_asks_for_the_least() {
        assert_eq!(fields("properties.gsd,-properties.gsd")["properties"], json!({ "gsd": 0.1 }));
        assert_eq!(fields("properties,-properties.gsd")["properties"].get("gsd"), None);
        assert_eq!(fields("-properties,properties.gsd")["properties"], json!({ "gsd": 0.1 }));
        assert_eq!(fields("")["properties"], json!({ "datetime": "2025-01-01T00:00:00Z" }));
    }
}
