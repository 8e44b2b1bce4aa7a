//! A symmetric positive definite matrix with few elements, factored as it is: photos meet only photos nearby.
//!
//! Rows and columns are put into an order in which little is filled in (approximate minimum degree, Amestoy et al. 1996), and
//! columns that look alike are factored together as dense blocks. Of the inverse only what lies under the factor's own
//! elements is computed, from the last block back to the first (Erisman and Tinney 1975, *On computing certain
//! elements of the inverse of a sparse matrix*): that has the whole diagonal, and no more than the factor's size.
//!
//! On one thread, like the dense one: the rounding of a parallel factorisation would follow the number of cores.

use faer::{
    Accum, Conj, Mat, MatRef, Par, Side, Spec,
    dyn_stack::{MemBuffer, MemStack},
    linalg::{cholesky::llt::factor::LltRegularization, matmul::matmul, triangular_inverse::invert_lower_triangular},
    sparse::{
        SparseColMatRef, SymbolicSparseColMatRef,
        linalg::{
            SupernodalThreshold,
            cholesky::{
                CholeskySymbolicParams, LltRef, SymbolicCholesky, SymbolicCholeskyRaw, SymmetricOrdering,
                factorize_symbolic_cholesky, supernodal::SupernodalLltRef,
            },
        },
    },
};

/// The lower triangle, row by row: columns that go up, and values.
pub struct SparseMatrix {
    rows: Vec<Vec<(u32, f64)>>,
}

/// The Cholesky factor of a [`SparseMatrix`].
pub struct SparseFactor {
    symbolic: SymbolicCholesky<u32>,
    values: Vec<f64>,
}

impl SparseMatrix {
    pub fn new(size: usize) -> Self {
        Self { rows: vec![Vec::new(); size] }
    }

    /// Adds to an element of the lower triangle; nothing is no element.
    pub fn add(&mut self, row: usize, column: usize, value: f64) {
        if value == 0.0 {
            return;
        }
        let (line, column) = (&mut self.rows[row], column as u32);
        if line.last().is_none_or(|last| last.0 < column) {
            return line.push((column, value));
        }
        match line.binary_search_by_key(&column, |element| element.0) {
            Ok(place) => line[place].1 += value,
            Err(place) => line.insert(place, (column, value)),
        }
    }

    /// An element of the lower triangle.
    #[cfg(test)]
    pub fn at(&self, row: usize, column: usize) -> f64 {
        let line = &self.rows[row];
        line.binary_search_by_key(&(column as u32), |element| element.0).map_or(0.0, |place| line[place].1)
    }

    /// `None` when the matrix is not positive definite.
    pub fn factor(self) -> Option<SparseFactor> {
        let size = self.rows.len();
        let starts: Vec<u32> = std::iter::once(0)
            .chain(self.rows.iter().scan(0, |sum, row| {
                *sum += row.len() as u32;
                Some(*sum)
            }))
            .collect();
        let (places, elements): (Vec<u32>, Vec<f64>) = self.rows.into_iter().flatten().unzip();
        // The rows of a lower triangle are the columns of an upper one.
        let pattern = SymbolicSparseColMatRef::new_checked(size, size, &starts, None, &places);
        let params = CholeskySymbolicParams {
            supernodal_flop_ratio_threshold: SupernodalThreshold::FORCE_SUPERNODAL,
            ..CholeskySymbolicParams::default()
        };
        let symbolic = factorize_symbolic_cholesky(pattern, Side::Upper, SymmetricOrdering::Amd, params).ok()?;
        let mut values = vec![0.0; symbolic.len_val()];
        let spec = Spec::default();
        let mut memory = MemBuffer::try_new(symbolic.factorize_numeric_llt_scratch::<f64>(Par::Seq, spec)).ok()?;
        symbolic
            .factorize_numeric_llt(
                &mut values,
                SparseColMatRef::new(pattern, &elements),
                Side::Upper,
                LltRegularization::default(),
                Par::Seq,
                MemStack::new(&mut memory),
                spec,
            )
            .ok()?;
        Some(SparseFactor { symbolic, values })
    }
}

impl SparseFactor {
    /// Puts the solution into the place of the right side, a column.
    pub fn solve(&self, right: &mut Mat<f64>) {
        let mut memory = MemBuffer::new(self.symbolic.solve_in_place_scratch::<f64>(1, Par::Seq));
        LltRef::new(&self.symbolic, &self.values).solve_in_place_with_conj(
            Conj::No,
            right.as_mut(),
            Par::Seq,
            MemStack::new(&mut memory),
        );
    }

    /// The diagonal of the inverse.
    pub fn inverse_diagonal(&self) -> Vec<f64> {
        let SymbolicCholeskyRaw::Supernodal(symbolic) = self.symbolic.raw() else {
            unreachable!("the factorisation in blocks was asked for")
        };
        let factor = SupernodalLltRef::new(symbolic, &self.values);
        let size = symbolic.nrows();
        let ends = symbolic.supernode_end();
        let mut of_column = vec![0u32; size];
        for (block, (begin, end)) in symbolic.supernode_begin().iter().zip(ends).enumerate() {
            of_column[*begin as usize..*end as usize].fill(block as u32);
        }
        let mut inverse: Vec<Mat<f64>> = vec![Mat::new(); ends.len()];
        let mut places = vec![0u32; size];
        let mut diagonal = vec![0.0; size];
        for block in (0..ends.len()).rev() {
            let (start, rows) = (factor.supernode(block).start(), factor.supernode(block).pattern());
            let values = factor.supernode(block).val();
            let (columns, below) = (values.ncols(), rows.len());
            let mut own = Mat::zeros(columns, columns);
            invert_lower_triangular(own.as_mut(), values.subrows(0, columns), Par::Seq);
            // Below: -Z_II L_IJ L_JJ⁻¹. On the diagonal: L_JJ⁻ᵀ L_JJ⁻¹ - (L_IJ L_JJ⁻¹)ᵀ Z_IJ.
            let mut hangs = Mat::zeros(below, columns);
            matmul(hangs.as_mut(), Accum::Replace, values.subrows(columns, below), own.as_ref(), 1.0, Par::Seq);
            let under = known(symbolic, &inverse, &of_column, &mut places, rows);
            let mut found = Mat::zeros(columns + below, columns);
            let (mut upper, mut lower) = found.as_mut().split_at_row_mut(columns);
            matmul(lower.as_mut(), Accum::Replace, under.as_ref(), hangs.as_ref(), -1.0, Par::Seq);
            matmul(upper.as_mut(), Accum::Replace, own.transpose(), own.as_ref(), 1.0, Par::Seq);
            matmul(upper.as_mut(), Accum::Add, hangs.transpose(), lower.as_ref(), -1.0, Par::Seq);
            for column in 0..columns {
                diagonal[start + column] = found[(column, column)];
            }
            inverse[block] = found;
        }
        let mut ordered = vec![0.0; size];
        match self.symbolic.perm() {
            Some(order) => order.arrays().0.iter().zip(diagonal).for_each(|(at, value)| ordered[*at as usize] = value),
            None => ordered = diagonal,
        }
        ordered
    }
}

/// What is known already of the inverse at the given rows, and at the same columns.
fn known(
    symbolic: &faer::sparse::linalg::cholesky::supernodal::SymbolicSupernodalCholesky<u32>,
    inverse: &[Mat<f64>],
    of_column: &[u32],
    places: &mut [u32],
    rows: &[u32],
) -> Mat<f64> {
    let mut under = Mat::zeros(rows.len(), rows.len());
    let mut last = u32::MAX;
    let (mut start, mut values): (usize, MatRef<'_, f64>) = (0, inverse[0].as_ref());
    for (j, &column) in rows.iter().enumerate() {
        let block = of_column[column as usize];
        if block != last {
            let of_block = symbolic.supernode(block as usize);
            (start, values, last) = (of_block.start(), inverse[block as usize].as_ref(), block);
            (0..values.ncols()).for_each(|place| places[start + place] = place as u32);
            let below = of_block.pattern().iter().enumerate();
            below.for_each(|(place, row)| places[*row as usize] = (values.ncols() + place) as u32);
        }
        for (i, &row) in rows.iter().enumerate().filter(|(_, row)| **row >= column) {
            let value = values[(places[row as usize] as usize, column as usize - start)];
            under[(i, j)] = value;
            under[(j, i)] = value;
        }
    }
    under
}
