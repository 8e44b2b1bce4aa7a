//! The ground and what stands on it, as a regular grid of heights made from tie points.
//!
//! Tie points that disagree with their neighbours are cut, the rest is triangulated (Delaunay) and sampled on a
//! grid. Photos at the edge of a flight see farther than tie points reach: there the surface goes on as it left the
//! border, so that a dike stays a dike to the last pixel; a house ends after a few metres.

mod ground;
mod outside;
mod sight;
mod triangles;

use std::ops::Range;

use nalgebra::{Matrix3, Vector3};
use rayon::prelude::*;
use rstar::{RTree, primitives::GeomWithData};
use serde::{Deserialize, Serialize};

use self::{
    outside::Grid,
    triangles::{Vertex, visit_ground},
};
pub use sight::Sight;

use super::photos::median;

/// Heights on a grid of the local frame, metres; row 0 is the southernmost.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Surface {
    /// East and north of the first grid point.
    origin: [f64; 2],
    cell_m: f64,
    columns: usize,
    rows: usize,
    heights: Vec<f32>,
}

/// A box in the local frame: west, south, east, north in metres.
pub type Extent = [f64; 4];

/// The neighbours that judge a tie point.
const NEIGHBOURS: usize = 12;
/// A tie point may always differ this much from its neighbours, as a share of the flying height: grass, kerbs.
const TOLERANCE_SHARE: f64 = 0.01;
/// A triangle at the border whose circumcircle is wider than this many mean distances of tie points bridges a bay; it
/// is no ground. Of triangles between points strewn at random, not one in a thousand million is that wide by chance.
const ALPHA: f64 = 3.0;
/// Grid points of a surface at most; a larger area gets a coarser grid.
const MOST_CELLS: f64 = 16e6;

impl Surface {
    /// Makes the surface over an extent from tie points. `height_m` is the flying height, `gsd_m` that of the photos.
    ///
    /// `None` when fewer than three points are left or all lie on one line.
    pub fn from_points(points: &[Vector3<f64>], extent: Extent, height_m: f64, gsd_m: f64) -> Option<Self> {
        let kept = without_outliers(points, TOLERANCE_SHARE * height_m);
        if kept.len() < 3 {
            return None;
        }
        let plane = fit_plane(&kept)?;
        let area = (extent[2] - extent[0]) * (extent[3] - extent[1]);
        // Half the mean distance between tie points: finer would only show the triangles.
        let spacing = 0.5 * (area / kept.len() as f64).sqrt();
        let cell_m = spacing.clamp(4.0 * gsd_m, 2.0_f64.max(8.0 * gsd_m)).max((area / MOST_CELLS).sqrt());
        let mut surface = Self {
            origin: [extent[0], extent[1]],
            cell_m,
            columns: ((extent[2] - extent[0]) / cell_m).ceil() as usize + 2,
            rows: ((extent[3] - extent[1]) / cell_m).ceil() as usize + 2,
            heights: Vec::new(),
        };
        surface.heights = vec![f32::NAN; surface.columns * surface.rows];
        visit_ground(&kept, ALPHA * 2.0 * spacing, |corners| surface.sample_triangle(corners))?;
        surface.carry_on(&plane);
        surface.smooth();
        Some(surface)
    }

    /// The height at a place, linear between grid points; the border's height outside.
    pub fn height_at(&self, east: f64, north: f64) -> f64 {
        let x = ((east - self.origin[0]) / self.cell_m).clamp(0.0, (self.columns - 1) as f64);
        let y = ((north - self.origin[1]) / self.cell_m).clamp(0.0, (self.rows - 1) as f64);
        let (column, row) = ((x as usize).min(self.columns - 2), (y as usize).min(self.rows - 2));
        let (fx, fy) = (x - column as f64, y - row as f64);
        let at = |r: usize, c: usize| f64::from(self.heights[r * self.columns + c]);
        let south = at(row, column) * (1.0 - fx) + at(row, column + 1) * fx;
        let north = at(row + 1, column) * (1.0 - fx) + at(row + 1, column + 1) * fx;
        south * (1.0 - fy) + north * fy
    }

    pub fn cell_m(&self) -> f64 {
        self.cell_m
    }

    /// The height of the grid point nearest to a place given in cells; `None` off the grid.
    fn cell_at(&self, x: f64, y: f64) -> Option<f32> {
        let (column, row) = ((x + 0.5) as usize, (y + 0.5) as usize);
        (x > -0.5 && y > -0.5 && column < self.columns && row < self.rows)
            .then(|| self.heights[row * self.columns + column])
    }

    /// Columns and rows of grid points.
    pub fn size(&self) -> [usize; 2] {
        [self.columns, self.rows]
    }

    /// The same heights on another grid.
    pub fn resampled(&self, extent: Extent, cell_m: f64) -> Self {
        let columns = ((extent[2] - extent[0]) / cell_m).ceil() as usize + 2;
        let rows = ((extent[3] - extent[1]) / cell_m).ceil() as usize + 2;
        let mut heights = vec![0.0; columns * rows];
        heights.par_chunks_exact_mut(columns).enumerate().for_each(|(row, line)| {
            let north = extent[1] + row as f64 * cell_m;
            for (column, height) in line.iter_mut().enumerate() {
                *height = self.height_at(extent[0] + column as f64 * cell_m, north) as f32;
            }
        });
        Self { origin: [extent[0], extent[1]], cell_m, columns, rows, heights }
    }

    /// Sets the grid points of the given columns and rows to heights from a window whose first point lies `at`.
    pub fn put(&mut self, heights: &[f32], at: [i64; 2], window_columns: usize, [columns, rows]: [Range<usize>; 2]) {
        for row in rows {
            let from = (row as i64 - at[1]) as usize * window_columns + (columns.start as i64 - at[0]) as usize;
            let to = row * self.columns + columns.start;
            self.heights[to..to + columns.len()].copy_from_slice(&heights[from..from + columns.len()]);
        }
    }

    fn sample_triangle(&mut self, [a, b, c]: [Vertex; 3]) {
        let grid =
            |v: &Vertex| [(v.position.x - self.origin[0]) / self.cell_m, (v.position.y - self.origin[1]) / self.cell_m];
        let (pa, pb, pc) = (grid(&a), grid(&b), grid(&c));
        let twice = (pb[0] - pa[0]) * (pc[1] - pa[1]) - (pc[0] - pa[0]) * (pb[1] - pa[1]);
        if twice.abs() < 1e-12 {
            return;
        }
        let range = |axis: usize, count: usize| {
            let (low, high) = (pa[axis].min(pb[axis]).min(pc[axis]), pa[axis].max(pb[axis]).max(pc[axis]));
            low.ceil().max(0.0) as usize..(high.floor().min(count as f64 - 1.0) + 1.0).max(0.0) as usize
        };
        for row in range(1, self.rows) {
            for column in range(0, self.columns) {
                let (x, y) = (column as f64 - pa[0], row as f64 - pa[1]);
                let wb = (x * (pc[1] - pa[1]) - y * (pc[0] - pa[0])) / twice;
                let wc = (y * (pb[0] - pa[0]) - x * (pb[1] - pa[1])) / twice;
                if wb >= -1e-9 && wc >= -1e-9 && wb + wc <= 1.0 + 1e-9 {
                    let height = a.height * (1.0 - wb - wc) + b.height * wb + c.height * wc;
                    self.heights[row * self.columns + column] = height as f32;
                }
            }
        }
    }

    /// Fills what no triangle covers: as high over the plane as the land that it goes on from.
    fn carry_on(&mut self, plane: &Vector3<f64>) {
        let (columns, origin, cell_m) = (self.columns, self.origin, self.cell_m);
        let level = |index: usize| {
            let (x, y) = ((index % columns) as f64, (index / columns) as f64);
            (plane.x * (origin[0] + x * cell_m) + plane.y * (origin[1] + y * cell_m) + plane.z) as f32
        };
        let stands = self.stands_or_is_beside();
        self.heights.iter_mut().enumerate().for_each(|(index, height)| *height -= level(index));
        Grid { over: &mut self.heights, columns, cell_m }.carry_on(&stands);
        self.heights.iter_mut().enumerate().for_each(|(index, height)| *height += level(index));
    }

    /// A median over 3 × 3, then [1 2 1] both ways: takes single spikes and the triangles' creases.
    fn smooth(&mut self) {
        let (columns, rows) = (self.columns, self.rows);
        let at = |heights: &[f32], row: usize, column: usize, dy: isize, dx: isize| {
            let y = (row as isize + dy).clamp(0, rows as isize - 1) as usize;
            let x = (column as isize + dx).clamp(0, columns as isize - 1) as usize;
            heights[y * columns + x]
        };
        let median_of = |heights: &[f32], index: usize| {
            let mut window = [0.0; 9];
            for (k, value) in window.iter_mut().enumerate() {
                *value = at(heights, index / columns, index % columns, k as isize / 3 - 1, k as isize % 3 - 1);
            }
            window.sort_unstable_by(f32::total_cmp);
            window[4]
        };
        let calm: Vec<f32> = (0..self.heights.len()).map(|index| median_of(&self.heights, index)).collect();
        for (index, height) in self.heights.iter_mut().enumerate() {
            let (row, column) = (index / columns, index % columns);
            let mut sum = 0.0;
            for (dy, wy) in [(-1, 0.25), (0, 0.5), (1, 0.25)] {
                for (dx, wx) in [(-1, 0.25), (0, 0.5), (1, 0.25)] {
                    sum += wy * wx * at(&calm, row, column, dy, dx);
                }
            }
            *height = sum;
        }
    }
}

/// Drops the points that stand out of the median of their neighbours by several of the neighbours' own deviations.
fn without_outliers(points: &[Vector3<f64>], tolerance_m: f64) -> Vec<Vector3<f64>> {
    let tree = RTree::bulk_load(
        points.iter().enumerate().map(|(index, p)| GeomWithData::new([p.x, p.y], index)).collect::<Vec<_>>(),
    );
    let fits = |point: &&Vector3<f64>| {
        let near: Vec<f64> = tree
            .nearest_neighbor_iter(&[point.x, point.y])
            .take(NEIGHBOURS + 1)
            .map(|neighbour| points[neighbour.data].z)
            .collect();
        let middle = median(near.iter().copied()).unwrap_or(point.z);
        let spread = 1.4826 * median(near.iter().map(|z| (z - middle).abs())).unwrap_or(0.0);
        (point.z - middle).abs() <= tolerance_m.max(3.0 * spread)
    };
    points.iter().filter(fits).copied().collect()
}

/// The plane `x east + y north + z` nearest to the points; level when they lie on a line.
fn fit_plane(points: &[Vector3<f64>]) -> Option<Vector3<f64>> {
    let count = points.len() as f64;
    let mean = points.iter().sum::<Vector3<f64>>() / count;
    let (mut normal, mut right) = (Matrix3::zeros(), Vector3::zeros());
    for point in points {
        let row = Vector3::new(point.x - mean.x, point.y - mean.y, 1.0);
        normal += row * row.transpose();
        right += row * (point.z - mean.z);
    }
    let solution = normal.cholesky()?.solve(&right);
    Some(Vector3::new(solution.x, solution.y, solution.z + mean.z - solution.x * mean.x - solution.y * mean.y))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tie points on a slope with a dike along the middle, a metre apart but not on a lattice.
    fn dike(east: f64, north: f64) -> f64 {
        0.02 * east + (4.0 - (north - 50.0).abs()).clamp(0.0, 2.0)
    }

    fn points() -> Vec<Vector3<f64>> {
        (0..10_000)
            .map(|i| {
                let (east, north) = (f64::from(i * 7919 % 10_007) / 100.0, f64::from(i * 104_729 % 9_973) / 100.0);
                Vector3::new(east, north, dike(east, north))
            })
            .collect()
    }

    #[test]
    fn a_dike_keeps_its_shape_within_a_decimetre() {
        let surface = Surface::from_points(&points(), [0.0, 0.0, 100.0, 100.0], 40.0, 0.03).unwrap();
        for (east, north) in [(20.0, 50.0), (60.0, 30.0), (80.0, 47.0), (33.3, 52.9)] {
            let error = surface.height_at(east, north) - dike(east, north);
            assert!(error.abs() < 0.1, "{error} at {east}, {north}");
        }
    }

    #[test]
    fn wrong_points_are_cut() {
        let mut points = points();
        for i in 0..50 {
            points[i * 180].z += 15.0;
        }
        let surface = Surface::from_points(&points, [0.0, 0.0, 100.0, 100.0], 40.0, 0.03).unwrap();
        let worst = (0..400).map(|i| (f64::from(i % 20) * 5.0 + 2.0, f64::from(i / 20) * 5.0 + 2.0));
        let worst = worst.map(|(e, n)| (surface.height_at(e, n) - dike(e, n)).abs()).fold(0.0, f64::max);
        assert!(worst < 0.4, "{worst}");
    }

    #[test]
    fn a_dike_goes_on_where_tie_points_end() {
        let surface = Surface::from_points(&points(), [-20.0, 0.0, 120.0, 100.0], 40.0, 0.03).unwrap();
        for step in 0..25 {
            let north = 38.0 + f64::from(step);
            for east in [-8.0, -5.0, -2.0, 102.0, 105.0, 108.0] {
                let error = surface.height_at(east, north) - dike(east, north);
                // Smoothing rounds the edges of the crown, inside and outside alike.
                let limit = if north == 48.0 || north == 52.0 { 0.35 } else { 0.3 };
                assert!(error.abs() < limit, "{error} at {east}, {north}");
            }
        }
    }

    #[test]
    fn the_border_goes_on_with_the_slope() {
        let surface = Surface::from_points(&points(), [-20.0, -20.0, 120.0, 120.0], 40.0, 0.03).unwrap();
        assert!((surface.height_at(115.0, 10.0) - 2.3).abs() < 0.4, "{}", surface.height_at(115.0, 10.0));
    }
}
