//! Where a client starts: the catalog itself, and what this API conforms to.

use axum::{extract::State, http::Uri, response::Response};
use serde_json::{Value, json};

use super::{
    super::{
        AppState,
        base::Base,
        problem::{Problem, refusal},
        query::Query,
    },
    CONFORMANCE, GEOJSON, JSON, QUERYABLES, SCHEMA, SORTABLES, json_of, link,
};
use crate::catalog::percent_encoded;

/// The catalog: its links lead to everything else.
#[utoipa::path(get, path = "/", operation_id = "getLandingPage", tag = "Core",
    responses((status = 200, description = "The landing page, a STAC catalog", body = super::schemas::LandingPage)))]
pub(super) async fn landing(State(state): State<AppState>, Base(base): Base) -> Result<Response, Problem> {
    let collections = state.database.list_collection_titles().await?;
    let stac = format!("{base}/stac");
    let mut links = vec![
        link("self", stac.clone(), JSON),
        link("root", stac.clone(), JSON),
        link("conformance", format!("{stac}/conformance"), JSON),
        link("data", format!("{stac}/collections"), JSON),
        search_link(&stac, "GET"),
        search_link(&stac, "POST"),
        link("children", format!("{stac}/children"), JSON),
        link(QUERYABLES, format!("{stac}/queryables"), SCHEMA),
        link(SORTABLES, format!("{stac}/sortables"), SCHEMA),
        link("aggregate", format!("{stac}/aggregate"), JSON),
        link("aggregations", format!("{stac}/aggregations"), JSON),
        link("service-desc", format!("{stac}/api"), "application/vnd.oai.openapi+json;version=3.0"),
        link("service-doc", format!("{stac}/api.html"), "text/html"),
    ];
    links.extend(collections.into_iter().map(|(id, title)| {
        let mut child = link("child", format!("{stac}/collections/{}", percent_encoded(&id)), JSON);
        child["title"] = title.unwrap_or(id).into();
        child
    }));
    Ok(json_of(&json!({
        "type": "Catalog",
        "stac_version": "1.1.0",
        "id": "polder",
        "title": "polder",
        "description": "Drone photos, orthophotos, detections and the models that made them.",
        "conformsTo": CONFORMANCE,
        "links": links,
    })))
}

fn search_link(stac: &str, method: &str) -> Value {
    let mut link = link("search", format!("{stac}/search"), GEOJSON);
    link["method"] = method.into();
    link
}

/// The conformance classes.
#[utoipa::path(get, path = "/conformance", operation_id = "getConformance", tag = "Core",
    responses(
        (status = 200, description = "The conformance classes of this API", body = super::schemas::Conformance),
        refusal::WrongParameter,
    ))]
pub(super) async fn conformance(uri: Uri) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    Ok(json_of(&json!({ "conformsTo": CONFORMANCE })))
}
