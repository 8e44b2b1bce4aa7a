//! What somebody may do.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{Error, Layer};

/// The role of a token or a key, from the least to the most that it may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Reads, and judges detections.
    Reviewer,
    /// Adds to raw.
    Uploader,
    /// Writes ortho, results, models and detections.
    Pipeline,
    /// Everything.
    Admin,
}

impl Role {
    pub const ALL: [Self; 5] = [Self::Viewer, Self::Reviewer, Self::Uploader, Self::Pipeline, Self::Admin];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Reviewer => "reviewer",
            Self::Uploader => "uploader",
            Self::Pipeline => "pipeline",
            Self::Admin => "admin",
        }
    }
}

/// What a writer wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Add an item that is not there yet.
    Add,
    /// Change or remove an item.
    Change,
    /// Add, change or remove a collection.
    Describe,
}

impl Role {
    /// Tells whether this role may do something in a collection. Collections that are no layer are the admin's.
    pub fn may(self, deed: Deed, collection: &str) -> bool {
        match (self, deed, Layer::from_collection(collection)) {
            (Self::Admin, ..) | (Self::Uploader | Self::Pipeline, Deed::Add, Some(Layer::Raw)) => true,
            (Self::Pipeline, Deed::Add | Deed::Change, Some(layer)) => layer != Layer::Raw,
            _ => false,
        }
    }
}

impl Role {
    /// Tells whether this role may judge detections. A pipeline may not: reviews are what people say.
    pub const fn may_review(self) -> bool {
        matches!(self, Self::Reviewer | Self::Admin)
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Add => "add items",
            Self::Change => "change items",
            Self::Describe => "change collections",
        })
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
            rule: "it is one of viewer, reviewer, uploader, pipeline, admin",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_writes_its_own_layers() {
        assert!(Role::Uploader.may(Deed::Add, "drone-raw") && !Role::Uploader.may(Deed::Change, "drone-raw"));
        assert!(!Role::Uploader.may(Deed::Add, "drone-ortho") && !Role::Viewer.may(Deed::Add, "drone-raw"));
        assert!(Role::Pipeline.may(Deed::Change, "ai-results") && !Role::Pipeline.may(Deed::Change, "drone-raw"));
        assert!(!Role::Pipeline.may(Deed::Add, "sentinel-2") && Role::Admin.may(Deed::Add, "sentinel-2"));
        assert!(!Role::Reviewer.may(Deed::Change, "ai-results") && !Role::Reviewer.may(Deed::Add, "drone-raw"));
        assert_eq!(Role::ALL.map(Role::may_review), [false, true, false, false, true]);
        assert!(Role::ALL.into_iter().all(|role| role.may(Deed::Describe, "ai-results") == (role == Role::Admin)));
    }
}
