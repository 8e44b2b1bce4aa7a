//! The registry on a real PostGIS and a real store.

use bytes::Bytes;
use serde_json::{Map, json};
use sha2::{Digest as _, Sha256};

use super::*;
use crate::{
    catalog::{Layer, Stage},
    pipeline::{
        Context, Error, object_of,
        testing::{archive, with_context},
    },
};

fn model(version: &str, about: About) -> ModelToPublish {
    let weights = Bytes::from(archive(&json!({ "license": "MIT", "gsd_m": 0.03, "about": version })));
    ModelToPublish { name: "dijkoog".parse().unwrap(), version: version.parse().unwrap(), weights, about }
}

async fn chosen(context: &Context, text: &str) -> crate::pipeline::Result<String> {
    let choice = ModelChoice::parse(Some(text))?;
    choose(context, &choice).await.map(|chosen| chosen.version.to_string())
}

#[tokio::test]
async fn a_pushed_model_is_found_again_with_all_that_was_told_of_it() {
    with_context(|context| async move {
        let about = About {
            card: Some("# a card".into()),
            hyperparameters: Map::from_iter([("steps".to_owned(), json!(5))]),
            metrics: Map::from_iter([("mAP50".to_owned(), json!(0.5)), ("per_class".to_owned(), json!({}))]),
            plots: vec![Plot { file: "pr.svg".into(), bytes: "<svg/>".into(), content_type: "image/svg+xml" }],
            ..About::default()
        };
        let (id, weights) = publish_model(&context, &model("1.0", about)).await.unwrap();
        assert_eq!(id, "dijkoog.1.0");
        let item = show_model(&context, "dijkoog").await.unwrap();
        let told = &item.properties.additional_fields;
        assert_eq!(told["polder:metrics"], json!({ "mAP50": 0.5 }), "numbers alone can be searched for");
        assert_eq!((&told["mlm:hyperparameters"]["steps"], &told["license"]), (&json!(5), &json!("MIT")));
        assert_eq!((&told["mlm:total_parameters"], &told["gsd"]), (&json!(7), &json!(0.03)));
        for (asset, content) in [("card", "# a card"), ("plot-pr", "<svg/>")] {
            let bytes = context.storage.read_bytes(&object_of(&item, asset).unwrap()).await.unwrap();
            assert_eq!(bytes, content.as_bytes(), "{asset}");
        }
        assert_eq!(object_of(&item, "model").unwrap(), weights);
        assert!(weights.version_id.is_some() && weights.bucket == Layer::Models.collection());
    })
    .await;
}

#[tokio::test]
async fn pushing_again_keeps_what_was_told_and_other_weights_are_refused() {
    with_context(|context| async move {
        let metrics = Map::from_iter([("mAP50".to_owned(), json!(0.5))]);
        let about = About { metrics, ..About::default() };
        publish_model(&context, &model("1.0", about.clone())).await.unwrap();
        let digest = async || context.database.find_item("ai-models", "dijkoog.1.0").await.unwrap().unwrap().digest;
        let first = digest().await;
        publish_model(&context, &model("1.0", about)).await.unwrap();
        assert_eq!(digest().await, first, "the same again changes nothing");
        let card = About { card: Some("# late".into()), ..About::default() };
        publish_model(&context, &model("1.0", card)).await.unwrap();
        let item = show_model(&context, "dijkoog@1.0").await.unwrap();
        assert_eq!(item.properties.additional_fields["polder:metrics"]["mAP50"], 0.5);
        assert!(item.assets.contains_key("card") && item.assets.contains_key("metrics"));
        let other = ModelToPublish { version: "1.0".parse().unwrap(), ..model("1.1", About::default()) };
        let refused = publish_model(&context, &other).await.unwrap_err();
        assert!(matches!(refused, Error::OtherWeights { .. }), "{refused}");
    })
    .await;
}

#[tokio::test]
async fn a_name_stands_for_the_version_in_production_else_for_the_newest_that_is_not_retired() {
    with_context(|context| async move {
        for version in ["1", "2", "3"] {
            publish_model(&context, &model(version, About::default())).await.unwrap();
        }
        assert_eq!(chosen(&context, "dijkoog").await.unwrap(), "3");
        assert_eq!(stage_model(&context, "dijkoog@1", Stage::Production).await.unwrap(), ["dijkoog.1"]);
        assert_eq!(chosen(&context, "dijkoog").await.unwrap(), "1");
        let changed = stage_model(&context, "dijkoog@2", Stage::Production).await.unwrap();
        assert_eq!(changed, ["dijkoog.1", "dijkoog.2"], "the one that was in production is a candidate again");
        assert!(stage_model(&context, "dijkoog@2", Stage::Production).await.unwrap().is_empty());
        for version in ["2", "3"] {
            stage_model(&context, &format!("dijkoog@{version}"), Stage::Retired).await.unwrap();
        }
        assert_eq!(chosen(&context, "dijkoog").await.unwrap(), "1");
        stage_model(&context, "dijkoog@1", Stage::Retired).await.unwrap();
        assert!(matches!(chosen(&context, "dijkoog").await, Err(Error::AllRetired(_))));
        assert_eq!(chosen(&context, "dijkoog@2").await.unwrap(), "2", "a retired one is there for who names it");
        let audit = context.database.list_audits(1).await.unwrap().remove(0);
        assert_eq!((audit.who.as_str(), audit.what.as_str()), ("tester", "model stage"));
        assert_eq!(audit.detail.as_deref(), Some("dijkoog@1 retired"));
    })
    .await;
}

#[tokio::test]
async fn two_that_promote_at_once_leave_one_version_in_production() {
    with_context(|context| async move {
        for version in ["1", "2", "3", "4"] {
            publish_model(&context, &model(version, About::default())).await.unwrap();
        }
        let promote = |version: &'static str| stage_model(&context, version, Stage::Production);
        let done = tokio::join!(promote("dijkoog@1"), promote("dijkoog@2"), promote("dijkoog@3"), promote("dijkoog@4"));
        done.0.and(done.1).and(done.2).and(done.3).unwrap();
        let models = list_models(&context, None).await.unwrap();
        assert_eq!(models.iter().filter(|model| model.stage == Stage::Production).count(), 1, "{models:?}");
    })
    .await;
}

#[tokio::test]
async fn what_is_no_detector_is_refused_and_leaves_nothing() {
    with_context(|context| async move {
        let text = ModelToPublish { weights: "hello".into(), ..model("1.0", About::default()) };
        let refused = publish_model(&context, &text).await.unwrap_err();
        assert!(refused.to_string().contains("dijkoog.1.0: not TorchScript"), "{refused}");
        assert!(list_models(&context, None).await.unwrap().is_empty());
        assert!(context.storage.list_objects("ai-models", "").await.unwrap().is_empty());
        let reserved = ModelToPublish { name: "dataset".parse().unwrap(), ..model("1.0", About::default()) };
        assert!(matches!(publish_model(&context, &reserved).await, Err(Error::ReservedName(_))));
    })
    .await;
}

#[tokio::test]
async fn weights_that_are_not_those_of_the_item_are_not_run() {
    with_context(|context| async move {
        publish_model(&context, &model("1.0", About::default())).await.unwrap();
        let mut item = show_model(&context, "dijkoog").await.unwrap();
        let asset = item.assets.get_mut("model").unwrap();
        let wrong = format!("1220{}", hex::encode(Sha256::digest("something else")));
        asset.additional_fields.insert("file:checksum".into(), wrong.into());
        let stored = crate::catalog::StoredItem::of(&item, &["ai-models"]).unwrap();
        context.database.upsert_item(&stored).await.unwrap();
        let refused = chosen(&context, "dijkoog").await.unwrap_err();
        assert!(refused.to_string().contains("its SHA-256 should be"), "{refused}");
    })
    .await;
}
