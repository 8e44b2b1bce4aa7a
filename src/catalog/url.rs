//! Names in the path of a URL.

use std::fmt::Write;

/// Writes a name as one segment of a URL's path: all but unreserved characters become `%XX` (RFC 3986, 2.3).
///
/// ```
/// assert_eq!(polder::catalog::percent_encoded("a/b é"), "a%2Fb%20%C3%A9");
/// ```
pub fn percent_encoded(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("writing to a string cannot fail");
        }
    }
    out
}
