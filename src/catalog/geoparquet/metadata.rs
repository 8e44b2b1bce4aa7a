//! What the file says about itself, under the keys `geo` and `stac-geoparquet`.

use serde_json::{Map, Value, json};

use super::{column::bbox_names, wkb::Extent};

/// Writes the metadata of `GeoParquet` 1.1.0. A CRS that is not said is OGC:CRS84.
///
/// `proj:geometry` is not among its columns: each row has its own CRS, and rustac reads a null in a declared column as
/// an empty geometry.
pub(super) fn geo(extent: &Extent, has_heights: bool) -> Value {
    let covering = bbox_names(has_heights).iter().map(|&name| (name.to_owned(), json!(["bbox", name])));
    let covering: Map<String, Value> = covering.collect();
    let mut geometry = json!({"encoding": "WKB", "geometry_types": extent.types, "covering": {"bbox": covering}});
    let ends = |end: usize| extent.ranges.iter().flatten().map(move |range| range[end]);
    if extent.ranges[0].is_some() {
        geometry["bbox"] = ends(0).chain(ends(1)).collect();
    }
    json!({"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": geometry}})
}

/// Writes the metadata of stac-geoparquet 1.1.0.
pub(super) fn stac(collections: &Map<String, Value>) -> Value {
    json!({"version": "1.1.0", "collections": collections})
}
