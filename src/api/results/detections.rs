//! Detections, page by page and one by one.

use axum::{
    extract::{Path, State},
    http::{HeaderMap, Uri, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json as value};

use super::{
    json, may_see,
    parameters::{OnePath, WHICH, Which, WhichPage, which_page},
    sound,
};
use crate::{
    api::{
        AppState,
        access::Reader,
        base::Base,
        conditional::{is_known, not_modified},
        problem::{Problem, refusal},
        query::Query,
    },
    database::{Database, DetectionRow},
};

const GEOJSON: &str = "application/geo+json";

/// Detections, by run and number.
#[utoipa::path(get, path = "/detections", operation_id = "listDetections", tag = "Detections",
    params(Which, WhichPage),
    responses(
        (status = 200, description = "A page of detections as GeoJSON", body = Object, content_type = "application/geo+json"),
        refusal::WrongParameter, refusal::NoRun,
    ))]
pub(super) async fn list(
    State(state): State<AppState>,
    Base(base): Base,
    reader: Reader,
    uri: Uri,
) -> Result<Response, Problem> {
    let known: Vec<&str> = WHICH.into_iter().chain(["limit", "token"]).collect();
    let query = Query::parse(uri.query(), &known)?;
    let mut filter = which_page(&query)?;
    may_see(&state, &reader, filter.run.as_deref()).await?;
    let limit = filter.limit as usize;
    // One more tells whether there is another page.
    filter.limit += 1;
    let mut rows = state.database.list_detections(&filter).await?;
    let asked = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut links = vec![value!({ "rel": "self", "type": GEOJSON, "href": format!("{base}/api/detections{asked}") })];
    if rows.len() > limit {
        rows.truncate(limit);
        let token = rows.last().map(|row| format!("{}/{}", row.run, row.number)).unwrap_or_default();
        let href = format!("{base}/api/detections?{}", query.with("token", &token));
        links.push(value!({ "rel": "next", "type": GEOJSON, "href": href }));
    }
    let features: Vec<Value> = rows.iter().map(DetectionRow::feature).collect();
    let page =
        value!({ "type": "FeatureCollection", "numberReturned": features.len(), "links": links, "features": features });
    Ok(json(GEOJSON, &page))
}

/// One detection.
#[utoipa::path(get, path = "/detections/{run}/{number}", operation_id = "getDetection", tag = "Detections",
    params(OnePath),
    responses(
        (status = 200, description = "The detection as a GeoJSON feature", body = Object, content_type = "application/geo+json",
            headers(("ETag" = String, description = "Counts what was said about it"))),
        (status = 304, description = "The client has it already"),
        refusal::WrongParameter, refusal::NoDetection,
    ))]
pub(super) async fn get(
    State(state): State<AppState>,
    reader: Reader,
    Path((run, number)): Path<(String, String)>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    may_see(&state, &reader, Some(&run)).await?;
    let row = find(&state.database, &run, number_of(&run, &number)?).await?;
    let etag = etag(row.version);
    if is_known(&headers, &etag) {
        return Ok(not_modified(&etag));
    }
    Ok(answer(&row))
}

/// Returns a detection with its tag.
pub(super) fn answer(row: &DetectionRow) -> Response {
    ([(header::ETAG, etag(row.version))], json(GEOJSON, &row.feature())).into_response()
}

pub(super) async fn find(database: &Database, run: &str, number: i32) -> Result<DetectionRow, Problem> {
    let row = database.find_detection(sound("detection run", run)?, number).await?;
    row.ok_or_else(|| Problem::not_found("detection", &format!("{run}/{number}")))
}

/// What is no number is the number of no detection.
pub(super) fn number_of(run: &str, number: &str) -> Result<i32, Problem> {
    number.parse().map_err(|_| Problem::not_found("detection", &format!("{run}/{number}")))
}

fn etag(version: i32) -> String {
    format!("W/\"{version}\"")
}
