//! The contract of storage: real S3 requests, through our client and the bare SDK, to a real embedded store.

mod access;
mod client;
mod listing;
mod multipart;
mod objects;
mod restart;
mod versions;

use std::{net::SocketAddr, path::Path};

use aws_sdk_s3::{
    Client,
    error::SdkError,
    primitives::ByteStream,
    types::{BucketVersioningStatus, VersioningConfiguration},
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use bytes::Bytes;
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use super::{
    Buckets, Secret, Settings, Storage,
    embedded::{Credential, Store, StoreOptions},
};
use crate::catalog::Role;

/// A store on a port of its own, in a folder that goes with it.
pub struct Running {
    pub folder: TempDir,
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    server: Option<JoinHandle<()>>,
}

impl Running {
    pub async fn start() -> Self {
        Self::start_in(TempDir::new().unwrap()).await
    }

    pub async fn start_in(folder: TempDir) -> Self {
        let store = Store::open(options(folder.path())).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(async move {
            let stopped = async move {
                let _ = stopped.await;
            };
            store.serve(listener, stopped).await.unwrap();
        });
        Self { folder, address, stop: Some(stop), server: Some(server) }
    }

    /// Stops the server and returns its folder.
    pub async fn stop(mut self) -> TempDir {
        self.stop.take().unwrap().send(()).unwrap();
        self.server.take().unwrap().await.unwrap();
        self.folder
    }

    pub fn settings(&self, role: Role) -> Settings {
        Settings {
            endpoint: Some(format!("http://{}", self.address)),
            public_endpoint: None,
            region: "us-east-1".to_owned(),
            access_key_id: Some(key_id(role)),
            secret_access_key: Some(secret(role)),
            session_token: None,
            path_style: true,
            buckets: Buckets::default(),
        }
    }

    pub fn storage(&self, role: Role) -> Storage {
        Storage::connect(&self.settings(role)).unwrap()
    }

    /// Returns the bare SDK client of a role.
    pub fn s3(&self, role: Role) -> Client {
        self.storage(role).client().clone()
    }

    /// Makes the layers' buckets and returns the admin's storage.
    pub async fn with_buckets(&self) -> Storage {
        let storage = self.storage(Role::Admin);
        storage.ensure_buckets().await.unwrap();
        storage
    }

    /// Makes a bucket for one test, without versions.
    pub async fn with_bucket(&self, name: &str) -> Client {
        let s3 = self.s3(Role::Admin);
        s3.create_bucket().bucket(name).send().await.unwrap();
        s3
    }
}

pub fn options(folder: &Path) -> StoreOptions {
    let credential = |role| Credential { role, access_key_id: key_id(role), secret_access_key: secret(role) };
    StoreOptions {
        folder: folder.to_owned(),
        credentials: Role::ALL.map(credential).to_vec(),
        buckets: Buckets::default(),
    }
}

fn key_id(role: Role) -> String {
    format!("POLDER{}", role.as_str().to_uppercase())
}

fn secret(role: Role) -> Secret {
    Secret::new(format!("the secret of the {role}"))
}

pub async fn set_versioning(s3: &Client, bucket: &str, status: BucketVersioningStatus) {
    let configuration = VersioningConfiguration::builder().status(status).build();
    s3.put_bucket_versioning().bucket(bucket).versioning_configuration(configuration).send().await.unwrap();
}

/// Puts an object and returns its version id.
pub async fn put(s3: &Client, bucket: &str, key: &str, body: impl Into<Bytes>) -> Option<String> {
    let request = s3.put_object().bucket(bucket).key(key).body(ByteStream::from(body.into()));
    request.send().await.unwrap().version_id
}

/// Returns an object's content, or the status of the refusal.
pub async fn get(s3: &Client, bucket: &str, key: &str, version: Option<&str>) -> Result<Bytes, u16> {
    let request = s3.get_object().bucket(bucket).key(key).set_version_id(version.map(str::to_owned));
    match request.send().await {
        Ok(answer) => Ok(answer.body.collect().await.unwrap().into_bytes()),
        Err(error) => Err(status(&error)),
    }
}

pub fn status<E>(error: &SdkError<E, HttpResponse>) -> u16 {
    error.raw_response().expect("the store answered").status().as_u16()
}

/// Returns bytes that look random and are the same every time.
pub fn noise(size: usize, seed: u64) -> Vec<u8> {
    use rand::{RngExt as _, SeedableRng as _};
    let mut bytes = vec![0; size];
    rand_pcg::Pcg64Mcg::seed_from_u64(seed).fill(&mut bytes[..]);
    bytes
}
