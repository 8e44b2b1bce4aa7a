//! Item search, by GET and by POST.

mod body;
mod conditions;
mod fields;
mod sort;

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::{HeaderMap, Uri},
    response::Response,
};
use serde_json::{Value, json};

pub(super) use self::{
    body::{PARAMETERS, SearchBody, read_json},
    fields::Fields,
    sort::SortBy,
};
use super::{
    super::{
        AppState, LARGEST_BODY,
        access::Reader,
        base::Base,
        problem::{Problem, refusal},
        query::Query,
    },
    GEOJSON, JSON, link,
    page::{PageLinks, Reading},
};
use crate::database::Cursor;

/// Search by GET.
#[utoipa::path(get, path = "/search", operation_id = "getItemSearch", tag = "Item Search",
    params(super::parameters::ItemFilter, super::parameters::ItemPage),
    responses(
        (status = 200, description = "A page of items", content(
            (super::schemas::ItemCollection = "application/geo+json"),
            (String = "application/x-ndjson"),
            (String = "application/vnd.apache.parquet"))),
        refusal::WrongParameter,
    ))]
pub(super) async fn search(
    State(state): State<AppState>,
    Base(base): Base,
    reader: Reader,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let query = Query::parse(uri.query(), &PARAMETERS)?;
    let body = SearchBody::from_query(&query)?;
    let format = body.format(&headers)?;
    let search = reader.narrowed(body.search(format)?);
    let shape = body.shape(&base, state.settings.hrefs, reader)?;
    let asked = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let own = links(&base, &asked);
    // QGIS follows the href alone, so everything is in it.
    let to = Arc::new(move |rel: &'static str, cursor: &Cursor| {
        let mut link = link(rel, format!("{base}/stac/search?{}", query.with("token", &cursor.token())), GEOJSON);
        link["method"] = "GET".into();
        link
    });
    Reading::open(&state.database, search, format).await?.answer(&state, shape, format, PageLinks { own, to }).await
}

/// Search by POST.
#[utoipa::path(post, path = "/search", operation_id = "postItemSearch", tag = "Item Search",
    request_body(content = SearchBody, content_type = "application/json"),
    responses(
        (status = 200, description = "A page of items", content(
            (super::schemas::ItemCollection = "application/geo+json"),
            (String = "application/x-ndjson"),
            (String = "application/vnd.apache.parquet"))),
        refusal::WrongBody, refusal::NotJson,
    ))]
pub(super) async fn post_search(
    State(state): State<AppState>,
    Base(base): Base,
    reader: Reader,
    headers: HeaderMap,
    uri: Uri,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    let asked = read_json(&headers, &body.map_err(|_| Problem::too_large(LARGEST_BODY))?)?;
    let body = SearchBody::from_json(asked.clone())?;
    let format = body.format(&headers)?;
    let search = reader.narrowed(body.search(format)?);
    let shape = body.shape(&base, state.settings.hrefs, reader)?;
    let own = links(&base, "");
    let to = Arc::new(move |rel: &'static str, cursor: &Cursor| {
        let mut body: Value = asked.clone();
        body["token"] = cursor.token().into();
        json!({
            "rel": rel, "type": GEOJSON, "href": format!("{base}/stac/search"),
            "method": "POST", "body": body, "merge": false,
        })
    });
    Reading::open(&state.database, search, format).await?.answer(&state, shape, format, PageLinks { own, to }).await
}

fn links(base: &str, asked: &str) -> Vec<Value> {
    vec![link("self", format!("{base}/stac/search{asked}"), GEOJSON), link("root", format!("{base}/stac"), JSON)]
}
