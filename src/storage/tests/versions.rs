//! Versions: they pile up, are read by id, hide behind delete markers, and are lost only when named.

use std::collections::HashSet;

use aws_sdk_s3::types::BucketVersioningStatus::{Enabled, Suspended};
use futures::future::join_all;

use super::{Running, get, put, set_versioning};

#[tokio::test]
async fn a_hundred_parallel_puts_of_one_key_are_a_hundred_versions() {
    let store = Running::start().await;
    let s3 = store.with_bucket("many").await;
    set_versioning(&s3, "many", Enabled).await;

    let puts = (0..100).map(|n| put(&s3, "many", "key", format!("content {n}")));
    let ids: HashSet<_> = join_all(puts).await.into_iter().map(Option::unwrap).collect();
    assert_eq!(ids.len(), 100);

    let listed = s3.list_object_versions().bucket("many").send().await.unwrap();
    let versions = listed.versions();
    assert_eq!(versions.len(), 100);
    assert_eq!(versions.iter().filter(|version| version.is_latest() == Some(true)).count(), 1);
    assert_eq!(versions[0].is_latest(), Some(true));
    let mut contents = HashSet::new();
    for id in &ids {
        contents.insert(get(&s3, "many", "key", Some(id)).await.unwrap());
    }
    assert_eq!(contents.len(), 100);
    assert_eq!(get(&s3, "many", "key", None).await, get(&s3, "many", "key", versions[0].version_id()).await);
}

#[tokio::test]
async fn a_delete_hides_and_undeleting_shows_again() {
    let store = Running::start().await;
    let s3 = store.with_bucket("hide").await;
    set_versioning(&s3, "hide", Enabled).await;
    let id = put(&s3, "hide", "key", "here").await.unwrap();

    let deleted = s3.delete_object().bucket("hide").key("key").send().await.unwrap();
    let marker = deleted.version_id().unwrap();
    assert_eq!(deleted.delete_marker(), Some(true));
    assert_eq!(get(&s3, "hide", "key", None).await, Err(404));
    assert_eq!(get(&s3, "hide", "key", Some(marker)).await, Err(405));
    assert_eq!(get(&s3, "hide", "key", Some(&id)).await.unwrap(), "here");
    assert_eq!(s3.list_objects_v2().bucket("hide").send().await.unwrap().key_count(), Some(0));
    let listed = s3.list_object_versions().bucket("hide").send().await.unwrap();
    assert_eq!((listed.versions().len(), listed.delete_markers().len()), (1, 1));
    assert_eq!(listed.delete_markers()[0].is_latest(), Some(true));

    s3.delete_object().bucket("hide").key("key").version_id(marker).send().await.unwrap();
    assert_eq!(get(&s3, "hide", "key", None).await.unwrap(), "here");
}

#[tokio::test]
async fn a_deleted_version_is_gone_and_the_others_stay() {
    let store = Running::start().await;
    let s3 = store.with_bucket("one").await;
    set_versioning(&s3, "one", Enabled).await;
    let first = put(&s3, "one", "key", "first").await.unwrap();
    let second = put(&s3, "one", "key", "second").await.unwrap();

    s3.delete_object().bucket("one").key("key").version_id(&second).send().await.unwrap();
    assert_eq!(get(&s3, "one", "key", None).await.unwrap(), "first");
    assert_eq!(get(&s3, "one", "key", Some(&second)).await, Err(404));
    assert_eq!(get(&s3, "one", "key", Some(&first)).await.unwrap(), "first");
}

#[tokio::test]
async fn without_versions_a_put_replaces_and_leaves_one_blob() {
    let store = Running::start().await;
    let s3 = store.with_bucket("plain").await;
    assert_eq!(put(&s3, "plain", "key", "first").await, None);
    assert_eq!(put(&s3, "plain", "key", "second").await, None);
    assert_eq!(get(&s3, "plain", "key", None).await.unwrap(), "second");
    assert_eq!(get(&s3, "plain", "key", Some("null")).await.unwrap(), "second");
    assert_eq!(count_blobs(store.folder.path()), 1);

    s3.delete_object().bucket("plain").key("key").send().await.unwrap();
    assert_eq!(get(&s3, "plain", "key", None).await, Err(404));
    assert_eq!(count_blobs(store.folder.path()), 0);
}

#[tokio::test]
async fn suspended_versions_keep_the_old_and_replace_only_null() {
    let store = Running::start().await;
    let s3 = store.with_bucket("pause").await;
    set_versioning(&s3, "pause", Enabled).await;
    let kept = put(&s3, "pause", "key", "kept").await.unwrap();
    set_versioning(&s3, "pause", Suspended).await;
    assert_eq!(put(&s3, "pause", "key", "null 1").await.as_deref(), Some("null"));
    assert_eq!(put(&s3, "pause", "key", "null 2").await.as_deref(), Some("null"));

    let listed = s3.list_object_versions().bucket("pause").send().await.unwrap();
    let ids: Vec<_> = listed.versions().iter().filter_map(|version| version.version_id()).collect();
    assert_eq!(ids, ["null", kept.as_str()]);
    s3.delete_object().bucket("pause").key("key").send().await.unwrap();
    assert_eq!(get(&s3, "pause", "key", Some(&kept)).await.unwrap(), "kept");
    assert_eq!(get(&s3, "pause", "key", Some("null")).await, Err(405));
}

#[tokio::test]
async fn a_bucket_with_old_versions_is_not_empty() {
    let store = Running::start().await;
    let s3 = store.with_bucket("full").await;
    set_versioning(&s3, "full", Enabled).await;
    let id = put(&s3, "full", "key", "x").await.unwrap();
    let marker = s3.delete_object().bucket("full").key("key").send().await.unwrap().version_id.unwrap();
    let refused = s3.delete_bucket().bucket("full").send().await.unwrap_err();
    assert_eq!(super::status(&refused), 409);
    for version in [id, marker] {
        s3.delete_object().bucket("full").key("key").version_id(version).send().await.unwrap();
    }
    s3.delete_bucket().bucket("full").send().await.unwrap();
}

pub fn count_blobs(folder: &std::path::Path) -> usize {
    let folders = std::fs::read_dir(folder.join("blobs")).unwrap();
    folders.map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap().count()).sum()
}
