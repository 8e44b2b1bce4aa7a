//! Surveyed points as `GeoJSON`: point features with `name`, `role` and `marks: [{photo, column, row}]`.
//!
//! Longitude and latitude as RFC 7946 has it, unless the collection names another system in the `crs` member of the
//! standard's draft of 2008, which GIS programs still write. The height is the third ordinate, or the property `height`.

use serde_json::Value;

use super::{
    Fault, Role,
    collect::{Entry, Points, role_of},
    reference::crs_of,
    settle,
};
use crate::spatial::Crs;

/// Reads the points; `given` overrides the system that a file without a `crs` member is in.
pub(super) fn parse(text: &str, given: Option<Crs>) -> Result<Points, Fault> {
    let root: Value = serde_json::from_str(text)
        .map_err(|error| Fault::new(error.line(), format!("column {}: this is no JSON: {error}", error.column())))?;
    let of_file = match &root["crs"] {
        Value::Null => None,
        crs => {
            let name = crs["properties"]["name"].as_str().or_else(|| crs.as_str()).unwrap_or_default();
            let unknown = || Fault::new(1, format!("the crs {crs} is not understood: name it as EPSG:28992"));
            Some(crs_of(name).ok_or_else(unknown)?)
        }
    };
    let crs = settle(of_file.or_else(|| given.is_none().then_some(Crs::WGS84)), given, 1)?;
    let features = root["features"]
        .as_array()
        .ok_or_else(|| Fault::new(1, "no features: a FeatureCollection of points is needed".to_owned()))?;
    let mut points = Points::default();
    for (index, feature) in features.iter().enumerate() {
        add_feature(&mut points, feature, index + 1, crs)?;
    }
    Ok(points)
}

/// Adds a feature; `number` counts from one. `GeoJSON` has no lines worth naming, so faults name the feature.
fn add_feature(points: &mut Points, feature: &Value, number: usize, crs: Crs) -> Result<(), Fault> {
    let properties = &feature["properties"];
    let name = text(properties, &["name", "label", "id"]).or_else(|| word_of(&feature["id"]));
    let what = format!("feature {number} ({})", name.as_deref().unwrap_or("without name"));
    let fault = |detail: &str| Fault::new(1, format!("{what}: {detail}"));
    if feature["geometry"]["type"] != "Point" {
        return Err(fault("its geometry is no Point: give each surveyed point a feature of its own"));
    }
    let ordinate = |index: usize| feature["geometry"]["coordinates"][index].as_f64();
    let height = ordinate(2).or_else(|| number_of(properties, &["height", "elevation", "z"]));
    let (Some(x), Some(y)) = (ordinate(0), ordinate(1)) else { return Err(fault("it has no coordinates")) };
    let Some(z) = height else { return Err(fault("it has no height: write it as the third ordinate")) };
    let word = text(properties, &["role", "type"]).unwrap_or_default();
    let role: Role = role_of(&word).ok_or_else(|| fault(&format!("{word:?} is no role; write control or check")))?;
    let entry = |mark| Entry { line: 1, name: name.clone(), crs, place: [x, y, z], role, mark };
    let none = Vec::new();
    let marks = properties["marks"].as_array().unwrap_or(&none);
    if marks.is_empty() {
        return points.add(entry(None));
    }
    for (index, mark) in marks.iter().enumerate() {
        let photo = text(mark, &["photo", "image", "filename"]);
        let column = number_of(mark, &["column", "px", "x"]);
        let row = number_of(mark, &["row", "py", "y"]);
        let (Some(photo), Some(column), Some(row)) = (photo, column, row) else {
            return Err(fault(&format!("mark {} needs a photo, a column and a row", index + 1)));
        };
        points.add(entry(Some((photo, [column, row]))))?;
    }
    Ok(())
}

fn text(object: &Value, keys: &[&str]) -> Option<String> {
    keys.iter().find_map(|key| word_of(&object[*key]))
}

fn word_of(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned).or_else(|| value.is_number().then(|| value.to_string()))
}

fn number_of(object: &Value, keys: &[&str]) -> Option<f64> {
    keys.iter().find_map(|key| object[*key].as_f64()).filter(|value| value.is_finite())
}
