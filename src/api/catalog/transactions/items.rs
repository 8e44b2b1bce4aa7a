//! Adding, changing and removing items.

use axum::{
    extract::{Path, State},
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{Body, current_item, editor, is_feature_collection, json_body, patch, preferred, sound_collection, utf8};
use crate::{
    api::{
        AppState, LARGEST_BODY, LARGEST_BULK,
        access::{Caller, Reader},
        base::Base,
        catalog::{
            GEOJSON,
            items::{etag, find_item},
            json_of, text_of,
        },
        conditional::expected,
        problem::{Problem, refusal},
        query::Query,
    },
    catalog::{Deed, percent_encoded},
    pipeline::{Method, bulk_method},
};

/// Adds an item, or the items of a feature collection, all or none.
#[utoipa::path(post, path = "/collections/{collectionId}/items", operation_id = "postFeature", tag = "Transaction",
    params(crate::api::catalog::parameters::CollectionPath),
    request_body(content((crate::api::catalog::schemas::NewItems = "application/geo+json"), (crate::api::catalog::schemas::NewItems = "application/json"))),
    security(("token" = [])),
    responses(
        (status = 201, description = "It is there; the items of a feature collection are linked", content(
                (crate::api::catalog::schemas::Item = "application/geo+json"), (crate::api::catalog::schemas::Created = "application/json")),
            headers(("Location" = String, description = "Where the item is"), ("ETag" = String, description = "Names what is there now"))),
        refusal::WrongItem, refusal::NotAllowed, refusal::NoCollection, refusal::AlreadyThere, refusal::NotJson,
    ))]
pub(in crate::api::catalog) async fn post_items(
    State(state): State<AppState>,
    Base(base): Base,
    caller: Caller,
    Path(collection): Path<String>,
    headers: HeaderMap,
    uri: Uri,
    body: Body,
) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    caller.may(Deed::Add, &collection)?;
    let body = json_body(&headers, body, LARGEST_BULK)?;
    let editor = editor(&state, &base, &caller);
    sound_collection(&state, &collection).await?;
    if is_feature_collection(&body) {
        let _turn = state.bulk_turn(body.len()).await;
        let ids = editor.add_items(&collection, body).await?;
        let url = |id: &String| {
            format!("{base}/stac/collections/{}/items/{}", percent_encoded(&collection), percent_encoded(id))
        };
        let links: Vec<Value> =
            ids.iter().map(|id| json!({ "rel": "item", "type": GEOJSON, "href": url(id) })).collect();
        let answer = json_of(&json!({ "type": "FeatureCollection", "numberCreated": ids.len(), "links": links }));
        return Ok((StatusCode::CREATED, answer).into_response());
    }
    let item = editor.add_item(&collection, utf8(&body)?).await?;
    let location =
        format!("{base}/stac/collections/{}/items/{}", percent_encoded(&collection), percent_encoded(&item.id));
    let mut text = String::new();
    item.text.write(&mut text, [&collection, &item.id], &base, state.settings.hrefs);
    let headers = [(header::LOCATION, location), (header::ETAG, etag(&item.digest, state.settings.hrefs))];
    Ok((StatusCode::CREATED, headers, text_of(text, GEOJSON)).into_response())
}

/// Writes an item in the place of the one that is there.
#[utoipa::path(put, path = "/collections/{collectionId}/items/{featureId}", operation_id = "putFeature", tag = "Transaction",
    params(
        crate::api::catalog::parameters::ItemPath,
        ("If-Match" = Option<String>, Header, description = "ETag of the item that is to be replaced"),
        ("Prefer" = Option<String>, Header, description = "`return=minimal` leaves the answer without a body", example = "return=minimal"),
    ),
    request_body(content((crate::api::catalog::schemas::NewItem = "application/geo+json"), (crate::api::catalog::schemas::NewItem = "application/json"))),
    security(("token" = [])),
    responses(
        (status = 200, description = "The item as it is now", body = crate::api::catalog::schemas::Item, content_type = "application/geo+json",
            headers(("ETag" = String, description = "Names what is there now"))),
        (status = 204, description = "It is changed, and no answer was wanted (`Prefer: return=minimal`)"),
        refusal::WrongItem, refusal::NotAllowed, refusal::NoItem, refusal::Changed, refusal::NotJson,
    ))]
pub(in crate::api::catalog) async fn put_item(
    State(state): State<AppState>,
    Base(base): Base,
    caller: Caller,
    Path((collection, id)): Path<(String, String)>,
    headers: HeaderMap,
    uri: Uri,
    body: Body,
) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    caller.may(Deed::Change, &collection)?;
    let body = json_body(&headers, body, LARGEST_BODY)?;
    find_item(&state, &Reader::default(), &collection, &id).await?;
    let editor = editor(&state, &base, &caller);
    let replaced = editor.replace_item(&collection, &id, utf8(&body)?, expected(&headers).as_deref()).await?;
    replaced.ok_or_else(|| Problem::not_found("item", &format!("{collection}/{id}")))?;
    Ok(preferred(&headers, current_item(&state, &base, &collection, &id).await?))
}

/// Changes parts of an item: JSON Merge Patch, or JSON Patch when the content type says so.
#[utoipa::path(patch, path = "/collections/{collectionId}/items/{featureId}", operation_id = "patchFeature", tag = "Transaction",
    params(
        crate::api::catalog::parameters::ItemPath,
        ("If-Match" = Option<String>, Header, description = "ETag of the item that is to be changed"),
        ("Prefer" = Option<String>, Header, description = "`return=minimal` leaves the answer without a body", example = "return=minimal"),
    ),
    request_body(content((Object = "application/merge-patch+json"), (Object = "application/json"), (Vec<crate::api::catalog::schemas::PatchOperation> = "application/json-patch+json"))),
    security(("token" = [])),
    responses(
        (status = 200, description = "The item as it is now", body = crate::api::catalog::schemas::Item, content_type = "application/geo+json",
            headers(("ETag" = String, description = "Names what is there now"))),
        (status = 204, description = "It is changed, and no answer was wanted (`Prefer: return=minimal`)"),
        refusal::WrongPatch, refusal::NotAllowed, refusal::NoItem, refusal::Changed, refusal::NotPatch,
    ))]
pub(in crate::api::catalog) async fn patch_item(
    State(state): State<AppState>,
    Base(base): Base,
    caller: Caller,
    Path((collection, id)): Path<(String, String)>,
    headers: HeaderMap,
    uri: Uri,
    body: Body,
) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    caller.may(Deed::Change, &collection)?;
    let patch = patch(&headers, body)?;
    find_item(&state, &Reader::default(), &collection, &id).await?;
    let editor = editor(&state, &base, &caller);
    let patched = editor.patch_item(&collection, &id, &patch, expected(&headers).as_deref()).await?;
    patched.ok_or_else(|| Problem::not_found("item", &format!("{collection}/{id}")))?;
    Ok(preferred(&headers, current_item(&state, &base, &collection, &id).await?))
}

/// Removes an item. Objects that it named stay where they are.
#[utoipa::path(delete, path = "/collections/{collectionId}/items/{featureId}", operation_id = "deleteFeature", tag = "Transaction",
    params(
        crate::api::catalog::parameters::ItemPath,
        ("If-Match" = Option<String>, Header, description = "ETag of the item that is to be removed"),
    ),
    security(("token" = [])),
    responses(
        (status = 204, description = "It is gone"),
        refusal::WrongParameter, refusal::NotAllowed, refusal::NoItem, refusal::Changed,
    ))]
pub(in crate::api::catalog) async fn delete_item(
    State(state): State<AppState>,
    Base(base): Base,
    caller: Caller,
    Path((collection, id)): Path<(String, String)>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    caller.may(Deed::Change, &collection)?;
    find_item(&state, &Reader::default(), &collection, &id).await?;
    let removed = editor(&state, &base, &caller).remove_item(&collection, &id, expected(&headers).as_deref()).await?;
    if removed {
        Ok(StatusCode::NO_CONTENT.into_response())
    } else {
        Err(Problem::not_found("item", &format!("{collection}/{id}")))
    }
}

/// Adds or replaces many items by id: `{"items": {ID: ITEM, …}, "method": "insert"}`, all or none.
#[utoipa::path(post, path = "/collections/{collectionId}/bulk_items", operation_id = "postBulkItems", tag = "Transaction",
    params(crate::api::catalog::parameters::CollectionPath),
    request_body(content = crate::api::catalog::schemas::BulkItems, content_type = "application/json"),
    security(("token" = [])),
    responses(
        (status = 200, description = "How many were added, changed and left alone", body = crate::api::catalog::schemas::BulkDone),
        refusal::WrongItems, refusal::NotAllowed, refusal::NoCollection, refusal::OneAlreadyThere, refusal::NotJson,
    ))]
pub(in crate::api::catalog) async fn post_bulk(
    State(state): State<AppState>,
    Base(base): Base,
    caller: Caller,
    Path(collection): Path<String>,
    headers: HeaderMap,
    uri: Uri,
    body: Body,
) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    caller.may(Deed::Add, &collection)?;
    let body = json_body(&headers, body, LARGEST_BULK)?;
    sound_collection(&state, &collection).await?;
    if bulk_method(&body)? == Method::Upsert {
        caller.may(Deed::Change, &collection)?;
    }
    let _turn = state.bulk_turn(body.len()).await;
    let written = editor(&state, &base, &caller).add_bulk(&collection, body).await?;
    Ok(json_of(&json!({
        "inserted": written.inserted, "updated": written.updated, "unchanged": written.unchanged,
    })))
}
