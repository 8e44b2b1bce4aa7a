//! The STAC API under `/stac`: core, collections, OGC API Features and item search.

mod aggregate;
mod browse;
mod collections;
mod conformance;
mod items;
mod landing;
mod order;
mod page;
mod parameters;
mod parquet;
mod queryables;
mod schemas;
mod search;
mod transactions;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::header,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use utoipa::OpenApi;

use self::conformance::CONFORMANCE;
pub(super) use self::items::find_item;
use super::{AppState, LARGEST_BULK};

const JSON: &str = "application/json";
const GEOJSON: &str = "application/geo+json";
const NDJSON: &str = "application/x-ndjson";
const SCHEMA: &str = "application/schema+json";

/// Relations of links that have no short name.
const QUERYABLES: &str = "http://www.opengis.net/def/rel/ogc/1.0/queryables";
const SORTABLES: &str = "http://www.opengis.net/def/rel/ogc/1.0/sortables";

/// The operations, for the OpenAPI document.
#[derive(OpenApi)]
#[openapi(
    paths(
        landing::landing,
        landing::conformance,
        collections::list_collections,
        collections::get_collection,
        queryables::queryables,
        queryables::collection_queryables,
        queryables::sortables,
        queryables::collection_sortables,
        browse::children,
        browse::browse,
        browse::browse_span,
        transactions::collections::post_collection,
        transactions::collections::put_collection,
        transactions::collections::patch_collection,
        transactions::collections::delete_collection,
        transactions::items::post_items,
        transactions::items::put_item,
        transactions::items::patch_item,
        transactions::items::delete_item,
        transactions::items::post_bulk,
        items::list_items,
        items::get_item,
        search::search,
        search::post_search,
        aggregate::aggregations,
        aggregate::collection_aggregations,
        aggregate::aggregate,
        aggregate::post_aggregate,
        aggregate::collection_aggregate,
        aggregate::post_collection_aggregate
    ),
    components(schemas(super::problem::ProblemBody, search::SearchBody))
)]
pub(super) struct Operations;

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/stac", get(landing::landing))
        .route("/stac/", get(landing::landing))
        .route("/stac/conformance", get(landing::conformance))
        .route("/stac/collections", get(collections::list_collections).post(transactions::collections::post_collection))
        .route(
            "/stac/collections/{collection}",
            get(collections::get_collection)
                .put(transactions::collections::put_collection)
                .patch(transactions::collections::patch_collection)
                .delete(transactions::collections::delete_collection),
        )
        .route("/stac/collections/{collection}/queryables", get(queryables::collection_queryables))
        .route("/stac/collections/{collection}/sortables", get(queryables::collection_sortables))
        .route("/stac/collections/{collection}/browse", get(browse::browse))
        .route("/stac/collections/{collection}/browse/{span}", get(browse::browse_span))
        .route(
            "/stac/collections/{collection}/items",
            get(items::list_items).post(transactions::items::post_items).layer(DefaultBodyLimit::max(LARGEST_BULK)),
        )
        .route(
            "/stac/collections/{collection}/bulk_items",
            post(transactions::items::post_bulk).layer(DefaultBodyLimit::max(LARGEST_BULK)),
        )
        .route(
            "/stac/collections/{collection}/items/{item}",
            get(items::get_item)
                .put(transactions::items::put_item)
                .patch(transactions::items::patch_item)
                .delete(transactions::items::delete_item),
        )
        .route("/stac/queryables", get(queryables::queryables))
        .route("/stac/sortables", get(queryables::sortables))
        .route("/stac/children", get(browse::children))
        .route("/stac/search", get(search::search).post(search::post_search))
        .route("/stac/aggregations", get(aggregate::aggregations))
        .route("/stac/aggregate", get(aggregate::aggregate).post(aggregate::post_aggregate))
        .route("/stac/collections/{collection}/aggregations", get(aggregate::collection_aggregations))
        .route(
            "/stac/collections/{collection}/aggregate",
            get(aggregate::collection_aggregate).post(aggregate::post_collection_aggregate),
        )
}

fn json_of(value: &Value) -> Response {
    text_of(value.to_string(), JSON)
}

fn text_of(text: String, media_type: &'static str) -> Response {
    ([(header::CONTENT_TYPE, media_type)], text).into_response()
}

fn link(rel: &str, href: impl Into<String>, media_type: &str) -> Value {
    let mut link = json!({ "rel": rel, "type": media_type, "href": href.into() });
    if let Some(title) = title_of(rel) {
        link["title"] = title.into();
    }
    link
}

/// What a browser shows for a link. stac-check wants a title on each link of a catalog.
fn title_of(rel: &str) -> Option<&'static str> {
    Some(match rel {
        "root" => "polder",
        "parent" => "One level up",
        "conformance" => "What this API conforms to",
        "data" => "Collections",
        "search" => "Search among all items",
        "children" => "Children of this catalog",
        "items" => "Items",
        "collection" => "Collection",
        QUERYABLES => "What items can be filtered by",
        SORTABLES => "What items can be sorted by",
        "aggregate" => "Figures of the items",
        "aggregations" => "Which figures there are",
        "service-desc" => "OpenAPI document",
        "service-doc" => "Documentation",
        "next" => "Next page",
        "prev" => "Page before",
        _ => return None,
    })
}
