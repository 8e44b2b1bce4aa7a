//! HTTP: router, errors, STAC catalog, assets, health, start page.
//!
//! Reads go straight to [`Database`]; nothing here changes the world. Invariant: only [`problem`] knows status codes
//! of errors, and no SQL, key or backtrace leaves through it.

mod access;
mod assets;
mod base;
mod catalog;
mod conditional;
mod encoding;
mod health;
mod objects;
mod openapi;
mod problem;
mod query;
mod results;
mod start;
mod swagger;
#[cfg(test)]
mod testing;

use std::{future::Future, io, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{Method, header},
    middleware,
    routing::get,
};
use tokio::{
    net::TcpListener,
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tower_http::{
    catch_panic::CatchPanicLayer,
    compression::CompressionLayer,
    cors::{AllowHeaders, Any, CorsLayer},
    trace::TraceLayer,
};

pub use self::{
    access::Caller,
    objects::{ObjectBody, ObjectError, Objects},
    problem::Problem,
};
pub use crate::catalog::{Hrefs, Role};
use crate::database::Database;

/// How the API answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Address under which others reach the API; without it the request's own host is used.
    pub base_url: Option<String>,
    /// Whether reading needs no token.
    pub open_reading: bool,
    /// Which hrefs assets have when a request does not say.
    pub hrefs: Hrefs,
    /// Whether assets are fetched from the object store itself, by presigned URL, and not through polder.
    pub redirect_assets: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { base_url: None, open_reading: true, hrefs: Hrefs::Https, redirect_assets: false }
    }
}

/// What every handler can reach.
#[derive(Clone)]
pub struct AppState {
    pub database: Database,
    pub objects: Arc<dyn Objects>,
    pub settings: Arc<Settings>,
    /// Taken by whoever works on a large body, so that memory has a limit whatever is sent at once.
    bulk: Arc<Semaphore>,
}

impl AppState {
    pub fn new(database: Database, objects: impl Objects + 'static, settings: Settings) -> Self {
        Self { database, objects: Arc::new(objects), settings: Arc::new(settings), bulk: Arc::new(Semaphore::new(2)) }
    }

    /// Waits for its turn with a large body.
    async fn bulk_turn(&self, size_bytes: usize) -> Option<OwnedSemaphorePermit> {
        if size_bytes <= SMALL_BODY { None } else { self.bulk.clone().acquire_owned().await.ok() }
    }
}

/// Largest body of a request. A polygon of 10 000 places takes half of it.
const LARGEST_BODY: usize = 1024 * 1024;

/// Largest body that brings many items: some ten thousand of them.
const LARGEST_BULK: usize = 32 * 1024 * 1024;

/// Bodies larger than this are worked on one after the other.
const SMALL_BODY: usize = 1024 * 1024;

/// Returns the whole API.
pub fn router(state: AppState) -> Router {
    let readable = Router::new()
        .merge(catalog::routes())
        .merge(results::routes())
        .merge(openapi::routes())
        .merge(swagger::routes())
        .route("/", get(start::start))
        .layer(CompressionLayer::new())
        .layer(middleware::from_fn(encoding::ignore_star))
        // Photos, COGs and ranges of them gain nothing from compression and would lose their length.
        .merge(assets::routes())
        .route_layer(middleware::from_fn_with_state(state.clone(), access::check_reading));
    Router::new()
        .merge(readable)
        .merge(health::routes())
        .fallback(problem::no_such_path)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(CatchPanicLayer::custom(problem::panicked))
        .layer(cors())
        .layer(TraceLayer::new_for_http())
        .with_state(state)
}

/// Serves the API until `shutdown` is done; requests that are under way may finish.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    state: AppState,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let database = state.database.clone();
    let upkeep = tokio::spawn(async move { database.keep_up().await });
    let served = axum::serve(listener, router(state)).with_graceful_shutdown(shutdown).await;
    upkeep.abort();
    served
}

/// Lets any page read, on errors too: stac-browser shows what went wrong only if it may see it. No cookie is used, so
/// nothing is given away.
fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([
            header::ETAG,
            header::LINK,
            header::LOCATION,
            header::CONTENT_LENGTH,
            header::CONTENT_RANGE,
            header::ACCEPT_RANGES,
        ])
        .max_age(Duration::from_hours(1))
}

#[cfg(test)]
mod tests;
