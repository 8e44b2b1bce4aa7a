//! Boxes aligned with the axes.

/// `[west, south, east, north]`; degrees of EPSG:4326 with longitude first, unless its owner says otherwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bbox {
    pub west: f64,
    pub south: f64,
    pub east: f64,
    pub north: f64,
}

impl Bbox {
    /// Returns the smallest box around the points (`[x, y]`), or nothing when there are none.
    pub fn of(points: impl IntoIterator<Item = [f64; 2]>) -> Option<Self> {
        let mut points = points.into_iter();
        let [x, y] = points.next()?;
        let start = Self { west: x, south: y, east: x, north: y };
        Some(points.fold(start, |b, [x, y]| Self {
            west: b.west.min(x),
            south: b.south.min(y),
            east: b.east.max(x),
            north: b.north.max(y),
        }))
    }

    /// Returns the smallest box around both.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self {
            west: self.west.min(other.west),
            south: self.south.min(other.south),
            east: self.east.max(other.east),
            north: self.north.max(other.north),
        }
    }

    /// Tells whether the boxes share at least a point.
    pub fn intersects(&self, other: &Self) -> bool {
        self.west <= other.east && other.west <= self.east && self.south <= other.north && other.south <= self.north
    }

    /// Returns `[west, south, east, north]`.
    pub const fn to_array(self) -> [f64; 4] {
        [self.west, self.south, self.east, self.north]
    }

    /// Returns the middle as `[x, y]`.
    pub const fn center(&self) -> [f64; 2] {
        [f64::midpoint(self.west, self.east), f64::midpoint(self.south, self.north)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_of_points_holds_all_of_them() {
        let bbox = Bbox::of([[1.0, 5.0], [-2.0, 7.0], [0.0, 6.0]]).unwrap();
        assert_eq!(bbox.to_array(), [-2.0, 5.0, 1.0, 7.0]);
        assert!(Bbox::of([]).is_none());
    }

    #[test]
    fn boxes_that_touch_intersect() {
        let unit = Bbox { west: 0.0, south: 0.0, east: 1.0, north: 1.0 };
        assert!(unit.intersects(&Bbox { west: 1.0, south: 1.0, east: 2.0, north: 2.0 }));
        assert!(!unit.intersects(&Bbox { west: 1.1, south: 0.0, east: 2.0, north: 1.0 }));
    }
}
