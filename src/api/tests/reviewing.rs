//! Reviews and changes, by HTTP.

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use serde_json::{Value, json};

use super::super::{
    Role, Settings,
    testing::{Answer, Client, with_api},
};
use crate::{
    catalog::examples::noon,
    database::{Detection, Filter, RunRow, Sighting},
};

const RUN: &str = "run-1";

fn found(lon: f64, confidence: f64) -> Detection {
    let ring = vec![[lon, 52.0], [lon + 1e-5, 52.0], [lon + 1e-5, 52.00001], [lon, 52.00001], [lon, 52.0]];
    let seen = vec![Sighting { photo: 0, pixel: [10.0, 20.0] }];
    Detection { class: "Muskusrat klem".into(), confidence, ring, area_m2: Some(0.7), chip: Some(3), seen }
}

async fn load(client: &Client, run: &str, given: &[Detection]) {
    let row = RunRow {
        id: run.into(),
        project: "dijk-a".into(),
        flight: "flight-2025".into(),
        orthophoto: format!("ortho-of-{run}"),
        model: "dijkoog".into(),
        model_version: "0.1.0".into(),
        starts_at: noon(),
        ends_at: noon(),
        footprint: vec![[5.0, 51.0], [6.0, 51.0], [6.0, 53.0], [5.0, 53.0], [5.0, 51.0]],
        photos: vec!["dijk-a.flight-2025.a.jpg".into()],
    };
    client.database.replace_detections(&row, given, None).await.unwrap();
}

async fn post(client: &Client, path: &str, token: &str, if_match: Option<&str>, body: &Value) -> Answer {
    let mut request = Request::post(path)
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {token}"));
    if let Some(tag) = if_match {
        request = request.header("if-match", tag);
    }
    client.send(request.body(Body::from(body.to_string())).unwrap()).await
}

#[tokio::test]
async fn a_detection_tells_where_it_was_seen_and_takes_reviews() {
    with_api(Settings::default(), |client| async move {
        load(&client, RUN, &[found(5.1, 0.9), found(5.2, 0.5)]).await;
        let token = client.database.create_token("els", Role::Reviewer, None).await.unwrap();
        let first = client.get("/api/detections/run-1/0").await;
        let tag = first.header("etag").to_owned();
        let photo = first.json()["properties"]["photos"][0].clone();
        assert_eq!(photo, json!({ "item": "dijk-a.flight-2025.a.jpg", "pixel": [10.0, 20.0] }));
        let path = "/api/detections/run-1/0/reviews";
        let accept = json!({ "action": "accept", "comment": "seen on the ground" });
        let answer = post(&client, path, &token, Some(&tag), &accept).await;
        assert_eq!(
            (answer.status, answer.json()["properties"]["reviewed_by"].clone()),
            (StatusCode::CREATED, json!("els"))
        );
        // Somebody else had looked at it before that.
        let late = post(&client, path, &token, Some(&tag), &json!({ "action": "reject" })).await;
        assert_eq!(late.status, StatusCode::PRECONDITION_FAILED);
        let shape = json!({ "type": "Polygon", "coordinates": [[[5.1, 52], [5.2, 52], [5.2, 52.1], [5.1, 52]]] });
        let tag = answer.header("etag").to_owned();
        let correct = json!({ "action": "correct", "class": "Beschadiging oever", "geometry": shape });
        let answer = post(&client, path, &token, Some(&tag), &correct).await.json();
        assert_eq!(answer["properties"]["class"], "Beschadiging oever");
        assert_eq!(answer["properties"]["model_class"], "Muskusrat klem");
        let history = client.get(path).await.json();
        assert_eq!(history["reviews"].as_array().unwrap().len(), 2);
        assert_eq!(history["reviews"][0]["comment"], "seen on the ground");
        for wrong in [
            json!({ "action": "like" }),
            json!({}),
            json!([]),
            json!({ "action": "correct" }),
            json!({ "action": "accept", "class": "x" }),
            json!({ "action": "correct", "geometry": { "type": "Point", "coordinates": [5, 52] } }),
        ] {
            assert_eq!(post(&client, path, &token, None, &wrong).await.status, StatusCode::BAD_REQUEST, "{wrong}");
        }
    })
    .await;
}

#[tokio::test]
async fn who_may_not_review_is_refused_and_who_sees_a_part_sees_no_other_run() {
    with_api(Settings::default(), |client| async move {
        load(&client, RUN, &[found(5.1, 0.9)]).await;
        let path = "/api/detections/run-1/0/reviews";
        let accept = json!({ "action": "accept" });
        assert_eq!(client.post(path, &accept).await.status, StatusCode::UNAUTHORIZED);
        for role in [Role::Viewer, Role::Uploader, Role::Pipeline] {
            let token = client.database.create_token(role.as_str(), role, None).await.unwrap();
            assert_eq!(post(&client, path, &token, None, &accept).await.status, StatusCode::FORBIDDEN, "{role}");
        }
        let filter = Filter::parse_text("\"polder:project\" = 'another'").unwrap();
        let narrow = client.database.create_token("narrow", Role::Admin, Some(&filter)).await.unwrap();
        assert_eq!(post(&client, path, &narrow, None, &accept).await.status, StatusCode::FORBIDDEN);
        let ask = async |path: &str| {
            let request = Request::get(path).header("authorization", format!("Bearer {narrow}"));
            client.send(request.body(Body::empty()).unwrap()).await.status
        };
        assert_eq!(ask("/api/detections").await, StatusCode::FORBIDDEN);
        assert_eq!(ask("/api/detections?run=run-1").await, StatusCode::NOT_FOUND);
        assert_eq!(ask("/api/detections/run-1/0").await, StatusCode::NOT_FOUND);
    })
    .await;
}

#[tokio::test]
async fn detections_come_page_by_page_and_are_asked_for_by_what_people_said() {
    with_api(Settings::default(), |client| async move {
        let many: Vec<Detection> = (0..25).map(|i| found(5.0 + f64::from(i) * 1e-3, 0.9)).collect();
        load(&client, RUN, &many).await;
        let (mut path, mut seen) = ("/api/detections?limit=10".to_owned(), 0);
        loop {
            let page = client.get(&path).await;
            assert_eq!(page.status, StatusCode::OK);
            seen += page.json()["features"].as_array().unwrap().len();
            let links = page.json()["links"].clone();
            let next = links.as_array().unwrap().iter().find(|link| link["rel"] == "next").cloned();
            let Some(next) = next else { break };
            path = next["href"].as_str().unwrap().strip_prefix("http://localhost").unwrap().to_owned();
        }
        assert_eq!(seen, 25);
        let token = client.database.create_token("els", Role::Reviewer, None).await.unwrap();
        post(&client, "/api/detections/run-1/3/reviews", &token, None, &json!({ "action": "accept" })).await;
        let count =
            async |query: &str| client.get(&format!("/api/detections?{query}")).await.json()["numberReturned"].clone();
        assert_eq!(count("review=accepted").await, 1);
        assert_eq!(count("bbox=5.0005,51,5.0035,53").await, 3);
        for wrong in ["review=maybe", "bbox=1,2", "confidence=2", "since=soon", "limit=0", "token=x", "colour=red"] {
            assert_eq!(
                client.get(&format!("/api/detections?{wrong}")).await.status,
                StatusCode::BAD_REQUEST,
                "{wrong}"
            );
        }
        let missed = json!({ "class": "Muskusrat klem", "geometry": { "type": "Polygon",
            "coordinates": [[[5.1, 52], [5.2, 52], [5.2, 52.1], [5.1, 52]]] } });
        assert_eq!(post(&client, "/api/runs/run-1/missed", &token, None, &missed).await.status, StatusCode::CREATED);
        assert_eq!(client.get("/api/runs/run-1/missed").await.json()["features"].as_array().unwrap().len(), 1);
        assert_eq!(client.get("/api/runs/run-9/missed").await.status, StatusCode::NOT_FOUND);
        let figures = client.get("/api/reviews/figures?run=run-1").await.json();
        assert_eq!(figures["classes"][0]["recall"], 0.5);
    })
    .await;
}

#[tokio::test]
async fn changes_are_computed_once_kept_and_served() {
    with_api(Settings::default(), |client| async move {
        load(&client, "run-1", &[found(5.1, 0.9), found(5.2, 0.9)]).await;
        load(&client, "run-2", &[found(5.1, 0.9), found(5.3, 0.9)]).await;
        let path = "/api/changes/run-1/run-2";
        assert_eq!(client.get(path).await.status, StatusCode::NOT_FOUND);
        let reviewer = client.database.create_token("els", Role::Reviewer, None).await.unwrap();
        assert_eq!(post(&client, path, &reviewer, None, &json!({})).await.status, StatusCode::FORBIDDEN);
        let token = client.database.create_token("ci", Role::Pipeline, None).await.unwrap();
        let first = post(&client, path, &token, None, &json!({})).await;
        assert_eq!(first.status, StatusCode::OK);
        assert_eq!(first.json()["counts"], json!({ "new": 1, "gone": 1, "persisting": 1, "moved": 0 }));
        assert_eq!(post(&client, path, &token, None, &json!({})).await.json(), first.json(), "times included");
        assert_eq!(client.get(path).await.json(), first.json());
        // A rejected finding does not count any more: what was kept is out of date.
        post(&client, "/api/detections/run-2/1/reviews", &reviewer, None, &json!({ "action": "reject" })).await;
        let later = post(&client, path, &token, None, &json!({})).await.json();
        assert_eq!(later["counts"]["new"], 0);
        assert_eq!(
            post(&client, "/api/changes/run-1/run-9", &token, None, &json!({})).await.status,
            StatusCode::NOT_FOUND
        );
    })
    .await;
}
