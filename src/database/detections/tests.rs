//! Detections on a real PostGIS.

use super::*;
use crate::{
    catalog::{StoredItem, examples},
    database::{Database, testing::with_database},
};

pub(in crate::database) fn run() -> RunRow {
    RunRow {
        id: "run-1".into(),
        project: "dijk-a".into(),
        flight: "flight-2025".into(),
        orthophoto: "ortho-1".into(),
        model: "dijkoog".into(),
        model_version: "0.1.0".into(),
        starts_at: examples::noon(),
        ends_at: examples::noon(),
        footprint: vec![[5.0, 51.0], [6.0, 51.0], [6.0, 53.0], [5.0, 53.0], [5.0, 51.0]],
        photos: vec!["p.f.a.jpg".into(), "p.f.b.jpg".into()],
    }
}

pub(in crate::database) fn found(lon: f64, class: &str) -> Detection {
    let ring = vec![[lon, 52.0], [lon + 1e-5, 52.0], [lon + 1e-5, 52.00001], [lon, 52.00001], [lon, 52.0]];
    Detection { class: class.into(), confidence: 0.75, ring, ..Detection::default() }
}

pub(in crate::database) async fn all(database: &Database) -> Vec<DetectionRow> {
    database.list_detections(&DetectionFilter { limit: 100_000, ..DetectionFilter::default() }).await.unwrap()
}

#[tokio::test]
async fn findings_come_back_as_they_were_loaded() {
    with_database(|database| async move {
        let given = [found(5.1, "Muskusrat klem"), found(5.2, "Beschadiging oever")];
        assert!(database.replace_detections(&run(), &given, None).await.unwrap());
        let rows = all(&database).await;
        assert_eq!(
            rows.iter().map(|row| (row.number, row.class.as_str())).collect::<Vec<_>>(),
            [(0, "Muskusrat klem"), (1, "Beschadiging oever")]
        );
        let geometry: serde_json::Value = serde_json::from_str(&rows[0].geometry).unwrap();
        let ring: Vec<[f64; 2]> = serde_json::from_value(geometry["coordinates"][0].clone()).unwrap();
        let apart = ring.iter().flatten().zip(given[0].ring.iter().flatten()).map(|(a, b)| (a - b).abs());
        assert!(apart.fold(0.0, f64::max) < 1e-9, "{ring:?}");
        assert_eq!((rows[0].confidence, rows[0].review.as_str()), (0.75, "open"));
        assert_eq!(database.count_detections().await.unwrap(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_run_that_finds_the_same_again_keeps_the_reviews_and_another_result_replaces_it() {
    with_database(|database| async move {
        database.replace_detections(&run(), &[found(5.1, "a"), found(5.2, "a")], None).await.unwrap();
        sqlx::query("update detections set review = 'accepted'").execute(&database.pool).await.unwrap();
        assert!(!database.replace_detections(&run(), &[found(5.1, "a"), found(5.2, "a")], None).await.unwrap());
        assert!(all(&database).await.iter().all(|row| row.review == "accepted"));
        assert!(database.replace_detections(&run(), &[found(5.3, "a")], None).await.unwrap());
        assert_eq!(all(&database).await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_run_is_loaded_whole_or_not_at_all() {
    with_database(|database| async move {
        database.replace_detections(&run(), &[found(5.1, "a")], None).await.unwrap();
        let mut wrong = found(5.2, "a");
        wrong.confidence = 1.5;
        assert!(database.replace_detections(&run(), &[found(5.3, "a"), wrong], None).await.is_err());
        let rows = all(&database).await;
        assert_eq!(rows.len(), 1);
        assert!(rows[0].geometry.contains("5.1"));
    })
    .await;
}

#[tokio::test]
async fn many_findings_are_loaded_in_chunks_and_none_is_a_run_too() {
    with_database(|database| async move {
        let many: Vec<Detection> = (0..10_000).map(|i| found(f64::from(i) * 1e-3, "a")).collect();
        database.replace_detections(&run(), &many, None).await.unwrap();
        let rows = all(&database).await;
        assert_eq!((rows.len(), rows[9_999].number), (10_000, 9_999));
        database.replace_detections(&run(), &[], None).await.unwrap();
        assert!(all(&database).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn findings_are_found_by_place_class_and_confidence() {
    with_database(|database| async move {
        database.replace_detections(&run(), &[found(5.1, "a"), found(5.2, "b")], None).await.unwrap();
        let filter = |filter: DetectionFilter| {
            let database = &database;
            async move {
                let rows = database.list_detections(&DetectionFilter { limit: 10, ..filter }).await.unwrap();
                rows.iter().map(|row| row.number).collect::<Vec<_>>()
            }
        };
        let bbox = Some(Bbox { west: 5.15, south: 51.0, east: 5.25, north: 53.0 });
        assert_eq!(filter(DetectionFilter { bbox, ..Default::default() }).await, [1]);
        assert_eq!(filter(DetectionFilter { class: Some("a".into()), ..Default::default() }).await, [0]);
        assert!(filter(DetectionFilter { confidence: Some(0.8), ..Default::default() }).await.is_empty());
        assert_eq!(filter(DetectionFilter { after: Some(("run-1".into(), 0)), ..Default::default() }).await, [1]);
    })
    .await;
}

#[tokio::test]
async fn a_finding_says_how_large_it_is_and_which_photos_show_it() {
    with_database(|database| async move {
        let seen = vec![Sighting { photo: 1, pixel: [120.5, 80.25] }, Sighting { photo: 0, pixel: [3.0, 4.0] }];
        let told = Detection { area_m2: Some(0.75), chip: Some(17), seen, ..found(5.1, "a") };
        database.replace_detections(&run(), &[told, found(5.2, "a")], None).await.unwrap();
        let rows = all(&database).await;
        assert_eq!((rows[0].area_m2, rows[0].chip), (Some(0.75), Some(17)));
        assert_eq!(rows[0].seen, [("p.f.b.jpg".to_owned(), [120.5, 80.25]), ("p.f.a.jpg".to_owned(), [3.0, 4.0])]);
        assert_eq!((rows[1].area_m2, rows[1].chip, rows[1].seen.len()), (None, None, 0));
    })
    .await;
}

#[tokio::test]
async fn a_large_run_has_a_table_of_its_own_and_is_asked_like_the_others() {
    with_database(|database| async move {
        let large: Vec<Detection> = (0..bulk::MANY as i32).map(|i| found(f64::from(i) * 1e-3, "a")).collect();
        let other = RunRow { id: "run-2".into(), ..run() };
        database.replace_detections(&other, &[found(1.0, "a")], None).await.unwrap();
        database.replace_detections(&run(), &large, None).await.unwrap();
        let tables = "select count(*) from pg_inherits where inhparent = 'detections'::regclass";
        let tables = async || sqlx::query_scalar::<_, i64>(tables).fetch_one(&database.pool).await.unwrap();
        assert_eq!(tables().await, 2);
        let bbox = Some(Bbox { west: 0.9995, south: 51.0, east: 1.0005, north: 53.0 });
        let near = database.list_detections(&DetectionFilter { bbox, limit: 10, ..Default::default() }).await.unwrap();
        let near: Vec<_> = near.iter().map(|row| (row.run.as_str(), row.number)).collect();
        assert_eq!(near, [("run-1", 1000), ("run-2", 0)]);
        let plan: Vec<String> = sqlx::query_scalar(
            "explain select * from detections where geometry && st_makeenvelope(1, 51, 1.001, 53, 4326)",
        )
        .fetch_all(&database.pool)
        .await
        .unwrap();
        assert!(plan.iter().any(|line| line.contains("detections_run_") && line.contains("geometry_idx")), "{plan:#?}");
        // The same run, smaller: its table goes.
        database.replace_detections(&run(), &large[..3], None).await.unwrap();
        assert_eq!((tables().await, all(&database).await.len()), (1, 4));
    })
    .await;
}

#[tokio::test]
async fn a_run_that_is_loaded_twice_at_once_is_there_once() {
    with_database(|database| async move {
        let given: Vec<Detection> = (0..300).map(|i| found(f64::from(i) * 1e-3, "a")).collect();
        let (row, other) = (run(), RunRow { id: "run-2".into(), ..run() });
        let loads = futures::future::join3(
            database.replace_detections(&row, &given, None),
            database.replace_detections(&row, &given, None),
            database.replace_detections(&other, &given, None),
        );
        let (one, two, three) = loads.await;
        assert!(one.unwrap() != two.unwrap() && three.unwrap(), "one of the two loads it, the other finds it there");
        assert_eq!(all(&database).await.len(), 600);
    })
    .await;
}

#[tokio::test]
async fn the_item_of_a_run_is_there_with_its_findings_or_neither_is() {
    with_database(|database| async move {
        let item = examples::detection_run().item(&examples::scheme());
        let mut item = StoredItem::of(&item, &["ai-results"]).unwrap();
        database.replace_detections(&run(), &[found(5.1, "a")], Some(&item)).await.unwrap();
        assert!(database.find_item("ai-results", &item.id).await.unwrap().is_some());
        item.collection = "no-such".into();
        let next = RunRow { id: "run-2".into(), ..run() };
        assert!(database.replace_detections(&next, &[found(5.1, "a")], Some(&item)).await.is_err());
        assert_eq!(all(&database).await.len(), 1);
        // A client that goes away in the middle leaves nothing.
        let given: Vec<Detection> = (0..3000).map(|i| found(f64::from(i) * 1e-3, "a")).collect();
        let load = database.replace_detections(&next, &given, None);
        assert!(tokio::time::timeout(std::time::Duration::from_millis(1), load).await.is_err());
        assert_eq!((all(&database).await.len(), database.count_detections().await.unwrap()), (1, 1));
    })
    .await;
}

#[tokio::test]
async fn a_run_that_is_removed_takes_its_findings_along() {
    with_database(|database| async move {
        database.replace_detections(&run(), &[found(5.1, "a")], None).await.unwrap();
        sqlx::query("delete from detection_runs").execute(&database.pool).await.unwrap();
        let left: i64 = sqlx::query_scalar("select count(*) from detections").fetch_one(&database.pool).await.unwrap();
        assert_eq!(left, 0);
    })
    .await;
}
