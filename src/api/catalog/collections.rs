//! The collections. There are four, and all are always given: QGIS reads only the first page of them.

use axum::{
    extract::{Path, State},
    http::Uri,
    response::Response,
};
use serde_json::{Value, json};

use super::{
    super::{
        AppState,
        base::Base,
        problem::{Problem, ProblemBody},
        query::Query,
    },
    GEOJSON, JSON, json_of, link,
};
use crate::{
    catalog::{extent, percent_encoded},
    database::CollectionRow,
};

/// All collections.
#[utoipa::path(get, path = "/collections", operation_id = "getCollections", tag = "Collections",
    responses(
        (status = 200, description = "All collections", body = Object),
        (status = 400, description = "A parameter is wrong", body = ProblemBody, content_type = "application/problem+json"),
    ))]
pub(super) async fn list_collections(
    State(state): State<AppState>,
    Base(base): Base,
    uri: Uri,
) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    let rows = state.database.list_collections().await?;
    let collections: Vec<Value> = rows.iter().map(|row| collection_json(row, &base)).collect();
    Ok(json_of(&json!({
        "collections": collections,
        "links": [
            link("self", format!("{base}/stac/collections"), JSON),
            link("root", format!("{base}/stac"), JSON),
            link("parent", format!("{base}/stac"), JSON),
        ],
        "numberMatched": collections.len(),
        "numberReturned": collections.len(),
    })))
}

/// One collection.
#[utoipa::path(get, path = "/collections/{collectionId}", operation_id = "getCollection", tag = "Collections",
    params(("collectionId" = String, Path, description = "Id of the collection", example = "drone-ortho")),
    responses(
        (status = 200, description = "The collection", body = Object),
        (status = 400, description = "A parameter is wrong", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "There is no such collection", body = ProblemBody, content_type = "application/problem+json"),
    ))]
pub(super) async fn get_collection(
    State(state): State<AppState>,
    Base(base): Base,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    let row = find_collection(&state, &id).await?;
    Ok(json_of(&collection_json(&row, &base)))
}

async fn find_collection(state: &AppState, id: &str) -> Result<CollectionRow, Problem> {
    let found = if id.contains('\0') { None } else { state.database.find_collection(id).await? };
    found.ok_or_else(|| Problem::not_found("collection", id))
}

fn collection_json(row: &CollectionRow, base: &str) -> Value {
    let mut collection = row.body.clone();
    let own = format!("{base}/stac/collections/{}", percent_encoded(&row.id));
    collection.insert("extent".to_owned(), json!(extent(&row.coverage)));
    collection.insert(
        "links".to_owned(),
        json!([
            link("self", own.clone(), JSON),
            link("root", format!("{base}/stac"), JSON),
            link("parent", format!("{base}/stac"), JSON),
            link("items", format!("{own}/items"), GEOJSON),
        ]),
    );
    Value::Object(collection)
}
