//! Why a use case failed, and what to do about it.

use std::path::PathBuf;

use crate::{catalog, database, detection, odm, photogrammetry, raster, spatial, storage};

/// What the functions of this module return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a use case failed. What it had published before stays; nothing is half-written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no folder or file {}", .0.display())]
    NoSource(PathBuf),
    #[error("{} holds no photos: polder takes JPEG and TIFF files, also in folders below", .0.display())]
    NoPhotos(PathBuf),
    #[error("flight {flight} of project {project} has no photos in the catalog: upload them with `polder upload`")]
    UnknownFlight { project: String, flight: String },
    #[error("there is no orthophoto {0} in the catalog: `polder stitch` prints the id of what it made")]
    UnknownOrthophoto(String),
    #[error("there is no model {0} in the catalog, and no file of that name")]
    UnknownModel(String),
    #[error("item {item} is damaged: {reason}")]
    DamagedItem { item: String, reason: String },
    #[error("cannot use the work folder {}: {source}", path.display())]
    Work { path: PathBuf, source: std::io::Error },
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("the computation broke off: {0}")]
    Computation(#[from] tokio::task::JoinError),
    #[error(transparent)]
    Catalog(#[from] catalog::Error),
    #[error(transparent)]
    Database(#[from] database::Error),
    #[error(transparent)]
    Storage(#[from] storage::Error),
    #[error(transparent)]
    Photogrammetry(#[from] photogrammetry::Error),
    #[error(transparent)]
    Odm(#[from] odm::Error),
    #[error(transparent)]
    Detection(#[from] detection::Error),
    #[error(transparent)]
    Raster(#[from] raster::Error),
    #[error(transparent)]
    Spatial(#[from] spatial::Error),
}

impl Error {
    /// Says what to do next where the message itself does not.
    pub fn advice(&self) -> Option<&'static str> {
        let is_full = matches!(
            self,
            Self::Raster(raster::Error::Full { .. })
                | Self::Photogrammetry(photogrammetry::Error::Raster(raster::Error::Full { .. }))
                | Self::Storage(storage::Error::Full { .. })
        ) || matches!(self, Self::Work { source, .. } if source.kind() == std::io::ErrorKind::StorageFull)
            || matches!(self, Self::Odm(error) if error.is_full());
        let is_away = matches!(self, Self::Storage(error) if error.is_temporary())
            || matches!(self, Self::Database(error) if error.is_unavailable());
        if is_full {
            Some("make room and run the same command again: what was published stays, and the rest is done anew")
        } else if is_away {
            Some("once it answers again, run the same command again: it goes on from what was published")
        } else {
            None
        }
    }
}
