//! Who may read and write. Tokens come as `Authorization: Bearer …`.
//!
//! A token may have a filter: whoever comes with it sees only the items that the filter lets through, in searches, one by
//! one, counted or as assets, and writes nothing.

use std::convert::Infallible;

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, header, request::Parts},
    middleware::Next,
    response::Response,
};

use super::{AppState, problem::Problem};
use crate::{
    catalog::Deed,
    database::{Filter, Search, Token},
};

/// Lets a request pass when reading is open or its token is valid. A wrong token is refused even then: who sends one
/// wants to be somebody.
pub(super) async fn check_reading(
    State(state): State<AppState>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let token = find_token(request.headers(), &state).await?;
    if token.is_none() && !state.settings.open_reading {
        return Err(Problem::unauthorized("reading needs a token here: send Authorization: Bearer TOKEN"));
    }
    if let Some(token) = token {
        request.extensions_mut().insert(token);
    }
    Ok(next.run(request).await)
}

/// What somebody may see.
#[derive(Clone, Debug, Default)]
pub(super) struct Reader(Option<Filter>);

impl Reader {
    /// Narrows a search to what may be seen.
    pub fn narrowed(&self, search: Search) -> Search {
        let filter = [self.0.clone(), search.filter].into_iter().flatten().reduce(Filter::and);
        Search { filter, ..search }
    }

    /// Returns the filter that narrows everything, if there is one.
    pub fn filter(&self) -> Option<&Filter> {
        self.0.as_ref()
    }
}

impl<S: Sync> FromRequestParts<S> for Reader {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(parts.extensions.get::<Token>().and_then(|token| token.filter.clone())))
    }
}

/// The token of a request that must have one.
#[derive(Clone, Debug)]
pub struct Caller(pub Token);

impl Caller {
    /// Refuses a caller who may not do this to items of a collection.
    ///
    /// # Errors
    /// A problem with status 403.
    pub fn may(&self, deed: Deed, collection: &str) -> Result<(), Problem> {
        let Token { name, role, filter } = &self.0;
        if filter.is_some() {
            return Err(Problem::forbidden(format!(
                "the token {name:?} sees a part of the catalog and writes nothing"
            )));
        }
        if role.may(deed, collection) {
            return Ok(());
        }
        Err(Problem::forbidden(format!(
            "the token {name:?} has the role {role}, which may not {deed} in the collection {collection:?}"
        )))
    }
}

impl Caller {
    /// Refuses a caller who may not judge detections.
    ///
    /// # Errors
    /// A problem with status 403.
    pub fn may_review(&self) -> Result<(), Problem> {
        let Token { name, role, filter } = &self.0;
        if role.may_review() && filter.is_none() {
            return Ok(());
        }
        Err(Problem::forbidden(format!("the token {name:?} has the role {role} and may not review: a reviewer may")))
    }
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let token = match parts.extensions.get::<Token>() {
            Some(token) => Some(token.clone()),
            None => find_token(&parts.headers, state).await?,
        };
        token.map(Self).ok_or_else(|| Problem::unauthorized("this needs a token: send Authorization: Bearer TOKEN"))
    }
}

async fn find_token(headers: &HeaderMap, state: &AppState) -> Result<Option<Token>, Problem> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let unknown = || Problem::unauthorized("the token is unknown or was revoked");
    let (scheme, secret) = value.to_str().ok().and_then(|value| value.split_once(' ')).ok_or_else(unknown)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Problem::unauthorized("only Authorization: Bearer TOKEN is understood"));
    }
    state.database.find_token(secret.trim()).await?.map(Some).ok_or_else(unknown)
}
