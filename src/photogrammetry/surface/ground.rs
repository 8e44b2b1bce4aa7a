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
/// What is longer is no house: a steep dike, a quay or a wood, metres.
const LONGEST_M: f64 = 30.0;
/// Triangles lean on a wall this far from it: about the distance of tie points, metres.
const BESIDE_M: f64 = 1.0;

impl Surface {
    /// Returns the same grid without what stands on the ground.
    pub fn ground(&self) -> Self {
        let bare = self.bare();
        let mut ground = self.clone();
        for (index, height) in ground.heights.iter_mut().enumerate() {
            let east = self.origin[0] + (index % self.columns) as f64 * self.cell_m;
            let north = self.origin[1] + (index / self.columns) as f64 * self.cell_m;
            let bare = bare.height_at(east, north) as f32;
            if *height > bare + ROUGH_M {
                *height = bare;
            }
        }
        ground
    }

    /// Returns the ground under what stands on it, on cells of half a metre; grass and kerbs are not told from it.
    pub fn bare(&self) -> Self {
        let mut coarse = self.lowest_of_cells((CELL_M / self.cell_m).round().max(1.0) as usize);
        let covered = coarse.standing();
        if covered.iter().all(|covered| *covered) {
            return coarse;
        }
        for (height, _) in coarse.heights.iter_mut().zip(covered).filter(|(_, covered)| *covered) {
            *height = f32::NAN;
        }
        let columns = coarse.columns;
        outside::Grid { over: &mut coarse.heights, columns, cell_m: coarse.cell_m }.span();
        coarse
    }

    /// Which cells of a surface that is not known everywhere (NaN) belong to a house or a tree, or are so near to one
    /// that the triangles between tie points may lean on it.
    pub(super) fn stands_or_is_beside(&self) -> Vec<bool> {
        let size = (CELL_M / self.cell_m).round().max(1.0) as usize;
        let coarse = self.lowest_of_cells(size);
        let mut standing = coarse.standing();
        drop_long(&mut standing, coarse.columns, (LONGEST_M / coarse.cell_m) as usize);
        let standing: Vec<f32> = standing.into_iter().map(|stands| f32::from(u8::from(stands))).collect();
        let reach = (BESIDE_M / coarse.cell_m).ceil() as usize;
        let beside = extreme(&standing, coarse.columns, reach, f32::max);
        let of = |index: usize| (index / self.columns) / size * coarse.columns + index % self.columns / size;
        (0..self.heights.len()).map(|index| beside[of(index)] > 0.0).collect()
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

/// Forgets the patches that are longer than so many cells, one way or the other.
fn drop_long(cells: &mut [bool], columns: usize, longest: usize) {
    let mut visited = vec![false; cells.len()];
    let mut patch = Vec::new();
    for start in 0..cells.len() {
        if !cells[start] || std::mem::replace(&mut visited[start], true) {
            continue;
        }
        patch.clear();
        patch.push(start);
        let mut next = 0;
        let [mut west, mut east] = [start % columns; 2];
        while next < patch.len() {
            let at = patch[next];
            next += 1;
            (west, east) = (west.min(at % columns), east.max(at % columns));
            let beside = [
                (at % columns > 0).then(|| at - 1),
                (at % columns + 1 < columns).then_some(at + 1),
                at.checked_sub(columns),
                Some(at + columns).filter(|below| *below < cells.len()),
            ];
            for other in beside.into_iter().flatten() {
                if cells[other] && !std::mem::replace(&mut visited[other], true) {
                    patch.push(other);
                }
            }
        }
        let rows = patch.iter().map(|at| at / columns);
        let down = rows.clone().max().unwrap_or(0) - rows.min().unwrap_or(0);
        if east - west > longest || down > longest {
            for at in &patch {
                cells[*at] = false;
            }
        }
    }
}

/// A morphological opening with a square of `2 reach + 1` cells.
fn open(heights: &[f32], columns: usize, reach: usize) -> Vec<f32> {
    extreme(&extreme(heights, columns, reach, f32::min), columns, reach, f32::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_house_is_told_from_a_quay_by_its_length() {
        let (columns, rows, cell_m) = (200_usize, 160_usize, 0.5);
        let house = |x: usize, y: usize| (20..40).contains(&x) && (20..36).contains(&y);
        let quay = |_: usize, y: usize| (100..110).contains(&y);
        let heights = (0..columns * rows).map(|i| (i % columns, i / columns));
        let heights = heights.map(|(x, y)| match (y < 150, house(x, y) || quay(x, y)) {
            (true, stands) => f32::from(u8::from(stands)) * 4.0,
            (false, _) => f32::NAN,
        });
        let surface = Surface { origin: [0.0, 0.0], cell_m, columns, rows, heights: heights.collect() };
        let stands = surface.stands_or_is_beside();
        for (index, stands) in stands.iter().enumerate() {
            let (x, y) = (index % columns, index / columns);
            let beside = (18..42).contains(&x) && (18..38).contains(&y);
            assert_eq!(*stands, beside, "{x} {y}");
        }
    }

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
