//! Whether polder is alive, and whether it can work.

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::json;
use tracing::warn;

use super::AppState;

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/healthz", get(alive)).route("/readyz", get(ready))
}

/// The process answers; nothing else is looked at, so that a database that is gone does not get polder restarted.
async fn alive() -> Json<serde_json::Value> {
    Json(json!({ "status": "ok" }))
}

/// Database and buckets can be reached. What is wrong is said by name only; the log says why.
async fn ready(State(state): State<AppState>) -> Response {
    let database = state.database.check().await.inspect_err(|error| warn!("not ready: {error}")).is_ok();
    let buckets = state.objects.check().await.inspect_err(|error| warn!("not ready: {error}")).is_ok();
    let status = if database && buckets { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let word = |fine: bool| if fine { "ok" } else { "unreachable" };
    (status, Json(json!({ "database": word(database), "buckets": word(buckets) }))).into_response()
}
