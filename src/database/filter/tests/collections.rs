//! The same language, asked of collections.

use sqlx::{Postgres, QueryBuilder};

use super::{Filter, Subject, push_filter, with_database};

/// Three collections, of which the last is open at both ends and has no place.
const COLLECTIONS: &str = r#"with c (id, content, geometry, starts_at, ends_at) as (values
    ('drone', '{"title": "Drone photos", "keywords": ["dike", "photo"], "summaries": {"gsd": {"minimum": 0.01}}}'::jsonb,
        st_makeenvelope(4, 51, 6, 53, 4326), '2025-01-01T00:00:00Z'::timestamptz, '2025-12-31T00:00:00Z'::timestamptz),
    ('satellite', '{"title": "Satellite", "license": "CC0-1.0", "collection": "x"}',
        st_makeenvelope(-180, -90, 180, 90, 4326), '2015-06-23T00:00:00Z', null),
    ('text', '{"title": "Text"}', null, null, null)
) select c.id from c where "#;

#[tokio::test]
async fn a_collection_is_found_by_its_members_place_and_time() {
    with_database(|database| async move {
        for (text, expected) in [
            ("id = 'drone'", "drone"),
            ("title like '%t%' and license = 'CC0-1.0'", "satellite"),
            ("casei(title) like casei('%TEXT%')", "text"),
            ("a_contains(keywords, ('dike'))", "drone"),
            ("summaries.gsd.minimum < 0.02", "drone"),
            ("collection = 'x'", "satellite"),
            ("collection is null", "drone text"),
            ("s_intersects(geometry, BBOX(5, 52, 5.1, 52.1))", "drone satellite"),
            ("geometry is null", "text"),
            ("t_after(datetime, DATE('2020-01-01'))", "drone"),
            ("t_intersects(datetime, INTERVAL('2026-01-01', '..'))", "satellite text"),
            ("t_before(end_datetime, DATE('2026-01-01'))", "drone"),
            ("end_datetime is null", "satellite text"),
            ("datetime is null", "text"),
            ("datetime >= TIMESTAMP('2025-01-01T00:00:00Z')", "drone"),
        ] {
            let mut query = QueryBuilder::<Postgres>::new(COLLECTIONS);
            push_filter(&mut query, &Filter::parse_text(text).unwrap(), Subject::Collections);
            query.push(" order by 1");
            let ids: Vec<String> = query.build_query_scalar().fetch_all(&database.pool).await.unwrap();
            assert_eq!(ids.join(" "), expected, "{text}");
        }
    })
    .await;
}
