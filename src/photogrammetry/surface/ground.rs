//! The bare ground under a surface: what a DTM shows.
//!
//! A progressive morphological filter (Zhang et al. 2003; Pingel, Clarke & `McBride` 2013, *An improved simple
//! morphological filter for the terrain classification of airborne LIDAR data*): the surface is opened with ever
//! wider windows, and what falls by more than the land may slope is no ground. A dike of any height passes as long
//! as its flanks are no steeper.

use super::{super::windows::extreme, Surface, outside};

/// Cells of the filter, metres: finer ones see the grass.
const CELL_M: f64 = 0.5;
/// The widest window reaches this far: half a barn.
const WIDEST_M: f64 = 14.0;
/// Metres of height a metre that ground may rise. Dikes have 0.25 to 0.5, walls many.
const STEEPEST: f32 = 0.6;
/// Rough ground stands out of its smoothed self by as much, metres.
const ROUGH_M: f32 = 0.2;

impl Surface {
    /// Returns the same grid without what stands on the ground.
    pub fn ground(&self) -> Self {
        let mut coarse = self.lowest_of_cells((CELL_M / self.cell_m).round().max(1.0) as usize);
        let covered = coarse.standing();
        for (height, covered) in coarse.heights.iter_mut().zip(covered) {
            if covered {
                *height = f32::NAN;
            }
        }
        if coarse.heights.iter().all(|height| height.is_nan()) {
            return self.clone();
        }
        let columns = coarse.columns;
        outside::Grid { over: &mut coarse.heights, columns, cell_m: coarse.cell_m }.span();
        let mut ground = self.clone();
        for (index, height) in ground.heights.iter_mut().enumerate() {
            let east = self.origin[0] + (index % self.columns) as f64 * self.cell_m;
            let north = self.origin[1] + (index / self.columns) as f64 * self.cell_m;
            let bare = coarse.height_at(east, north) as f32;
            if *height > bare + ROUGH_M {
                *height = bare;
            }
        }
        ground
    }

    /// A grid of squares of `size` cells, each as high as its lowest tenth.
    fn lowest_of_cells(&self, size: usize) -> Self {
        let (columns, rows) = (self.columns.div_ceil(size), self.rows.div_ceil(size));
        let mut heights = Vec::with_capacity(columns * rows);
        let mut square = Vec::with_capacity(size * size);
        for row in 0..rows {
            for column in 0..columns {
                square.clear();
                for line in row * size..((row + 1) * size).min(self.rows) {
                    let from = line * self.columns + column * size;
                    square.extend_from_slice(
                        &self.heights[from..line * self.columns + ((column + 1) * size).min(self.columns)],
                    );
                }
                let tenth = square.len() / 10;
                heights.push(*square.select_nth_unstable_by(tenth, f32::total_cmp).1);
            }
        }
        let middle = 0.5 * (size - 1) as f64 * self.cell_m;
        Self { origin: self.origin.map(|v| v + middle), cell_m: self.cell_m * size as f64, columns, rows, heights }
    }

    /// Which cells stand on the ground.
    fn standing(&self) -> Vec<bool> {
        let mut standing = vec![false; self.heights.len()];
        let mut opened = self.heights.clone();
        let mut reach = 1;
        let mut before = 0;
        while before as f64 * self.cell_m < WIDEST_M {
            let lower = open(&opened, self.columns, reach);
            let may_fall = STEEPEST * ((reach - before) as f32 * self.cell_m as f32) + ROUGH_M;
            for ((standing, lower), height) in standing.iter_mut().zip(&lower).zip(&opened) {
                *standing |= height - lower > may_fall;
            }
            opened = lower;
            (before, reach) = (reach, reach + reach.div_ceil(3));
        }
        standing
    }
}

/// A morphological opening with a square of `2 reach + 1` cells.
fn open(heights: &[f32], columns: usize, reach: usize) -> Vec<f32> {
    extreme(&extreme(heights, columns, reach, f32::min), columns, reach, f32::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A house and a tree go, a dike of 4 m with flanks of 1 : 2.5 stays.
    #[test]
    fn houses_go_and_dikes_stay() {
        let (columns, rows, cell_m) = (500_usize, 500_usize, 0.125);
        let dike = |y: f64| ((12.0 - (y - 45.0).abs()) / 2.5).clamp(0.0, 4.0);
        let place = |index: usize| ((index % columns) as f64 * cell_m, (index / columns) as f64 * cell_m);
        let stands = |x: f64, y: f64| {
            let house = (20.0..32.0).contains(&x) && (8.0..18.0).contains(&y);
            if house {
                6.0
            } else if (x - 45.0).hypot(y - 15.0) < 3.0 {
                5.0
            } else {
                0.0
            }
        };
        let heights = (0..columns * rows).map(|i| (dike(place(i).1) + stands(place(i).0, place(i).1)) as f32).collect();
        let surface = Surface { origin: [0.0, 0.0], cell_m, columns, rows, heights };
        let ground = surface.ground();
        for (index, height) in ground.heights.iter().enumerate() {
            let (x, y) = place(index);
            assert!((f64::from(*height) - dike(y)).abs() < 0.3, "{height} at {x}, {y}, not {}", dike(y));
        }
    }
}
