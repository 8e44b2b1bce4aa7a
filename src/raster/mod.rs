//! Pixels: decodes photos and what cameras write beside them, reads windows of rasters, writes COGs.
//!
//! Invariant: a raster is only ever read and written by window; photos alone are held whole, one at a time.

mod cog;
mod dem;
mod error;
mod heights;
mod metadata;
mod photo;
mod pixels;
mod window;
mod xmp;

pub use cog::{CogOptions, CogWriter, Compression};
pub use dem::{DEM_NODATA, DemWriter};
pub use error::Error;
pub use heights::HeightRaster;
pub use metadata::{Attitude, GpsSigma, LensCalibration, PhotoMetadata, parse_metadata, read_metadata};
pub use photo::{decode_photo, encode_jpeg, read_photo};
pub use pixels::{Rgb8, Rgba8};
pub use window::{Raster, Window};

/// What the functions of this module return.
pub type Result<T, E = Error> = std::result::Result<T, E>;
