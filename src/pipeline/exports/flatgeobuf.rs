//! `FlatGeobuf`, by GDAL: what QGIS opens fastest. Its index is made over all features, so they are held in memory.

use std::path::Path;

use gdal::{
    Dataset, DriverManager,
    spatial_ref::{AxisMappingStrategy, SpatialRef},
    vector::{Feature, Geometry, LayerAccess as _, LayerOptions, OGRFieldType, OGRwkbGeometryType},
};

use super::{Result, failed};
use crate::database::DetectionRow;

const TEXT: u32 = OGRFieldType::OFTString;
const NUMBER: u32 = OGRFieldType::OFTReal;
const COUNT: u32 = OGRFieldType::OFTInteger;

/// The columns, in their order.
const COLUMNS: [(&str, u32); 14] = [
    ("run", TEXT),
    ("number", COUNT),
    ("class", TEXT),
    ("confidence", NUMBER),
    ("area_m2", NUMBER),
    ("review", TEXT),
    ("version", COUNT),
    ("reviewed_by", TEXT),
    ("comment", TEXT),
    ("project", TEXT),
    ("flight", TEXT),
    ("model", TEXT),
    ("taken_until", TEXT),
    ("photo", TEXT),
];

/// Writes detections into a new file.
///
/// # Errors
/// [`Error::Export`](crate::pipeline::Error::Export).
pub(super) fn write(rows: &[DetectionRow], out: &Path) -> Result<()> {
    try_write(rows, out).map_err(failed(out))
}

fn try_write(rows: &[DetectionRow], out: &Path) -> gdal::errors::Result<()> {
    let driver = DriverManager::get_driver_by_name("FlatGeobuf")?;
    let mut dataset = driver.create_vector_only(out)?;
    let mut wgs84 = SpatialRef::from_epsg(4326)?;
    wgs84.set_axis_mapping_strategy(AxisMappingStrategy::TraditionalGisOrder);
    fill(&mut dataset, rows, &wgs84)?;
    dataset.close()
}

/// The layer ends here, so that the file can be closed, which writes the index.
fn fill(dataset: &mut Dataset, rows: &[DetectionRow], wgs84: &SpatialRef) -> gdal::errors::Result<()> {
    let layer = dataset.create_layer(LayerOptions {
        name: "detections",
        srs: Some(wgs84),
        ty: OGRwkbGeometryType::wkbPolygon,
        options: None,
    })?;
    layer.create_defn_fields(&COLUMNS)?;
    for row in rows {
        let mut feature = Feature::new(layer.defn())?;
        feature.set_geometry(Geometry::from_geojson(&row.geometry)?)?;
        let model = format!("{}@{}", row.model, row.model_version);
        let until = row.ends_at.to_rfc3339();
        let photo = row.seen.first().map(|(item, _)| item.as_str());
        let texts = [
            (0, Some(row.run.as_str())),
            (2, Some(row.class.as_str())),
            (5, Some(row.review.as_str())),
            (7, row.reviewed_by.as_deref()),
            (8, row.comment.as_deref()),
            (9, Some(row.project.as_str())),
            (10, Some(row.flight.as_str())),
            (11, Some(model.as_str())),
            (12, Some(until.as_str())),
            (13, photo),
        ];
        for (column, text) in texts {
            if let Some(text) = text {
                feature.set_field_string(column, text)?;
            }
        }
        feature.set_field_integer(1, row.number)?;
        feature.set_field_double(3, row.confidence)?;
        if let Some(area_m2) = row.area_m2 {
            feature.set_field_double(4, area_m2)?;
        }
        feature.set_field_integer(6, row.version)?;
        feature.create(&layer)?;
    }
    Ok(())
}
