//! One client for one S3 store, set so that every store understands it.
//!
//! The SDK's defaults add a checksum trailer to uploads, which Ceph RGW 16 answers with 400; so checksums are
//! sent only where S3 requires them, and polder's own SHA-256 and an MD5 go along with every upload.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use aws_sdk_s3::{
    Client,
    config::{
        BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation, SharedHttpClient,
        retry::RetryConfig, timeout::TimeoutConfig,
    },
};
use aws_smithy_http_client::{Builder, tls};

use super::{Buckets, Error, Result, Settings, error::Call};
use crate::catalog::Layer;

/// A connection that takes longer than this is tried again: hosts in one data centre answer in milliseconds.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// One attempt of one call. An upload may have 16 parts of 8 MiB on their way at once; in this time they pass a link of
/// 4 Mbit/s. A link that is dead and not slow is noticed sooner, by the client's stalled-stream protection.
const ATTEMPT_TIMEOUT: Duration = Duration::from_mins(5);

/// Attempts per call, the first included; the SDK waits between them with exponential backoff and jitter.
const ATTEMPTS: u32 = 4;

/// The client of one S3 store. Cheap to clone; all clones share one pool of connections.
#[derive(Clone)]
pub struct Storage {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    /// Signs URLs for the outside world; makes no calls.
    presigner: Client,
    endpoint: String,
    is_aws: bool,
    buckets: Buckets,
    /// Whether each bucket keeps versions, in the order of [`Layer::ALL`]; asked once.
    versioned: [OnceLock<bool>; 4],
}

impl Storage {
    /// Makes the client. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Settings`] when an endpoint is no URL, or only half of a key pair is given.
    pub fn connect(settings: &Settings) -> Result<Self> {
        let http = Builder::new().tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring));
        let http = http.build_https();
        let public = settings.public_endpoint.as_deref().or(settings.endpoint.as_deref());
        let inner = Inner {
            client: Client::from_conf(client_config(settings, settings.endpoint.as_deref(), http.clone())?),
            presigner: Client::from_conf(client_config(settings, public, http)?),
            endpoint: settings.endpoint.clone().unwrap_or_else(|| format!("AWS {}", settings.region)),
            is_aws: settings.endpoint.is_none(),
            buckets: settings.buckets.clone(),
            versioned: Default::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Returns the name of a layer's bucket.
    pub fn bucket(&self, layer: Layer) -> &str {
        self.inner.buckets.name(layer)
    }

    /// Returns the names of all buckets.
    pub fn buckets(&self) -> &Buckets {
        &self.inner.buckets
    }

    /// Returns the store's URL as polder reaches it, for messages.
    pub fn endpoint(&self) -> &str {
        &self.inner.endpoint
    }

    /// Tells whether the store is AWS itself.
    pub(super) fn is_aws(&self) -> bool {
        self.inner.is_aws
    }

    pub(super) fn client(&self) -> &Client {
        &self.inner.client
    }

    pub(super) fn presigner(&self) -> &Client {
        &self.inner.presigner
    }

    pub(super) fn versioned(&self, layer: Layer) -> &OnceLock<bool> {
        &self.inner.versioned[layer as usize]
    }

    pub(super) fn call<'a>(&'a self, operation: &'static str, bucket: &'a str, key: &'a str) -> Call<'a> {
        Call { operation, endpoint: self.endpoint(), bucket, key }
    }
}

fn client_config(settings: &Settings, endpoint: Option<&str>, http: SharedHttpClient) -> Result<aws_sdk_s3::Config> {
    let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(ATTEMPT_TIMEOUT);
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(http)
        .region(Region::new(settings.region.clone()))
        .force_path_style(settings.path_style)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        .timeout_config(timeouts.build());
    let config = match endpoint {
        None => config,
        Some(url) => config.endpoint_url(checked_url(url)?),
    };
    Ok(match credentials(settings)? {
        Some(credentials) => config.credentials_provider(credentials),
        None => config.allow_no_auth(),
    }
    .build())
}

fn checked_url(url: &str) -> Result<&str> {
    let parsed = url.parse::<http::Uri>().ok();
    let is_http = parsed.is_some_and(|uri| uri.host().is_some() && matches!(uri.scheme_str(), Some("http" | "https")));
    if is_http { Ok(url) } else { Err(Error::Settings(format!("{url:?} is not an http or https URL"))) }
}

fn credentials(settings: &Settings) -> Result<Option<Credentials>> {
    match (&settings.access_key_id, &settings.secret_access_key) {
        (Some(id), Some(secret)) => {
            let token = settings.session_token.as_ref().map(|token| token.expose().to_owned());
            Ok(Some(Credentials::new(id, secret.expose(), token, None, "polder settings")))
        }
        (None, None) => Ok(None),
        (Some(_), None) => Err(Error::Settings("there is an access key id without its secret".to_owned())),
        (None, Some(_)) => Err(Error::Settings("there is a secret access key without its id".to_owned())),
    }
}
