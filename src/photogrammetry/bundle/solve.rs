//! Levenberg–Marquardt over the reduced system.

use nalgebra::Vector3;

use super::{
    Block,
    index::PairIndex,
    normal::{Reduced, follow, points_cost, reduce, settle},
    priors::{CAMERA_UNKNOWNS, Unknowns, add_priors, prior_cost},
    residuals::{Loss, Sightings},
};
use crate::photogrammetry::{camera::rotation_exp, dense::NormalEquations};

/// How the adjustment is run.
#[derive(Clone, Copy, Debug)]
pub struct Solver {
    /// Where Cauchy's loss turns from square to logarithm, in sigmas.
    pub loss_scale: f64,
    pub most_iterations: usize,
    /// Stop when the cost falls by less than this fraction.
    pub tolerance: f64,
}

/// What the adjustment did.
#[derive(Clone, Copy, Debug)]
pub struct Summary {
    pub iterations: usize,
    pub first_cost: f64,
    pub last_cost: f64,
}

/// The damping of the first step: nearly Gauss-Newton, because blocks start close.
const FIRST_DAMPING: f64 = 1e-6;
const LEAST_DAMPING: f64 = 1e-16;
/// A step in which no photo moves by more than this angle is the last: a hundredth of a pixel.
const SHORT_WAY: f64 = 1e-5;
/// With so much damping steps are too short to matter.
const MOST_DAMPING: f64 = 1e6;

impl Solver {
    /// Adjusts the block in place. A step that does not lower the cost is not taken, so the block never gets worse.
    pub fn adjust(&self, block: &mut Block) -> Summary {
        let mut points = std::mem::take(&mut block.points);
        let sightings = Sightings::of(block, &points, Loss { scale: self.loss_scale });
        let pairs = PairIndex::new(block.photos.len(), &sightings);
        let mut positions: Vec<Vector3<f64>> = points.iter().map(|point| point.position).collect();
        let mut cost = points_cost(block, &sightings, &positions) + prior_cost(block);
        let distance_m = mean_distance(block, &sightings, &positions);
        let mut summary = Summary { iterations: 0, first_cost: cost, last_cost: cost };
        let (mut damping, mut growth) = (FIRST_DAMPING, 2.0);
        while summary.iterations < self.most_iterations && damping < MOST_DAMPING {
            summary.iterations += 1;
            let reduced = reduce(block, &sightings, &positions, &pairs, damping);
            let tried = system(block, &reduced, &pairs, damping).solve().map(|steps| {
                let next = moved(block, &steps);
                let mut followed = follow(block, &sightings, &positions, damping, &steps);
                let next_cost = settle(&next, &sightings, &mut followed) + prior_cost(&next);
                (next, followed, next_cost)
            });
            match tried {
                Some((next, followed, next_cost)) if next_cost < cost => {
                    let (fall, way) = ((cost - next_cost) / cost.max(1e-300), longest_way(block, &next, distance_m));
                    (*block, positions, cost) = (next, followed, next_cost);
                    (damping, growth) = ((damping / 10.0).max(LEAST_DAMPING), 2.0);
                    if fall < self.tolerance || way < SHORT_WAY {
                        break;
                    }
                }
                _ => {
                    damping *= growth;
                    growth *= 2.0;
                }
            }
        }
        points.iter_mut().zip(positions).for_each(|(point, position)| point.position = position);
        block.points = points;
        summary.last_cost = cost;
        summary
    }
}

/// The longest way of a photo from one block to the next, as an angle: its turn, and its way over `distance_m` to the ground.
fn longest_way(before: &Block, after: &Block, distance_m: f64) -> f64 {
    let ways = before.photos.iter().zip(&after.photos).map(|(a, b)| {
        let turn = (a.exterior.rotation - b.exterior.rotation).norm();
        turn.max((a.exterior.centre - b.exterior.centre).norm() / distance_m)
    });
    ways.fold(0.0, f64::max)
}

/// The mean distance from a photo to a point that it sees.
fn mean_distance(block: &Block, sightings: &Sightings, positions: &[Vector3<f64>]) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for (point, position) in positions.iter().enumerate() {
        for photo in &sightings.photos[sightings.of_point(point)] {
            sum += (block.photos[*photo as usize].exterior.centre - position).norm();
            count += 1.0;
        }
    }
    f64::max(sum / f64::max(count, 1.0), 1e-3)
}

/// The reduced system with its priors.
pub fn system(block: &Block, reduced: &Reduced, pairs: &PairIndex, damping: f64) -> NormalEquations {
    let mut system = assemble(block, reduced, pairs, damping);
    add_priors(block, &mut system);
    system
}

/// The block with every unknown of the reduced system moved by a step. Its points stay.
pub fn moved(block: &Block, steps: &[f64]) -> Block {
    let unknowns = Unknowns::of(block);
    let three = |at: usize| Vector3::from_column_slice(&steps[at..at + 3]);
    let mut moved = block.clone();
    for (index, photo) in moved.photos.iter_mut().enumerate() {
        let at = Unknowns::photo(index);
        // What a rolling shutter has seen tells the way of the camera in its own frame. Held in the world's, it would turn the
        // whole block against GPS until both agree: by 34 mrad on seed 812.
        let way = photo.exterior.rotation * photo.velocity;
        photo.exterior.rotation = rotation_exp(&three(at)) * photo.exterior.rotation;
        photo.velocity = photo.exterior.rotation.transpose() * way;
        photo.exterior.centre += three(at + 3);
    }
    for (index, adjusted) in moved.cameras.iter_mut().enumerate() {
        let mut values = adjusted.values();
        values.iter_mut().zip(&steps[unknowns.camera(index)..]).for_each(|(value, change)| *value += change);
        adjusted.set(values);
    }
    for flight in 0..moved.altitude_offsets_m.len() {
        moved.altitude_offsets_m[flight] += steps[unknowns.altitude(flight)];
        moved.gimbal_offsets[flight] += three(unknowns.gimbal(flight));
    }
    moved
}

fn assemble(block: &Block, reduced: &Reduced, pairs: &PairIndex, damping: f64) -> NormalEquations {
    let (photos, cameras) = (block.photos.len(), block.cameras.len());
    let unknowns = Unknowns::of(block);
    let mut system = NormalEquations::of_photos(photos, unknowns.count());
    for photo in 0..photos {
        let at = Unknowns::photo(photo);
        system.gradient[at..at + 6].copy_from_slice(&reduced.pose_gradients[photo]);
        put(&mut system, [at, at], &reduced.poses[photo]);
        for (row, diagonal) in reduced.pose_diagonals[photo].iter().enumerate() {
            system.add(at + row, at + row, damping * diagonal);
        }
    }
    for ((earlier, later), slot) in pairs.pairs() {
        put(&mut system, [Unknowns::photo(later), Unknowns::photo(earlier)], &reduced.pairs[slot]);
    }
    for camera in 0..cameras {
        let at = unknowns.camera(camera);
        system.gradient[at..at + CAMERA_UNKNOWNS].copy_from_slice(&reduced.camera_gradients[camera]);
        for photo in 0..photos {
            put(&mut system, [at, Unknowns::photo(photo)], &reduced.borders[camera * photos + photo]);
        }
        for other in 0..=camera {
            put(&mut system, [at, unknowns.camera(other)], &reduced.cameras[camera * cameras + other]);
        }
        for (row, diagonal) in reduced.camera_diagonals[camera].iter().enumerate() {
            system.add(at + row, at + row, damping * diagonal);
        }
    }
    system
}

/// Writes a block into the matrix, its first element at `[row, column]`; of one on the diagonal the lower triangle.
fn put<const R: usize, const S: usize>(system: &mut NormalEquations, [row, column]: [usize; 2], block: &[[f64; S]; R]) {
    for (i, values) in block.iter().enumerate() {
        for (j, value) in values.iter().enumerate().take_while(|(j, _)| column + j <= row + i) {
            system.add(row + i, column + j, *value);
        }
    }
}
