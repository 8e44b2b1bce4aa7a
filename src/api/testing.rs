//! The real router on a real PostGIS, with a store in memory.

use std::{collections::HashMap, future::Future, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, Response, StatusCode},
};
use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

use super::{AppState, ObjectBody, ObjectError, Objects, Settings, router};
use crate::{
    catalog::{
        Layer, ObjectRef, StoredItem,
        examples::{detection_run, model_version, orthophoto, photo, scheme},
    },
    database::{Database, testing::with_database},
};

/// Objects by key.
#[derive(Default)]
pub(super) struct MemoryObjects(pub HashMap<String, Bytes>);

impl Objects for MemoryObjects {
    fn is_own_bucket(&self, bucket: &str) -> bool {
        Layer::from_collection(bucket).is_some()
    }

    fn own_buckets(&self) -> Vec<String> {
        Layer::ALL.map(|layer| layer.collection().to_owned()).to_vec()
    }

    fn find<'a>(&'a self, object: &'a ObjectRef) -> BoxFuture<'a, Result<Option<ObjectRef>, ObjectError>> {
        let found = self.0.get(&object.key).map(|bytes| ObjectRef { size_bytes: bytes.len() as u64, ..object.clone() });
        async { Ok(found) }.boxed()
    }

    fn read<'a>(
        &'a self,
        object: &'a ObjectRef,
        range: Option<(u64, u64)>,
    ) -> BoxFuture<'a, Result<ObjectBody, ObjectError>> {
        let bytes = self.0.get(&object.key).cloned().ok_or_else(|| ObjectError::Missing(object.key.clone()));
        let cut = move |bytes: Bytes| match range {
            Some((first, last)) => bytes.slice(first as usize..=last as usize),
            None => bytes,
        };
        let body = bytes.map(|bytes| stream::iter([Ok(cut(bytes))]).boxed());
        async { body }.boxed()
    }

    fn presign<'a>(&'a self, object: &'a ObjectRef, _: Duration) -> BoxFuture<'a, Result<String, ObjectError>> {
        async move { Ok(format!("https://s3.example.org/{}/{}?signed", object.bucket, object.key)) }.boxed()
    }

    fn check(&self) -> BoxFuture<'_, Result<(), ObjectError>> {
        async { Ok(()) }.boxed()
    }
}

/// An answer, read to its end.
pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// A served catalog with one item in each collection, of `catalog::examples`.
#[derive(Clone)]
pub(super) struct Client {
    pub database: Database,
    router: Router,
}

impl Client {
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        let request = Request::post(path).header("content-type", "application/json").body(body.to_string().into());
        self.send(request.unwrap()).await
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response: Response<Body> = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        Answer { status: parts.status, headers: parts.headers, body: body.collect().await.unwrap().to_bytes() }
    }
}

/// Runs a test on a served catalog.
pub(super) async fn with_api<F: Future<Output = ()>>(settings: Settings, test: impl FnOnce(Client) -> F) {
    with_database(|database| async move {
        let items = [
            photo().item(&scheme()),
            orthophoto().item(&scheme()),
            detection_run().item(&scheme()),
            model_version().item(&scheme()),
        ];
        let buckets = Layer::ALL.map(Layer::collection);
        for item in items {
            database.upsert_item(&StoredItem::of(&item, &buckets).unwrap()).await.unwrap();
        }
        let cog = (0..1234).map(|i| (i % 251) as u8).collect::<Bytes>();
        let objects = MemoryObjects([(orthophoto().cog.key, cog)].into());
        let router = router(AppState::new(database.clone(), objects, settings));
        test(Client { database, router }).await;
    })
    .await;
}
