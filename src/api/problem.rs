//! Errors as answers: `application/problem+json` (RFC 9457), with the `code` and `description` that STAC and OGC
//! clients look for. The only place that knows which error has which status.

pub(super) mod refusal;

use std::any::Any;

use axum::{
    http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use tracing::error;
use utoipa::ToSchema;

use super::objects::ObjectError;
use crate::{
    catalog::{self, Fault},
    database,
};

const MEDIA_TYPE: &str = "application/problem+json";

/// An error that the client may see.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    /// Each thing that is wrong with what was sent.
    faults: Vec<Fault>,
    /// What the status asks for beside the body, as `Retry-After`.
    header: Option<Box<(HeaderName, HeaderValue)>>,
}

/// The JSON of a problem.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemBody<'a> {
    /// What kind of problem it is; `about:blank` means that the status says it.
    r#type: &'a str,
    title: &'a str,
    status: u16,
    /// What went wrong with this request, and what would be right.
    detail: &'a str,
    /// A name of the kind of problem that programs can rely on.
    code: &'a str,
    /// The same as `detail`, under the name that STAC and OGC give it.
    description: &'a str,
    /// Each thing that is wrong with a document that was sent, and where.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(value_type = Option<Vec<Object>>, nullable = false)]
    errors: &'a [Fault],
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), faults: Vec::new(), header: None }
    }

    fn with(self, name: HeaderName, value: impl TryInto<HeaderValue>) -> Self {
        Self { header: value.try_into().ok().map(|value| Box::new((name, value))), ..self }
    }

    /// 400: the parameter `name` has a value that cannot be used; `rule` says what would be right.
    pub fn parameter(name: &str, value: &str, rule: &str) -> Self {
        // A polygon of a thousand places need not come back whole.
        let mut shown: String = value.chars().take(100).collect();
        if shown.len() < value.len() {
            shown.push('…');
        }
        Self::new(StatusCode::BAD_REQUEST, "InvalidParameterValue", format!("parameter {name}: {rule}; got {shown:?}"))
    }

    /// 400 for all other faults of a request.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", detail)
    }

    /// 404: there is no `what` named `name`.
    pub fn not_found(what: &str, name: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", format!("there is no {what} {name:?}"))
    }

    /// 409: what is asked contradicts what is there.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "Conflict", detail)
    }

    /// 412: somebody else was faster.
    pub fn changed() -> Self {
        let detail = "it has changed since you read it: read it again, and send the ETag of that in If-Match";
        Self::new(StatusCode::PRECONDITION_FAILED, "PreconditionFailed", detail)
    }

    /// 413.
    pub fn too_large(largest: usize) -> Self {
        let detail = format!("the body of a request may have {largest} bytes at most");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLarge", detail)
    }

    /// 415.
    pub fn not_json() -> Self {
        let detail = "send the body as application/json, and say so in Content-Type";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", detail)
    }

    /// 416: the object ends before the range starts.
    pub fn no_such_range(size_bytes: u64) -> Self {
        let detail = format!("the asset has {size_bytes} bytes");
        Self::new(StatusCode::RANGE_NOT_SATISFIABLE, "RangeNotSatisfiable", detail)
            .with(header::CONTENT_RANGE, format!("bytes */{size_bytes}"))
    }

    /// 401: who are you?
    pub fn unauthorized(detail: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", detail)
            .with(header::WWW_AUTHENTICATE, "Bearer realm=\"polder\"")
    }

    /// 403: your role is not enough.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Forbidden", detail)
    }

    fn unavailable(what: &str) -> Self {
        let detail = format!("{what} cannot be reached at present; try again");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "Unavailable", detail).with(header::RETRY_AFTER, "5")
    }

    /// 500, for what should never be.
    pub fn broken(error: &dyn std::error::Error) -> Self {
        error!("cannot answer: {error}");
        Self::internal()
    }

    fn internal() -> Self {
        let detail = "polder failed to answer; its log says why";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = ProblemBody {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            code: self.code,
            description: &self.detail,
            errors: &self.faults,
        };
        let json = serde_json::to_vec(&body).expect("a struct of strings is JSON");
        let mut response = (self.status, [(header::CONTENT_TYPE, MEDIA_TYPE)], json).into_response();
        response.headers_mut().extend(self.header.map(|header| *header));
        response
    }
}

impl From<database::Error> for Problem {
    fn from(error: database::Error) -> Self {
        use database::Error;
        match &error {
            Error::PageToken(token) => {
                return Self::parameter("token", token, "use the token of a `next` or `prev` link");
            }
            Error::ItemExists(..) | Error::CollectionExists(_) => {
                return Self::new(StatusCode::CONFLICT, "AlreadyExists", error.to_string());
            }
            Error::UnknownCollection(name) => return Self::not_found("collection", name),
            Error::ItemChanged => return Self::changed(),
            _ => {}
        }
        if error.is_timeout() {
            let detail =
                "the question takes too long to answer; ask for less: a smaller bbox, a shorter time, a collection";
            return Self::new(StatusCode::SERVICE_UNAVAILABLE, "Timeout", detail);
        }
        error!(error = %error, "the database could not answer: {error}");
        if error.is_unavailable() { Self::unavailable("the database") } else { Self::internal() }
    }
}

impl From<ObjectError> for Problem {
    fn from(error: ObjectError) -> Self {
        error!(error = %error, "an object could not be read: {error}");
        match error {
            ObjectError::Missing(_) => Self::new(
                StatusCode::NOT_FOUND,
                "NotFound",
                "the catalog knows this asset but its object is gone from the store",
            ),
            ObjectError::Unavailable(_) => Self::unavailable("the object store"),
            ObjectError::Failed(_) => Self::internal(),
        }
    }
}

impl From<catalog::Error> for Problem {
    fn from(error: catalog::Error) -> Self {
        match error {
            catalog::Error::Time { value, rule } => Self::parameter("datetime", &value, rule),
            catalog::Error::PatchTest { .. } => Self::conflict(error.to_string()),
            catalog::Error::Faults(faults) => {
                let detail = catalog::Error::Faults(faults.clone()).to_string();
                Self { faults, ..Self::new(StatusCode::BAD_REQUEST, "InvalidDocument", detail) }
            }
            error => Self::bad_request(error.to_string()),
        }
    }
}

/// Answers a path that is none.
pub(super) async fn no_such_path(uri: Uri) -> Problem {
    Problem::not_found("path", uri.path())
}

/// Answers a method that a path does not have.
pub(super) async fn no_such_method(method: Method, uri: Uri) -> Problem {
    let detail = format!("{} has no method {method}", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", detail)
}

/// Answers when a handler panicked, which is a bug.
#[expect(clippy::needless_pass_by_value, reason = "tower-http calls it like this")]
pub(super) fn panicked(payload: Box<dyn Any + Send + 'static>) -> Response {
    let message = payload.downcast_ref::<String>().map(String::as_str);
    let message = message.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no message");
    error!("a request handler panicked: {message}");
    Problem::internal().into_response()
}
