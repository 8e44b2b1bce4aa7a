//! What changed between two runs.

use axum::{
    extract::{Path, State},
    http::Uri,
    response::Response,
};

use super::{json, may_see, sound};
use crate::{
    api::{
        AppState,
        access::{Caller, Reader},
        problem::{Problem, refusal},
        query::Query,
    },
    catalog::{Deed, Layer},
    pipeline::{CompareOptions, compare_runs},
};

const GEOJSON: &str = "application/geo+json";

/// What changed between two runs that were compared.
#[utoipa::path(get, path = "/changes/{before}/{after}", operation_id = "getChanges", tag = "Changes",
    params(
        ("before" = String, Path, description = "Id of the earlier detection run"),
        ("after" = String, Path, description = "Id of the later detection run"),
    ),
    responses(
        (status = 200, description = "Each change as GeoJSON: new, gone, persisting or moved", body = Object,
            content_type = "application/geo+json"),
        refusal::WrongParameter, refusal::NoComparison,
    ))]
pub(super) async fn list(
    State(state): State<AppState>,
    reader: Reader,
    Path((before, after)): Path<(String, String)>,
    uri: Uri,
) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    for run in [&before, &after] {
        may_see(&state, &reader, Some(run)).await?;
        sound("detection run", run)?;
    }
    let found = state.database.find_comparison(&before, &after).await?;
    let (_, comparison) = found.ok_or_else(|| Problem::not_found("comparison", &format!("{before} {after}")))?;
    Ok(json(GEOJSON, &comparison))
}

/// Compares two runs over the same place and keeps the result. The same again changes nothing.
#[utoipa::path(post, path = "/changes/{before}/{after}", operation_id = "compareRuns", tag = "Changes",
    params(
        ("before" = String, Path, description = "Id of the earlier detection run"),
        ("after" = String, Path, description = "Id of the later detection run"),
        ("registration_m" = Option<f64>, Query, description = "The largest shift that one orthophoto may have against the other, metres",
            minimum = 0.0, maximum = 100.0),
        ("moved_m" = Option<f64>, Query, description = "How far a thing may go and be the same, metres",
            minimum = 0.0, maximum = 100.0),
        ("confidence" = Option<f64>, Query, description = "Findings below do not count", minimum = 0.0, maximum = 1.0),
    ),
    security(("token" = [])),
    responses(
        (status = 200, description = "Each change as GeoJSON: new, gone, persisting or moved", body = Object,
            content_type = "application/geo+json"),
        refusal::WrongParameter, refusal::NotAllowed, refusal::NoRun,
    ))]
pub(super) async fn compare(
    State(state): State<AppState>,
    caller: Caller,
    Path((before, after)): Path<(String, String)>,
    uri: Uri,
) -> Result<Response, Problem> {
    let query = Query::parse(uri.query(), &["registration_m", "moved_m", "confidence"])?;
    caller.may(Deed::Change, Layer::Results.collection())?;
    let usual = CompareOptions::default();
    let options = CompareOptions {
        registration_m: number(&query, "registration_m", 100.0)?.unwrap_or(usual.registration_m),
        moved_m: number(&query, "moved_m", 100.0)?.unwrap_or(usual.moved_m),
        confidence: number(&query, "confidence", 1.0)?.unwrap_or(usual.confidence),
    };
    let runs = [sound("detection run", &before)?, sound("detection run", &after)?];
    let compared = compare_runs(&state.database, &caller.0.name, runs, options).await?;
    let (comparison, _) =
        compared.ok_or_else(|| Problem::not_found("detection run", &format!("{before} or {after}")))?;
    Ok(json(GEOJSON, &comparison))
}

fn number(query: &Query, name: &str, most: f64) -> Result<Option<f64>, Problem> {
    let Some(text) = query.one(name)? else { return Ok(None) };
    let number: Option<f64> = text.parse().ok().filter(|number| (0.0..=most).contains(number));
    number.map(Some).ok_or_else(|| Problem::parameter(name, text, &format!("it is a number from 0 to {most}")))
}
