//! Swagger UI, which shows the OpenAPI document to people and lets them try it.
//!
//! All of it is in the binary, so it works without the internet, and every address in the page is relative to the page,
//! so it works under any prefix of a proxy.

use std::{
    io::{Cursor, Read as _},
    sync::LazyLock,
};

use axum::{
    Router,
    http::header,
    response::{Html, IntoResponse, Response},
    routing::get,
};
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::ZipArchive;

use super::AppState;

const PAGE: &str = include_str!("swagger.html");
const START: &str = include_str!("swagger.js");
static STYLE: LazyLock<String> = LazyLock::new(|| part("/dist/swagger-ui.css"));
static SCRIPT: LazyLock<String> = LazyLock::new(|| part("/dist/swagger-ui-bundle.js"));

/// Swagger UI writes its own styles and draws its icons from `data:`; scripts come from here alone.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; frame-ancestors 'self'";

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/stac/api.html", get(page))
        .route("/stac/api/swagger-ui.css", get(async || kept("text/css; charset=utf-8", &STYLE)))
        .route("/stac/api/swagger-ui-bundle.js", get(async || kept(JAVASCRIPT, &SCRIPT)))
        .route("/stac/api/swagger-start.js", get(async || kept(JAVASCRIPT, START)))
}

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

async fn page() -> Response {
    ([(header::CONTENT_SECURITY_POLICY, POLICY)], Html(PAGE)).into_response()
}

/// What changes only with polder itself, which a browser may keep for a day.
fn kept(media_type: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, "public, max-age=86400")], text).into_response()
}

/// Takes a file out of the archive in which Swagger UI is published.
fn part(end: &str) -> String {
    let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED)).expect("Swagger UI comes as a zip archive");
    let name = archive.file_names().find(|name| name.ends_with(end)).map(str::to_owned);
    let name = name.unwrap_or_else(|| panic!("Swagger UI has no {end}"));
    let mut text = String::new();
    let mut file = archive.by_name(&name).expect("the archive lists this file");
    file.read_to_string(&mut text).expect("the files of Swagger UI are text");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archive_has_what_the_page_asks_for() {
        assert!(SCRIPT.contains("SwaggerUIBundle") && STYLE.contains(".swagger-ui"));
        for asked in ["api/swagger-ui.css", "api/swagger-ui-bundle.js", "api/swagger-start.js"] {
            assert!(PAGE.contains(&format!("=\"{asked}\"")), "{asked}");
        }
        assert!(!PAGE.contains("http") && !START.contains("http"), "nothing comes from another host");
    }
}
