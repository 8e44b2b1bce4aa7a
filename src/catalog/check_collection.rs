//! Whether a JSON value is a collection of STAC 1.1.

use serde_json::Value;

use super::{
    Result,
    check::check_version,
    common::check_common,
    fault::{Faults, Place},
    geometry::check_bbox,
    parse_time,
    parts::{check_asset_fields, check_assets, check_extensions, check_id, check_links},
    shapes::{check_filled, check_nul, each_member},
    tree::{Object, Tree},
};

/// Checks a collection. Members that STAC does not know may be anything.
///
/// # Errors
/// [`Error::Faults`](super::Error::Faults) with all that is wrong.
pub fn check_collection(collection: &Value) -> Result<()> {
    let mut faults = Faults::default();
    check(&Tree::from(collection), &mut faults);
    faults.into_result()
}

pub(super) fn check(collection: &Tree, faults: &mut Faults) {
    let root = &Place::Root;
    let Some(members) = collection.object() else { return faults.add(root, "must be an object") };
    check_nul(collection, root, faults);
    let kind = members.get("type").and_then(Tree::text);
    faults.expect(kind == Some("Collection"), &root.member("type"), "must be \"Collection\"");
    check_version(members, root, faults);
    check_id(members.get("id"), &root.member("id"), faults);
    for name in ["description", "license"] {
        if members.get(name).is_none() {
            check_filled(None, &root.member(name), faults);
        }
    }
    check_common(members, root, faults);
    check_extent(members.get("extent"), &root.member("extent"), faults);
    check_links(members.get("links"), &root.member("links"), faults);
    for (name, value) in members.iter() {
        let at = root.member(name);
        match name {
            "stac_extensions" => check_extensions(value, &at, faults),
            "summaries" => check_summaries(value, &at, faults),
            "assets" => check_assets(value, &at, faults),
            "item_assets" => each_member(value, &at, faults, check_asset_fields),
            _ => {}
        }
    }
}

/// The first box and the first interval are those of the whole; more say where within it there is something.
fn check_extent(extent: Option<&Tree>, at: &Place, faults: &mut Faults) {
    let Some(extent) = extent.and_then(Tree::object) else {
        return faults.add(at, "must be an object with spatial and temporal");
    };
    let part = |part: &str, list: &str| extent.get(part).and_then(Tree::object).and_then(|part| part.get(list));
    let at_boxes = at.member("spatial");
    each_of_some(part("spatial", "bbox"), &at_boxes.member("bbox"), faults, check_bbox);
    let at_intervals = at.member("temporal");
    each_of_some(part("temporal", "interval"), &at_intervals.member("interval"), faults, check_interval);
}

fn each_of_some(list: Option<&Tree>, at: &Place, faults: &mut Faults, check: impl Fn(&Tree, &Place, &mut Faults)) {
    match list.and_then(Tree::list) {
        None | Some([]) => faults.add(at, "must be a list that is not empty"),
        Some(values) => values.iter().enumerate().for_each(|(i, value)| check(value, &at.element(i), faults)),
    }
}

fn check_interval(interval: &Tree, at: &Place, faults: &mut Faults) {
    let end = |value: &Tree| match value {
        Tree::Null => Some(None),
        value => value.text().and_then(|text| parse_time(text).ok()).map(Some),
    };
    let ends = match interval.list() {
        Some([start, last]) => end(start).zip(end(last)),
        _ => None,
    };
    match ends {
        None => faults.add(at, "must be two times as RFC 3339 writes them, null where it is open"),
        Some((Some(start), Some(last))) => faults.expect(start <= last, at, "must not end before it starts"),
        Some(_) => {}
    }
}

fn check_summaries(summaries: &Tree, at: &Place, faults: &mut Faults) {
    let Some(summaries) = summaries.object() else { return faults.add(at, "must be an object") };
    for (name, value) in summaries.iter() {
        let fine = value.object().is_some_and(|object: &Object| !object.is_empty())
            || value.list().is_some_and(|list| !list.is_empty());
        faults.expect(fine, &at.member(name), "must be a list of values, a range, or a JSON schema");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalog::{Coverage, Error, Layer, collection};

    fn given() -> Value {
        json!({
            "type": "Collection", "stac_version": "1.1.0", "id": "c", "description": "d", "license": "other",
            "extent": {
                "spatial": {"bbox": [[170, -10, -170, 10]]},
                "temporal": {"interval": [["2025-06-23T10:00:00Z", null]]},
            },
            "links": [],
        })
    }

    fn pointers(collection: &Value) -> Vec<String> {
        match check_collection(collection) {
            Err(Error::Faults(faults)) => faults.into_iter().map(|fault| fault.pointer).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn the_collections_of_the_layers_are_fine() {
        assert!(pointers(&given()).is_empty());
        for layer in Layer::ALL {
            assert!(pointers(&json!(collection(layer, &Coverage::default()))).is_empty(), "{layer}");
        }
    }

    #[test]
    fn each_fault_is_pointed_at() {
        for (name, wrong, expected) in [
            ("type", json!("Feature"), "/type"),
            ("stac_version", json!(1.1), "/stac_version"),
            ("id", json!("a\u{7}"), "/id"),
            ("description", json!(""), "/description"),
            ("license", json!(null), "/license"),
            ("title", json!(1), "/title"),
            ("keywords", json!("a"), "/keywords"),
            ("providers", json!([{}]), "/providers/0/name"),
            ("links", json!([{"rel": "self"}]), "/links/0/href"),
            ("summaries", json!({"gsd": 1}), "/summaries/gsd"),
            ("assets", json!({"a": {}}), "/assets/a/href"),
            ("item_assets", json!({"a": {"roles": [1]}}), "/item_assets/a/roles"),
            ("stac_extensions", json!(["x"]), "/stac_extensions/0"),
            ("text", json!(["a\0"]), "/text/0"),
            ("extent", json!([]), "/extent"),
        ] {
            let mut collection = given();
            collection[name] = wrong;
            assert_eq!(pointers(&collection), [expected]);
        }
        for (part, list, wrong, expected) in [
            ("spatial", "bbox", json!([]), "/extent/spatial/bbox"),
            ("spatial", "bbox", json!([[1, 2, 3]]), "/extent/spatial/bbox/0"),
            ("temporal", "interval", json!([["2025"]]), "/extent/temporal/interval/0"),
            (
                "temporal",
                "interval",
                json!([[null, null], ["2025-01-02T00:00:00Z", "2025-01-01T00:00:00Z"]]),
                "/extent/temporal/interval/1",
            ),
        ] {
            let mut collection = given();
            collection["extent"][part][list] = wrong;
            assert_eq!(pointers(&collection), [expected]);
        }
    }

    #[test]
    fn all_faults_are_told_at_once() {
        assert_eq!(pointers(&json!({})).len(), 7);
    }
}
