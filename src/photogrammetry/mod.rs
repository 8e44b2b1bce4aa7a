//! Turns overlapping photos into one georeferenced picture.
//!
//! The story, a module a sentence. [`photos`] sorts out what the metadata says. [`keypoints`] finds points that
//! other photos find again, [`pairs`] guesses which photos overlap, [`matching`] says which points are the same, and
//! [`tracks`] joins them over many photos. [`start`] puts all cameras roughly in their places at once, [`bundle`]
//! adjusts cameras, lenses and points together, in rounds that [`orient`] and [`adjust`] direct, onto GPS and the surveyed
//! points of [`gcp`]. A flight with holes is several [`blocks`], each adjusted by itself. [`surface`] makes heights of the points,
//! [`sweep`] of what stands between them; [`orthorectify`] looks from the ground into the photos;
//! [`exposure`] makes them equally bright; [`mosaic`] joins them, tile by tile, into a COG. [`report`] says how good it is.
//!
//! It promises three things. The same photos give the same pixels, whatever the number of threads, and also when
//! a killed stitch goes on from what its stages [`kept`]. Memory grows
//! with the tie points alone, not with the photos' pixels or the orthophoto's size: what every photo has waits on a [`shelf`]. And a photo that cannot
//! be used is a line in the report, never a failed flight.

mod adjust;
mod blocks;
mod bundle;
mod camera;
mod connect;
mod dense;
mod dispatch;
mod error;
mod exposure;
mod gcp;
mod heights;
mod kept;
mod keypoints;
mod look;
mod matching;
mod mosaic;
mod motion;
mod oblique;
mod orient;
mod orthorectify;
mod pairs;
mod photos;
mod reduced;
mod report;
mod shelf;
mod sparse;
mod start;
mod stitch;
mod surface;
mod sweep;
mod tracks;
mod windows;

pub use blocks::BlockReport;
pub use camera::{Camera, Exterior, in_frame};
pub use error::{Error, Result};
pub use gcp::{Gcp, Role, read_gcps, vet_for};
pub use photos::PhotoInput;
pub use report::{
    GpsAgreement, PhotoCounts, PhotoReport, Picture, RejectedPhoto, Report, StageReport, SurveyResidual, SurveyRmse,
};
pub use stitch::{Options, Progress, stitch};

#[cfg(test)]
mod tests;
#[cfg(test)]
mod toy;
