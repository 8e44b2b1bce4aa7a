//! What the metadata says about a flight before a pixel is looked at: positions, angles, cameras, flights.
//!
//! Invariant: every photo that came in is either in [`Flight::photos`] or in [`Flight::rejected`] with a reason.

mod cameras;
mod positions;
#[cfg(test)]
mod tests;
mod twins;

use std::path::PathBuf;

use chrono::TimeDelta;
use nalgebra::Vector2;
use serde::{Deserialize, Serialize};

use self::{cameras::group_cameras, positions::Positions};
use super::{
    error::{Error, Result},
    reduced::SmallCopy,
    sweep::ShelvedPyramid,
};
use crate::{
    raster::{Attitude, PhotoMetadata, Rgb8, read_photo},
    spatial::LocalFrame,
};

pub use cameras::CameraGroup;
pub use positions::{Gps, position_of};

/// A photo to stitch: its name in the report, where its bytes are, and what its metadata says.
#[derive(Clone, Debug)]
pub struct PhotoInput {
    pub name: String,
    pub path: PathBuf,
    pub metadata: PhotoMetadata,
}

/// A photo that is not in the orthophoto, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    pub name: String,
    pub reason: String,
}

/// One usable photo with its priors, in the local frame of the flight.
#[derive(Clone, Debug, Serialize)]
pub struct Photo {
    pub name: String,
    #[serde(skip)]
    pub path: PathBuf,
    /// Columns and rows, as stored.
    pub size: [usize; 2],
    /// Whether the file stores its pixels mirrored, by its EXIF orientation.
    pub mirrored: bool,
    pub camera: usize,
    pub sortie: usize,
    /// East, north, up in metres by GPS.
    pub gps: Option<Gps>,
    pub attitude: Option<Attitude>,
    pub relative_altitude_m: Option<f64>,
    /// Seconds after the first photo, by the camera's clock.
    pub taken_at_s: Option<f64>,
    #[serde(skip)]
    pub aside: Aside,
}

/// What was made of a photo while it was decoded for something else.
#[derive(Clone, Debug, Default)]
pub struct Aside {
    pub copy: Option<SmallCopy>,
    /// For the sweep; none when there is no sweep, or no room on the disk.
    pub pyramid: Option<ShelvedPyramid>,
}

/// All photos of a stitch, sorted out. What is written of it is all that later stages know of the metadata.
#[derive(Clone, Serialize)]
pub struct Flight {
    #[serde(skip)]
    pub frame: LocalFrame,
    /// Longitude, latitude and ellipsoidal height of the frame's origin.
    pub origin: [f64; 3],
    pub photos: Vec<Photo>,
    pub cameras: Vec<CameraGroup>,
    pub sorties: usize,
    pub rejected: Vec<Rejected>,
    /// What the metadata has wrong, though the photos can be used.
    #[serde(skip)]
    pub notes: Vec<String>,
}

/// Beyond this the ground of a photo grows too fast to be one scale.
pub const STEEPEST_OFF_NADIR_DEG: f64 = 35.0;
/// A pause longer than this is another sortie, with its own barometer zero.
const SORTIE_PAUSE: TimeDelta = TimeDelta::minutes(20);

/// Sorts the photos into cameras and sorties and puts the local frame in their middle.
///
/// `fallback` is a place for the frame when no photo knows where it was: the middle of the control points.
///
/// # Errors
/// [`Error::NoPhotos`]; without `fallback` [`Error::NoPosition`] when no photo has a position, [`Error::StuckPosition`] when
/// all have the same; [`Error::TooFewPhotos`] below three.
pub fn sort_out(inputs: &[PhotoInput], fallback: Option<[f64; 3]>) -> Result<Flight> {
    if inputs.is_empty() {
        return Err(Error::NoPhotos);
    }
    let with_gps = inputs.iter().filter(|input| position_of(&input.metadata).is_some()).count();
    if with_gps == 0 && fallback.is_none() {
        return Err(Error::NoPosition { total: inputs.len() });
    }
    let twins = twins::find(inputs);
    let mut rejected = Vec::new();
    let mut usable: Vec<&PhotoInput> = Vec::new();
    for (input, twin) in inputs.iter().zip(twins) {
        let twin = twin.map(|first| format!("it is the same photo as {}", inputs[first].name));
        match twin.or_else(|| fault_of(input, with_gps > 0 && fallback.is_none())) {
            Some(reason) => rejected.push(Rejected { name: input.name.clone(), reason }),
            None => usable.push(input),
        }
    }
    if usable.len() < 3 {
        return Err(too_few(usable.len(), inputs.len(), &rejected));
    }
    usable.sort_by(|a, b| a.metadata.taken_at.cmp(&b.metadata.taken_at).then_with(|| a.name.cmp(&b.name)));

    let Positions { origin, gps, notes } = Positions::of(&usable, fallback)?;
    let (cameras, camera_of) = group_cameras(&usable);
    let sortie_of = group_sorties(&usable, &camera_of);
    let first = usable.iter().find_map(|input| input.metadata.taken_at);
    let photos = usable
        .iter()
        .zip(gps)
        .zip(camera_of.iter().zip(&sortie_of))
        .map(|((input, gps), (&camera, &sortie))| Photo {
            name: input.name.clone(),
            path: input.path.clone(),
            size: [input.metadata.width as usize, input.metadata.height as usize],
            mirrored: matches!(input.metadata.orientation, 2 | 4 | 5 | 7),
            camera,
            sortie,
            gps,
            attitude: attitude_of(&input.metadata),
            relative_altitude_m: input.metadata.relative_altitude_m.filter(|h| *h > 1.0),
            taken_at_s: first.zip(input.metadata.taken_at).map(|(first, now)| (now - first).as_seconds_f64()),
            aside: Aside::default(),
        })
        .collect();
    let sorties = sortie_of.iter().max().map_or(0, |last| last + 1);
    Ok(Flight { frame: LocalFrame::at(origin), origin, photos, cameras, sorties, rejected, notes })
}

/// The error for a flight of which too little is left.
pub fn too_few(usable: usize, total: usize, rejected: &[Rejected]) -> Error {
    let mut reasons: Vec<String> =
        rejected.iter().take(3).map(|photo| format!("{}: {}", photo.name, photo.reason)).collect();
    if rejected.len() > 3 {
        reasons.push(format!("and {} more", rejected.len() - 3));
    }
    let reasons = if reasons.is_empty() { "there are no others".to_owned() } else { reasons.join("; ") };
    Error::TooFewPhotos { usable, total, reasons }
}

fn fault_of(input: &PhotoInput, needs_gps: bool) -> Option<String> {
    let metadata = &input.metadata;
    if needs_gps && position_of(metadata).is_none() {
        return Some("it has no GPS position".to_owned());
    }
    if metadata.width < 200 || metadata.height < 200 {
        return Some(format!("it is only {} × {} pixels", metadata.width, metadata.height));
    }
    let off_nadir = metadata.gimbal.map_or(0.0, |gimbal| (gimbal.pitch_deg + 90.0).abs());
    (off_nadir > STEEPEST_OFF_NADIR_DEG)
        .then(|| format!("it looks {off_nadir:.0}° away from straight down, more than {STEEPEST_OFF_NADIR_DEG:.0}°"))
}

/// The gimbal's angles, or the aircraft's heading with a camera that hangs straight down.
fn attitude_of(metadata: &PhotoMetadata) -> Option<Attitude> {
    metadata.gimbal.or_else(|| {
        metadata.aircraft.map(|aircraft| Attitude { yaw_deg: aircraft.yaw_deg, pitch_deg: -90.0, roll_deg: 0.0 })
    })
}

/// Numbers the sorties: one camera without long pauses.
fn group_sorties(photos: &[&PhotoInput], camera_of: &[usize]) -> Vec<usize> {
    let mut sortie_of = vec![0; photos.len()];
    let mut next = 0;
    for camera in 0..=camera_of.iter().copied().max().unwrap_or(0) {
        let mut last_time = None;
        let mut open = false;
        for (index, photo) in photos.iter().enumerate().filter(|(index, _)| camera_of[*index] == camera) {
            let time = photo.metadata.taken_at;
            let paused = matches!((last_time, time), (Some(before), Some(now)) if now - before > SORTIE_PAUSE);
            if paused || !open {
                next += 1;
                open = true;
            }
            last_time = time.or(last_time);
            sortie_of[index] = next - 1;
        }
    }
    sortie_of
}

/// The middle value; the lower of two.
pub fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.filter(|v| v.is_finite()).collect();
    if values.is_empty() {
        return None;
    }
    let middle = (values.len() - 1) / 2;
    let (_, value, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    Some(*value)
}

impl Photo {
    /// Decodes the photo, as the sensor saw it.
    ///
    /// An EXIF orientation that turns is not applied: the lens, the gimbal's angles and the marks of surveyed points go
    /// with the pixels as they are stored, and matching finds a heading that is wrong. One that mirrors is undone, because
    /// no lens mirrors and mirrored ground matches nothing.
    ///
    /// # Errors
    /// [`Error::PhotoGone`] when it cannot be read, [`Error::PhotoChanged`] when it has another size than its metadata said.
    pub fn read(&self) -> Result<Rgb8> {
        let mut picture = read_photo(&self.path)
            .map_err(|source| Error::PhotoGone { name: self.name.clone(), source: Box::new(source) })?;
        let is = [picture.width, picture.height];
        if is != self.size {
            return Err(Error::PhotoChanged { name: self.name.clone(), was: self.size, is });
        }
        if self.mirrored {
            picture.mirror();
        }
        Ok(picture)
    }

    /// The horizontal GPS position, when there is one.
    pub fn gps_xy(&self) -> Option<Vector2<f64>> {
        self.gps.map(|gps| gps.enu.xy())
    }
}

impl Flight {
    /// Drops the photos that are not kept; their reasons join the rejected ones. Later indices move up.
    pub fn keep(&mut self, keep: &[bool], reason: impl Fn(&Photo) -> String) {
        let mut index = 0;
        let rejected = &mut self.rejected;
        self.photos.retain(|photo| {
            index += 1;
            if !keep[index - 1] {
                rejected.push(Rejected { name: photo.name.clone(), reason: reason(photo) });
            }
            keep[index - 1]
        });
    }

    /// The same flight with some of its photos only (indices going up), their cameras and sorties renumbered from zero.
    /// The rejected ones stay behind.
    pub fn part(&self, members: &[usize]) -> Self {
        let number = |of: fn(&Photo) -> usize| {
            let used: std::collections::BTreeSet<usize> =
                members.iter().map(|&index| of(&self.photos[index])).collect();
            used.into_iter().collect::<Vec<usize>>()
        };
        let (cameras, sorties) = (number(|photo| photo.camera), number(|photo| photo.sortie));
        let place =
            |among: &[usize], wanted| among.binary_search(&wanted).expect("it was collected from the same photos");
        let photos = members.iter().map(|&index| {
            let photo = &self.photos[index];
            let (camera, sortie) = (place(&cameras, photo.camera), place(&sorties, photo.sortie));
            Photo { camera, sortie, ..photo.clone() }
        });
        Self {
            photos: photos.collect(),
            cameras: cameras.iter().map(|&camera| self.cameras[camera].clone()).collect(),
            sorties: sorties.len(),
            rejected: Vec::new(),
            notes: Vec::new(),
            ..*self
        }
    }

    /// Rejects photos for reasons that were found elsewhere.
    pub fn reject(&mut self, rejected: Vec<Rejected>) {
        self.photos.retain(|photo| rejected.iter().all(|other| other.name != photo.name));
        self.rejected.extend(rejected);
    }
}
