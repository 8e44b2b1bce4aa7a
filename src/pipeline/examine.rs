//! Looks at the files of an upload before anything is sent: which are photos, which are not, and why.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use chrono::{DateTime, TimeDelta, Utc};
use rayon::prelude::*;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{Error, Result};
use crate::{
    catalog::Grid,
    raster::{self, PhotoMetadata, Raster},
};

/// Photos of one flight are taken within a day; a clock that differs by more was not set.
const LONGEST_FLIGHT: TimeDelta = TimeDelta::hours(24);

/// Before this year no drone carried a GPS and a camera; clocks that were never set start at 1970, 1980 or 2000.
const FIRST_YEAR: i32 = 2003;

/// What is unusual about a photo that was taken in nevertheless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Warning {
    /// Without a position it can be stitched only with ground control points.
    NoPosition,
    /// Its time is missing, impossible, or more than a day from the rest of the flight.
    WrongClock,
    /// Most photos of the flight were taken by another camera.
    OtherCamera,
    /// It does not say how high the drone was, so its footprint is not known.
    NoHeight,
}

impl Warning {
    /// Says it to a person.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::NoPosition => "has no GPS position; it can be stitched only with ground control points (--gcp)",
            Self::WrongClock => "has a wrong or missing time; the span of the flight is used instead",
            Self::OtherCamera => "was taken by another camera than most of the flight",
            Self::NoHeight => "does not say how high the drone was; its footprint is not known",
        }
    }
}

/// A file that can be uploaded.
#[derive(Debug)]
pub(super) struct Examined {
    pub(super) path: PathBuf,
    /// Relative to the source, with `/` between folders.
    pub(super) file_name: String,
    pub(super) sha256: String,
    pub(super) content_type: &'static str,
    pub(super) metadata: PhotoMetadata,
    pub(super) warnings: Vec<Warning>,
    /// A usable time of exposure.
    pub(super) taken_at: Option<DateTime<Utc>>,
    /// Present when the file is a georeferenced raster already.
    pub(super) grid: Option<Grid>,
}

/// A file that cannot, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) file_name: String,
    pub(super) reason: String,
}

/// Lists the files of a source in a fixed order: one file, or all of a folder and the folders below it, hidden ones
/// left out. Each comes with its name relative to the source.
///
/// # Errors
/// [`Error::NoSource`], [`Error::NoPhotos`] when there is not a single file, [`Error::Read`].
///
/// # Panics
/// Never: what is found lies below the source.
pub fn find_photos(source: &Path) -> Result<Vec<(PathBuf, String)>> {
    if source.is_file() {
        let name = source.file_name().unwrap_or_default().to_string_lossy().into_owned();
        return Ok(vec![(source.to_owned(), name)]);
    }
    if !source.is_dir() {
        return Err(Error::NoSource(source.to_owned()));
    }
    let mut files = Vec::new();
    let mut folders = vec![source.to_owned()];
    while let Some(folder) = folders.pop() {
        let fault = |error| Error::Read { path: folder.clone(), source: error };
        for entry in fs::read_dir(&folder).map_err(fault)? {
            let path = entry.map_err(fault)?.path();
            let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
            if hidden {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(source).expect("it was found below").to_string_lossy().into_owned();
                files.push((path, name));
            }
        }
    }
    files.sort_by(|a, b| a.1.cmp(&b.1));
    if files.is_empty() { Err(Error::NoPhotos(source.to_owned())) } else { Ok(files) }
}

/// Reads every file, in parallel, and then compares the photos with each other. One photo a thread is in memory.
pub(super) fn examine(files: &[(PathBuf, String)], now: DateTime<Utc>) -> (Vec<Examined>, Vec<Refused>) {
    let looked_at: Vec<Result<Examined, Refused>> = files
        .par_iter()
        .map(|(path, name)| look_at(path, name).map_err(|reason| Refused { file_name: name.clone(), reason }))
        .collect();
    let (mut photos, mut refused) = (Vec::new(), Vec::new());
    for result in looked_at {
        match result {
            Ok(photo) => photos.push(photo),
            Err(reason) => refused.push(reason),
        }
    }
    compare(&mut photos, now);
    (photos, refused)
}

fn look_at(path: &Path, file_name: &str) -> Result<Examined, String> {
    let bytes = fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.is_empty() {
        return Err("is empty".to_owned());
    }
    let metadata = raster::parse_metadata(&bytes).map_err(|_| "is not a JPEG or TIFF photo".to_owned())?;
    let is_tiff = !bytes.starts_with(&[0xff, 0xd8]);
    let grid = if is_tiff { georeference(path) } else { None };
    // A georeferenced raster may have bands that no photo decoder knows; GDAL has opened it already.
    if grid.is_none() {
        raster::decode_photo(&bytes).map_err(|error| match error {
            raster::Error::Decode(_) => "is truncated or damaged: copy it from the card again".to_owned(),
            other => other.to_string(),
        })?;
    }
    let content_type = match (is_tiff, &grid) {
        (false, _) => "image/jpeg",
        (true, None) => "image/tiff",
        (true, Some(_)) => "image/tiff; application=geotiff",
    };
    Ok(Examined {
        path: path.to_owned(),
        file_name: file_name.to_owned(),
        sha256: hex::encode(Sha256::digest(&bytes)),
        content_type,
        taken_at: metadata.taken_at,
        metadata,
        warnings: Vec::new(),
        grid,
    })
}

/// A TIFF with a place of its own: a satellite scene, or another firm's orthophoto.
fn georeference(path: &Path) -> Option<Grid> {
    let raster = Raster::open(path).ok()?;
    Some(Grid { crs: raster.crs().ok()?, transform: raster.geo_transform().ok()?, size: raster.size() })
}

/// Adds the warnings that only the flight as a whole can tell.
fn compare(photos: &mut [Examined], now: DateTime<Utc>) {
    let middle = median_time(photos, now);
    let usual = most_frequent(photos.iter().filter(|p| p.grid.is_none()).map(camera_of));
    for photo in photos.iter_mut() {
        let off = |at: DateTime<Utc>| {
            !is_possible(at, now) || middle.is_some_and(|middle| (at - middle).abs() > LONGEST_FLIGHT)
        };
        if photo.taken_at.is_none_or(off) {
            photo.taken_at = None;
            photo.warnings.push(Warning::WrongClock);
        }
        if photo.grid.is_some() {
            continue;
        }
        if photo.metadata.lonlat.is_none() {
            photo.warnings.push(Warning::NoPosition);
        } else if photo.metadata.relative_altitude_m.is_none() {
            photo.warnings.push(Warning::NoHeight);
        }
        if usual.as_ref().is_some_and(|usual| *usual != camera_of(photo)) {
            photo.warnings.push(Warning::OtherCamera);
        }
    }
}

fn is_possible(at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    use chrono::Datelike as _;
    // A camera's clock without a zone may be ahead of UTC by up to 14 hours.
    at.year() >= FIRST_YEAR && at <= now + TimeDelta::hours(14)
}

fn median_time(photos: &[Examined], now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let mut times: Vec<_> =
        photos.iter().filter_map(|p| p.metadata.taken_at).filter(|t| is_possible(*t, now)).collect();
    times.sort();
    times.get(times.len() / 2).copied()
}

type CameraKey = (Option<String>, Option<String>, u32, u32);

fn camera_of(photo: &Examined) -> CameraKey {
    let m = &photo.metadata;
    (m.make.clone(), m.model.clone(), m.width.max(m.height), m.width.min(m.height))
}

/// The first in order among equally frequent ones, so that the answer does not depend on chance.
fn most_frequent(values: impl Iterator<Item = CameraKey>) -> Option<CameraKey> {
    let mut counts = BTreeMap::<CameraKey, usize>::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    counts.into_iter().min_by_key(|(key, count)| (std::cmp::Reverse(*count), key.clone())).map(|(key, _)| key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn photo(time: Option<&str>, model: &str) -> Examined {
        let taken_at = time.map(|t| t.parse().unwrap());
        let metadata = PhotoMetadata {
            taken_at,
            model: Some(model.to_owned()),
            lonlat: Some([5.0, 52.0]),
            relative_altitude_m: Some(40.0),
            ..PhotoMetadata::default()
        };
        Examined {
            path: PathBuf::new(),
            file_name: String::new(),
            sha256: String::new(),
            content_type: "image/jpeg",
            metadata,
            warnings: vec![],
            taken_at,
            grid: None,
        }
    }

    fn warnings(mut photos: Vec<Examined>) -> Vec<Vec<Warning>> {
        compare(&mut photos, "2026-01-01T00:00:00Z".parse().unwrap());
        photos.into_iter().map(|p| p.warnings).collect()
    }

    #[test]
    fn a_clock_that_was_never_set_is_noticed() {
        let day = Some("2025-06-23T10:00:00Z");
        let flight = vec![photo(day, "A"), photo(day, "A"), photo(Some("1980-01-01T00:00:00Z"), "A"), photo(None, "A")];
        assert_eq!(warnings(flight), [vec![], vec![], vec![Warning::WrongClock], vec![Warning::WrongClock]]);
    }

    #[test]
    fn a_photo_of_another_camera_is_noticed() {
        let day = Some("2025-06-23T10:00:00Z");
        let flight = vec![photo(day, "A"), photo(day, "B"), photo(day, "A")];
        assert_eq!(warnings(flight), [vec![], vec![Warning::OtherCamera], vec![]]);
    }

    #[test]
    fn text_and_truncated_photos_are_refused_with_a_reason() {
        let folder = tempfile::tempdir().unwrap();
        let picture =
            raster::Rgb8 { width: 64, height: 64, data: (0..64 * 64 * 3).map(|i| (i * 7 % 251) as u8).collect() };
        let jpeg = raster::encode_jpeg(&picture, 90).unwrap();
        fs::write(folder.path().join("a.jpg"), &jpeg).unwrap();
        fs::write(folder.path().join("b.jpg"), &jpeg[..jpeg.len() / 2]).unwrap();
        fs::write(folder.path().join("notes.txt"), "hello").unwrap();
        let files = find_photos(folder.path()).unwrap();
        let (photos, refused) = examine(&files, Utc::now());
        assert_eq!(photos.len(), 1);
        let reasons: Vec<_> = refused.iter().map(|r| (r.file_name.as_str(), r.reason.as_str())).collect();
        assert!(reasons[0].0 == "b.jpg" && reasons[0].1.contains("truncated"), "{reasons:?}");
        assert!(reasons[1].0 == "notes.txt" && reasons[1].1.contains("not a JPEG"), "{reasons:?}");
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = find_photos(Path::new("/no/such/folder")).unwrap_err().to_string();
        assert!(error.contains("/no/such/folder"), "{error}");
    }
}
