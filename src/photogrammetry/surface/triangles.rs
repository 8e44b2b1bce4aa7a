//! The land between tie points: Delaunay triangles, without those that only bridge a bay of the border.

use nalgebra::Vector3;
use spade::{DelaunayTriangulation, HasPosition, Point2, Triangulation as _};

/// A corner of a triangle: a tie point, in metres of the local frame.
#[derive(Clone, Copy)]
pub(super) struct Vertex {
    pub position: Point2<f64>,
    pub height: f64,
}

impl HasPosition for Vertex {
    type Scalar = f64;
    fn position(&self) -> Point2<f64> {
        self.position
    }
}

/// Calls `take` with every triangle that is ground.
///
/// From the border inwards, a triangle whose circumcircle is wider than `alpha_m` is left out: it spans a place
/// without tie points (Edelsbrunner, Kirkpatrick & Seidel 1983, *On the shape of a set of points in the plane*).
/// The circle tells more than the longest edge: along a straight border it is the slivers that lie.
///
/// `None` when the points span no triangle.
pub(super) fn visit_ground(points: &[Vector3<f64>], alpha_m: f64, mut take: impl FnMut([Vertex; 3])) -> Option<()> {
    let vertices = points.iter().map(|p| Vertex { position: Point2::new(p.x, p.y), height: p.z }).collect();
    let triangles = DelaunayTriangulation::<Vertex>::bulk_load(vertices).ok()?;
    if triangles.num_inner_faces() == 0 {
        return None;
    }
    let bridges = bridges_at_the_border(&triangles, alpha_m);
    for face in triangles.inner_faces().filter(|face| !bridges[face.fix().index()]) {
        take(face.vertices().map(|vertex| *vertex.data()));
    }
    Some(())
}

/// Which faces lie at the border, or behind such ones, and have a circumcircle wider than `alpha_m`.
fn bridges_at_the_border(triangles: &DelaunayTriangulation<Vertex>, alpha_m: f64) -> Vec<bool> {
    let mut bridges = vec![false; triangles.num_all_faces()];
    let mut border: Vec<_> = triangles.convex_hull().filter_map(|edge| edge.rev().face().as_inner()).collect();
    border.extend(triangles.convex_hull().filter_map(|edge| edge.face().as_inner()));
    while let Some(face) = border.pop() {
        let (_, radius_2) = face.circumcircle();
        let is_wide = radius_2 > alpha_m * alpha_m;
        if is_wide && !std::mem::replace(&mut bridges[face.fix().index()], true) {
            border.extend(face.adjacent_edges().iter().filter_map(|edge| edge.rev().face().as_inner()));
        }
    }
    bridges
}
