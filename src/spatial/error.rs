//! What can go wrong with a place.

/// Why a coordinate or a coordinate system could not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is not `EPSG:` and a number.
    #[error("cannot read {0:?} as a coordinate system: write it as EPSG:28992")]
    CrsSyntax(String),
    /// The projection library does not know the code.
    #[error("cannot use EPSG:{epsg}: {reason}")]
    UnknownCrs { epsg: u32, reason: String },
    /// There is no way from one system to the other at this place.
    #[error("cannot convert ({x}, {y}) from EPSG:{from} to EPSG:{to}: {reason}")]
    Projection { x: f64, y: f64, from: u32, to: u32, reason: String },
    /// The geotransform has no inverse.
    #[error("cannot invert the geotransform {0:?}: its pixels have no area")]
    DegenerateGeoTransform([f64; 6]),
}
