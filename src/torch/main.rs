//! polder with libtorch: the same commands, of which some run models. `polder` becomes this program when it needs it
//! (`src/commands/with_torch.rs`).
//!
//! Nothing else refers to libtorch, so nothing else loads it.

mod detector;
mod learn;

use std::process::ExitCode;

use polder::{commands, detection};

fn main() -> ExitCode {
    detection::run_models_with(detection::Engine {
        load: |model, name| Ok(Box::new(detector::TorchDetector::load(model, name)?)),
        train: learn::train,
    });
    commands::main()
}
