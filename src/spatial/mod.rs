//! Where things are: coordinate systems, boxes, footprints, geotransforms, ground sampling distance.
//!
//! Every coordinate is x before y: longitude before latitude, easting before northing. Whoever reads a
//! source that says otherwise converts at that border, once.
//!
//! Invariant: nothing here reads or writes anything.

mod bbox;
mod cells;
mod crs;
mod error;
mod footprint;
mod geotransform;
mod gsd;
mod local;
#[cfg(feature = "gdal")]
mod projection;
#[cfg(feature = "gdal")]
mod undulation;

pub use bbox::Bbox;
pub use cells::{Cell, Cells};
pub use crs::Crs;
pub use error::Error;
pub use footprint::{Camera, Pose, footprint};
pub use geotransform::GeoTransform;
#[cfg(feature = "gdal")]
pub use gsd::ground_gsd_m;
pub use gsd::gsd_m;
pub use local::LocalFrame;
#[cfg(feature = "gdal")]
pub use projection::Projection;
#[cfg(feature = "gdal")]
pub use undulation::Undulation;

/// What the functions of this module return.
pub type Result<T, E = Error> = std::result::Result<T, E>;
