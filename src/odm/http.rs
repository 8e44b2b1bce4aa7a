//! Calls over HTTP that outlive a bad link: each with a time limit, passing faults tried again with growing pauses.
//!
//! `hyper` with `rustls`, which the S3 client has brought along already. Answers are JSON with an `error` in it when
//! something is wrong, whatever the status: NodeODM says 200 to nearly everything.

use std::{io, path::PathBuf, time::Duration};

use bytes::Bytes;
use futures::TryStreamExt as _;
use http::{Method, Request, Response, header};
use http_body_util::{BodyExt as _, Full, Limited, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rand::RngExt as _;
use serde_json::Value;
use tokio_util::io::ReaderStream;

use super::{Error, Result, address::Address};

/// Hosts answer in milliseconds, or are not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a call may take beside the time for its bytes. A server that commits 2,000 photos copies them first.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(5);
/// The slowest link on which an upload is not given up: a 10 MB photo has 17 minutes.
const SLOWEST_BYTES_PER_SECOND: u64 = 10_000;
/// An answer in JSON that is longer is not read: the console output of a long task has some megabytes.
const LONGEST_ANSWER: usize = 64 << 20;
/// Attempts of a call, the first included, and the pause after the first; each next pause is twice as long.
const ATTEMPTS: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// What a word of the server may take of an error message.
const LONGEST_WORD: usize = 600;

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A connection pool to one server.
#[derive(Clone)]
pub struct Http {
    address: Address,
    secure: Option<Client<HttpsConnector<HttpConnector>, Body>>,
    plain: Client<HttpConnector, Body>,
}

/// One call: what it is for, in words that fit after "to", and what is sent.
pub struct Call<'a> {
    pub doing: String,
    pub method: Method,
    pub path: String,
    pub query: Vec<(&'a str, String)>,
    pub headers: Vec<(&'static str, String)>,
    pub content: Content,
    /// Whether passing faults are tried again. A call that must not happen twice is looked after by its caller.
    pub again: bool,
}

impl Call<'_> {
    pub fn get(doing: &str, path: String) -> Self {
        Self::new(Method::GET, doing, path, Content::Nothing)
    }

    pub fn post(doing: &str, path: String, content: Content) -> Self {
        Self::new(Method::POST, doing, path, content)
    }

    fn new(method: Method, doing: &str, path: String, content: Content) -> Self {
        Self { doing: doing.to_owned(), method, path, query: Vec::new(), headers: Vec::new(), content, again: true }
    }
}

/// What a call sends.
#[derive(Clone)]
pub enum Content {
    Nothing,
    /// `application/x-www-form-urlencoded`, ready.
    Form(String),
    /// `multipart/form-data` of text fields.
    Fields(Vec<(&'static str, String)>),
    /// `multipart/form-data` of one file, streamed from the disk.
    File {
        field: &'static str,
        name: String,
        path: PathBuf,
    },
    /// The same from memory.
    Text {
        field: &'static str,
        name: String,
        text: String,
    },
}

impl Http {
    /// Prepares calls to a server; nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::NoCertificates`] when the address is https and the machine has no roots to check it with.
    pub fn new(address: Address) -> Result<Self> {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.enforce_http(false);
        let plain = Client::builder(TokioExecutor::new()).build(connector.clone());
        let secure = HttpsConnectorBuilder::new().with_native_roots().map(|builder| {
            let connector = builder.https_or_http().enable_http1().wrap_connector(connector);
            Client::builder(TokioExecutor::new()).build(connector)
        });
        match secure {
            Err(error) if address.is_secure() => Err(Error::NoCertificates { reason: error.to_string() }),
            secure => Ok(Self { address, secure: secure.ok(), plain }),
        }
    }

    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Makes a call and returns the JSON that it is answered with.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Status`], [`Error::Unauthorized`], [`Error::NotOdm`], [`Error::Refused`];
    /// [`Error::File`] when the file to send cannot be read.
    pub async fn json(&self, call: &Call<'_>) -> Result<Value> {
        let mut pause = FIRST_PAUSE;
        for attempt in 1.. {
            match self.json_once(call).await {
                Err(error) if call.again && error.is_passing() && attempt < ATTEMPTS => {
                    tracing::info!("trying again to {}: {error}", call.doing);
                    let jitter = rand::rng().random_range(0.8..1.2);
                    tokio::time::sleep(pause.mul_f64(jitter)).await;
                    pause *= 2;
                }
                result => return result,
            }
        }
        unreachable!("the last attempt returns")
    }

    async fn json_once(&self, call: &Call<'_>) -> Result<Value> {
        let answer = self.send(call).await?;
        let (status, bytes) = (answer.status(), self.read(call, answer).await?);
        let value: Option<Value> = serde_json::from_slice(&bytes).ok();
        let said = value.as_ref().and_then(|value| value["error"].as_str()).map(|said| self.tell(said));
        let is_token = |said: &String| said.to_lowercase().contains("authentication token");
        let (url, doing) = (self.address.to_string(), call.doing.clone());
        match (status.as_u16(), said) {
            (401 | 403, said) => Err(Error::Unauthorized { url, doing, said: said.unwrap_or(status.to_string()) }),
            (_, Some(said)) if is_token(&said) => Err(Error::Unauthorized { url, doing, said }),
            (code, said) if !status.is_success() => {
                let said = said.unwrap_or_else(|| self.tell(&String::from_utf8_lossy(&bytes)));
                Err(Error::Status { url, doing, status: code, said })
            }
            (_, Some(said)) => Err(Error::Refused { url, doing, said }),
            (_, None) => value.ok_or_else(|| Error::NotOdm { url, reason: format!("to {doing} it gives no JSON") }),
        }
    }

    /// Makes a call once and returns the answer's head; the body is left to read.
    ///
    /// # Errors
    /// [`Error::Unreachable`] also when nothing comes in time; [`Error::File`].
    pub async fn send(&self, call: &Call<'_>) -> Result<Response<Incoming>> {
        let uri = self.address.call(&call.path, &call.query);
        let builder = call
            .headers
            .iter()
            .fold(Request::builder().method(&call.method).uri(uri), |builder, (k, v)| builder.header(*k, v));
        let builder = builder.header(header::USER_AGENT, concat!("polder/", env!("CARGO_PKG_VERSION")));
        let (kind, length, body) = body_of(&call.content).await?;
        let builder = match kind {
            Some(kind) => builder.header(header::CONTENT_TYPE, kind),
            None => builder,
        };
        let request = builder.header(header::CONTENT_LENGTH, length).body(body);
        let request = request.map_err(|error| self.unreachable(call, &error.to_string()))?;
        self.exchange(call, request, length).await
    }

    /// Fetches what an answer has pointed to, which may be on another host: no token goes there.
    ///
    /// # Errors
    /// As [`Http::send`].
    pub async fn follow(&self, call: &Call<'_>, location: &str) -> Result<Response<Incoming>> {
        let here = |path: &str| self.address.call(path, &[]);
        let uri = if location.starts_with('/') { here(location) } else { location.to_owned() };
        let builder = call.headers.iter().fold(Request::get(uri), |builder, (k, v)| builder.header(*k, v));
        let request = builder.body(empty()).map_err(|error| self.unreachable(call, &error.to_string()))?;
        self.exchange(call, request, 0).await
    }

    async fn exchange(&self, call: &Call<'_>, request: Request<Body>, length: u64) -> Result<Response<Incoming>> {
        let limit = ANSWER_TIMEOUT + Duration::from_secs(length / SLOWEST_BYTES_PER_SECOND);
        let answer = async {
            match &self.secure {
                Some(client) => client.request(request).await,
                None => self.plain.request(request).await,
            }
        };
        match tokio::time::timeout(limit, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.unreachable(call, &chain(&error))),
            Err(_) => Err(self.unreachable(call, &format!("no answer in {} s", limit.as_secs()))),
        }
    }

    async fn read(&self, call: &Call<'_>, answer: Response<Incoming>) -> Result<Bytes> {
        let read = Limited::new(answer.into_body(), LONGEST_ANSWER).collect();
        match tokio::time::timeout(ANSWER_TIMEOUT, read).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) => Err(self.unreachable(call, &error.to_string())),
            Err(_) => Err(self.unreachable(call, "the answer does not end")),
        }
    }

    fn unreachable(&self, call: &Call<'_>, reason: &str) -> Error {
        Error::Unreachable { url: self.address.to_string(), doing: call.doing.clone(), reason: self.tell(reason) }
    }

    /// Makes words of the server fit for an error: without the token, and not too long.
    pub fn tell(&self, said: &str) -> String {
        let said = self.address.scrub(said.trim());
        if said.chars().count() <= LONGEST_WORD {
            said
        } else {
            said.chars().take(LONGEST_WORD).chain(['…']).collect()
        }
    }
}

fn empty() -> Body {
    Full::default().map_err(|never| match never {}).boxed_unsync()
}

/// Returns content type, length and body. Each attempt opens the file anew.
async fn body_of(content: &Content) -> Result<(Option<String>, u64, Body)> {
    let whole = |kind: String, bytes: Vec<u8>| {
        let length = bytes.len() as u64;
        (Some(kind), length, Full::from(bytes).map_err(|never| match never {}).boxed_unsync())
    };
    let boundary = format!("polder-{:032x}", rand::rng().random::<u128>());
    let kind = format!("multipart/form-data; boundary={boundary}");
    let head = |field: &str, name: &str| {
        let name = name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A");
        format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"{name}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        )
    };
    let tail = format!("\r\n--{boundary}--\r\n");
    Ok(match content {
        Content::Nothing => (None, 0, empty()),
        Content::Form(form) => whole("application/x-www-form-urlencoded".to_owned(), form.clone().into_bytes()),
        Content::Fields(fields) => {
            let part = |(name, value): &(&str, String)| {
                format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
            };
            let text: String = fields.iter().map(part).collect();
            whole(kind, format!("{text}--{boundary}--\r\n").into_bytes())
        }
        Content::Text { field, name, text } => whole(kind, format!("{}{text}{tail}", head(field, name)).into_bytes()),
        Content::File { field, name, path } => {
            let open = async {
                let file = tokio::fs::File::open(path).await?;
                let length = file.metadata().await?.len();
                io::Result::Ok((file, length))
            };
            let (file, length) = open.await.map_err(Error::file(path))?;
            let (head, tail) = (Bytes::from(head(field, name)), Bytes::from(tail));
            let total = head.len() as u64 + length + tail.len() as u64;
            let once = |bytes| futures::stream::once(async { io::Result::Ok(bytes) });
            let parts = futures::StreamExt::chain(once(head), ReaderStream::with_capacity(file, 1 << 16));
            let parts = futures::StreamExt::chain(parts, once(tail)).map_ok(Frame::data);
            (Some(kind), total, StreamBody::new(parts).boxed_unsync())
        }
    })
}

/// The causes of an error, one after the other: hyper's own words alone are "client error (Connect)".
fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        words = format!("{words}: {error}");
        source = error.source();
    }
    words
}
