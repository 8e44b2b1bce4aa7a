//! What can go wrong with pixels.

use std::{
    io,
    path::{Path, PathBuf},
};

/// With less than this a disk counts as full: less than GDAL writes at once.
const FULL_BELOW_BYTES: u64 = 1 << 20;

/// Why pixels could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read at all.
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// The bytes are neither a JPEG nor a TIFF.
    #[error("not a JPEG or TIFF photo")]
    NotAPhoto,
    /// The photo is damaged: its pixels end early or do not decode.
    #[error("cannot decode the photo, it may be truncated: {0}")]
    Decode(image::ImageError),
    /// A picture could not be encoded.
    #[error("cannot encode a picture: {0}")]
    Encode(image::ImageError),
    /// GDAL cannot open or read the raster.
    #[error("cannot {operation} {}: {source}", path.display())]
    Gdal { operation: &'static str, path: PathBuf, source: gdal::errors::GdalError },
    /// The raster does not say where it is.
    #[error(
        "{} has no {missing}: polder needs a georeferenced raster; if you know where it lies, write it in with GDAL \
             (gdal_edit.py -a_srs EPSG:28992 -a_ullr WEST NORTH EAST SOUTH FILE)",
        path.display()
    )]
    NotGeoreferenced { path: PathBuf, missing: &'static str },
    /// The raster's layout is not supported.
    #[error("cannot use {}: {reason}", path.display())]
    Unsupported { path: PathBuf, reason: String },
    /// A temporary file could not be made, moved or removed.
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// The disk is full.
    #[error("cannot write {}: there is no space left on the disk", path.display())]
    Full { path: PathBuf },
    /// The coordinate system is not known.
    #[error(transparent)]
    Spatial(#[from] crate::spatial::Error),
}

impl Error {
    pub(super) fn gdal(operation: &'static str, path: &Path) -> impl FnOnce(gdal::errors::GdalError) -> Self {
        let path = path.to_owned();
        move |source| Self::Gdal { operation, path, source }
    }

    /// The same for a write: GDAL does not say that the disk is full, so the disk is asked.
    pub(super) fn gdal_write(operation: &'static str, path: &Path) -> impl FnOnce(gdal::errors::GdalError) -> Self {
        let path = path.to_owned();
        move |source| if is_full(&path) { Self::Full { path } } else { Self::Gdal { operation, path, source } }
    }

    /// Wraps an I/O error of a write.
    pub(super) fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| {
            let full = source.kind() == io::ErrorKind::StorageFull;
            if full { Self::Full { path } } else { Self::Write { path, source } }
        }
    }
}

/// Tells whether the disk that a file is on has no room.
fn is_full(path: &Path) -> bool {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    rustix::fs::statvfs(folder).is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) < FULL_BELOW_BYTES)
}
