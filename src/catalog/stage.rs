//! How far a version of a model has come.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::Error;

/// What a version of a model is for. Of one model at most one version is in production.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// It may be tried; the newest one is used as long as none is in production.
    #[default]
    Candidate,
    /// It is what the model's name stands for.
    Production,
    /// It is kept because runs were made with it, and used only where it is named with its version.
    Retired,
}

impl Stage {
    pub const ALL: [Self; 3] = [Self::Candidate, Self::Production, Self::Retired];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Candidate => "candidate",
            Self::Production => "production",
            Self::Retired => "retired",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Stage {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|stage| stage.as_str() == text).ok_or_else(|| Error::Name {
            what: "stage",
            value: text.to_owned(),
            rule: "it is one of candidate, production, retired",
        })
    }
}
