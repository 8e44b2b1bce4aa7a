//! Whether a JSON text is an item that can be stored and found again.
//!
//! The rules are those of the STAC 1.1 item and its common metadata, and what storing and searching need beyond them.
//! Members that STAC does not know may be anything. Each fault is told with its place, not only the first: whoever
//! writes items mends them all at once.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{
    Result, Shape, Summary,
    common::check_common,
    decimals::too_fine,
    fault::{Faults, Place},
    geometry::check_whereabouts,
    parse_time,
    parts::{check_assets, check_extensions, check_id, check_links},
    shapes::check_nul,
    summary::bbox_of,
    tree::{Object, Tree},
};

/// What search needs of an item.
pub(super) struct Searchable {
    pub collection: String,
    pub id: String,
    pub geometry: Option<Shape>,
    pub starts_at: DateTime<Utc>,
    pub ends_at: DateTime<Utc>,
    pub summary: Summary,
}

/// Checks an item and returns what search needs of it. `faults` are those that somebody found already.
///
/// # Errors
/// [`Error::Json`](super::Error::Json) when it is no JSON, [`Error::Faults`](super::Error::Faults) with all that is
/// wrong.
pub(super) fn checked(json: &str, mut faults: Faults) -> Result<Searchable> {
    let item: Tree = serde_json::from_str(json)?;
    let searchable = check_item(&item, json, &mut faults);
    faults.into_result()?;
    Ok(searchable.expect("an item without faults has an id, a collection and a time"))
}

fn check_item(item: &Tree, json: &str, faults: &mut Faults) -> Option<Searchable> {
    let root = &Place::Root;
    let Tree::Object(members) = item else {
        faults.add(root, "must be an object");
        return None;
    };
    check_no_nul(item, json, faults);
    faults.expect(!too_fine(json), root, "must not have numbers with more than 16383 decimals");
    faults.expect(
        members.get("type").and_then(Tree::text) == Some("Feature"),
        &root.member("type"),
        "must be \"Feature\"",
    );
    check_version(members, root, faults);
    if let Some(extensions) = members.get("stac_extensions") {
        check_extensions(extensions, &root.member("stac_extensions"), faults);
    }
    let id = check_id(members.get("id"), &root.member("id"), faults);
    let collection = check_id(members.get("collection"), &root.member("collection"), faults);
    check_whereabouts(members, root, faults);
    let at_properties = root.member("properties");
    let properties = members.get("properties").and_then(Tree::object);
    faults.expect(properties.is_some(), &at_properties, "must be an object");
    let times = properties.and_then(|properties| {
        check_common(properties, &at_properties, faults);
        check_times(properties, &at_properties, faults)
    });
    check_links(members.get("links"), &root.member("links"), faults);
    match members.get("assets") {
        Some(assets) => check_assets(assets, &root.member("assets"), faults),
        None => faults.add(&root.member("assets"), "must be there, if only as an empty object"),
    }
    let (starts_at, ends_at) = times?;
    let geometry = members.get("geometry").and_then(Shape::of);
    let bbox = members.get("geometry").and_then(bbox_of);
    let assets = members.get("assets").and_then(Tree::object);
    let summary = Summary::of_item(bbox, [starts_at, ends_at], properties?, assets);
    Some(Searchable { collection: collection?, id: id?, geometry, starts_at, ends_at, summary })
}

/// Checks that a document is of version 1 of STAC. What came before 1.0.0, release candidates among it, is another
/// format.
pub(super) fn check_version(document: &Object, at: &Place, faults: &mut Faults) {
    let version = document.get("stac_version").and_then(Tree::text);
    let fine = version.and_then(|version| version.strip_prefix("1.")).is_some_and(|rest| {
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let (minor, patch) = rest.split_once('.').unwrap_or((rest, "0"));
        let (release, candidate) = patch.split_once('-').map_or((patch, false), |(release, _)| (release, true));
        is_number(minor) && is_number(release) && !(minor == "0" && candidate)
    });
    faults.expect(fine, &at.member("stac_version"), "must be a version 1 of STAC, as \"1.1.0\"");
}

/// Checks when an item was seen, and returns the span of time in which search finds it.
fn check_times(properties: &Object, at: &Place, faults: &mut Faults) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let mut read = |name: &str| match properties.get(name) {
        None | Some(Tree::Null) => Some(None),
        Some(value) => {
            let time = value.text().and_then(|text| parse_time(text).ok());
            faults.expect(time.is_some(), &at.member(name), "must be a time as RFC 3339 writes it");
            time.map(Some)
        }
    };
    let (time, start, end) = (read("datetime"), read("start_datetime"), read("end_datetime"));
    let mut wrong = |name: &str, problem: &str| {
        faults.add(&at.member(name), problem);
        None
    };
    let span = match (start, end) {
        (Some(Some(start)), Some(Some(end))) if start <= end => Some((start, end)),
        (Some(Some(_)), Some(Some(_))) => wrong("end_datetime", "must not be before start_datetime"),
        (Some(Some(_)), Some(None)) => wrong("end_datetime", "must be there, because start_datetime is"),
        (Some(None), Some(Some(_))) => wrong("start_datetime", "must be there, because end_datetime is"),
        (Some(None), Some(None)) => time.flatten().map(|time| (time, time)),
        _ => None,
    };
    match properties.get("datetime") {
        None => wrong("datetime", "must be there; null only where there are start_datetime and end_datetime"),
        Some(Tree::Null) if (start, end) == (Some(None), Some(None)) => {
            wrong("datetime", "must be a time, or start_datetime and end_datetime must be there")
        }
        Some(_) => span,
    }
}

/// Refuses `\u0000`, which `PostgreSQL` can keep in neither text nor jsonb, with the JSON pointer of each place.
///
/// # Errors
/// [`Error::Faults`](super::Error::Faults) when there is one.
pub fn refuse_nul(value: &Value, json: &str) -> Result<()> {
    let mut faults = Faults::default();
    check_no_nul(&Tree::from(value), json, &mut faults);
    faults.into_result()
}

/// The escape can only be there when its text is; the walk is for the rare case.
pub(super) fn check_no_nul(value: &Tree, json: &str, faults: &mut Faults) {
    if json.contains("\\u0000") {
        check_nul(value, &Place::Root, faults);
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};
    use serde_json::json;

    use super::*;
    use crate::catalog::{Error, StoredItem};

    fn item() -> Value {
        json!({
            "type": "Feature", "stac_version": "1.1.0", "id": "a", "collection": "c",
            "geometry": {"type": "Point", "coordinates": [5.0, 52.0]}, "bbox": [5.0, 52.0, 5.0, 52.0],
            "properties": {"datetime": "2025-06-23T10:00:00Z"}, "links": [], "assets": {},
        })
    }

    fn pointers(json: &str) -> Vec<String> {
        match checked(json, Faults::default()) {
            Ok(_) => Vec::new(),
            Err(Error::Faults(faults)) => faults.into_iter().map(|fault| fault.pointer).collect(),
            Err(other) => panic!("expected faults, got {other}"),
        }
    }

    /// Puts a value into an item, makes the way to it where there is none, and returns what is wrong then.
    fn with(at: &str, value: Value) -> Vec<String> {
        let mut item = item();
        let names: Vec<&str> = at.split('/').skip(1).collect();
        let (last, parents) = names.split_last().unwrap();
        let parent = parents.iter().fold(&mut item, |place, name| &mut place[*name]);
        parent[*last] = value;
        pointers(&item.to_string())
    }

    #[test]
    fn each_fault_is_pointed_at() {
        assert!(pointers(&item().to_string()).is_empty());
        for (at, wrong) in [
            ("/type", json!("Collection")),
            ("/stac_version", json!("0.9.0")),
            ("/stac_version", json!("1.0.0-rc.1")),
            ("/stac_extensions", json!("eo")),
            ("/id", json!("")),
            ("/id", json!("..")),
            ("/id", json!("a\nb")),
            ("/id", json!("x".repeat(1025))),
            ("/collection", json!(null)),
            ("/geometry", json!("here")),
            ("/geometry", json!(null)),
            ("/bbox", json!([1, 2])),
            ("/bbox", json!([5, 53, 6, 52])),
            ("/properties/datetime", json!("now")),
            ("/properties/datetime", json!(null)),
            ("/properties/start_datetime", json!(3)),
            ("/properties/created", json!("yesterday")),
            ("/properties/updated", json!(null)),
            ("/properties/gsd", json!(0)),
            ("/properties/platform", json!(["a"])),
            ("/properties/instruments", json!("a")),
            ("/properties/keywords", json!([1])),
            ("/properties/license", json!("")),
            ("/properties/providers", json!({})),
            ("/properties/data_type", json!("byte")),
            ("/properties/nodata", json!("none")),
            ("/properties/statistics", json!(1)),
            ("/links", json!({})),
            ("/assets", json!([])),
        ] {
            let found = with(at, wrong.clone());
            let place = if at == "/geometry" && wrong.is_null() { "/bbox" } else { at };
            assert_eq!(found, [place], "{at} {wrong}");
        }
    }

    #[test]
    fn faults_inside_parts_are_pointed_at_too() {
        for (at, wrong, expected) in [
            ("/assets", json!({"x": {}}), vec!["/assets/x/href"]),
            ("/assets", json!({"": {"href": "a"}}), vec!["/assets/"]),
            ("/assets", json!({"x": 1}), vec!["/assets/x"]),
            (
                "/assets",
                json!({"x": {"href": "a", "roles": "data", "type": 1}}),
                vec!["/assets/x/type", "/assets/x/roles"],
            ),
            (
                "/assets",
                json!({"x": {"href": "a", "bands": [{"name": 1, "gsd": -1}]}}),
                vec!["/assets/x/bands/0/name", "/assets/x/bands/0/gsd"],
            ),
            ("/assets", json!({"x": {"href": "a", "alternate": {"s3": 1}}}), vec!["/assets/x/alternate/s3"]),
            ("/links", json!([{"rel": "a"}, 3]), vec!["/links/0/href", "/links/1"]),
            ("/stac_extensions", json!(["https://example.org/a", "eo"]), vec!["/stac_extensions/1"]),
            (
                "/properties/providers",
                json!([{"url": 1}]),
                vec!["/properties/providers/0/name", "/properties/providers/0/url"],
            ),
            ("/properties/statistics", json!({"mean": "1"}), vec!["/properties/statistics/mean"]),
            ("/properties/end_datetime", json!("2025-06-23T10:00:00Z"), vec!["/properties/start_datetime"]),
        ] {
            assert_eq!(with(at, wrong.clone()), expected, "{wrong}");
        }
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let json = r#"{"type": "feature", "id": 7, "properties": {"gsd": "fine"}}"#;
        assert_eq!(
            pointers(json),
            [
                "/type",
                "/stac_version",
                "/id",
                "/collection",
                "/geometry",
                "/properties/gsd",
                "/properties/datetime",
                "/links",
                "/assets",
            ]
        );
    }

    #[test]
    fn an_item_lasts_from_start_to_end_and_may_then_have_no_datetime() {
        let mut lasting = item();
        lasting["properties"] = json!({
            "datetime": null, "start_datetime": "2025-06-23T10:00:00Z", "end_datetime": "2025-06-23T11:00:00Z",
        });
        let searchable = checked(&lasting.to_string(), Faults::default()).unwrap();
        assert_eq!((searchable.ends_at - searchable.starts_at).num_minutes(), 60);
        lasting["properties"]["end_datetime"] = json!("2025-06-23T09:00:00Z");
        assert_eq!(pointers(&lasting.to_string()), ["/properties/end_datetime"]);
        lasting["properties"]["datetime"] = json!("noon");
        lasting["properties"]["end_datetime"] = json!("2025-06-23T11:00:00Z");
        assert_eq!(pointers(&lasting.to_string()), ["/properties/datetime"]);
    }

    #[test]
    fn a_nul_is_pointed_at_in_values_and_names_but_not_in_plain_text() {
        assert_eq!(with("/properties/x", json!([1, "x\0y"])), ["/properties/x/1"]);
        assert_eq!(with("/properties/n\0", json!(1)), ["/properties/n\\u0000"]);
        assert!(with("/properties/text", json!("\\u0000 is an escape")).is_empty());
    }

    #[test]
    fn a_number_that_is_too_fine_to_store_is_refused() {
        let json = item().to_string().replace(r#""properties":{"#, r#""properties":{"x":1e-20000,"#);
        assert_eq!(pointers(&json), [""]);
    }

    #[test]
    fn an_item_without_a_place_needs_no_bbox() {
        let mut placeless = item();
        placeless["geometry"] = Value::Null;
        placeless.as_object_mut().unwrap().remove("bbox");
        assert!(checked(&placeless.to_string(), Faults::default()).unwrap().geometry.is_none());
    }

    pub(crate) fn any_json() -> impl Strategy<Value = Value> {
        let word = prop_oneof![Just("href"), Just("rel"), Just("type"), Just("coordinates"), Just("a/b~\u{1}")];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            Just(json!("s3://own/k")),
        ];
        leaf.prop_recursive(5, 40, 6, move |inner| {
            let members = vec((word.clone(), inner.clone()), 0..6);
            let object = members.prop_map(|members| {
                Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
            });
            prop_oneof![vec(inner, 0..6).prop_map(Value::from), object]
        })
    }

    proptest! {
        #[test]
        fn no_json_makes_it_panic(value in any_json(), member in 0_usize..9) {
            let mut item = item();
            let name = item.as_object().unwrap().keys().nth(member).unwrap().clone();
            item[name] = value.clone();
            for json in [value.to_string(), item.to_string()] {
                match StoredItem::parse(&json, &["own"]) {
                    Ok(_) => {}
                    Err(Error::Faults(faults)) => prop_assert!(!faults.is_empty()),
                    Err(other) => panic!("{other}: {json}"),
                }
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = checked(&text, Faults::default());
        }
    }
}
