//! Surveyed points: reads them, says whether they belong to the flight, finds wrong ones, and pulls the block onto the rest.
//!
//! Three kinds of file are read, told apart by what is in them and not by their name: ODM's [`list`], a [`table`] with a
//! header row, and [`geojson`]. A point has a role: one of `check` is held out of the adjustment to judge it. Pixels of
//! marks count from the top-left corner of the photo, columns first.
//!
//! Invariant: nothing is repaired in silence. A file in another coordinate system, or with its axes swapped, is refused
//! with the words that would mend it; a wrong mark or point is left out and named.

mod belong;
mod collect;
mod doubt;
mod geojson;
mod list;
mod reference;
mod similarity;
mod survey;
mod table;

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{
    error::{Error, Result},
    photos::{PhotoInput, sort_out},
};
use crate::spatial::{Crs, Projection};

pub use belong::{middle, vet};
pub use doubt::{set_wrong_marks_aside, set_wrong_points_aside};
pub use survey::{Surveyed, control_points, locate, measured, pull_onto};

/// A surveyed point and where people marked it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Gcp {
    pub name: String,
    /// The coordinate system of [`Gcp::xy`].
    pub crs: Crs,
    /// Easting and northing, or longitude and latitude: x first, whatever the registry says of the system.
    pub xy: [f64; 2],
    /// Height as surveyed, metres; the orthophoto's heights follow its datum.
    pub height_m: f64,
    pub role: Role,
    /// Photo names and pixels.
    pub marks: Vec<(String, [f64; 2])>,
}

/// What a surveyed point is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// It takes part in the adjustment.
    Control,
    /// It is held out and judges the result.
    Check,
}

impl Gcp {
    /// Longitude and latitude in degrees; `None` when the numbers are no place in the point's system.
    pub fn lonlat(&self) -> Option<[f64; 2]> {
        place_in(self.crs, self.xy)
    }
}

/// Returns the points and marks that can belong to a flight, and a line for each that cannot: for whoever adjusts elsewhere.
///
/// # Errors
/// [`Error::GcpElsewhere`] when most points lie far from the photos; those of photos that cannot be a flight.
pub fn vet_for(photos: &[PhotoInput], gcps: &[Gcp]) -> Result<(Vec<Gcp>, Vec<String>)> {
    vet(gcps, photos, &sort_out(photos, middle(gcps))?)
}

/// Longitude and latitude of a place in some system; `None` where the system has no such place or is not known.
fn place_in(crs: Crs, xy: [f64; 2]) -> Option<[f64; 2]> {
    let lonlat = Projection::new(crs, Crs::WGS84).ok()?.forward(xy).ok()?;
    (lonlat[0].abs() <= 180.0 && lonlat[1].abs() <= 90.0).then_some(lonlat)
}

/// Reads surveyed points from a `gcp_list.txt`, a CSV table or a `GeoJSON` file, whichever the content is.
///
/// `crs` is the coordinate system for a file that names none.
///
/// # Errors
/// [`Error::GcpFile`] when it cannot be read; [`Error::GcpSyntax`] with the line, the column and what to write instead;
/// [`Error::Spatial`] when a coordinate system is not known.
pub fn read_gcps(path: &Path, crs: Option<Crs>) -> Result<Vec<Gcp>> {
    let bytes = std::fs::read(path).map_err(|source| Error::GcpFile { path: path.to_owned(), source })?;
    parse(&text_of(&bytes), path, crs)
}

fn parse(text: &str, path: &Path, crs: Option<Crs>) -> Result<Vec<Gcp>> {
    let parsed = if text.trim_start().starts_with('{') {
        geojson::parse(text, crs)
    } else if table::is_table(text) {
        table::parse(text, crs)
    } else {
        list::parse(text, crs)
    };
    let gcps =
        parsed.map_err(|Fault { line, detail }| Error::GcpSyntax { path: path.to_owned(), line, detail })?.into_gcps();
    for gcp in &gcps {
        Projection::new(gcp.crs, Crs::WGS84)?;
    }
    Ok(gcps)
}

/// What is wrong in a file, and where.
#[derive(Debug)]
struct Fault {
    line: usize,
    detail: String,
}

impl Fault {
    fn new(line: usize, detail: impl Into<String>) -> Self {
        Self { line, detail: detail.into() }
    }
}

/// Text as spreadsheets save it: UTF-8 with or without its mark, UTF-16 with one; what else there is becomes a replacement character.
fn text_of(bytes: &[u8]) -> String {
    let wide = |order: fn([u8; 2]) -> u16| {
        String::from_utf16_lossy(&bytes[2..].chunks_exact(2).map(|pair| order([pair[0], pair[1]])).collect::<Vec<_>>())
    };
    match bytes {
        [0xff, 0xfe, ..] => wide(u16::from_le_bytes),
        [0xfe, 0xff, ..] => wide(u16::from_be_bytes),
        _ => String::from_utf8_lossy(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)).into_owned(),
    }
}

/// The coordinate system of a file that names one, or does not, and of the command line.
fn settle(of_file: Option<Crs>, given: Option<Crs>, line: usize) -> Result<Crs, Fault> {
    match (of_file, given) {
        (Some(own), Some(given)) if own != given => {
            Err(Fault::new(line, format!("the file says {own} and --gcp-crs says {given}: leave one of them out")))
        }
        (Some(crs), _) | (None, Some(crs)) => Ok(crs),
        (None, None) => {
            Err(Fault::new(line, "no coordinate system is named: give one, for example with --gcp-crs EPSG:28992"))
        }
    }
}

#[cfg(test)]
mod tests;
