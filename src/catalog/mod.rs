//! What we know: photos, orthophotos, detection runs, models, and their STAC items.
//!
//! A value struct per layer knows how to describe itself as an item (`Photo::item` and its sisters);
//! [`StoredItem`] is any item in the form in which it is kept and handed out.
//!
//! Invariant: nothing here looks at a clock, a network or a disk; the same values give the same item.

mod check;
mod check_collection;
mod collection;
mod common;
mod dataset;
mod decimals;
mod description;
mod detection_run;
mod error;
mod ewkb;
#[cfg(test)]
pub(crate) mod examples;
mod fault;
mod geometry;
pub mod geoparquet;
mod incoming;
mod item;
mod layer;
mod lineage;
mod manifest;
mod members;
mod model_version;
mod name;
mod object;
mod orthophoto;
mod own_asset;
mod own_urls;
mod parts;
mod patch;
mod photo;
mod respell;
mod review;
mod role;
mod shapes;
mod stage;
mod storage_scheme;
mod stored_item;
mod summary;
mod time;
mod tree;
mod upgrade;
mod url;

pub use check::refuse_nul;
pub use check_collection::check_collection;
pub use collection::{Coverage, collection, extent};
pub use dataset::Dataset;
pub use description::{GivenCollection, coverage, described};
pub use detection_run::DetectionRun;
pub use error::{Error, Result};
pub use ewkb::Shape;
pub use fault::Fault;
pub use geometry::check_geojson;
pub use incoming::Incoming;
pub use item::{COG, GEOJSON, Grid, Moment, object_of, timestamp};
pub use layer::Layer;
pub use lineage::{API_SCHEME, Processing, Upstream, item_href};
pub use manifest::{Image, Label, Labels, Manifest, ManifestDiff, Pinned, Split, SplitRule};
pub use model_version::{ModelVersion, TrainedOn, model_asset};
pub use name::{DatasetName, Flight, ModelName, PhotoName, Project, RunId, Version};
pub use object::ObjectRef;
pub use orthophoto::Orthophoto;
pub use patch::Patch;
pub use photo::{Attitude, Camera, Photo, Taken};
pub use review::{ClassFigures, Judged, ReviewAction, Step as CalibrationStep, Suggestion, Unjudged, review_figures};
pub use role::{Deed, Role};
pub use stage::Stage;
pub use storage_scheme::StorageScheme;
pub use stored_item::{Hrefs, ItemText, StoredItem};
pub use summary::{AssetSummary, Change, Kind, PropertySummary, Stale, Summary};
pub use time::{Interval, parse_time};
pub use url::percent_encoded;
