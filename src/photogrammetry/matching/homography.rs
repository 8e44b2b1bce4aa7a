//! The mapping of one photo of a plane to another (Hartley and Zisserman 2004, chapter 4).

use nalgebra::{Matrix3, SMatrix, SVector, Vector3};

use super::ransac::{Estimate, Pair};

pub struct Estimator;

impl Estimate for Estimator {
    const SAMPLE: usize = 4;

    /// Linear least squares with the last element fixed at 1, which holds for photos that overlap.
    fn estimate(&self, pairs: &[Pair]) -> Option<Matrix3<f64>> {
        let mut normal = SMatrix::<f64, 8, 8>::zeros();
        let mut right = SVector::<f64, 8>::zeros();
        for [p, q] in pairs {
            let x = SVector::<f64, 8>::from([p.x, p.y, 1.0, 0.0, 0.0, 0.0, -q.x * p.x, -q.x * p.y]);
            let y = SVector::<f64, 8>::from([0.0, 0.0, 0.0, p.x, p.y, 1.0, -q.y * p.x, -q.y * p.y]);
            normal += x * x.transpose() + y * y.transpose();
            right += x * q.x + y * q.y;
        }
        let h = normal.cholesky()?.solve(&right);
        let model = Matrix3::new(h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7], 1.0);
        // A mirror or a collapse is no view of the same ground from above.
        let turn = model.fixed_view::<2, 2>(0, 0).determinant();
        (turn > 0.01 && turn < 100.0).then_some(model)
    }

    fn distance(&self, model: &Matrix3<f64>, pair: &Pair) -> f64 {
        distance(model, pair)
    }
}

/// Where the homography puts a place; `None` beyond its horizon.
pub fn map(model: &Matrix3<f64>, [x, y]: [f64; 2]) -> Option<[f64; 2]> {
    let mapped = model * Vector3::new(x, y, 1.0);
    (mapped.z > 1e-6).then(|| [mapped.x / mapped.z, mapped.y / mapped.z])
}

/// How far the second place is from where the homography puts the first.
pub fn distance(model: &Matrix3<f64>, [p, q]: &Pair) -> f64 {
    let mapped = model * Vector3::new(p.x, p.y, 1.0);
    if mapped.z < 1e-6 {
        return f64::INFINITY;
    }
    (mapped.xy() / mapped.z - q).norm()
}
