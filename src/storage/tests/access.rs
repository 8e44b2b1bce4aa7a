//! Who may do what, with what signature, from which page.

use std::time::Duration;

use aws_sdk_s3::{presigning::PresigningConfig, primitives::ByteStream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Running, get, put, status};
use crate::{
    catalog::{Layer, Role},
    storage::{Error, ObjectKey, Secret, Storage},
};

/// Sends a bare HTTP/1.1 request and returns its status and the whole answer.
async fn raw(store: &Running, request: &str) -> (u16, String) {
    let mut stream = tokio::net::TcpStream::connect(store.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    (answer[9..12].parse().unwrap(), answer)
}

async fn fetch(store: &Running, url: &str) -> (u16, String) {
    let path = url.strip_prefix(&format!("http://{}", store.address)).unwrap();
    raw(store, &format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", store.address)).await
}

#[tokio::test]
async fn each_role_writes_its_own_layers_only() {
    let store = Running::start().await;
    store.with_buckets().await;
    for role in Role::ALL {
        let s3 = store.s3(role);
        for layer in Layer::ALL {
            let may = match role {
                Role::Viewer | Role::Reviewer => false,
                Role::Uploader => layer == Layer::Raw,
                Role::Pipeline => layer != Layer::Raw,
                Role::Admin => true,
            };
            let request = s3.put_object().bucket(layer.collection()).key(format!("{role}"));
            let result = request.body(ByteStream::from_static(b"x")).send().await;
            assert_eq!(
                result.map(|_| ()).map_err(|error| status(&error)),
                if may { Ok(()) } else { Err(403) },
                "{role} {layer}"
            );
            let begun = s3.create_multipart_upload().bucket(layer.collection()).key("m").send().await;
            assert_eq!(begun.is_ok(), may, "{role} {layer}");
        }
    }
}

#[tokio::test]
async fn the_viewer_reads_and_changes_nothing() {
    let store = Running::start().await;
    let admin = store.with_buckets().await;
    put(admin.client(), "drone-ortho", "a", "x").await;
    let viewer = store.s3(Role::Viewer);
    assert_eq!(get(&viewer, "drone-ortho", "a", None).await.unwrap(), "x");
    assert_eq!(viewer.list_object_versions().bucket("drone-ortho").send().await.unwrap().versions().len(), 1);
    assert_eq!(status(&viewer.delete_object().bucket("drone-ortho").key("a").send().await.unwrap_err()), 403);
    assert_eq!(status(&viewer.create_bucket().bucket("mine").send().await.unwrap_err()), 403);
    assert_eq!(status(&viewer.delete_bucket().bucket("drone-ortho").send().await.unwrap_err()), 403);
    let copy = viewer.copy_object().bucket("drone-ortho").key("b").copy_source("drone-ortho/a").send().await;
    assert_eq!(status(&copy.unwrap_err()), 403);
}

#[tokio::test]
async fn the_uploader_cannot_copy_out_of_a_bucket_that_it_cannot_read() {
    let store = Running::start().await;
    let admin = store.with_buckets().await;
    put(admin.client(), "drone-ortho", "secret", "x").await;
    let uploader = store.s3(Role::Uploader);
    let copy = uploader.copy_object().bucket("drone-raw").key("a").copy_source("drone-ortho/secret").send().await;
    assert_eq!(status(&copy.unwrap_err()), 403);
}

#[tokio::test]
async fn unsigned_unknown_and_forged_requests_are_refused() {
    let store = Running::start().await;
    store.with_buckets().await;
    let (unsigned, body) = fetch(&store, &format!("http://{}/drone-raw", store.address)).await;
    assert_eq!(unsigned, 403, "{body}");
    let connect = |id: &str, secret: &str| {
        let mut settings = store.settings(Role::Admin);
        settings.access_key_id = Some(id.to_owned());
        settings.secret_access_key = Some(Secret::from(secret));
        Storage::connect(&settings).unwrap()
    };
    for (id, secret) in [("POLDERADMIN", "guessed"), ("NOBODY", "the secret of the admin")] {
        let error = connect(id, secret).find_object("drone-raw", "a", None).await.unwrap_err();
        assert!(matches!(error, Error::Denied { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_presigned_url_works_for_what_it_names_until_it_expires() {
    let store = Running::start().await;
    let storage = store.with_buckets().await;
    let key = ObjectKey::Orthophoto { project: "p".into(), flight: "f".into(), run: "r".into() };
    let object = storage.put_bytes(Layer::Ortho, &key, "content".into(), "image/tiff").await.unwrap();
    let sign = |expires| storage.presign_get(&object.bucket, &object.key, object.version_id.as_deref(), expires);

    let url = sign(Duration::from_mins(1)).await.unwrap();
    let (ok, answer) = fetch(&store, &url).await;
    assert_eq!(ok, 200, "{answer}");
    assert!(answer.ends_with("content"));
    let other = url.replace("ortho-r.tif", "ortho-s.tif");
    assert_eq!(fetch(&store, &other).await.0, 403);
    let longer = url.replace("X-Amz-Expires=60", "X-Amz-Expires=600");
    assert_eq!(fetch(&store, &longer).await.0, 403);
    let version = object.version_id.as_deref().unwrap();
    assert_eq!(fetch(&store, &url.replace(version, "null")).await.0, 403);

    let short = sign(Duration::from_secs(1)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(2100)).await;
    assert_eq!(fetch(&store, &short).await.0, 403);
}

#[tokio::test]
async fn a_presigned_put_of_the_viewer_is_refused() {
    let store = Running::start().await;
    store.with_buckets().await;
    let config = PresigningConfig::expires_in(Duration::from_mins(1)).unwrap();
    for (role, expected) in [(Role::Viewer, 403), (Role::Uploader, 200)] {
        let signed = store.s3(role).put_object().bucket("drone-raw").key("a").presigned(config.clone()).await.unwrap();
        let path = signed.uri().strip_prefix(&format!("http://{}", store.address)).unwrap().to_owned();
        let request = format!(
            "PUT {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
            store.address
        );
        assert_eq!(raw(&store, &request).await.0, expected, "{role}");
    }
}

#[tokio::test]
async fn the_public_endpoint_is_what_is_signed() {
    let store = Running::start().await;
    let mut settings = store.settings(Role::Viewer);
    settings.public_endpoint = Some("https://objects.example.org".to_owned());
    let storage = Storage::connect(&settings).unwrap();
    let url = storage.presign_get("drone-raw", "a b", None, Duration::from_secs(9)).await.unwrap();
    assert!(url.starts_with("https://objects.example.org/drone-raw/a%20b?"), "{url}");
}

#[tokio::test]
async fn a_browser_may_ask_and_read() {
    let store = Running::start().await;
    let preflight = format!(
        "OPTIONS /drone-raw/a HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nOrigin: https://map.example.org\r\n\
         Access-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: content-md5, x-amz-meta-sha256\r\n\r\n",
        store.address
    );
    let (allowed, answer) = raw(&store, &preflight).await;
    assert_eq!(allowed, 204, "{answer}");
    let answer = answer.to_lowercase();
    assert!(answer.contains("access-control-allow-origin: *") && answer.contains("x-amz-meta-sha256"), "{answer}");
    let get = format!(
        "GET /drone-raw/a HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nOrigin: https://x\r\n\r\n",
        store.address
    );
    let (refused, answer) = raw(&store, &get).await;
    assert_eq!(refused, 403);
    assert!(answer.to_lowercase().contains("access-control-allow-origin: *"), "{answer}");
}
