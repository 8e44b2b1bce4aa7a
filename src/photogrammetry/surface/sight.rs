//! Whether something stands between the ground and a camera.

use nalgebra::Vector3;
use rayon::prelude::*;

use super::Surface;

/// Cells of a square to a side, of which only the highest is remembered.
const SQUARE: usize = 16;
/// So many squares around each are asked what of them could stand in the way.
const HORIZON: usize = 12;
/// What rises less over the line of sight, in cells, hides nothing: walls are as unsharp as that.
const TOLERANCE_CELLS: f64 = 3.0;

/// A surface with the heights that lines of sight have to clear.
///
/// Looking along a line costs a few steps where nothing tall is near: whole squares are passed by their highest cell
/// (Tevs, Ihrke & Seidel 2008, *Maximum mipmaps for fast, accurate, and scalable dynamic height field rendering*).
pub struct Sight<'a> {
    surface: &'a Surface,
    columns: usize,
    rows: usize,
    /// The highest of each square and the eight around it.
    highest: Vec<f32>,
    highest_of_all: f64,
    /// Lines of sight that rise by more than this from a square, metres a cell, meet nothing.
    clear: Vec<f32>,
}

impl<'a> Sight<'a> {
    pub fn over(surface: &'a Surface) -> Self {
        let [width, height] = surface.size();
        let (columns, rows) = (width.div_ceil(SQUARE), height.div_ceil(SQUARE));
        let mut own = vec![f32::NEG_INFINITY; columns * rows];
        for (index, z) in surface.heights.iter().enumerate() {
            let square = &mut own[index / width / SQUARE * columns + index % width / SQUARE];
            *square = square.max(*z);
        }
        let most_around = |values: &[f32]| {
            let around = |index: usize| {
                let (column, row) = (index % columns, index / columns);
                let rows = row.saturating_sub(1)..(row + 2).min(rows);
                rows.flat_map(|row| {
                    (column.saturating_sub(1)..(column + 2).min(columns)).map(move |column| [row, column])
                })
                .map(|[row, column]| values[row * columns + column])
                .fold(f32::NEG_INFINITY, f32::max)
            };
            (0..values.len()).map(around).collect::<Vec<f32>>()
        };
        let highest = most_around(&own);
        let highest_of_all = f64::from(own.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        let mut sight = Self { surface, columns, rows, highest, highest_of_all, clear: Vec::new() };
        // Land that climbs no faster than a line of sight never catches up with it.
        let steepest = most_around(&sight.steepest_of_squares());
        sight.clear =
            (0..own.len()).into_par_iter().map(|index| sight.horizon(index, &own).max(steepest[index])).collect();
        sight
    }

    /// The largest difference between neighbouring cells of each square.
    fn steepest_of_squares(&self) -> Vec<f32> {
        let [width, _] = self.surface.size();
        let mut steepest = vec![0.0f32; self.columns * self.rows];
        for (index, z) in self.surface.heights.iter().enumerate() {
            let (column, row) = (index % width, index / width);
            let square = &mut steepest[row / SQUARE * self.columns + column / SQUARE];
            let east = if column + 1 < width { index + 1 } else { index };
            let north = if index + width < self.surface.heights.len() { index + width } else { index };
            let slope = (self.surface.heights[east] - z).hypot(self.surface.heights[north] - z);
            *square = square.max(slope);
        }
        steepest
    }

    /// How fast a line of sight from anywhere in a square must rise to clear all squares but those beside it.
    fn horizon(&self, index: usize, own: &[f32]) -> f32 {
        let (column, row) = (index % self.columns, index / self.columns);
        let [width, height] = self.surface.size();
        let cells = |count: usize, size: usize| count * SQUARE..((count + 1) * SQUARE).min(size);
        let lowest = cells(row, height)
            .flat_map(|row| cells(column, width).map(move |column| row * width + column))
            .map(|cell| self.surface.heights[cell])
            .fold(f32::INFINITY, f32::min);
        let mut horizon = (self.highest_of_all as f32 - lowest) / (HORIZON * SQUARE) as f32;
        for other_row in row.saturating_sub(HORIZON)..(row + HORIZON + 1).min(self.rows) {
            for other_column in column.saturating_sub(HORIZON)..(column + HORIZON + 1).min(self.columns) {
                let apart = row.abs_diff(other_row).max(column.abs_diff(other_column));
                if apart > 1 {
                    let rise = own[other_row * self.columns + other_column] - lowest;
                    horizon = horizon.max(rise / ((apart - 1) * SQUARE) as f32);
                }
            }
        }
        horizon
    }

    /// Whether the surface hides a point from a camera at `centre`.
    pub fn is_hidden(&self, point: &Vector3<f64>, centre: &Vector3<f64>) -> bool {
        let cell = self.surface.cell_m;
        let up = centre - point;
        let reach = up.xy().norm();
        if reach < cell || up.z <= 0.0 {
            return false;
        }
        // In cells along the ground, metres up.
        let direction = up.xy() / reach;
        let rise = up.z / reach * cell;
        let start = [(point.x - self.surface.origin[0]) / cell, (point.y - self.surface.origin[1]) / cell];
        let square = self.square_at(start);
        if square.is_none_or(|square| rise > f64::from(self.clear[square])) {
            return false;
        }
        let floor = point.z + TOLERANCE_CELLS * cell;
        let end = ((self.highest_of_all - floor) / rise).min(reach / cell);
        let place = |along: f64| [start[0] + along * direction.x, start[1] + along * direction.y];
        let mut along = 1.0;
        while along < end {
            let Some(highest) = self.square_at(place(along)).map(|square| self.highest[square]) else { return false };
            let next = along + SQUARE as f64;
            if f64::from(highest) > floor + along * rise {
                let mut step = along;
                while step < next.min(end) {
                    let [x, y] = place(step);
                    if self.surface.cell_at(x, y).is_some_and(|z| f64::from(z) > floor + step * rise) {
                        return true;
                    }
                    step += 1.0;
                }
            }
            along = next;
        }
        false
    }

    /// The square at a place given in cells; `None` off the surface.
    fn square_at(&self, [x, y]: [f64; 2]) -> Option<usize> {
        if x < 0.0 || y < 0.0 {
            return None;
        }
        let (column, row) = (x as usize / SQUARE, y as usize / SQUARE);
        (column < self.columns && row < self.rows).then_some(row * self.columns + column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A wall of 4 m, 20 cm thick, across level ground.
    fn wall() -> Surface {
        let (columns, rows) = (300, 200);
        let heights =
            (0..columns * rows).map(|i| if (150..152).contains(&(i % columns)) { 4.0 } else { 0.0 }).collect();
        Surface { origin: [-15.0, -10.0], cell_m: 0.1, columns, rows, heights }
    }

    #[test]
    fn a_wall_hides_what_is_behind_it_as_far_as_its_shadow_reaches() {
        let surface = wall();
        let sight = Sight::over(&surface);
        // From 40 m up and 20 m to the west the shadow of 4 m is 2.2 m long.
        let camera = Vector3::new(-20.0, 0.0, 40.0);
        let hidden = |x: f64, z: f64| sight.is_hidden(&Vector3::new(x, 1.0, z), &camera);
        for x in [0.5, 1.0, 1.7] {
            assert!(hidden(x, 0.0), "{x}");
        }
        for x in [-10.0, -0.5, 2.4, 5.0] {
            assert!(!hidden(x, 0.0), "{x}");
        }
        assert!(!hidden(0.1, 4.0), "the top itself");
        assert!(!hidden(0.5, 3.6), "what stands higher than the line of sight");
    }

    #[test]
    fn straight_down_nothing_is_hidden() {
        let surface = wall();
        let sight = Sight::over(&surface);
        assert!(!sight.is_hidden(&Vector3::new(0.4, 0.0, 0.0), &Vector3::new(0.4, 0.0, 40.0)));
    }
}
