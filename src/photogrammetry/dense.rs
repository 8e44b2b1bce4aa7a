//! Linear least squares by normal equations, solved by Cholesky on one thread: dense for few photos, sparse for many.
//!
//! One thread, because the blocks of a parallel factorisation, and so its rounding, would follow the number of
//! cores. Up to a few hundred photos the dense factorisation is a fraction of a second anyway; beyond, it would grow with
//! the third power of their number and its memory with the second, and [`super::sparse`] takes over.

use faer::{
    Mat, Par, Spec,
    dyn_stack::{MemBuffer, MemStack},
    linalg::cholesky::llt,
};

use super::sparse::{SparseFactor, SparseMatrix};

/// Up to so many photos the dense matrix is as quick: of 500, 3000 unknowns and 72 MB.
const MOST_DENSE_PHOTOS: usize = 500;

/// Normal equations of `n` unknowns: the lower triangle, and the gradient of half the squared residuals.
pub struct NormalEquations {
    matrix: Matrix,
    pub gradient: Vec<f64>,
}

enum Matrix {
    Dense(Mat<f64>),
    Sparse(SparseMatrix),
}

/// A matrix as its Cholesky factor.
enum Factor {
    Dense(Mat<f64>),
    Sparse(Box<SparseFactor>),
}

impl NormalEquations {
    /// For unknowns that all meet.
    pub fn new(unknowns: usize) -> Self {
        Self { matrix: Matrix::Dense(Mat::zeros(unknowns, unknowns)), gradient: vec![0.0; unknowns] }
    }

    /// For unknowns of so many photos, each of which meets the photos nearby.
    pub fn of_photos(photos: usize, unknowns: usize) -> Self {
        if photos > MOST_DENSE_PHOTOS { Self::sparse(unknowns) } else { Self::new(unknowns) }
    }

    pub(super) fn sparse(unknowns: usize) -> Self {
        Self { matrix: Matrix::Sparse(SparseMatrix::new(unknowns)), gradient: vec![0.0; unknowns] }
    }

    /// Adds to one element of the symmetric matrix.
    pub fn add(&mut self, row: usize, column: usize, value: f64) {
        let (row, column) = (row.max(column), row.min(column));
        match &mut self.matrix {
            Matrix::Dense(matrix) => matrix[(row, column)] += value,
            Matrix::Sparse(matrix) => matrix.add(row, column, value),
        }
    }

    /// An element of the lower triangle.
    #[cfg(test)]
    pub fn at(&self, row: usize, column: usize) -> f64 {
        match &self.matrix {
            Matrix::Dense(matrix) => matrix[(row, column)],
            Matrix::Sparse(matrix) => matrix.at(row, column),
        }
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
    pub fn solve(self) -> Option<Vec<f64>> {
        let n = self.gradient.len();
        let mut right = Mat::from_fn(n, 1, |i, _| -self.gradient[i]);
        match self.matrix.factor()? {
            Factor::Dense(factor) => {
                let mut memory = MemBuffer::new(llt::solve::solve_in_place_scratch::<f64>(n, 1, Par::Seq));
                llt::solve::solve_in_place(factor.as_ref(), right.as_mut(), Par::Seq, MemStack::new(&mut memory));
            }
            Factor::Sparse(factor) => factor.solve(&mut right),
        }
        let steps: Vec<f64> = (0..n).map(|i| right[(i, 0)]).collect();
        steps.iter().all(|step| step.is_finite()).then_some(steps)
    }

    /// The diagonal of the matrix's inverse, the squared sigmas of the unknowns; `None` when it is not positive definite.
    pub fn variances(self) -> Option<Vec<f64>> {
        let n = self.gradient.len();
        let variances = match self.matrix.factor()? {
            Factor::Dense(factor) => {
                let mut inverse = Mat::zeros(n, n);
                let mut memory = MemBuffer::new(llt::inverse::inverse_scratch::<f64>(n, Par::Seq));
                llt::inverse::inverse(inverse.as_mut(), factor.as_ref(), Par::Seq, MemStack::new(&mut memory));
                (0..n).map(|at| inverse[(at, at)]).collect()
            }
            Factor::Sparse(factor) => factor.inverse_diagonal(),
        };
        variances.iter().all(|variance| variance.is_finite()).then_some(variances)
    }
}

impl Matrix {
    fn factor(self) -> Option<Factor> {
        let mut matrix = match self {
            Self::Dense(matrix) => matrix,
            Self::Sparse(matrix) => return Some(Factor::Sparse(Box::new(matrix.factor()?))),
        };
        let params = Spec::<llt::factor::LltParams, f64>::default();
        let need = llt::factor::cholesky_in_place_scratch::<f64>(matrix.nrows(), Par::Seq, params);
        let mut memory = MemBuffer::new(need);
        llt::factor::cholesky_in_place(
            matrix.as_mut(),
            llt::factor::LltRegularization::default(),
            Par::Seq,
            MemStack::new(&mut memory),
            params,
        )
        .ok()?;
        Some(Factor::Dense(matrix))
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
    fn variances_are_those_of_independent_measurements() {
        // Two unknowns by their sum and difference, each with a sigma of one: half the variance.
        let mut equations = NormalEquations::new(2);
        equations.add_row(&[(0, 1.0), (1, 1.0)], 0.0);
        equations.add_row(&[(0, 1.0), (1, -1.0)], 0.0);
        let variances = equations.variances().unwrap();
        assert!(variances.iter().all(|variance| (variance - 0.5).abs() < 1e-12), "{variances:?}");
    }

    /// A strip of photos of three unknowns that each meet the next four and those of the strip beside, and two unknowns that all meet.
    fn strips(mut equations: NormalEquations, photos: usize) -> NormalEquations {
        let value = |seed: usize| ((seed * 7919 % 1009) as f64 / 1009.0 - 0.5) * 2.0;
        for photo in 0..photos {
            for other in [1, 2, 3, 4, 19, 20, 21].map(|step| photo + step).into_iter().filter(|other| *other < photos) {
                for row in 0..4 {
                    let seed = (photo * 31 + other) * 4 + row;
                    let of =
                        |photo: usize, salt: usize| (0..3).map(move |k| (3 * photo + k, value(seed * 13 + salt + k)));
                    let mut slopes: Vec<(usize, f64)> = of(photo, 0).chain(of(other, 5)).collect();
                    slopes.extend([(3 * photos, value(seed + 3)), (3 * photos + 1, value(seed + 4))]);
                    equations.add_row(&slopes, value(seed + 6));
                }
            }
        }
        equations.add_row(&[(0, 1.0)], 0.3);
        equations
    }

    #[test]
    fn the_sparse_solution_and_its_variances_are_the_dense_ones() {
        let (photos, unknowns) = (150, 452);
        let dense = || strips(NormalEquations::new(unknowns), photos);
        let sparse = || strips(NormalEquations::sparse(unknowns), photos);
        let alike = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-9 * (1.0 + a.abs());
        let (steps, others) = (dense().solve().unwrap(), sparse().solve().unwrap());
        assert!(steps.iter().any(|step| step.abs() > 0.01) && steps.iter().zip(&others).all(alike));
        let (variances, others) = (dense().variances().unwrap(), sparse().variances().unwrap());
        assert!(variances.iter().all(|variance| *variance > 0.0) && variances.iter().zip(&others).all(alike));
    }

    #[test]
    fn an_unknown_that_nothing_determines_is_reported() {
        let mut equations = NormalEquations::new(2);
        equations.add_row(&[(0, 1.0)], -1.0);
        assert!(equations.solve().is_none());
        let mut equations = NormalEquations::sparse(2);
        equations.add_row(&[(0, 1.0)], -1.0);
        assert!(equations.solve().is_none());
    }
}
