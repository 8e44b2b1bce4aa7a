//! Writes findings as GeoJSON (RFC 7946): WGS 84, longitude first, rings counter-clockwise.

use std::io::Write;

use serde_json::{json, value::RawValue};
use sha2::{Digest as _, Sha256};

use super::{Finding, Result, georeference::twice_signed_area};
use crate::spatial::{Crs, Projection};

/// Digits after the point: a tenth of a millimetre, well below what any drone measures.
const DECIMALS: usize = 9;

/// Returns the finding's ring in longitude and latitude, closed and counter-clockwise.
///
/// `to_lonlat` converts from the raster's coordinate system to [`Crs::WGS84`].
///
/// # Errors
/// [`Error::Spatial`](super::Error::Spatial) when a corner lies outside the coordinate system's area.
pub fn lonlat_ring(finding: &Finding, to_lonlat: &Projection) -> Result<Vec<[f64; 2]>> {
    let mut ring = finding.ring.clone();
    to_lonlat.forward_many(&mut ring)?;
    if twice_signed_area(&ring) < 0.0 {
        ring.reverse();
    }
    Ok(ring)
}

/// Returns a name for a finding that stays the same for the same class at the same place: 16 hexadecimal digits.
pub fn finding_id(class: &str, lonlat_ring: &[[f64; 2]]) -> String {
    let digest = Sha256::digest(format!("{class}\n{}", coordinates(lonlat_ring)));
    hex::encode(&digest[..8])
}

/// Writes a `FeatureCollection` with one feature for each finding, in their order: `id`, `class`, `confidence`.
///
/// `crs` is the coordinate system of the rings. Nothing found is a collection without features.
///
/// # Errors
/// [`Error::Spatial`](super::Error::Spatial) when a corner cannot be converted, [`Error::Write`](super::Error::Write).
pub fn write_geojson(out: &mut impl Write, findings: &[Finding], crs: Crs) -> Result<()> {
    let to_lonlat = Projection::new(crs, Crs::WGS84)?;
    write!(out, "{{\"type\":\"FeatureCollection\",\"features\":[")?;
    for (i, finding) in findings.iter().enumerate() {
        let ring = lonlat_ring(finding, &to_lonlat)?;
        let rings = RawValue::from_string(format!("[{}]", coordinates(&ring))).map_err(std::io::Error::from)?;
        let (id, geometry) = (finding_id(&finding.class, &ring), Geometry { r#type: "Polygon", coordinates: &rings });
        let properties = json!({ "class": finding.class, "confidence": finding.confidence });
        let feature = Feature { r#type: "Feature", id: &id, geometry, properties };
        write!(
            out,
            "{}\n{}",
            if i == 0 { "" } else { "," },
            serde_json::to_string(&feature).map_err(std::io::Error::from)?
        )?;
    }
    writeln!(out, "\n]}}")?;
    Ok(())
}

#[derive(serde::Serialize)]
struct Feature<'a> {
    r#type: &'static str,
    id: &'a str,
    geometry: Geometry<'a>,
    properties: serde_json::Value,
}

#[derive(serde::Serialize)]
struct Geometry<'a> {
    r#type: &'static str,
    coordinates: &'a RawValue,
}

/// Writes a ring with a fixed number of decimals; a plain number would drop trailing zeros.
fn coordinates(ring: &[[f64; 2]]) -> String {
    let points: Vec<_> = ring.iter().map(|[x, y]| format!("[{x:.DECIMALS$},{y:.DECIMALS$}]")).collect();
    format!("[{}]", points.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trap_in_amersfoort() -> Finding {
        let (x, y) = (155_000.0, 463_000.0);
        Finding {
            class: "Muskusrat \"klem\"".to_owned(),
            confidence: 0.875,
            ring: vec![[x, y], [x + 1.0, y], [x + 1.0, y + 1.0], [x, y + 1.0], [x, y]],
            pixel_box: [0.0; 4],
            chip: 0,
        }
    }

    fn written(findings: &[Finding]) -> (String, serde_json::Value) {
        let mut out = Vec::new();
        write_geojson(&mut out, findings, Crs::RD_NEW).unwrap();
        let text = String::from_utf8(out).unwrap();
        (text.clone(), serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn a_feature_has_longitude_first_nine_decimals_and_the_model_s_own_class_name() {
        let (text, collection) = written(&[trap_in_amersfoort()]);
        let feature = &collection["features"][0];
        assert_eq!(feature["properties"], json!({"class": "Muskusrat \"klem\"", "confidence": 0.875}));
        let ring = feature["geometry"]["coordinates"][0].as_array().unwrap();
        assert_eq!(ring.len(), 5);
        assert_eq!(ring[0], ring[4]);
        assert!(
            (ring[0][0].as_f64().unwrap() - 5.387).abs() < 0.01 && (ring[0][1].as_f64().unwrap() - 52.155).abs() < 0.01
        );
        let numbers = text.split(['[', ',', ']']).filter(|part| part.starts_with("5.") || part.starts_with("52."));
        assert!(numbers.map(|number| number.split('.').nth(1).unwrap().len()).all(|digits| digits == 9), "{text}");
    }

    #[test]
    fn an_id_names_the_place_and_the_class() {
        let first = written(&[trap_in_amersfoort()]).1["features"][0]["id"].clone();
        assert_eq!(first, written(&[trap_in_amersfoort()]).1["features"][0]["id"]);
        let other = Finding { class: "Beschadiging oever".to_owned(), ..trap_in_amersfoort() };
        assert_ne!(first, written(&[other]).1["features"][0]["id"]);
    }

    #[test]
    fn nothing_found_is_an_empty_collection() {
        assert_eq!(written(&[]).1, json!({"type": "FeatureCollection", "features": []}));
    }
}
