//! Levenberg–Marquardt over the reduced system.

use nalgebra::{SVector, Vector3, Vector6};
use rayon::prelude::*;

use super::{
    Block,
    normal::{PairIndex, Reduced, point_steps, reduce},
    residuals::{Loss, View, height_weights, sighting_cost},
};
use crate::photogrammetry::{
    camera::{PARAMETERS, rotation_exp, rotation_log},
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

/// One sigma of a flight's altitude offset: barometers and geoids differ by tens of metres.
const ALTITUDE_OFFSET_SIGMA_M: f64 = 50.0;
/// GPS positions farther off than this many sigmas lose their weight.
const GPS_LOSS: Loss = Loss { scale: 3.0 };

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
    let flights = cameras + PARAMETERS * block.cameras.len();
    let pose_steps: Vec<Vector6<f64>> =
        (0..photos).map(|i| Vector6::from_column_slice(&steps[6 * i..6 * i + 6])).collect();
    let camera_steps: Vec<SVector<f64, PARAMETERS>> = (0..block.cameras.len())
        .map(|i| SVector::from_column_slice(&steps[cameras + PARAMETERS * i..cameras + PARAMETERS * (i + 1)]))
        .collect();
    let point_steps = point_steps(view, damping, &pose_steps, &camera_steps);

    let mut moved = block.clone();
    for (photo, step) in moved.photos.iter_mut().zip(&pose_steps) {
        let turn = rotation_exp(&step.fixed_rows::<3>(0).into_owned());
        photo.exterior.rotation = turn * photo.exterior.rotation;
        photo.exterior.centre += step.fixed_rows::<3>(3);
    }
    for (adjusted, step) in moved.cameras.iter_mut().zip(&camera_steps) {
        let mut values = adjusted.camera.parameters();
        values.iter_mut().zip(step.iter()).for_each(|(value, change)| *value += change);
        adjusted.camera = adjusted.camera.with_parameters(values);
    }
    for (offset, step) in moved.altitude_offsets_m.iter_mut().zip(&steps[flights..]) {
        *offset += step;
    }
    for (point, step) in moved.points.iter_mut().zip(point_steps) {
        point.position += step;
    }
    Some(moved)
}

fn assemble(block: &Block, reduced: &Reduced, pairs: &PairIndex, damping: f64) -> NormalEquations {
    let photos = block.photos.len();
    let first_camera = 6 * photos;
    let unknowns = first_camera + PARAMETERS * block.cameras.len() + block.altitude_offsets_m.len();
    let mut system = NormalEquations::new(unknowns);
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

fn add_priors(block: &Block, system: &mut NormalEquations) {
    let first_camera = 6 * block.photos.len();
    let first_flight = first_camera + PARAMETERS * block.cameras.len();
    for (index, photo) in block.photos.iter().enumerate() {
        let at = 6 * index;
        if let Some(prior) = &photo.position {
            let off = photo.exterior.centre - prior.enu;
            let weight = GPS_LOSS.weight(off.xy().norm_squared() / prior.sigma_horizontal_m.powi(2)).sqrt();
            for axis in 0..2 {
                let slope = weight / prior.sigma_horizontal_m;
                system.add_row(&[(at + 3 + axis, slope)], off[axis] * slope);
            }
            let slope = 1.0 / prior.sigma_vertical_m;
            match prior.flight {
                Some(flight) => {
                    let residual = (off.z + block.altitude_offsets_m[flight]) * slope;
                    system.add_row(&[(at + 5, slope), (first_flight + flight, slope)], residual);
                }
                None => system.add_row(&[(at + 5, slope)], off.z * slope),
            }
        }
        if let Some((rotation, sigma)) = &photo.rotation {
            let off = rotation_log(&(photo.exterior.rotation * rotation.transpose()));
            for axis in 0..3 {
                system.add_row(&[(at + axis, 1.0 / sigma[axis])], off[axis] / sigma[axis]);
            }
        }
        // Keeps a photo without any prior, and an unconstrained direction, from making the system singular.
        for axis in 0..6 {
            system.add(at + axis, at + axis, 1e-9);
        }
    }
    for (index, adjusted) in block.cameras.iter().enumerate() {
        let values = adjusted.camera.parameters();
        for (parameter, value) in values.iter().enumerate() {
            let at = first_camera + PARAMETERS * index + parameter;
            let sigma = adjusted.sigma[parameter];
            if sigma > 0.0 {
                system.add_row(&[(at, 1.0 / sigma)], (value - adjusted.prior[parameter]) / sigma);
            } else {
                system.add(at, at, 1.0);
            }
        }
    }
    for (index, offset) in block.altitude_offsets_m.iter().enumerate() {
        let slope = 1.0 / ALTITUDE_OFFSET_SIGMA_M;
        system.add_row(&[(first_flight + index, slope)], offset * slope);
    }
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

fn prior_cost(block: &Block) -> f64 {
    let mut cost = 0.0;
    for photo in &block.photos {
        if let Some(prior) = &photo.position {
            let off = photo.exterior.centre - prior.enu;
            cost += GPS_LOSS.cost(off.xy().norm_squared() / prior.sigma_horizontal_m.powi(2));
            let offset = prior.flight.map_or(0.0, |flight| block.altitude_offsets_m[flight]);
            cost += ((off.z + offset) / prior.sigma_vertical_m).powi(2);
        }
        if let Some((rotation, sigma)) = &photo.rotation {
            let off = rotation_log(&(photo.exterior.rotation * rotation.transpose()));
            cost += off.component_div(sigma).norm_squared();
        }
    }
    for adjusted in &block.cameras {
        for ((value, prior), sigma) in adjusted.camera.parameters().iter().zip(adjusted.prior).zip(adjusted.sigma) {
            if sigma > 0.0 {
                cost += ((value - prior) / sigma).powi(2);
            }
        }
    }
    cost + block.altitude_offsets_m.iter().map(|offset| (offset / ALTITUDE_OFFSET_SIGMA_M).powi(2)).sum::<f64>()
}
