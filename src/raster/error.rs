//! What can go wrong with pixels.

use std::path::PathBuf;

/// Why pixels could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read at all.
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
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
    #[error("{} has no {missing}: polder needs a georeferenced raster", path.display())]
    NotGeoreferenced { path: PathBuf, missing: &'static str },
    /// The raster's layout is not supported.
    #[error("cannot use {}: {reason}", path.display())]
    Unsupported { path: PathBuf, reason: String },
    /// A temporary file could not be made, moved or removed.
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    /// The coordinate system is not known.
    #[error(transparent)]
    Spatial(#[from] crate::spatial::Error),
}

impl Error {
    pub(super) fn gdal(
        operation: &'static str,
        path: &std::path::Path,
    ) -> impl FnOnce(gdal::errors::GdalError) -> Self {
        let path = path.to_owned();
        move |source| Self::Gdal { operation, path, source }
    }
}
