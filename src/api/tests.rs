//! The contract of the API: whole answers of the real router on a real PostGIS.

mod reviewing;
mod searching;
mod transactions;

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use insta::assert_json_snapshot;
use serde_json::{Value, json};

use super::{
    Hrefs, Role, Settings,
    testing::{Answer, Client, with_api},
};
use crate::catalog::{
    Layer, Photo, PhotoName, StoredItem,
    examples::{orthophoto, photo, scheme},
};

const ITEM: &str = "/stac/collections/drone-raw/items/dijk-a.flight-2025.DJI_0001.JPG";

fn ids(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
    let features = answer.json()["features"].clone();
    features.as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

fn next_link(answer: &Answer) -> Option<Value> {
    let links = answer.json()["links"].clone();
    links.as_array().unwrap().iter().find(|link| link["rel"] == "next").cloned()
}

fn ortho_asset() -> String {
    format!("/assets/drone-ortho/{}/ortho", orthophoto().item_id())
}

/// Adds photos, so that there are pages to turn.
async fn add_photos(client: &Client, count: usize) {
    let photos = (0..count).map(|i| Photo { name: PhotoName::for_file(&format!("{i:03}.jpg")), ..photo() });
    let items: Vec<StoredItem> =
        photos.map(|photo| StoredItem::of(&photo.item(&scheme()), &["drone-raw"]).unwrap()).collect();
    client.database.upsert_items(&items, None).await.unwrap();
}

#[tokio::test]
async fn the_landing_page_leads_everywhere() {
    with_api(Settings::default(), |client| async move {
        let landing = client.get("/stac").await;
        assert_eq!(landing.header("content-type"), "application/json");
        let links = landing.json()["links"].clone();
        // QGIS looks for a link that ends with /collections and for the last one of rel search.
        for link in links.as_array().unwrap().iter().filter(|link| link["method"] != "POST") {
            let path = link["href"].as_str().unwrap().strip_prefix("http://localhost").unwrap();
            assert_eq!(client.get(path).await.status, StatusCode::OK, "{path}");
        }
        assert_json_snapshot!(landing.json());
    })
    .await;
}

#[tokio::test]
async fn collections_say_what_their_items_cover() {
    with_api(Settings::default(), |client| async move {
        let all = client.get("/stac/collections").await.json();
        assert_eq!(all["collections"].as_array().unwrap().len(), 4);
        let one = client.get("/stac/collections/drone-ortho").await.json();
        assert!(all["collections"].as_array().unwrap().contains(&one));
        assert_json_snapshot!(one);
    })
    .await;
}

#[tokio::test]
async fn an_item_is_served_with_urls_and_with_objects() {
    with_api(Settings::default(), |client| async move {
        let item = client.get(ITEM).await;
        assert_eq!(item.header("content-type"), "application/geo+json");
        assert_json_snapshot!("item_https", item.json());
        let turned = client.get(&format!("{ITEM}?hrefs=s3")).await.json();
        assert_json_snapshot!("item_s3_assets", turned["assets"]);
    })
    .await;
}

#[tokio::test]
async fn a_setting_turns_hrefs_round() {
    let settings = Settings { hrefs: Hrefs::S3, ..Settings::default() };
    with_api(settings, |client| async move {
        let item = client.get(ITEM).await.json();
        assert!(item["assets"]["photo"]["href"].as_str().unwrap().starts_with("s3://drone-raw/projects/"));
    })
    .await;
}

#[tokio::test]
async fn an_item_that_the_client_has_is_not_sent_again() {
    with_api(Settings::default(), |client| async move {
        let first = client.get(ITEM).await;
        let etag = first.header("etag").to_owned();
        let again = Request::get(ITEM).header("if-none-match", &etag).body(Body::empty()).unwrap();
        let again = client.send(again).await;
        assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0));
        assert_ne!(client.get(&format!("{ITEM}?hrefs=s3")).await.header("etag"), etag);
    })
    .await;
}

#[tokio::test]
async fn a_search_over_all_collections_finds_each_by_place_and_time() {
    with_api(Settings::default(), |client| async move {
        let query = "bbox=5.0,51.9,5.2,52.1&datetime=2025-06-23T00:00:00Z/2025-06-24T00:00:00Z";
        let found = client.get(&format!("/stac/search?{query}")).await;
        assert_eq!(ids(&found).len(), 4);
        assert!(ids(&client.get("/stac/search?bbox=50,51.9,51,52.1").await).iter().all(|id| id.starts_with("dijkoog")));
        let body = json!({ "bbox": [5.0, 51.9, 5.2, 52.1], "collections": ["drone-ortho", "ai-results"], "limit": 1 });
        let posted = client.post("/stac/search", &body).await;
        assert_eq!(ids(&posted).len(), 1);
        assert_json_snapshot!(posted.json(), { ".features[]" => "[an item]", ".links[2].body.token" => "[token]" });
    })
    .await;
}

#[tokio::test]
async fn pages_by_get_are_followed_by_href_alone() {
    with_api(Settings::default(), |client| async move {
        add_photos(&client, 25).await;
        let mut path = "/stac/search?collections=drone-raw&limit=10".to_owned();
        let mut all = Vec::new();
        loop {
            let page = client.get(&path).await;
            all.extend(ids(&page));
            let Some(next) = next_link(&page) else { break };
            path = next["href"].as_str().unwrap().strip_prefix("http://localhost").unwrap().to_owned();
        }
        let mut sorted = all.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!((all.len(), sorted.len()), (26, 26));
    })
    .await;
}

#[tokio::test]
async fn pages_by_post_repeat_the_question_in_the_body() {
    with_api(Settings::default(), |client| async move {
        add_photos(&client, 25).await;
        let mut body = json!({ "collections": ["drone-raw"], "limit": 10, "ids": null });
        let mut all = Vec::new();
        loop {
            let page = client.post("/stac/search", &body).await;
            all.extend(ids(&page));
            let Some(next) = next_link(&page) else { break };
            assert_eq!(next["method"], "POST");
            body = next["body"].clone();
        }
        assert_eq!(all.len(), 26);
    })
    .await;
}

#[tokio::test]
async fn items_of_a_collection_come_in_pages_too() {
    with_api(Settings::default(), |client| async move {
        add_photos(&client, 3).await;
        let page = client.get("/stac/collections/drone-raw/items?limit=3").await;
        let next = next_link(&page).unwrap()["href"].as_str().unwrap().to_owned();
        let rest = client.get(next.strip_prefix("http://localhost").unwrap()).await;
        assert_eq!((ids(&page).len(), ids(&rest).len()), (3, 1));
        assert_eq!(client.get("/stac/collections/nobody/items").await.status, StatusCode::NOT_FOUND);
    })
    .await;
}

#[tokio::test]
async fn links_use_the_address_that_the_client_sees() {
    with_api(Settings::default(), |client| async move {
        let request = Request::get("/stac/search?limit=1")
            .header("host", "polder:8080")
            .header("x-forwarded-proto", "https")
            .header("x-forwarded-host", "maps.example.org")
            .header("x-forwarded-prefix", "/polder");
        let answer = client.send(request.body(Body::empty()).unwrap()).await;
        assert!(!String::from_utf8_lossy(&answer.body).contains("polder:8080"));
        let next = next_link(&answer).unwrap()["href"].as_str().unwrap().to_owned();
        assert!(next.starts_with("https://maps.example.org/polder/stac/search?"), "{next}");
    })
    .await;
}

#[tokio::test]
async fn a_configured_address_wins() {
    let settings = Settings { base_url: Some("https://p.example.org/".into()), ..Settings::default() };
    with_api(settings, |client| async move {
        let item = client.get(ITEM).await.json();
        assert_eq!(item["links"][0]["href"], format!("https://p.example.org{ITEM}"));
    })
    .await;
}

#[tokio::test]
async fn wrong_requests_are_told_what_would_be_right() {
    with_api(Settings::default(), |client| async move {
        let mut told = Vec::new();
        for path in [
            "/stac/search?limt=1",
            "/stac/search?bbox=1,2,3",
            "/stac/search?datetime=yesterday",
            "/stac/search?token=x",
            "/stac/collections/drone-raw/items?id=1",
            "/stac/collections/nobody",
            "/stac/collections/drone-raw/items/%00",
            "/nowhere",
        ] {
            let answer = client.get(path).await;
            assert_eq!(answer.header("content-type"), "application/problem+json", "{path}");
            assert!(answer.status.is_client_error(), "{path}");
            told.push(answer.json());
        }
        assert_json_snapshot!(told);
    })
    .await;
}

#[tokio::test]
async fn wrong_bodies_are_refused() {
    with_api(Settings::default(), |client| async move {
        for body in [
            json!([]),
            json!({ "filter": {} }),
            json!({ "limit": 0 }),
            json!({ "limit": "ten" }),
            json!({ "ids": ["a\0"] }),
            json!({ "bbox": [1, 2, 3, 4], "intersects": { "type": "Point", "coordinates": [1, 2] } }),
            json!({ "intersects": { "type": "Polygon", "coordinates": [[[0, 0], [1, 1], [0, 0]]] } }),
        ] {
            assert_eq!(client.post("/stac/search", &body).await.status, StatusCode::BAD_REQUEST, "{body}");
        }
        let form = Request::post("/stac/search").header("content-type", "application/x-www-form-urlencoded");
        assert_eq!(client.send(form.body("limit=1".into()).unwrap()).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
        let large = Request::post("/stac/search").header("content-type", "application/json");
        let large = client.send(large.body(vec![b' '; super::LARGEST_BODY + 1].into()).unwrap()).await;
        assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(large.header("content-type"), "application/problem+json");
    })
    .await;
}

#[tokio::test]
async fn other_pages_may_see_errors_and_ask_beforehand() {
    with_api(Settings::default(), |client| async move {
        let request = Request::get("/stac/nowhere").header("origin", "https://browser.example.org");
        let answer = client.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (StatusCode::NOT_FOUND, "*"));
        let preflight = Request::options("/stac/search")
            .header("origin", "https://browser.example.org")
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type,authorization");
        let answer = client.send(preflight.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.header("access-control-allow-headers").contains("authorization"));
        assert_eq!(
            client.send(Request::delete("/stac").body(Body::empty()).unwrap()).await.status,
            StatusCode::METHOD_NOT_ALLOWED
        );
    })
    .await;
}

#[tokio::test]
async fn answers_are_compressed_on_request_and_head_has_no_body() {
    with_api(Settings::default(), |client| async move {
        for encoding in ["gzip", "br", "zstd"] {
            let request = Request::get("/stac").header("accept-encoding", encoding).body(Body::empty()).unwrap();
            assert_eq!(client.send(request).await.header("content-encoding"), encoding);
        }
        let anything = Request::get("/stac").header("accept-encoding", "*").body(Body::empty()).unwrap();
        assert_eq!(client.send(anything).await.header("content-encoding"), "");
        let head = client.send(Request::head(ITEM).body(Body::empty()).unwrap()).await;
        assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
    })
    .await;
}

#[tokio::test]
async fn an_asset_answers_head_itself_and_streams_ranges() {
    with_api(Settings::default(), |client| async move {
        let head = client.send(Request::head(ortho_asset()).body(Body::empty()).unwrap()).await;
        assert_eq!(head.status, StatusCode::OK);
        assert_eq!((head.header("content-length"), head.header("accept-ranges")), ("1234", "bytes"));
        assert_eq!(head.header("content-type"), "image/tiff; application=geotiff; profile=cloud-optimized");
        let whole = client.get(&ortho_asset()).await;
        assert_eq!((whole.status, whole.body.len()), (StatusCode::OK, 1234));
        let part = Request::get(ortho_asset()).header("range", "bytes=10-19").header("accept-encoding", "gzip");
        let part = client.send(part.body(Body::empty()).unwrap()).await;
        assert_eq!((part.status, part.header("content-range")), (StatusCode::PARTIAL_CONTENT, "bytes 10-19/1234"));
        assert_eq!(part.body, whole.body.slice(10..20));
        let known =
            Request::get(ortho_asset()).header("if-none-match", head.header("etag")).body(Body::empty()).unwrap();
        assert_eq!(client.send(known).await.status, StatusCode::NOT_MODIFIED);
        let behind = Request::get(ortho_asset()).header("range", "bytes=1234-").body(Body::empty()).unwrap();
        let behind = client.send(behind).await;
        assert_eq!(
            (behind.status, behind.header("content-range")),
            (StatusCode::RANGE_NOT_SATISFIABLE, "bytes */1234")
        );
    })
    .await;
}

#[tokio::test]
async fn an_asset_is_redirected_when_the_store_is_public_but_head_still_answered() {
    let settings = Settings { redirect_assets: true, ..Settings::default() };
    with_api(settings, |client| async move {
        let get = client.get(&ortho_asset()).await;
        assert_eq!(get.status, StatusCode::FOUND);
        assert!(get.header("location").starts_with("https://s3.example.org/drone-ortho/projects/"));
        let head = client.send(Request::head(ortho_asset()).body(Body::empty()).unwrap()).await;
        assert_eq!((head.status, head.header("content-length")), (StatusCode::OK, "1234"));
    })
    .await;
}

#[tokio::test]
async fn only_assets_of_items_in_own_buckets_are_read() {
    with_api(Settings::default(), |client| async move {
        let ortho = orthophoto();
        let mut item = ortho.item(&scheme());
        item.assets["ortho"].href = "s3://somebody-elses/secret.tif".into();
        client.database.upsert_item(&StoredItem::of(&item, &["drone-ortho"]).unwrap()).await.unwrap();
        assert_eq!(client.get(&ortho_asset()).await.status, StatusCode::NOT_FOUND);
        assert_eq!(client.get("/assets/drone-ortho/nobody/ortho").await.status, StatusCode::NOT_FOUND);
        let gone = format!("/assets/drone-ortho/{}/report", ortho.item_id());
        assert_eq!(client.get(&gone).await.status, StatusCode::NOT_FOUND);
    })
    .await;
}

#[tokio::test]
async fn closed_reading_needs_a_token() {
    let settings = Settings { open_reading: false, ..Settings::default() };
    with_api(settings, |client| async move {
        for path in ["/", "/stac", "/stac/search", ITEM, &ortho_asset()] {
            let refused = client.get(path).await;
            assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{path}");
            assert!(refused.header("www-authenticate").starts_with("Bearer"), "{path}");
        }
        let secret = client.database.create_token("qgis", Role::Viewer, None).await.unwrap();
        let with = |secret: &str| {
            Request::get(ITEM).header("authorization", format!("Bearer {secret}")).body(Body::empty()).unwrap()
        };
        assert_eq!(client.send(with(&secret)).await.status, StatusCode::OK);
        assert_eq!(client.send(with("polder_guess")).await.status, StatusCode::UNAUTHORIZED);
        client.database.revoke_tokens("qgis").await.unwrap();
        assert_eq!(client.send(with(&secret)).await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(client.get("/healthz").await.status, StatusCode::OK);
    })
    .await;
}

#[tokio::test]
async fn the_start_page_shows_the_detections_and_links_the_rest() {
    with_api(Settings::default(), |client| async move {
        let page = client.get("/").await;
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        let html = String::from_utf8(page.body.to_vec()).unwrap();
        let picture = html.split("src=\"http://localhost").nth(1).unwrap().split('"').next().unwrap();
        assert!(picture.starts_with("/assets/ai-results/") && picture.ends_with("/annotated"), "{picture}");
        for text in ["dijk-a", "flight-2025", "2 detections", "/stac/api.html", "Orthophotos"] {
            assert!(html.contains(text), "{text}");
        }
    })
    .await;
}

#[tokio::test]
async fn readiness_tells_of_a_database_that_is_gone() {
    with_api(Settings::default(), |client| async move {
        assert_eq!(client.get("/readyz").await.json(), json!({ "database": "ok", "buckets": "ok" }));
        client.database.close().await;
        let gone = client.get("/readyz").await;
        assert_eq!(
            (gone.status, gone.json()["database"].clone()),
            (StatusCode::SERVICE_UNAVAILABLE, json!("unreachable"))
        );
        let asked = client.get("/stac/search").await;
        assert_eq!((asked.status, asked.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "5"));
        assert_eq!(client.get("/healthz").await.status, StatusCode::OK);
    })
    .await;
}

#[tokio::test]
async fn the_openapi_document_describes_the_catalog() {
    with_api(Settings::default(), |client| async move {
        let document = client.get("/stac/api").await;
        assert_eq!(document.header("content-type"), "application/vnd.oai.openapi+json;version=3.0");
        assert_eq!(client.get("/stac/api.html").await.status, StatusCode::OK);
        assert_json_snapshot!(document.json(), { ".info.version" => "[version]" });
    })
    .await;
}

#[tokio::test]
async fn every_layer_is_served() {
    with_api(Settings::default(), |client| async move {
        for layer in Layer::ALL {
            let page = client.get(&format!("/stac/collections/{layer}/items")).await;
            assert_eq!(ids(&page).len(), 1, "{layer}");
        }
    })
    .await;
}
