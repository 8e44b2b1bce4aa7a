//! The use cases: what changes the world, once for the command line, HTTP and Tekton alike.
//!
//! Each step reads what an earlier one published and publishes something new: objects first, the item last,
//! since only what an item names exists. A step's run is named by a hash of its inputs and parameters, so that
//! doing it again, after a crash or for no reason, ends with the same catalog.

#[cfg(feature = "gdal")]
mod audit;
#[cfg(feature = "gdal")]
mod cameras;
mod changes;
#[cfg(feature = "gdal")]
mod context;
#[cfg(feature = "gdal")]
mod datasets;
#[cfg(feature = "gdal")]
mod detect;
#[cfg(feature = "gdal")]
mod engine;
#[cfg(feature = "gdal")]
mod error;
#[cfg(feature = "gdal")]
mod evaluate;
#[cfg(feature = "gdal")]
mod examine;
#[cfg(feature = "gdal")]
mod exports;
#[cfg(feature = "gdal")]
mod footprint;
#[cfg(feature = "gdal")]
mod ingest;
#[cfg(all(test, feature = "gdal"))]
mod judged_tests;
#[cfg(feature = "gdal")]
mod lineage;
#[cfg(feature = "gdal")]
mod models;
mod reviews;
#[cfg(feature = "gdal")]
mod sightings;
#[cfg(feature = "gdal")]
mod stitch;
#[cfg(all(test, feature = "gdal"))]
mod testing;
#[cfg(feature = "gdal")]
mod trace;
mod transactions;

#[cfg(feature = "gdal")]
pub use self::{
    context::{Context, Observer, Progress},
    datasets::{
        Checked, Created, DatasetRequest, ExportFormat, Exported, Imported, ImportedLabel, LabelSource, Opened,
        Pictures, create_dataset, diff_datasets, export_dataset, list_datasets, open_dataset, read_coco, read_yolo,
        scenes, verify_dataset,
    },
    detect::{DetectRequest, DetectionSummary, detect},
    engine::Engine,
    error::{Error, Result},
    evaluate::{EvaluateRequest, Evaluated, evaluate},
    examine::{Warning, find_photos},
    exports::{DetectionFormat, export_detections},
    ingest::{FileOutcome, FileReport, IngestReport, IngestRequest, ingest},
    lineage::object_of,
    models::{
        About, ModelChoice, ModelEntry, ModelToPublish, Plot, list_models, publish_model, show_model, stage_model,
    },
    stitch::{STAGES, StitchRequest, StitchSummary, stitch},
    trace::{Step, trace},
};
pub use changes::{CompareOptions, compare_runs};
pub use reviews::{Reviewer, TakenOver, Verdict};
pub use transactions::{EditError, Editor, Method, bulk_method};
