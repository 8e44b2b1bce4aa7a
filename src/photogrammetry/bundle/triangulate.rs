//! Where the rays of a track meet.

use nalgebra::{Matrix3, Vector3};

use super::{Block, Observation};
use crate::photogrammetry::camera::ray_of;

/// Returns the point nearest to all rays, and the largest angle between two of them in radians.
///
/// Squared distances to the rays are weighted by the inverse distance of the camera, so that they count as
/// angles; two rounds. `None` when the rays are parallel or the point falls behind a camera.
pub fn triangulate(block: &Block, sightings: &[Observation]) -> Option<(Vector3<f64>, f64)> {
    let rays: Vec<(Vector3<f64>, Vector3<f64>)> = sightings
        .iter()
        .map(|sighting| {
            let photo = &block.photos[sighting.photo as usize];
            let camera = &block.cameras[photo.camera].camera;
            let (from, towards) = ray_of(camera, &photo.exterior, &block.motion(photo), &sighting.pixel);
            (from, towards.normalize())
        })
        .collect();
    let mut point: Option<Vector3<f64>> = None;
    for _ in 0..2 {
        let (mut normal, mut right) = (Matrix3::zeros(), Vector3::zeros());
        for (centre, direction) in &rays {
            let weight = point.map_or(1.0, |p| 1.0 / (p - centre).norm_squared().max(1e-6));
            let across = (Matrix3::identity() - direction * direction.transpose()) * weight;
            normal += across;
            right += across * centre;
        }
        point = Some(normal.cholesky()?.solve(&right));
    }
    let point = point?;
    let in_front = rays.iter().all(|(centre, direction)| (point - centre).dot(direction) > 0.0);
    (in_front && point.iter().all(|v| v.is_finite())).then(|| (point, widest_angle(&rays)))
}

fn widest_angle(rays: &[(Vector3<f64>, Vector3<f64>)]) -> f64 {
    let mut smallest_cosine = 1.0f64;
    for (index, (_, a)) in rays.iter().enumerate() {
        for (_, b) in &rays[index + 1..] {
            smallest_cosine = smallest_cosine.min(a.dot(b));
        }
    }
    smallest_cosine.clamp(-1.0, 1.0).acos()
}
