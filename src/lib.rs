//! polder turns a drone flight over a dike into an orthophoto, detections and a STAC catalog.
//!
//! The modules are listed from the ground up: a module may use the ones above it in this list, as far as
//! the table in `tests/architecture.rs` allows. Data moves downstream only: photos become an orthophoto, the
//! orthophoto becomes detections, and the catalog says where everything is.

pub mod catalog;
pub mod spatial;

#[cfg(feature = "gdal")]
pub mod raster;

#[cfg(feature = "gdal")]
pub mod detection;
#[cfg(feature = "gdal")]
pub mod photogrammetry;
#[cfg(feature = "gdal")]
pub mod simulation;

#[cfg(feature = "gdal")]
pub mod odm;

pub mod database;
pub mod storage;

pub mod pipeline;

pub mod api;

pub mod config;

pub mod commands;
