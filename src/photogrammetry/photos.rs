//! What the metadata says about a flight before a pixel is looked at: positions, angles, cameras, flights.
//!
//! Invariant: every photo that came in is either in [`Flight::photos`] or in [`Flight::rejected`] with a reason.

use std::path::PathBuf;

use chrono::TimeDelta;
use nalgebra::{Vector2, Vector3};
use serde::{Deserialize, Serialize};

use super::{
    camera::{Camera, PARAMETERS},
    error::{Error, Result},
};
use crate::{
    raster::{Attitude, PhotoMetadata},
    spatial::LocalFrame,
};

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

/// Photos taken by one camera at one setting share their interior orientation.
#[derive(Clone, Debug, Serialize)]
pub struct CameraGroup {
    pub label: String,
    /// The lens as the EXIF describes it.
    pub prior: Camera,
    /// One sigma for each of [`Camera::parameters`].
    pub sigma: [f64; PARAMETERS],
}

/// One usable photo with its priors, in the local frame of the flight.
#[derive(Clone, Debug, Serialize)]
pub struct Photo {
    pub name: String,
    #[serde(skip)]
    pub path: PathBuf,
    pub camera: usize,
    pub sortie: usize,
    /// East, north, up in metres by GPS.
    pub gps: Option<Gps>,
    pub attitude: Option<Attitude>,
    pub relative_altitude_m: Option<f64>,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub struct Gps {
    pub enu: Vector3<f64>,
    pub sigma_horizontal_m: f64,
    pub sigma_vertical_m: f64,
    /// Whether the height is as good as the plan: then no offset is estimated for it.
    pub rtk: bool,
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
}

/// One sigma of a receiver that does not report its own: measured on consumer drones, open sky.
const GPS_HORIZONTAL_M: f64 = 1.5;
const GPS_VERTICAL_M: f64 = 3.0;
/// A reported sigma below this is RTK, whose heights need no offset.
const RTK_BELOW_M: f64 = 0.5;
/// Beyond this the ground of a photo grows too fast to be one scale.
const STEEPEST_OFF_NADIR_DEG: f64 = 35.0;
/// A pause longer than this is another sortie, with its own barometer zero.
const SORTIE_PAUSE: TimeDelta = TimeDelta::minutes(20);

/// Sorts the photos into cameras and sorties and puts the local frame in their middle.
///
/// `fallback` is a place for the frame when no photo knows where it was: the middle of the control points.
///
/// # Errors
/// [`Error::NoPhotos`]; [`Error::NoPosition`] without GPS and without `fallback`; [`Error::TooFewPhotos`] below three.
pub fn sort_out(inputs: &[PhotoInput], fallback: Option<[f64; 3]>) -> Result<Flight> {
    if inputs.is_empty() {
        return Err(Error::NoPhotos);
    }
    let with_gps = inputs.iter().filter(|input| position_of(&input.metadata).is_some()).count();
    if with_gps == 0 && fallback.is_none() {
        return Err(Error::NoPosition { total: inputs.len() });
    }
    let mut rejected = Vec::new();
    let mut usable: Vec<&PhotoInput> = Vec::new();
    for input in inputs {
        match fault_of(input, with_gps > 0 && fallback.is_none()) {
            Some(reason) => rejected.push(Rejected { name: input.name.clone(), reason }),
            None => usable.push(input),
        }
    }
    if usable.len() < 3 {
        return Err(too_few(usable.len(), inputs.len(), &rejected));
    }
    usable.sort_by(|a, b| a.metadata.taken_at.cmp(&b.metadata.taken_at).then_with(|| a.name.cmp(&b.name)));

    let origin = origin_of(&usable).or(fallback).ok_or(Error::NoPosition { total: inputs.len() })?;
    let frame = LocalFrame::at(origin);
    let (cameras, camera_of) = group_cameras(&usable);
    let sortie_of = group_sorties(&usable, &camera_of);
    let photos = usable
        .iter()
        .zip(camera_of)
        .zip(&sortie_of)
        .map(|((input, camera), &sortie)| Photo {
            name: input.name.clone(),
            path: input.path.clone(),
            camera,
            sortie,
            gps: gps_of(&input.metadata, &frame, origin[2]),
            attitude: attitude_of(&input.metadata),
            relative_altitude_m: input.metadata.relative_altitude_m.filter(|h| *h > 1.0),
        })
        .collect();
    let sorties = sortie_of.iter().max().map_or(0, |last| last + 1);
    Ok(Flight { frame, origin, photos, cameras, sorties, rejected })
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
    let off_nadir = metadata.gimbal.map_or(0.0, |gimbal| gimbal.pitch_deg + 90.0);
    (off_nadir > STEEPEST_OFF_NADIR_DEG)
        .then(|| format!("it looks {off_nadir:.0}° away from straight down, more than {STEEPEST_OFF_NADIR_DEG:.0}°"))
}

/// Longitude and latitude, unless they are the zeros of a receiver without a fix.
pub fn position_of(metadata: &PhotoMetadata) -> Option<[f64; 2]> {
    metadata.lonlat.filter(|[lon, lat]| {
        lon.is_finite() && lat.is_finite() && (lon.abs() > 1e-6 || lat.abs() > 1e-6) && lat.abs() < 89.0
    })
}

/// The median place, at the height where the aircraft says it took off.
fn origin_of(photos: &[&PhotoInput]) -> Option<[f64; 3]> {
    let places: Vec<[f64; 2]> = photos.iter().filter_map(|photo| position_of(&photo.metadata)).collect();
    let lon = median(places.iter().map(|p| p[0]))?;
    let lat = median(places.iter().map(|p| p[1]))?;
    let absolute = median(photos.iter().filter_map(|photo| photo.metadata.absolute_altitude_m)).unwrap_or(0.0);
    let relative = median(photos.iter().filter_map(|photo| photo.metadata.relative_altitude_m)).unwrap_or(0.0);
    Some([lon, lat, absolute - relative])
}

fn gps_of(metadata: &PhotoMetadata, frame: &LocalFrame, origin_height: f64) -> Option<Gps> {
    let [lon, lat] = position_of(metadata)?;
    let relative = metadata.relative_altitude_m.unwrap_or(0.0);
    let height = metadata.absolute_altitude_m.unwrap_or(origin_height + relative);
    let reported = metadata.gps_sigma.as_ref();
    let sigma_horizontal_m = reported.map_or(GPS_HORIZONTAL_M, |sigma| sigma.horizontal_m.max(0.01));
    let sigma_vertical_m = reported.map_or(GPS_VERTICAL_M, |sigma| sigma.vertical_m.max(0.015));
    let rtk = sigma_vertical_m < RTK_BELOW_M && metadata.absolute_altitude_m.is_some();
    Some(Gps { enu: Vector3::from(frame.to_enu([lon, lat, height])), sigma_horizontal_m, sigma_vertical_m, rtk })
}

/// The gimbal's angles, or the aircraft's heading with a camera that hangs straight down.
fn attitude_of(metadata: &PhotoMetadata) -> Option<Attitude> {
    metadata.gimbal.or_else(|| {
        metadata.aircraft.map(|aircraft| Attitude { yaw_deg: aircraft.yaw_deg, pitch_deg: -90.0, roll_deg: 0.0 })
    })
}

fn group_cameras(photos: &[&PhotoInput]) -> (Vec<CameraGroup>, Vec<usize>) {
    let mut groups: Vec<CameraGroup> = Vec::new();
    let mut of_photo = Vec::with_capacity(photos.len());
    for photo in photos {
        let group = camera_group(&photo.metadata);
        let known = groups.iter().position(|other| other.label == group.label);
        of_photo.push(known.unwrap_or(groups.len()));
        if known.is_none() {
            groups.push(group);
        }
    }
    (groups, of_photo)
}

/// The prior of a photo's camera: its focal length is trusted within 5 %, its axis within 2 % of the frame.
fn camera_group(metadata: &PhotoMetadata) -> CameraGroup {
    let (width, height) = (f64::from(metadata.width), f64::from(metadata.height));
    let longest = width.max(height);
    let known = metadata
        .focal_px
        .or_else(|| metadata.focal_length_35mm.map(|mm| mm / 36.0 * longest))
        .filter(|focal| *focal > 0.2 * longest && *focal < 20.0 * longest);
    // Most drone cameras see about 60° to 80° across.
    let focal = known.unwrap_or(0.8 * longest);
    let focal_sigma = if known.is_some() { 0.05 } else { 0.2 } * focal;
    let name = [metadata.make.as_deref(), metadata.model.as_deref(), metadata.serial.as_deref()]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(" ");
    let name = if name.is_empty() { "unknown camera".to_owned() } else { name };
    let label = format!("{name}, {width} × {height}, {focal:.0} px");
    let axis = 0.02 * longest;
    CameraGroup {
        label,
        prior: Camera::ideal(width, height, focal),
        sigma: [focal_sigma, axis, axis, 0.2, 0.2, 0.1, 0.005, 0.005],
    }
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
            ..*self
        }
    }

    /// Rejects photos for reasons that were found elsewhere.
    pub fn reject(&mut self, rejected: Vec<Rejected>) {
        self.photos.retain(|photo| rejected.iter().all(|other| other.name != photo.name));
        self.rejected.extend(rejected);
    }
}
