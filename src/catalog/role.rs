//! What somebody may do.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::Error;

/// The role of a token or a key, from the least to the most that it may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Adds to raw.
    Uploader,
    /// Writes ortho, results, models and detections.
    Pipeline,
    /// Everything.
    Admin,
}

impl Role {
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Uploader, Self::Pipeline, Self::Admin];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Uploader => "uploader",
            Self::Pipeline => "pipeline",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or_else(|| Error::Name {
            what: "role",
            value: text.to_owned(),
            rule: "it is one of viewer, uploader, pipeline, admin",
        })
    }
}
