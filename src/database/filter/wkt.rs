//! Reads well-known text, as far as CQL2 text has it, into `GeoJSON`.

use serde_json::{Value, json};

use super::{FilterError, cursor::Cursor, text::number, tokens::Kind};

/// Well-known text has a tag, `GeoJSON` a type; and positions lie so deep in lists.
const TAGS: [(&str, &str, usize); 6] = [
    ("POINT", "Point", 0),
    ("LINESTRING", "LineString", 1),
    ("POLYGON", "Polygon", 2),
    ("MULTIPOINT", "MultiPoint", 1),
    ("MULTILINESTRING", "MultiLineString", 2),
    ("MULTIPOLYGON", "MultiPolygon", 3),
];

/// Reads what follows the word `tag` if both make a geometry: `POINT`, `POINT Z` or `POINT EMPTY`; nothing if the
/// word is a name like any other.
pub(super) fn read(cursor: &mut Cursor, tag: &str) -> Result<Option<Value>, FilterError> {
    let is = |word: &Kind, wanted: &str| matches!(word, Kind::Word(word) if word.eq_ignore_ascii_case(wanted));
    let known = tag.eq_ignore_ascii_case("GEOMETRYCOLLECTION") || find(tag).is_some();
    let open = Kind::Symbol("(");
    let z = is(cursor.peek(), "Z") && (*cursor.peek_second() == open || is(cursor.peek_second(), "EMPTY"));
    if !known || !(z || *cursor.peek() == open || is(cursor.peek(), "EMPTY")) {
        return Ok(None);
    }
    if z {
        cursor.advance();
    }
    if let Some((_, kind, depth)) = find(tag) {
        let flat = *kind == "MultiPoint";
        return Ok(Some(json!({"type": kind, "coordinates": coordinates(cursor, *depth, flat)?})));
    }
    let mut geometries = Vec::new();
    if !cursor.take_keyword("EMPTY") {
        cursor.symbol("(")?;
        loop {
            geometries.push(member(cursor)?);
            if !cursor.take_symbol(",") {
                break;
            }
        }
        cursor.symbol(")")?;
    }
    Ok(Some(json!({"type": "GeometryCollection", "geometries": geometries})))
}

fn find(tag: &str) -> Option<&'static (&'static str, &'static str, usize)> {
    TAGS.iter().find(|(known, ..)| known.eq_ignore_ascii_case(tag))
}

/// A geometry in a collection; collections in it are refused, as CQL2 does, so this does not recurse deeper.
fn member(cursor: &mut Cursor) -> Result<Value, FilterError> {
    let wrong = cursor.expected("a geometry that is no collection");
    let Kind::Word(tag) = cursor.peek().clone() else { return Err(wrong) };
    if find(&tag).is_none() {
        return Err(wrong);
    }
    cursor.advance();
    read(cursor, &tag)?.ok_or(wrong)
}

fn coordinates(cursor: &mut Cursor, depth: usize, flat: bool) -> Result<Value, FilterError> {
    if cursor.take_keyword("EMPTY") {
        return Ok(json!([]));
    }
    cursor.symbol("(")?;
    if depth == 0 {
        let position = position(cursor)?;
        cursor.symbol(")")?;
        return Ok(position);
    }
    let mut list = Vec::new();
    loop {
        // The points of a MULTIPOINT may stand in parentheses, those of a LINESTRING may not.
        list.push(if depth > 1 || (flat && *cursor.peek() == Kind::Symbol("(")) {
            coordinates(cursor, depth - 1, flat)?
        } else {
            position(cursor)?
        });
        if !cursor.take_symbol(",") {
            cursor.symbol(")")?;
            return Ok(Value::Array(list));
        }
    }
}

fn position(cursor: &mut Cursor) -> Result<Value, FilterError> {
    let mut position = Vec::new();
    while position.len() < 3 {
        let minus = cursor.take_symbol("-");
        if !minus {
            cursor.take_symbol("+");
        }
        let Kind::Number(digits) = cursor.peek() else {
            if minus || position.len() < 2 {
                return Err(cursor.expected("a coordinate"));
            }
            break;
        };
        position.push(Value::Number(number(&format!("{}{digits}", if minus { "-" } else { "" }))?));
        cursor.advance();
    }
    Ok(Value::Array(position))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Filter;

    fn geometry(wkt: &str) -> serde_json::Value {
        let filter = Filter::parse_text(&format!("s_intersects(geometry, {wkt})"));
        filter.unwrap_or_else(|error| panic!("{wkt}: {error}")).to_json()["args"][1].clone()
    }

    #[test]
    fn every_type_is_read() {
        for (wkt, expected) in [
            ("POINT(1 2)", json!({"type": "Point", "coordinates": [1, 2]})),
            ("point z (-1.5e1 +2. .5)", json!({"type": "Point", "coordinates": [-15.0, 2.0, 0.5]})),
            ("LINESTRING(1 2,3 4)", json!({"type": "LineString", "coordinates": [[1, 2], [3, 4]]})),
            (
                "POLYGON((0 0,1 0,1 1,0 0))",
                json!({"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}),
            ),
            ("MULTIPOINT(1 2,3 4)", json!({"type": "MultiPoint", "coordinates": [[1, 2], [3, 4]]})),
            ("MULTIPOINT((1 2),(3 4))", json!({"type": "MultiPoint", "coordinates": [[1, 2], [3, 4]]})),
            ("MULTILINESTRING((1 2,3 4))", json!({"type": "MultiLineString", "coordinates": [[[1, 2], [3, 4]]]})),
            (
                "MULTIPOLYGON(((0 0,1 0,1 1,0 0)))",
                json!({"type": "MultiPolygon", "coordinates": [[[[0, 0], [1, 0], [1, 1], [0, 0]]]]}),
            ),
            (
                "GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(1 2,3 4))",
                json!({"type": "GeometryCollection", "geometries": [
                    {"type": "Point", "coordinates": [1, 2]},
                    {"type": "LineString", "coordinates": [[1, 2], [3, 4]]},
                ]}),
            ),
        ] {
            assert_eq!(geometry(wkt), expected, "{wkt}");
        }
    }

    #[test]
    fn what_is_no_geometry_is_refused() {
        for wkt in [
            "POINT(1)",
            "POINT(1 2 3 4)",
            "POINT(1 2",
            "POINT EMPTY",
            "POINT M (1 2 3)",
            "POINT((1 2))",
            "LINESTRING(1 2)",
            "LINESTRING((1 2),(3 4))",
            "POLYGON((0 0,1 0,1 1))",
            "POLYGON((0 0,1 0,1 1,0 1))",
            "MULTIPOINT(7.02 49.92, 90 180)",
            "GEOMETRYCOLLECTION(GEOMETRYCOLLECTION(POINT(1 2)))",
            "POINT(90 180)",
            "POINT(1e999 0)",
            "CIRCLE(1 2)",
        ] {
            assert!(Filter::parse_text(&format!("s_intersects(geometry, {wkt})")).is_err(), "{wkt}");
        }
    }

    #[test]
    fn a_property_may_be_named_like_a_geometry() {
        for text in ["point = 1", "polygon.z = 1", "z = 1"] {
            assert!(Filter::parse_text(text).is_ok(), "{text}");
        }
    }
}
