//! Heights of one look over a block and around it.

use rayon::prelude::*;

use super::{fuse::drop_patches, tile::Tile};

/// Cells around a tile that are computed and thrown away.
pub const APRON: usize = 10;
/// Where photos are less alike than this, a finer look starts from the tie points again.
const LIKELY: f32 = 0.4;
/// As many cells that disagree with all around them are a mistake.
pub const SPECK: usize = 16;

/// Heights of one look over a block and around it.
pub struct Look {
    pub level: usize,
    /// First column and row, in cells of this look, counted from the same origin at every level; may be negative.
    pub at: [i64; 2],
    pub columns: usize,
    pub rows: usize,
    /// Height and likeness; NaN where fewer than two photos look.
    pub cells: Vec<(f32, f32)>,
    /// Between layers; for each tile the same order of size.
    pub step_m: f64,
}

impl Look {
    /// Height and likeness for a cell of the next finer look, given from its first one; `None` outside.
    pub fn cell(&self, first: [i64; 2], [column, row]: [usize; 2]) -> Option<(f32, f32)> {
        let column = (first[0] + column as i64).div_euclid(2) - self.at[0];
        let row = (first[1] + row as i64).div_euclid(2) - self.at[1];
        if column < 0 || row < 0 || column >= self.columns as i64 || row >= self.rows as i64 {
            return None;
        }
        Some(self.cells[row as usize * self.columns + column as usize])
    }

    /// What is known of the cells of a tile of the next finer look, its apron left out.
    pub fn cells_of(&self, tile: &Tile, first: [i64; 2]) -> Vec<(f32, f32)> {
        let inner = |count: usize| APRON..count - APRON;
        let cells = inner(tile.rows).flat_map(|row| inner(tile.columns).map(move |column| [column, row]));
        cells.map(|at| self.cell(first, at).unwrap_or((f32::NAN, 0.0))).collect()
    }

    /// Forgets what the photos do not agree on and what stands alone.
    pub fn forget_specks(&mut self) {
        let known = |(height, likeness): &(f32, f32)| if *likeness < LIKELY { f32::NAN } else { *height };
        let mut heights: Vec<f32> = self.cells.iter().map(known).collect();
        drop_patches(&mut heights, self.columns, 1.5 * self.step_m as f32, SPECK);
        self.cells.iter_mut().zip(heights).for_each(|(cell, height)| cell.0 = height);
    }

    /// A median over 3 × 3 cells.
    pub fn calm(&mut self) {
        let before = self.cells.clone();
        let (columns, rows) = (self.columns, self.rows);
        self.cells.par_chunks_exact_mut(columns).enumerate().for_each(|(row, line)| {
            for (column, cell) in line.iter_mut().enumerate() {
                let mut near = [0.0f32; 9];
                let mut count = 0;
                for y in row.saturating_sub(1)..(row + 2).min(rows) {
                    for x in column.saturating_sub(1)..(column + 2).min(columns) {
                        let height = before[y * columns + x].0;
                        if height.is_finite() {
                            near[count] = height;
                            count += 1;
                        }
                    }
                }
                if count > 0 && cell.0.is_finite() {
                    near[..count].sort_unstable_by(f32::total_cmp);
                    cell.0 = near[count / 2];
                }
            }
        });
    }
}
