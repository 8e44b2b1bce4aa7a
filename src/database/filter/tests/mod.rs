//! CQL2 on a real `PostGIS`: each requirement of each conformance class, asked of a few places in Europe.
//!
//! The places and questions follow the abstract test suite of the standard (OGC 21-065r2, Annex A), which asks the
//! same of Natural Earth. A test names the requirement that it is for.

mod arrays;
mod basic;
mod collections;
mod comparison;
mod encodings;
mod hostile;
mod numbers;
mod plans;
mod random;
mod spatial;
mod temporal;

use serde_json::{Value, json};
use sqlx::{Postgres, QueryBuilder};

use super::{Filter, Subject, push_filter};
use crate::database::{Database, testing::with_database};

/// The places, in the order of their ids: id, geometry, properties.
fn places() -> Vec<(&'static str, Value, Value)> {
    let point = |lon: f64, lat: f64| json!({"type": "Point", "coordinates": [lon, lat]});
    let square = |west: f64, south: f64, east: f64, north: f64| {
        json!([[west, south], [east, south], [east, north], [west, north], [west, south]])
    };
    let polygon = |ring: Value| json!({"type": "Polygon", "coordinates": [ring]});
    vec![
        (
            "athens",
            point(23.73, 37.98),
            json!({
                "name": "Athens", "nameascii": "Athens", "pop_other": 112_572, "pop_min": 729_137, "pop_max": 3_242_000,
                "proj:epsg": 2100, "view": {"off_nadir": 5, "a.b": 1}, "tags": ["sea", "old", 1, true],
            }),
        ),
        // Two polygons that overlap, which PostGIS calls invalid; they are made valid when they are written.
        (
            "atlantis",
            json!({"type": "MultiPolygon", "coordinates": [
                [square(-33.0, 30.0, -30.0, 33.0)], [square(-32.0, 31.0, -29.0, 34.0)],
            ]}),
            json!({"name": "Atlantis \u{301}", "pop_other": null}),
        ),
        (
            "benelux",
            json!({"type": "GeometryCollection", "geometries": [
                point(4.35, 50.85), polygon(square(5.0, 50.2, 6.5, 52.0)),
            ]}),
            json!({"name": "Benelux", "tags": [], "a.b": "whole", "a": {"b": "nested"}}),
        ),
        (
            "berlin",
            point(13.4, 52.5),
            json!({
                "name": "Berlin", "nameascii": "Berlin", "pop_other": 3_013_258, "pop_min": 3_094_014,
                "pop_max": 3_406_000, "date": "2022-04-16", "start": "2022-04-16T10:13:19Z",
                "end": "2022-04-16T10:15:10Z", "boolean": true, "tags": ["old"],
            }),
        ),
        (
            "bern",
            point(7.47, 46.92),
            json!({
                "name": "Bern", "nameascii": "Bern", "pop_other": 275_329, "pop_min": 121_631, "pop_max": 275_329,
                "date": "2021-04-16", "start": "2021-04-16T10:15:59Z", "end": "2022-04-16T10:16:06Z", "boolean": false,
                "start_datetime": "2021-04-16T10:15:59Z", "end_datetime": "2022-04-16T10:16:06Z", "a": {"b": "nested"},
            }),
        ),
        (
            "copenhagen",
            point(12.56, 55.68),
            json!({
                "name": "København", "nameascii": "Kobenhavn", "pop_other": 1_038_288, "pop_min": 1_085_000,
                "pop_max": 1_085_000, "tags": "old",
            }),
        ),
        (
            "kiev",
            point(30.5, 50.4),
            json!({
                "name": "Kiev", "nameascii": "Kiev", "pop_other": 1_611_692, "pop_min": 1_662_508, "pop_max": 2_709_000,
                "date": "2023-04-16", "start": "2022-04-16T12:15:10+02:00", "end": "2022-04-16T10:16:06Z",
                "boolean": true, "tags": [["old"], "new"],
            }),
        ),
        ("luxembourg", polygon(square(5.5, 49.4, 6.5, 50.2)), json!({"name": "Luxembourg", "pop_other": "many"})),
        ("nowhere", Value::Null, json!({"name": "it's 50% \\ done\n", "pop_other": 0.5, "boolean": "true"})),
        (
            "rhine",
            json!({"type": "LineString", "coordinates": [[8.0, 47.0], [8.0, 49.0], [6.0, 51.0]]}),
            json!({
                "name": "Rhein", "pop_other": -7, "boolean": null, "date": "soon",
            }),
        ),
        ("strasbourg", point(7.75, 48.58), json!({"name": "STRASSBURG", "nameascii": "Straßburg"})),
    ]
}

/// Runs a test on a database that holds the places.
async fn with_places<F: Future<Output = ()>>(test: impl FnOnce(Database) -> F) {
    with_database(|database| async move {
        for (id, geometry, properties) in places() {
            let geometry = if geometry.is_null() { None } else { Some(geometry.to_string()) };
            let time = |name: &str| properties[name].as_str().unwrap_or("2022-01-01T00:00:00Z").to_owned();
            let (start, end) = (time("start_datetime"), time("end_datetime"));
            sqlx::query(
                "insert into items (collection, id, geometry, starts_at, ends_at, properties, body, links, assets, digest)
                values ('drone-raw', $1, st_makevalid(st_setsrid(st_geomfromgeojson($2), 4326), 'method=structure keepcollapsed=true'),
                    $3::timestamptz, $4::timestamptz, $5::jsonb, '', '', '', '')",
            )
            .bind(id)
            .bind(geometry)
            .bind(start)
            .bind(end)
            .bind(properties.to_string())
            .execute(&database.pool)
            .await
            .expect("a place is stored");
        }
        test(database).await;
    })
    .await;
}

/// The ids of the places for which a filter is true.
async fn found(database: &Database, filter: &Filter) -> String {
    let mut query = QueryBuilder::<Postgres>::new("select id from items where ");
    push_filter(&mut query, filter, Subject::Items);
    query.push(" order by id");
    let ids: Vec<String> = query
        .build_query_scalar()
        .fetch_all(&database.pool)
        .await
        .unwrap_or_else(|error| panic!("{}: {error}", filter.to_text()));
    ids.join(" ")
}

/// Asks each filter, written as text and as JSON, and compares what it finds.
async fn expect(database: &Database, filters: &[(&str, &str)]) {
    for (text, expected) in filters {
        let filter = Filter::parse_text(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(found(database, &filter).await, *expected, "{text}");
        let json = filter.to_json();
        let read = Filter::parse_json(&json).unwrap_or_else(|error| panic!("{json}: {error}"));
        assert_eq!(read, filter, "{json}");
        let written = filter.to_text();
        let read = Filter::parse_text(&written).unwrap_or_else(|error| panic!("{written}: {error}"));
        assert_eq!(read, filter, "{written}");
    }
}

/// Asks each filter and says which found anything, for tests of literals alone.
async fn expect_truth(database: &Database, filters: &[(&str, bool)]) {
    for (text, truth) in filters {
        let filter = Filter::parse_text(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(!found(database, &filter).await.is_empty(), *truth, "{text}");
    }
}
