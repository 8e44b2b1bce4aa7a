//! Answers that a client has already (RFC 9110, 13).

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

/// Tells whether the client has what `etag` names: `If-None-Match`, compared weakly.
pub(super) fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let wanted = opaque(etag);
    let values = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|tag| tag.trim() == "*" || opaque(tag) == wanted)
}

/// Returns the beginning of the digest that a client has seen: `If-Match`.
///
/// Our tags are weak, because compression changes the bytes, and RFC 9110 lets no weak tag match here. But they name what
/// is stored exactly, which is all that keeps one client from undoing what another did.
pub(super) fn expected(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::IF_MATCH)?.to_str().ok()?.trim();
    if value == "*" {
        return None;
    }
    let opaque = value.trim_start_matches("W/").trim_matches('"');
    // The form in which the item was given does not matter for changing it.
    let digest = opaque.strip_suffix("-https").or_else(|| opaque.strip_suffix("-s3")).unwrap_or(opaque);
    Some(if digest.is_empty() { "no such tag".to_owned() } else { digest.to_owned() })
}

/// 304, with the tag.
pub(super) fn not_modified(etag: &str) -> Response {
    let etag = HeaderValue::from_str(etag).unwrap_or_else(|_| HeaderValue::from_static("\"\""));
    (StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_expected_in_whatever_form_it_was_given() {
        let expects = |value: &str| expected(&HeaderMap::from_iter([(header::IF_MATCH, value.parse().unwrap())]));
        for seen in ["W/\"ab12-https\"", "\"ab12-s3\"", "\"ab12\""] {
            assert_eq!(expects(seen).as_deref(), Some("ab12"), "{seen}");
        }
        assert_eq!(expects("*"), None);
        assert!(expects("\"\"").is_some(), "an empty tag must not match everything");
    }

    #[test]
    fn a_tag_is_known_weakly_in_a_list_or_as_a_star() {
        let known = |value: &str| {
            let headers = HeaderMap::from_iter([(header::IF_NONE_MATCH, value.parse().unwrap())]);
            is_known(&headers, "W/\"a\"")
        };
        assert!(known("\"a\"") && known("W/\"a\"") && known("\"b\", W/\"a\"") && known("*"));
        assert!(!known("\"b\"") && !known("a\"b"));
    }
}
