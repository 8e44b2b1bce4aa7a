//! Our client: writing twice leaves one version, what is read is what was written, errors say what to do.

use std::{fs, time::Duration};

use futures::TryStreamExt as _;
use sha2::{Digest as _, Sha256};

use super::{Running, noise, put, set_versioning, status};
use crate::{
    catalog::{Layer, ObjectRef, Role},
    storage::{Error, ObjectKey, Storage},
};

fn photo(name: &str) -> ObjectKey {
    ObjectKey::Photo { project: "dijk-a".into(), flight: "f".into(), name: name.into() }
}

async fn read(storage: &Storage, object: &ObjectRef, range: Option<&str>) -> Vec<u8> {
    let version = object.version_id.as_deref();
    let stream = storage.read_object(&object.bucket, &object.key, version, range).await.unwrap();
    let parts: Vec<_> = stream.body.try_collect().await.unwrap();
    parts.concat()
}

#[tokio::test]
async fn buckets_are_made_once_and_keep_versions() {
    let store = Running::start().await;
    let storage = store.storage(Role::Admin);
    let first = storage.ensure_buckets().await.unwrap();
    assert!(first.iter().all(|state| state.created && state.versioned && state.cleans_up_uploads), "{first:?}");
    let second = storage.ensure_buckets().await.unwrap();
    assert!(second.iter().all(|state| !state.created && state.versioned && state.cleans_up_uploads), "{second:?}");
    // Whoever may only read finds everything right and changes nothing.
    assert_eq!(store.storage(Role::Viewer).ensure_buckets().await.unwrap(), second);
}

#[tokio::test]
async fn the_same_content_twice_is_one_version() {
    let store = Running::start().await;
    let storage = store.with_buckets().await;
    let key = photo("DJI 0001.JPG");
    let first = storage.put_bytes(Layer::Raw, &key, "photo".into(), "image/jpeg").await.unwrap();
    let second = storage.put_bytes(Layer::Raw, &key, "photo".into(), "image/jpeg").await.unwrap();
    assert_eq!(first, second);
    assert_eq!(first.sha256, hex::encode(Sha256::digest(b"photo")));
    let third = storage.put_bytes(Layer::Raw, &key, "other".into(), "image/jpeg").await.unwrap();
    assert_ne!(first.version_id, third.version_id);
    assert_eq!(read(&storage, &first, None).await, b"photo");
    assert_eq!(storage.find_object(&first.bucket, &first.key, first.version_id.as_deref()).await.unwrap(), Some(first));
}

#[tokio::test]
async fn small_and_large_files_go_up_and_come_down_whole() {
    let store = Running::start().await;
    let storage = store.with_buckets().await;
    let folder = tempfile::TempDir::new().unwrap();
    for (size, parts) in [(0, false), (1000, false), (8 << 20, false), ((20 << 20) + 7, true)] {
        let path = folder.path().join(format!("{size}.tif"));
        let bytes = noise(size, 3);
        fs::write(&path, &bytes).unwrap();
        let key = photo(&format!("{size}.tif"));
        let object = storage.put_file(Layer::Raw, &key, &path, "image/tiff").await.unwrap();
        assert_eq!((object.size_bytes, object.content_type.as_str()), (size as u64, "image/tiff"));
        assert_eq!(object.sha256, hex::encode(Sha256::digest(&bytes)));
        let head = storage.client().head_object().bucket(&object.bucket).key(&object.key).send().await.unwrap();
        assert_eq!(head.e_tag().unwrap().contains('-'), parts, "{size}");
        assert_eq!(storage.put_file(Layer::Raw, &key, &path, "image/tiff").await.unwrap(), object);

        let copy = folder.path().join("copy.tif");
        storage.download(&object, &copy).await.unwrap();
        assert_eq!(fs::read(&copy).unwrap(), bytes);
    }
    let uploads = storage.client().list_multipart_uploads().bucket("drone-raw").send().await.unwrap();
    assert_eq!(uploads.uploads().len(), 0);
}

#[tokio::test]
async fn a_range_is_read_and_one_outside_refused() {
    let store = Running::start().await;
    let storage = store.with_buckets().await;
    let object = storage.put_bytes(Layer::Raw, &photo("a"), "0123456789".into(), "text/plain").await.unwrap();
    assert_eq!(read(&storage, &object, Some("bytes=2-4")).await, b"234");
    let refused = storage.read_object(&object.bucket, &object.key, None, Some("bytes=10-")).await;
    assert!(matches!(refused, Err(Error::Range { .. })));
    let missing = storage.read_object(&object.bucket, "nothing", None, None).await;
    assert!(matches!(missing, Err(Error::Missing { what: "object", .. })));
}

#[tokio::test]
async fn a_download_of_other_content_leaves_the_file_as_it_was() {
    let store = Running::start().await;
    let storage = store.with_buckets().await;
    let object = storage.put_bytes(Layer::Raw, &photo("a"), "content".into(), "text/plain").await.unwrap();
    let forged = ObjectRef { sha256: "0".repeat(64), ..object };
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("a");
    fs::write(&path, "old").unwrap();
    let error = storage.download(&forged, &path).await.unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "a temporary file stayed");
}

#[tokio::test]
async fn objects_are_listed_with_versions_and_checksums() {
    let store = Running::start().await;
    let storage = store.with_buckets().await;
    let mut expected = Vec::new();
    for name in ["a.jpg", "b.jpg"] {
        expected.push(storage.put_bytes(Layer::Raw, &photo(name), name.into(), "image/jpeg").await.unwrap());
    }
    put(storage.client(), "drone-raw", "elsewhere", "x").await;
    assert_eq!(storage.list_objects("drone-raw", "projects/dijk-a/f/").await.unwrap(), expected);
}

#[tokio::test]
async fn an_object_of_others_is_identified_by_reading() {
    let store = Running::start().await;
    let storage = store.with_buckets().await;
    put(storage.client(), "drone-raw", "theirs", "content").await;
    let found = storage.find_object("drone-raw", "theirs", None).await.unwrap().unwrap();
    assert_eq!(found.sha256, "");
    assert_eq!(storage.identify_object(found).await.unwrap().sha256, hex::encode(Sha256::digest(b"content")));
}

#[tokio::test]
async fn without_versions_the_content_is_in_the_key() {
    let store = Running::start().await;
    let admin = store.with_buckets().await;
    set_versioning(admin.client(), "drone-raw", aws_sdk_s3::types::BucketVersioningStatus::Suspended).await;
    // A client of its own: the first has seen versions and remembers.
    let storage = store.storage(Role::Uploader);
    assert!(!storage.keeps_versions(Layer::Raw).await.unwrap());
    let first = storage.put_bytes(Layer::Raw, &photo("a.jpg"), "one".into(), "image/jpeg").await.unwrap();
    let second = storage.put_bytes(Layer::Raw, &photo("a.jpg"), "two".into(), "image/jpeg").await.unwrap();
    assert_ne!(first.key, second.key);
    assert_eq!(first.version_id, None);
    assert_eq!(read(&storage, &first, None).await, b"one");
}

#[tokio::test]
async fn a_failed_upload_is_aborted() {
    let store = Running::start().await;
    store.with_buckets().await;
    let storage = store.storage(Role::Uploader);
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("a.tif");
    fs::write(&path, noise(17 << 20, 4)).unwrap();
    // Ctrl-C halfway: the future is dropped.
    let key = photo("a.tif");
    let upload = storage.put_file(Layer::Raw, &key, &path, "image/tiff");
    let begun = async {
        loop {
            let listed = storage.client().list_multipart_uploads().bucket("drone-raw").send().await.unwrap();
            let Some(begun) = listed.uploads().first() else { continue };
            let parts = storage.client().list_parts().bucket("drone-raw").key(begun.key().unwrap());
            if !parts.upload_id(begun.upload_id().unwrap()).send().await.unwrap().parts().is_empty() {
                break;
            }
        }
    };
    tokio::select! {
        biased;
        () = begun => {}
        done = upload => panic!("the upload was faster than the test: {done:?}"),
    }
    for _ in 0..100 {
        let listed = storage.client().list_multipart_uploads().bucket("drone-raw").send().await.unwrap();
        if listed.uploads().is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the upload was not aborted");
}

#[tokio::test]
async fn errors_name_the_operation_and_the_object() {
    let store = Running::start().await;
    store.with_buckets().await;
    let viewer = store.storage(Role::Viewer);
    let error = viewer.put_bytes(Layer::Ortho, &photo("a"), "x".into(), "image/jpeg").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot store s3://drone-ortho/projects/dijk-a/f/a: the access key may not do that (AccessDenied)"
    );

    let mut settings = store.settings(Role::Admin);
    settings.endpoint = Some("http://127.0.0.1:9".to_owned());
    let error = Storage::connect(&settings).unwrap().find_object("drone-raw", "a", None).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("http://127.0.0.1:9"), "{error}");
    settings.endpoint = Some("localhost:9000".to_owned());
    assert!(matches!(Storage::connect(&settings), Err(Error::Settings(_))));
}

#[tokio::test]
async fn operations_that_the_store_lacks_say_so() {
    let store = Running::start().await;
    let s3 = store.with_bucket("lacks").await;
    let error = s3.get_bucket_acl().bucket("lacks").send().await.unwrap_err();
    assert_eq!(status(&error), 501);
}
