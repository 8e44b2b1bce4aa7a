//! Rows of `detections` in PostgreSQL's binary COPY format (manual, "COPY", section "Binary Format").
//!
//! Polygons are EWKB, PostGIS's well-known binary with the SRID in it. Against inserting row by row this saves a
//! round trip and a parse of text per finding.

use super::Detection;

/// How many rows are sent at once: about 200 bytes each.
pub(super) const CHUNK: usize = 4096;

/// Signature, no flags, no header extension.
pub(super) const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// A row of -1 columns ends the data.
pub(super) const TRAILER: &[u8] = &(-1_i16).to_be_bytes();

const COLUMNS: [&str; 9] =
    ["run", "number", "class", "confidence", "geometry", "area_m2", "chip", "photos", "photo_pixels"];
const LITTLE_ENDIAN: u8 = 1;
const POLYGON_WITH_SRID: u32 = 3 | 0x2000_0000;
const WGS84: u32 = 4326;

/// Type numbers of PostgreSQL, for the elements of arrays.
const INT4: i32 = 23;
const FLOAT4: i32 = 700;

/// Returns the statement that takes [`rows`] into a table.
pub(super) fn statement(table: &str) -> String {
    format!("copy {table} ({}) from stdin (format binary)", COLUMNS.join(", "))
}

/// Encodes detections of a run, numbered from `first` on.
pub(super) fn rows(run: i32, first: i32, detections: &[Detection]) -> Vec<u8> {
    let mut out = Vec::with_capacity(detections.len() * 256);
    for (detection, number) in detections.iter().zip(first..) {
        out.extend((COLUMNS.len() as i16).to_be_bytes());
        field(&mut out, &run.to_be_bytes());
        field(&mut out, &number.to_be_bytes());
        field(&mut out, detection.class.as_bytes());
        field(&mut out, &detection.confidence.to_be_bytes());
        polygon(&mut out, &detection.ring);
        optional(&mut out, detection.area_m2.map(f64::to_be_bytes));
        optional(&mut out, detection.chip.map(i32::to_be_bytes));
        array(&mut out, INT4, detection.seen.iter().map(|seen| seen.photo.to_be_bytes()));
        array(&mut out, FLOAT4, detection.seen.iter().flat_map(|seen| seen.pixel).map(f32::to_be_bytes));
    }
    out
}

/// Returns a polygon as PostGIS reads it.
pub(in crate::database) fn ewkb(ring: &[[f64; 2]]) -> Vec<u8> {
    let mut out = Vec::with_capacity(17 + ring.len() * 16);
    write_ewkb(&mut out, ring);
    out
}

fn field(out: &mut Vec<u8>, value: &[u8]) {
    out.extend((value.len() as i32).to_be_bytes());
    out.extend(value);
}

fn optional<const N: usize>(out: &mut Vec<u8>, value: Option<[u8; N]>) {
    match value {
        Some(value) => field(out, &value),
        None => out.extend((-1_i32).to_be_bytes()),
    }
}

/// One dimension, no nulls, counted from 1; null when there is nothing in it.
fn array(out: &mut Vec<u8>, element: i32, values: impl Iterator<Item = [u8; 4]> + Clone) {
    let count = values.clone().count() as i32;
    if count == 0 {
        return out.extend((-1_i32).to_be_bytes());
    }
    for number in [20 + 8 * count, 1, 0, element, count, 1] {
        out.extend(number.to_be_bytes());
    }
    for value in values {
        field(out, &value);
    }
}

fn polygon(out: &mut Vec<u8>, ring: &[[f64; 2]]) {
    out.extend((17 + ring.len() as i32 * 16).to_be_bytes());
    write_ewkb(out, ring);
}

fn write_ewkb(out: &mut Vec<u8>, ring: &[[f64; 2]]) {
    out.push(LITTLE_ENDIAN);
    for number in [POLYGON_WITH_SRID, WGS84, 1, ring.len() as u32] {
        out.extend(number.to_le_bytes());
    }
    for coordinate in ring.iter().flatten() {
        out.extend(coordinate.to_le_bytes());
    }
}
