//! Whether a JSON text is an item that can be stored and found again.

use chrono::{DateTime, Utc};
use geojson::{Geometry, GeometryValue, Position};
use serde_json::{Map, Value};

use super::{Error, Result, time::parse_time};

/// What search needs of an item.
pub(super) struct Searchable {
    pub collection: String,
    pub id: String,
    /// Whether there is a geometry at all.
    pub geometry: bool,
    pub starts_at: DateTime<Utc>,
    pub ends_at: DateTime<Utc>,
}

/// Checks an item and returns what search needs of it.
///
/// # Errors
/// [`Error::Json`] when it is no JSON, [`Error::Item`] with the JSON pointer of the first thing that is wrong.
pub(super) fn checked(json: &str) -> Result<Searchable> {
    let item: Value = serde_json::from_str(json)?;
    refuse_nul(&item, json)?;
    let Value::Object(members) = &item else { return Err(Error::item("", "must be an object")) };
    if members.get("type") != Some(&Value::from("Feature")) {
        return Err(Error::item("/type", "must be \"Feature\""));
    }
    if !members.get("stac_version").and_then(Value::as_str).is_some_and(|version| version.starts_with("1.")) {
        return Err(Error::item("/stac_version", "must be a version 1 of STAC"));
    }
    let geometry = check_geometry(members)?;
    check_links_and_assets(members)?;
    let (starts_at, ends_at) = times(members)?;
    Ok(Searchable { collection: name(members, "collection")?, id: name(members, "id")?, geometry, starts_at, ends_at })
}

/// Refuses `\u0000`, which PostgreSQL can keep in neither text nor jsonb, with the JSON pointer of the place.
///
/// # Errors
/// [`Error::Item`] when there is one.
pub fn refuse_nul(value: &Value, json: &str) -> Result<()> {
    // The escape can only be there when its text is; the walk is for the rare case.
    if !json.contains("\\u0000") {
        return Ok(());
    }
    match find_nul(value, String::new()) {
        Some(pointer) => Err(Error::item(pointer, "must not contain the character U+0000")),
        None => Ok(()),
    }
}

fn find_nul(value: &Value, pointer: String) -> Option<String> {
    match value {
        Value::String(text) if text.contains('\0') => Some(pointer),
        Value::Array(values) => {
            values.iter().enumerate().find_map(|(i, value)| find_nul(value, format!("{pointer}/{i}")))
        }
        Value::Object(members) => members.iter().find_map(|(name, value)| {
            let shown = name.replace('~', "~0").replace('/', "~1").replace('\0', "\\u0000");
            let pointer = format!("{pointer}/{shown}");
            if name.contains('\0') { Some(pointer) } else { find_nul(value, pointer) }
        }),
        _ => None,
    }
}

fn name(members: &Map<String, Value>, member: &str) -> Result<String> {
    match members.get(member).and_then(Value::as_str) {
        Some(name) if !name.is_empty() => Ok(name.to_owned()),
        _ => Err(Error::item(format!("/{member}"), "must be a string that is not empty")),
    }
}

fn check_geometry(members: &Map<String, Value>) -> Result<bool> {
    let value = match members.get("geometry") {
        Some(Value::Null) => return Ok(false),
        Some(value) => value,
        None => return Err(Error::item("/geometry", "must be there, if only as null")),
    };
    check_geojson(value).map_err(|problem| Error::item("/geometry", problem))?;
    let bbox = members.get("bbox").and_then(Value::as_array);
    let numbers = |bbox: &Vec<Value>| matches!(bbox.len(), 4 | 6) && bbox.iter().all(Value::is_number);
    if bbox.is_some_and(numbers) {
        Ok(true)
    } else {
        Err(Error::item("/bbox", "must be 4 or 6 numbers, because there is a geometry"))
    }
}

/// Checks that a value is a `GeoJSON` geometry that `PostGIS` takes: known type, finite places, closed rings.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn check_geojson(value: &Value) -> Result<(), String> {
    let geometry =
        serde_json::from_value::<Geometry>(value.clone()).map_err(|_| "must be a GeoJSON geometry".to_owned())?;
    check_geometry_value(&geometry.value)
}

fn check_geometry_value(value: &GeometryValue) -> Result<(), String> {
    let lines = |lines: &[Vec<Position>], shortest: usize| lines.iter().try_for_each(|line| check_line(line, shortest));
    match value {
        GeometryValue::Point { coordinates } => check_line(std::slice::from_ref(coordinates), 1),
        GeometryValue::MultiPoint { coordinates } => check_line(coordinates, 1),
        GeometryValue::LineString { coordinates } => check_line(coordinates, 2),
        GeometryValue::MultiLineString { coordinates } => lines(coordinates, 2),
        GeometryValue::Polygon { coordinates } => check_rings(coordinates),
        GeometryValue::MultiPolygon { coordinates } => coordinates.iter().try_for_each(|rings| check_rings(rings)),
        GeometryValue::GeometryCollection { geometries } => {
            geometries.iter().try_for_each(|geometry| check_geometry_value(&geometry.value))
        }
    }
}

fn check_rings(rings: &[Vec<Position>]) -> Result<(), String> {
    if rings.is_empty() {
        return Err("must have a ring".to_owned());
    }
    rings.iter().try_for_each(|ring| {
        check_line(ring, 4)?;
        if ring.first() == ring.last() { Ok(()) } else { Err("must have rings that end where they start".to_owned()) }
    })
}

fn check_line(places: &[Position], shortest: usize) -> Result<(), String> {
    if places.len() < shortest {
        return Err(format!("must have at least {shortest} places"));
    }
    let wrong = places.iter().find(|place| !(2..=3).contains(&place.len()) || !on_earth(place.as_slice()));
    match wrong {
        None => Ok(()),
        Some(place) => Err(format!("has a place that is not [longitude, latitude]: {:?}", &place[..])),
    }
}

fn on_earth(place: &[f64]) -> bool {
    (-180.0..=180.0).contains(&place[0]) && (-90.0..=90.0).contains(&place[1])
}

fn times(members: &Map<String, Value>) -> Result<(DateTime<Utc>, DateTime<Utc>)> {
    let Some(Value::Object(properties)) = members.get("properties") else {
        return Err(Error::item("/properties", "must be an object"));
    };
    let time = |name: &str| match properties.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => parse_time(text).map(Some).map_err(|_| ()),
        Some(_) => Err(()),
    };
    let read = |name: &str| {
        time(name).map_err(|()| Error::item(format!("/properties/{name}"), "must be a time as RFC 3339 writes it"))
    };
    let (at, start, end) = (read("datetime")?, read("start_datetime")?, read("end_datetime")?);
    match (at, start, end) {
        (_, Some(start), Some(end)) if start <= end => Ok((start, end)),
        (_, Some(_), Some(_)) => Err(Error::item("/properties/end_datetime", "must not be before start_datetime")),
        (Some(at), ..) => Ok((at, at)),
        _ => {
            Err(Error::item("/properties/datetime", "must be a time, or start_datetime and end_datetime must be there"))
        }
    }
}

fn check_links_and_assets(members: &Map<String, Value>) -> Result<()> {
    let has_href = |value: &Value| value.get("href").is_some_and(Value::is_string);
    match members.get("links") {
        Some(Value::Array(links)) => match links.iter().position(|link| !has_href(link) || !link["rel"].is_string()) {
            None => {}
            Some(i) => return Err(Error::item(format!("/links/{i}"), "must have a rel and an href")),
        },
        _ => return Err(Error::item("/links", "must be an array")),
    }
    match members.get("assets") {
        Some(Value::Object(assets)) => match assets.iter().find(|(_, asset)| !has_href(asset)) {
            None => Ok(()),
            Some((key, _)) => Err(Error::item(format!("/assets/{key}"), "must have an href")),
        },
        _ => Err(Error::item("/assets", "must be an object")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn item() -> Value {
        json!({
            "type": "Feature", "stac_version": "1.1.0", "id": "a", "collection": "c",
            "geometry": {"type": "Point", "coordinates": [5.0, 52.0]}, "bbox": [5.0, 52.0, 5.0, 52.0],
            "properties": {"datetime": "2025-06-23T10:00:00Z"}, "links": [], "assets": {},
        })
    }

    fn pointer(item: &Value) -> String {
        match checked(&item.to_string()) {
            Err(Error::Item { pointer, .. }) => pointer,
            other => panic!("expected a pointer, got {:?}", other.err()),
        }
    }

    #[test]
    fn each_fault_is_pointed_at() {
        assert!(checked(&item().to_string()).is_ok());
        for (at, wrong) in [
            ("/type", json!("Collection")),
            ("/id", json!("")),
            ("/collection", json!(null)),
            ("/geometry", json!({"type": "Point", "coordinates": [5.0]})),
            ("/geometry", json!({"type": "Point", "coordinates": [181.0, 0.0]})),
            ("/geometry", json!({"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1]]]})),
            ("/bbox", json!([1, 2])),
            ("/properties/datetime", json!("now")),
            ("/links", json!({})),
            ("/assets", json!({"x": {}})),
        ] {
            let mut broken = item();
            *broken.pointer_mut(at).unwrap() = wrong;
            assert!(pointer(&broken).starts_with(at), "{at}");
        }
    }

    #[test]
    fn a_nul_is_pointed_at_in_values_and_names_but_not_in_plain_text() {
        let mut broken = item();
        broken["properties"]["a/b"] = json!([1, "x\0y"]);
        assert_eq!(pointer(&broken), "/properties/a~1b/1");
        let mut broken = item();
        broken["properties"]["n\0"] = json!(1);
        assert_eq!(pointer(&broken), "/properties/n\\u0000");
        let mut fine = item();
        fine["properties"]["text"] = json!("\\u0000 is an escape");
        assert!(checked(&fine.to_string()).is_ok());
    }

    #[test]
    fn an_item_without_a_place_needs_no_bbox() {
        let mut placeless = item();
        placeless["geometry"] = Value::Null;
        placeless.as_object_mut().unwrap().remove("bbox");
        assert!(!checked(&placeless.to_string()).unwrap().geometry);
    }
}
