//! Serves a store over HTTP until it is told to stop.

use std::{convert::Infallible, future::Future, pin::pin, sync::Arc, time::Duration};

use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
        ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
    },
};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use s3s::{
    Body,
    config::{S3Config, StaticConfigProvider},
    service::{S3Service, S3ServiceBuilder},
};
use tokio::net::{TcpListener, TcpStream};

use super::{Result, Store, lifecycle};

/// How long requests on their way may take to end once the store is told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// A connection that sends no complete request head for this long is closed.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// What a browser may read of an answer besides its body.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "ETag, Accept-Ranges, Content-Range, Content-Length, Last-Modified, x-amz-version-id, x-amz-delete-marker, x-amz-meta-sha256",
);

/// What a browser may do.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, PUT, POST, DELETE");

impl Store {
    /// Answers S3 requests on a listener until `shutdown` completes; then lets running requests end.
    ///
    /// # Errors
    /// None today; what fails is one connection's, and goes to the log.
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()> + Send + 'static) -> Result<()> {
        let service = self.clone().service();
        let connections = GracefulShutdown::new();
        let mut http = auto::Builder::new(TokioExecutor::new());
        http.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
        let mut shutdown = pin!(shutdown);
        let mut tidying = tokio::time::interval(lifecycle::INTERVAL);
        loop {
            let accepted = tokio::select! {
                _ = tidying.tick() => {
                    self.keep_tidy().await;
                    continue;
                }
                accepted = listener.accept() => accepted,
                () = &mut shutdown => break,
            };
            match accepted {
                Ok((stream, _)) => serve_connection(stream, &http, service.clone(), &connections),
                Err(error) => {
                    // Too many open files, mostly: some will close.
                    tracing::warn!("the store cannot accept a connection: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        drop(listener);
        if tokio::time::timeout(GRACE, connections.shutdown()).await.is_err() {
            tracing::warn!("the store stopped with requests on their way");
        }
        Ok(())
    }

    fn service(self) -> S3Service {
        let mut config = S3Config::default();
        // Form uploads are not offered, and the library would keep a whole one in memory.
        config.post_object_max_file_size = 1 << 20;
        let mut builder = S3ServiceBuilder::new(self.clone());
        builder.set_auth(self.clone());
        builder.set_access(self);
        builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
        builder.build()
    }
}

fn serve_connection(
    stream: TcpStream,
    http: &auto::Builder<TokioExecutor>,
    service: S3Service,
    connections: &GracefulShutdown,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!("cannot set nodelay: {error}");
    }
    let service = service_fn(move |request| respond(service.clone(), request));
    let connection = connections.watch(http.serve_connection(TokioIo::new(stream), service).into_owned());
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!("a connection to the store ended: {error}");
        }
    });
}

async fn respond(service: S3Service, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let is_from_browser = request.headers().contains_key(ORIGIN);
    if is_from_browser && request.method() == Method::OPTIONS {
        return Ok(preflight(&request));
    }
    let answer = service.call(request.map(Body::from)).await;
    let mut response = answer.unwrap_or_else(|error| {
        tracing::error!("the store cannot answer: {error:?}");
        status_only(StatusCode::INTERNAL_SERVER_ERROR)
    });
    if is_from_browser {
        // No cookies are involved, so any page may ask; what it gets depends on the signature it brings.
        response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        response.headers_mut().insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
    Ok(response)
}

/// Tells a browser that it may send what it asks to send.
fn preflight(request: &Request<Incoming>) -> Response<Body> {
    if !request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
        return status_only(StatusCode::BAD_REQUEST);
    }
    let mut response = status_only(StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("3600"));
    headers.insert(VARY, HeaderValue::from_name(ACCESS_CONTROL_REQUEST_HEADERS));
    if let Some(asked) = request.headers().get(ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
    }
    response
}

fn status_only(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
