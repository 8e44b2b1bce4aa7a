//! Divides the ground into cells that are the same for every raster and every coordinate system.

use super::Bbox;

/// Length of a degree of latitude, on a sphere of the Earth's mean radius (6371.0088 km; Moritz, "Geodetic reference
/// system 1980", 2000). Cells are a way to name places, not to measure them.
const METRES_PER_DEGREE: f64 = 111_195.08;

/// Square cells of the ground, in rows of latitude; each row divides its own circle of latitude.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cells {
    side_m: f64,
}

/// One cell. Rows count from the equator to the north, columns from Greenwich to the east.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cell {
    pub row: i64,
    pub column: i64,
}

impl Cells {
    /// Cells of this side in metres; between 1 m and 100 km.
    pub const fn new(side_m: f64) -> Self {
        Self { side_m: side_m.clamp(1.0, 100_000.0) }
    }

    /// Returns the cell of a place (`[longitude, latitude]`, WGS 84 degrees).
    pub fn at(self, [lon, lat]: [f64; 2]) -> Cell {
        let row = (lat / self.height()).floor() as i64;
        Cell { row, column: (lon / self.width(row)).floor() as i64 }
    }

    /// Returns the corners: south-west, south-east, north-east, north-west; longitude and latitude.
    pub fn corners(self, Cell { row, column }: Cell) -> [[f64; 2]; 4] {
        let (width, height) = (self.width(row), self.height());
        let (west, south) = (column as f64 * width, row as f64 * height);
        let (east, north) = (west + width, south + height);
        [[west, south], [east, south], [east, north], [west, north]]
    }

    /// Returns the cells that a box (degrees) touches, row by row.
    pub fn within(self, bbox: Bbox) -> impl Iterator<Item = Cell> {
        let rows = (bbox.south / self.height()).floor() as i64..=(bbox.north / self.height()).floor() as i64;
        let cells = self;
        rows.flat_map(move |row| {
            let width = cells.width(row);
            let columns = (bbox.west / width).floor() as i64..=(bbox.east / width).floor() as i64;
            columns.map(move |column| Cell { row, column })
        })
    }

    /// Height of a row in degrees.
    const fn height(self) -> f64 {
        self.side_m / METRES_PER_DEGREE
    }

    /// Width of a cell of this row in degrees; near the poles it stays below a whole turn.
    fn width(self, row: i64) -> f64 {
        let middle = (row as f64 + 0.5) * self.height();
        (self.height() / middle.to_radians().cos().abs().max(1e-6)).min(360.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_lies_in_one_cell_and_that_cell_has_the_side_that_was_asked_for() {
        let cells = Cells::new(40.0);
        for place in [[5.12, 52.01], [-70.3, -33.4], [0.0001, 0.0001]] {
            let [[west, south], _, [east, north], _] = cells.corners(cells.at(place));
            assert!(west <= place[0] && place[0] < east && south <= place[1] && place[1] < north, "{place:?}");
            let across = (east - west) * METRES_PER_DEGREE * place[1].to_radians().cos();
            assert!((across - 40.0).abs() < 0.01 && ((north - south) * METRES_PER_DEGREE - 40.0).abs() < 1e-6);
        }
    }

    #[test]
    fn the_cells_of_a_box_are_those_of_the_places_in_it() {
        let cells = Cells::new(25.0);
        let bbox = Bbox { west: 5.1, south: 52.0, east: 5.102, north: 52.001 };
        let listed: Vec<Cell> = cells.within(bbox).collect();
        for i in 0..400 {
            let (u, v) = (f64::from(i % 20) / 19.0, f64::from(i / 20) / 19.0);
            let place = [5.1 + u * 0.002, 52.0 + v * 0.001];
            assert!(listed.contains(&cells.at(place)), "{place:?}");
        }
        assert!(listed.len() < 50, "{}", listed.len());
    }
}
