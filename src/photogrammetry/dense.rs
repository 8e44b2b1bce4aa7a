//! Linear least squares with a dense system of normal equations, solved by Cholesky on one thread.
//!
//! One thread, because the blocks of a parallel factorisation, and so its rounding, would follow the number of
//! cores. Up to a few hundred photos the factorisation is a fraction of a second anyway.

use faer::{
    Mat, Par, Spec,
    dyn_stack::{MemBuffer, MemStack},
    linalg::cholesky::llt,
};

/// Normal equations of `n` unknowns: the lower triangle, and the gradient of half the squared residuals.
pub struct NormalEquations {
    pub matrix: Mat<f64>,
    pub gradient: Vec<f64>,
}

impl NormalEquations {
    pub fn new(unknowns: usize) -> Self {
        Self { matrix: Mat::zeros(unknowns, unknowns), gradient: vec![0.0; unknowns] }
    }

    /// Adds to one element of the symmetric matrix.
    pub fn add(&mut self, row: usize, column: usize, value: f64) {
        self.matrix[(row.max(column), row.min(column))] += value;
    }

    /// Adds `(residual + Σ slope · step)²`, for the unknowns and slopes given; no unknown twice.
    pub fn add_row(&mut self, unknowns: &[(usize, f64)], residual: f64) {
        for (index, &(i, a)) in unknowns.iter().enumerate() {
            self.gradient[i] += a * residual;
            for &(j, b) in &unknowns[..=index] {
                self.add(i, j, a * b);
            }
        }
    }

    /// The steps that minimise the sum; `None` when the matrix is not positive definite.
    pub fn solve(mut self) -> Option<Vec<f64>> {
        let n = self.gradient.len();
        self.factor()?;
        let mut right = Mat::from_fn(n, 1, |i, _| -self.gradient[i]);
        let mut memory = MemBuffer::new(llt::solve::solve_in_place_scratch::<f64>(n, 1, Par::Seq));
        llt::solve::solve_in_place(self.matrix.as_ref(), right.as_mut(), Par::Seq, MemStack::new(&mut memory));
        let steps: Vec<f64> = (0..n).map(|i| right[(i, 0)]).collect();
        steps.iter().all(|step| step.is_finite()).then_some(steps)
    }

    /// The lower triangle of the matrix's inverse; `None` when it is not positive definite.
    pub fn invert(mut self) -> Option<Mat<f64>> {
        let n = self.gradient.len();
        self.factor()?;
        let mut inverse = Mat::zeros(n, n);
        let mut memory = MemBuffer::new(llt::inverse::inverse_scratch::<f64>(n, Par::Seq));
        llt::inverse::inverse(inverse.as_mut(), self.matrix.as_ref(), Par::Seq, MemStack::new(&mut memory));
        (0..n).all(|at| inverse[(at, at)].is_finite()).then_some(inverse)
    }

    /// Turns the matrix into its Cholesky factor.
    fn factor(&mut self) -> Option<()> {
        let n = self.gradient.len();
        let params = Spec::<llt::factor::LltParams, f64>::default();
        let need = llt::factor::cholesky_in_place_scratch::<f64>(n, Par::Seq, params);
        let mut memory = MemBuffer::new(need);
        llt::factor::cholesky_in_place(
            self.matrix.as_mut(),
            llt::factor::LltRegularization::default(),
            Par::Seq,
            MemStack::new(&mut memory),
            params,
        )
        .ok()?;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_through_three_points_is_found() {
        let mut equations = NormalEquations::new(2);
        for (x, y) in [(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)] {
            equations.add_row(&[(0, x), (1, 1.0)], -y);
        }
        let line = equations.solve().unwrap();
        assert!((line[0] - 2.0).abs() < 1e-12 && (line[1] - 1.0).abs() < 1e-12);
    }

    #[test]
    fn an_inverse_times_its_matrix_is_one() {
        let mut equations = NormalEquations::new(3);
        for (a, b, c) in [(1.0, 0.5, -2.0), (0.0, 3.0, 1.0), (2.0, 1.0, 1.0), (0.3, 0.0, 0.7)] {
            equations.add_row(&[(0, a), (1, b), (2, c)], 0.0);
        }
        let matrix = equations.matrix.clone();
        let inverse = equations.invert().unwrap();
        let at = |m: &Mat<f64>, i: usize, j: usize| m[(i.max(j), i.min(j))];
        for (i, j) in (0..9).map(|at| (at / 3, at % 3)) {
            let product: f64 = (0..3).map(|k| at(&matrix, i, k) * at(&inverse, k, j)).sum();
            assert!((product - f64::from(u8::from(i == j))).abs() < 1e-12, "{i} {j}: {product}");
        }
    }

    #[test]
    fn an_unknown_that_nothing_determines_is_reported() {
        let mut equations = NormalEquations::new(2);
        equations.add_row(&[(0, 1.0)], -1.0);
        assert!(equations.solve().is_none());
    }
}
