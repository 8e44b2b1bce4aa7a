//! From matches to an adjusted block: start, triangulate, adjust, throw out what disagrees, again.
//!
//! The first rounds move poses only and tolerate metres; each next round believes less and frees more, until
//! every parameter of the lens is adjusted with all tie points within a few sigmas.

use nalgebra::{Vector2, Vector3};
use rayon::prelude::*;

use super::{
    bundle::{
        AdjustedCamera, AdjustedPhoto, After, Block, Observation, PositionPrior, Precision, RotationPrior, Solver,
        TiePoint, reprojection, triangulate,
    },
    camera::rotation_of,
    error::Result,
    keypoints::ShelvedKeypoints,
    motion::set_velocities,
    photos::{Flight, median},
    start::Start,
    tracks::Track,
};

/// A tie point whose widest two rays meet at less than this has no height, radians.
const NARROWEST_ANGLE: f64 = 0.03;
/// One sigma of the gimbal's tilt and of its heading, radians, beside what is alike for the whole flight; and of a
/// heading that had to be guessed from matches.
const TILT_SIGMA: f64 = 0.05;
const HEADING_SIGMA: f64 = 0.1;
const GUESSED_HEADING_SIGMA: f64 = 0.3;
/// For so long a receiver without RTK keeps its error, seconds. Between 30 and 200 s the choice hardly matters.
const GPS_MEMORY_S: f64 = 60.0;
/// The part of its error that it does not keep, metres: consumer drones write positions rounded to a decimetre.
const GPS_WHITE_M: f64 = 0.1;
/// A position farther from the adjusted one than so many sigmas is no step from or to another.
const GPS_STRAY_SIGMAS: f64 = 4.0;
/// One sigma of the heights over the ground, metres and share: take-off is not the mean ground. All photos of a
/// flight are off alike, so together they weigh no more than this.
const HEIGHT_SIGMA_M: f64 = 0.8;
const HEIGHT_SIGMA_SHARE: f64 = 0.02;
/// One sigma of a keypoint's place along an axis, in pixels, before the block has shown what it really is.
const FIRST_SIGMA_PX: f64 = 1.0;
/// The scale of a keypoint, in pixels, up to which its sigma holds; that of larger ones grows with it.
const KEYPOINT_SIGMA_UP_TO_PX: f64 = 2.5;
/// The sigma is so many times what the adjusted block measures: a photo's errors are alike (shutter, haze, lens), so
/// its thousand keypoints are not a thousand witnesses. And it is no more than that: with 1 px for what was good to
/// 0.13 px, the 2 cm of RTK heights bent a flight until its ground was 1.4 parts in a thousand too small.
/// Two instead of three drew the focal length of the 18 real photos, whose errors are alike indeed, from 14 to 17 % above
/// its prior.
const SIGMA_FACTOR: f64 = 3.0;
const SMALLEST_SIGMA_PX: f64 = 0.2;
/// Readouts of real cameras, seconds. Less is a centimetre or two on the ground and cannot be told from a lens that is not
/// quite round.
const PLAUSIBLE_READOUT_S: std::ops::Range<f64> = 0.004..0.15;
/// Tie points of the rounds that only bring the photos together: for each photo, and at least.
const COARSE_POINTS_PER_PHOTO: usize = 60;
const FEWEST_COARSE_POINTS: usize = 3000;

/// One pass over the block.
struct Round {
    /// Sightings farther off than this are left out, pixels.
    limit_px: f64,
    loss_scale: f64,
    iterations: usize,
    /// The round ends when the cost falls by less than this fraction.
    tolerance: f64,
    lens: Lens,
}

/// What of the lens a round may change.
#[derive(Clone, Copy, PartialEq)]
enum Lens {
    Fixed,
    FocalAndFirstRadial,
    All,
}

/// The rounds that bring the photos together, on some of the tie points.
const ROUGH: [Round; 4] = [
    Round { limit_px: 400.0, loss_scale: 20.0, iterations: 12, tolerance: 1e-3, lens: Lens::Fixed },
    Round { limit_px: 60.0, loss_scale: 6.0, iterations: 12, tolerance: 1e-3, lens: Lens::FocalAndFirstRadial },
    Round { limit_px: 15.0, loss_scale: 2.5, iterations: 15, tolerance: 1e-3, lens: Lens::All },
    Round { limit_px: 5.0, loss_scale: 1.5, iterations: 15, tolerance: 1e-5, lens: Lens::All },
];
/// The round with all tie points.
const FINE: Round = Round { limit_px: 3.0, loss_scale: 1.0, iterations: 40, tolerance: 1e-6, lens: Lens::All };

/// The tracks of a flight with the pixels they were seen at; their sigmas are multiples of an ordinary keypoint's.
pub struct Sightings {
    pub tracks: Vec<Vec<Observation>>,
}

impl Sightings {
    /// Takes the keypoints down photo by photo: they never are in memory all at once.
    ///
    /// # Errors
    /// [`super::Error::Shelf`] when the disk does not give them back.
    pub fn new(tracks: &[Track], keypoints: &[ShelvedKeypoints]) -> Result<Self> {
        let mut of_photo: Vec<Vec<(u32, u32)>> = vec![Vec::new(); keypoints.len()];
        for (index, track) in tracks.iter().enumerate() {
            for sighting in track {
                of_photo[sighting.photo as usize].push((index as u32, sighting.keypoint));
            }
        }
        let mut found: Vec<Vec<Observation>> = tracks.iter().map(|track| Vec::with_capacity(track.len())).collect();
        for (photo, (keypoints, seen)) in keypoints.iter().zip(of_photo).enumerate() {
            let points = keypoints.points()?;
            for (track, keypoint) in seen {
                let point = &points[keypoint as usize];
                let sigma_px = (f64::from(point.scale_px) / KEYPOINT_SIGMA_UP_TO_PX).max(1.0);
                let (photo, pixel) = (photo as u32, Vector2::from(point.xy));
                found[track as usize].push(Observation { photo, pixel, sigma_px, rgb: point.rgb });
            }
        }
        Ok(Self { tracks: found })
    }
}

/// The block of a flight before any adjustment: poses of the start, priors of the metadata, no points yet.
pub fn first_block(flight: &Flight, start: &Start) -> Block {
    let cameras = flight
        .cameras
        .iter()
        .map(|group| AdjustedCamera {
            camera: group.prior,
            prior: group.prior.parameters(),
            sigma: group.sigma,
            readout_s: group.readout_s.0,
            readout_prior_s: group.readout_s,
        })
        .collect();
    let with_height = flight.photos.iter().filter(|photo| photo.relative_altitude_m.is_some()).count();
    let alike = (with_height.max(1) as f64).sqrt();
    let photos: Vec<AdjustedPhoto> = flight
        .photos
        .iter()
        .zip(start.exteriors.iter().zip(&start.attitudes).zip(&start.right_headings))
        .map(|(photo, ((exterior, attitude), right))| AdjustedPhoto {
            exterior: *exterior,
            camera: photo.camera,
            sortie: photo.sortie,
            position: photo.gps.map(|gps| PositionPrior {
                enu: gps.enu,
                sigma_horizontal_m: gps.sigma_horizontal_m,
                sigma_vertical_m: gps.sigma_vertical_m,
                flight: (!gps.rtk).then_some(photo.sortie),
                after: None,
            }),
            rotation: photo.attitude.map(|_| RotationPrior {
                rotation: rotation_of(attitude),
                sigma: Vector3::new(TILT_SIGMA, TILT_SIGMA, if *right { HEADING_SIGMA } else { GUESSED_HEADING_SIGMA }),
                flight: right.then_some(photo.sortie),
            }),
            taken_at_s: photo.taken_at_s,
            velocity: Vector3::zeros(),
            height_above_ground_m: photo
                .relative_altitude_m
                .filter(|_| start.heights_agree)
                .map(|height| (height, alike * HEIGHT_SIGMA_M.max(HEIGHT_SIGMA_SHARE * height))),
        })
        .collect();
    let mut block = Block {
        cameras,
        photos,
        points: Vec::new(),
        altitude_offsets_m: vec![0.0; flight.sorties],
        gimbal_offsets: vec![Vector3::zeros(); flight.sorties],
        precision: None,
    };
    hold_without_gps(&mut block);
    block
}

/// Without any position the block would float: the start's own positions hold it, loosely.
fn hold_without_gps(block: &mut Block) {
    if block.photos.iter().any(|photo| photo.position.is_some()) {
        return;
    }
    for photo in &mut block.photos {
        let sigma = 0.2 * photo.exterior.centre.z.abs().max(1.0);
        photo.position = Some(PositionPrior {
            enu: photo.exterior.centre,
            sigma_horizontal_m: sigma,
            sigma_vertical_m: sigma,
            flight: None,
            after: None,
        });
    }
}

/// Lets each position of a receiver without RTK go on from the one before, because it errs alike.
///
/// For a block that is nearly right: strays are found by their residuals and stay out of the chain.
fn chain_positions(block: &mut Block) {
    let mut last: Vec<Option<(usize, f64)>> = vec![None; block.altitude_offsets_m.len()];
    for index in 0..block.photos.len() {
        let photo = &mut block.photos[index];
        let (Some(prior), Some(now)) = (&mut photo.position, photo.taken_at_s) else { continue };
        let Some(flight) = prior.flight else { continue };
        prior.after = None;
        if (photo.exterior.centre - prior.enu).xy().norm() > GPS_STRAY_SIGMAS * prior.sigma_horizontal_m {
            continue;
        }
        if let Some((photo, then)) = last[flight] {
            let kept = 1.0 - (GPS_WHITE_M / prior.sigma_horizontal_m).min(1.0).powi(2);
            prior.after = Some(After { photo, share: kept * (-(now - then).max(0.0) / GPS_MEMORY_S).exp() });
        }
        last[flight] = Some((index, now));
    }
}

/// Brings the block from its start to about a pixel, by some of its tie points.
pub fn adjust_roughly(block: &mut Block, sightings: &Sightings) {
    for (index, round) in ROUGH.iter().enumerate() {
        if index > 0 {
            set_velocities(block);
        }
        let some = some_tracks(block, sightings);
        run_round(block, place_points(block, &some, round.limit_px), round, FIRST_SIGMA_PX, &[]);
    }
}

/// The full adjustment of a block that is right to about a pixel, with surveyed points among its tie points.
///
/// Leaves the block with all tie points, and with its [`Precision`].
pub fn adjust_fully(block: &mut Block, sightings: &Sightings, surveyed: &[TiePoint]) {
    if !surveyed.is_empty() {
        // The survey may have pulled the block by metres: GPS strays and velocities are looked at after a first round.
        let [.., last] = &ROUGH;
        let some = some_tracks(block, sightings);
        run_round(block, place_points(block, &some, last.limit_px), last, FIRST_SIGMA_PX, surveyed);
    }
    set_velocities(block);
    chain_positions(block);
    settle_readouts(block);
    let sigma_px = keypoint_sigma_px(block);
    let points = place_points(block, &sightings.tracks.iter().collect::<Vec<_>>(), FINE.limit_px);
    run_round(block, points, &FINE, sigma_px, surveyed);
    block.precision = Precision::of(block, FINE.loss_scale);
}

/// Takes a readout that the rough rounds could not find for none: what is left of it then is noise, or something else.
fn settle_readouts(block: &mut Block) {
    for camera in block.cameras.iter_mut().filter(|camera| camera.readout_prior_s.1 > 0.0) {
        if !PLAUSIBLE_READOUT_S.contains(&camera.readout_s) {
            camera.readout_s = camera.readout_prior_s.0;
            camera.readout_prior_s.1 = 0.0;
        }
    }
}

/// Long tracks, evenly taken from all photos.
fn some_tracks<'a>(block: &Block, sightings: &'a Sightings) -> Vec<&'a Vec<Observation>> {
    let wanted = FEWEST_COARSE_POINTS.max(COARSE_POINTS_PER_PHOTO * block.photos.len());
    let long: Vec<_> = sightings.tracks.iter().filter(|track| track.len() > 2).collect();
    let pool = if long.len() < wanted / 10 { sightings.tracks.iter().collect() } else { long };
    let stride = pool.len().div_ceil(wanted).max(1);
    pool.into_iter().step_by(stride).collect()
}

/// What one sigma of a keypoint is in a block that was adjusted with [`FIRST_SIGMA_PX`] (Förstner 1979, *Ein Verfahren zur Schätzung von
/// Varianz- und Kovarianzkomponenten*): from the middle residual, which a few wrong matches do not move.
fn keypoint_sigma_px(block: &Block) -> f64 {
    let residuals = block.points.iter().filter(|point| point.survey.is_none()).flat_map(|point| {
        point.sightings.iter().map(|sighting| error_px(block, &point.position, sighting) / sighting.sigma_px)
    });
    // Half of what is normal in two dimensions lies within 1.1774 sigmas (Rayleigh).
    let measured = median(residuals).map_or(1.0, |middle| middle / 1.1774);
    (SIGMA_FACTOR * measured * FIRST_SIGMA_PX).clamp(SMALLEST_SIGMA_PX, FIRST_SIGMA_PX)
}

/// `sigma_px` is that of a keypoint of ordinary scale.
fn run_round(block: &mut Block, points: Vec<TiePoint>, round: &Round, sigma_px: f64, surveyed: &[TiePoint]) {
    block.points = points;
    for sighting in block.points.iter_mut().flat_map(|point| &mut point.sightings) {
        sighting.sigma_px *= sigma_px;
    }
    block.points.extend(surveyed.iter().cloned());
    let sigmas: Vec<_> = block.cameras.iter().map(|camera| (camera.sigma, camera.readout_prior_s.1)).collect();
    for camera in &mut block.cameras {
        let free: &[usize] = match round.lens {
            Lens::Fixed => &[],
            Lens::FocalAndFirstRadial => &[0, 3],
            Lens::All => &[0, 1, 2, 3, 4, 5, 6, 7],
        };
        for (index, sigma) in camera.sigma.iter_mut().enumerate() {
            if !free.contains(&index) {
                *sigma = 0.0;
            }
        }
        if round.lens != Lens::All {
            camera.readout_prior_s.1 = 0.0;
        }
    }
    let solver = Solver { loss_scale: round.loss_scale, most_iterations: round.iterations, tolerance: round.tolerance };
    let summary = solver.adjust(block);
    tracing::debug!(
        points = block.points.len(),
        iterations = summary.iterations,
        first_cost = summary.first_cost,
        last_cost = summary.last_cost,
        focal_px = block.cameras[0].camera.focal_px,
        "adjusted the block"
    );
    for (camera, (sigma, readout_sigma)) in block.cameras.iter_mut().zip(sigmas) {
        camera.sigma = sigma;
        camera.readout_prior_s.1 = readout_sigma;
    }
}

/// Triangulates tracks from the present poses and drops sightings farther off than `limit_px`.
///
/// Starts from all sightings of a track every time, so that one dropped too early may come back.
fn place_points(block: &Block, tracks: &[&Vec<Observation>], limit_px: f64) -> Vec<TiePoint> {
    tracks.par_iter().filter_map(|track| place_point(block, track, limit_px)).collect()
}

fn place_point(block: &Block, track: &[Observation], limit_px: f64) -> Option<TiePoint> {
    let mut sightings = track.to_vec();
    // Each pass drops the worst third at most: one wrong sighting must not take the right ones with it.
    for _ in 0..4 {
        let (position, angle) = triangulate(block, &sightings)?;
        let errors: Vec<f64> = sightings.iter().map(|sighting| error_px(block, &position, sighting)).collect();
        let worst = errors.iter().copied().fold(0.0, f64::max);
        if worst <= limit_px {
            return (angle >= NARROWEST_ANGLE).then_some(TiePoint { position, sightings, survey: None });
        }
        let cut = limit_px.max(0.7 * worst);
        let mut error = errors.iter();
        sightings.retain(|_| error.next().is_some_and(|e| *e <= cut));
        if sightings.len() < 2 {
            return None;
        }
    }
    None
}

/// How far a point's place in a photo is from where it was seen, pixels; infinite when it is not seen.
pub fn error_px(block: &Block, position: &Vector3<f64>, sighting: &Observation) -> f64 {
    let photo = &block.photos[sighting.photo as usize];
    reprojection(block, photo, position).map_or(f64::INFINITY, |seen| (seen - sighting.pixel).norm())
}

/// How many tie points each photo would see in the full adjustment.
pub fn fitting_sightings_per_photo(block: &Block, sightings: &Sightings) -> Vec<usize> {
    let [.., last] = &ROUGH;
    count_sightings(block, &place_points(block, &sightings.tracks.iter().collect::<Vec<_>>(), last.limit_px))
}

/// How many tie points each photo sees.
pub fn sightings_per_photo(block: &Block) -> Vec<usize> {
    count_sightings(block, &block.points)
}

fn count_sightings(block: &Block, points: &[TiePoint]) -> Vec<usize> {
    let mut counts = vec![0; block.photos.len()];
    for sighting in points.iter().flat_map(|point| &point.sightings) {
        counts[sighting.photo as usize] += 1;
    }
    counts
}

/// The root mean square of the distances between sightings and their points, pixels; surveyed points apart.
pub fn reprojection_rmse_px(block: &Block) -> f64 {
    let (mut sum, mut count) = (0.0, 0usize);
    for point in block.points.iter().filter(|point| point.survey.is_none()) {
        for sighting in &point.sightings {
            let error = error_px(block, &point.position, sighting);
            if error.is_finite() {
                sum += error * error;
                count += 1;
            }
        }
    }
    (sum / count.max(1) as f64).sqrt()
}
