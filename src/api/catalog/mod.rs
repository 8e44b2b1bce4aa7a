//! The STAC API under `/stac`: core, collections, OGC API Features and item search.

mod collections;
mod items;
mod landing;
mod page;
mod search;

use axum::{
    Router,
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};
use utoipa::OpenApi;

pub(super) use self::items::find_item;
use super::AppState;

const JSON: &str = "application/json";
const GEOJSON: &str = "application/geo+json";

/// What is answered, and so what is claimed: no class is listed that a test has not seen.
const CONFORMANCE: [&str; 7] = [
    "https://api.stacspec.org/v1.0.0/core",
    "https://api.stacspec.org/v1.0.0/collections",
    "https://api.stacspec.org/v1.0.0/ogcapi-features",
    "https://api.stacspec.org/v1.0.0/item-search",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    // qgis-stac-plugin shows no collection without this one
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/oas30",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
];

/// The operations, for the OpenAPI document.
#[derive(OpenApi)]
#[openapi(
    paths(
        landing::landing,
        landing::conformance,
        collections::list_collections,
        collections::get_collection,
        items::list_items,
        items::get_item,
        search::search,
        search::post_search
    ),
    components(schemas(super::problem::ProblemBody, search::SearchBody))
)]
pub(super) struct Operations;

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/stac", get(landing::landing))
        .route("/stac/", get(landing::landing))
        .route("/stac/conformance", get(landing::conformance))
        .route("/stac/collections", get(collections::list_collections))
        .route("/stac/collections/{collection}", get(collections::get_collection))
        .route("/stac/collections/{collection}/items", get(items::list_items))
        .route("/stac/collections/{collection}/items/{item}", get(items::get_item))
        .route("/stac/search", get(search::search).post(search::post_search))
}

fn json_of(value: &Value) -> Response {
    text_of(value.to_string(), JSON)
}

fn text_of(text: String, media_type: &'static str) -> Response {
    ([(header::CONTENT_TYPE, media_type)], text).into_response()
}

fn link(rel: &str, href: impl Into<String>, media_type: &str) -> Value {
    json!({ "rel": rel, "type": media_type, "href": href.into() })
}
