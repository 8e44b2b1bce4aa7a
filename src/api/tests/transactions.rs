//! Writing over HTTP: what is added, changed and removed, by whom, and what nobody can undo unseen.

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use serde_json::{Value, json};

use super::super::{
    Role, Settings,
    testing::{Answer, Client, with_api},
};
use crate::database::Filter;

const ITEMS: &str = "/stac/collections/meadow/items";

fn item(id: &str, properties: &Value) -> Value {
    let mut all = json!({ "datetime": "2025-06-23T10:00:00Z" });
    all.as_object_mut().unwrap().extend(properties.as_object().unwrap().clone());
    json!({
        "type": "Feature", "stac_version": "1.1.0", "id": id, "collection": "meadow",
        "geometry": { "type": "Point", "coordinates": [5.1, 52.0] }, "bbox": [5.1, 52.0, 5.1, 52.0],
        "properties": all, "links": [], "assets": { "a": { "href": "https://example.org/a.tif" } },
    })
}

fn meadow() -> Value {
    json!({
        "type": "Collection", "stac_version": "1.1.0", "id": "meadow", "description": "A meadow", "license": "CC-BY-4.0",
        "extent": { "spatial": { "bbox": [[4, 51, 6, 53]] }, "temporal": { "interval": [["2020-01-01T00:00:00Z", null]] } },
        "links": [],
    })
}

struct Writer {
    client: Client,
    token: String,
}

impl Writer {
    async fn new(client: &Client, role: Role) -> Self {
        Self::narrowed(client, role, None).await
    }

    async fn narrowed(client: &Client, role: Role, filter: Option<&Filter>) -> Self {
        let token = client.database.create_token(role.as_str(), role, filter).await.unwrap();
        Self { client: client.clone(), token }
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request =
            Request::builder().method(method).uri(path).header("authorization", format!("Bearer {}", self.token));
        let typed = headers.iter().any(|(name, _)| *name == "content-type");
        if !typed && !body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.client.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &[], &body.to_string()).await
    }
}

async fn with_meadow<F: Future<Output = ()>>(test: impl FnOnce(Client, Writer) -> F) {
    with_api(Settings::default(), |client| async move {
        let admin = Writer::new(&client, Role::Admin).await;
        assert_eq!(admin.post("/stac/collections", &meadow()).await.status, StatusCode::CREATED);
        test(client, admin).await;
    })
    .await;
}

async fn collection(client: &Client) -> Value {
    client.get("/stac/collections/meadow").await.json()
}

#[tokio::test]
async fn an_item_is_added_once_and_found_where_it_is_said_to_be() {
    with_meadow(|client, admin| async move {
        let added = admin.post(ITEMS, &item("a", &json!({}))).await;
        assert_eq!(added.status, StatusCode::CREATED, "{:?}", added.body);
        let place = added.header("location").strip_prefix("http://localhost").unwrap().to_owned();
        let found = client.get(&place).await;
        assert_eq!((found.json(), found.header("etag")), (added.json(), added.header("etag")));
        let again = admin.post(ITEMS, &item("a", &json!({}))).await;
        assert_eq!((again.status, &again.json()["code"]), (StatusCode::CONFLICT, &json!("AlreadyExists")));
        assert_eq!(
            admin.post("/stac/collections/nobody/items", &item("a", &json!({}))).await.status,
            StatusCode::NOT_FOUND
        );
    })
    .await;
}

#[tokio::test]
async fn every_fault_of_an_item_is_told_and_nothing_is_written() {
    with_meadow(|client, admin| async move {
        let mut wrong = item("a", &json!({ "gsd": -1, "created": "yesterday" }));
        wrong["assets"]["a"]["href"] = json!(7);
        wrong["collection"] = json!("other");
        let refused = admin.post(ITEMS, &wrong).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST);
        let errors = refused.json()["errors"].clone();
        let pointers: Vec<&str> = errors.as_array().unwrap().iter().map(|e| e["pointer"].as_str().unwrap()).collect();
        for pointer in ["/collection", "/properties/gsd", "/properties/created", "/assets/a/href"] {
            assert!(pointers.contains(&pointer), "{pointer}: {pointers:?}");
        }
        assert_eq!(client.get(ITEMS).await.json()["numberMatched"], 0);
    })
    .await;
}

#[tokio::test]
async fn a_change_by_somebody_else_is_not_undone() {
    with_meadow(|_, admin| async move {
        let first = admin.post(ITEMS, &item("a", &json!({}))).await;
        let seen = first.header("etag").to_owned();
        let path = format!("{ITEMS}/a");
        let other = item("a", &json!({ "gsd": 1 })).to_string();
        let changed = admin.send("PUT", &path, &[("if-match", &seen)], &other).await;
        assert_eq!(changed.status, StatusCode::OK, "{:?}", changed.body);
        for method in ["PUT", "PATCH", "DELETE"] {
            let late = admin.send(method, &path, &[("if-match", &seen)], &other).await;
            assert_eq!(late.status, StatusCode::PRECONDITION_FAILED, "{method}: {:?}", late.body);
        }
        let now = changed.header("etag").to_owned();
        assert_eq!(admin.send("DELETE", &path, &[("if-match", &now)], "").await.status, StatusCode::NO_CONTENT);
        assert_eq!(admin.send("DELETE", &path, &[], "").await.status, StatusCode::NOT_FOUND);
    })
    .await;
}

#[tokio::test]
async fn what_was_read_can_be_sent_back_and_is_the_same() {
    with_api(Settings::default(), |client| async move {
        let admin = Writer::new(&client, Role::Admin).await;
        let path = "/stac/collections/drone-raw/items/dijk-a.flight-2025.DJI_0001.JPG";
        let read = client.get(path).await;
        let back = admin.send("PUT", path, &[], std::str::from_utf8(&read.body).unwrap()).await;
        assert_eq!((back.status, back.header("etag")), (StatusCode::OK, read.header("etag")));
        assert_eq!(
            client.get(&format!("{path}?hrefs=s3")).await.json()["assets"]["photo"]["href"].as_str().unwrap().get(..5),
            Some("s3://")
        );
    })
    .await;
}

#[tokio::test]
async fn parts_are_changed_by_either_kind_of_patch() {
    with_meadow(|client, admin| async move {
        admin.post(ITEMS, &item("a", &json!({ "gsd": 1, "title": "x" }))).await;
        let path = format!("{ITEMS}/a");
        let merged = admin.send("PATCH", &path, &[], r#"{"properties":{"gsd":2,"title":null}}"#).await;
        assert_eq!((merged.status, &merged.json()["properties"]["gsd"]), (StatusCode::OK, &json!(2)));
        assert!(merged.json()["properties"].get("title").is_none());
        let json_patch = [("content-type", "application/json-patch+json")];
        let replace =
            r#"[{"op":"test","path":"/properties/gsd","value":2},{"op":"replace","path":"/properties/gsd","value":3}]"#;
        assert_eq!(admin.send("PATCH", &path, &json_patch, replace).await.status, StatusCode::OK);
        assert_eq!(client.get(&path).await.json()["properties"]["gsd"], 3);
        assert_eq!(admin.send("PATCH", &path, &json_patch, replace).await.status, StatusCode::CONFLICT);
        let rename = admin.send("PATCH", &path, &[], r#"{"id":"b"}"#).await;
        assert_eq!(rename.status, StatusCode::BAD_REQUEST);
    })
    .await;
}

#[tokio::test]
async fn a_feature_collection_is_written_whole_or_not_at_all() {
    with_meadow(|client, admin| async move {
        let features = |ids: std::ops::Range<usize>| -> Value {
            let features: Vec<Value> = ids.map(|i| item(&format!("i{i:04}"), &json!({}))).collect();
            json!({ "type": "FeatureCollection", "features": features })
        };
        let added = admin.post(ITEMS, &features(0..1200)).await;
        assert_eq!((added.status, &added.json()["numberCreated"]), (StatusCode::CREATED, &json!(1200)), "{:?}", added.body);
        let overlapping = admin.post(ITEMS, &features(1100..2000)).await;
        assert_eq!(overlapping.status, StatusCode::CONFLICT);
        let mut faulty = features(3000..4000);
        faulty["features"][777]["properties"]["datetime"] = json!("never");
        let refused = admin.post(ITEMS, &faulty).await;
        assert_eq!(refused.json()["errors"][0]["pointer"], "/features/777/properties/datetime");
        assert_eq!(client.get(ITEMS).await.json()["numberMatched"], 1200);
        let bulk = json!({ "method": "upsert", "items": { "i0000": item("i0000", &json!({ "gsd": 1 })), "new": item("new", &json!({})) } });
        let written = admin.post("/stac/collections/meadow/bulk_items", &bulk).await;
        assert_eq!(written.json(), json!({ "inserted": 1, "updated": 1, "unchanged": 0 }));
    })
    .await;
}

#[tokio::test]
async fn a_collection_says_what_its_items_are_as_they_come_and_go() {
    with_meadow(|client, admin| async move {
        assert_eq!(collection(&client).await["extent"], meadow()["extent"]);
        admin.post(ITEMS, &item("a", &json!({ "eo:cloud_cover": 10, "platform": "x" }))).await;
        let mut far = item("b", &json!({ "eo:cloud_cover": 30, "platform": "y" }));
        far["geometry"]["coordinates"] = json!([7, 53]);
        far["properties"]["datetime"] = json!("2026-01-01T00:00:00Z");
        admin.post(ITEMS, &far).await;
        let both = collection(&client).await;
        assert_eq!(both["extent"]["spatial"]["bbox"][0], json!([5.1, 52.0, 7.0, 53.0]));
        assert_eq!(both["summaries"]["eo:cloud_cover"], json!({ "minimum": 10, "maximum": 30 }));
        assert_eq!(
            (&both["summaries"]["platform"], both["item_assets"].get("a").is_some()),
            (&json!(["x", "y"]), true)
        );
        let queryables = client.get("/stac/collections/meadow/queryables").await.json();
        assert_eq!(queryables["properties"]["platform"]["enum"], json!(["x", "y"]));
        admin.send("DELETE", &format!("{ITEMS}/b"), &[], "").await;
        let one = collection(&client).await;
        assert_eq!(one["extent"]["spatial"]["bbox"][0], json!([5.1, 52.0, 5.1, 52.0]));
        assert_eq!(one["extent"]["temporal"]["interval"][0], json!(["2025-06-23T10:00:00Z", "2025-06-23T10:00:00Z"]));
        assert_eq!(one["summaries"]["eo:cloud_cover"], json!({ "minimum": 10, "maximum": 10 }));
        assert_eq!(one["summaries"]["platform"], json!(["x"]));
        admin.send("DELETE", &format!("{ITEMS}/a"), &[], "").await;
        assert_eq!(collection(&client).await["extent"], meadow()["extent"]);
    })
    .await;
}

#[tokio::test]
async fn collections_are_changed_and_removed_but_for_those_that_polder_writes_into() {
    with_meadow(|client, admin| async move {
        admin.post(ITEMS, &item("a", &json!({}))).await;
        let path = "/stac/collections/meadow";
        let titled = admin.send("PATCH", path, &[], r#"{"title":"Meadows"}"#).await;
        assert_eq!((titled.status, &titled.json()["title"]), (StatusCode::OK, &json!("Meadows")), "{:?}", titled.body);
        assert_eq!(titled.json()["extent"]["spatial"]["bbox"][0], json!([5.1, 52.0, 5.1, 52.0]));
        let mut other = meadow();
        other["description"] = json!("Another");
        assert_eq!(admin.send("PUT", path, &[], &other.to_string()).await.json()["description"], "Another");
        assert_eq!(admin.post("/stac/collections", &meadow()).await.status, StatusCode::CONFLICT);
        assert_eq!(admin.send("DELETE", path, &[], "").await.status, StatusCode::NO_CONTENT);
        assert_eq!(client.get(path).await.status, StatusCode::NOT_FOUND);
        assert_eq!(client.get("/stac/search?ids=a").await.json()["numberMatched"], 0);
        assert_eq!(admin.send("DELETE", "/stac/collections/drone-raw", &[], "").await.status, StatusCode::CONFLICT);
    })
    .await;
}

#[tokio::test]
async fn what_a_client_read_and_sent_back_does_not_stay_when_the_items_go() {
    with_meadow(|client, admin| async move {
        let path = "/stac/collections/meadow";
        let empty = collection(&client).await;
        admin.post(ITEMS, &item("a", &json!({ "gsd": 1 }))).await;
        let full = collection(&client).await;
        assert_eq!(full["summaries"]["gsd"]["maximum"], 1, "{full}");
        assert_eq!(admin.send("PATCH", path, &[], r#"{"title":"Meadows"}"#).await.status, StatusCode::OK);
        let mut whole = full.clone();
        whole["title"] = json!("All meadows");
        whole["summaries"]["season"] = json!(["spring"]);
        assert_eq!(admin.send("PUT", path, &[], &whole.to_string()).await.status, StatusCode::OK);
        admin.send("DELETE", &format!("{ITEMS}/a"), &[], "").await;
        let after = collection(&client).await;
        assert_eq!(after["title"], "All meadows");
        assert_eq!(after["extent"], empty["extent"]);
        assert_eq!(after["summaries"], json!({ "season": ["spring"] }));
        assert_eq!(after["item_assets"], empty["item_assets"]);
    })
    .await;
}

#[tokio::test]
async fn each_role_writes_what_is_its_own() {
    with_meadow(|client, _| async move {
        let mut raw = item("x", &json!({}));
        raw["collection"] = json!("drone-raw");
        let path = "/stac/collections/drone-raw/items";
        let anybody = client.post(path, &raw).await;
        assert_eq!(anybody.status, StatusCode::UNAUTHORIZED);
        let viewer = Writer::new(&client, Role::Viewer).await;
        assert_eq!(viewer.post(path, &raw).await.status, StatusCode::FORBIDDEN);
        let uploader = Writer::new(&client, Role::Uploader).await;
        assert_eq!(uploader.post(path, &raw).await.status, StatusCode::CREATED);
        assert_eq!(uploader.send("DELETE", &format!("{path}/x"), &[], "").await.status, StatusCode::FORBIDDEN);
        assert_eq!(uploader.post(ITEMS, &item("x", &json!({}))).await.status, StatusCode::FORBIDDEN);
        assert_eq!(uploader.post("/stac/collections", &meadow()).await.status, StatusCode::FORBIDDEN);
        // Who may only add replaces nothing, however the request spells its wish.
        raw["properties"]["description"] = json!("told \"upsert\" by somebody");
        raw["id"] = json!("y");
        let bulk = "/stac/collections/drone-raw/bulk_items";
        let request = json!({ "items": { "y": raw } });
        assert_eq!(uploader.post(bulk, &request).await.status, StatusCode::OK);
        for method in [r#""method""#, r#""m\u0065thod""#] {
            let request = format!(r#"{{{method}: "\u0075psert", "items": {{"y": {raw}}}}}"#);
            assert_eq!(uploader.send("POST", bulk, &[], &request).await.status, StatusCode::FORBIDDEN, "{request}");
        }
        let misnamed = json!({ "items": { "x": raw } });
        assert_eq!(uploader.post(bulk, &misnamed).await.status, StatusCode::BAD_REQUEST);
        let who: Vec<(String, String)> =
            client.database.list_audits(10).await.unwrap().into_iter().map(|row| (row.who, row.what)).collect();
        assert!(who.contains(&("uploader".into(), "add item".into())), "{who:?}");
    })
    .await;
}

#[tokio::test]
async fn a_narrowed_token_sees_its_part_in_every_way_and_writes_nothing() {
    with_meadow(|client, admin| async move {
        for (id, platform) in [("a", "x"), ("b", "y")] {
            admin.post(ITEMS, &item(id, &json!({ "platform": platform }))).await;
        }
        let filter = Filter::parse_text("platform = 'x'").unwrap();
        let reader = Writer::narrowed(&client, Role::Admin, Some(&filter)).await;
        let found = reader.send("GET", "/stac/search?collections=meadow", &[], "").await.json();
        assert_eq!((&found["numberMatched"], &found["features"][0]["id"]), (&json!(1), &json!("a")));
        assert_eq!(reader.send("GET", &format!("{ITEMS}/a"), &[], "").await.status, StatusCode::OK);
        assert_eq!(reader.send("GET", &format!("{ITEMS}/b"), &[], "").await.status, StatusCode::NOT_FOUND);
        assert_eq!(reader.send("GET", "/assets/meadow/b/a", &[], "").await.status, StatusCode::NOT_FOUND);
        let sly = "/stac/search?collections=meadow&filter=platform%20%3D%20%27y%27%20or%20platform%20%3C%3E%20%27z%27";
        let found = reader.send("GET", sly, &[], "").await.json();
        let ids: Vec<&Value> = found["features"].as_array().unwrap().iter().map(|item| &item["id"]).collect();
        assert_eq!(ids, ["a"], "{found}");
        for path in ["/stac/collections/meadow", "/stac/collections", "/stac/children"] {
            let told = reader.send("GET", path, &[], "").await.json().to_string();
            assert!(!told.contains("summaries") && !told.contains("5.1"), "{told}");
        }
        let counted =
            reader.send("GET", "/stac/collections/meadow/aggregate?aggregations=total_count", &[], "").await.json();
        assert_eq!(counted["aggregations"][0]["value"], 1, "{counted}");
        assert_eq!(reader.send("DELETE", &format!("{ITEMS}/a"), &[], "").await.status, StatusCode::FORBIDDEN);
    })
    .await;
}
