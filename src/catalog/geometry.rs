//! Whether a geometry and a bbox are ones that `PostGIS` takes: known type, places on Earth, closed rings.

use serde_json::Value;

use super::{
    fault::{Faults, Place},
    tree::{Object, Tree},
};

const NO_GEOMETRY: &str = "must be a GeoJSON geometry";

/// Checks that a value is a `GeoJSON` geometry that `PostGIS` takes: known type, finite places, closed rings.
///
/// Each place is `[longitude, latitude]` in degrees, and may have a height in metres.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn check_geojson(value: &Value) -> Result<(), String> {
    let mut faults = Faults::default();
    check_geometry(&Tree::from(value), &Place::Root, &mut faults);
    match faults.into_first() {
        None => Ok(()),
        Some(fault) if fault.pointer.is_empty() => Err(fault.problem),
        Some(fault) => Err(format!("{NO_GEOMETRY}, in which {fault}")),
    }
}

pub(super) fn check_geometry(value: &Tree, at: &Place, faults: &mut Faults) {
    let Some(geometry) = value.object() else { return faults.add(at, NO_GEOMETRY) };
    let kind = geometry.get("type").and_then(Tree::text);
    if kind == Some("GeometryCollection") {
        let at = at.member("geometries");
        return each(geometry.get("geometries"), &at, faults, check_geometry);
    }
    let coordinates = geometry.get("coordinates");
    let at_coordinates = at.member("coordinates");
    let at_member = &at_coordinates;
    match kind {
        Some("Point") => check_place(coordinates.unwrap_or(&Tree::Null), at_member, faults),
        Some("MultiPoint") => check_line(coordinates, at_member, faults, 1),
        Some("LineString") => check_line(coordinates, at_member, faults, 2),
        Some("MultiLineString") => {
            each(coordinates, at_member, faults, |line, at, faults| check_line(Some(line), at, faults, 2));
        }
        Some("Polygon") => check_rings(coordinates, at_member, faults),
        Some("MultiPolygon") => {
            each(coordinates, at_member, faults, |rings, at, faults| check_rings(Some(rings), at, faults));
        }
        _ => faults.add(at, NO_GEOMETRY),
    }
}

fn each(list: Option<&Tree>, at: &Place, faults: &mut Faults, check: impl Fn(&Tree, &Place, &mut Faults)) {
    let Some(values) = list.and_then(Tree::list) else { return faults.add(at, "must be a list") };
    for (i, value) in values.iter().enumerate() {
        if faults.is_full() {
            return;
        }
        check(value, &at.element(i), faults);
    }
}

fn check_rings(rings: Option<&Tree>, at: &Place, faults: &mut Faults) {
    each(rings, at, faults, |ring, at, faults| {
        check_line(Some(ring), at, faults, 4);
        let ends = ring.list().and_then(|places| places.first().zip(places.last()));
        let closed = ends.is_none_or(|(first, last)| numbers(first).eq(numbers(last)));
        faults.expect(closed, at, "must be a ring that ends where it starts");
    });
    faults.expect(rings.and_then(Tree::list).is_none_or(|rings| !rings.is_empty()), at, "must have a ring");
}

fn check_line(line: Option<&Tree>, at: &Place, faults: &mut Faults, shortest: usize) {
    each(line, at, faults, check_place);
    if line.and_then(Tree::list).is_some_and(|places| places.len() < shortest) {
        faults.add(at, format!("must have at least {shortest} places"));
    }
}

fn check_place(place: &Tree, at: &Place, faults: &mut Faults) {
    let on_earth = |lon: &Tree, lat: &Tree| within(lon, 180.0) && within(lat, 90.0);
    let fine = match place.list() {
        Some([lon, lat]) => on_earth(lon, lat),
        Some([lon, lat, height]) => on_earth(lon, lat) && height.number().is_some(),
        _ => false,
    };
    faults.expect(fine, at, "must be [longitude, latitude] in degrees");
}

fn within(value: &Tree, most: f64) -> bool {
    value.number().is_some_and(|number| (-most..=most).contains(&number))
}

fn numbers(place: &Tree) -> impl Iterator<Item = Option<f64>> {
    place.list().unwrap_or_default().iter().map(Tree::number)
}

/// Checks `[west, south, east, north]` in degrees, with the lowest and the greatest height after each pair or without.
/// A box whose west is east of its east crosses the antimeridian (RFC 7946, 5.2).
pub(super) fn check_bbox(value: &Tree, at: &Place, faults: &mut Faults) {
    let numbers: Option<Vec<f64>> = value.list().and_then(|values| values.iter().map(Tree::number).collect());
    match numbers.as_deref() {
        Some(&[_, south, _, north]) => faults.expect(south <= north, at, "must not have its south north of its north"),
        Some(&[_, south, bottom, _, north, top]) => {
            faults.expect(south <= north, at, "must not have its south north of its north");
            faults.expect(bottom <= top, at, "must not have its bottom above its top");
        }
        _ => faults.add(at, "must be 4 or 6 numbers"),
    }
}

/// Checks the place of an item.
pub(super) fn check_whereabouts(item: &Object, at: &Place, faults: &mut Faults) {
    let (at_geometry, at_bbox) = (at.member("geometry"), at.member("bbox"));
    let geometry = item.get("geometry");
    match geometry {
        None => faults.add(&at_geometry, "must be there, if only as null"),
        Some(Tree::Null) => {}
        Some(value) => check_geometry(value, &at_geometry, faults),
    }
    match (item.get("bbox"), geometry) {
        (None, Some(Tree::Null) | None) => {}
        (None, Some(_)) => faults.add(&at_bbox, "must be 4 or 6 numbers, because there is a geometry"),
        (Some(_), Some(Tree::Null)) => faults.add(&at_bbox, "must not be there, because there is no geometry"),
        (Some(bbox), _) => check_bbox(bbox, &at_bbox, faults),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pointers(geometry: &Value) -> Vec<String> {
        let mut faults = Faults::default();
        check_geometry(&Tree::from(geometry), &Place::Root, &mut faults);
        match faults.into_result() {
            Err(crate::catalog::Error::Faults(faults)) => faults.into_iter().map(|fault| fault.pointer).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn each_place_that_is_wrong_is_pointed_at() {
        for (geometry, wrong) in [
            (json!({"type": "Point", "coordinates": [5, 52, -3.5]}), vec![]),
            (json!({"type": "Point", "coordinates": [5, 52, "high"]}), vec!["/coordinates"]),
            (json!({"type": "Point"}), vec!["/coordinates"]),
            (json!({"type": "point", "coordinates": [5, 52]}), vec![""]),
            (
                json!({"type": "LineString", "coordinates": [[5, 91], [6, 52], [-181, 0]]}),
                vec!["/coordinates/0", "/coordinates/2"],
            ),
            (json!({"type": "LineString", "coordinates": [[5, 50]]}), vec!["/coordinates"]),
            (json!({"type": "Polygon", "coordinates": []}), vec!["/coordinates"]),
            (json!({"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}), vec![]),
            (json!({"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1]]]}), vec!["/coordinates/0"]),
            (
                json!({"type": "GeometryCollection", "geometries": [{"type": "Point", "coordinates": [1]}]}),
                vec!["/geometries/0/coordinates"],
            ),
            (json!({"type": "GeometryCollection"}), vec!["/geometries"]),
            (json!([1]), vec![""]),
        ] {
            assert_eq!(pointers(&geometry), wrong, "{geometry}");
        }
    }

    #[test]
    fn a_bbox_may_cross_the_antimeridian_but_not_the_poles() {
        let faults = |bbox: Value| {
            let mut faults = Faults::default();
            check_bbox(&Tree::from(&bbox), &Place::Root, &mut faults);
            !faults.is_empty()
        };
        assert!(!faults(json!([170, -10, -170, 10])));
        assert!(!faults(json!([170, -10, 0, -170, 10, 100])));
        for wrong in [json!([0, 10, 1, -10]), json!([0, 0, 9, 1, 1, 1]), json!([0, 0, 1]), json!([0, 0, 1, null])] {
            assert!(faults(wrong.clone()), "{wrong}");
        }
    }

    #[test]
    fn a_sentence_says_where_it_is_wrong() {
        let line = json!({"type": "LineString", "coordinates": [[5, 91], [6, 52]]});
        let sentence = check_geojson(&line).unwrap_err();
        assert_eq!(
            sentence,
            "must be a GeoJSON geometry, in which /coordinates/0 must be [longitude, latitude] in degrees"
        );
    }
}
