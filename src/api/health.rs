//! Whether polder is alive, and whether it can work.

use std::{fmt::Display, future::Future, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::json;
use tokio::time::timeout;
use tracing::warn;

use super::AppState;

/// Probes give up after a few seconds themselves.
const PATIENCE: Duration = Duration::from_secs(4);

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/healthz", get(alive)).route("/readyz", get(ready))
}

/// The process answers; nothing else is looked at, so that a database that is gone does not get polder restarted.
async fn alive() -> Json<serde_json::Value> {
    Json(json!({ "status": "ok" }))
}

/// Database and buckets can be reached. What is wrong is said by name only; the log says why.
async fn ready(State(state): State<AppState>) -> Response {
    let database = is_reachable(state.database.check()).await;
    let buckets = is_reachable(state.objects.check()).await;
    let status = if database && buckets { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let word = |fine: bool| if fine { "ok" } else { "unreachable" };
    (status, Json(json!({ "database": word(database), "buckets": word(buckets) }))).into_response()
}

async fn is_reachable<E: Display>(check: impl Future<Output = Result<(), E>>) -> bool {
    match timeout(PATIENCE, check).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            warn!("not ready: {error}");
            false
        }
        Err(_) => {
            warn!("not ready: no answer within {PATIENCE:?}");
            false
        }
    }
}
