//! Multipart uploads: parts in any order, one object at the end, nothing before.

use aws_sdk_s3::{
    Client,
    primitives::ByteStream,
    types::{BucketVersioningStatus::Enabled, CompletedMultipartUpload, CompletedPart},
};
use futures::future::join_all;
use md5::{Digest as _, Md5};

use super::{Running, get, noise, put, set_versioning, status, versions::count_blobs};

const PART: usize = 5 << 20;

async fn begin(s3: &Client, bucket: &str, key: &str) -> String {
    let request = s3.create_multipart_upload().bucket(bucket).key(key).content_type("image/tiff").metadata("k", "v");
    request.send().await.unwrap().upload_id.unwrap()
}

async fn send(s3: &Client, bucket: &str, key: &str, id: &str, number: i32, bytes: &[u8]) -> CompletedPart {
    let request = s3.upload_part().bucket(bucket).key(key).upload_id(id).part_number(number);
    let answer = request.body(ByteStream::from(bytes.to_vec())).send().await.unwrap();
    CompletedPart::builder().part_number(number).set_e_tag(answer.e_tag).build()
}

fn finished(parts: Vec<CompletedPart>) -> CompletedMultipartUpload {
    CompletedMultipartUpload::builder().set_parts(Some(parts)).build()
}

#[tokio::test]
async fn parts_in_any_order_become_one_object() {
    let store = Running::start().await;
    let s3 = store.with_bucket("parts").await;
    set_versioning(&s3, "parts", Enabled).await;
    let bytes = noise(2 * PART + 1000, 1);
    let id = begin(&s3, "parts", "a").await;
    let sends = [3, 1, 2].map(|number: i32| {
        let chunk = bytes.chunks(PART).nth(number as usize - 1).unwrap();
        send(&s3, "parts", "a", &id, number, chunk)
    });
    let mut parts = join_all(sends).await;
    assert_eq!(get(&s3, "parts", "a", None).await, Err(404), "visible before it is finished");
    parts.sort_by_key(CompletedPart::part_number);

    let request = s3.complete_multipart_upload().bucket("parts").key("a").upload_id(&id);
    let done = request.multipart_upload(finished(parts)).send().await.unwrap();
    let mut md5 = Md5::new();
    bytes.chunks(PART).for_each(|chunk| md5.update(Md5::digest(chunk)));
    assert_eq!(done.e_tag().unwrap(), format!("\"{}-3\"", hex::encode(md5.finalize())));
    assert!(done.version_id().is_some());
    assert_eq!(get(&s3, "parts", "a", done.version_id()).await.unwrap(), bytes);
    let head = s3.head_object().bucket("parts").key("a").send().await.unwrap();
    assert_eq!((head.content_type(), head.metadata().unwrap()["k"].as_str()), (Some("image/tiff"), "v"));

    let across = s3.get_object().bucket("parts").key("a").range(format!("bytes={}-{}", PART - 3, PART + 2));
    let across = across.send().await.unwrap().body.collect().await.unwrap().into_bytes();
    assert_eq!(across, bytes[PART - 3..PART + 3]);
    let second = s3.get_object().bucket("parts").key("a").part_number(2).send().await.unwrap();
    assert_eq!((second.parts_count(), second.content_length()), (Some(3), Some(PART as i64)));
    assert_eq!(s3.list_multipart_uploads().bucket("parts").send().await.unwrap().uploads().len(), 0);
}

#[tokio::test]
async fn an_aborted_upload_leaves_nothing() {
    let store = Running::start().await;
    let s3 = store.with_bucket("abort").await;
    let id = begin(&s3, "abort", "a").await;
    send(&s3, "abort", "a", &id, 1, &noise(PART, 1)).await;
    assert_eq!(s3.list_multipart_uploads().bucket("abort").send().await.unwrap().uploads().len(), 1);
    assert_eq!(count_blobs(store.folder.path()), 1);

    s3.abort_multipart_upload().bucket("abort").key("a").upload_id(&id).send().await.unwrap();
    assert_eq!(s3.list_multipart_uploads().bucket("abort").send().await.unwrap().uploads().len(), 0);
    assert_eq!(count_blobs(store.folder.path()), 0);
    let late =
        s3.upload_part().bucket("abort").key("a").upload_id(&id).part_number(2).body(ByteStream::from_static(b"x"));
    assert_eq!(status(&late.send().await.unwrap_err()), 404);
}

#[tokio::test]
async fn a_part_sent_again_replaces_the_first() {
    let store = Running::start().await;
    let s3 = store.with_bucket("again").await;
    let id = begin(&s3, "again", "a").await;
    let first = send(&s3, "again", "a", &id, 1, b"first").await;
    let second = send(&s3, "again", "a", &id, 1, b"second").await;
    assert_eq!(count_blobs(store.folder.path()), 1);
    let complete = |part| {
        let request = s3.complete_multipart_upload().bucket("again").key("a").upload_id(&id);
        request.multipart_upload(finished(vec![part])).send()
    };
    assert_eq!(status(&complete(first).await.unwrap_err()), 400);
    complete(second).await.unwrap();
    assert_eq!(get(&s3, "again", "a", None).await.unwrap(), "second");
}

#[tokio::test]
async fn wrong_ends_are_refused_and_the_upload_goes_on() {
    let store = Running::start().await;
    let s3 = store.with_bucket("ends").await;
    let id = begin(&s3, "ends", "a").await;
    let small = join_all([1, 2].map(|number| send(&s3, "ends", "a", &id, number, b"small"))).await;
    let complete = |parts: Vec<CompletedPart>| {
        let request = s3.complete_multipart_upload().bucket("ends").key("a").upload_id(&id);
        request.multipart_upload(finished(parts)).send()
    };
    let code = |error: &dyn aws_sdk_s3::error::ProvideErrorMetadata| error.code().unwrap().to_owned();
    assert_eq!(code(&complete(small.clone()).await.unwrap_err()), "EntityTooSmall");
    let reversed = small.iter().rev().cloned().collect();
    assert_eq!(code(&complete(reversed).await.unwrap_err()), "InvalidPartOrder");
    let missing = CompletedPart::builder().part_number(7).e_tag("\"x\"").build();
    assert_eq!(code(&complete(vec![missing]).await.unwrap_err()), "InvalidPart");
    complete(vec![small[1].clone()]).await.unwrap();
    assert_eq!(get(&s3, "ends", "a", None).await.unwrap(), "small");
    assert_eq!(count_blobs(store.folder.path()), 1, "the part that was left out stayed");
}

#[tokio::test]
async fn a_finish_can_insist_that_the_key_is_new() {
    let store = Running::start().await;
    let s3 = store.with_bucket("new").await;
    let ids = join_all((0..4).map(|_| begin(&s3, "new", "a"))).await;
    let s3 = &s3;
    let finishes = ids.iter().map(|id| async move {
        let part = send(s3, "new", "a", id, 1, id.as_bytes()).await;
        let request = s3.complete_multipart_upload().bucket("new").key("a").upload_id(id).if_none_match("*");
        request.multipart_upload(finished(vec![part])).send().await
    });
    let results = join_all(finishes).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert!(results.iter().filter_map(|result| result.as_ref().err()).all(|error| status(error) == 412));
}

#[tokio::test]
async fn a_part_can_be_a_range_of_an_object() {
    let store = Running::start().await;
    let s3 = store.with_bucket("range-part").await;
    put(&s3, "range-part", "from", "0123456789").await;
    let id = begin(&s3, "range-part", "to").await;
    let request = s3.upload_part_copy().bucket("range-part").key("to").upload_id(&id).part_number(1);
    let copied = request.copy_source("range-part/from").copy_source_range("bytes=2-4").send().await.unwrap();
    let etag = copied.copy_part_result.unwrap().e_tag;
    let part = CompletedPart::builder().part_number(1).set_e_tag(etag).build();
    let request = s3.complete_multipart_upload().bucket("range-part").key("to").upload_id(&id);
    request.multipart_upload(finished(vec![part])).send().await.unwrap();
    assert_eq!(get(&s3, "range-part", "to", None).await.unwrap(), "234");
}

#[tokio::test]
async fn parts_and_uploads_are_listed_by_page() {
    let store = Running::start().await;
    let s3 = store.with_bucket("paged").await;
    let id = begin(&s3, "paged", "a").await;
    for number in [1, 2, 5] {
        send(&s3, "paged", "a", &id, number, b"x").await;
    }
    let first = s3.list_parts().bucket("paged").key("a").upload_id(&id).max_parts(2).send().await.unwrap();
    assert_eq!((first.parts().len(), first.is_truncated()), (2, Some(true)));
    let marker = first.next_part_number_marker().unwrap();
    let rest = s3.list_parts().bucket("paged").key("a").upload_id(&id).part_number_marker(marker).send().await.unwrap();
    assert_eq!(rest.parts()[0].part_number(), Some(5));

    for key in ["b", "b", "c"] {
        begin(&s3, "paged", key).await;
    }
    let mut listed = Vec::new();
    let (mut key, mut upload) = (None, None);
    loop {
        let request = s3.list_multipart_uploads().bucket("paged").max_uploads(1);
        let page = request.set_key_marker(key).set_upload_id_marker(upload).send().await.unwrap();
        listed.extend(page.uploads().iter().filter_map(|upload| upload.key().map(str::to_owned)));
        if page.is_truncated() != Some(true) {
            break;
        }
        (key, upload) = (page.next_key_marker().map(str::to_owned), page.next_upload_id_marker().map(str::to_owned));
    }
    assert_eq!(listed, ["a", "b", "b", "c"]);
}

#[tokio::test]
async fn the_checksum_of_the_whole_is_checked_at_the_end() {
    use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
    use sha2::Sha256;
    let store = Running::start().await;
    let s3 = store.with_bucket("whole").await;
    let id = begin(&s3, "whole", "a").await;
    let bytes = noise(PART + 10, 5);
    let chunks = bytes.chunks(PART).zip(1..);
    let parts = join_all(chunks.map(|(chunk, number)| send(&s3, "whole", "a", &id, number, chunk))).await;
    let complete = |sum: String| {
        let request = s3.complete_multipart_upload().bucket("whole").key("a").upload_id(&id).checksum_sha256(sum);
        request.multipart_upload(finished(parts.clone())).send()
    };
    assert_eq!(status(&complete(BASE64.encode(Sha256::digest(b"other"))).await.unwrap_err()), 400);
    let right = BASE64.encode(Sha256::digest(&bytes));
    assert_eq!(complete(right.clone()).await.unwrap().checksum_sha256(), Some(right.as_str()));
}
