//! Reviews on a real PostGIS.

use super::*;
use crate::{
    catalog::review_figures,
    database::{
        Detection, DetectionFilter, RunRow,
        detections::tests::{all, found, run},
        testing::with_database,
    },
};

fn say(action: ReviewAction) -> Review {
    Review { who: "inspector".into(), action, class: None, ring: None, comment: None }
}

fn square(lon: f64, side: f64) -> Vec<[f64; 2]> {
    vec![[lon, 52.0], [lon + side, 52.0], [lon + side, 52.0 + side], [lon, 52.0 + side], [lon, 52.0]]
}

#[tokio::test]
async fn the_outcome_is_on_the_detection_and_every_word_in_its_history() {
    with_database(|database| async move {
        database.replace_detections(&run(), &[found(5.1, "a"), found(5.2, "a")], None).await.unwrap();
        let correct = Review {
            class: Some("b".into()),
            ring: Some(square(5.1, 2e-5)),
            comment: Some("larger".into()),
            ..say(ReviewAction::Correct)
        };
        assert_eq!(database.review("run-1", 0, &say(ReviewAction::Reject), None).await.unwrap(), Some(1));
        assert_eq!(database.review("run-1", 0, &correct, Some(1)).await.unwrap(), Some(2));
        let row = database.find_detection("run-1", 0).await.unwrap().unwrap();
        assert_eq!((row.review.as_str(), row.class.as_str(), row.model_class.as_str()), ("accepted", "b", "a"));
        assert_eq!((row.reviewed_by.as_deref(), row.comment.as_deref()), (Some("inspector"), Some("larger")));
        assert!(row.geometry.contains("5.10002") && !row.model_geometry.unwrap().contains("5.10002"));
        let said = database.list_reviews("run-1", 0).await.unwrap();
        assert_eq!(said.iter().map(|said| said.action.as_str()).collect::<Vec<_>>(), ["reject", "correct"]);
        let filter = DetectionFilter { class: Some("b".into()), limit: 9, ..DetectionFilter::default() };
        assert_eq!(database.list_detections(&filter).await.unwrap().len(), 1);
        database.review("run-1", 0, &say(ReviewAction::Reopen), None).await.unwrap();
        let row = database.find_detection("run-1", 0).await.unwrap().unwrap();
        assert_eq!((row.review.as_str(), row.class.as_str(), row.model_geometry, row.version), ("open", "a", None, 3));
        assert_eq!(database.review("run-1", 9, &say(ReviewAction::Accept), None).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn of_two_reviewers_who_looked_at_the_same_the_second_is_told() {
    with_database(|database| async move {
        database.replace_detections(&run(), &[found(5.1, "a")], None).await.unwrap();
        let (accept, reject) = (say(ReviewAction::Accept), say(ReviewAction::Reject));
        let both = futures::future::join(
            database.review("run-1", 0, &accept, Some(0)),
            database.review("run-1", 0, &reject, Some(0)),
        );
        let answers = both.await;
        let refused =
            [&answers.0, &answers.1].iter().filter(|answer| matches!(answer, Err(Error::ItemChanged))).count();
        assert_eq!(refused, 1, "{answers:?}");
        assert_eq!(database.list_reviews("run-1", 0).await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn reviews_go_on_to_what_another_result_finds_again() {
    with_database(|database| async move {
        let first = [found(5.1, "a"), found(5.2, "a"), found(5.3, "a")];
        database.replace_detections(&run(), &first, None).await.unwrap();
        let correct = Review { class: Some("b".into()), ..say(ReviewAction::Correct) };
        database.review("run-1", 0, &correct, None).await.unwrap();
        database.review("run-1", 1, &say(ReviewAction::Reject), None).await.unwrap();
        database.review("run-1", 2, &say(ReviewAction::Accept), None).await.unwrap();
        // In another order, a little beside, one of another class, one far off.
        let again = [found(5.2 + 2e-6, "a"), found(5.1 + 2e-6, "b"), found(5.3, "c"), found(5.3 + 9e-6, "a")];
        database.replace_detections(&run(), &again, None).await.unwrap();
        let reviews = async || {
            let rows = all(&database).await;
            rows.into_iter().map(|row| (row.run, row.review, row.class)).collect::<Vec<_>>()
        };
        let row = |run: &str, review: &str, class: &str| (run.to_owned(), review.to_owned(), class.to_owned());
        let expected =
            |id| vec![row(id, "rejected", "a"), row(id, "accepted", "b"), row(id, "open", "c"), row(id, "open", "a")];
        assert_eq!(reviews().await, expected("run-1"));
        let said = database.list_reviews("run-1", 0).await.unwrap();
        assert_eq!((said.len(), said[0].action.as_str(), said[0].who.as_str()), (1, "carry", "inspector"));
        assert_eq!(said[0].carried_from, Some(("run-1".to_owned(), 1)));
        let all_words: i64 =
            sqlx::query_scalar("select count(*) from detection_reviews").fetch_one(&database.pool).await.unwrap();
        assert_eq!(all_words, 5, "what was said of the old ones stays");
        // Another model over the same orthophoto, and over another one.
        let other = RunRow { id: "run-2".into(), model: "other".into(), ..run() };
        database.replace_detections(&other, &again, None).await.unwrap();
        assert_eq!(reviews().await[4..], expected("run-2"));
        let elsewhere = RunRow { id: "run-3".into(), orthophoto: "ortho-2".into(), ..run() };
        database.replace_detections(&elsewhere, &again, None).await.unwrap();
        assert!(reviews().await[8..].iter().all(|(_, review, _)| review == "open"));
    })
    .await;
}

#[tokio::test]
async fn figures_come_from_reviews_and_from_what_was_missed() {
    with_database(|database| async move {
        let sure = |lon, confidence| Detection { confidence, ..found(lon, "a") };
        database.replace_detections(&run(), &[sure(5.1, 0.9), sure(5.2, 0.5), sure(5.3, 0.7)], None).await.unwrap();
        database.review("run-1", 0, &say(ReviewAction::Accept), None).await.unwrap();
        database.review("run-1", 1, &say(ReviewAction::Reject), None).await.unwrap();
        for _ in 0..2 {
            assert!(database.add_missed("run-1", "a", &square(5.4, 1e-5), "inspector", None).await.unwrap());
        }
        assert!(!database.add_missed("run-9", "a", &square(5.4, 1e-5), "inspector", None).await.unwrap());
        assert_eq!(database.list_missed("run-1").await.unwrap().len(), 1);
        let filter = DetectionFilter { run: Some("run-1".into()), ..DetectionFilter::default() };
        let (judged, rest) = database.judged(&filter).await.unwrap();
        let figures = review_figures(&judged, &rest).remove(0);
        assert_eq!((figures.reviewed, figures.right, figures.open, figures.missed), (2, 1, 1, 1));
        assert_eq!((figures.precision, figures.recall), (Some(0.5), Some(0.5)));
        assert_eq!(figures.suggestion.unwrap().confidence, 0.9);
    })
    .await;
}
