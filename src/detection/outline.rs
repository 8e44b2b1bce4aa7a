//! The shape of what was seen: a box, a turned box, or a polygon, and how much two shapes share.

use geo::{Area as _, BooleanOps as _, Coord, LineString, MinimumRotatedRect as _, MultiPoint, Polygon};

use super::{PixelBox, Seen};

/// How something lies within its box. Corners are `[column, row]`, in the pixels of the box, not closed.
#[derive(Clone, Debug, PartialEq)]
pub enum Outline {
    /// It is the box.
    Box,
    /// A rectangle that may be turned, and may reach beyond the chip; its corners in turn.
    Rotated(Box<[[f64; 2]; 4]>),
    /// Any polygon without holes.
    Polygon(Box<[[f64; 2]]>),
}

impl Seen {
    /// Returns the corners of the shape, in turn, not closed.
    pub fn corners(&self) -> Vec<[f64; 2]> {
        let PixelBox { left, top, right, bottom, .. } = self.found;
        match &self.outline {
            Outline::Box => vec![[left, top], [left, bottom], [right, bottom], [right, top]],
            Outline::Rotated(corners) => corners.to_vec(),
            Outline::Polygon(corners) => corners.to_vec(),
        }
    }

    /// Returns the point whose chip owns the finding: the middle of the box, turned or not, as the model gave it.
    pub fn center(&self) -> [f64; 2] {
        match &self.outline {
            Outline::Rotated(c) => [f64::midpoint(c[0][0], c[2][0]), f64::midpoint(c[0][1], c[2][1])],
            _ => self.found.center(),
        }
    }

    /// Cuts the box at a chip's border (width, height); nothing when it lies beyond. A turned shape stays whole.
    pub fn within(mut self, size: [usize; 2]) -> Option<Self> {
        let b = &mut self.found;
        (b.left, b.right) = (b.left.max(0.0), b.right.min(size[0] as f64));
        (b.top, b.bottom) = (b.top.max(0.0), b.bottom.min(size[1] as f64));
        (b.left < b.right && b.top < b.bottom).then_some(self)
    }

    /// Returns the area of the shape, in square pixels.
    pub fn area(&self) -> f64 {
        match &self.outline {
            Outline::Box => self.found.area(),
            _ => area(&self.corners()),
        }
    }

    /// Returns the area that both shapes cover.
    pub fn shared_area(&self, other: &Self) -> f64 {
        match (&self.outline, &other.outline) {
            (Outline::Box, Outline::Box) => self.found.shared_area(&other.found),
            (Outline::Polygon(_), _) | (_, Outline::Polygon(_)) => {
                polygon(&self.corners()).intersection(&polygon(&other.corners())).unsigned_area()
            }
            _ => area(&clip(self.corners(), &other.corners())),
        }
    }

    /// Returns the intersection over union.
    pub fn iou(&self, other: &Self) -> f64 {
        let shared = self.shared_area(other);
        shared / (self.area() + other.area() - shared).max(f64::MIN_POSITIVE)
    }

    /// Returns the share of the smaller shape that the other one covers.
    pub fn containment(&self, other: &Self) -> f64 {
        self.shared_area(other) / self.area().min(other.area()).max(f64::MIN_POSITIVE)
    }

    /// Returns both as one: the box around two boxes, the narrowest rectangle around two turned ones, the union of
    /// polygons. It has the class of the first and the higher confidence.
    #[must_use]
    pub fn joined(&self, other: &Self) -> Self {
        let (a, b) = (&self.found, &other.found);
        let found = PixelBox {
            left: a.left.min(b.left),
            top: a.top.min(b.top),
            right: a.right.max(b.right),
            bottom: a.bottom.max(b.bottom),
            class: a.class,
            confidence: a.confidence.max(b.confidence),
        };
        let outline = match (&self.outline, &other.outline) {
            (Outline::Box, Outline::Box) => Outline::Box,
            (Outline::Polygon(_), _) | (_, Outline::Polygon(_)) => {
                let union = polygon(&self.corners()).union(&polygon(&other.corners()));
                let largest = union.into_iter().max_by(|a, b| a.unsigned_area().total_cmp(&b.unsigned_area()));
                largest.map_or(Outline::Box, |polygon| Outline::Polygon(open_ring(&polygon).into()))
            }
            _ => rectangle_around(self.corners().into_iter().chain(other.corners())).unwrap_or(Outline::Box),
        };
        Self { found, outline }
    }
}

fn rectangle_around(points: impl Iterator<Item = [f64; 2]>) -> Option<Outline> {
    let points: MultiPoint = points.map(geo::Point::from).collect::<Vec<_>>().into();
    let corners = open_ring(&points.minimum_rotated_rect()?);
    Some(Outline::Rotated(Box::new(corners.try_into().ok()?)))
}

fn polygon(corners: &[[f64; 2]]) -> Polygon {
    Polygon::new(corners.iter().copied().map(Coord::from).collect::<LineString>(), vec![])
}

fn open_ring(polygon: &Polygon) -> Vec<[f64; 2]> {
    let mut ring: Vec<_> = polygon.exterior().coords().map(|at| [at.x, at.y]).collect();
    ring.pop();
    ring
}

fn area(corners: &[[f64; 2]]) -> f64 {
    signed_area(corners).abs()
}

fn signed_area(corners: &[[f64; 2]]) -> f64 {
    let Some(&[x, y]) = corners.first() else { return 0.0 };
    let cross = |a: [f64; 2], b: [f64; 2]| (a[0] - x) * (b[1] - y) - (b[0] - x) * (a[1] - y);
    corners.windows(2).map(|side| cross(side[0], side[1])).sum::<f64>() / 2.0
}

/// Cuts a convex polygon at every side of another (I. Sutherland and G. Hodgman, "Reentrant polygon clipping", 1974).
fn clip(mut subject: Vec<[f64; 2]>, window: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let turn = signed_area(window).signum();
    for (i, &a) in window.iter().enumerate() {
        let b = window[(i + 1) % window.len()];
        let inside = |p: [f64; 2]| turn * ((b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0]));
        let mut cut = Vec::with_capacity(subject.len() + 1);
        for (j, &p) in subject.iter().enumerate() {
            let q = subject[(j + 1) % subject.len()];
            let (dp, dq) = (inside(p), inside(q));
            if dp >= 0.0 {
                cut.push(p);
            }
            if (dp >= 0.0) != (dq >= 0.0) {
                let t = dp / (dp - dq);
                cut.push([p[0] + t * (q[0] - p[0]), p[1] + t * (q[1] - p[1])]);
            }
        }
        subject = cut;
    }
    subject
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn turned(center: [f64; 2], size: [f64; 2], angle: f64) -> Seen {
        super::super::decode::turned_box(center, size, angle, 0, 0.9)
    }

    proptest! {
        #[test]
        fn clipping_rectangles_agrees_with_the_clipping_of_any_polygons(
            x in -8.0..8.0_f64, y in -8.0..8.0_f64, w in 1.0..20.0_f64, h in 1.0..20.0_f64, angle in -3.2..3.2_f64,
        ) {
            let (a, b) = (turned([0.0, 0.0], [12.0, 5.0], 0.4), turned([x, y], [w, h], angle));
            let general = polygon(&a.corners()).intersection(&polygon(&b.corners())).unsigned_area();
            prop_assert!((a.shared_area(&b) - general).abs() < 1e-6, "{} {general}", a.shared_area(&b));
            prop_assert!((a.iou(&b) - b.iou(&a)).abs() < 1e-9);
        }
    }

    #[test]
    fn a_cross_of_two_long_boxes_shares_little_though_its_bounds_are_equal() {
        let across = |angle| turned([50.0, 50.0], [60.0, 6.0], angle);
        let (a, b) = (across(std::f64::consts::FRAC_PI_4), across(-std::f64::consts::FRAC_PI_4));
        assert!(a.found.iou(&b.found) > 0.99);
        assert!((a.iou(&b) - 36.0 / (720.0 - 36.0)).abs() < 1e-6, "{}", a.iou(&b));
    }

    #[test]
    fn two_pieces_of_a_turned_box_become_one_turned_box() {
        let joined = turned([0.0, 0.0], [20.0, 4.0], 0.5).joined(&turned([8.776, 4.794], [20.0, 4.0], 0.5));
        assert!((joined.area() - 120.0).abs() < 0.5, "{}", joined.area());
    }

    #[test]
    fn polygons_are_compared_and_joined_as_polygons() {
        let l_shape = |dx: f64| Seen {
            found: PixelBox { left: dx, top: 0.0, right: dx + 4.0, bottom: 4.0, class: 0, confidence: 0.5 },
            outline: Outline::Polygon(
                [[0.0, 0.0], [4.0, 0.0], [4.0, 1.0], [1.0, 1.0], [1.0, 4.0], [0.0, 4.0]]
                    .map(|[x, y]| [x + dx, y])
                    .into(),
            ),
        };
        assert!((l_shape(0.0).area() - 7.0).abs() < 1e-9);
        assert!((l_shape(0.0).iou(&l_shape(2.0)) - 2.0 / 12.0).abs() < 1e-6, "{}", l_shape(0.0).iou(&l_shape(2.0)));
        assert!((l_shape(0.0).joined(&l_shape(2.0)).area() - 12.0).abs() < 1e-6);
    }
}
