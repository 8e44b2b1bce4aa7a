//! Objects: what goes in comes out, ranges and conditions hold, damaged bodies are refused.

use aws_sdk_s3::{
    Client,
    config::{RequestChecksumCalculation, ResponseChecksumValidation},
    primitives::ByteStream,
    types::{ChecksumAlgorithm, ChecksumMode, Delete, MetadataDirective, ObjectIdentifier},
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use futures::future::join_all;
use md5::{Digest as _, Md5};

use super::{Running, get, noise, put, status, versions::count_blobs};

#[tokio::test]
async fn an_object_comes_back_as_it_was_given() {
    let store = Running::start().await;
    let s3 = store.with_bucket("same").await;
    let bytes = noise(3 << 20, 1);
    let request = s3.put_object().bucket("same").key("a").content_type("image/tiff").metadata("sha256", "abc");
    let request = request.content_encoding("gzip").cache_control("max-age=60").content_disposition("inline");
    let stored = request.body(ByteStream::from(bytes.clone())).send().await.unwrap();
    assert_eq!(stored.e_tag().unwrap(), format!("\"{}\"", hex::encode(Md5::digest(&bytes))));

    let head = s3.head_object().bucket("same").key("a").send().await.unwrap();
    assert_eq!(head.content_length(), Some(bytes.len() as i64));
    assert_eq!(head.content_type(), Some("image/tiff"));
    assert_eq!(head.content_encoding(), Some("gzip"));
    assert_eq!(head.cache_control(), Some("max-age=60"));
    assert_eq!(head.content_disposition(), Some("inline"));
    assert_eq!(head.accept_ranges(), Some("bytes"));
    assert_eq!(head.metadata().unwrap()["sha256"], "abc");
    assert!(head.last_modified().is_some());
    assert_eq!(get(&s3, "same", "a", None).await.unwrap(), bytes);
}

#[tokio::test]
async fn an_empty_object_is_an_object() {
    let store = Running::start().await;
    let s3 = store.with_bucket("empty").await;
    put(&s3, "empty", "nothing", "").await;
    assert_eq!(get(&s3, "empty", "nothing", None).await.unwrap(), "");
    let range = s3.get_object().bucket("empty").key("nothing").range("bytes=0-0").send().await.unwrap_err();
    assert_eq!(status(&range), 416);
}

#[tokio::test]
async fn ranges_are_cut_exactly_and_refused_outside() {
    let store = Running::start().await;
    let s3 = store.with_bucket("range").await;
    put(&s3, "range", "digits", "0123456789").await;
    for (range, expected, header) in [
        ("bytes=0-3", "0123", "bytes 0-3/10"),
        ("bytes=4-", "456789", "bytes 4-9/10"),
        ("bytes=-2", "89", "bytes 8-9/10"),
        ("bytes=8-99", "89", "bytes 8-9/10"),
    ] {
        let answer = s3.get_object().bucket("range").key("digits").range(range).send().await.unwrap();
        assert_eq!(answer.content_range(), Some(header), "{range}");
        assert_eq!(answer.body.collect().await.unwrap().into_bytes(), expected, "{range}");
    }
    let refused = s3.get_object().bucket("range").key("digits").range("bytes=10-12").send().await.unwrap_err();
    assert_eq!(status(&refused), 416);
    assert_eq!(refused.raw_response().unwrap().headers().get("content-range"), Some("bytes */10"));
}

#[tokio::test]
async fn odd_keys_are_keys_like_any_other() {
    let store = Running::start().await;
    let s3 = store.with_bucket("odd-keys").await;
    let long = "k".repeat(1024);
    let keys = [
        "with space",
        "a+b",
        "één",
        "😀.jpg",
        "100%20.tif",
        "a",
        "a/",
        "a/b",
        "a//b",
        "/leading",
        "//",
        "..",
        "../x",
        "semi;colon",
        "q?x=1&y=2",
        "#hash",
        "quote\"'",
        "<xml>&amp;",
        "back\\slash",
        "tab\there",
        &long,
    ];
    for key in keys {
        put(&s3, "odd-keys", key, key.as_bytes().to_vec()).await;
    }
    for key in keys {
        assert_eq!(get(&s3, "odd-keys", key, None).await.unwrap(), key.as_bytes(), "{key:?}");
    }
    let listed = s3.list_objects_v2().bucket("odd-keys").send().await.unwrap();
    let mut expected = keys.to_vec();
    expected.sort_unstable();
    let listed: Vec<_> = listed.contents().iter().filter_map(|object| object.key()).collect();
    assert_eq!(listed, expected);
    let too_long = s3.put_object().bucket("odd-keys").key("k".repeat(1025)).body(ByteStream::from_static(b"")).send();
    assert_eq!(status(&too_long.await.unwrap_err()), 400);
}

#[tokio::test]
async fn of_sixteen_racing_writers_of_a_new_key_exactly_one_wins() {
    let store = Running::start().await;
    let s3 = store.with_bucket("race").await;
    for round in 0..5 {
        let key = format!("key {round}");
        let writers = (0..16).map(|n| {
            let body = ByteStream::from(format!("writer {n}").into_bytes());
            s3.put_object().bucket("race").key(&key).if_none_match("*").body(body).send()
        });
        let results = join_all(writers).await;
        let won: Vec<_> = (0..16).filter(|n| results[*n].is_ok()).collect();
        assert_eq!(won.len(), 1, "round {round}");
        let refusals: Vec<_> = results.iter().filter_map(|result| result.as_ref().err().map(status)).collect();
        assert_eq!(refusals, [412; 15]);
        assert_eq!(get(&s3, "race", &key, None).await.unwrap(), format!("writer {}", won[0]));
    }
    assert_eq!(count_blobs(store.folder.path()), 5, "the losers left blobs behind");
}

#[tokio::test]
async fn a_write_can_insist_on_what_it_saw() {
    let store = Running::start().await;
    let s3 = store.with_bucket("insist").await;
    let write = |etag: String, body: &'static [u8]| {
        s3.put_object().bucket("insist").key("a").if_match(etag).body(ByteStream::from_static(body)).send()
    };
    assert_eq!(status(&write("\"x\"".into(), b"new").await.unwrap_err()), 404);
    put(&s3, "insist", "a", "old").await;
    let etag = s3.head_object().bucket("insist").key("a").send().await.unwrap().e_tag.unwrap();
    write(etag.clone(), b"new").await.unwrap();
    assert_eq!(status(&write(etag, b"newer").await.unwrap_err()), 412);
    assert_eq!(get(&s3, "insist", "a", None).await.unwrap(), "new");
}

#[tokio::test]
async fn a_reader_is_spared_what_it_has() {
    let store = Running::start().await;
    let s3 = store.with_bucket("spare").await;
    put(&s3, "spare", "a", "content").await;
    let etag = s3.head_object().bucket("spare").key("a").send().await.unwrap().e_tag.unwrap();
    let same = s3.get_object().bucket("spare").key("a").if_none_match(&etag).send().await.unwrap_err();
    assert_eq!(status(&same), 304);
    let other = s3.get_object().bucket("spare").key("a").if_match("\"other\"").send().await.unwrap_err();
    assert_eq!(status(&other), 412);
    s3.get_object().bucket("spare").key("a").if_match(&etag).send().await.unwrap();
}

#[tokio::test]
async fn a_damaged_body_is_refused_and_leaves_nothing() {
    let store = Running::start().await;
    let s3 = store.with_bucket("damage").await;
    let request = || s3.put_object().bucket("damage").key("a").body(ByteStream::from_static(b"content"));
    let wrong_md5 = request().content_md5(BASE64.encode(Md5::digest(b"other"))).send().await.unwrap_err();
    assert_eq!(status(&wrong_md5), 400);
    let wrong_sha256 =
        request().checksum_sha256(BASE64.encode(sha2::Sha256::digest(b"other"))).send().await.unwrap_err();
    assert_eq!(status(&wrong_sha256), 400);
    assert_eq!(get(&s3, "damage", "a", None).await, Err(404));
    assert_eq!(count_blobs(store.folder.path()), 0);
}

/// Returns a client as the SDK makes it by default: a checksum with every upload, behind streamed ones.
fn with_checksums(store: &Running) -> Client {
    let config = store.s3(crate::catalog::Role::Admin).config().to_builder();
    let config = config.request_checksum_calculation(RequestChecksumCalculation::WhenSupported);
    Client::from_conf(config.response_checksum_validation(ResponseChecksumValidation::WhenSupported).build())
}

#[tokio::test]
async fn every_checksum_of_s3_is_checked_and_kept() {
    let store = Running::start().await;
    store.with_bucket("sums").await;
    let s3 = with_checksums(&store);
    for algorithm in
        [ChecksumAlgorithm::Crc32, ChecksumAlgorithm::Crc32C, ChecksumAlgorithm::Sha1, ChecksumAlgorithm::Sha256]
    {
        let request = s3.put_object().bucket("sums").key("a").checksum_algorithm(algorithm.clone());
        let stored = request.body(ByteStream::from_static(b"content")).send().await.unwrap();
        let head = s3.head_object().bucket("sums").key("a").checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
        let sums = |a: Option<&str>, b: Option<&str>, c: Option<&str>, d: Option<&str>| {
            [a, b, c, d].map(|sum| sum.map(str::to_owned))
        };
        let given =
            sums(stored.checksum_crc32(), stored.checksum_crc32_c(), stored.checksum_sha1(), stored.checksum_sha256());
        let kept = sums(head.checksum_crc32(), head.checksum_crc32_c(), head.checksum_sha1(), head.checksum_sha256());
        assert_eq!(given.iter().flatten().count(), 1, "{algorithm}");
        assert_eq!(given, kept, "{algorithm}");
    }
}

#[tokio::test]
async fn a_stream_with_a_trailer_is_stored_without_its_wrapping() {
    let store = Running::start().await;
    store.with_bucket("trailer").await;
    let s3 = with_checksums(&store);
    let file = tempfile::NamedTempFile::new().unwrap();
    let bytes = noise(300_000, 2);
    std::fs::write(file.path(), &bytes).unwrap();
    // From a file the SDK sends aws-chunked with the checksum behind the body.
    let body = ByteStream::from_path(file.path()).await.unwrap();
    let request = s3.put_object().bucket("trailer").key("a").checksum_algorithm(ChecksumAlgorithm::Crc32C);
    request.body(body).send().await.unwrap();
    assert_eq!(get(&s3, "trailer", "a", None).await.unwrap(), bytes);
    let head = s3.head_object().bucket("trailer").key("a").checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
    assert_eq!(head.content_encoding(), None);
    assert!(head.checksum_crc32_c().is_some());
}

#[tokio::test]
async fn a_copy_shares_its_content_and_outlives_its_source() {
    let store = Running::start().await;
    let s3 = store.with_bucket("copy").await;
    s3.put_object()
        .bucket("copy")
        .key("a b")
        .content_type("text/plain")
        .metadata("k", "v")
        .body(ByteStream::from_static(b"content"))
        .send()
        .await
        .unwrap();
    let copy = |s3: &Client| s3.copy_object().bucket("copy").copy_source("copy/a%20b");
    copy(&s3).key("same").send().await.unwrap();
    copy(&s3)
        .key("other")
        .metadata_directive(MetadataDirective::Replace)
        .content_type("text/html")
        .send()
        .await
        .unwrap();
    assert_eq!(count_blobs(store.folder.path()), 1);

    s3.delete_object().bucket("copy").key("a b").send().await.unwrap();
    let same = s3.head_object().bucket("copy").key("same").send().await.unwrap();
    assert_eq!((same.content_type(), same.metadata().unwrap()["k"].as_str()), (Some("text/plain"), "v"));
    let other = s3.head_object().bucket("copy").key("other").send().await.unwrap();
    assert_eq!((other.content_type(), other.metadata().unwrap().len()), (Some("text/html"), 0));
    assert_eq!(get(&s3, "copy", "other", None).await.unwrap(), "content");
    for key in ["same", "other"] {
        s3.delete_object().bucket("copy").key(key).send().await.unwrap();
    }
    assert_eq!(count_blobs(store.folder.path()), 0);
}

#[tokio::test]
async fn a_copy_onto_itself_keeps_its_content() {
    let store = Running::start().await;
    let s3 = store.with_bucket("itself").await;
    put(&s3, "itself", "a", "content").await;
    s3.copy_object().bucket("itself").key("a").copy_source("itself/a").send().await.unwrap();
    assert_eq!(get(&s3, "itself", "a", None).await.unwrap(), "content");
}

#[tokio::test]
async fn many_are_deleted_at_once() {
    let store = Running::start().await;
    let s3 = store.with_bucket("bulk").await;
    for key in ["a", "b", "c"] {
        put(&s3, "bulk", key, "x").await;
    }
    let objects = ["a", "b", "missing"].map(|key| ObjectIdentifier::builder().key(key).build().unwrap());
    let delete = Delete::builder().set_objects(Some(objects.to_vec())).build().unwrap();
    let answer = s3.delete_objects().bucket("bulk").delete(delete).send().await.unwrap();
    assert_eq!((answer.deleted().len(), answer.errors().len()), (3, 0));
    let left = s3.list_objects_v2().bucket("bulk").send().await.unwrap();
    assert_eq!(left.contents().iter().filter_map(|object| object.key()).collect::<Vec<_>>(), ["c"]);
}
