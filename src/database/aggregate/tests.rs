//! Aggregates on a real PostGIS.

use serde_json::{Value, json};

use super::*;
use crate::{
    catalog::{Interval, StoredItem},
    database::testing::with_database,
};

#[expect(clippy::needless_pass_by_value, reason = "each is made for the call")]
fn item(n: usize, properties: Value) -> StoredItem {
    let mut item = json!({
        "type": "Feature", "stac_version": "1.1.0", "collection": "drone-raw", "id": format!("dijk-a/{}/{n}", n % 2),
        "geometry": { "type": "Point", "coordinates": [5.0 + n as f64, 52.0] },
        "bbox": [5.0 + n as f64, 52.0, 5.0 + n as f64, 52.0],
        "properties": { "datetime": format!("2025-0{}-10T10:00:00Z", n + 1) },
        "links": [], "assets": { "photo": { "href": format!("s3://drone-raw/projects/dijk-a/{n}.jpg") } },
    });
    for (name, value) in properties.as_object().unwrap() {
        item["properties"][name] = value.clone();
    }
    StoredItem::parse(&item.to_string(), &["drone-raw"]).unwrap()
}

/// Four photos, a month and a degree apart.
async fn four_photos(database: &Database) {
    let items = [
        item(0, json!({ "eo:cloud_cover": 3, "platform": "dji", "words": ["dike", "water"] })),
        item(1, json!({ "eo:cloud_cover": 12.5, "platform": "dji", "words": ["dike", "dike"] })),
        item(2, json!({ "eo:cloud_cover": -1, "platform": "parrot", "seen": "2025-06-01T00:00:00+02:00" })),
        item(3, json!({ "platform": "", "words": "water", "seen": "2024-01-01T00:00:00Z", "nested": { "a": 1 } })),
    ];
    database.upsert_items(&items, None).await.unwrap();
}

fn by(by: Grouping) -> Aggregate {
    Aggregate::Groups { by, most: 10 }
}

fn groups<const N: usize>(groups: [(&str, i64); N], overflow: i64) -> Aggregated {
    Aggregated::Groups(Groups { groups: groups.map(|(key, n)| (key.to_owned(), n)).to_vec(), overflow })
}

/// A condition that all items fulfil, so that no summary answers.
fn everything() -> Search {
    Search { datetime: Some(Interval::parse("2000-01-01T00:00:00Z/..").unwrap()), ..Search::default() }
}

async fn told(database: &Database, search: &Search, wanted: &[Aggregate]) -> Vec<Aggregated> {
    let known = database.list_collections().await.unwrap();
    database.aggregate_items(search, wanted, &known).await.unwrap()
}

#[tokio::test]
async fn one_pass_tells_all_that_items_have_one_of() {
    with_database(|database| async move {
        four_photos(&database).await;
        let number = |name: &str| Measure::Number(name.to_owned());
        let wanted = [
            Aggregate::Count,
            Aggregate::Least(Measure::Datetime),
            Aggregate::Greatest(number("eo:cloud_cover")),
            Aggregate::Least(number("eo:cloud_cover")),
            Aggregate::Least(number("nobody")),
            Aggregate::Greatest(Measure::Time("seen".into())),
            by(Grouping::Collection),
            by(Grouping::Term("platform".into())),
            by(Grouping::Term("nested".into())),
            by(Grouping::Time { of: None, step: Step::Year }),
            by(Grouping::Time { of: Some("seen".into()), step: Step::Day }),
            by(Grouping::Range { property: "eo:cloud_cover".into(), width: 5.0 }),
            by(Grouping::Geohash(1)),
            by(Grouping::Geotile(3)),
        ];
        let expected = [
            Aggregated::Count(4),
            Aggregated::Time(Some("2025-01-10T10:00:00Z".parse().unwrap())),
            Aggregated::Number(Some(12.5)),
            Aggregated::Number(Some(-1.0)),
            Aggregated::Number(None),
            Aggregated::Time(Some("2025-05-31T22:00:00Z".parse().unwrap())),
            groups([("drone-raw", 4)], 0),
            groups([("dji", 2), ("", 1), ("parrot", 1)], 0),
            groups([], 4),
            groups([("2025-01-01T00:00:00Z", 4)], 0),
            groups([("2024-01-01T00:00:00Z", 1), ("2025-05-31T00:00:00Z", 1)], 2),
            groups([("-5", 1), ("0", 1), ("10", 1)], 1),
            groups([("u", 4)], 0),
            groups([("3/4/2", 4)], 0),
        ];
        let answers = told(&database, &everything(), &wanted).await;
        assert_eq!(answers, expected);
        // Each alone says the same as all together.
        for (one, answer) in wanted.iter().zip(&answers) {
            assert_eq!(&told(&database, &everything(), std::slice::from_ref(one)).await[0], answer, "{one:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn summaries_say_the_same_as_the_items() {
    with_database(|database| async move {
        four_photos(&database).await;
        let wanted = [
            Aggregate::Count,
            Aggregate::Least(Measure::Datetime),
            Aggregate::Greatest(Measure::Datetime),
            Aggregate::Least(Measure::Number("eo:cloud_cover".into())),
            Aggregate::Greatest(Measure::Number("eo:cloud_cover".into())),
            by(Grouping::Collection),
            by(Grouping::Term("platform".into())),
            Aggregate::Groups { by: Grouping::Term("platform".into()), most: 1 },
        ];
        let counted = told(&database, &everything(), &wanted).await;
        assert_eq!(told(&database, &Search::default(), &wanted).await, counted);
        assert_eq!(counted[7], groups([("dji", 2)], 2));
        let none = Search { collections: Some(vec!["drone-ortho".into()]), ..Search::default() };
        let nothing = told(&database, &none, &wanted).await;
        assert_eq!(nothing[0], Aggregated::Count(0));
        let nothing_found = Search { ids: Some(Vec::new()), ..Search::default() };
        assert_eq!(told(&database, &nothing_found, &wanted).await, nothing);
    })
    .await;
}

#[tokio::test]
async fn an_item_counts_once_in_each_of_its_groups() {
    with_database(|database| async move {
        four_photos(&database).await;
        let elements = |most| Aggregate::Groups { by: Grouping::Element("words".into()), most };
        let answers = told(&database, &everything(), &[elements(10), elements(1), by(Grouping::AssetKey)]).await;
        assert_eq!(answers[0], groups([("dike", 2), ("water", 2)], 1));
        // One item has no word and one has only water.
        assert_eq!(answers[1], groups([("dike", 2)], 2));
        assert_eq!(answers[2], groups([("photo", 4)], 0));
    })
    .await;
}

fn path(of: PathOf, prefix: &str) -> Grouping {
    Grouping::Path(PathGrouping { of, prefix: prefix.into(), separator: "/".into(), below: None })
}

#[tokio::test]
async fn a_level_of_a_tree_is_told_like_a_folder() {
    with_database(|database| async move {
        four_photos(&database).await;
        let wanted = [
            by(path(PathOf::Id, "")),
            by(path(PathOf::Id, "dijk-a/")),
            by(path(PathOf::Id, "dijk-a/1/")),
            by(path(PathOf::Id, "dijk-b/")),
            by(path(PathOf::AssetHref, "s3://drone-raw/projects/")),
            by(path(PathOf::AssetHref, "s3://drone-raw/projects/dijk-a/")),
            by(path(PathOf::AssetKey, "")),
            by(path(PathOf::Property("platform".into()), "")),
            Aggregate::Groups { by: path(PathOf::AssetHref, "s3://drone-raw/projects/dijk-a/"), most: 1 },
            Aggregate::Groups { by: path(PathOf::Id, "dijk-a/1/"), most: 1 },
        ];
        let expected = [
            groups([("dijk-a/", 4)], 0),
            groups([("dijk-a/0/", 2), ("dijk-a/1/", 2)], 0),
            groups([("dijk-a/1/1", 1), ("dijk-a/1/3", 1)], 0),
            groups([], 0),
            groups([("s3://drone-raw/projects/dijk-a/", 4)], 0),
            groups(
                [
                    ("s3://drone-raw/projects/dijk-a/0.jpg", 1),
                    ("s3://drone-raw/projects/dijk-a/1.jpg", 1),
                    ("s3://drone-raw/projects/dijk-a/2.jpg", 1),
                    ("s3://drone-raw/projects/dijk-a/3.jpg", 1),
                ],
                0,
            ),
            groups([("photo", 4)], 0),
            groups([("dji", 2), ("", 1), ("parrot", 1)], 0),
            groups([("s3://drone-raw/projects/dijk-a/0.jpg", 1)], 3),
            groups([("dijk-a/1/1", 1)], 1),
        ];
        assert_eq!(told(&database, &everything(), &wanted).await, expected);
    })
    .await;
}

#[tokio::test]
async fn a_folder_of_many_is_found_by_its_index() {
    with_database(|database| async move {
        sqlx::query(
            "insert into items (collection, id, geometry, starts_at, ends_at, properties, body, links, assets, digest)
            select 'drone-raw', 'p' || n % 100 || '/' || n, null, now(), now(), '{}', '', '', '', ''
            from generate_series(1, 40000) n",
        )
        .execute(&database.pool)
        .await
        .unwrap();
        sqlx::query("vacuum analyze items").execute(&database.pool).await.unwrap();
        let below = Filter::parse_text("id >= 'p7/' and id < 'p70'").unwrap();
        let grouping = Grouping::Path(PathGrouping {
            of: PathOf::Id,
            prefix: "p7/".into(),
            separator: "/".into(),
            below: Some(Box::new(below.clone())),
        });
        let search = Search { collections: Some(vec!["drone-raw".into()]), filter: Some(below), ..Search::default() };
        let mut explained = sqlx::QueryBuilder::new("explain ");
        own_pass::push_groups(&mut explained, &search, &grouping, 10);
        let plan: Vec<String> = explained.build_query_scalar().fetch_all(&database.pool).await.unwrap();
        // Whether it looks into the table too depends on how much of it vacuum could mark, and so on who else is at work.
        let by_index = |line: &String| line.contains("Index Cond: ") && line.contains("id >= 'p7/'");
        assert!(plan.iter().any(by_index), "{plan:#?}");
        let Aggregated::Groups(found) = told(&database, &Search::default(), &[by(grouping)]).await.remove(0) else {
            panic!("groups were asked for")
        };
        assert_eq!((found.groups.len(), found.overflow), (10, 390));
    })
    .await;
}
