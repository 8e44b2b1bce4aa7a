//! A flight that we can know everything about: landscape, camera, photos, truth.

mod canvas;
mod dice;
mod landscape;
mod noise;
mod ortho;

pub use landscape::{BANK_DAMAGE, CLASSES, Landscape, MUSKRAT_TRAP, PlantedObject};
pub use ortho::{OrthoWindow, PlantedBox, render_ortho};
