//! What a reader may choose: the form of hrefs.

use std::str::FromStr;

use crate::catalog::{Error, Result};

/// Which hrefs a reader gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hrefs {
    /// As stored: the object itself, and no link that depends on where the API is served.
    Stored,
    /// Stable URLs of polder, with the object under `alternate.s3`.
    #[default]
    Https,
    /// The object itself, with polder's URL under `alternate.https`.
    S3,
}

impl FromStr for Hrefs {
    type Err = Error;

    /// Reads `https` or `s3`, the two that a reader may ask for.
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "https" => Ok(Self::Https),
            "s3" => Ok(Self::S3),
            _ => Err(Error::Name { what: "kind of href", value: text.to_owned(), rule: "it is one of https, s3" }),
        }
    }
}
