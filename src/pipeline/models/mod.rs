//! Detectors in the registry: the weights in `ai-models`, an item for each version, a stage for each item.

mod choice;
mod find;
mod push;
mod stage;
mod tell;
#[cfg(test)]
mod tests;

pub use choice::ModelChoice;
pub(super) use choice::{Chosen, choose};
pub use find::{ModelEntry, list_models, show_model};
pub use push::{About, ModelToPublish, Plot, publish_model};
pub use stage::stage_model;
pub(super) use tell::tell;
