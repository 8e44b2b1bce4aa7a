//! Whether PostgreSQL finds the indexes.

use sqlx::{Postgres, QueryBuilder};

use super::{Database, Filter, Subject, push_filter, with_database};

/// Twenty thousand items along a line, with two properties that have an index.
async fn with_many<F: Future<Output = ()>>(test: impl FnOnce(Database) -> F) {
    with_database(|database| async move {
        for statement in [
            "insert into items (collection, id, geometry, starts_at, ends_at, properties, body, links, assets, digest)
            select 'drone-raw', i::text, st_setsrid(st_makepoint(i / 1000.0, 52), 4326),
                '2025-01-01T00:00:00Z'::timestamptz + i * interval '1 hour',
                '2025-01-01T00:00:00Z'::timestamptz + i * interval '1 hour',
                jsonb_build_object('number', i, 'word', 'word ' || i, 'even', i % 2 = 0, 'rare', i % 5000 = 0,
                    'stamp', '2025-01-01T00:00:00Z'::timestamptz + i * interval '1 hour'), '', '', '', ''
            from generate_series(1, 20000) as i",
            "create index items_number on items (polder_key(properties, 'number'))",
            "create index items_word on items (polder_key(properties, 'word'))",
            "create index items_stamp on items (polder_key(properties, 'stamp'))",
            "create index items_rare on items (polder_key(properties, 'rare'))",
            "analyze items",
        ] {
            sqlx::query(statement).execute(&database.pool).await.expect("the statement runs");
        }
        test(database).await;
    })
    .await;
}

async fn plan(database: &Database, text: &str) -> String {
    let filter = Filter::parse_text(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let mut query = QueryBuilder::<Postgres>::new("explain select id from items where ");
    push_filter(&mut query, &filter, Subject::Items);
    let lines: Vec<String> = query.build_query_scalar().fetch_all(&database.pool).await.expect("a plan");
    lines.join("\n")
}

#[tokio::test]
async fn an_index_on_the_key_of_a_property_serves_comparisons_with_constants() {
    with_many(|database| async move {
        for (text, index) in [
            ("number = 5", "items_number"),
            ("5 = number", "items_number"),
            ("properties.number < 5", "items_number"),
            ("not number >= 5", "items_number"),
            ("number between 5 and 10", "items_number"),
            ("number in (5, 6, 7.5)", "items_number"),
            ("number = 2 + 3 * 4", "items_number"),
            ("number > 20000 - 5 and even", "items_number"),
            ("word = 'word 5'", "items_word"),
            ("word in ('word 5', 'word 6')", "items_word"),
            ("word > 'word 9999'", "items_word"),
            ("word between 'word 55' and 'word 551'", "items_word"),
            ("stamp > TIMESTAMP('2027-04-13T00:00:00Z')", "items_stamp"),
            ("stamp = TIMESTAMP('2025-01-02T03:00:00Z')", "items_stamp"),
            ("DATE('2025-01-03') > stamp", "items_stamp"),
            ("rare", "items_rare"),
            ("rare = true", "items_rare"),
            ("rare in (5) or number = 7", "items_number"),
            ("s_intersects(geometry, BBOX(5, 51, 5.1, 53))", "items_geometry"),
            ("s_within(BBOX(5, 51, 5.1, 53), geometry)", "items_geometry"),
            ("s_intersects(geometry, BBOX(179, 51, -179.9, 53))", "items_geometry"),
            ("s_touches(geometry, POLYGON((5 51,5.1 51,5.1 53,5 51)))", "items_geometry"),
            ("id = '77'", "items_id"),
            ("datetime < DATE('2025-01-02')", "items_order"),
            ("t_before(datetime, DATE('2025-01-02'))", "items_order"),
            ("t_after(DATE('2025-01-02'), datetime)", "items_order"),
            ("t_during(datetime, INTERVAL('2025-02-01', '2025-02-02'))", "items_order"),
            ("t_intersects(datetime, INTERVAL('2025-02-01', '2025-02-02'))", "items_order"),
            ("t_intersects(INTERVAL('2025-02-01', '2025-02-02'), datetime)", "items_order"),
        ] {
            let plan = plan(&database, text).await;
            assert!(plan.contains(index) && !plan.contains("Seq Scan"), "{text}\n{plan}");
        }
    })
    .await;
}

/// The functions cost nothing themselves: none is left to be called but `polder_key`, which is asked of an index.
#[tokio::test]
async fn the_functions_are_inlined() {
    with_many(|database| async move {
        for text in ["number + 1 > 5", "word like '%5'", "casei(word) = casei('WORD 5')", "a_contains(number, (5))"] {
            let plan = plan(&database, text).await;
            assert!(!plan.contains("polder_"), "{text}\n{plan}");
        }
    })
    .await;
}
