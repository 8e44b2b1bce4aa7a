//! Geometry literals: `GeoJSON` that was checked, longitude before latitude, in degrees (EPSG:4326).

use serde_json::{Value, json};

use super::FilterError;
use crate::catalog::check_geojson;

/// A geometry that `PostGIS` takes: of a known type, with finite places on earth and closed rings.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Geometry {
    json: Value,
    /// As written, when it was written as a bbox.
    bbox: Option<Vec<f64>>,
}

/// `[west, south, east, north]`, never across the antimeridian.
pub(in crate::database) type Envelope = [f64; 4];

impl Geometry {
    /// Checks a `GeoJSON` geometry.
    ///
    /// # Errors
    /// [`FilterError::Literal`].
    pub(super) fn checked(json: Value) -> Result<Self, FilterError> {
        let rule = match check_geojson(&json) {
            Ok(()) if envelope(&json).is_none() => "it must have a place".to_owned(),
            Ok(()) => return Ok(Self { json, bbox: None }),
            Err(rule) => format!("it {rule}"),
        };
        Err(FilterError::literal("geometry", &json.to_string(), rule))
    }

    /// Makes a rectangle of `[west, south, east, north]`, or of six numbers with heights, which count for nothing
    /// here; two rectangles when west is greater than east.
    ///
    /// # Errors
    /// [`FilterError::Literal`].
    pub(super) fn bbox(numbers: &[f64]) -> Result<Self, FilterError> {
        let wrong = |rule| FilterError::literal("bbox", &format!("{numbers:?}"), rule);
        let ([west, south, east, north] | [west, south, _, east, north, _]) = *numbers else {
            return Err(wrong("it must have four numbers, or six with heights"));
        };
        let on_earth = [west, east].iter().all(|lon| (-180.0..=180.0).contains(lon))
            && [south, north].iter().all(|lat| (-90.0..=90.0).contains(lat));
        if !on_earth || !numbers.iter().all(|number| number.is_finite()) {
            return Err(wrong("it must be west, south, east and north, in degrees"));
        }
        if south > north {
            return Err(wrong("its south must not be greater than its north"));
        }
        let ring =
            |west: f64, east: f64| json!([[west, south], [east, south], [east, north], [west, north], [west, south]]);
        let json = if west <= east {
            json!({"type": "Polygon", "coordinates": [ring(west, east)]})
        } else {
            json!({"type": "MultiPolygon", "coordinates": [[ring(west, 180.0)], [ring(-180.0, east)]]})
        };
        Ok(Self { json, bbox: Some(numbers.to_vec()) })
    }

    /// The geometry as `GeoJSON`; a bbox as the rectangles that it stands for.
    pub(super) fn geojson(&self) -> &Value {
        &self.json
    }

    /// The numbers of a bbox as they were written, if it was written as one.
    pub(super) fn written_bbox(&self) -> Option<&[f64]> {
        self.bbox.as_deref()
    }

    /// The rectangles around it: one, or two for a bbox across the antimeridian.
    pub(super) fn envelopes(&self) -> Vec<Envelope> {
        match (&self.bbox, self.json["coordinates"].as_array()) {
            (Some(_), Some(parts)) => parts.iter().filter_map(envelope).collect(),
            _ => envelope(&self.json).into_iter().collect(),
        }
    }
}

/// Returns the rectangle around the `GeoJSON` of a geometry; nothing when it has no place.
pub(in crate::database) fn envelope_of(geojson: &str) -> Option<Envelope> {
    envelope(&serde_json::from_str(geojson).ok()?)
}

/// The rectangle around all positions in `GeoJSON`, at any depth.
fn envelope(json: &Value) -> Option<Envelope> {
    match json {
        Value::Object(members) => [members.get("coordinates"), members.get("geometries")]
            .into_iter()
            .flatten()
            .filter_map(envelope)
            .reduce(joined),
        Value::Array(values) => match (values.first().and_then(Value::as_f64), values.get(1).and_then(Value::as_f64)) {
            (Some(lon), Some(lat)) => Some([lon, lat, lon, lat]),
            _ => values.iter().filter_map(envelope).reduce(joined),
        },
        _ => None,
    }
}

fn joined(a: Envelope, b: Envelope) -> Envelope {
    [a[0].min(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].max(b[3])]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bbox_across_the_antimeridian_is_two_rectangles() {
        let fiji = Geometry::bbox(&[177.0, -20.0, -178.0, -16.0]).unwrap();
        assert_eq!(fiji.geojson()["type"], "MultiPolygon");
        assert_eq!(fiji.envelopes(), [[177.0, -20.0, 180.0, -16.0], [-180.0, -20.0, -178.0, -16.0]]);
        let dike = Geometry::bbox(&[5.0, 52.0, -3.0, 6.0, 53.0, 10.0]).unwrap();
        assert_eq!(dike.envelopes(), [[5.0, 52.0, 6.0, 53.0]]);
    }

    #[test]
    fn the_envelope_holds_every_part() {
        let parts = json!({"type": "GeometryCollection", "geometries": [
            {"type": "Point", "coordinates": [5.0, 52.0, 100.0]},
            {"type": "MultiLineString", "coordinates": [[[1.0, 2.0], [3.0, 60.0]]]},
        ]});
        assert_eq!(Geometry::checked(parts).unwrap().envelopes(), [[1.0, 2.0, 5.0, 60.0]]);
    }

    #[test]
    fn a_bbox_that_is_none_is_refused() {
        for wrong in [
            &[0.0, 0.0, 1.0][..],
            &[0.0, 1.0, 1.0, 0.0],
            &[0.0, 0.0, 181.0, 1.0],
            &[0.0, -91.0, 1.0, 1.0],
            &[0.0, 0.0, 0.0, 1.0, 1.0],
            &[f64::NAN, 0.0, 1.0, 1.0],
        ] {
            assert!(Geometry::bbox(wrong).is_err(), "{wrong:?}");
        }
        assert!(Geometry::checked(json!({"type": "MultiPolygon", "coordinates": []})).is_err());
    }
}
