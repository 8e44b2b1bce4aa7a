//! The address under which a client sees polder, which every link starts with.

use std::convert::Infallible;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};

use super::AppState;

/// Scheme, host and path prefix without a slash at the end, as `https://maps.example.org/polder`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Base(pub String);

impl FromRequestParts<AppState> for Base {
    type Rejection = Infallible;

    /// Takes the configured address, else what a proxy says (`Forwarded`, then `X-Forwarded-*`), else the host that
    /// was asked.
    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Infallible> {
        if let Some(url) = &state.settings.base_url {
            return Ok(Self(url.trim_end_matches('/').to_owned()));
        }
        let asked = parts.uri.authority().map(|authority| authority.as_str().to_owned());
        Ok(Self(from_headers(&parts.headers, asked)))
    }
}

fn from_headers(headers: &HeaderMap, asked: Option<String>) -> String {
    // Several proxies make a list of which the first is the one that the client spoke to.
    let first = |name: &str| {
        let value = headers.get(name)?.to_str().ok()?.split(',').next()?.trim();
        (!value.is_empty()).then(|| value.to_owned())
    };
    let forwarded = first("forwarded");
    let part = |name: &str| {
        let part = forwarded.as_deref()?.split(';').find_map(|part| {
            let (key, value) = part.trim().split_once('=')?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })?;
        Some(part.trim_matches('"').to_owned())
    };
    let scheme = part("proto")
        .or_else(|| first("x-forwarded-proto"))
        .filter(|scheme| matches!(scheme.as_str(), "http" | "https"));
    let scheme = scheme.unwrap_or_else(|| "http".to_owned());
    let host = part("host").or_else(|| first("x-forwarded-host")).or_else(|| first(header::HOST.as_str())).or(asked);
    let host = host.filter(|host| is_host(host)).unwrap_or_else(|| "localhost".to_owned());
    let port = first("x-forwarded-port").filter(|port| {
        let usual = if scheme == "https" { "443" } else { "80" };
        headers.contains_key("x-forwarded-host")
            && !has_port(&host)
            && port != usual
            && port.bytes().all(|b| b.is_ascii_digit())
    });
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    let prefix = first("x-forwarded-prefix").filter(|prefix| is_path(prefix)).unwrap_or_default();
    format!("{scheme}://{host}{port}{}", prefix.trim_end_matches('/'))
}

/// Links are written into JSON and HTML, so a header must not bring anything else along.
fn is_host(host: &str) -> bool {
    !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_:[]".contains(&b))
}

fn is_path(path: &str) -> bool {
    path.starts_with('/') && path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/.-_~%".contains(&b))
}

fn has_port(host: &str) -> bool {
    host.rsplit_once(':').is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(headers: &[(&'static str, &str)]) -> String {
        from_headers(
            &headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect(),
            None,
        )
    }

    #[test]
    fn the_host_that_was_asked_is_the_address() {
        assert_eq!(base(&[("host", "127.0.0.1:8080")]), "http://127.0.0.1:8080");
        assert_eq!(base(&[]), "http://localhost");
    }

    #[test]
    fn proxies_are_believed() {
        let host = ("host", "polder:8080");
        assert_eq!(
            base(&[
                host,
                ("x-forwarded-proto", "https"),
                ("x-forwarded-host", "a.example.org, b"),
                ("x-forwarded-prefix", "/p/")
            ]),
            "https://a.example.org/p"
        );
        assert_eq!(
            base(&[host, ("forwarded", "for=1.2.3.4;proto=https;host=\"c.example.org:8443\", for=x")]),
            "https://c.example.org:8443"
        );
        assert_eq!(base(&[host, ("x-forwarded-host", "d"), ("x-forwarded-port", "81")]), "http://d:81");
        assert_eq!(base(&[host, ("x-forwarded-host", "d:82"), ("x-forwarded-port", "81")]), "http://d:82");
    }

    #[test]
    fn a_header_cannot_write_into_the_answer() {
        assert_eq!(base(&[("host", "a\"><script>")]), "http://localhost");
        assert_eq!(
            base(&[("host", "a"), ("x-forwarded-prefix", "/x\"y"), ("x-forwarded-proto", "javascript")]),
            "http://a"
        );
    }
}
