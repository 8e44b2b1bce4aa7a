//! Where the server is, and the token, which its protocol puts in the query string of every call.

use std::fmt::{self, Write as _};

use super::{Error, Result};

/// What authorizes polder at the server. `Debug` prints `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Wraps a token.
    pub fn new(token: impl Into<String>) -> Self {
        Self(token.into())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The root of a server's API, without the token in what it prints.
#[derive(Clone, Debug)]
pub struct Address {
    /// `http://host:3000` or `https://host/odm`, without a slash at the end.
    base: String,
    token: Option<Token>,
}

impl Address {
    /// Reads a URL as people write it.
    ///
    /// # Errors
    /// [`Error::Address`] when it is none; [`Error::SecretInAddress`] when it holds a token or a password.
    pub fn parse(url: &str, token: Option<Token>) -> Result<Self> {
        if url.contains('?') || url.contains('@') {
            return Err(Error::SecretInAddress);
        }
        let base = url.trim().trim_end_matches('/').to_owned();
        let uri: http::Uri = base.parse().map_err(|_| Error::Address(url.to_owned()))?;
        let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
        if !is_web || uri.host().is_none_or(str::is_empty) {
            return Err(Error::Address(url.to_owned()));
        }
        Ok(Self { base, token })
    }

    pub fn is_secure(&self) -> bool {
        self.base.starts_with("https:")
    }

    /// Returns the URL of a call, token included: for the wire alone.
    pub fn call(&self, path: &str, query: &[(&str, String)]) -> String {
        let token = self.token.iter().map(|Token(token)| ("token", token.clone()));
        let pairs: Vec<(&str, String)> = query.iter().cloned().chain(token).collect();
        let mark = if pairs.is_empty() { "" } else { "?" };
        format!("{}{path}{mark}{}", self.base, form(&pairs))
    }

    /// Takes the token out of a text that comes from elsewhere, in each of the ways in which it may be written.
    pub fn scrub(&self, text: &str) -> String {
        let Some(Token(token)) = self.token.as_ref().filter(|Token(token)| !token.is_empty()) else {
            return text.to_owned();
        };
        text.replace(token.as_str(), "***").replace(&encode(token), "***")
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)
    }
}

/// Returns pairs as `application/x-www-form-urlencoded`.
pub fn form(pairs: &[(&str, String)]) -> String {
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    pairs.join("&")
}

/// Percent-encodes all but the unreserved characters of RFC 3986, section 2.3.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("writing to a string cannot fail");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address() -> Address {
        Address::parse("http://odm.example:3000/", Some(Token::new("s3cr&t"))).unwrap()
    }

    #[test]
    fn the_token_is_in_the_call_and_in_nothing_that_is_shown() {
        let address = address();
        assert_eq!(address.call("/info", &[]), "http://odm.example:3000/info?token=s3cr%26t");
        let query = [("line", "-20".to_owned())];
        assert_eq!(
            address.call("/task/1/output", &query),
            "http://odm.example:3000/task/1/output?line=-20&token=s3cr%26t"
        );
        let shown = format!("{address} {address:?}");
        assert!(!shown.contains("s3cr"), "{shown}");
        assert_eq!(address.scrub("GET /info?token=s3cr%26t failed, s3cr&t"), "GET /info?token=*** failed, ***");
    }

    #[test]
    fn a_secret_in_the_address_is_refused_without_being_told() {
        for url in ["http://h:3000?token=abc", "http://me:abc@h:3000", "http://h/?token=abc"] {
            let error = Address::parse(url, None).unwrap_err().to_string();
            assert!(error.contains("POLDER_ODM_TOKEN") && !error.contains("abc"), "{error}");
        }
    }

    #[test]
    fn what_is_no_address_is_said_so() {
        for url in ["", "odm:3000", "localhost", "ftp://h", "http://", "/task"] {
            assert!(matches!(Address::parse(url, None), Err(Error::Address(_))), "{url}");
        }
        assert_eq!(Address::parse("https://h/odm/", None).unwrap().call("/info", &[]), "https://h/odm/info");
    }
}
