//! Detections as files that others read: `GeoJSON`, `GeoParquet`, `FlatGeobuf`, COCO and YOLO.
//!
//! Each file is written beside its place and renamed when it is whole.

mod flatgeobuf;
mod labels;
#[cfg(test)]
mod tests;

use std::{
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{Error, Result};
use crate::{
    catalog::geoparquet::{Columns, Writer},
    database::{Database, DetectionFilter, DetectionRow},
};

/// Detections that are read at once.
const PAGE: i64 = 5000;

/// How detections are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DetectionFormat {
    /// RFC 7946, WGS 84.
    GeoJson,
    /// `GeoParquet` 1.1, WKB in OGC:CRS84.
    GeoParquet,
    /// `FlatGeobuf` with its spatial index, WGS 84.
    FlatGeobuf,
    /// One file of COCO: an image for each orthophoto, boxes and polygons in its pixels.
    Coco,
    /// A folder of YOLO: `data.yaml` and a text file for each orthophoto, boxes as shares of its sides.
    Yolo,
}

/// Writes the detections that a filter lets through and returns how many there are.
///
/// # Errors
/// [`Error::Export`] when the file cannot be written, [`Error::Database`]; nothing is left at `out` then.
pub async fn export_detections(
    database: &Database,
    filter: &DetectionFilter,
    format: DetectionFormat,
    out: &Path,
) -> Result<usize> {
    // GDAL takes a name that does not end in .fgb for a folder.
    let half = match format {
        DetectionFormat::FlatGeobuf => half_of(out).with_extension("fgb"),
        _ => half_of(out),
    };
    let written = match format {
        DetectionFormat::GeoJson => geojson(database, filter, &half).await,
        DetectionFormat::GeoParquet => geoparquet(database, filter, &half).await,
        DetectionFormat::FlatGeobuf => flatgeobuf(database, filter, &half).await,
        DetectionFormat::Coco => labels::coco(database, filter, &half).await,
        DetectionFormat::Yolo => return labels::yolo(database, filter, out).await,
    };
    let renamed = match written {
        Ok(count) => fs::rename(&half, out).map(|()| count).map_err(failed(out)),
        Err(error) => Err(error),
    };
    if renamed.is_err() {
        let _ = fs::remove_file(&half);
    }
    renamed
}

fn half_of(out: &Path) -> PathBuf {
    let name = out.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    out.with_file_name(format!(".{}.part.{name}", std::process::id()))
}

fn failed<E: std::fmt::Display>(path: &Path) -> impl Fn(E) -> Error {
    let path = path.to_owned();
    move |error| Error::Export { path: path.clone(), reason: error.to_string() }
}

/// Calls `each` for every page of detections, by run and number; returns how many there are.
async fn pages(
    database: &Database,
    filter: &DetectionFilter,
    mut each: impl FnMut(&[DetectionRow]) -> Result<()>,
) -> Result<usize> {
    let mut filter = DetectionFilter { limit: PAGE, after: None, ..filter.clone() };
    let mut count = 0;
    loop {
        let rows = database.list_detections(&filter).await?;
        each(&rows)?;
        count += rows.len();
        let Some(last) = rows.last().filter(|_| rows.len() as i64 == PAGE) else { return Ok(count) };
        filter.after = Some((last.run.clone(), last.number));
    }
}

async fn geojson(database: &Database, filter: &DetectionFilter, out: &Path) -> Result<usize> {
    let mut file = BufWriter::new(File::create(out).map_err(failed(out))?);
    write!(file, "{{\"type\":\"FeatureCollection\",\"features\":[").map_err(failed(out))?;
    let mut separator = "\n";
    let count = pages(database, filter, |rows| {
        for row in rows {
            write!(file, "{separator}{}", row.feature()).map_err(failed(out))?;
            separator = ",\n";
        }
        Ok(())
    })
    .await?;
    writeln!(file, "\n]}}").and_then(|()| file.flush()).map_err(failed(out))?;
    Ok(count)
}

async fn geoparquet(database: &Database, filter: &DetectionFilter, out: &Path) -> Result<usize> {
    let file = BufWriter::new(File::create(out).map_err(failed(out))?);
    let mut writer = Writer::new(file, Columns::default()).of_features();
    let count = pages(database, filter, |rows| {
        let texts: Vec<String> = rows.iter().map(table_row).collect();
        writer.write(&texts).map_err(failed(out))
    })
    .await?;
    writer.finish().map_err(failed(out))?.flush().map_err(failed(out))?;
    Ok(count)
}

/// A feature with its box, which tables have as a column, and without what only some rows have.
fn table_row(row: &DetectionRow) -> String {
    let mut feature = row.feature();
    if let Some(bbox) = bbox_of(&feature["geometry"]["coordinates"][0]) {
        feature["bbox"] = json!(bbox);
    }
    if let Some(properties) = feature["properties"].as_object_mut() {
        properties.remove("model_geometry");
        properties.insert("model_class".to_owned(), row.model_class.clone().into());
    }
    feature.to_string()
}

/// West, south, east and north of the corners of a ring.
fn bbox_of(ring: &Value) -> Option<[f64; 4]> {
    let corners: Vec<[f64; 2]> = serde_json::from_value(ring.clone()).ok()?;
    crate::spatial::Bbox::of(corners).map(crate::spatial::Bbox::to_array)
}

async fn flatgeobuf(database: &Database, filter: &DetectionFilter, out: &Path) -> Result<usize> {
    let mut all = Vec::new();
    let count = pages(database, filter, |rows| {
        all.extend_from_slice(rows);
        Ok(())
    })
    .await?;
    let path = out.to_owned();
    tokio::task::spawn_blocking(move || flatgeobuf::write(&all, &path)).await??;
    Ok(count)
}
