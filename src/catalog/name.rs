//! Names that are safe in an object key, in a URL and in an item id alike.
//!
//! All are ASCII letters, digits, `-` and `_`, at most 64 of them, and start with a letter or a digit. Photo names
//! and versions may contain dots too. Projects, flights and runs may not: item ids join them with dots.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Error, Result};

const LONGEST: usize = 64;
/// File names of cameras are short, but people add words to them.
const LONGEST_PHOTO: usize = 128;

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $dots:literal, $longest:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// Checks a name.
            ///
            /// # Errors
            /// [`Error::Name`] with the rule that it breaks.
            pub fn new(value: impl Into<String>) -> Result<Self> {
                let value = value.into();
                match broken_rule(&value, $dots, $longest) {
                    None => Ok(Self(value)),
                    Some(rule) => Err(Error::Name { what: $what, value, rule }),
                }
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = Error;

            fn from_str(value: &str) -> Result<Self> {
                Self::new(value)
            }
        }

        impl TryFrom<String> for $type {
            type Error = Error;

            fn try_from(value: String) -> Result<Self> {
                Self::new(value)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0
            }
        }
    };
}

name!(
    /// One area under care, as a dike.
    Project, "project", false, LONGEST
);
name!(
    /// One sortie over a project.
    Flight, "flight", false, LONGEST
);
name!(
    /// The file name of one photo within its flight.
    PhotoName, "photo", true, LONGEST_PHOTO
);
name!(
    /// One run of a step: a short hash of its inputs and parameters, so that the same work has the same id.
    RunId, "run", false, LONGEST
);
name!(
    /// A detector, whatever its version.
    ModelName, "model", false, LONGEST
);
name!(
    /// A data set, whatever its version.
    DatasetName, "data set", false, LONGEST
);
name!(
    /// The version of a model, as `1.2.0`.
    Version, "version", true, LONGEST
);

impl PhotoName {
    /// Names the photo in a file of any name: what does not fit becomes `_`, and a hash keeps two such names apart.
    ///
    /// A name that fits is kept. The same file name always gives the same photo name.
    ///
    /// ```
    /// use polder::catalog::PhotoName;
    /// assert_eq!(PhotoName::for_file("DJI_0001.JPG").as_str(), "DJI_0001.JPG");
    /// assert!(PhotoName::for_file("dijk (2).jpg").as_str().starts_with("dijk__2_-"));
    /// ```
    pub fn for_file(file_name: &str) -> Self {
        if let Ok(name) = Self::new(file_name) {
            return name;
        }
        let (stem, extension) = file_name.rsplit_once('.').unwrap_or((file_name, ""));
        let fit = |text: &str, length: usize| -> String {
            text.chars().take(length).map(|c| if is_plain(c) { c } else { '_' }).collect()
        };
        let hash = hex::encode(Sha256::digest(file_name.as_bytes()));
        let stem = fit(stem, 100);
        let start = if stem.starts_with(|c: char| c.is_ascii_alphanumeric()) { "" } else { "photo" };
        let dot = if extension.is_empty() { "" } else { "." };
        Self(format!("{start}{stem}-{}{dot}{}", &hash[..6], fit(extension, 8)))
    }
}

impl RunId {
    /// Names a run for what goes into it: the same text gives the same run.
    ///
    /// The text should list inputs (with checksums), parameters and the software's version in a fixed order.
    pub fn of(inputs: &str) -> Self {
        Self(hex::encode(&Sha256::digest(inputs.as_bytes())[..6]))
    }
}

const fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

fn broken_rule(value: &str, dots: bool, longest: usize) -> Option<&'static str> {
    if value.is_empty() {
        return Some("it is empty");
    }
    if value.len() > longest {
        return Some(if dots { "it is too long" } else { "it has more than 64 characters" });
    }
    if !value.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Some("it must start with a letter or a digit");
    }
    if !value.chars().all(|c| is_plain(c) || (dots && c == '.')) {
        return Some(if dots {
            "use letters, digits, `-`, `_` and `.` only"
        } else {
            "use letters, digits, `-` and `_` only"
        });
    }
    // `a..b` is a plain name to S3 but a parent folder to careless tools.
    value.contains("..").then_some("it must not contain `..`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_water_boards_own_names_are_kept() {
        assert_eq!(Project::new("dijk-a").unwrap().as_str(), "dijk-a");
        assert_eq!(Flight::new("2016-06-23").unwrap().as_str(), "2016-06-23");
        assert_eq!(PhotoName::new("image_001.tiff").unwrap().as_str(), "image_001.tiff");
    }

    #[test]
    fn names_that_would_escape_a_key_or_a_url_are_refused() {
        for wrong in ["", "a/b", "..", "-a", ".a", "a b", "a.b", "dijk\u{e9}", "a\0", &"x".repeat(65)] {
            assert!(Project::new(wrong).is_err(), "{wrong:?}");
        }
        assert!(PhotoName::new("a..jpg").is_err());
    }

    #[test]
    fn any_file_name_gives_a_photo_name_and_two_give_two() {
        let names =
            ["a b.jpg", "a_b.jpg", "a(b.jpg", "", ".jpg", "..", "\u{e9}\u{e9}n", &format!("{}.JPG", "y".repeat(300))]
                .map(|file| PhotoName::for_file(file).to_string());
        for (i, name) in names.iter().enumerate() {
            assert!(PhotoName::new(name.clone()).is_ok(), "{name:?}");
            assert!(!names[..i].contains(name), "{name:?} twice");
        }
    }

    #[test]
    fn json_cannot_smuggle_a_bad_name_in() {
        assert!(serde_json::from_str::<Flight>("\"../x\"").is_err());
    }
}
