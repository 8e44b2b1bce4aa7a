//! The four layers of the river, each with one bucket and one collection.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One step of the river: what is stored in one bucket and described by one STAC collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// Photos as the camera wrote them.
    Raw,
    /// Orthophotos, one per flight and run.
    Ortho,
    /// Detection runs over orthophotos.
    Results,
    /// Detector weights, one item per version.
    Models,
}

impl Layer {
    /// All layers, in the order in which data passes through them.
    pub const ALL: [Self; 4] = [Self::Raw, Self::Ortho, Self::Results, Self::Models];

    /// Returns the id of the STAC collection of this layer, which is also the default name of its bucket.
    pub const fn collection(self) -> &'static str {
        match self {
            Self::Raw => "drone-raw",
            Self::Ortho => "drone-ortho",
            Self::Results => "ai-results",
            Self::Models => "ai-models",
        }
    }

    /// Returns the layer whose collection has this id.
    pub fn from_collection(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|layer| layer.collection() == id)
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.collection())
    }
}
