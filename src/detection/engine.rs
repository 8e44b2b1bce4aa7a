//! What runs and trains models, in those processes that can.
//!
//! Loading libtorch takes 0.2 s and 107 MB before the first line of a program runs. An API server, an upload or
//! `polder --help` never asks a model anything. So this library knows of libtorch only that somebody may bring it: the
//! program in `src/torch` does.

use std::sync::OnceLock;

use super::{
    Detector, Result,
    training::{Options, Progress, Scene},
};

/// The two things that need libtorch.
#[derive(Debug)]
pub struct Engine {
    /// Does what [`load`](super::load) promises.
    pub load: Load,
    /// Does what [`train`](super::training::train) promises.
    pub train: Train,
}

type Load = fn(&[u8], &str) -> Result<Box<dyn Detector>>;
type Train = fn(&[Scene], &Options, &mut dyn FnMut(Progress)) -> Result<Vec<u8>>;

static ENGINE: OnceLock<Engine> = OnceLock::new();

/// Makes this process one that runs models. The first engine stays.
pub fn run_models_with(engine: Engine) {
    _ = ENGINE.set(engine);
}

pub(super) fn engine() -> Option<&'static Engine> {
    ENGINE.get()
}

/// Tells whether this process runs models.
pub fn runs_models() -> bool {
    engine().is_some()
}
