//! Where the photos were taken, by GPS, and how far each position can be trusted.

use std::collections::HashMap;

use nalgebra::Vector3;
use serde::Serialize;

use super::{
    super::error::{Error, Result},
    PhotoInput, median,
};
use crate::{raster::PhotoMetadata, spatial::LocalFrame};

/// A position in the local frame.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Gps {
    /// East, north, up in metres.
    pub enu: Vector3<f64>,
    pub sigma_horizontal_m: f64,
    pub sigma_vertical_m: f64,
    /// Whether the height is as good as the plan: then no offset is estimated for it.
    pub rtk: bool,
}

/// One sigma of a receiver that does not report its own: measured on consumer drones, open sky.
const GPS_M: [f64; 2] = [1.5, 3.0];
/// A reported sigma below this is RTK, whose heights need no offset.
const RTK_BELOW_M: f64 = 0.5;
/// One sigma, across and up, by DJI's `RtkFlag` for a photo that names none: 50 is a fixed solution, 34 a floating one.
const FIXED_M: [f64; 2] = [0.03, 0.05];
const FLOATING_M: [f64; 2] = [0.5, 0.8];
/// No receiver is better than this, whatever it reports, by the same flag; a single solution (16) is plain GPS.
const BEST_FIXED_M: [f64; 2] = [0.01, 0.015];
const BEST_FLOATING_M: [f64; 2] = [0.1, 0.15];
const BEST_SINGLE_M: [f64; 2] = [0.8, 1.5];
/// So many photos with one position to the last digit did not hover: the receiver had lost its fix.
const STUCK: usize = 3;
/// One sigma of a position that the drone had left already.
const STUCK_M: f64 = 30.0;
/// Metres of a degree of latitude.
const METRES_PER_DEGREE: f64 = 111_320.0;
/// Positions to which software has rounded, degrees, the coarsest first.
const ROUNDED_TO: [(f64, &str); 5] = [
    (1.0 / 60.0, "whole minutes of arc"),
    (1e-3, "3 decimals of a degree"),
    (1.0 / 3600.0, "whole seconds of arc"),
    (1e-4, "4 decimals of a degree"),
    (1.0 / 36_000.0, "tenths of a second of arc"),
];
/// Closer than this to a multiple is one, degrees: 2 mm.
const ROUNDED_WITHIN: f64 = 2e-8;

/// The positions of a flight's photos and the place of its frame.
pub(super) struct Positions {
    /// Longitude, latitude and ellipsoidal height.
    pub origin: [f64; 3],
    pub gps: Vec<Option<Gps>>,
    pub notes: Vec<String>,
}

impl Positions {
    /// Reads the positions; `fallback` is the place of the frame when no photo has one.
    ///
    /// # Errors
    /// [`Error::NoPosition`]; [`Error::StuckPosition`] when all photos have the same one and there is no `fallback`.
    pub fn of(photos: &[&PhotoInput], fallback: Option<[f64; 3]>) -> Result<Self> {
        let total = photos.len();
        let origin = origin_of(photos).or(fallback).ok_or(Error::NoPosition { total })?;
        let frame = LocalFrame::at(origin);
        let mut gps: Vec<Option<Gps>> = photos.iter().map(|photo| gps_of(&photo.metadata, &frame, origin[2])).collect();
        let mut notes = Vec::new();
        notes.extend(trust_rounded(photos, &mut gps));
        let stuck = stuck(photos);
        let with_gps = gps.iter().flatten().count();
        if stuck.iter().filter(|stuck| **stuck).count() == with_gps && with_gps > 0 && one_place(photos) {
            if fallback.is_none() {
                return Err(Error::StuckPosition { total: with_gps });
            }
            gps.fill(None);
            notes.push(format!("all {with_gps} photos have the same GPS position, which was not used"));
        } else if stuck.contains(&true) {
            let of = |gps: &mut Gps| {
                gps.sigma_horizontal_m = gps.sigma_horizontal_m.max(STUCK_M);
                gps.rtk = false;
            };
            gps.iter_mut().zip(&stuck).filter(|(_, stuck)| **stuck).filter_map(|(gps, _)| gps.as_mut()).for_each(of);
            let count = stuck.iter().filter(|stuck| **stuck).count();
            notes.push(format!(
                "{count} photos have exactly the GPS position of {} others: the receiver had lost its fix, and those \
                 positions are trusted to {STUCK_M:.0} m only",
                STUCK - 1
            ));
        }
        Ok(Self { origin, gps, notes })
    }
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
    let [sigma_horizontal_m, sigma_vertical_m] = sigmas_of(metadata);
    let rtk = sigma_vertical_m < RTK_BELOW_M && metadata.absolute_altitude_m.is_some();
    Some(Gps { enu: Vector3::from(frame.to_enu([lon, lat, height])), sigma_horizontal_m, sigma_vertical_m, rtk })
}

/// One sigma across and up: what the receiver reports, and no less than its kind of solution can be.
fn sigmas_of(metadata: &PhotoMetadata) -> [f64; 2] {
    let (unnamed, best) = match metadata.rtk_flag {
        Some(50) => (FIXED_M, BEST_FIXED_M),
        Some(34) => (FLOATING_M, BEST_FLOATING_M),
        Some(_) => (GPS_M, BEST_SINGLE_M),
        None => (GPS_M, BEST_FIXED_M),
    };
    metadata.gps_sigma.map_or(unnamed, |sigma| [sigma.horizontal_m.max(best[0]), sigma.vertical_m.max(best[1])])
}

/// Widens the sigmas when all positions were rounded, and says so.
fn trust_rounded(photos: &[&PhotoInput], gps: &mut [Option<Gps>]) -> Option<String> {
    let places: Vec<[f64; 2]> = photos.iter().filter_map(|photo| position_of(&photo.metadata)).collect();
    let is_rounded = |step: f64| {
        places.iter().flatten().all(|degrees| (degrees / step - (degrees / step).round()).abs() * step < ROUNDED_WITHIN)
    };
    let &(step, words) = ROUNDED_TO.iter().find(|(step, _)| places.len() >= 3 && is_rounded(*step))?;
    let step_m = step * METRES_PER_DEGREE;
    // A number that was rounded is anywhere within the step.
    let rounding_m = step_m / 12.0_f64.sqrt();
    for gps in gps.iter_mut().flatten() {
        gps.sigma_horizontal_m = gps.sigma_horizontal_m.hypot(rounding_m);
        // Nothing so coarse came from a receiver with corrections.
        gps.rtk = false;
    }
    Some(format!(
        "all GPS positions are rounded to {words} ({step_m:.0} m): each is trusted to {rounding_m:.1} m only; use the \
         camera's originals"
    ))
}

fn exactly(metadata: &PhotoMetadata) -> Option<[u64; 2]> {
    position_of(metadata).map(|place| place.map(f64::to_bits))
}

/// Which photos have the position of several others to the last digit.
fn stuck(photos: &[&PhotoInput]) -> Vec<bool> {
    let mut count: HashMap<[u64; 2], usize> = HashMap::new();
    for place in photos.iter().filter_map(|photo| exactly(&photo.metadata)) {
        *count.entry(place).or_default() += 1;
    }
    let stays = |photo: &&PhotoInput| exactly(&photo.metadata).is_some_and(|place| count[&place] >= STUCK);
    photos.iter().map(stays).collect()
}

fn one_place(photos: &[&PhotoInput]) -> bool {
    let mut places = photos.iter().filter_map(|photo| exactly(&photo.metadata));
    let first = places.next();
    places.all(|place| Some(place) == first)
}
