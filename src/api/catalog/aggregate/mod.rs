//! Aggregations (STAC API, aggregation extension 0.3.0): what is told of all items that a search finds.
//!
//! Which ones there are follows from the properties of the items ([`offer`]). Each takes parameters that begin with its name:
//!
//! ```text
//! /aggregate?aggregations=total_count,datetime_frequency&datetime_frequency_interval=year
//! /aggregate?aggregations=eo:cloud_cover_frequency&eo:cloud_cover_frequency_interval=5
//! /aggregate?aggregations=path_frequency&path_frequency_property=id&path_frequency_separator=.
//! ```
//!
//! The last one lists what is directly below a prefix, as a folder does; the key of a folder is the prefix of the next
//! level.

mod answer;
mod histogram;
mod offer;
mod options;
mod request;
mod schemas;
#[cfg(test)]
mod tests;

use axum::{
    body::Bytes,
    extract::{Path, State, rejection::BytesRejection},
    http::{HeaderMap, Uri},
    response::Response,
};
use serde_json::{Value, json};

use self::{answer::answer, offer::offers, request::Asked};
use super::{
    super::{
        AppState, LARGEST_BODY,
        access::Reader,
        base::Base,
        problem::{Problem, refusal},
        query::Query,
    },
    JSON,
    collections::{find_collection, place, summary_of},
    json_of, link,
    search::read_json,
};
use crate::{catalog::Summary, database::CollectionRow};

/// Aggregations that can be asked of all items.
#[utoipa::path(get, path = "/aggregations", operation_id = "getAggregations", tag = "Aggregation",
    responses((status = 200, description = "The aggregations", body = schemas::Offers),
        refusal::WrongParameter))]
pub(super) async fn aggregations(
    State(state): State<AppState>,
    Base(base): Base,
    uri: Uri,
) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    Ok(listing(&base, &state.database.list_collections().await?, None))
}

/// Aggregations that can be asked of a collection's items.
#[utoipa::path(get, path = "/collections/{collectionId}/aggregations", operation_id = "getCollectionAggregations", tag = "Aggregation",
    params(super::parameters::CollectionPath),
    responses((status = 200, description = "The aggregations", body = schemas::Offers),
        refusal::WrongParameter, refusal::NoCollection))]
pub(super) async fn collection_aggregations(
    State(state): State<AppState>,
    Base(base): Base,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    Ok(listing(&base, &[find_collection(&state, &id).await?], Some(&id)))
}

/// Aggregations of all items that match.
#[utoipa::path(get, path = "/aggregate", operation_id = "getAggregate", tag = "Aggregation",
    params(schemas::AggregateQuery, super::parameters::ItemFilter),
    responses(
        (status = 200, description = "What was told", body = schemas::AggregationCollection),
        refusal::WrongParameter,
    ))]
pub(super) async fn aggregate(
    State(state): State<AppState>,
    Base(base): Base,
    reader: Reader,
    uri: Uri,
) -> Result<Response, Problem> {
    let known = state.database.list_collections().await?;
    let asked = Asked::from_uri(&uri, &offers(&summary_of(&known)))?;
    answer(&state, &reader, &known, &asked, links(&base, None, uri.query()), None).await
}

/// Aggregations of all items that match, asked by POST.
#[utoipa::path(post, path = "/aggregate", operation_id = "postAggregate", tag = "Aggregation",
    request_body(content = schemas::AggregateBody, content_type = "application/json"),
    responses(
        (status = 200, description = "What was told", body = schemas::AggregationCollection),
        refusal::WrongBody, refusal::NotJson,
    ))]
pub(super) async fn post_aggregate(
    State(state): State<AppState>,
    Base(base): Base,
    reader: Reader,
    headers: HeaderMap,
    uri: Uri,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let known = state.database.list_collections().await?;
    let asked = posted(&uri, &headers, body, &summary_of(&known))?;
    answer(&state, &reader, &known, &asked, links(&base, None, None), None).await
}

/// Aggregations of a collection's items that match.
#[utoipa::path(get, path = "/collections/{collectionId}/aggregate", operation_id = "getCollectionAggregate", tag = "Aggregation",
    params(super::parameters::CollectionPath, schemas::AggregateQuery, super::parameters::ItemFilter),
    responses(
        (status = 200, description = "What was told", body = schemas::AggregationCollection),
        refusal::WrongParameter, refusal::NoCollection,
    ))]
pub(super) async fn collection_aggregate(
    State(state): State<AppState>,
    Base(base): Base,
    reader: Reader,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    let known = [find_collection(&state, &id).await?];
    let asked = Asked::from_uri(&uri, &offers(&known[0].summary))?;
    answer(&state, &reader, &known, &asked, links(&base, Some(&id), uri.query()), Some(&id)).await
}

/// Aggregations of a collection's items that match, asked by POST.
#[utoipa::path(post, path = "/collections/{collectionId}/aggregate", operation_id = "postCollectionAggregate", tag = "Aggregation",
    params(super::parameters::CollectionPath),
    request_body(content = schemas::AggregateBody, content_type = "application/json"),
    responses(
        (status = 200, description = "What was told", body = schemas::AggregationCollection),
        refusal::WrongBody, refusal::NoCollection, refusal::NotJson,
    ))]
pub(super) async fn post_collection_aggregate(
    State(state): State<AppState>,
    Base(base): Base,
    reader: Reader,
    Path(id): Path<String>,
    headers: HeaderMap,
    uri: Uri,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let known = [find_collection(&state, &id).await?];
    let asked = posted(&uri, &headers, body, &known[0].summary)?;
    answer(&state, &reader, &known, &asked, links(&base, Some(&id), None), Some(&id)).await
}

fn posted(
    uri: &Uri,
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
    summary: &Summary,
) -> Result<Asked, Problem> {
    Query::parse(uri.query(), &[])?;
    let body = read_json(headers, &body.map_err(|_| Problem::too_large(LARGEST_BODY))?)?;
    Asked::from_json(body.as_object().cloned().unwrap_or_default(), &offers(summary))
}

fn listing(base: &str, known: &[CollectionRow], collection: Option<&str>) -> Response {
    let offers: Vec<Value> = offers(&summary_of(known)).iter().map(offer::Offer::json).collect();
    let mut links = links(base, collection, None);
    links[0] = link("self", format!("{}/aggregations", place(base, collection)), JSON);
    links.push(link("aggregate", format!("{}/aggregate", place(base, collection)), JSON));
    json_of(&json!({ "type": "AggregationCollection", "aggregations": offers, "links": links }))
}

fn links(base: &str, collection: Option<&str>, query: Option<&str>) -> Vec<Value> {
    let asked = query.map(|query| format!("?{query}")).unwrap_or_default();
    let mut links = vec![
        link("self", format!("{}/aggregate{asked}", place(base, collection)), JSON),
        link("root", format!("{base}/stac"), JSON),
    ];
    links.extend(collection.map(|_| link("collection", place(base, collection), JSON)));
    links
}
