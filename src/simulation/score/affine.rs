//! The affine map that fits best, when some of the pairs are wrong.

use nalgebra::{DMatrix, DVector};

/// `x' = a x + b y + c`, `y' = d x + e y + f`, about the middle of the points it was fitted to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Affine {
    middle: [f64; 2],
    /// Rows `[a, b, c]` and `[d, e, f]` of the displacement, not of the position.
    rows: [[f64; 3]; 2],
}

impl Affine {
    /// Fits displacements at places by reweighted least squares (Huber's weights); at least three places.
    pub(super) fn fit(places: &[[f64; 2]], displacements: &[[f64; 2]]) -> Option<Self> {
        let count = places.len() as f64;
        let middle = [0, 1].map(|i| places.iter().map(|p| p[i]).sum::<f64>() / count.max(1.0));
        let mut weights = vec![1.0; places.len()];
        let mut fit = None;
        for _ in 0..8 {
            let affine = Self::fit_weighted(places, displacements, &weights, middle)?;
            let residuals: Vec<f64> = places
                .iter()
                .zip(displacements)
                .map(|(place, d)| {
                    let expected = affine.displacement(*place);
                    (d[0] - expected[0]).hypot(d[1] - expected[1])
                })
                .collect();
            // The median length of a two-dimensional normal error is 1.18 deviations.
            let scale = (super::median(residuals.clone()) / 1.18).max(1e-6);
            weights = residuals.iter().map(|r| (2.0 * scale / r.max(1e-12)).min(1.0)).collect();
            fit = Some(affine);
        }
        fit
    }

    fn fit_weighted(
        places: &[[f64; 2]],
        displacements: &[[f64; 2]],
        weights: &[f64],
        middle: [f64; 2],
    ) -> Option<Self> {
        if places.len() < 3 {
            return None;
        }
        let roots: Vec<f64> = weights.iter().map(|w| w.sqrt()).collect();
        let design = DMatrix::from_fn(places.len(), 3, |row, column| {
            roots[row] * if column < 2 { places[row][column] - middle[column] } else { 1.0 }
        });
        let svd = design.svd(true, true);
        let mut rows = [[0.0; 3]; 2];
        for (axis, row) in rows.iter_mut().enumerate() {
            let wanted = DVector::from_fn(places.len(), |i, _| roots[i] * displacements[i][axis]);
            let solution = svd.solve(&wanted, 1e-9).ok()?;
            row.iter_mut().zip(solution.iter()).for_each(|(to, from)| *to = *from);
        }
        Some(Self { middle, rows })
    }

    pub(super) fn displacement(&self, place: [f64; 2]) -> [f64; 2] {
        let (x, y) = (place[0] - self.middle[0], place[1] - self.middle[1]);
        self.rows.map(|[a, b, c]| a * x + b * y + c)
    }

    /// Returns by how many millionths the map enlarges.
    pub(super) fn scale_ppm(&self) -> f64 {
        f64::midpoint(self.rows[0][0], self.rows[1][1]) * 1e6
    }

    /// Returns by how much the map turns, counter-clockwise, in thousandths of a radian.
    pub(super) fn rotation_mrad(&self) -> f64 {
        (self.rows[1][0] - self.rows[0][1]) / 2.0 * 1e3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_and_a_turn_are_found_among_wrong_pairs() {
        let places: Vec<[f64; 2]> = (0..100).map(|i| [f64::from(i % 10) * 8.0, f64::from(i / 10) * 7.0]).collect();
        let displacements: Vec<[f64; 2]> = places
            .iter()
            .enumerate()
            .map(|(i, [x, y])| {
                let wrong = if i % 12 == 0 { 2.5 } else { 0.0 };
                [0.7 + 0.003 * x - 0.004 * y + wrong, -0.2 + 0.004 * x + 0.003 * y]
            })
            .collect();
        let affine = Affine::fit(&places, &displacements).unwrap();
        assert!((affine.scale_ppm() - 3000.0).abs() < 60.0, "{}", affine.scale_ppm());
        assert!((affine.rotation_mrad() - 4.0).abs() < 0.06, "{}", affine.rotation_mrad());
        let at = affine.displacement(places[17]);
        assert!((at[0] - displacements[17][0]).abs() < 0.02 && (at[1] - displacements[17][1]).abs() < 0.02);
    }

    #[test]
    fn two_places_are_too_few() {
        assert!(Affine::fit(&[[0.0, 0.0], [1.0, 0.0]], &[[0.0, 0.0]; 2]).is_none());
    }
}
