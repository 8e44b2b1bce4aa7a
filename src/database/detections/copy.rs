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

const COLUMNS: i16 = 5;
const LITTLE_ENDIAN: u8 = 1;
const POLYGON_WITH_SRID: u32 = 3 | 0x2000_0000;
const WGS84: u32 = 4326;

/// Encodes detections of a run, numbered from `first` on.
pub(super) fn rows(run: &str, first: i32, detections: &[Detection]) -> Vec<u8> {
    let mut out = Vec::with_capacity(detections.len() * 256);
    for (detection, number) in detections.iter().zip(first..) {
        out.extend(COLUMNS.to_be_bytes());
        field(&mut out, run.as_bytes());
        field(&mut out, &number.to_be_bytes());
        field(&mut out, detection.class.as_bytes());
        field(&mut out, &detection.confidence.to_be_bytes());
        field(&mut out, &ewkb(&detection.ring));
    }
    out
}

fn field(out: &mut Vec<u8>, value: &[u8]) {
    out.extend((value.len() as i32).to_be_bytes());
    out.extend(value);
}

fn ewkb(ring: &[[f64; 2]]) -> Vec<u8> {
    let mut out = Vec::with_capacity(17 + ring.len() * 16);
    out.push(LITTLE_ENDIAN);
    for number in [POLYGON_WITH_SRID, WGS84, 1, ring.len() as u32] {
        out.extend(number.to_le_bytes());
    }
    for coordinate in ring.iter().flatten() {
        out.extend(coordinate.to_le_bytes());
    }
    out
}
