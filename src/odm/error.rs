//! What can end a stitch by OpenDroneMap. Every message says what to do next, and none holds the token.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{photogrammetry, raster, spatial};

/// What the functions of this module return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why OpenDroneMap made no orthophoto.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0:?} is no address of a NodeODM or ClusterODM server: write it as http://host:3000")]
    Address(String),
    #[error(
        "the address of the ODM server holds a secret, which everyone on this machine can read in the list of processes: \
         leave it out of --odm-url and put it in POLDER_ODM_TOKEN"
    )]
    SecretInAddress,
    #[error(
        "--odm-url is https, but this machine has no certificates to check it with: install ca-certificates ({reason})"
    )]
    NoCertificates { reason: String },
    #[error("cannot reach the ODM server {url}, to {doing}: {reason}; check --odm-url, and that the server runs")]
    Unreachable { url: String, doing: String, reason: String },
    #[error("the ODM server {url} answers {status} to the call to {doing}: {said}")]
    Status { url: String, doing: String, status: u16, said: String },
    #[error(
        "the ODM server {url} does not accept the token, to {doing}: put the right one in POLDER_ODM_TOKEN (the server \
         says: {said})"
    )]
    Unauthorized { url: String, doing: String, said: String },
    #[error(
        "what answers at {url} is no NodeODM or ClusterODM: {reason}; check --odm-url, its port too (3000 by default)"
    )]
    NotOdm { url: String, reason: String },
    #[error("the ODM server {url} refuses to {doing}: {said}")]
    Refused { url: String, doing: String, said: String },
    #[error("the ODM server {url} has no option {name}{near}: `curl {url}/options` lists those it has")]
    UnknownOption { url: String, name: String, near: String },
    #[error("--odm-option {name}={value}: {reason}")]
    OptionValue { name: String, value: String, reason: String },
    #[error(
        "the ODM server {url} takes {most} photos at most and there are {photos}: choose a larger server, a ClusterODM, or \
         raise its --max_images"
    )]
    TooManyPhotos { url: String, photos: usize, most: usize },
    #[error(
        "the ODM server {url} no longer knows task {task}: it was removed there, or the server lost its data; run the same \
         command again to upload the photos anew"
    )]
    TaskLost { url: String, task: String },
    #[error("task {task} was cancelled on the ODM server {url}: run the same command again to restart it there")]
    CancelledThere { url: String, task: String },
    #[error(
        "stopped: task {task} was cancelled on the ODM server {url}; run the same command again to go on with the photos \
         that are there"
    )]
    Stopped { url: String, task: String },
    #[error("stopped before anything was on the ODM server")]
    StoppedEarly,
    #[error("ODM failed on task {task}: {message}; {advice}. Its last words: {tail}")]
    Failed { task: String, message: String, advice: &'static str, tail: String },
    #[error(
        "the result of task {task} did not come over whole: {reason}; run the same command again, the result stays on the \
         server"
    )]
    Download { task: String, reason: String },
    #[error(
        "the result of task {task} has no orthophoto in it, only {has}: look at the task's output on the ODM server"
    )]
    NoOrthophoto { task: String, has: String },
    #[error(
        "the orthophoto of ODM does not say where it is ({missing}): ODM had neither GPS nor control points that it could \
         use; give surveyed points with --gcp gcp_list.txt, or stitch photos with GPS in their EXIF"
    )]
    NotGeoreferenced { missing: String },
    #[error("another polder is at work on the same task ({}): wait for it, or stop it", path.display())]
    Busy { path: PathBuf },
    #[error("cannot use {}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("the computation broke off: {0}")]
    Computation(#[from] tokio::task::JoinError),
    #[error(transparent)]
    Photogrammetry(#[from] photogrammetry::Error),
    #[error(transparent)]
    Raster(#[from] raster::Error),
    #[error(transparent)]
    Spatial(#[from] spatial::Error),
}

impl Error {
    /// Tells whether the disk is full.
    pub fn is_full(&self) -> bool {
        match self {
            Self::File { source, .. } => source.kind() == io::ErrorKind::StorageFull,
            Self::Raster(error) => matches!(error, raster::Error::Full { .. }),
            _ => false,
        }
    }

    /// Tells whether the same call may well succeed in a while.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            // 408 and 429 ask for another try in so many words.
            Self::Status { status, .. } => *status >= 500 || [408, 429].contains(status),
            _ => false,
        }
    }

    /// Wraps a fault of a file.
    pub(super) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}
