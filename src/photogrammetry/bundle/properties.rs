//! What must hold for every block: slopes are slopes, points are eliminated and not forgotten, and pictures alone know no
//! place, heading or size.

use nalgebra::{DMatrix, DVector, Matrix3, Vector3};
use proptest::prelude::*;
use rand::SeedableRng as _;
use rand_pcg::Pcg64Mcg;

use super::{
    index::PairIndex,
    normal::{follow, points_cost, reduce, settle},
    priors::{Unknowns, prior_cost},
    residuals::{Loss, Ready, Seen, Sightings},
    solve::{moved, system},
    tests::{disturb, true_block},
    *,
};
use crate::photogrammetry::camera::rotation_exp;

/// So wide that every sighting counts in full.
const NO_LOSS: Loss = Loss { scale: 1e9 };

/// A small block with everything in it: several photos, a rolling shutter, heights over the ground, a surveyed point.
fn small_block(seed: u64) -> Block {
    let mut random = Pcg64Mcg::seed_from_u64(seed);
    let mut block = true_block(&mut random);
    block.points.truncate(30);
    disturb(&mut block, &mut random);
    block.cameras[0].readout_s = 0.02;
    block.cameras[0].readout_prior_s = (0.0, 0.03);
    for (index, photo) in block.photos.iter_mut().enumerate() {
        photo.velocity = Vector3::new(5.0, index as f64 / 10.0, -0.2);
        photo.height_above_ground_m = (index % 3 > 0).then_some((38.0, 2.0));
    }
    let place = block.points[3].position;
    block.points[3].survey = Some((place + Vector3::new(0.1, -0.2, 0.3), Vector3::new(0.01, 0.01, 0.015)));
    block
}

fn positions(block: &Block) -> Vec<Vector3<f64>> {
    block.points.iter().map(|point| point.position).collect()
}

/// A sighting's rows by all unknowns of the reduced system, and its residuals.
fn rows(seen: &Seen, block: &Block) -> [(Vec<f64>, f64); 3] {
    let unknowns = Unknowns::of(block);
    let (pose, lens) = (Unknowns::photo(seen.photo as usize), unknowns.camera(seen.lens as usize));
    [0, 1, 2].map(|row| {
        let mut slopes = vec![0.0; unknowns.count()];
        if row == 2 {
            slopes[pose + 5] = seen.height[0];
            return (slopes, seen.height[1]);
        }
        for axis in 0..3 {
            slopes[pose + axis] = seen.by_turn[row][axis];
            slopes[pose + 3 + axis] = -seen.by_point[row][axis];
        }
        slopes[lens..lens + CAMERA_UNKNOWNS].copy_from_slice(&seen.by_camera[row]);
        (slopes, seen.residual[row])
    })
}

fn by_point(seen: &Seen, row: usize) -> Vector3<f64> {
    if row == 2 { Vector3::new(0.0, 0.0, -seen.height[0]) } else { Vector3::from(seen.by_point[row]) }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn slopes_of_sightings_agree_with_finite_differences(seed in 0..1000u64, at in 0..60usize) {
        let block = small_block(seed);
        let positions = positions(&block);
        let sightings = Sightings::of(&block, &block.points, NO_LOSS);
        let at = at % sightings.photos.len();
        let point = (0..sightings.points()).find(|point| sightings.of_point(*point).contains(&at)).unwrap();
        let linearise = |block: &Block, position: &Vector3<f64>| {
            sightings.linearise(&Ready::new(block, &sightings), at, position, false).unwrap()
        };
        let seen = linearise(&block, &positions[point]);
        let rows_here = rows(&seen, &block);
        let count = Unknowns::of(&block).count();
        for unknown in 0..count {
            let step = 1e-6;
            let ahead = |step: f64| {
                let mut steps = vec![0.0; count];
                steps[unknown] = step;
                let moved = moved(&block, &steps);
                rows(&linearise(&moved, &positions[point]), &moved).map(|(_, residual)| residual)
            };
            let (ahead, behind) = (ahead(step), ahead(-step));
            for row in 0..3 {
                let slope = (ahead[row] - behind[row]) / (2.0 * step);
                let known = rows_here[row].0[unknown];
                prop_assert!((slope - known).abs() < 1e-3 + 1e-5 * slope.abs(), "unknown {unknown}: {slope}, not {known}");
            }
        }
        for axis in 0..3 {
            let ahead = |step: f64| {
                let mut position = positions[point];
                position[axis] += step;
                rows(&linearise(&block, &position), &block).map(|(_, residual)| residual)
            };
            let (ahead, behind) = (ahead(1e-5), ahead(-1e-5));
            for row in 0..3 {
                let (slope, known) = ((ahead[row] - behind[row]) / 2e-5, by_point(&seen, row)[axis]);
                prop_assert!((slope - known).abs() < 1e-3 + 1e-5 * slope.abs(), "axis {axis}: {slope}, not {known}");
            }
        }
    }

    #[test]
    fn eliminated_points_step_like_those_of_the_whole_system(seed in 0..1000u64, damping in prop::sample::select(vec![0.0, 1e-3, 0.5])) {
        let block = small_block(seed);
        let positions = positions(&block);
        let sightings = Sightings::of(&block, &block.points, Loss { scale: 3.0 });
        let pairs = PairIndex::new(block.photos.len(), &sightings);
        let reduced = reduce(&block, &sightings, &positions, &pairs, damping);
        let steps = system(&block, &reduced, &pairs, damping).solve().unwrap();
        let followed = follow(&block, &sightings, &positions, damping, &steps);

        // The same with every point an unknown of one large system; the priors come from an empty block.
        let own = Unknowns::of(&block).count();
        let size = own + 3 * positions.len();
        let (mut matrix, mut gradient) = (DMatrix::<f64>::zeros(size, size), DVector::<f64>::zeros(size));
        let ready = Ready::new(&block, &sightings);
        for (point, position) in positions.iter().enumerate() {
            let surveyed = sightings.survey(point);
            for at in sightings.of_point(point) {
                let Some(seen) = sightings.linearise(&ready, at, position, surveyed.is_some()) else { continue };
                for (row, (slopes, residual)) in rows(&seen, &block).into_iter().enumerate() {
                    let mut all = DVector::zeros(size);
                    all.rows_mut(0, own).copy_from_slice(&slopes);
                    all.fixed_rows_mut::<3>(own + 3 * point).copy_from(&by_point(&seen, row));
                    matrix.syger(1.0, &all, &all, 1.0);
                    gradient.axpy(residual, &all, 1.0);
                }
            }
            if let Some((place, sigma)) = surveyed {
                for axis in 0..3 {
                    let at = own + 3 * point + axis;
                    matrix[(at, at)] += sigma[axis].powi(-2);
                    gradient[at] += (position[axis] - place[axis]) * sigma[axis].powi(-2);
                }
            }
        }
        for at in 0..size {
            matrix[(at, at)] *= 1.0 + damping;
        }
        let none = Sightings::of(&block, &[], Loss { scale: 3.0 });
        let no_pairs = PairIndex::new(block.photos.len(), &none);
        let priors = system(&block, &reduce(&block, &none, &[], &no_pairs, 0.0), &no_pairs, 0.0);
        for row in 0..own {
            gradient[row] += priors.gradient[row];
            for column in 0..=row {
                matrix[(row, column)] += priors.at(row, column);
            }
        }
        matrix.fill_upper_triangle_with_lower_triangle();
        let whole = matrix.cholesky().unwrap().solve(&-gradient);
        for (at, step) in steps.iter().enumerate() {
            prop_assert!((step - whole[at]).abs() < 1e-6 * (1.0 + step.abs()), "unknown {at}: {step}, not {}", whole[at]);
        }
        for (point, (after, before)) in followed.iter().zip(&positions).enumerate() {
            let step = Vector3::from_fn(|axis, _| whole[own + 3 * point + axis]);
            prop_assert!((after - before - step).norm() < 1e-6 * (1.0 + step.norm()), "point {point}");
        }
        let (next, mut settled) = (moved(&block, &steps), followed.clone());
        let cost = settle(&next, &sightings, &mut settled);
        prop_assert!(cost <= points_cost(&next, &sightings, &followed));
        prop_assert!((cost - points_cost(&next, &sightings, &settled)).abs() < 1e-9 * cost);
    }

    #[test]
    fn without_priors_a_block_may_lie_anywhere_and_be_of_any_size(
        seed in 0..1000u64,
        turn in prop::array::uniform3(-3.0..3.0f64),
        shift in prop::array::uniform3(-500.0..500.0f64),
        scale in 0.2..5.0f64,
    ) {
        let mut block = small_block(seed);
        block.points.iter_mut().for_each(|point| point.survey = None);
        block.photos.iter_mut().for_each(|photo| {
            (photo.position, photo.rotation, photo.height_above_ground_m) = (None, None, None);
        });
        let cost = |block: &Block| {
            points_cost(block, &Sightings::of(block, &block.points, NO_LOSS), &positions(block)) + prior_cost(block)
        };
        let before = cost(&block);
        let (turn, shift): (Matrix3<f64>, Vector3<f64>) = (rotation_exp(&turn.into()), shift.into());
        for photo in &mut block.photos {
            photo.exterior.centre = turn * photo.exterior.centre * scale + shift;
            photo.exterior.rotation *= turn.transpose();
            photo.velocity = turn * photo.velocity * scale;
        }
        block.points.iter_mut().for_each(|point| point.position = turn * point.position * scale + shift);
        prop_assert!((cost(&block) - before).abs() < 1e-6 * before, "{} after {before}", cost(&block));
    }
}
