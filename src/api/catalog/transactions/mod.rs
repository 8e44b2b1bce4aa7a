//! Adding, changing and removing items and collections (the transaction extensions of the STAC API).
//!
//! An `ETag` names what a client has read; sent back in `If-Match`, it keeps two clients from undoing each other's
//! changes. Answers give what is there now, as a read would.

pub(super) mod collections;
pub(super) mod items;

use axum::{
    body::Bytes,
    extract::rejection::BytesRejection,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{
    super::{
        AppState, LARGEST_BODY,
        access::{Caller, Reader},
        problem::Problem,
    },
    GEOJSON, JSON,
    collections::{collection_json, etag as collection_etag, find_collection},
    items::{etag, find_item},
    text_of,
};
use crate::{
    catalog::Patch,
    pipeline::{EditError, Editor},
};

type Body = Result<Bytes, BytesRejection>;

fn editor(state: &AppState, base: &str, caller: &Caller) -> Editor {
    Editor {
        database: state.database.clone(),
        own_buckets: state.objects.own_buckets(),
        base: base.to_owned(),
        actor: caller.0.name.clone(),
    }
}

/// A name that PostgreSQL cannot hold is no collection's.
async fn sound_collection(state: &AppState, collection: &str) -> Result<(), Problem> {
    let known = !collection.contains('\0') && state.database.has_collection(collection).await?;
    if known { Ok(()) } else { Err(Problem::not_found("collection", collection)) }
}

async fn current_item(state: &AppState, base: &str, collection: &str, id: &str) -> Result<Response, Problem> {
    let item = find_item(state, &Reader::default(), collection, id).await?;
    let mut text = String::new();
    item.text.write(&mut text, [collection, id], base, state.settings.hrefs);
    Ok(([(header::ETAG, etag(&item.digest, state.settings.hrefs))], text_of(text, GEOJSON)).into_response())
}

async fn current_collection(state: &AppState, base: &str, id: &str) -> Result<Response, Problem> {
    let row = find_collection(state, id).await?;
    let answer = text_of(collection_json(&row, base).to_string(), JSON);
    Ok(([(header::ETAG, collection_etag(&row))], answer).into_response())
}

/// Leaves the body away for a client that wants none: `Prefer: return=minimal` (RFC 7240).
fn preferred(headers: &HeaderMap, answer: Response) -> Response {
    const MINIMAL: &str = "return=minimal";
    let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let mut wishes = values.flat_map(|value| value.split([',', ';']));
    if !wishes.any(|wish| wish.trim().eq_ignore_ascii_case(MINIMAL)) {
        return answer;
    }
    let etag = answer.headers().get(header::ETAG).map(|etag| (header::ETAG, etag.clone()));
    let mut minimal = (StatusCode::NO_CONTENT, [("preference-applied", MINIMAL)]).into_response();
    minimal.headers_mut().extend(etag);
    minimal
}

/// Returns the bytes of a body that says that it is JSON.
fn json_body(headers: &HeaderMap, body: Body, largest: usize) -> Result<Bytes, Problem> {
    let body = body.map_err(|_| Problem::too_large(largest))?;
    if body.len() > largest {
        return Err(Problem::too_large(largest));
    }
    match essence(headers).as_str() {
        "application/json" | "" => Ok(body),
        other if other.ends_with("+json") => Ok(body),
        _ => Err(Problem::not_json()),
    }
}

fn patch(headers: &HeaderMap, body: Body) -> Result<Patch, Problem> {
    let operations = essence(headers) == "application/json-patch+json";
    let body = json_body(headers, body, LARGEST_BODY)?;
    let text = utf8(&body)?;
    Ok(if operations { Patch::operations(text)? } else { Patch::merge(text)? })
}

fn essence(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn utf8(body: &Bytes) -> Result<&str, Problem> {
    std::str::from_utf8(body).map_err(|_| Problem::bad_request("the body is not UTF-8"))
}

/// Looks at the outermost `type` alone, without reading what is inside.
fn is_feature_collection(body: &Bytes) -> bool {
    #[derive(serde::Deserialize)]
    struct Typed {
        r#type: Option<String>,
    }
    serde_json::from_slice::<Typed>(body).ok().and_then(|typed| typed.r#type).as_deref() == Some("FeatureCollection")
}

impl From<EditError> for Problem {
    fn from(error: EditError) -> Self {
        match error {
            EditError::Catalog(error) => error.into(),
            EditError::Database(error) => error.into(),
            EditError::NoFeatures(_) => Self::bad_request(error.to_string()),
            EditError::Layer(_) => Self::conflict(error.to_string()),
            EditError::Computation(_) => Self::broken(&error),
        }
    }
}
