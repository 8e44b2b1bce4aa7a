//! A rotation, a scale and a shift between two sets of points.

use nalgebra::{Matrix3, Vector3};

/// A rotation, a scale and a shift (Umeyama 1991).
pub struct Similarity {
    pub rotation: Matrix3<f64>,
    pub scale: f64,
    shift: Vector3<f64>,
}

impl Similarity {
    /// The similarity that takes the first of each pair nearest to the second; only a shift below three
    /// pairs, or when they lie on a line.
    pub fn between(pairs: &[(Vector3<f64>, Vector3<f64>)]) -> Self {
        let count = pairs.len().max(1) as f64;
        let from = pairs.iter().map(|(a, _)| a).sum::<Vector3<f64>>() / count;
        let to = pairs.iter().map(|(_, b)| b).sum::<Vector3<f64>>() / count;
        let shift_only = Self { rotation: Matrix3::identity(), scale: 1.0, shift: to - from };
        let covariance: Matrix3<f64> = pairs.iter().map(|(a, b)| (b - to) * (a - from).transpose()).sum();
        let svd = covariance.svd(true, true);
        let (Some(u), Some(v_t)) = (svd.u, svd.v_t) else { return shift_only };
        let mut order = [0, 1, 2];
        order.sort_by(|&a, &b| svd.singular_values[b].total_cmp(&svd.singular_values[a]));
        if pairs.len() < 3 || svd.singular_values[order[1]] < 1e-3 * svd.singular_values[order[0]] {
            return shift_only;
        }
        let mut sign = Vector3::repeat(1.0);
        if (u * v_t).determinant() < 0.0 {
            sign[order[2]] = -1.0;
        }
        let rotation = u * Matrix3::from_diagonal(&sign) * v_t;
        let variance: f64 = pairs.iter().map(|(a, _)| (a - from).norm_squared()).sum();
        let scale = svd.singular_values.component_mul(&sign).sum() / variance.max(1e-12);
        Self { rotation, scale, shift: to - scale * rotation * from }
    }

    pub fn apply(&self, point: &Vector3<f64>) -> Vector3<f64> {
        self.scale * self.rotation * point + self.shift
    }

    /// The similarity that takes everything back.
    pub fn inverse(&self) -> Self {
        let (rotation, scale) = (self.rotation.transpose(), 1.0 / self.scale);
        Self { rotation, scale, shift: -(scale * rotation * self.shift) }
    }
}
