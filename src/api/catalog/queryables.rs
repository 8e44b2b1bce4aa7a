//! What can be asked for: the properties that a collection's items have, as JSON Schema.

use axum::{
    extract::{Path, State},
    http::Uri,
    response::Response,
};
use serde_json::{Map, Value, json};

use super::{
    super::{
        AppState,
        base::Base,
        problem::{Problem, refusal},
        query::Query,
    },
    SCHEMA,
    collections::{find_collection, place, summary_of},
    text_of,
};
use crate::catalog::{Kind, PropertySummary, Summary};

// The newest that stac-api-validator knows.
const DIALECT: &str = "https://json-schema.org/draft/2019-09/schema";

/// What properties are wanted for, and which of them serve it.
struct Use {
    /// Last part of the address.
    path: &'static str,
    title: &'static str,
    properties: fn(&Summary) -> Map<String, Value>,
}

const FILTER: Use = Use { path: "queryables", title: "Queryables", properties: queryable_properties };
const SORT: Use = Use { path: "sortables", title: "Sortables", properties: sortable_properties };

/// Properties of all items that a filter can use.
#[utoipa::path(get, path = "/queryables", operation_id = "getQueryables", tag = "Filter",
    responses((status = 200, description = "The queryables", body = super::schemas::PropertiesSchema, content_type = "application/schema+json"),
        refusal::WrongParameter))]
pub(super) async fn queryables(State(state): State<AppState>, Base(base): Base, uri: Uri) -> Result<Response, Problem> {
    answer(&state, &base, None, &uri, &FILTER).await
}

/// Properties of a collection's items that a filter can use.
#[utoipa::path(get, path = "/collections/{collectionId}/queryables", operation_id = "getCollectionQueryables", tag = "Filter",
    params(super::parameters::CollectionPath),
    responses((status = 200, description = "The queryables", body = super::schemas::PropertiesSchema, content_type = "application/schema+json"),
        refusal::WrongParameter, refusal::NoCollection))]
pub(super) async fn collection_queryables(
    State(state): State<AppState>,
    Base(base): Base,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    answer(&state, &base, Some(&id), &uri, &FILTER).await
}

/// Properties of all items that they can be sorted by.
#[utoipa::path(get, path = "/sortables", operation_id = "getSortables", tag = "Sort",
    responses((status = 200, description = "The sortables", body = super::schemas::PropertiesSchema, content_type = "application/schema+json"),
        refusal::WrongParameter))]
pub(super) async fn sortables(State(state): State<AppState>, Base(base): Base, uri: Uri) -> Result<Response, Problem> {
    answer(&state, &base, None, &uri, &SORT).await
}

/// Properties of a collection's items that they can be sorted by.
#[utoipa::path(get, path = "/collections/{collectionId}/sortables", operation_id = "getCollectionSortables", tag = "Sort",
    params(super::parameters::CollectionPath),
    responses((status = 200, description = "The sortables", body = super::schemas::PropertiesSchema, content_type = "application/schema+json"),
        refusal::WrongParameter, refusal::NoCollection))]
pub(super) async fn collection_sortables(
    State(state): State<AppState>,
    Base(base): Base,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    answer(&state, &base, Some(&id), &uri, &SORT).await
}

/// Answers with the properties of a collection's items, or of all items, that are of use.
async fn answer(
    state: &AppState,
    base: &str,
    collection: Option<&str>,
    uri: &Uri,
    wanted: &Use,
) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    let (title, summary) = match collection {
        None => (wanted.title.to_owned(), summary_of(&state.database.list_collections().await?)),
        Some(id) => (format!("{} of {id}", wanted.title), find_collection(state, id).await?.summary),
    };
    let schema = json!({
        "$schema": DIALECT,
        "$id": format!("{}/{}", place(base, collection), wanted.path),
        "type": "object",
        "title": title,
        "properties": (wanted.properties)(&summary),
        // A property that no item has yet may be asked for as well; nothing is found then.
        "additionalProperties": true,
    });
    Ok(text_of(schema.to_string(), SCHEMA))
}

fn queryable_properties(summary: &Summary) -> Map<String, Value> {
    let time = |title: &str| json!({ "title": title, "type": "string", "format": "date-time" });
    let mut properties = Map::new();
    let mut add = |name: &str, schema: Value| properties.insert(name.to_owned(), schema);
    add(
        "id",
        json!({ "title": "Id", "type": "string", "$ref": "https://schemas.stacspec.org/v1.0.0/item-spec/json-schema/item.json#/definitions/core/allOf/2/properties/id" }),
    );
    add("collection", json!({ "title": "Collection", "type": "string" }));
    add("geometry", json!({ "title": "Geometry", "$ref": "https://geojson.org/schema/Geometry.json" }));
    add("datetime", time("Date and time"));
    add("start_datetime", time("Start"));
    add("end_datetime", time("End"));
    for (name, property) in &summary.properties {
        properties.insert(name.clone(), property_schema(name, property));
    }
    properties
}

fn sortable_properties(summary: &Summary) -> Map<String, Value> {
    let whole = |kind: &Kind| !matches!(kind, Kind::Array | Kind::Object);
    let mut properties = queryable_properties(summary);
    properties.remove("geometry");
    properties.retain(|name, _| summary.properties.get(name).is_none_or(|property| property.kinds.keys().any(whole)));
    properties
}

fn property_schema(name: &str, property: &PropertySummary) -> Value {
    let mut schema = json!({ "title": name });
    let mut kinds: Vec<&str> = property.kinds.keys().map(|kind| type_of(*kind)).collect();
    kinds.dedup();
    if kinds.contains(&"number") {
        kinds.retain(|kind| *kind != "integer");
    }
    match kinds[..] {
        [only] => schema["type"] = only.into(),
        _ => schema["type"] = json!(kinds),
    }
    let only = |wanted| property.kinds.keys().all(|kind| *kind == wanted);
    if only(Kind::Time) {
        schema["format"] = "date-time".into();
    }
    if let (true, Some(values)) = (only(Kind::String), &property.values) {
        schema["enum"] = values.keys().cloned().collect();
    }
    if let (false, Some(minimum), Some(maximum)) = (kinds.contains(&"array"), property.minimum, property.maximum) {
        schema["minimum"] = minimum.into();
        schema["maximum"] = maximum.into();
    }
    schema
}

const fn type_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Boolean => "boolean",
        Kind::Integer => "integer",
        Kind::Number => "number",
        Kind::String | Kind::Time => "string",
        Kind::Array => "array",
        Kind::Object => "object",
    }
}
