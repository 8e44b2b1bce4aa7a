//! Data sets: reviewed findings and labels from elsewhere, frozen, checked, compared and handed to trainers.

mod create;
mod cut;
mod export;
mod find;
mod import;
mod labels;
mod look;
#[cfg(test)]
mod tests;
mod verify;

pub use create::{Created, DatasetRequest, LabelSource, create_dataset};
pub use export::{ExportFormat, Exported, export_dataset};
pub use find::{Opened, diff_datasets, list_datasets, open_dataset};
pub(super) use find::{opened, trained_on};
pub use import::{Imported, ImportedLabel, read_coco, read_yolo};
pub use look::{Pictures, scenes};
pub(super) use verify::check;
pub use verify::{Checked, verify_dataset};
