//! Stable URLs of assets: `/assets/{collection}/{item}/{asset}`.
//!
//! HEAD is answered here, from the catalog. That matters: GDAL up to 3.6 reads 17 kB of a COG through a URL that
//! answers HEAD itself and redirects GET to a presigned URL, and the whole file through a bare presigned one. GET is
//! streamed, with ranges, or redirected, by setting. Both give the very version that the item names.

use std::time::Duration;

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};

use super::{
    AppState,
    access::Reader,
    catalog::find_item,
    conditional::{is_known, not_modified},
    problem::Problem,
};
use crate::catalog::{ObjectRef, object_of};

/// How long a presigned URL lives: long enough for a slow reader of one range, short enough not to be passed on.
const PRESIGNED_FOR: Duration = Duration::from_mins(15);

/// What an asset may do when a browser shows it as a page: a report shows its own style and pictures, and nothing else,
/// not even a page that somebody uploaded, runs, loads or belongs to this site.
const POLICY: &str = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:";

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/assets/{collection}/{item}/{asset}", get(get_asset).head(head_asset))
}

type AssetPath = Path<(String, String, String)>;

async fn head_asset(
    State(state): State<AppState>,
    reader: Reader,
    path: AssetPath,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (object, etag) = match find_asset(&state, &reader, &path, &headers).await? {
        Found::Object(object, etag) => (object, etag),
        Found::Answered(response) => return Ok(response),
    };
    let mut response = described(&object, &etag, Body::empty());
    response.headers_mut().insert(header::CONTENT_LENGTH, object.size_bytes.into());
    Ok(response)
}

async fn get_asset(
    State(state): State<AppState>,
    reader: Reader,
    path: AssetPath,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (object, etag) = match find_asset(&state, &reader, &path, &headers).await? {
        Found::Object(object, etag) => (object, etag),
        Found::Answered(response) => return Ok(response),
    };
    if state.settings.redirect_assets {
        return Ok(redirect(&state.objects.presign(&object, PRESIGNED_FOR).await?));
    }
    let range = wanted_range(&headers, &etag, object.size_bytes)?;
    let body = Body::from_stream(state.objects.read(&object, range).await?);
    let mut response = described(&object, &etag, body);
    let mut length = object.size_bytes;
    if let Some((first, last)) = range {
        length = last - first + 1;
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        let range = format!("bytes {first}-{last}/{}", object.size_bytes);
        response
            .headers_mut()
            .insert(header::CONTENT_RANGE, HeaderValue::from_str(&range).expect("digits are a header"));
    }
    response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    Ok(response)
}

enum Found {
    /// The object to serve, and its `ETag`.
    Object(ObjectRef, String),
    /// The whole answer already: the asset is at a URL that is not polder's, or the client has it.
    Answered(Response),
}

async fn find_asset(
    state: &AppState,
    reader: &Reader,
    path: &AssetPath,
    headers: &HeaderMap,
) -> Result<Found, Problem> {
    let object = match locate_asset(state, reader, path).await? {
        Ok(object) => object,
        Err(url) => return Ok(Found::Answered(redirect(&url))),
    };
    let etag = etag(&object);
    if is_known(headers, &etag) {
        return Ok(Found::Answered(not_modified(&etag)));
    }
    Ok(Found::Object(object, etag))
}

/// The object that an item's asset names, or the URL of an asset that is somebody else's.
async fn locate_asset(
    state: &AppState,
    reader: &Reader,
    Path((collection, id, key)): &AssetPath,
) -> Result<Result<ObjectRef, String>, Problem> {
    let item = find_item(state, reader, collection, id).await?;
    let missing = || Problem::not_found("asset", &format!("{collection}/{id}/{key}"));
    let stored = item.text.find_asset(key)?.ok_or_else(missing)?;
    let asset: stac::Asset = serde_json::from_value(stored).map_err(|_| missing())?;
    if asset.href.starts_with("https://") || asset.href.starts_with("http://") {
        return Ok(Err(asset.href));
    }
    let object = object_of(&asset).filter(|object| state.objects.is_own_bucket(&object.bucket)).ok_or_else(missing)?;
    if asset.additional_fields.contains_key("file:size") {
        return Ok(Ok(object));
    }
    // Somebody else's item may not say how large the object is; the store knows.
    let content_type = object.content_type.clone();
    let found = state.objects.find(&object).await?.ok_or_else(missing)?;
    Ok(Ok(ObjectRef { content_type, ..found }))
}

fn described(object: &ObjectRef, etag: &str, body: Body) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    let mut set = |name, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    set(header::CONTENT_TYPE, &object.content_type);
    set(header::ACCEPT_RANGES, "bytes");
    set(header::ETAG, etag);
    // The item may come to name another version, so caches ask again; the tag makes that cheap.
    set(header::CACHE_CONTROL, "no-cache");
    let file_name = object.key.rsplit('/').next().unwrap_or_default();
    let plain: String = file_name.chars().filter(|c| c.is_ascii_alphanumeric() || "._-".contains(*c)).collect();
    set(header::CONTENT_DISPOSITION, &format!("inline; filename=\"{plain}\""));
    // A photo that somebody uploaded is never a page of this site.
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::CONTENT_SECURITY_POLICY, POLICY);
    response
}

/// The checksum names the content; the version does where no checksum is known.
fn etag(object: &ObjectRef) -> String {
    match (&object.sha256, &object.version_id) {
        (sha256, _) if !sha256.is_empty() => format!("\"{sha256}\""),
        (_, Some(version)) => format!("\"{version}\""),
        _ => format!("\"{}-{}\"", object.key.len(), object.size_bytes),
    }
}

fn redirect(url: &str) -> Response {
    (StatusCode::FOUND, [(header::LOCATION, url), (header::CACHE_CONTROL, "no-store")]).into_response()
}

/// Returns the first and last byte that are asked for; nothing when it is all of them.
///
/// Several ranges, other units and a range of another version (`If-Range`) are answered with the whole, as RFC 9110
/// allows.
fn wanted_range(headers: &HeaderMap, etag: &str, size_bytes: u64) -> Result<Option<(u64, u64)>, Problem> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    if text(header::IF_RANGE).is_some_and(|tag| tag.trim() != etag) {
        return Ok(None);
    }
    let Some((first, last)) =
        text(header::RANGE).and_then(|range| range.strip_prefix("bytes=")?.trim().split_once('-'))
    else {
        return Ok(None);
    };
    let range = match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => (first, last),
        (Ok(first), Err(_)) if last.trim().is_empty() => (first, u64::MAX),
        (Err(_), Ok(0)) if first.is_empty() => return Err(Problem::no_such_range(size_bytes)),
        (Err(_), Ok(length)) if first.is_empty() => (size_bytes.saturating_sub(length), u64::MAX),
        _ => return Ok(None),
    };
    if range.0 >= size_bytes {
        return Err(Problem::no_such_range(size_bytes));
    }
    Ok(Some((range.0, range.1.min(size_bytes - 1))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(value: &str) -> Result<Option<(u64, u64)>, Problem> {
        wanted_range(&HeaderMap::from_iter([(header::RANGE, value.parse().unwrap())]), "\"a\"", 100)
    }

    #[test]
    fn a_page_among_the_assets_can_run_and_load_nothing() {
        let object = ObjectRef {
            content_type: "text/html".to_owned(),
            key: "projects/p/f/ortho-r1.report.html".to_owned(),
            ..crate::catalog::examples::orthophoto().cog
        };
        let response = described(&object, "\"a\"", Body::empty());
        let header = |name| response.headers()[name].to_str().unwrap();
        assert_eq!(header(header::CONTENT_TYPE), "text/html");
        assert_eq!(header(header::CONTENT_DISPOSITION), "inline; filename=\"ortho-r1.report.html\"");
        let policy: Vec<&str> = header(header::CONTENT_SECURITY_POLICY).split("; ").collect();
        // Scripts are allowed by nothing, and the sandbox takes this site's origin away.
        assert_eq!(policy, ["sandbox", "default-src 'none'", "style-src 'unsafe-inline'", "img-src data:"]);
    }

    #[test]
    fn ranges_are_cut_at_the_end_of_the_object() {
        assert_eq!(range("bytes=0-9").unwrap(), Some((0, 9)));
        assert_eq!(range("bytes=90-200").unwrap(), Some((90, 99)));
        assert_eq!(range("bytes=90-").unwrap(), Some((90, 99)));
        assert_eq!(range("bytes=-10").unwrap(), Some((90, 99)));
        assert_eq!(range("bytes=-1000").unwrap(), Some((0, 99)));
    }

    #[test]
    fn a_range_behind_the_end_is_refused_and_an_odd_one_ignored() {
        assert!(range("bytes=100-").is_err() && range("bytes=-0").is_err());
        for odd in ["bytes=9-1", "bytes=0-1,5-6", "lines=0-1", "bytes=", "bytes=a-b"] {
            assert_eq!(range(odd).unwrap(), None, "{odd}");
        }
    }

    #[test]
    fn a_range_of_another_version_gives_the_whole() {
        let headers = |tag: &str| {
            HeaderMap::from_iter([
                (header::RANGE, "bytes=0-9".parse().unwrap()),
                (header::IF_RANGE, tag.parse().unwrap()),
            ])
        };
        assert_eq!(wanted_range(&headers("\"b\""), "\"a\"", 100).unwrap(), None);
        assert_eq!(wanted_range(&headers("\"a\""), "\"a\"", 100).unwrap(), Some((0, 9)));
    }
}
