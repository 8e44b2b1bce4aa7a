//! Searching over HTTP: order, pages both ways, filters, members, words, forms.

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use serde_json::{Value, json};

use super::{
    super::{
        Settings,
        testing::{Answer, Client, with_api},
    },
    add_photos, ids, next_link,
};
use crate::catalog::StoredItem;

/// Items of which some lack what they are sorted by.
async fn add_clouds(client: &Client) {
    let clouds = [Some(30), None, Some(10), Some(20), None, Some(10)];
    let items: Vec<StoredItem> = clouds
        .iter()
        .enumerate()
        .map(|(i, cloud)| {
            let item = json!({
                "type": "Feature", "stac_version": "1.1.0", "id": format!("c{i}"), "collection": "drone-ortho",
                "geometry": null, "links": [], "assets": {},
                "properties": {
                    "datetime": format!("2024-01-0{}T00:00:00Z", i + 1), "eo:cloud_cover": cloud,
                    "title": format!("A cloud over the {} dike", if i % 2 == 0 { "north" } else { "south" }),
                },
            });
            let mut item = item;
            if cloud.is_none() {
                item["properties"].as_object_mut().unwrap().remove("eo:cloud_cover");
            }
            StoredItem::parse(&item.to_string(), &[]).unwrap()
        })
        .collect();
    client.database.upsert_items(&items, None).await.unwrap();
}

fn link_to(answer: &Answer, rel: &str) -> Option<String> {
    let links = answer.json()["links"].clone();
    let href = links.as_array().unwrap().iter().find(|link| link["rel"] == rel)?["href"].as_str()?.to_owned();
    Some(href.strip_prefix("http://localhost").unwrap().to_owned())
}

#[tokio::test]
async fn sorted_pages_join_both_ways_and_items_without_the_key_come_last() {
    with_api(Settings::default(), |client| async move {
        add_clouds(&client).await;
        for (sign, wanted) in [("", ["c2", "c5", "c3", "c0", "c1", "c4"]), ("-", ["c0", "c3", "c5", "c2", "c4", "c1"])]
        {
            let path = format!("/stac/search?ids=c0,c1,c2,c3,c4,c5&limit=2&sortby={sign}properties.eo:cloud_cover");
            let first = client.get(&path).await;
            let second = client.get(&link_to(&first, "next").unwrap()).await;
            let third = client.get(&link_to(&second, "next").unwrap()).await;
            let all: Vec<String> = [&first, &second, &third].iter().flat_map(|page| ids(page)).collect();
            assert_eq!(all, wanted, "sortby={sign}eo:cloud_cover");
            assert_eq!((link_to(&third, "next"), link_to(&first, "prev")), (None, None));
            let back = client.get(&link_to(&third, "prev").unwrap()).await;
            assert_eq!(ids(&back), ids(&second));
            assert_eq!(ids(&client.get(&link_to(&back, "prev").unwrap()).await), ids(&first));
            assert_eq!(third.json()["numberMatched"], 6, "the count is carried along");
        }
    })
    .await;
}

#[tokio::test]
async fn pages_by_post_go_back_too() {
    with_api(Settings::default(), |client| async move {
        add_photos(&client, 25).await;
        let body =
            json!({ "collections": ["drone-raw"], "limit": 10, "sortby": [{ "field": "id", "direction": "desc" }] });
        let first = client.post("/stac/search", &body).await;
        let second = client.post("/stac/search", &next_link(&first).unwrap()["body"]).await;
        let links = second.json()["links"].clone();
        let prev = links.as_array().unwrap().iter().find(|link| link["rel"] == "prev").unwrap()["body"].clone();
        assert_eq!(ids(&client.post("/stac/search", &prev).await), ids(&first));
    })
    .await;
}

#[tokio::test]
async fn a_long_answer_is_one_answer() {
    with_api(Settings::default(), |client| async move {
        add_photos(&client, 1300).await;
        let answer = client.get("/stac/search?collections=drone-raw&limit=1200").await;
        let mut found = ids(&answer);
        assert_eq!((found.len(), &answer.json()["numberMatched"]), (1200, &json!(1301)));
        found.sort();
        found.dedup();
        assert_eq!(found.len(), 1200);
        let rest = client.get(&link_to(&answer, "next").unwrap()).await;
        assert_eq!((ids(&rest).len(), link_to(&rest, "next")), (101, None));
        assert_eq!(ids(&client.get(&link_to(&rest, "prev").unwrap()).await).len(), 1200);
    })
    .await;
}

#[tokio::test]
async fn filters_are_understood_in_text_in_json_and_as_queries() {
    with_api(Settings::default(), |client| async move {
        add_clouds(&client).await;
        let wanted = ["c5", "c2"];
        let text =
            "/stac/search?collections=drone-ortho&filter=%22eo%3Acloud_cover%22%20%3C%2020&filter-lang=cql2-text";
        assert_eq!(ids(&client.get(text).await), wanted);
        let filter = json!({ "op": "<", "args": [{ "property": "eo:cloud_cover" }, 20] });
        assert_eq!(
            ids(&client.post("/stac/search", &json!({ "filter": filter, "collections": ["drone-ortho"] })).await),
            wanted
        );
        let texted =
            json!({ "filter": "eo:cloud_cover < 20", "filter-lang": "cql2-text", "collections": ["drone-ortho"] });
        assert_eq!(ids(&client.post("/stac/search", &texted).await), wanted);
        let query = json!({ "query": { "eo:cloud_cover": { "lt": 20 } }, "collections": ["drone-ortho"] });
        assert_eq!(ids(&client.post("/stac/search", &query).await), wanted);
        let of_collection =
            "/stac/collections/drone-ortho/items?filter=eo:cloud_cover%20between%2010%20and%2020&sortby=id";
        assert_eq!(ids(&client.get(of_collection).await), ["c2", "c3", "c5"]);
    })
    .await;
}

#[tokio::test]
async fn words_are_found_in_items_and_in_collections() {
    with_api(Settings::default(), |client| async move {
        add_clouds(&client).await;
        assert_eq!(ids(&client.get("/stac/search?q=north%20dike&sortby=id").await), ["c0", "c2", "c4"]);
        assert_eq!(ids(&client.get("/stac/search?q=nowhere,south&limit=100").await).len(), 3);
        let named = |answer: Answer| -> Vec<String> {
            let collections = answer.json()["collections"].clone();
            collections.as_array().unwrap().iter().map(|c| c["id"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(named(client.get("/stac/collections?q=orthophotos").await), ["drone-ortho"]);
        assert_eq!(
            named(client.get("/stac/collections?filter=id%20like%20%27ai-%25%27&sortby=-id").await),
            ["ai-results", "ai-models"]
        );
        assert_eq!(named(client.get("/stac/collections?limit=2").await).len(), 2);
        let everywhere = named(client.get("/stac/collections?bbox=-180,-90,180,90").await);
        assert_eq!(everywhere.len(), 4);
    })
    .await;
}

#[tokio::test]
async fn members_are_chosen() {
    with_api(Settings::default(), |client| async move {
        add_clouds(&client).await;
        let found = client.get("/stac/search?ids=c0&fields=id,properties.eo:cloud_cover").await.json();
        let wanted = json!({ "id": "c0", "collection": "drone-ortho", "properties": { "eo:cloud_cover": 30 } });
        assert_eq!(found["features"][0], wanted);
    })
    .await;
}

#[tokio::test]
async fn items_come_as_lines_and_as_a_table() {
    with_api(Settings::default(), |client| async move {
        add_photos(&client, 700).await;
        let accept = |kind: &str| {
            Request::get("/stac/collections/drone-raw/items").header("accept", kind).body(Body::empty()).unwrap()
        };
        let lines = client.send(accept("application/x-ndjson")).await;
        assert_eq!((lines.status, lines.header("content-type")), (StatusCode::OK, "application/x-ndjson"));
        let text = String::from_utf8(lines.body.to_vec()).unwrap();
        let items: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(
            (items.len(), items[0]["type"].as_str()),
            (701, Some("Feature")),
            "without a limit all of them come"
        );
        let table = client.get("/stac/collections/drone-raw/items?f=parquet").await;
        assert_eq!(table.header("content-type"), "application/vnd.apache.parquet");
        assert_eq!((&table.body[..4], &table.body[table.body.len() - 4..]), (&b"PAR1"[..], &b"PAR1"[..]));
        assert_eq!(client.get("/stac/search?f=xml").await.status, StatusCode::BAD_REQUEST);
    })
    .await;
}

#[tokio::test]
async fn every_item_is_reached_by_links_alone() {
    with_api(Settings::default(), |client| async move {
        add_clouds(&client).await;
        let mut todo = vec!["/stac/collections/drone-ortho".to_owned()];
        let mut items = Vec::new();
        while let Some(path) = todo.pop() {
            let page = client.get(&path).await.json();
            for link in page["links"].as_array().unwrap() {
                let href =
                    link["href"].as_str().unwrap().strip_prefix("http://localhost").unwrap_or_default().to_owned();
                match link["rel"].as_str().unwrap() {
                    "child" => todo.push(href),
                    "item" => items.push(href),
                    _ => {}
                }
            }
        }
        assert_eq!(items.len(), 7);
        for item in &items {
            assert_eq!(client.get(item).await.status, StatusCode::OK, "{item}");
        }
    })
    .await;
}
