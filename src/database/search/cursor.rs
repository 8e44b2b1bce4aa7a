//! The place of an item in the order of a search, as a token that a link carries.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use super::super::{Error, Result, search::Matched};

/// Largest token that is read: ids may be long, but none is as long as this.
const LONGEST: usize = 16 * 1024;

/// Where a page starts: behind the item that has these keys.
///
/// The number that matched is carried along, so that it is counted once and not on each page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The item's value for each key of the order; nothing where it has none. Times are microseconds since 1970,
    /// properties are JSON.
    #[serde(rename = "k")]
    pub keys: Vec<Option<String>>,
    /// Whether the page lies before the item and not behind it.
    #[serde(rename = "b", default, skip_serializing_if = "std::ops::Not::not")]
    pub backward: bool,
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    pub matched: Option<Matched>,
}

impl Cursor {
    /// Writes the cursor as a token for a URL.
    pub fn token(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    /// Reads a token.
    ///
    /// # Errors
    /// [`Error::PageToken`] when [`Cursor::token`] did not write it.
    pub fn parse(token: &str) -> Result<Self> {
        Self::read(token).ok_or_else(|| Error::PageToken(token.to_owned()))
    }

    fn read(token: &str) -> Option<Self> {
        let token = (token.len() <= LONGEST).then(|| URL_SAFE_NO_PAD.decode(token).ok()).flatten()?;
        let cursor: Self = serde_json::from_slice(&token).ok()?;
        let sound = |key: &String| !key.contains('\0') && !key.contains("\\u0000");
        cursor.keys.iter().flatten().all(sound).then_some(cursor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_from_its_token_whatever_the_names_are() {
        for name in ["drone-raw", "", "/", "é \"x\"", "9/9"] {
            let keys = vec![Some("1750672800000000".to_owned()), None, Some(name.to_owned())];
            for backward in [false, true] {
                let cursor = Cursor { keys: keys.clone(), backward, matched: Some(Matched::About(7)) };
                assert_eq!(Cursor::parse(&cursor.token()).unwrap(), cursor);
            }
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let nul = Cursor { keys: vec![Some("\0".to_owned())], backward: false, matched: None };
        let wrong = ["", "x", "%", "e30", "bnVsbA", &nul.token(), &"A".repeat(LONGEST + 1)];
        for token in wrong {
            assert!(matches!(Cursor::parse(token), Err(Error::PageToken(_))), "{token:.40}");
        }
    }
}
