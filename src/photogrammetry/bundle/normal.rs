//! The normal equations with the tie points eliminated.

use nalgebra::Vector3;
use rayon::prelude::*;

use super::{
    Block,
    eliminate::{Own, Room},
    index::PairIndex,
    priors::{CAMERA_UNKNOWNS as C, Unknowns},
    residuals::{Ready, Seen, Sightings},
};

/// Points are summed in this many parts whatever the machine, so that every machine rounds alike.
const CHUNKS: usize = 8;

/// Row-major blocks of the reduced system.
pub type PoseBlock = [[f64; 6]; 6];
pub type BorderBlock = [[f64; 6]; C];
pub type CameraBlock = [[f64; C]; C];

/// The reduced system in blocks; only the lower triangle of what is symmetric.
pub struct Reduced {
    pub poses: Vec<PoseBlock>,
    /// The diagonal before elimination, which the damping scales.
    pub pose_diagonals: Vec<[f64; 6]>,
    pub pose_gradients: Vec<[f64; 6]>,
    /// Row block: the later photo of the pair; column block: the earlier one.
    pub pairs: Vec<PoseBlock>,
    /// Camera-major, `cameras × photos`.
    pub borders: Vec<BorderBlock>,
    /// `cameras × cameras`, row-major.
    pub cameras: Vec<CameraBlock>,
    pub camera_diagonals: Vec<[f64; C]>,
    pub camera_gradients: Vec<[f64; C]>,
}

impl Reduced {
    fn zero(block: &Block, pairs: usize) -> Self {
        let (photos, cameras) = (block.photos.len(), block.cameras.len());
        Self {
            poses: vec![[[0.0; 6]; 6]; photos],
            pose_diagonals: vec![[0.0; 6]; photos],
            pose_gradients: vec![[0.0; 6]; photos],
            pairs: vec![[[0.0; 6]; 6]; pairs],
            borders: vec![[[0.0; 6]; C]; cameras * photos],
            cameras: vec![[[0.0; C]; C]; cameras * cameras],
            camera_diagonals: vec![[0.0; C]; cameras],
            camera_gradients: vec![[0.0; C]; cameras],
        }
    }

    fn add(&mut self, other: &Self) {
        fn sum<const N: usize>(into: &mut [[f64; N]], from: &[[f64; N]]) {
            let (into, from) = (into.as_flattened_mut(), from.as_flattened());
            into.iter_mut().zip(from).for_each(|(a, b)| *a += b);
        }
        sum(self.poses.as_flattened_mut(), other.poses.as_flattened());
        sum(&mut self.pose_diagonals, &other.pose_diagonals);
        sum(&mut self.pose_gradients, &other.pose_gradients);
        sum(self.pairs.as_flattened_mut(), other.pairs.as_flattened());
        sum(self.borders.as_flattened_mut(), other.borders.as_flattened());
        sum(self.cameras.as_flattened_mut(), other.cameras.as_flattened());
        sum(&mut self.camera_diagonals, &other.camera_diagonals);
        sum(&mut self.camera_gradients, &other.camera_gradients);
    }
}

/// Linearises every sighting and eliminates the points, each damped by `1 + damping` on its diagonal.
pub fn reduce(
    block: &Block,
    sightings: &Sightings,
    positions: &[Vector3<f64>],
    pairs: &PairIndex,
    damping: f64,
) -> Reduced {
    let ready = Ready::new(block, sightings);
    let size = positions.len().div_ceil(CHUNKS).max(1);
    let chunks: Vec<usize> = (0..positions.len()).step_by(size).collect();
    let parts: Vec<Reduced> = chunks
        .into_par_iter()
        .map(|from| {
            let mut part = Reduced::zero(block, pairs.count());
            let mut room = Room::default();
            for (point, position) in positions.iter().enumerate().skip(from).take(size) {
                room.linearise(sightings, &ready, point, position);
                if let Some(own) = Own::of(&room.seen, position, sightings.survey(point), damping) {
                    room.add_to(&mut part, &own, pairs, block.photos.len());
                }
            }
            part
        })
        .collect();
    let mut total = Reduced::zero(block, pairs.count());
    for part in &parts {
        total.add(part);
    }
    total
}

/// Moves every point by what the steps of poses and cameras leave it.
///
/// `steps` are those of the reduced system that was damped by `damping`.
pub fn follow(
    block: &Block,
    sightings: &Sightings,
    positions: &[Vector3<f64>],
    damping: f64,
    steps: &[f64],
) -> Vec<Vector3<f64>> {
    let ready = Ready::new(block, sightings);
    let unknowns = Unknowns::of(block);
    let changes = |seen: &Seen| {
        let pose = &steps[Unknowns::photo(seen.photo as usize)..][..6];
        let camera = &steps[unknowns.camera(seen.lens as usize)..][..C];
        let rows = [0, 1].map(|row| {
            let (turn, point, lens) = (&seen.by_turn[row], &seen.by_point[row], &seen.by_camera[row]);
            let by_pose: f64 = (0..3).map(|i| turn[i] * pose[i] - point[i] * pose[3 + i]).sum();
            by_pose + lens.iter().zip(camera).map(|(slope, step)| slope * step).sum::<f64>()
        });
        (rows, seen.height[0] * pose[5])
    };
    in_parts(positions, |room, point, position| {
        room.linearise(sightings, &ready, point, position);
        let own = Own::of(&room.seen, position, sightings.survey(point), damping);
        own.map_or(*position, |own| position + own.step(&room.seen, changes))
    })
}

/// How often a point is moved by itself at most, and the fall of its cost that is not worth a move.
const MOST_MOVES: usize = 3;
const SMALL_FALL: f64 = 1e-3;

/// Moves each point where it fits best while poses and cameras stay, and returns the cost of all.
///
/// Points that their sightings disagree about creep under a robust loss, and would keep everything else waiting
/// (Jeong et al. 2010, *Pushing the envelope of modern methods for bundle adjustment*, section 3.4).
pub fn settle(block: &Block, sightings: &Sightings, positions: &mut Vec<Vector3<f64>>) -> f64 {
    let ready = Ready::new(block, sightings);
    let settled = in_parts(positions, |room, point, position| {
        let (mut position, mut cost) = (*position, sightings.cost(&ready, point, position));
        for _ in 0..MOST_MOVES {
            room.linearise(sightings, &ready, point, &position);
            let Some(own) = Own::of(&room.seen, &position, sightings.survey(point), 0.0) else { break };
            if own.fall() < SMALL_FALL {
                break;
            }
            let candidate = position + own.step(&room.seen, |_| ([0.0; 2], 0.0));
            let next = sightings.cost(&ready, point, &candidate);
            if next >= cost {
                break;
            }
            (position, cost) = (candidate, next);
        }
        (position, cost)
    });
    *positions = settled.iter().map(|(position, _)| *position).collect();
    settled.iter().map(|(_, cost)| cost).sum()
}

/// The cost of all points as they lie.
pub fn points_cost(block: &Block, sightings: &Sightings, positions: &[Vector3<f64>]) -> f64 {
    let ready = Ready::new(block, sightings);
    in_parts(positions, |_, point, position| sightings.cost(&ready, point, position)).iter().sum()
}

/// Looks at every point in turn, many at once, and keeps what is found in the points' order.
fn in_parts<T: Send>(positions: &[Vector3<f64>], look: impl Fn(&mut Room, usize, &Vector3<f64>) -> T + Sync) -> Vec<T> {
    let size = positions.len().div_ceil(4 * CHUNKS).max(1);
    let parts: Vec<Vec<T>> = positions
        .par_chunks(size)
        .enumerate()
        .map(|(part, positions)| {
            let mut room = Room::default();
            let each = positions.iter().enumerate();
            each.map(|(index, position)| look(&mut room, part * size + index, position)).collect()
        })
        .collect();
    parts.into_iter().flatten().collect()
}
