//! From a data set to a judged model, and from a finding back to the photos, on a real PostGIS and a real store.

use std::fs;

use serde_json::json;

use super::{
    About, Context, DatasetRequest, DetectRequest, Error, EvaluateRequest, LabelSource, ModelChoice, ModelToPublish,
    create_dataset, detect, evaluate, open_dataset, publish_model, show_model,
    testing::{Ortho, RED, WHITE, archive, put_ortho, put_photo, with_context},
    trace,
};
use crate::{
    catalog::{Split, SplitRule, StoredItem},
    database::testing::review,
    spatial::{Crs, GeoTransform},
};

fn flown() -> Ortho {
    let place = |i: usize| [70 + i % 10 * 230, 60 + i / 10 * 210, 40 + i % 3 * 8, 34 + i % 5 * 6];
    let boxes = (0..70).map(|i| (place(i), if i % 4 == 0 { WHITE } else { RED })).collect();
    let transform = GeoTransform::north_up([155_000.0, 463_000.0], 0.05);
    Ortho { flight: "one", crs: Crs::RD_NEW, transform, size: [2400, 1600], boxes }
}

/// An orthophoto that was searched; returns the ids of its item and of the run.
async fn searched(context: &Context) -> (String, String) {
    let ortho = put_ortho(context, &flown()).await;
    let weights = context.work.join("bright.torchscript");
    fs::write(&weights, archive(&json!({ "imgsz": [256, 256] }))).unwrap();
    let request = DetectRequest {
        orthophoto: ortho.clone(),
        model: ModelChoice::File(weights),
        confidence: None,
        class_confidence: std::collections::BTreeMap::new(),
    };
    let run = detect(context, &request, &|_| {}).await.unwrap();
    (ortho, run.item)
}

async fn frozen(context: &Context, name: &str, ortho: &str, seed: u64) -> super::Opened {
    review(&context.database, "accepted", 0..=9).await;
    let request = DatasetRequest {
        name: name.parse().unwrap(),
        labels: LabelSource::Reviews { orthophotos: vec![ortho.to_owned()] },
        chip_px: 256,
        gsd_m: None,
        rule: SplitRule { seed, cell_m: 40.0, val: 0.3, test: 0.3 },
        background: 0.2,
    };
    create_dataset(context, &request, &|_| {}).await.unwrap();
    open_dataset(context, name).await.unwrap()
}

/// Registers a model whose archive says what it has learned from.
async fn trained(context: &Context, version: &str, dataset: &super::Opened) -> EvaluateRequest {
    let told = json!([{ "item": dataset.item.id, "sha256": dataset.object.sha256, "splits": ["train"] }]);
    let weights = archive(&json!({ "imgsz": [256, 256], "confidence": 0.5, "trained_on": told }));
    let (name, version) = ("bright".parse().unwrap(), version.parse().unwrap());
    let model = ModelToPublish { name, version, weights: weights.into(), about: About::default() };
    publish_model(context, &model).await.unwrap();
    let model = ModelChoice::Registered { name: model.name, version: Some(model.version) };
    EvaluateRequest { model, split: Split::Test, confidence: None, publish: true }
}

#[tokio::test]
async fn a_model_is_judged_on_places_that_it_has_not_learned_and_refused_on_those_that_it_has() {
    with_context(|context| async move {
        let (ortho, _) = searched(&context).await;
        let dataset = frozen(&context, "dijken", &ortho, 3).await;
        let request = trained(&context, "1", &dataset).await;
        let judged = evaluate(&context, &dataset, &request, &|_| {}).await.unwrap();
        // The detector draws its boxes to the pixel. Of what a border cuts it also finds the small rest, which has no label.
        assert!(judged.score.map50 > 0.75 && judged.score.recall > 0.99, "{:?}", judged.score);
        assert!(judged.score.objects > 5 && judged.unknown.is_empty() && judged.shared_places == 0, "{judged:?}");
        let item = show_model(&context, "bright").await.unwrap();
        assert_eq!(item.properties.additional_fields["polder:metrics"]["mAP50"], judged.score.map50);
        assert!(item.assets.contains_key("plot-precision-recall") && item.assets.contains_key("plot-f1"));
        let links = item.links.iter().filter(|link| link.rel == "derived_from");
        assert_eq!(links.map(|link| link.title.clone()).collect::<Vec<_>>(), [Some(dataset.item.id.clone())]);

        let on_train = EvaluateRequest { split: Split::Train, ..request.clone() };
        let refused = evaluate(&context, &dataset, &on_train, &|_| {}).await.unwrap_err();
        assert!(matches!(refused, Error::JudgedOnTraining { .. }), "{refused}");
        assert!(refused.to_string().contains("this very split"), "{refused}");
        // The same pictures in another data set, shared out otherwise.
        let other = frozen(&context, "anders", &ortho, 8).await;
        let refused = evaluate(&context, &other, &request, &|_| {}).await.unwrap_err();
        assert!(refused.to_string().contains("pictures show what the model learned from"), "{refused}");
    })
    .await;
}

#[tokio::test]
async fn a_finding_leads_back_to_the_photos_and_what_was_changed_since_is_told() {
    with_context(|context| async move {
        let photo = put_photo(&context, "DJI_0001.JPG", b"a photo").await;
        let ortho = put_ortho(&context, &flown()).await;
        let mut item = context.database.find_item("drone-ortho", &ortho).await.unwrap().unwrap().item().unwrap();
        item.links.push(photo.link());
        let stored = StoredItem::of(&item, &context.own_buckets()).unwrap();
        context.database.upsert_item(&stored).await.unwrap();
        let weights = context.work.join("bright.torchscript");
        fs::write(&weights, archive(&json!({ "imgsz": [256, 256] }))).unwrap();
        let request = DetectRequest {
            orthophoto: ortho.clone(),
            model: ModelChoice::File(weights),
            confidence: None,
            class_confidence: std::collections::BTreeMap::new(),
        };
        let run = detect(&context, &request, &|_| {}).await.unwrap().item;

        let steps = trace(&context, &format!("{run}#3"), true).await.unwrap();
        let told: Vec<(usize, &str)> = steps.iter().map(|step| (step.depth, step.item.as_str())).collect();
        let names = [format!("ai-results/{run}#3"), format!("ai-results/{run}"), format!("drone-ortho/{ortho}")];
        assert_eq!(told[..3], [(0, names[0].as_str()), (1, names[1].as_str()), (2, names[2].as_str())]);
        assert_eq!(told[3], (3, format!("drone-raw/{}", photo.item_id).as_str()));
        assert!(told[4].0 == 2 && told[4].1.starts_with("ai-models/bright."), "{told:?}");
        assert!(steps[1].software.contains_key("polder") && !steps[1].parameters.is_null());
        let objects: Vec<_> = steps.iter().flat_map(|step| &step.objects).collect();
        assert!(objects.len() >= 5 && objects.iter().all(|object| object.fault.is_none()), "{objects:?}");

        // The photo is replaced: what was read is found in its version, and the item's new content is told.
        put_photo(&context, "DJI_0001.JPG", b"another photo").await;
        let steps = trace(&context, &format!("drone-ortho/{ortho}"), true).await.unwrap();
        let fault = steps[1].objects[0].fault.as_deref();
        assert_eq!(fault, Some("the item names another content by now"), "{steps:?}");
        assert!(matches!(trace(&context, "nobody", false).await, Err(Error::UnknownItem(_))));
        assert!(matches!(trace(&context, &format!("{run}#9999"), false).await, Err(Error::UnknownItem(_))));
    })
    .await;
}
