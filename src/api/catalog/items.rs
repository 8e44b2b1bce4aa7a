//! Items of one collection.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::{HeaderMap, Uri, header},
    response::{IntoResponse, Response},
};

use super::{
    super::{
        AppState, Hrefs,
        access::Reader,
        base::Base,
        conditional::{is_known, not_modified},
        problem::{Problem, refusal},
        query::Query,
    },
    GEOJSON, JSON, QUERYABLES, SCHEMA, link,
    page::{PageLinks, Reading},
    search::{PARAMETERS, SearchBody},
    text_of,
};
use crate::{
    catalog::percent_encoded,
    database::{Cursor, ItemRow, Search},
};

/// Items of a collection, newest first.
#[utoipa::path(get, path = "/collections/{collectionId}/items", operation_id = "getFeatures", tag = "Features",
    params(super::parameters::CollectionPath, super::parameters::ItemFilter, super::parameters::ItemPage),
    responses(
        (status = 200, description = "A page of items", content(
            (super::schemas::ItemCollection = "application/geo+json"),
            (String = "application/x-ndjson"),
            (String = "application/vnd.apache.parquet"))),
        refusal::WrongParameter, refusal::NoCollection,
    ))]
pub(super) async fn list_items(
    State(state): State<AppState>,
    Base(base): Base,
    reader: Reader,
    Path(collection): Path<String>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    // `ids` and `collections` too: pystac-client asks here as it asks of a search.
    let query = Query::parse(uri.query(), &PARAMETERS)?;
    let body = SearchBody::from_query(&query)?;
    let format = body.format(&headers)?;
    let mut search = reader.narrowed(body.search(format)?);
    if collection.contains('\0') {
        return Err(Problem::not_found("collection", &collection));
    }
    if search.collections.take().is_some_and(|asked| !asked.contains(&collection)) {
        // Items of other collections only: there are none here.
        search.ids = Some(Vec::new());
    }
    search.collections = Some(vec![collection.clone()]);
    let shape = body.shape(&base, state.settings.hrefs, reader)?;
    let parent = format!("{base}/stac/collections/{}", percent_encoded(&collection));
    let asked = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let own = vec![
        link("self", format!("{parent}/items{asked}"), GEOJSON),
        link("root", format!("{base}/stac"), JSON),
        link("parent", parent.clone(), JSON),
        link("collection", parent.clone(), JSON),
        link(QUERYABLES, format!("{parent}/queryables"), SCHEMA),
    ];
    let to = Arc::new(move |rel: &'static str, cursor: &Cursor| {
        let mut link = link(rel, format!("{parent}/items?{}", query.with("token", &cursor.token())), GEOJSON);
        link["method"] = "GET".into();
        link
    });
    let page = Reading::open(&state.database, search, format).await?;
    // What has items is there; only a page without any leaves the question.
    if page.first.items.is_empty() && !state.database.has_collection(&collection).await? {
        return Err(Problem::not_found("collection", &collection));
    }
    page.answer(&state, shape, format, PageLinks { own, to }).await
}

/// One item.
#[utoipa::path(get, path = "/collections/{collectionId}/items/{featureId}", operation_id = "getFeature", tag = "Features",
    params(super::parameters::ItemPath,
        ("hrefs" = Option<super::parameters::Hrefs>, Query, description = "Which href assets have")),
    responses(
        (status = 200, description = "The item", body = super::schemas::Item, content_type = "application/geo+json",
            headers(("ETag" = String, description = "Names what is there now"))),
        (status = 304, description = "The client has it already"),
        refusal::WrongParameter, refusal::NoItem,
    ))]
pub(super) async fn get_item(
    State(state): State<AppState>,
    Base(base): Base,
    reader: Reader,
    Path((collection, id)): Path<(String, String)>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let hrefs = Query::parse(uri.query(), &["hrefs"])?.hrefs(state.settings.hrefs)?;
    let item = find_item(&state, &reader, &collection, &id).await?;
    let etag = etag(&item.digest, hrefs);
    if is_known(&headers, &etag) {
        return Ok(not_modified(&etag));
    }
    let mut json = String::with_capacity(item.text.body.len() + item.text.assets.len() * 2);
    item.text.write(&mut json, [&collection, &id], &base, hrefs);
    Ok(([(header::ETAG, etag)], text_of(json, GEOJSON)).into_response())
}

/// Returns an item that the reader may see, or the problem that there is none.
pub(in crate::api) async fn find_item(
    state: &AppState,
    reader: &Reader,
    collection: &str,
    id: &str,
) -> Result<ItemRow, Problem> {
    // PostgreSQL refuses U+0000, and no item has it in its name.
    let sound = !collection.contains('\0') && !id.contains('\0');
    let found = match (sound, reader.filter()) {
        (false, _) => None,
        (true, None) => state.database.find_item(collection, id).await?,
        (true, Some(_)) => {
            let name = (Some(vec![collection.to_owned()]), Some(vec![id.to_owned()]));
            let search = Search { collections: name.0, ids: name.1, limit: 1, ..Search::default() };
            state.database.search_items(&reader.narrowed(search)).await?.items.pop()
        }
    };
    found.ok_or_else(|| Problem::not_found("item", &format!("{collection}/{id}")))
}

/// Weak, because compression changes the bytes; of the item and of the form in which it is given.
pub(super) fn etag(digest: &str, hrefs: Hrefs) -> String {
    let form = if hrefs == Hrefs::S3 { "s3" } else { "https" };
    format!("W/\"{}-{form}\"", digest.get(..32).unwrap_or(digest))
}
