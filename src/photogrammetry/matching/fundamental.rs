//! The epipolar geometry of two photos (Hartley 1997, *In defense of the eight-point algorithm*).

use nalgebra::{Matrix3, SMatrix, SVector, SymmetricEigen, Vector3};

use super::ransac::{Estimate, Pair};

pub struct Estimator;

impl Estimate for Estimator {
    const SAMPLE: usize = 8;

    fn estimate(&self, pairs: &[Pair]) -> Option<Matrix3<f64>> {
        let (first, second) = (normalisation(pairs, 0), normalisation(pairs, 1));
        let mut normal = SMatrix::<f64, 9, 9>::zeros();
        for [p, q] in pairs {
            let a = first * Vector3::new(p.x, p.y, 1.0);
            let b = second * Vector3::new(q.x, q.y, 1.0);
            let row = SVector::<f64, 9>::from([b.x * a.x, b.x * a.y, b.x, b.y * a.x, b.y * a.y, b.y, a.x, a.y, 1.0]);
            normal += row * row.transpose();
        }
        let eigen = SymmetricEigen::try_new(normal, 1e-14, 200)?;
        let f = eigen.eigenvectors.column(eigen.eigenvalues.imin()).into_owned();
        let full = Matrix3::new(f[0], f[1], f[2], f[3], f[4], f[5], f[6], f[7], f[8]);
        let mut svd = full.try_svd(true, true, 1e-14, 200)?;
        let smallest = svd.singular_values.imin();
        svd.singular_values[smallest] = 0.0;
        let singular = svd.recompose().ok()?;
        Some(second.transpose() * singular * first)
    }

    /// The larger of the distances to the two epipolar lines.
    fn distance(&self, model: &Matrix3<f64>, [p, q]: &Pair) -> f64 {
        let (a, b) = (Vector3::new(p.x, p.y, 1.0), Vector3::new(q.x, q.y, 1.0));
        let in_second = model * a;
        let in_first = model.transpose() * b;
        let miss = b.dot(&in_second).abs();
        miss / in_second.xy().norm().min(in_first.xy().norm()).max(1e-12)
    }
}

/// Moves the places of one photo to mean zero and mean distance √2.
fn normalisation(pairs: &[Pair], which: usize) -> Matrix3<f64> {
    let count = pairs.len() as f64;
    let mean = pairs.iter().map(|pair| pair[which]).sum::<nalgebra::Vector2<f64>>() / count;
    let spread = pairs.iter().map(|pair| (pair[which] - mean).norm()).sum::<f64>() / count;
    let s = std::f64::consts::SQRT_2 / spread.max(1e-9);
    Matrix3::new(s, 0.0, -s * mean.x, 0.0, s, -s * mean.y, 0.0, 0.0, 1.0)
}
