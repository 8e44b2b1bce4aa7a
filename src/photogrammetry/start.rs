//! Where the cameras are before the adjustment: good enough that no photo has to be added one by one.
//!
//! From above, flat ground moves between two photos by a turn, a zoom and a shift. With complex numbers that is
//! linear: a place z of photo i lies at `a z + t`, where `t` is the ground under the camera and `a` is its height
//! times its heading. All photos are solved at once from their matches, held by GPS. So the start needs no heading, no
//! height and no GPS of *every* photo, and it tells when the metadata's heading or height is wrong.

use std::f64::consts::{PI, TAU};

use nalgebra::{Vector2, Vector3};
use rayon::prelude::*;

use super::{
    camera::{Exterior, rotation_of},
    dense::NormalEquations,
    error::Result,
    keypoints::ShelvedKeypoints,
    matching::PairMatches,
    photos::{Flight, Photo, median},
};
use crate::raster::Attitude;

/// Poses to begin with, and what had to be overruled to get them.
pub struct Start {
    pub exteriors: Vec<Exterior>,
    /// For each photo the gimbal's angles in which the heading may have been replaced.
    pub attitudes: Vec<Attitude>,
    /// For each photo whether the heading in its metadata is no more than [`WRONG_HEADING`] off.
    pub right_headings: Vec<bool>,
    /// Whether heights over the ground in the metadata agree with GPS and the focal length.
    pub heights_agree: bool,
}

/// A heading farther off than this is a broken compass, not a breeze.
const WRONG_HEADING: f64 = 0.26;
/// Heights that differ by more than this share cannot both be right.
const WRONG_HEIGHT: f64 = 0.35;
/// Matches of a pair that are used: a turn, a zoom and a shift need no more.
const PER_PAIR: usize = 40;
/// One sigma of a match on the ground: relief and tilt move it by this share of the height.
const GROUND_SIGMA: f64 = 0.05;
/// The height that a flight without any metadata starts from.
const UNKNOWN_HEIGHT_M: f64 = 50.0;

/// Estimates the poses of all photos. `None` when the matches leave some photo undetermined.
///
/// # Errors
/// [`super::Error::Shelf`] when the disk does not give keypoints back.
pub fn estimate_start(flight: &Flight, keypoints: &[ShelvedKeypoints], pairs: &[PairMatches]) -> Result<Option<Start>> {
    let height = median(flight.photos.iter().filter_map(|photo| photo.relative_altitude_m)).unwrap_or(UNKNOWN_HEIGHT_M);
    let ties = collect_ties(flight, keypoints, pairs)?;
    let Some(planes) = solve_planes(flight, &ties, height) else { return Ok(None) };
    let anchored = flight.photos.iter().filter(|photo| photo.gps.is_some()).count() >= 3;

    let ratios = flight
        .photos
        .iter()
        .zip(&planes)
        .filter_map(|(photo, plane)| Some(plane.height() / photo.relative_altitude_m?));
    let heights_agree = !anchored || median(ratios).is_none_or(|ratio| (ratio.ln()).abs() < WRONG_HEIGHT);

    let mut start = Start { exteriors: Vec::new(), attitudes: Vec::new(), right_headings: Vec::new(), heights_agree };
    for (photo, plane) in flight.photos.iter().zip(&planes) {
        let mut attitude = angles(photo);
        let off = wrapped(plane.heading() - attitude.yaw_deg.to_radians()).abs();
        let right = photo.attitude.is_some() && off <= WRONG_HEADING;
        start.right_headings.push(right);
        if !right {
            attitude.yaw_deg = plane.heading().to_degrees();
        }
        let turned = Attitude { yaw_deg: plane.heading().to_degrees(), ..attitude };
        let z = photo.relative_altitude_m.filter(|_| heights_agree).unwrap_or(plane.height());
        start
            .exteriors
            .push(Exterior { rotation: rotation_of(&turned), centre: Vector3::new(plane.shift.x, plane.shift.y, z) });
        start.attitudes.push(attitude);
    }
    Ok(Some(start))
}

fn wrapped(angle: f64) -> f64 {
    (angle + PI).rem_euclid(TAU) - PI
}

/// The photo's own angles; straight down and unknown heading when it has none.
fn angles(photo: &Photo) -> Attitude {
    photo.attitude.unwrap_or(Attitude { yaw_deg: 0.0, pitch_deg: -90.0, roll_deg: 0.0 })
}

/// The turn and zoom `a`, and the shift `t`, of one photo: real parts first.
#[derive(Clone, Copy)]
struct Plane {
    turn: Vector2<f64>,
    shift: Vector2<f64>,
}

impl Plane {
    fn height(&self) -> f64 {
        self.turn.norm()
    }

    /// Radians clockwise from north.
    fn heading(&self) -> f64 {
        -self.turn.y.atan2(self.turn.x)
    }

    fn ground(&self, z: Vector2<f64>) -> Vector2<f64> {
        complex_product(self.turn, z) + self.shift
    }
}

/// A match in the two photos' own planes, with the tilt taken out: one unit is one height.
struct Tie {
    photos: [usize; 2],
    places: [Vector2<f64>; 2],
}

fn solve_planes(flight: &Flight, ties: &[Tie], height: f64) -> Option<Vec<Plane>> {
    let anchored = flight.photos.iter().any(|photo| photo.gps.is_some());
    let mut planes: Option<Vec<Plane>> = None;
    for _ in 0..4 {
        let mut equations = NormalEquations::of_photos(flight.photos.len(), 4 * flight.photos.len());
        for tie in ties {
            add_tie(&mut equations, tie, planes.as_deref(), GROUND_SIGMA * height);
        }
        for (index, photo) in flight.photos.iter().enumerate() {
            if let Some(gps) = photo.gps {
                for axis in 0..2 {
                    let slope = 1.0 / gps.sigma_horizontal_m.max(0.3);
                    equations.add_row(&[(4 * index + 2 + axis, slope)], -gps.enu[axis] * slope);
                }
            }
        }
        if !anchored {
            // Nothing says where or how large: the first photo looks north from the assumed height.
            for (unknown, value) in [(0, height), (1, 0.0), (2, 0.0), (3, 0.0)] {
                equations.add_row(&[(unknown, 1e3)], -value * 1e3);
            }
        }
        let solution = equations.solve()?;
        let mut solved: Vec<Plane> = solution
            .chunks_exact(4)
            .map(|v| Plane { turn: Vector2::new(v[0], v[1]), shift: Vector2::new(v[2], v[3]) })
            .collect();
        fit_to_gps(&mut solved, flight);
        planes = Some(solved);
    }
    planes
}

/// Turns and zooms all planes together onto the GPS positions.
///
/// Least squares like everything smaller: what ties leave over shrinks with the scale. Many ties against a few
/// positions can halve a block, but they shrink it evenly, so one factor puts it right.
fn fit_to_gps(planes: &mut [Plane], flight: &Flight) {
    let pairs: Vec<(Vector2<f64>, Vector2<f64>)> = flight
        .photos
        .iter()
        .zip(planes.iter())
        .filter_map(|(photo, plane)| Some((plane.shift, photo.gps_xy()?)))
        .collect();
    let count = pairs.len().max(1) as f64;
    let from = pairs.iter().map(|(a, _)| a).sum::<Vector2<f64>>() / count;
    let to = pairs.iter().map(|(_, b)| b).sum::<Vector2<f64>>() / count;
    let (mut dot, mut cross, mut square) = (0.0, 0.0, 0.0);
    for (a, b) in &pairs {
        let (a, b) = (a - from, b - to);
        dot += a.dot(&b);
        cross += a.perp(&b);
        square += a.norm_squared();
    }
    if pairs.len() < 3 || square < 1e-6 {
        return;
    }
    let factor = Vector2::new(dot / square, cross / square);
    for plane in planes {
        plane.turn = complex_product(factor, plane.turn);
        plane.shift = complex_product(factor, plane.shift - from) + to;
    }
}

fn complex_product(a: Vector2<f64>, b: Vector2<f64>) -> Vector2<f64> {
    Vector2::new(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x)
}

/// Some matches of every pair. The pairs are in the order of their first photo.
fn collect_ties(flight: &Flight, keypoints: &[ShelvedKeypoints], pairs: &[PairMatches]) -> Result<Vec<Tie>> {
    let of_photo = |pairs: &[PairMatches]| {
        let first = keypoints[pairs[0].first].points()?;
        let mut ties = Vec::new();
        for pair in pairs {
            let second = keypoints[pair.second].points()?;
            let photos = [pair.first, pair.second];
            let stride = pair.matches.len().div_ceil(PER_PAIR).max(1);
            ties.extend(pair.matches.iter().step_by(stride).map(|&[i, j]| {
                let pixels = [first[i as usize].xy, second[j as usize].xy];
                Tie { photos, places: [0, 1].map(|side| level_place(flight, photos[side], pixels[side])) }
            }));
        }
        Ok(ties)
    };
    let of_photos: Vec<&[PairMatches]> = pairs.chunk_by(|a, b| a.first == b.first).collect();
    let ties: Vec<Vec<Tie>> = of_photos.into_par_iter().map(of_photo).collect::<Result<_>>()?;
    Ok(ties.into_iter().flatten().collect())
}

/// Where a pixel meets the plane one unit under the camera, with the tilt but not the heading applied.
fn level_place(flight: &Flight, photo: usize, pixel: [f64; 2]) -> Vector2<f64> {
    let photo = &flight.photos[photo];
    let tilt = Attitude { yaw_deg: 0.0, ..angles(photo) };
    let camera = &flight.cameras[photo.camera].prior;
    let ray = Exterior { rotation: rotation_of(&tilt), centre: Vector3::zeros() }.ray(&camera.unproject(&pixel.into()));
    ray.xy() / -ray.z.min(-0.05)
}

/// Adds the two equations of a match, weighted down when the last solution already disagrees with it.
fn add_tie(equations: &mut NormalEquations, tie: &Tie, planes: Option<&[Plane]>, sigma: f64) {
    let [i, j] = tie.photos.map(|photo| 4 * photo);
    let [p, q] = tie.places;
    let off = planes.map_or(0.0, |planes| (planes[tie.photos[0]].ground(p) - planes[tie.photos[1]].ground(q)).norm());
    let weight = 1.0 / (sigma * (1.0 + (off / (2.0 * sigma)).powi(2)).sqrt());
    let w = |value: f64| value * weight;
    equations.add_row(
        &[(i, w(p.x)), (i + 1, w(-p.y)), (i + 2, w(1.0)), (j, w(-q.x)), (j + 1, w(q.y)), (j + 2, w(-1.0))],
        0.0,
    );
    equations.add_row(
        &[(i, w(p.y)), (i + 1, w(p.x)), (i + 3, w(1.0)), (j, w(-q.y)), (j + 1, w(-q.x)), (j + 3, w(-1.0))],
        0.0,
    );
}
