//! Random sample consensus (Fischler and Bolles 1981) with local refinement (Chum, Matas and Kittler 2003).

use nalgebra::{Matrix3, Vector2};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

pub type Pair = [Vector2<f64>; 2];

/// A 3 × 3 model that can be estimated from a few pairs and measures its distance to one.
pub trait Estimate {
    const SAMPLE: usize;
    fn estimate(&self, pairs: &[Pair]) -> Option<Matrix3<f64>>;
    fn distance(&self, model: &Matrix3<f64>, pair: &Pair) -> f64;
}

pub struct Consensus {
    pub model: Matrix3<f64>,
    pub inliers: Vec<usize>,
}

/// At most this many draws: enough for a quarter of true matches with samples of four.
const MOST_DRAWS: usize = 1500;
/// The wish to have met one clean sample: 1 - 1e-4.
const LOG_MISS: f64 = -9.21;

/// The model that most pairs agree with, truncated squared distances breaking ties; `None` without any.
pub fn best_model<E: Estimate>(estimator: &E, pairs: &[Pair], tolerance: f64, seed: u64) -> Option<Consensus> {
    if pairs.len() < E::SAMPLE {
        return None;
    }
    let mut random = Pcg64Mcg::seed_from_u64(seed);
    let mut best: Option<(f64, Matrix3<f64>)> = None;
    let mut draws = MOST_DRAWS;
    let mut drawn = 0;
    while drawn < draws {
        drawn += 1;
        let sample = draw_sample(&mut random, pairs, E::SAMPLE);
        let Some(model) = estimator.estimate(&sample) else { continue };
        if !beats(best.as_ref(), cost(estimator, &model, pairs, tolerance)) {
            continue;
        }
        let (refined, refined_cost) = refine(estimator, model, pairs, tolerance);
        best = Some((refined_cost, refined));
        let share = inliers(estimator, &refined, pairs, tolerance).len() as f64 / pairs.len() as f64;
        let clean = share.powi(E::SAMPLE as i32).clamp(1e-9, 1.0 - 1e-9);
        draws = ((LOG_MISS / (1.0 - clean).ln()).ceil() as usize).clamp(20, MOST_DRAWS);
    }
    let (_, model) = best?;
    Some(Consensus { model, inliers: inliers(estimator, &model, pairs, tolerance) })
}

fn beats(best: Option<&(f64, Matrix3<f64>)>, cost: f64) -> bool {
    best.is_none_or(|(lowest, _)| cost < *lowest)
}

fn draw_sample(random: &mut Pcg64Mcg, pairs: &[Pair], count: usize) -> Vec<Pair> {
    let mut chosen: Vec<usize> = Vec::with_capacity(count);
    while chosen.len() < count {
        let index = random.random_range(0..pairs.len());
        if !chosen.contains(&index) {
            chosen.push(index);
        }
    }
    chosen.into_iter().map(|index| pairs[index]).collect()
}

/// Least squares over the inliers, as long as that helps.
fn refine<E: Estimate>(estimator: &E, model: Matrix3<f64>, pairs: &[Pair], tolerance: f64) -> (Matrix3<f64>, f64) {
    let mut best = (model, cost(estimator, &model, pairs, tolerance));
    for _ in 0..4 {
        let inside: Vec<Pair> =
            inliers(estimator, &best.0, pairs, tolerance).into_iter().map(|index| pairs[index]).collect();
        let Some(model) = (inside.len() >= E::SAMPLE).then(|| estimator.estimate(&inside)).flatten() else { break };
        let cost = cost(estimator, &model, pairs, tolerance);
        if cost >= best.1 {
            break;
        }
        best = (model, cost);
    }
    best
}

fn cost<E: Estimate>(estimator: &E, model: &Matrix3<f64>, pairs: &[Pair], tolerance: f64) -> f64 {
    let limit = tolerance * tolerance;
    pairs.iter().map(|pair| estimator.distance(model, pair).powi(2).min(limit)).sum()
}

fn inliers<E: Estimate>(estimator: &E, model: &Matrix3<f64>, pairs: &[Pair], tolerance: f64) -> Vec<usize> {
    (0..pairs.len()).filter(|&index| estimator.distance(model, &pairs[index]) < tolerance).collect()
}
