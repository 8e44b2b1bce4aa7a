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
    #[error(
        "all versions of the model {0} are retired: name the one you want, as {0}@VERSION (`polder model list {0}`)"
    )]
    AllRetired(String),
    #[error("say which version of the model {0}, as {0}@VERSION (`polder model list {0}` shows them)")]
    NoVersion(String),
    #[error(
        "the model {model} is in the registry with other weights (SHA-256 {there}), and runs refer to them: choose another version"
    )]
    OtherWeights { model: String, there: String },
    #[error("no model can be called {0}: items of data sets begin with that name")]
    ReservedName(String),
    #[error(
        "there is no item {0} in the catalog: name it as COLLECTION/ID, a model as NAME@VERSION, a finding as RUN#NUMBER"
    )]
    UnknownItem(String),
    #[error("there is no data set {0}: `polder dataset list` shows those that are")]
    UnknownDataset(String),
    #[error("{0} is the start of several data sets: give more digits of the hash")]
    SeveralDatasets(String),
    #[error(
        "nothing on the pictures for {name} is labelled, and {waiting} chips wait for a review: accept findings \
             (`polder review`), or bring labels (--geojson, --coco, --yolo)"
    )]
    NothingLabelled { name: String, waiting: usize },
    #[error("{dataset} has no picture in {split}: take another split, or another --seed when it is made")]
    EmptySplit { dataset: String, split: String },
    #[error(
        "refusing to judge {model} on {split} of {dataset}: {reason}. Figures on what was learned say nothing about \
             what comes: take another split, or a data set from other places"
    )]
    JudgedOnTraining { model: String, dataset: String, split: String, reason: String },
    #[error("cannot use the labels in {file}: {reason}")]
    Labels { file: String, reason: String },
    #[error("{} is not empty: name a folder that is, or one that is not there yet", .0.display())]
    NotEmpty(PathBuf),
    #[error("item {item} is damaged: {reason}")]
    DamagedItem { item: String, reason: String },
    #[error("cannot use the work folder {}: {source}", path.display())]
    Work { path: PathBuf, source: std::io::Error },
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("cannot write {}: {reason}", path.display())]
    Export { path: PathBuf, reason: String },
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
