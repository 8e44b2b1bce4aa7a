//! What STAC 1.1 writes otherwise than 1.0: bands, and two words for a licence.
//!
//! The `stac` crate migrates too, but orders the members of a band anew at each run, gives a band the values that most
//! others have and it has not, and knows `description` as `eo:description`. An item must be the same item each time
//! that it is sent, and lose nothing.

use serde_json::{Map, Value, json};

/// The version that is written.
const TO: &str = "1.1.0";

/// The lists that `bands` replaces, with the fields that go on as fields of the extension. All others are common
/// metadata, or somebody's own.
const LISTS: [(&str, &str, &[&str]); 2] = [
    ("eo:bands", "eo:", &["common_name", "center_wavelength", "full_width_half_max", "solar_illumination"]),
    ("raster:bands", "raster:", &["sampling", "bits_per_sample", "spatial_resolution", "scale", "offset", "histogram"]),
];

/// Schemas that know the lists, by what they start with, and those that know their fields.
const SCHEMAS: [(&str, &str); 2] = [
    ("https://stac-extensions.github.io/eo/v1.", "https://stac-extensions.github.io/eo/v2.0.0/schema.json"),
    ("https://stac-extensions.github.io/raster/v1.", "https://stac-extensions.github.io/raster/v2.0.0/schema.json"),
];

/// Tells whether this is a version of which items and collections are upgraded.
pub(super) fn is_older(version: &str) -> bool {
    version == "1.0" || (version.starts_with("1.0.") && !version.contains('-'))
}

/// Makes an item or a collection of STAC 1.0 one of 1.1.0. What is not as STAC 1.0 wants it stays as it is.
pub(super) fn upgrade(document: &mut Map<String, Value>) {
    document.insert("stac_version".to_owned(), TO.into());
    let mut upgraded = false;
    for part in ["assets", "item_assets"] {
        for (_, asset) in document.get_mut(part).and_then(Value::as_object_mut).into_iter().flatten() {
            upgraded |= upgrade_fields(asset);
        }
    }
    for part in ["properties", "summaries"] {
        upgraded |= document.get_mut(part).is_some_and(upgrade_fields);
    }
    upgrade_licence(document);
    if upgraded {
        upgrade_extensions(document);
    }
}

fn upgrade_fields(fields: &mut Value) -> bool {
    let Value::Object(fields) = fields else { return false };
    upgrade_licence(fields);
    upgrade_bands(fields)
}

fn upgrade_licence(fields: &mut Map<String, Value>) {
    if let Some(licence) = fields.get_mut("license")
        && matches!(licence.as_str(), Some("proprietary" | "various"))
    {
        *licence = json!("other");
    }
}

/// Joins both lists into `bands`, which stands where the first of them stood.
fn upgrade_bands(fields: &mut Map<String, Value>) -> bool {
    let is_list = |value: &Value| value.as_array().is_some_and(|bands| bands.iter().all(Value::is_object));
    let given: Vec<_> = LISTS.iter().filter(|(name, ..)| fields.get(*name).is_some_and(is_list)).collect();
    if given.is_empty() || fields.contains_key("bands") {
        return false;
    }
    let mut bands: Vec<Map<String, Value>> = Vec::new();
    for (name, prefix, own) in &given {
        let list = fields.get_mut(*name).map(Value::take).and_then(|list| serde_json::from_value(list).ok());
        let list: Vec<Map<String, Value>> = list.unwrap_or_default();
        bands.resize_with(bands.len().max(list.len()), Map::new);
        for (band, given) in bands.iter_mut().zip(list) {
            for (field, value) in given {
                let prefixed = own.contains(&field.as_str()) || band.contains_key(&field);
                band.insert(if prefixed { format!("{prefix}{field}") } else { field }, value);
            }
        }
    }
    let mut bands = Some(json!(bands));
    *fields = std::mem::take(fields)
        .into_iter()
        .filter_map(|(name, value)| {
            let replaced = given.iter().any(|(list, ..)| *list == name);
            if replaced { bands.take().map(|bands| ("bands".to_owned(), bands)) } else { Some((name, value)) }
        })
        .collect();
    true
}

fn upgrade_extensions(document: &mut Map<String, Value>) {
    let Some(Value::Array(extensions)) = document.get_mut("stac_extensions") else { return };
    let mut upgraded: Vec<Value> = Vec::new();
    for extension in extensions.drain(..) {
        let newer = SCHEMAS.iter().find(|(older, _)| extension.as_str().is_some_and(|url| url.starts_with(older)));
        let extension = newer.map_or(extension, |(_, newer)| json!(newer));
        if !upgraded.contains(&extension) {
            upgraded.push(extension);
        }
    }
    *extensions = upgraded;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upgraded(document: Value) -> Value {
        let Value::Object(mut members) = document else { panic!("an object") };
        upgrade(&mut members);
        Value::Object(members)
    }

    #[test]
    fn the_lists_of_bands_become_one() {
        let asset = json!({
            "href": "a.tif",
            "eo:bands": [{"name": "r", "common_name": "red", "description": "Red"}, {"name": "n", "own": 1}],
            "raster:bands": [{"data_type": "uint16", "scale": 0.1, "nodata": 0}, {"name": "second"}, {"unit": "m"}],
            "title": "A",
        });
        let item = upgraded(json!({
            "type": "Feature", "stac_version": "1.0.0", "properties": {"license": "proprietary"},
            "stac_extensions": ["https://stac-extensions.github.io/eo/v1.1.0/schema.json", "https://example.org/x"],
            "assets": {"a": asset},
        }));
        let expected = json!({
            "href": "a.tif",
            "bands": [
                {
                    "name": "r", "eo:common_name": "red", "description": "Red",
                    "data_type": "uint16", "raster:scale": 0.1, "nodata": 0,
                },
                {"name": "n", "own": 1, "raster:name": "second"},
                {"unit": "m"},
            ],
            "title": "A",
        });
        assert_eq!(item["assets"]["a"].to_string(), expected.to_string());
        assert_eq!(item["stac_version"], "1.1.0");
        assert_eq!(item["properties"]["license"], "other");
        assert_eq!(item["stac_extensions"][0], "https://stac-extensions.github.io/eo/v2.0.0/schema.json");
    }

    #[test]
    fn collections_are_upgraded_in_all_that_they_say_of_their_items() {
        let bands = json!({"eo:bands": [{"name": "r"}]});
        let collection = upgraded(json!({
            "license": "various", "item_assets": {"a": bands}, "summaries": bands, "assets": {"t": {"href": "t"}},
        }));
        assert_eq!(collection["item_assets"]["a"], json!({"bands": [{"name": "r"}]}));
        assert_eq!(collection["summaries"], json!({"bands": [{"name": "r"}]}));
        assert_eq!(collection["license"], "other");
    }

    #[test]
    fn what_is_not_as_stac_1_0_wants_it_stays() {
        let asset = json!({"href": "a", "eo:bands": "red", "raster:bands": [1]});
        assert_eq!(upgraded(json!({"assets": {"a": asset, "b": 1}}))["assets"], json!({"a": asset, "b": 1}));
        let both = json!({"href": "a", "eo:bands": [{}], "bands": []});
        assert_eq!(upgraded(json!({"assets": {"a": both}}))["assets"]["a"], both);
    }

    #[test]
    fn the_result_says_what_the_stac_crate_says() {
        use stac::Migrate;
        let item = json!({
            "type": "Feature", "stac_version": "1.0.0", "id": "a", "geometry": null, "links": [],
            "properties": {"datetime": "2025-06-23T10:00:00Z", "license": "various"},
            "assets": {"a": {
                "href": "a.tif",
                "eo:bands": [{"name": "r", "common_name": "red"}, {"name": "g", "common_name": "green"}],
                "raster:bands": [{"scale": 1.0, "nodata": 0.0}, {"scale": 2.0, "unit": "m"}],
            }},
        });
        let theirs: stac::Item = serde_json::from_value(item.clone()).unwrap();
        let ours: stac::Item = serde_json::from_value(upgraded(item)).unwrap();
        assert_eq!(theirs.migrate(&stac::Version::v1_1_0).unwrap(), ours);
    }

    #[test]
    fn release_candidates_are_not_upgraded() {
        assert!(is_older("1.0.0") && !is_older("1.0.0-rc.1") && !is_older("1.1.0") && !is_older("0.9.0"));
    }
}
