//! What was found and what people say about it, under `/api`.
//!
//! Detections come as `GeoJSON` features. The `ETag` of one counts what was said about it; sent back in `If-Match`, it
//! keeps two reviewers from undoing each other. A token that sees a part of the catalog sees the detections of the runs
//! that it sees, one run at a time.

mod changes;
mod detections;
mod parameters;
mod reviews;

use axum::{
    Router,
    body::Bytes,
    extract::rejection::BytesRejection,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::Value;
use utoipa::OpenApi;

use super::{AppState, LARGEST_BODY, access::Reader, catalog::find_item, problem::Problem};
use crate::catalog::Layer;

/// The operations, for the OpenAPI document.
#[derive(OpenApi)]
#[openapi(
    paths(
        detections::list,
        detections::get,
        reviews::history,
        reviews::review,
        reviews::list_missed,
        reviews::note_missed,
        reviews::figures,
        changes::list,
        changes::compare,
    ),
    components(schemas(super::problem::ProblemBody))
)]
pub(super) struct Operations;

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/api/detections", get(detections::list))
        .route("/api/detections/{run}/{number}", get(detections::get))
        .route("/api/detections/{run}/{number}/reviews", get(reviews::history).post(reviews::review))
        .route("/api/runs/{run}/missed", get(reviews::list_missed).post(reviews::note_missed))
        .route("/api/reviews/figures", get(reviews::figures))
        .route("/api/changes/{before}/{after}", get(changes::list).post(changes::compare))
}

fn json(media_type: &'static str, value: &Value) -> Response {
    ([(header::CONTENT_TYPE, media_type)], value.to_string()).into_response()
}

/// Refuses a reader who does not see a run, as if there were none.
async fn may_see(state: &AppState, reader: &Reader, run: Option<&str>) -> Result<(), Problem> {
    match (reader.filter(), run) {
        (None, _) => Ok(()),
        (Some(_), None) => Err(Problem::forbidden(
            "this token sees a part of the catalog: ask for the detections of one run, with run=",
        )),
        (Some(_), Some(run)) => {
            let found = find_item(state, reader, Layer::Results.collection(), run).await;
            found.map(|_| ()).map_err(|_| Problem::not_found("detection run", run))
        }
    }
}

/// Reads a body that says that it is JSON.
fn json_body(headers: &HeaderMap, body: Result<Bytes, BytesRejection>) -> Result<Value, Problem> {
    let body = body.map_err(|_| Problem::too_large(LARGEST_BODY))?;
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if !essence.is_empty() && essence != "application/json" && !essence.ends_with("+json") {
        return Err(Problem::not_json());
    }
    let value: Value =
        serde_json::from_slice(&body).map_err(|error| Problem::bad_request(format!("the body is no JSON: {error}")))?;
    if value.is_object() { Ok(value) } else { Err(Problem::bad_request("the body must be a JSON object")) }
}

/// Returns a member that is a text or not there.
fn text<'a>(body: &'a Value, name: &str) -> Result<Option<&'a str>, Problem> {
    match &body[name] {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        _ => Err(Problem::bad_request(format!("the member {name:?} must be a string"))),
    }
}

/// A name that PostgreSQL can hold.
fn sound<'a>(what: &str, name: &'a str) -> Result<&'a str, Problem> {
    if name.contains('\0') { Err(Problem::not_found(what, name)) } else { Ok(name) }
}
