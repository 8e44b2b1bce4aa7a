//! Reviews: giving them, their history, and what they say about a model.

use axum::{
    body::Bytes,
    extract::{Path, State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json as value};

use super::{
    detections::{answer, find, number_of},
    json, json_body, may_see,
    parameters::{NewMissed, NewReview, OnePath, WHICH, Which, which},
    sound, text,
};
use crate::{
    api::{
        AppState,
        access::{Caller, Reader},
        conditional::expected,
        problem::{Problem, refusal},
        query::Query,
    },
    catalog::review_figures,
    database::{MissedRow, ReviewRow},
    pipeline::{Reviewer, Verdict},
};

const JSON: &str = "application/json";

/// What was said about a detection, oldest first.
#[utoipa::path(get, path = "/detections/{run}/{number}/reviews", operation_id = "listReviews", tag = "Reviews",
    params(OnePath),
    responses(
        (status = 200, description = "The history", body = Object),
        refusal::WrongParameter, refusal::NoDetection,
    ))]
pub(super) async fn history(
    State(state): State<AppState>,
    reader: Reader,
    Path((run, number)): Path<(String, String)>,
    uri: Uri,
) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    may_see(&state, &reader, Some(&run)).await?;
    let row = find(&state.database, &run, number_of(&run, &number)?).await?;
    let reviews = state.database.list_reviews(&run, row.number).await?;
    let reviews: Vec<Value> = reviews.iter().map(ReviewRow::to_json).collect();
    Ok(json(JSON, &value!({ "run": run, "number": row.number, "version": row.version, "reviews": reviews })))
}

/// Says something about a detection: accept, reject, correct, comment or reopen it.
#[utoipa::path(post, path = "/detections/{run}/{number}/reviews", operation_id = "reviewDetection", tag = "Reviews",
    params(OnePath, ("If-Match" = Option<String>, Header, description = "ETag of the detection that was looked at")),
    request_body(content = NewReview),
    security(("token" = [])),
    responses(
        (status = 201, description = "The detection as it is now", body = Object, content_type = "application/geo+json",
            headers(("ETag" = String, description = "Counts what was said about it"))),
        refusal::WrongBody, refusal::NotAllowed, refusal::NoDetection, refusal::Changed, refusal::NotJson,
    ))]
pub(super) async fn review(
    State(state): State<AppState>,
    caller: Caller,
    Path((run, number)): Path<(String, String)>,
    headers: HeaderMap,
    uri: Uri,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    caller.may_review()?;
    let body = json_body(&headers, body)?;
    let verdict = Verdict {
        action: text(&body, "action")?.map(str::parse).transpose()?,
        class: text(&body, "class")?.map(str::to_owned),
        geometry: Some(body["geometry"].clone()).filter(|geometry| !geometry.is_null()),
        comment: text(&body, "comment")?.map(str::to_owned),
    };
    let row = find(&state.database, &run, number_of(&run, &number)?).await?;
    // A tag that is no number of ours is that of another version.
    let seen = expected(&headers).map(|tag| tag.parse().unwrap_or(-1));
    let reviewed = reviewer(&state, &caller).review(&run, row.number, &verdict, seen).await?;
    reviewed.ok_or_else(|| Problem::not_found("detection", &format!("{run}/{number}")))?;
    let row = find(&state.database, &run, row.number).await?;
    Ok((StatusCode::CREATED, answer(&row)).into_response())
}

/// What a run did not find, as far as people noted it.
#[utoipa::path(get, path = "/runs/{run}/missed", operation_id = "listMissed", tag = "Reviews",
    params(("run" = String, Path, description = "Id of the detection run")),
    responses(
        (status = 200, description = "As GeoJSON", body = Object, content_type = "application/geo+json"),
        refusal::WrongParameter, refusal::NoRun,
    ))]
pub(super) async fn list_missed(
    State(state): State<AppState>,
    reader: Reader,
    Path(run): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    may_see(&state, &reader, Some(&run)).await?;
    if !state.database.has_run(sound("detection run", &run)?).await? {
        return Err(Problem::not_found("detection run", &run));
    }
    let features: Vec<Value> = state.database.list_missed(&run).await?.iter().map(MissedRow::feature).collect();
    Ok(json("application/geo+json", &value!({ "type": "FeatureCollection", "features": features })))
}

/// Notes something that is there and that the run did not find. The same again changes nothing.
#[utoipa::path(post, path = "/runs/{run}/missed", operation_id = "noteMissed", tag = "Reviews",
    params(("run" = String, Path, description = "Id of the detection run")),
    request_body(content = NewMissed),
    security(("token" = [])),
    responses(
        (status = 201, description = "It is noted", body = Object),
        refusal::WrongBody, refusal::NotAllowed, refusal::NoRun, refusal::NotJson,
    ))]
pub(super) async fn note_missed(
    State(state): State<AppState>,
    caller: Caller,
    Path(run): Path<String>,
    headers: HeaderMap,
    uri: Uri,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    caller.may_review()?;
    let body = json_body(&headers, body)?;
    let class = text(&body, "class")?.unwrap_or_default();
    let (reviewer, comment) = (reviewer(&state, &caller), text(&body, "comment")?);
    if !reviewer.note_missed(sound("detection run", &run)?, class, &body["geometry"], comment).await? {
        return Err(Problem::not_found("detection run", &run));
    }
    Ok((StatusCode::CREATED, json(JSON, &value!({ "run": run, "class": class }))).into_response())
}

/// Precision, recall and calibration of each class, as the reviews tell them, with a threshold to try.
#[utoipa::path(get, path = "/reviews/figures", operation_id = "reviewFigures", tag = "Reviews",
    params(Which),
    responses(
        (status = 200, description = "A member of `classes` for each class", body = Object),
        refusal::WrongParameter, refusal::NoRun,
    ))]
pub(super) async fn figures(State(state): State<AppState>, reader: Reader, uri: Uri) -> Result<Response, Problem> {
    let query = Query::parse(uri.query(), &WHICH)?;
    let filter = which(&query)?;
    may_see(&state, &reader, filter.run.as_deref()).await?;
    let (judged, rest) = state.database.judged(&filter).await?;
    Ok(json(JSON, &value!({ "classes": review_figures(&judged, &rest) })))
}

fn reviewer(state: &AppState, caller: &Caller) -> Reviewer {
    Reviewer { database: state.database.clone(), actor: caller.0.name.clone() }
}
