//! Levenberg–Marquardt over the reduced system.

use nalgebra::{SVector, Vector3, Vector6};
use rayon::prelude::*;

use super::{
    Block,
    normal::{PairIndex, Reduced, point_steps, reduce},
    priors::{Unknowns, add_priors, prior_cost},
    residuals::{Loss, View, height_weights, sighting_cost},
};
use crate::photogrammetry::{
    camera::{PARAMETERS, rotation_exp},
    dense::NormalEquations,
};

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

impl Solver {
    /// Adjusts the block in place. A step that does not lower the cost is not taken, so the block never gets worse.
    pub fn adjust(&self, block: &mut Block) -> Summary {
        let loss = Loss { scale: self.loss_scale };
        let pairs = PairIndex::new(&block.points);
        let weights = height_weights(block);
        let mut cost = total_cost(View { block, loss, height_weights: &weights });
        let mut summary = Summary { iterations: 0, first_cost: cost, last_cost: cost };
        let (mut damping, mut growth) = (1e-4, 2.0);
        while summary.iterations < self.most_iterations {
            summary.iterations += 1;
            let view = View { block, loss, height_weights: &weights };
            let Some(candidate) = step(view, &pairs, damping) else {
                damping *= growth;
                growth *= 2.0;
                continue;
            };
            let next = total_cost(View { block: &candidate, loss, height_weights: &weights });
            if next < cost {
                let fall = (cost - next) / cost.max(1e-300);
                *block = candidate;
                cost = next;
                (damping, growth) = ((damping / 4.0_f64).max(1e-9), 2.0);
                if fall < self.tolerance {
                    break;
                }
            } else {
                damping *= growth;
                growth *= 2.0;
                if damping > 1e6 {
                    break;
                }
            }
        }
        summary.last_cost = cost;
        summary
    }
}

/// The block after one damped Gauss-Newton step; `None` when the system is not positive definite.
fn step(view: View, pairs: &PairIndex, damping: f64) -> Option<Block> {
    let block = view.block;
    let reduced = reduce(view, pairs, damping);
    let mut system = assemble(block, &reduced, pairs, damping);
    add_priors(block, &mut system);
    let steps = system.solve()?;

    let photos = block.photos.len();
    let cameras = 6 * photos;
    let pose_steps: Vec<Vector6<f64>> =
        (0..photos).map(|i| Vector6::from_column_slice(&steps[6 * i..6 * i + 6])).collect();
    let camera_steps: Vec<SVector<f64, PARAMETERS>> = (0..block.cameras.len())
        .map(|i| SVector::from_column_slice(&steps[cameras + PARAMETERS * i..cameras + PARAMETERS * (i + 1)]))
        .collect();
    let point_steps = point_steps(view, damping, &pose_steps, &camera_steps);

    Some(moved(block, &steps, &point_steps))
}

/// The block with every unknown of the reduced system and every point moved by a step.
pub fn moved(block: &Block, steps: &[f64], point_steps: &[Vector3<f64>]) -> Block {
    let unknowns = Unknowns::of(block);
    let three = |at: usize| Vector3::from_column_slice(&steps[at..at + 3]);
    let mut moved = block.clone();
    for (index, photo) in moved.photos.iter_mut().enumerate() {
        let at = Unknowns::photo(index);
        photo.exterior.rotation = rotation_exp(&three(at)) * photo.exterior.rotation;
        photo.exterior.centre += three(at + 3);
    }
    for (index, adjusted) in moved.cameras.iter_mut().enumerate() {
        let mut values = adjusted.camera.parameters();
        values.iter_mut().zip(&steps[unknowns.camera(index)..]).for_each(|(value, change)| *value += change);
        adjusted.camera = adjusted.camera.with_parameters(values);
    }
    for flight in 0..moved.altitude_offsets_m.len() {
        moved.altitude_offsets_m[flight] += steps[unknowns.altitude(flight)];
        moved.gimbal_offsets[flight] += three(unknowns.gimbal(flight));
    }
    for (point, step) in moved.points.iter_mut().zip(point_steps) {
        point.position += step;
    }
    moved
}

fn assemble(block: &Block, reduced: &Reduced, pairs: &PairIndex, damping: f64) -> NormalEquations {
    let photos = block.photos.len();
    let first_camera = 6 * photos;
    let mut system = NormalEquations::new(Unknowns::of(block).count());
    for photo in 0..photos {
        for row in 0..6 {
            system.gradient[6 * photo + row] = reduced.pose_gradients[photo][row];
            for column in 0..=row {
                system.matrix[(6 * photo + row, 6 * photo + column)] = reduced.poses[photo][(row, column)];
            }
            system.matrix[(6 * photo + row, 6 * photo + row)] += damping * reduced.pose_diagonals[photo][row];
        }
    }
    for ((earlier, later), slot) in pairs.pairs() {
        for row in 0..6 {
            for column in 0..6 {
                system.matrix[(6 * later as usize + row, 6 * earlier as usize + column)] =
                    reduced.pairs[slot][(row, column)];
            }
        }
    }
    for camera in 0..block.cameras.len() {
        let at = first_camera + PARAMETERS * camera;
        for row in 0..PARAMETERS {
            system.gradient[at + row] = reduced.camera_gradients[camera][row];
            for photo in 0..photos {
                for column in 0..6 {
                    system.matrix[(at + row, 6 * photo + column)] =
                        reduced.borders[camera * photos + photo][(row, column)];
                }
            }
            for other in 0..=camera {
                for column in 0..PARAMETERS {
                    let value = reduced.cameras[camera * block.cameras.len() + other][(row, column)];
                    system.matrix[(at + row, first_camera + PARAMETERS * other + column)] = value;
                }
            }
            system.matrix[(at + row, at + row)] += damping * reduced.camera_diagonals[camera][row];
        }
    }
    system
}

/// The cost of the whole block: sightings, surveyed points and priors.
fn total_cost(view: View) -> f64 {
    let block = view.block;
    // Collected before it is summed: the order of the sum must not follow the threads.
    let by_point: Vec<f64> = block
        .points
        .par_iter()
        .map(|point| {
            let seen: f64 = point.sightings.iter().map(|sighting| sighting_cost(view, point, sighting)).sum();
            let survey = point.survey.map_or(0.0, |(at, sigma)| survey_cost(&point.position, &at, &sigma));
            seen + survey
        })
        .collect();
    by_point.iter().sum::<f64>() + prior_cost(block)
}

fn survey_cost(position: &Vector3<f64>, survey: &Vector3<f64>, sigma: &Vector3<f64>) -> f64 {
    (position - survey).component_div(sigma).norm_squared()
}
