//! Filters by people who mean harm, or whose program went wrong.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Filter, expect, found, with_places};

/// Longer than any of these takes, shorter than what grows exponentially.
const SOON: Duration = Duration::from_secs(5);

fn refused_soon(text: &str) {
    let start = Instant::now();
    assert!(Filter::parse_text(text).is_err(), "{}", &text[..text.len().min(60)]);
    assert!(start.elapsed() < SOON, "{}", &text[..text.len().min(60)]);
}

#[test]
fn nothing_takes_long_to_refuse() {
    for depth in [20, 50, 99, 10_000, 200_000] {
        refused_soon(&format!("{}a = 1 1{}", "(".repeat(depth), ")".repeat(depth)));
        refused_soon(&"(".repeat(depth));
        refused_soon(&format!("a_equals(x, {}1{}", "(".repeat(depth), ", 2)".repeat(depth)));
        refused_soon(&"not ".repeat(depth));
        refused_soon(&format!("a = {}1 1", "-".repeat(depth)));
        refused_soon(&format!("{}1", "casei(".repeat(depth)));
        refused_soon(&"s_intersects(geometry, GEOMETRYCOLLECTION(".repeat(depth / 4));
    }
    refused_soon(&"a = 1 and ".repeat(52_000));
    refused_soon(&format!("a = '{}'", "x".repeat(600_000)));
    refused_soon(&format!("{}a = 1", "a = 1 and ".repeat(5_000)));
    refused_soon(&format!("a in ({}1)", "1, ".repeat(20_000)));
    refused_soon(&format!("a = 1{}", " + 1".repeat(5_000)));
    refused_soon("a = '\0'");
    refused_soon("\"a\0\" = 1");
}

/// Reading, checking, writing and dropping recurse; a worker of the server has two megabytes for it.
#[test]
fn the_deepest_filter_needs_little_stack() {
    let deepest = || format!("{}name = 'Bern'{}", "(x or ".repeat(98), ")".repeat(98));
    let read = move || {
        let filter = Filter::parse_text(&deepest()).unwrap();
        assert_eq!(Filter::parse_json(&filter.to_json()).as_ref(), Ok(&filter));
        let mut query = sqlx::QueryBuilder::new("");
        super::push_filter(&mut query, &filter, super::Subject::Items);
    };
    std::thread::Builder::new().stack_size(1 << 20).spawn(read).unwrap().join().unwrap();
}

#[tokio::test]
async fn what_is_just_small_enough_is_answered() {
    with_places(|places| async move {
        let name = "name = 'Bern'";
        for text in [
            format!("{}{name}{}", "(".repeat(95), ")".repeat(95)),
            format!("{}{name}", "not ".repeat(98)),
            vec![name; 2_400].join(" or "),
            format!("name in ({})", vec!["'Bern'"; 9_900].join(", ")),
            format!("pop_other = 275329{}", " + 1 - 1".repeat(45)),
            format!("{}({name}){}", "(".repeat(40), " = true)".repeat(40)),
        ] {
            expect(&places, &[(&text, "bern")]).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_polygon_of_ten_thousand_vertices_is_answered() {
    with_places(|places| async move {
        let vertex = |i: u32| (f64::from(i) / 10_000.0 * std::f64::consts::TAU).sin_cos();
        let ring: Vec<[f64; 2]> =
            (0..=10_000).map(|i| vertex(i % 10_000)).map(|(sin, cos)| [7.47 + cos / 2.0, 46.92 + sin / 2.0]).collect();
        let wkt: Vec<String> = ring.iter().map(|[lon, lat]| format!("{lon} {lat}")).collect();
        let text = format!("s_intersects(geometry, POLYGON(({})))", wkt.join(","));
        let json = json!({"op": "s_intersects", "args": [
            {"property": "geometry"}, {"type": "Polygon", "coordinates": [ring]},
        ]});
        for filter in [Filter::parse_text(&text).unwrap(), Filter::parse_json(&json).unwrap()] {
            assert_eq!(found(&places, &filter).await, "bern");
        }
    })
    .await;
}

/// What looks like SQL is a name or a value like any other.
#[tokio::test]
async fn no_text_becomes_sql() {
    with_places(|places| async move {
        let hostile = "'; drop table items; --";
        for text in [
            format!("name = '{}'", hostile.replace('\'', "''")),
            format!("\"{hostile}\" = 1"),
            format!("\"{hostile}\" like '%{}%'", hostile.replace('\'', "''")),
            "name = '$1' or \"$2\" = 1 or name = '{}' or \"a}.{b\" = 'x' or \"..\" is not null and false".to_owned(),
            "name like '%\\%\\_\\\\%x' or casei(name) = casei('\\')".to_owned().replace("'\\')", "'\\\\')"),
        ] {
            expect(&places, &[(&text, "")]).await;
        }
        expect(&places, &[("name = 'Bern'", "bern")]).await;
    })
    .await;
}

/// Rows may hold anything that is JSON.
#[tokio::test]
async fn no_row_makes_a_filter_fail() {
    let long = "é".repeat(300);
    let values: Vec<Value> = vec![
        json!(null),
        json!(true),
        json!(0),
        json!(-0.0),
        json!(1e308),
        json!(5e-324),
        json!(""),
        json!("2022-02-30"),
        json!("2022-02-29"),
        json!("0000-01-01"),
        json!("9999-12-31T23:59:60.999999999999Z"),
        json!("2022-01-01T00:00:00"),
        json!("2022-01-01T00:00:00+14:59"),
        json!("2022-01-01T00:00:00.1234567890123Z"),
        json!("2022-13-01"),
        json!("infinity"),
        json!("now"),
        json!("2022-01-01 00:00:00Z"),
        json!(long),
        json!("\\"),
        json!("%"),
        json!([]),
        json!([[]]),
        json!({}),
        json!([null, {"x": [1]}]),
        json!({"b": null}),
    ];
    let asked = [
        "n = 1",
        "n < 1",
        "n >= 'a'",
        "n <> 'a'",
        "n in (1, 'a', DATE('2022-01-01'), m, true)",
        "n between 0 and 5",
        "n like '%'",
        "n = DATE('2022-01-01')",
        "n > TIMESTAMP('2022-01-01T00:00:00Z')",
        "n = m",
        "n < m",
        "n",
        "not n",
        "n is null",
        "n + m > 0",
        "n ^ m > 0",
        "n / m = n % m",
        "n div m = 1",
        "-n = 0",
        "casei(accenti(n)) = casei(accenti(m))",
        "t_after(n, m)",
        "t_during(INTERVAL(n, m), INTERVAL(m, '..'))",
        "a_equals(n, m)",
        "a_contains(n, (1))",
        "a_containedBy(n, (1, m, n + 1))",
        "a_overlaps(n, m)",
        "n.b = 1",
        "n = true",
        "(n < 5) = (m > 5)",
        "n.b.c is null",
    ];
    with_places(|places| async move {
        sqlx::query("update items set properties = jsonb_build_object('n', null)").execute(&places.pool).await.unwrap();
        for pair in values.iter().flat_map(|n| values.iter().step_by(3).map(move |m| json!({"n": n, "m": m}))) {
            sqlx::query(
                "insert into items (collection, id, starts_at, ends_at, properties, body, links, assets, digest)
                values ('drone-raw', gen_random_uuid()::text, now(), now(), $1::jsonb, '', '', '', '')",
            )
            .bind(pair.to_string())
            .execute(&places.pool)
            .await
            .unwrap();
        }
        sqlx::query("create index on items (polder_key(properties, 'n'))").execute(&places.pool).await.unwrap();
        for text in asked {
            found(&places, &Filter::parse_text(text).unwrap()).await;
            found(&places, &Filter::parse_text(&format!("not ({text})")).unwrap()).await;
        }
        let by_long = Filter::parse_json(&json!({"op": "=", "args": [{"property": "n"}, "é".repeat(300)]})).unwrap();
        assert_eq!(found(&places, &by_long).await.split(' ').count(), values.len().div_ceil(3));
        let longer = Filter::parse_json(&json!({"op": "=", "args": [{"property": "n"}, "é".repeat(299)]})).unwrap();
        assert_eq!(found(&places, &longer).await, "");
    })
    .await;
}
