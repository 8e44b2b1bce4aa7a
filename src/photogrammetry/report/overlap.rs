//! How many photos see each part of the ground.

use nalgebra::Vector3;
use serde::Serialize;

use crate::photogrammetry::{
    orthorectify::{View, union},
    surface::Surface,
};

/// A grid over the flight with the number of photos that see each cell's middle.
#[derive(Clone, Debug, Serialize)]
pub struct Overlap {
    /// The north-west corner in the local frame, and the side of a cell.
    pub west_m: f64,
    pub north_m: f64,
    pub cell_m: f64,
    /// Rows from the north, each from the west.
    pub photos: Vec<Vec<u16>>,
    /// The middle number of photos over the ground that any photo sees.
    pub median_photos: u16,
    /// The share of that ground that at least two, three and five photos see.
    pub at_least_two: f64,
    pub at_least_three: f64,
    pub at_least_five: f64,
}

/// Cells along the longer side: each is a few pixels of the map, and a few hundred kilobytes are never reached.
const LONGER_SIDE: f64 = 120.0;

impl Overlap {
    /// Counts the views of each cell, on the surface.
    pub fn over(views: &[View], surface: &Surface) -> Self {
        let [west, south, east, north] = union(views.iter().map(|view| view.extent));
        let cell_m = round_up(((east - west).max(north - south) / LONGER_SIDE).max(0.01));
        let columns = ((east - west) / cell_m).ceil().max(1.0) as usize;
        let rows = ((north - south) / cell_m).ceil().max(1.0) as usize;
        let seen = |row: usize, column: usize| {
            let (x, y) = (west + (column as f64 + 0.5) * cell_m, north - (row as f64 + 0.5) * cell_m);
            let point = Vector3::new(x, y, surface.height_at(x, y));
            let within = |[w, s, e, n]: [f64; 4]| x >= w && x <= e && y >= s && y <= n;
            views.iter().filter(|view| within(view.extent) && view.see(&point).is_some()).count() as u16
        };
        let photos = (0..rows).map(|row| (0..columns).map(|column| seen(row, column)).collect()).collect();
        Self::of(west, north, cell_m, photos)
    }

    pub fn of(west_m: f64, north_m: f64, cell_m: f64, photos: Vec<Vec<u16>>) -> Self {
        let mut seen: Vec<u16> = photos.iter().flatten().copied().filter(|count| *count > 0).collect();
        seen.sort_unstable();
        let share = |least: u16| seen.iter().filter(|count| **count >= least).count() as f64 / seen.len().max(1) as f64;
        let median_photos = seen.get(seen.len() / 2).copied().unwrap_or(0);
        let (at_least_two, at_least_three, at_least_five) = (share(2), share(3), share(5));
        Self { west_m, north_m, cell_m, photos, median_photos, at_least_two, at_least_three, at_least_five }
    }

    /// How many photos see a place of the local frame.
    pub fn at(&self, [east_m, north_m]: [f64; 2]) -> u16 {
        let (column, row) = ((east_m - self.west_m) / self.cell_m, (self.north_m - north_m) / self.cell_m);
        if column < 0.0 || row < 0.0 {
            return 0;
        }
        self.photos.get(row as usize).and_then(|row| row.get(column as usize)).copied().unwrap_or(0)
    }

    /// West, south, east and north in the local frame.
    pub fn extent(&self) -> [f64; 4] {
        let columns = self.photos.first().map_or(0, Vec::len) as f64;
        let south = self.north_m - self.photos.len() as f64 * self.cell_m;
        [self.west_m, south, self.west_m + columns * self.cell_m, self.north_m]
    }
}

/// The next of 1, 2, 5, 10 … times a power of ten.
fn round_up(length: f64) -> f64 {
    let power = 10f64.powf(length.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .map(|step| step * power)
        .into_iter()
        .find(|step| *step >= length * (1.0 - 1e-9))
        .unwrap_or(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_the_ground_that_is_seen() {
        let overlap = Overlap::of(10.0, 50.0, 2.0, vec![vec![0, 1, 2], vec![0, 3, 5]]);
        assert_eq!((overlap.at_least_two, overlap.at_least_three, overlap.at_least_five), (0.75, 0.5, 0.25));
        assert_eq!(overlap.median_photos, 3);
        assert_eq!(overlap.extent(), [10.0, 46.0, 16.0, 50.0]);
        assert_eq!([overlap.at([15.0, 47.0]), overlap.at([13.0, 49.0]), overlap.at([9.0, 49.0])], [5, 1, 0]);
    }

    #[test]
    fn cells_have_round_sides() {
        assert_eq!([0.83, 1.0, 1.3, 30.0].map(round_up), [1.0, 1.0, 2.0, 50.0]);
    }
}
