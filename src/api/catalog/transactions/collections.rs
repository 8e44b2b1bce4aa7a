//! Adding, changing and removing collections.

use axum::{
    extract::{Path, State},
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};

use super::{Body, current_collection, editor, json_body, patch, preferred, utf8};
use crate::{
    api::{
        AppState, LARGEST_BODY,
        access::Caller,
        base::Base,
        catalog::collections::find_collection,
        conditional::expected,
        problem::{Problem, refusal},
        query::Query,
    },
    catalog::{Deed, percent_encoded},
};

/// Adds a collection.
#[utoipa::path(post, path = "/collections", operation_id = "postCollection", tag = "Transaction",
    request_body(content = crate::api::catalog::schemas::Collection, content_type = "application/json"),
    security(("token" = [])),
    responses(
        (status = 201, description = "It is there", body = crate::api::catalog::schemas::Collection,
            headers(("Location" = String, description = "Where the collection is"), ("ETag" = String, description = "Names what is there now"))),
        refusal::WrongCollection, refusal::NotAllowed, refusal::AlreadyThere, refusal::NotJson,
    ))]
pub(in crate::api::catalog) async fn post_collection(
    State(state): State<AppState>,
    Base(base): Base,
    caller: Caller,
    headers: HeaderMap,
    uri: Uri,
    body: Body,
) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    caller.may(Deed::Describe, "")?;
    let body = json_body(&headers, body, LARGEST_BODY)?;
    let given = editor(&state, &base, &caller).add_collection(utf8(&body)?).await?;
    let location = format!("{base}/stac/collections/{}", percent_encoded(&given.id));
    let answer = current_collection(&state, &base, &given.id).await?;
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], answer).into_response())
}

/// Writes a collection in the place of the one that is there; its items stay.
#[utoipa::path(put, path = "/collections/{collectionId}", operation_id = "putCollection", tag = "Transaction",
    params(
        ("collectionId" = String, Path, description = "Id of the collection", example = "test-collection"),
        ("If-Match" = Option<String>, Header, description = "ETag of the collection that is to be replaced"),
        ("Prefer" = Option<String>, Header, description = "`return=minimal` leaves the answer without a body", example = "return=minimal"),
    ),
    request_body(content = crate::api::catalog::schemas::Collection, content_type = "application/json"),
    security(("token" = [])),
    responses(
        (status = 200, description = "The collection as it is now", body = crate::api::catalog::schemas::Collection,
            headers(("ETag" = String, description = "Names what is there now"))),
        (status = 204, description = "It is changed, and no answer was wanted (`Prefer: return=minimal`)"),
        refusal::WrongCollection, refusal::NotAllowed, refusal::NoCollection, refusal::Changed, refusal::NotJson,
    ))]
pub(in crate::api::catalog) async fn put_collection(
    State(state): State<AppState>,
    Base(base): Base,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    uri: Uri,
    body: Body,
) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    caller.may(Deed::Describe, &id)?;
    let body = json_body(&headers, body, LARGEST_BODY)?;
    find_collection(&state, &id).await?;
    let editor = editor(&state, &base, &caller);
    if !editor.replace_collection(&id, utf8(&body)?, expected(&headers).as_deref()).await? {
        return Err(Problem::not_found("collection", &id));
    }
    Ok(preferred(&headers, current_collection(&state, &base, &id).await?))
}

/// Changes parts of a collection: JSON Merge Patch, or JSON Patch when the content type says so.
#[utoipa::path(patch, path = "/collections/{collectionId}", operation_id = "patchCollection", tag = "Transaction",
    params(
        ("collectionId" = String, Path, description = "Id of the collection", example = "test-collection"),
        ("If-Match" = Option<String>, Header, description = "ETag of the collection that is to be changed"),
        ("Prefer" = Option<String>, Header, description = "`return=minimal` leaves the answer without a body", example = "return=minimal"),
    ),
    request_body(content((Object = "application/merge-patch+json"), (Object = "application/json"), (Vec<crate::api::catalog::schemas::PatchOperation> = "application/json-patch+json"))),
    security(("token" = [])),
    responses(
        (status = 200, description = "The collection as it is now", body = crate::api::catalog::schemas::Collection,
            headers(("ETag" = String, description = "Names what is there now"))),
        (status = 204, description = "It is changed, and no answer was wanted (`Prefer: return=minimal`)"),
        refusal::WrongPatch, refusal::NotAllowed, refusal::NoCollection, refusal::Changed, refusal::NotPatch,
    ))]
pub(in crate::api::catalog) async fn patch_collection(
    State(state): State<AppState>,
    Base(base): Base,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    uri: Uri,
    body: Body,
) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    caller.may(Deed::Describe, &id)?;
    let patch = patch(&headers, body)?;
    find_collection(&state, &id).await?;
    let editor = editor(&state, &base, &caller);
    if !editor.patch_collection(&id, &patch, expected(&headers).as_deref()).await? {
        return Err(Problem::not_found("collection", &id));
    }
    Ok(preferred(&headers, current_collection(&state, &base, &id).await?))
}

/// Removes a collection and all its items. The four collections that polder writes into stay.
#[utoipa::path(delete, path = "/collections/{collectionId}", operation_id = "deleteCollection", tag = "Transaction",
    params(
        ("collectionId" = String, Path, description = "Id of the collection", example = "test-collection"),
        ("If-Match" = Option<String>, Header, description = "ETag of the collection that is to be removed"),
    ),
    security(("token" = [])),
    responses(
        (status = 204, description = "It is gone"),
        refusal::WrongParameter, refusal::NotAllowed, refusal::NoCollection, refusal::PolderWrites, refusal::Changed,
    ))]
pub(in crate::api::catalog) async fn delete_collection(
    State(state): State<AppState>,
    Base(base): Base,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    caller.may(Deed::Describe, &id)?;
    find_collection(&state, &id).await?;
    let removed = editor(&state, &base, &caller).remove_collection(&id, expected(&headers).as_deref()).await?;
    removed.ok_or_else(|| Problem::not_found("collection", &id))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
