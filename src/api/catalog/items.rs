//! Items of one collection.

use axum::{
    extract::{Path, State},
    http::{HeaderMap, Uri, header},
    response::{IntoResponse, Response},
};

use super::{
    super::{
        AppState, Hrefs,
        base::Base,
        conditional::{is_known, not_modified},
        problem::{Problem, ProblemBody},
        query::Query,
    },
    GEOJSON, JSON, link,
    page::feature_collection,
    search::SearchBody,
    text_of,
};
use crate::{catalog::percent_encoded, database::ItemRow};

/// `ids` and `collections` are those of a search: pystac-client asks here as it asks there.
const PARAMETERS: [&str; 7] = ["bbox", "datetime", "limit", "token", "hrefs", "ids", "collections"];

/// Items of a collection, newest first.
#[utoipa::path(get, path = "/collections/{collectionId}/items", operation_id = "getFeatures", tag = "Features",
    params(
        ("collectionId" = String, Path, description = "Id of the collection", example = "drone-ortho"),
        ("bbox" = Option<Vec<f64>>, Query, style = Form, explode = false, min_items = 4, max_items = 6,
            description = "west,south,east,north in degrees"),
        ("datetime" = Option<String>, Query, description = "A time, or two with a slash between; `..` is an open end",
            example = "2025-01-01T00:00:00Z/.."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 10000, description = "Largest number of items, 10 by default"),
        ("token" = Option<String>, Query, description = "Where the page starts: from a `next` link"),
        ("hrefs" = Option<String>, Query, description = "`https` or `s3`: which href assets have"),
        ("ids" = Option<Vec<String>>, Query, style = Form, explode = false, description = "Only these items"),
        ("collections" = Option<Vec<String>>, Query, style = Form, explode = false,
            description = "As in a search; the items of this collection are listed when it is among them"),
    ),
    responses(
        (status = 200, description = "A page of items", body = Object, content_type = "application/geo+json"),
        (status = 400, description = "A parameter is wrong", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "There is no such collection", body = ProblemBody, content_type = "application/problem+json"),
    ))]
pub(super) async fn list_items(
    State(state): State<AppState>,
    Base(base): Base,
    Path(collection): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    let query = Query::parse(uri.query(), &PARAMETERS)?;
    let hrefs = query.hrefs(state.settings.hrefs)?;
    let mut search = SearchBody::from_query(&query)?.search()?;
    let known = !collection.contains('\0') && state.database.has_collection(&collection).await?;
    if !known {
        return Err(Problem::not_found("collection", &collection));
    }
    if search.collections.take().is_some_and(|asked| !asked.contains(&collection)) {
        // Items of other collections only: there are none here.
        search.ids = Some(Vec::new());
    }
    search.collections = Some(vec![collection.clone()]);
    let page = state.database.search_items(&search).await?;
    let parent = format!("{base}/stac/collections/{}", percent_encoded(&collection));
    let asked = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut links = vec![
        link("self", format!("{parent}/items{asked}"), GEOJSON),
        link("root", format!("{base}/stac"), JSON),
        link("parent", parent.clone(), JSON),
        link("collection", parent.clone(), JSON),
    ];
    if let Some(next) = &page.next {
        links.push(link("next", format!("{parent}/items?{}", query.with("token", &next.token())), GEOJSON));
    }
    Ok(text_of(feature_collection(&page, &links, &base, hrefs), GEOJSON))
}

/// One item.
#[utoipa::path(get, path = "/collections/{collectionId}/items/{featureId}", operation_id = "getFeature", tag = "Features",
    params(
        ("collectionId" = String, Path, description = "Id of the collection", example = "drone-ortho"),
        ("featureId" = String, Path, description = "Id of the item"),
        ("hrefs" = Option<String>, Query, description = "`https` or `s3`: which href assets have"),
    ),
    responses(
        (status = 200, description = "The item", body = Object, content_type = "application/geo+json"),
        (status = 304, description = "The client has it already"),
        (status = 400, description = "A parameter is wrong", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "There is no such item", body = ProblemBody, content_type = "application/problem+json"),
    ))]
pub(super) async fn get_item(
    State(state): State<AppState>,
    Base(base): Base,
    Path((collection, id)): Path<(String, String)>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let hrefs = Query::parse(uri.query(), &["hrefs"])?.hrefs(state.settings.hrefs)?;
    let item = find_item(&state, &collection, &id).await?;
    let etag = etag(&item, hrefs);
    if is_known(&headers, &etag) {
        return Ok(not_modified(&etag));
    }
    let mut json = String::with_capacity(item.text.body.len() + item.text.assets.len() * 2);
    item.text.write(&mut json, [&collection, &id], &base, hrefs);
    Ok(([(header::ETAG, etag)], text_of(json, GEOJSON)).into_response())
}

/// Returns an item, or the problem that there is none.
pub(in crate::api) async fn find_item(state: &AppState, collection: &str, id: &str) -> Result<ItemRow, Problem> {
    // PostgreSQL refuses U+0000, and no item has it in its name.
    let sound = !collection.contains('\0') && !id.contains('\0');
    let found = if sound { state.database.find_item(collection, id).await? } else { None };
    found.ok_or_else(|| Problem::not_found("item", &format!("{collection}/{id}")))
}

/// Weak, because compression changes the bytes; of the item and of the form in which it is given.
fn etag(item: &ItemRow, hrefs: Hrefs) -> String {
    let form = if hrefs == Hrefs::S3 { "s3" } else { "https" };
    format!("W/\"{}-{form}\"", &item.digest.get(..32).unwrap_or(&item.digest))
}
