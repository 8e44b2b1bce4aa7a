//! The contract of aggregations: answers of the real router on a real PostGIS.

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use serde_json::{Value, json};

use crate::{
    api::{
        Role, Settings,
        testing::{Client, with_api},
    },
    catalog::{
        Photo, PhotoName, StoredItem,
        examples::{photo, scheme},
    },
    database::Filter,
};

/// Adds nine photos to the one that is there, with clouds from 10 % to 90 %.
async fn add_photos(client: &Client) {
    let photos = (1..10).map(|i| Photo {
        name: PhotoName::for_file(&format!("{i:03}.jpg")),
        cloud_cover: Some(f64::from(i) * 10.0),
        ..photo()
    });
    let items: Vec<StoredItem> =
        photos.map(|photo| StoredItem::of(&photo.item(&scheme()), &["drone-raw"]).unwrap()).collect();
    client.database.upsert_items(&items, None).await.unwrap();
}

/// The one aggregation of an answer.
async fn told(client: &Client, path: &str) -> Value {
    let answer = client.get(path).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {:?}", answer.body);
    answer.json()["aggregations"][0].clone()
}

#[tokio::test]
async fn what_is_offered_can_be_asked_for_all_at_once() {
    with_api(Settings::default(), |client| async move {
        for place in ["/stac", "/stac/collections/drone-raw", "/stac/collections/ai-models"] {
            let offered = client.get(&format!("{place}/aggregations")).await.json();
            let offers = offered["aggregations"].as_array().unwrap();
            let names: Vec<&str> = offers.iter().map(|offer| offer["name"].as_str().unwrap()).collect();
            for expected in
                ["total_count", "datetime_min", "datetime_frequency", "collection_frequency", "path_frequency"]
            {
                assert!(names.contains(&expected), "{expected}");
            }
            for names in names.chunks(25) {
                for bbox in ["", "&bbox=0,50,10,55"] {
                    let path = format!("{place}/aggregate?aggregations={}{bbox}", names.join(","));
                    let answer = client.get(&path).await;
                    assert_eq!(answer.status, StatusCode::OK, "{path}: {:?}", answer.body);
                    let told = answer.json()["aggregations"].as_array().unwrap().clone();
                    let told: Vec<&str> = told.iter().map(|one| one["name"].as_str().unwrap()).collect();
                    assert_eq!(told, names);
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn values_and_buckets_are_written_as_the_extension_says() {
    with_api(Settings::default(), |client| async move {
        add_photos(&client).await;
        let names = "total_count,datetime_min,datetime_frequency,collection_frequency,cloud_cover_frequency,eo:cloud_cover_max";
        let path = format!("/stac/collections/drone-raw/aggregate?aggregations={names}&datetime_frequency_interval=day&cloud_cover_frequency_interval=50");
        let answer = client.get(&path).await.json();
        assert_eq!(answer["type"], "AggregationCollection");
        assert_eq!(answer["links"][0]["href"], format!("http://localhost{path}"));
        assert_eq!(
            answer["aggregations"],
            json!([
                { "name": "total_count", "data_type": "integer", "value": 10 },
                { "name": "datetime_min", "data_type": "datetime", "value": "2025-06-23T10:00:00Z" },
                { "name": "datetime_frequency", "data_type": "frequency_distribution", "overflow": 0,
                    "buckets": [{ "key": "2025-06-23T00:00:00Z", "data_type": "datetime", "frequency": 10 }] },
                { "name": "collection_frequency", "data_type": "frequency_distribution", "overflow": 0,
                    "buckets": [{ "key": "drone-raw", "data_type": "string", "frequency": 10 }] },
                { "name": "cloud_cover_frequency", "data_type": "frequency_distribution", "overflow": 0,
                    "buckets": [
                        { "key": "0-50", "data_type": "numeric", "frequency": 5, "from": 0, "to": 50 },
                        { "key": "50-100", "data_type": "numeric", "frequency": 5, "from": 50, "to": 100 },
                    ] },
                { "name": "eo:cloud_cover_max", "data_type": "numeric", "value": 90 },
            ])
        );
    })
    .await;
}

#[tokio::test]
async fn conditions_narrow_what_is_told_and_leave_buckets_where_they_are() {
    with_api(Settings::default(), |client| async move {
        add_photos(&client).await;
        let histogram = "/stac/aggregate?aggregations=eo:cloud_cover_frequency&eo:cloud_cover_frequency_buckets=8";
        let all = told(&client, histogram).await;
        assert_eq!((all["buckets"][0]["from"].clone(), all["buckets"].as_array().unwrap().len()), (json!(10), 9));
        let some = told(&client, &format!("{histogram}&filter=eo:cloud_cover%20%3E%2080")).await;
        assert_eq!(some["buckets"], json!([all["buckets"][8]]));
        for (condition, expected) in [
            ("collections=drone-raw", 10),
            ("collections=drone-raw&bbox=50,51,51,52", 0),
            ("query=%7B%22eo:cloud_cover%22:%7B%22lte%22:20%7D%7D", 3),
            ("ids=dijk-a.flight-2025.001.jpg", 1),
            ("datetime=../2025-06-23T09:59:59Z", 0),
            ("collections=nobody", 0),
        ] {
            let count = told(&client, &format!("/stac/aggregate?aggregations=total_count&{condition}")).await;
            assert_eq!(count["value"], expected, "{condition}");
        }
        let elsewhere = "/stac/collections/drone-raw/aggregate?aggregations=total_count&collections=drone-ortho";
        assert_eq!(told(&client, elsewhere).await["value"], 0);
    })
    .await;
}

#[tokio::test]
async fn a_post_asks_what_a_get_asks() {
    with_api(Settings::default(), |client| async move {
        add_photos(&client).await;
        let body = json!({
            "aggregations": ["total_count", "datetime_frequency"], "datetime_frequency_interval": "year",
            "filter": { "op": "<", "args": [{ "property": "eo:cloud_cover" }, 50] },
        });
        let query = "aggregations=total_count,datetime_frequency&datetime_frequency_interval=year&filter=eo:cloud_cover%3C50";
        for place in ["/stac", "/stac/collections/drone-raw"] {
            let posted = client.post(&format!("{place}/aggregate"), &body).await;
            assert_eq!(posted.status, StatusCode::OK, "{:?}", posted.body);
            let got = client.get(&format!("{place}/aggregate?{query}")).await.json();
            assert_eq!(posted.json()["aggregations"], got["aggregations"]);
            assert_eq!(got["aggregations"][0]["value"], 5);
        }
        let geotile = json!({ "aggregations": ["centroid_geotile_grid_frequency"], "centroid_geotile_grid_frequency_precision": 0 });
        let world = client.post("/stac/collections/drone-raw/aggregate", &geotile).await.json();
        assert_eq!(world["aggregations"][0]["buckets"], json!([{ "key": "0/0/0", "data_type": "string", "frequency": 10 }]));
    })
    .await;
}

#[tokio::test]
async fn paths_are_walked_level_by_level() {
    with_api(Settings::default(), |client| async move {
        add_photos(&client).await;
        let mut prefix = String::new();
        let mut walked = Vec::new();
        loop {
            let path = format!("/stac/collections/drone-raw/aggregate?aggregations=path_frequency&path_frequency_property=href&path_frequency_prefix={prefix}");
            let level = told(&client, &path).await;
            let first = level["buckets"][0]["key"].as_str().unwrap().to_owned();
            walked.push((first.clone(), level["buckets"].as_array().unwrap().len()));
            if !first.ends_with('/') {
                break;
            }
            prefix = first;
        }
        let names: Vec<&str> = walked.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names[..4], ["s3:/", "s3://", "s3://drone-raw/", "s3://drone-raw/projects/"]);
        let ids = "/stac/aggregate?aggregations=path_frequency&path_frequency_separator=.&path_frequency_prefix=dijk-a.flight-2025.0";
        let ids = told(&client, ids).await;
        assert_eq!(ids["buckets"][0], json!({ "key": "dijk-a.flight-2025.001.", "data_type": "string", "frequency": 1 }));
        let flights = "/stac/aggregate?aggregations=path_frequency&path_frequency_property=polder:flight&path_frequency_separator=-";
        assert_eq!(told(&client, flights).await["buckets"][0]["key"], "flight-");
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_told_is_refused() {
    with_api(Settings::default(), |client| async move {
        for query in [
            "aggregations=total",
            "aggregations=total_count&limit=1",
            "aggregations=total_count&datetime_frequency_interval=day",
            "aggregations=datetime_frequency&datetime_frequency_interval=fortnight",
            "aggregations=datetime_frequency&datetime_frequency_limit=0",
            "aggregations=centroid_geohash_grid_frequency&centroid_geohash_grid_frequency_precision=13",
            "aggregations=eo:cloud_cover_frequency&eo:cloud_cover_frequency_interval=0",
            "aggregations=path_frequency&path_frequency_property=nobody",
            "aggregations=path_frequency&path_frequency_separator=",
            "aggregations=total_count&bbox=1,2,3",
            "aggregations=%zz",
        ] {
            let answer = client.get(&format!("/stac/aggregate?{query}")).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
        }
        let unknown = client.get("/stac/collections/ai-models/aggregate?aggregations=eo:cloud_cover_frequency").await;
        assert_eq!(unknown.status, StatusCode::BAD_REQUEST);
        assert!(unknown.json()["detail"].as_str().unwrap().contains("total_count"));
        for body in [
            json!({ "aggregations": "total_count" }),
            json!({ "aggregations": ["total_count"], "limit": 1 }),
            json!({ "aggregations": ["datetime_frequency"], "datetime_frequency_limit": true }),
        ] {
            assert_eq!(client.post("/stac/aggregate", &body).await.status, StatusCode::BAD_REQUEST, "{body}");
        }
        for path in ["aggregate", "aggregations"] {
            let answer = client.get(&format!("/stac/collections/nobody/{path}")).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND);
        }
        assert_eq!(client.get("/stac/aggregate").await.json()["aggregations"], json!([]));
    })
    .await;
}

#[tokio::test]
async fn a_reader_is_told_only_of_what_may_be_seen() {
    with_api(Settings::default(), |client| async move {
        add_photos(&client).await;
        let filter = Filter::parse_text("eo:cloud_cover < 25 and collection = 'drone-raw'").unwrap();
        let secret = client.database.create_token("partner", Role::Viewer, Some(&filter)).await.unwrap();
        let names = "total_count,collection_frequency,eo:cloud_cover_max,eo:cloud_cover_frequency,asset_frequency";
        let request = Request::get(format!("/stac/aggregate?aggregations={names}"))
            .header("authorization", format!("Bearer {secret}"));
        let told = client.send(request.body(Body::empty()).unwrap()).await.json()["aggregations"].clone();
        assert_eq!((told[0]["value"].clone(), told[2]["value"].clone()), (json!(3), json!(20)));
        assert_eq!(told[1]["buckets"], json!([{ "key": "drone-raw", "data_type": "string", "frequency": 3 }]));
        // The width follows from what may be seen too: 10 to 20 in about 20 buckets.
        assert_eq!(
            told[3]["buckets"][0],
            json!({ "key": "10-10.5", "data_type": "numeric", "frequency": 2, "from": 10, "to": 10.5 })
        );
        assert_eq!(told[4]["buckets"][0]["frequency"], 3);
    })
    .await;
}
