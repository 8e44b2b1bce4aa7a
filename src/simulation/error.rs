//! What can go wrong while a world is made or judged.

use std::{io, path::PathBuf};

/// Why a flight could not be simulated, or a result not be judged.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A number that was asked for makes no flight.
    #[error("cannot simulate the flight: {0}")]
    Options(String),
    /// The folder belongs to another flight.
    #[error("{} already holds photos of another flight ({example}): choose an empty folder", folder.display())]
    FolderInUse { folder: PathBuf, example: String },
    /// A file or folder could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// A photo's EXIF or XMP could not be made.
    #[error("cannot write the metadata of {photo}: {reason}")]
    Metadata { photo: String, reason: String },
    /// A file of the truth, or what is judged by it, could not be understood.
    #[error("cannot read {}: {reason}", path.display())]
    Read { path: PathBuf, reason: String },
    /// The orthophoto does not show what the truth shows.
    #[error("only {matched} of {tried} places of the truth were found on {}: it shows something else, or is torn", path.display())]
    NoMatch { path: PathBuf, matched: usize, tried: usize },
    /// Pixels.
    #[error(transparent)]
    Raster(#[from] crate::raster::Error),
    /// Coordinates.
    #[error(transparent)]
    Spatial(#[from] crate::spatial::Error),
}
