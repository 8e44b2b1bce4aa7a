//! The collections, and searching among them. All are given on one page: QGIS reads only the first.

use axum::{
    extract::{Path, State},
    http::{HeaderMap, Uri, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{
    super::{
        AppState,
        access::Reader,
        base::Base,
        conditional::{is_known, not_modified},
        problem::{Problem, refusal},
        query::Query,
    },
    GEOJSON, JSON, QUERYABLES, SCHEMA, SORTABLES, json_of, link,
    order::Ordered,
    search::{Fields, SearchBody},
};
use crate::{
    catalog::{Coverage, Summary, extent, percent_encoded},
    database::{CollectionRow, CollectionSearch, Filter},
};

const PARAMETERS: [&str; 13] = [
    "bbox",
    "datetime",
    "limit",
    "token",
    "q",
    "filter",
    "filter-lang",
    "filter-crs",
    "query",
    "sortby",
    "fields",
    "ids",
    "collections",
];

/// Collections of a page: all, for nearly everybody.
const USUAL_LIMIT: usize = 1_000;

/// Collections, all or those that a search finds.
#[utoipa::path(get, path = "/collections", operation_id = "getCollections", tag = "Collections",
    params(super::parameters::CollectionQuery),
    responses(
        (status = 200, description = "The collections", body = super::schemas::Collections),
        refusal::WrongParameter,
    ))]
pub(super) async fn list_collections(
    State(state): State<AppState>,
    Base(base): Base,
    reader: Reader,
    uri: Uri,
) -> Result<Response, Problem> {
    let query = Query::parse(uri.query(), &PARAMETERS)?;
    let body = SearchBody::from_query(&query)?;
    let rows = state.database.search_collections(&collection_search(&body)?).await?;
    let rows = rows.into_iter().map(|row| told(&reader, row)).collect();
    let ordered = Ordered::new(rows, body.sort())?;
    let page = ordered.page(body.most(USUAL_LIMIT)?, body.token())?;
    let asked = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut links = vec![
        link("self", format!("{base}/stac/collections{asked}"), JSON),
        link("root", format!("{base}/stac"), JSON),
        link("parent", format!("{base}/stac"), JSON),
    ];
    for (rel, token) in [("next", &page.next), ("prev", &page.prev)] {
        let href = token.as_ref().map(|token| format!("{base}/stac/collections?{}", query.with("token", token)));
        links.extend(href.map(|href| link(rel, href, JSON)));
    }
    let collections: Vec<Value> =
        page.rows.iter().map(|row| shaped(&collection_json(row, &base), body.fields())).collect();
    Ok(json_of(&json!({
        "collections": collections,
        "links": links,
        "numberMatched": page.matched,
        "numberReturned": page.rows.len(),
    })))
}

fn collection_search(body: &SearchBody) -> Result<CollectionSearch, Problem> {
    Ok(CollectionSearch {
        ids: body.names(),
        bbox: body.bbox()?,
        datetime: body.datetime()?,
        words: body.words(),
        filter: body.filters()?.into_iter().reduce(Filter::and),
    })
}

fn shaped(collection: &Value, fields: Option<&Fields>) -> Value {
    match fields {
        None => collection.clone(),
        Some(fields) => serde_json::from_str(&fields.apply(&collection.to_string())).unwrap_or_default(),
    }
}

/// One collection.
#[utoipa::path(get, path = "/collections/{collectionId}", operation_id = "getCollection", tag = "Collections",
    params(super::parameters::CollectionPath),
    responses(
        (status = 200, description = "The collection", body = super::schemas::Collection,
            headers(("ETag" = String, description = "Names what is there now"))),
        (status = 304, description = "The client has it already"),
        refusal::WrongParameter, refusal::NoCollection,
    ))]
pub(super) async fn get_collection(
    State(state): State<AppState>,
    Base(base): Base,
    reader: Reader,
    Path(id): Path<String>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    let row = told(&reader, find_collection(&state, &id).await?);
    let etag = etag(&row);
    if is_known(&headers, &etag) {
        return Ok(not_modified(&etag));
    }
    Ok(([(header::ETAG, etag)], json_of(&collection_json(&row, &base))).into_response())
}

/// Returns a collection, or the problem that there is none.
pub(super) async fn find_collection(state: &AppState, id: &str) -> Result<CollectionRow, Problem> {
    let found = if id.contains('\0') { None } else { state.database.find_collection(id).await? };
    found.ok_or_else(|| Problem::not_found("collection", id))
}

/// Leaves out what follows from items that a reader may not see.
pub(super) fn told(reader: &Reader, mut row: CollectionRow) -> CollectionRow {
    if reader.filter().is_some() {
        row.body.retain(|name, _| !["summaries", "item_assets"].contains(&name.as_str()));
        row.body.insert("extent".to_owned(), json!(extent(&Coverage::default())));
    }
    row
}

/// The address of a collection, or of the whole catalog.
pub(super) fn place(base: &str, collection: Option<&str>) -> String {
    match collection {
        None => format!("{base}/stac"),
        Some(id) => format!("{base}/stac/collections/{}", percent_encoded(id)),
    }
}

/// Sums up what the items of collections are.
pub(super) fn summary_of<'a>(rows: impl IntoIterator<Item = &'a CollectionRow>) -> Summary {
    rows.into_iter().fold(Summary::default(), |mut sum, row| {
        sum.add(&row.summary);
        sum
    })
}

/// Weak, because compression changes the bytes.
pub(super) fn etag(row: &CollectionRow) -> String {
    format!("W/\"{}\"", row.digest)
}

pub(super) fn collection_json(row: &CollectionRow, base: &str) -> Value {
    let mut collection = row.body.clone();
    let own = format!("{base}/stac/collections/{}", percent_encoded(&row.id));
    let mut links = vec![
        link("self", own.clone(), JSON),
        link("root", format!("{base}/stac"), JSON),
        link("parent", format!("{base}/stac"), JSON),
        link("items", format!("{own}/items"), GEOJSON),
        link(QUERYABLES, format!("{own}/queryables"), SCHEMA),
        link(SORTABLES, format!("{own}/sortables"), SCHEMA),
        link("aggregate", format!("{own}/aggregate"), JSON),
        link("aggregations", format!("{own}/aggregations"), JSON),
    ];
    let mut by_time = link("child", format!("{own}/browse"), JSON);
    by_time["title"] = "By time".into();
    links.push(by_time);
    links.extend(row.links.iter().cloned());
    collection.insert("links".to_owned(), links.into());
    Value::Object(collection)
}
