//! What every step of the mosaic looks at: the ground, the views over it, and the pixels to be drawn.

use nalgebra::{Vector2, Vector3};

use crate::photogrammetry::{
    orthorectify::{Grid, Lattice, View, union},
    photos::Flight,
    surface::{Sight, Surface},
};

/// What rises over the bare ground by more stands on it, metres: the bare ground knows no kerbs.
const STANDS_M: f64 = 0.5;

/// The geometry under an orthophoto. Views are in the order of the flight's photos.
pub struct Terrain<'a> {
    pub flight: &'a Flight,
    pub views: &'a [View],
    /// How sharp each photo is against the middle one.
    pub sharpness: Vec<f64>,
    pub surface: &'a Surface,
    /// The ground under what stands on it.
    pub bare: Surface,
    /// What stands in the way over that surface.
    pub sight: Sight<'a>,
    pub grid: Grid,
    /// Side of a pixel of the grid on the ground, metres.
    pub gsd_m: f64,
    pub ground_m: f64,
}

impl Terrain<'_> {
    /// The views whose ground touches a window, in the order of their photos.
    pub fn views_near(&self, lattice: &Lattice, size: [usize; 2]) -> Vec<&View> {
        let (w, h) = (size[0] as f64, size[1] as f64);
        let corners = [[0.0, 0.0], [w, 0.0], [0.0, h], [w, h]].map(|[x, y]| lattice.ground(x, y));
        let window = union(corners.iter().map(|p| [p[0], p[1], p[0], p[1]]));
        self.views.iter().filter(|view| view.may_touch(&window)).collect()
    }

    /// Where a photo shows a ground point; `None` outside its frame, and when something stands before it.
    pub fn see(&self, view: &View, point: &Vector3<f64>) -> Option<Vector2<f64>> {
        view.see(point).filter(|_| !self.sight.is_hidden(point, &view.exterior.centre))
    }

    /// The place at the foot of what stands there. At the border a crown may rise out of every frame while its foot is
    /// still seen; but a dike is its own foot, and where it rises out of every frame nothing is known of it.
    pub fn lowered(&self, point: &Vector3<f64>) -> Vector3<f64> {
        let foot = self.bare.height_at(point.x, point.y);
        Vector3::new(point.x, point.y, if point.z > foot + STANDS_M { foot } else { point.z })
    }
}
