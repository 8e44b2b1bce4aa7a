//! `GeoJSON` to well-known binary, and what all geometries of a file are together.

use std::collections::BTreeSet;

use geojson::{Geometry, GeometryValue, Position};
use serde_json::{Map, Value};

/// What is added to the number of a geometry's type when its places have a height (ISO 13249-3).
const WITH_HEIGHT: u32 = 1000;

/// The types of the geometries written so far, and the box around them.
#[derive(Clone, Debug, Default)]
pub(super) struct Extent {
    /// As `GeoParquet` names them: `Polygon`, `Polygon Z`.
    pub types: BTreeSet<String>,
    /// The smallest and the largest of each coordinate, in the order x, y, z.
    pub ranges: [Option<[f64; 2]>; 3],
}

/// Appends a `GeoJSON` geometry as little-endian ISO WKB, and returns what of it WKB cannot hold: other members, and
/// the whole when only some of its places have a height, or when a place has more than three numbers.
///
/// Nothing is appended, and the whole returned, when it is no `GeoJSON` geometry.
pub(super) fn write(out: &mut Vec<u8>, extent: &mut Extent, json: &Value) -> Option<Value> {
    let Ok(geometry) = serde_json::from_value::<Geometry>(json.clone()) else { return Some(json.clone()) };
    let mut lengths = BTreeSet::new();
    visit(&geometry.value, &mut |place| _ = lengths.insert(place.len()));
    if lengths.first().is_some_and(|&length| length < 2) {
        return Some(json.clone());
    }
    let dimensions = lengths.first().map_or(2, |&length| length.min(3));
    visit(&geometry.value, &mut |place| extent.include(&place.as_slice()[..dimensions]));
    let height = if dimensions == 3 { " Z" } else { "" };
    extent.types.insert(format!("{}{height}", geometry.value.type_name()));
    write_geometry(out, &geometry.value, dimensions);

    let others = json.as_object().into_iter().flatten();
    let others = others
        .filter(|(name, value)| !["type", "coordinates", "geometries"].contains(&name.as_str()) && !value.is_null());
    let others: Map<String, Value> = others.map(|(name, value)| (name.clone(), value.clone())).collect();
    if lengths.len() > 1 || lengths.last() > Some(&3) {
        Some(json.clone())
    } else {
        (!others.is_empty()).then_some(Value::Object(others))
    }
}

impl Extent {
    fn include(&mut self, place: &[f64]) {
        for (range, &at) in self.ranges.iter_mut().zip(place) {
            let [low, high] = range.unwrap_or([at, at]);
            *range = Some([low.min(at), high.max(at)]);
        }
    }
}

fn visit(geometry: &GeometryValue, place: &mut impl FnMut(&Position)) {
    match geometry {
        GeometryValue::Point { coordinates } => place(coordinates),
        GeometryValue::MultiPoint { coordinates } | GeometryValue::LineString { coordinates } => {
            coordinates.iter().for_each(place);
        }
        GeometryValue::MultiLineString { coordinates } | GeometryValue::Polygon { coordinates } => {
            coordinates.iter().flatten().for_each(place);
        }
        GeometryValue::MultiPolygon { coordinates } => coordinates.iter().flatten().flatten().for_each(place),
        GeometryValue::GeometryCollection { geometries } => {
            for geometry in geometries {
                visit(&geometry.value, place);
            }
        }
    }
}

fn write_geometry(out: &mut Vec<u8>, geometry: &GeometryValue, dimensions: usize) {
    let head = |out: &mut Vec<u8>, number: u32| {
        out.push(1);
        count(out, (number + if dimensions == 3 { WITH_HEIGHT } else { 0 }) as usize);
    };
    let line = |out: &mut Vec<u8>, places: &[Position]| {
        count(out, places.len());
        for place in places {
            write_place(out, place, dimensions);
        }
    };
    let rings = |out: &mut Vec<u8>, rings: &[Vec<Position>]| {
        count(out, rings.len());
        for ring in rings {
            line(out, ring);
        }
    };
    match geometry {
        GeometryValue::Point { coordinates } => {
            head(out, 1);
            write_place(out, coordinates, dimensions);
        }
        GeometryValue::LineString { coordinates } => {
            head(out, 2);
            line(out, coordinates);
        }
        GeometryValue::Polygon { coordinates } => {
            head(out, 3);
            rings(out, coordinates);
        }
        GeometryValue::MultiPoint { coordinates } => {
            head(out, 4);
            count(out, coordinates.len());
            for place in coordinates {
                head(out, 1);
                write_place(out, place, dimensions);
            }
        }
        GeometryValue::MultiLineString { coordinates } => {
            head(out, 5);
            count(out, coordinates.len());
            for places in coordinates {
                head(out, 2);
                line(out, places);
            }
        }
        GeometryValue::MultiPolygon { coordinates } => {
            head(out, 6);
            count(out, coordinates.len());
            for polygon in coordinates {
                head(out, 3);
                rings(out, polygon);
            }
        }
        GeometryValue::GeometryCollection { geometries } => {
            head(out, 7);
            count(out, geometries.len());
            for geometry in geometries {
                write_geometry(out, &geometry.value, dimensions);
            }
        }
    }
}

fn write_place(out: &mut Vec<u8>, place: &Position, dimensions: usize) {
    for at in &place.as_slice()[..dimensions] {
        out.extend(at.to_le_bytes());
    }
}

fn count(out: &mut Vec<u8>, count: usize) {
    out.extend((count as u32).to_le_bytes());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(json: &Value) -> (String, Option<Value>, Extent) {
        let (mut out, mut extent) = (Vec::new(), Extent::default());
        let rest = write(&mut out, &mut extent, json);
        (hex::encode(out), rest, extent)
    }

    // The expected bytes are what PostGIS's ST_AsBinary and shapely's to_wkb(flavor="iso") write.
    #[test]
    fn points_are_written_as_others_write_them() {
        let (wkb, rest, extent) = written(&json!({"type": "Point", "coordinates": [1, 2]}));
        assert_eq!(wkb, "0101000000000000000000f03f0000000000000040");
        assert_eq!(rest, None);
        assert_eq!(extent.types.into_iter().collect::<Vec<_>>(), ["Point"]);
        assert_eq!(extent.ranges, [Some([1.0, 1.0]), Some([2.0, 2.0]), None]);

        let (wkb, rest, extent) = written(&json!({"type": "MultiPoint", "coordinates": [[1, 2, 3]]}));
        assert_eq!(wkb, "01ec0300000100000001e9030000000000000000f03f00000000000000400000000000000840");
        assert_eq!(rest, None);
        assert_eq!(extent.types.into_iter().collect::<Vec<_>>(), ["MultiPoint Z"]);
    }

    #[test]
    fn what_wkb_cannot_hold_is_returned() {
        let with_name = json!({"type": "Point", "coordinates": [1, 2], "name": "x"});
        assert_eq!(written(&with_name).1, Some(json!({"name": "x"})));
        let mixed = json!({"type": "LineString", "coordinates": [[1, 2], [3, 4, 5]]});
        let (wkb, rest, _) = written(&mixed);
        assert_eq!(rest, Some(mixed));
        assert!(wkb.starts_with("0102000000"));
        let none = json!({"type": "Blob", "coordinates": [1, 2]});
        assert_eq!(written(&none), (String::new(), Some(none), Extent::default()));
    }

    impl PartialEq for Extent {
        fn eq(&self, other: &Self) -> bool {
            (&self.types, self.ranges) == (&other.types, other.ranges)
        }
    }
}
