//! The normal equations with the tie points eliminated.

use std::collections::HashMap;

use nalgebra::{Matrix3, Matrix6, SMatrix, SVector, Vector3, Vector6};
use rayon::prelude::*;

use super::{
    Block, TiePoint,
    residuals::{View, linearise},
};
use crate::photogrammetry::camera::PARAMETERS;

type CameraByPose = SMatrix<f64, PARAMETERS, 6>;
type CameraBlock = SMatrix<f64, PARAMETERS, PARAMETERS>;
type CameraVector = SVector<f64, PARAMETERS>;

/// Points are summed in this many parts whatever the machine, so that every machine rounds alike.
const CHUNKS: usize = 8;

/// Which pairs of photos share a tie point, and where their block is kept.
pub struct PairIndex {
    slots: HashMap<(u32, u32), u32>,
}

impl PairIndex {
    pub fn new(points: &[TiePoint]) -> Self {
        let mut slots = HashMap::new();
        for point in points {
            for (index, a) in point.sightings.iter().enumerate() {
                for b in &point.sightings[index + 1..] {
                    let next = slots.len() as u32;
                    slots.entry(key(a.photo, b.photo)).or_insert(next);
                }
            }
        }
        Self { slots }
    }

    pub fn pairs(&self) -> impl Iterator<Item = ((u32, u32), usize)> {
        self.slots.iter().map(|(&pair, &slot)| (pair, slot as usize))
    }
}

fn key(a: u32, b: u32) -> (u32, u32) {
    (a.min(b), a.max(b))
}

/// The reduced system in blocks; only the lower triangle of what is symmetric.
pub struct Reduced {
    pub poses: Vec<Matrix6<f64>>,
    /// The diagonal before elimination, which the damping scales.
    pub pose_diagonals: Vec<Vector6<f64>>,
    pub pose_gradients: Vec<Vector6<f64>>,
    /// Row block: the later photo of the pair; column block: the earlier one.
    pub pairs: Vec<Matrix6<f64>>,
    /// Camera-major, `cameras × photos`.
    pub borders: Vec<CameraByPose>,
    /// `cameras × cameras`, row-major.
    pub cameras: Vec<CameraBlock>,
    pub camera_diagonals: Vec<CameraVector>,
    pub camera_gradients: Vec<CameraVector>,
}

impl Reduced {
    fn zero(block: &Block, pairs: usize) -> Self {
        let (photos, cameras) = (block.photos.len(), block.cameras.len());
        Self {
            poses: vec![Matrix6::zeros(); photos],
            pose_diagonals: vec![Vector6::zeros(); photos],
            pose_gradients: vec![Vector6::zeros(); photos],
            pairs: vec![Matrix6::zeros(); pairs],
            borders: vec![CameraByPose::zeros(); cameras * photos],
            cameras: vec![CameraBlock::zeros(); cameras * cameras],
            camera_diagonals: vec![CameraVector::zeros(); cameras],
            camera_gradients: vec![CameraVector::zeros(); cameras],
        }
    }

    fn add(&mut self, other: &Self) {
        fn sum<T: for<'a> std::ops::AddAssign<&'a T>>(into: &mut [T], from: &[T]) {
            into.iter_mut().zip(from).for_each(|(a, b)| *a += b);
        }
        sum(&mut self.poses, &other.poses);
        sum(&mut self.pose_diagonals, &other.pose_diagonals);
        sum(&mut self.pose_gradients, &other.pose_gradients);
        sum(&mut self.pairs, &other.pairs);
        sum(&mut self.borders, &other.borders);
        sum(&mut self.cameras, &other.cameras);
        sum(&mut self.camera_diagonals, &other.camera_diagonals);
        sum(&mut self.camera_gradients, &other.camera_gradients);
    }
}

/// Linearises every sighting and eliminates the points, each damped by `1 + damping` on its diagonal.
pub fn reduce(view: View, pairs: &PairIndex, damping: f64) -> Reduced {
    let points = &view.block.points;
    let size = points.len().div_ceil(CHUNKS).max(1);
    let parts: Vec<Reduced> = points
        .par_chunks(size)
        .map(|chunk| {
            let mut part = Reduced::zero(view.block, pairs.slots.len());
            for point in chunk {
                if let Some(eliminated) = Eliminated::of(view, point, damping, Some(&mut part)) {
                    eliminated.subtract_from(&mut part, pairs, view.block.photos.len());
                }
            }
            part
        })
        .collect();
    let mut total = Reduced::zero(view.block, pairs.slots.len());
    for part in &parts {
        total.add(part);
    }
    total
}

/// A point's own block, inverted, and how it hangs on poses and cameras.
struct Eliminated {
    inverse: Matrix3<f64>,
    gradient: Vector3<f64>,
    by_photo: Vec<(u32, SMatrix<f64, 6, 3>)>,
    by_camera: Vec<(usize, SMatrix<f64, PARAMETERS, 3>)>,
}

impl Eliminated {
    /// Linearises the sightings of a point; adds what does not involve the point to `direct` when it is given.
    fn of(view: View, point: &TiePoint, damping: f64, mut direct: Option<&mut Reduced>) -> Option<Self> {
        let mut own = Matrix3::zeros();
        let mut gradient = Vector3::zeros();
        let mut by_photo = Vec::with_capacity(point.sightings.len());
        let mut by_camera: Vec<(usize, SMatrix<f64, PARAMETERS, 3>)> = Vec::new();
        let (photos, cameras) = (view.block.photos.len(), view.block.cameras.len());
        for sighting in &point.sightings {
            let Some(l) = linearise(view, point, sighting) else { continue };
            let photo = sighting.photo as usize;
            let camera = view.block.photos[photo].camera;
            own += l.by_point.tr_mul(&l.by_point);
            gradient += l.by_point.tr_mul(&l.residual);
            by_photo.push((sighting.photo, l.by_pose.tr_mul(&l.by_point)));
            let camera_point = l.by_camera.tr_mul(&l.by_point);
            match by_camera.iter_mut().find(|(index, _)| *index == camera) {
                Some((_, sum)) => *sum += camera_point,
                None => by_camera.push((camera, camera_point)),
            }
            if let Some(out) = direct.as_deref_mut() {
                let pose = l.by_pose.tr_mul(&l.by_pose);
                out.pose_diagonals[photo] += pose.diagonal();
                out.poses[photo] += pose;
                out.pose_gradients[photo] += l.by_pose.tr_mul(&l.residual);
                out.borders[camera * photos + photo] += l.by_camera.tr_mul(&l.by_pose);
                let own_camera = l.by_camera.tr_mul(&l.by_camera);
                out.camera_diagonals[camera] += own_camera.diagonal();
                out.cameras[camera * cameras + camera] += own_camera;
                out.camera_gradients[camera] += l.by_camera.tr_mul(&l.residual);
            }
        }
        if let Some((position, sigma)) = &point.survey {
            for axis in 0..3 {
                let weight = sigma[axis].powi(-2);
                own[(axis, axis)] += weight;
                gradient[axis] += weight * (point.position[axis] - position[axis]);
            }
        }
        for axis in 0..3 {
            own[(axis, axis)] *= 1.0 + damping;
        }
        let inverse = own.try_inverse()?;
        Some(Self { inverse, gradient, by_photo, by_camera })
    }

    fn subtract_from(&self, out: &mut Reduced, pairs: &PairIndex, photos: usize) {
        let cameras = out.camera_gradients.len();
        for (index, (photo, own)) in self.by_photo.iter().enumerate() {
            let scaled = own * self.inverse;
            out.pose_gradients[*photo as usize] -= scaled * self.gradient;
            out.poses[*photo as usize] -= scaled * own.transpose();
            // Sightings are ordered by photo: the other one is the later, which owns the row.
            for (other, theirs) in &self.by_photo[index + 1..] {
                out.pairs[pairs.slots[&key(*photo, *other)] as usize] -= theirs * scaled.transpose();
            }
            for (camera, theirs) in &self.by_camera {
                out.borders[camera * photos + *photo as usize] -= theirs * scaled.transpose();
            }
        }
        for (camera, own) in &self.by_camera {
            let scaled = own * self.inverse;
            out.camera_gradients[*camera] -= scaled * self.gradient;
            for (other, theirs) in &self.by_camera {
                out.cameras[other * cameras + camera] -= theirs * scaled.transpose();
            }
        }
    }
}

/// How far every point moves when poses and cameras move by the given steps.
pub fn point_steps(
    view: View,
    damping: f64,
    pose_steps: &[Vector6<f64>],
    camera_steps: &[CameraVector],
) -> Vec<Vector3<f64>> {
    view.block
        .points
        .par_iter()
        .map(|point| {
            let Some(eliminated) = Eliminated::of(view, point, damping, None) else { return Vector3::zeros() };
            let mut right = eliminated.gradient;
            for (photo, own) in &eliminated.by_photo {
                right += own.tr_mul(&pose_steps[*photo as usize]);
            }
            for (camera, own) in &eliminated.by_camera {
                right += own.tr_mul(&camera_steps[*camera]);
            }
            -(eliminated.inverse * right)
        })
        .collect()
}
