//! Compression that clients can undo.

use axum::{
    extract::Request,
    http::{HeaderValue, header},
    middleware::Next,
    response::Response,
};

/// Takes `Accept-Encoding: *` for no wish at all.
///
/// It allows any coding, and zstd would be chosen; but those who send it (stac-api-validator, for one) mean that they
/// do not care, and cannot read zstd.
pub(super) async fn ignore_star(mut request: Request, next: Next) -> Response {
    let star = HeaderValue::from_static("*");
    if request.headers().get(header::ACCEPT_ENCODING) == Some(&star) {
        request.headers_mut().remove(header::ACCEPT_ENCODING);
    }
    next.run(request).await
}
