//! What can end a stitch. A photo that cannot be used never does: it becomes a line of the report.

use std::path::PathBuf;

/// Why no orthophoto could be made. Every message says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there are no photos to stitch: name a folder with JPEG or TIFF photos")]
    NoPhotos,
    #[error(
        "{usable} of {total} photos can be used, and an orthophoto needs at least 3 that overlap: {reasons}; \
         add photos of the same flight"
    )]
    TooFewPhotos { usable: usize, total: usize, reasons: String },
    #[error(
        "none of the {total} photos has a GPS position and no ground control points were given: stitch photos with GPS \
         in their EXIF or XMP, or give surveyed points with --gcp gcp_list.txt"
    )]
    NoPosition { total: usize },
    #[error(
        "all {total} photos have the same GPS position, so nothing says how large the ground is and where north is: stitch \
         photos with positions of their own, or give surveyed points with --gcp gcp_list.txt"
    )]
    StuckPosition { total: usize },
    #[error(
        "cannot read photo {name}: {source}; it could be read when the stitch began, so put it back and stitch again"
    )]
    PhotoGone { name: String, source: Box<crate::raster::Error> },
    #[error(
        "photo {name} has {} × {} pixels and had {} × {} when its metadata was read: it was replaced, so stitch again",
        is[0], is[1], was[0], was[1]
    )]
    PhotoChanged { name: String, was: [usize; 2], is: [usize; 2] },
    #[error(
        "no three of the {total} photos show the same ground (largest connected set: {largest}): fly with at least \
         60 % overlap, and check that all photos are of one place and not blurred"
    )]
    NoOverlap { total: usize, largest: usize },
    #[error("the adjustment found no consistent geometry in {photos} photos: {detail}")]
    NoGeometry { photos: usize, detail: String },
    #[error("cannot read the ground control points of {path}, line {line}: {detail}")]
    GcpSyntax { path: PathBuf, line: usize, detail: String },
    #[error("cannot read the ground control points of {path}")]
    GcpFile { path: PathBuf, source: std::io::Error },
    #[error("{found}; {remedy}")]
    GcpElsewhere { found: String, remedy: String },
    #[error(
        "photos without GPS need at least 3 ground control points that are each marked in 2 or more photos; \
         {usable} of {total} can be used: mark more points"
    )]
    TooFewGcps { usable: usize, total: usize },
    #[error("the folder for {path} does not exist: make it first or choose another --out")]
    NoOutputFolder { path: PathBuf },
    #[error("{path} is named for two of the orthophoto, the surface and the terrain: give each a file of its own")]
    SameOutput { path: PathBuf },
    #[error(
        "the orthophoto would be {width} × {height} pixels at {gsd_m} m: a photo is probably placed wrongly, or choose a \
         larger --gsd"
    )]
    TooLarge { width: usize, height: usize, gsd_m: f64 },
    #[error("cannot read again what was put aside on the disk: {source}; check the disk and stitch again")]
    Shelf { source: std::io::Error },
    #[error("stopped; nothing was written")]
    Stopped,
    #[error(transparent)]
    Spatial(#[from] crate::spatial::Error),
    #[error(transparent)]
    Raster(#[from] crate::raster::Error),
}

pub type Result<T, E = Error> = std::result::Result<T, E>;
