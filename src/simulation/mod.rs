//! A flight that we can know everything about: landscape, camera, photos, truth, and the judge.
//!
//! A seed makes a dike with things to find on it ([`Landscape`]), a drone flies over it ([`simulate`]), and what
//! is made of the photos can be held against the truth ([`score_orthophoto`], [`score_detections`]).
//!
//! Invariant: the same options give the same bytes, on any number of threads.

mod camera;
mod canvas;
mod cover;
mod dice;
mod error;
mod exif;
mod flight;
mod glitter;
mod landscape;
mod motion;
mod noise;
mod ortho;
mod photo;
mod profile;
mod run;
mod score;
mod site;
mod truth;

pub use error::Error;
pub use landscape::{BANK_DAMAGE, CLASSES, Landscape, MUSKRAT_TRAP, PlantedObject};
pub use ortho::{OrthoWindow, PlantedBox, render_ortho};
pub use profile::Profile;
pub use run::{Gps, Options, Summary, simulate, simulate_with_progress};
pub use score::{
    ClassScore, DetectionScore, FootprintScore, GpsError, KindScore, OrthoScore, RadiometryScore, judge_orthophoto,
    score_detections, score_orthophoto,
};

/// What the functions of this module return.
pub type Result<T, E = Error> = std::result::Result<T, E>;
