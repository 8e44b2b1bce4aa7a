//! A geometry as `PostGIS` reads it fastest: EWKB, little-endian, two dimensions, SRID 4326 (its manual, `ST_AsEWKB`).

use super::tree::{Object, Tree};

const LITTLE_ENDIAN: u8 = 1;
/// Says in the type of a geometry that its SRID follows.
const WITH_SRID: u32 = 0x2000_0000;
const WGS84: u32 = 4326;

/// A geometry for the database.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// Degrees, longitude before latitude; heights are left out.
    pub ewkb: Vec<u8>,
    /// Whether it is valid beyond doubt, so that nobody needs to look: places, lines, and convex rings of a few corners,
    /// which is what cameras see. Others may be valid too.
    pub surely_valid: bool,
}

impl Shape {
    /// Writes a `GeoJSON` geometry that was checked.
    pub(super) fn of(geometry: &Tree) -> Option<Self> {
        let geometry = geometry.object()?;
        let mut ewkb = Vec::with_capacity(128);
        write(&mut ewkb, geometry, WITH_SRID)?;
        Some(Self { ewkb, surely_valid: surely_valid(geometry) })
    }
}

fn kind<'a>(geometry: &'a Object) -> &'a str {
    geometry.get("type").and_then(Tree::text).unwrap_or_default()
}

/// Appends a geometry; nothing comes back when it is none. Parts of a geometry have no SRID of their own.
fn write(out: &mut Vec<u8>, geometry: &Object, flag: u32) -> Option<()> {
    let coordinates = || geometry.get("coordinates")?.list();
    let number = match kind(geometry) {
        "Point" => 1,
        "LineString" => 2,
        "Polygon" => 3,
        "MultiPoint" => 4,
        "MultiLineString" => 5,
        "MultiPolygon" => 6,
        "GeometryCollection" => 7,
        _ => return None,
    };
    head(out, number | flag);
    if flag == WITH_SRID {
        out.extend(WGS84.to_le_bytes());
    }
    match number {
        1 => place(out, coordinates()?),
        2 => line(out, coordinates()?),
        3 => rings(out, coordinates()?),
        7 => {
            let parts = geometry.get("geometries")?.list()?;
            count(out, parts);
            parts.iter().try_for_each(|part| write(out, part.object()?, 0))
        }
        _ => {
            let parts = coordinates()?;
            count(out, parts);
            parts.iter().try_for_each(|part| {
                head(out, number - 3);
                match number {
                    4 => place(out, part.list()?),
                    5 => line(out, part.list()?),
                    _ => rings(out, part.list()?),
                }
            })
        }
    }
}

fn head(out: &mut Vec<u8>, number: u32) {
    out.push(LITTLE_ENDIAN);
    out.extend(number.to_le_bytes());
}

fn count(out: &mut Vec<u8>, parts: &[Tree]) {
    out.extend((parts.len() as u32).to_le_bytes());
}

fn place(out: &mut Vec<u8>, place: &[Tree]) -> Option<()> {
    for number in place.get(..2)? {
        out.extend(number.number()?.to_le_bytes());
    }
    Some(())
}

fn line(out: &mut Vec<u8>, places: &[Tree]) -> Option<()> {
    count(out, places);
    places.iter().try_for_each(|one| place(out, one.list()?))
}

fn rings(out: &mut Vec<u8>, rings: &[Tree]) -> Option<()> {
    count(out, rings);
    rings.iter().try_for_each(|ring| line(out, ring.list()?))
}

fn surely_valid(geometry: &Object) -> bool {
    let coordinates = geometry.get("coordinates").and_then(Tree::list).unwrap_or_default();
    match kind(geometry) {
        "Point" | "MultiPoint" => true,
        "LineString" => coordinates.iter().any(|one| corner(one) != corner(&coordinates[0])),
        "Polygon" => matches!(coordinates, [ring] if ring.list().is_some_and(is_convex)),
        _ => false,
    }
}

/// Tells whether a ring of three or four corners turns the same way at each. More corners could wind around twice.
fn is_convex(ring: &[Tree]) -> bool {
    let Some((_, open)) = ring.split_last().filter(|(_, open)| matches!(open.len(), 3 | 4)) else { return false };
    let corners: Option<Vec<[f64; 2]>> = open.iter().map(corner).collect();
    let Some(corners) = corners else { return false };
    let turn = |i: usize| {
        let [a, b, c] = [0, 1, 2].map(|step| corners[(i + step) % corners.len()]);
        (b[0] - a[0]) * (c[1] - b[1]) - (b[1] - a[1]) * (c[0] - b[0])
    };
    // So small a turn may be rounding: PostGIS shall look.
    let least = 1e-18;
    let turns: Vec<f64> = (0..corners.len()).map(turn).collect();
    turns.iter().all(|turn| *turn > least) || turns.iter().all(|turn| *turn < -least)
}

fn corner(place: &Tree) -> Option<[f64; 2]> {
    match place.list()? {
        [x, y, ..] => Some([x.number()?, y.number()?]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn shape(geometry: &Value) -> Shape {
        Shape::of(&Tree::from(geometry)).unwrap()
    }

    #[test]
    fn a_place_is_twenty_five_bytes() {
        let bytes = shape(&json!({"type": "Point", "coordinates": [5.0, 52.0, 3.0]})).ewkb;
        assert_eq!(hex::encode(bytes), "0101000020e610000000000000000014400000000000004a40");
    }

    #[test]
    fn only_what_cannot_be_wrong_is_surely_valid() {
        let polygon = |ring: Value| json!({"type": "Polygon", "coordinates": [ring]});
        for (geometry, sure) in [
            (polygon(json!([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]])), true),
            (polygon(json!([[0, 0], [0, 1], [1, 1], [1, 0], [0, 0]])), true),
            (polygon(json!([[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]])), false),
            (polygon(json!([[0, 0], [1, 0], [2, 0], [0, 0]])), false),
            (polygon(json!([[0, 0], [4, 0], [1, 1], [0, 4], [0, 0]])), false),
            // Around twice: each corner turns left.
            (polygon(json!([[0, 3], [-2, -3], [3, 1], [-3, 1], [2, -3], [0, 3]])), false),
            (json!({"type": "LineString", "coordinates": [[1, 1], [1, 1]]}), false),
            (json!({"type": "LineString", "coordinates": [[1, 1], [1, 2]]}), true),
            (json!({"type": "MultiPolygon", "coordinates": []}), false),
        ] {
            assert_eq!(shape(&geometry).surely_valid, sure, "{geometry}");
        }
    }
}
