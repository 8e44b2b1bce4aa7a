//! Who may read. Tokens come as `Authorization: Bearer …`.

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, header, request::Parts},
    middleware::Next,
    response::Response,
};

use super::{AppState, Role, problem::Problem};
use crate::database::Token;

/// Lets a request pass when reading is open or its token is valid. A wrong token is refused even then: who sends one
/// wants to be somebody.
pub(super) async fn check_reading(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let token = find_token(request.headers(), &state).await?;
    if token.is_none() && !state.settings.open_reading {
        return Err(Problem::unauthorized("reading needs a token here: send Authorization: Bearer TOKEN"));
    }
    Ok(next.run(request).await)
}

/// The token of a request that must have one.
#[derive(Clone, Debug)]
pub struct Caller(pub Token);

impl Caller {
    /// Refuses a caller whose role is less than `role`.
    ///
    /// # Errors
    /// A problem with status 403.
    pub fn must_be(&self, role: Role) -> Result<(), Problem> {
        if self.0.role >= role {
            return Ok(());
        }
        Err(Problem::forbidden(format!(
            "this needs the role {role}; the token {:?} has the role {}",
            self.0.name, self.0.role
        )))
    }
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let token = find_token(&parts.headers, state).await?;
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
