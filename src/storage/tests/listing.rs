//! Listings: complete and in order, whatever the page size, the delimiter and the encoding.

use aws_sdk_s3::{
    Client,
    types::{BucketVersioningStatus::Enabled, EncodingType},
};

use super::{Running, put, set_versioning};

const KEYS: [&str; 9] = ["a", "a/1", "a/2", "a/b/3", "a!", "b/1", "c", "c/", "é/x"];

async fn filled(store: &Running, bucket: &str) -> Client {
    let s3 = store.with_bucket(bucket).await;
    for key in KEYS {
        put(&s3, bucket, key, "x").await;
    }
    s3
}

/// Collects the keys and the common prefixes of all pages, in the order in which they come.
async fn pages(
    s3: &Client,
    bucket: &str,
    prefix: &str,
    delimiter: Option<&str>,
    size: i32,
) -> (Vec<String>, Vec<String>) {
    let (mut keys, mut prefixes) = (Vec::new(), Vec::new());
    let request = s3.list_objects_v2().bucket(bucket).prefix(prefix).set_delimiter(delimiter.map(str::to_owned));
    let mut pages = request.max_keys(size).into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        assert!(page.key_count().unwrap() <= size);
        keys.extend(page.contents().iter().filter_map(|object| object.key().map(str::to_owned)));
        prefixes.extend(page.common_prefixes().iter().filter_map(|prefix| prefix.prefix().map(str::to_owned)));
    }
    (keys, prefixes)
}

#[tokio::test]
async fn pages_of_any_size_hold_the_same() {
    let store = Running::start().await;
    let s3 = filled(&store, "pages").await;
    let mut sorted = KEYS.to_vec();
    sorted.sort_unstable();
    for size in [1, 2, 3, 1000] {
        assert_eq!(pages(&s3, "pages", "", None, size).await.0, sorted, "pages of {size}");
        assert_eq!(
            pages(&s3, "pages", "", Some("/"), size).await,
            (vec!["a".into(), "a!".into(), "c".into()], vec!["a/".into(), "b/".into(), "c/".into(), "é/".into()]),
            "pages of {size} with a delimiter"
        );
        assert_eq!(
            pages(&s3, "pages", "a/", Some("/"), size).await,
            (vec!["a/1".into(), "a/2".into()], vec!["a/b/".into()])
        );
    }
}

#[tokio::test]
async fn a_listing_starts_where_it_is_told() {
    let store = Running::start().await;
    let s3 = filled(&store, "start").await;
    let listed = s3.list_objects_v2().bucket("start").start_after("a/2").send().await.unwrap();
    let keys: Vec<_> = listed.contents().iter().filter_map(|object| object.key()).collect();
    assert_eq!(keys, ["a/b/3", "b/1", "c", "c/", "é/x"]);
    let nothing = s3.list_objects_v2().bucket("start").max_keys(0).send().await.unwrap();
    assert_eq!((nothing.key_count(), nothing.is_truncated()), (Some(0), Some(false)));
}

#[tokio::test]
async fn the_first_listing_of_s3_still_works() {
    let store = Running::start().await;
    let s3 = filled(&store, "old").await;
    let mut names = Vec::new();
    let mut marker = None;
    loop {
        let page = s3.list_objects().bucket("old").delimiter("/").max_keys(2).set_marker(marker).send().await.unwrap();
        names.extend(page.contents().iter().filter_map(|object| object.key().map(str::to_owned)));
        names.extend(page.common_prefixes().iter().filter_map(|prefix| prefix.prefix().map(str::to_owned)));
        marker = page.next_marker().map(str::to_owned);
        if page.is_truncated() != Some(true) {
            break;
        }
    }
    names.sort_unstable();
    assert_eq!(names, ["a", "a!", "a/", "b/", "c", "c/", "é/"]);
}

#[tokio::test]
async fn versions_are_listed_newest_first_across_pages() {
    let store = Running::start().await;
    let s3 = store.with_bucket("newest").await;
    set_versioning(&s3, "newest", Enabled).await;
    let mut expected = Vec::new();
    for key in ["a", "b"] {
        let mut ids = Vec::new();
        for n in 0..5 {
            ids.push((key.to_owned(), put(&s3, "newest", key, format!("{n}")).await.unwrap()));
        }
        expected.extend(ids.into_iter().rev());
    }
    for size in [1, 3, 4, 10] {
        let (mut listed, mut latest) = (Vec::new(), 0);
        let (mut key_marker, mut id_marker) = (None, None);
        loop {
            let request = s3.list_object_versions().bucket("newest").max_keys(size);
            let page = request.set_key_marker(key_marker).set_version_id_marker(id_marker).send().await.unwrap();
            for version in page.versions() {
                listed.push((version.key().unwrap().to_owned(), version.version_id().unwrap().to_owned()));
                latest += usize::from(version.is_latest() == Some(true));
            }
            if page.is_truncated() != Some(true) {
                break;
            }
            key_marker = page.next_key_marker().map(str::to_owned);
            id_marker = page.next_version_id_marker().map(str::to_owned);
        }
        assert_eq!(listed, expected, "pages of {size}");
        assert_eq!(latest, 2, "pages of {size}");
    }
}

#[tokio::test]
async fn a_prefix_whose_keys_are_all_deleted_is_not_listed() {
    let store = Running::start().await;
    let s3 = store.with_bucket("ghosts").await;
    set_versioning(&s3, "ghosts", Enabled).await;
    for key in ["gone/1", "gone/2", "half/1", "half/2"] {
        put(&s3, "ghosts", key, "x").await;
    }
    for key in ["gone/1", "gone/2", "half/1"] {
        s3.delete_object().bucket("ghosts").key(key).send().await.unwrap();
    }
    assert_eq!(pages(&s3, "ghosts", "", Some("/"), 10).await, (Vec::new(), vec!["half/".to_owned()]));
}

#[tokio::test]
async fn names_that_xml_cannot_hold_come_encoded() {
    let store = Running::start().await;
    let s3 = store.with_bucket("encoded").await;
    put(&s3, "encoded", "a b+\u{1}/é", "x").await;
    let listed = s3.list_objects_v2().bucket("encoded").encoding_type(EncodingType::Url).send().await.unwrap();
    assert_eq!(listed.contents()[0].key(), Some("a%20b%2B%01/%C3%A9"));
}

#[tokio::test]
async fn a_missing_bucket_is_missing_in_every_listing() {
    let store = Running::start().await;
    let s3 = store.s3(crate::catalog::Role::Admin);
    assert_eq!(super::status(&s3.list_objects_v2().bucket("nowhere").send().await.unwrap_err()), 404);
    assert_eq!(super::status(&s3.list_object_versions().bucket("nowhere").send().await.unwrap_err()), 404);
    assert_eq!(super::status(&s3.list_multipart_uploads().bucket("nowhere").send().await.unwrap_err()), 404);
}
