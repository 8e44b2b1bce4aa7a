//! Which photos may show the same ground.
//!
//! With a position and a heading, each photo's footprint on flat ground is predicted and photos that overlap are
//! paired. The nearest neighbours come in too, whatever the prediction says, because headings and heights lie.
//! Without positions every photo is tried with every other.

use nalgebra::{Vector2, Vector3};

use super::{
    camera::{Exterior, rotation_of},
    photos::{Flight, Photo},
};
use crate::raster::Attitude;

/// Photos that share less than this of their ground are left to their neighbours.
const LEAST_OVERLAP: f64 = 0.15;
/// The best overlaps of a photo. More pairs lengthen the tracks but cost time linearly.
const MOST_PARTNERS: usize = 14;
/// Neighbours that are tried without regard to headings.
const NEAREST: usize = 5;
/// The grid of places in a photo that are looked for in the other.
const GRID: usize = 7;

/// Pairs of photo indices, the lower first, in order.
pub fn choose_pairs(flight: &Flight) -> Vec<(usize, usize)> {
    let views: Option<Vec<View>> = flight.photos.iter().map(|photo| View::predicted(flight, photo)).collect();
    let Some(views) = views else { return all_pairs(flight.photos.len()) };
    let mut pairs = std::collections::BTreeSet::new();
    for (i, view) in views.iter().enumerate() {
        let mut partners: Vec<(f64, f64, usize)> = views
            .iter()
            .enumerate()
            .filter(|&(j, other)| j != i && (other.centre() - view.centre()).norm() < view.reach + other.reach)
            .map(|(j, other)| {
                (-0.5 * (view.share_in(other) + other.share_in(view)), (other.centre() - view.centre()).norm(), j)
            })
            .collect();
        partners.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.2.cmp(&b.2)));
        let near: Vec<usize> = partners.iter().take(NEAREST).map(|partner| partner.2).collect();
        partners.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.2.cmp(&b.2)));
        let overlapping = partners.iter().filter(|p| -p.0 >= LEAST_OVERLAP).take(MOST_PARTNERS).map(|p| p.2);
        for j in overlapping.chain(near) {
            pairs.insert((i.min(j), i.max(j)));
        }
    }
    pairs.into_iter().collect()
}

fn all_pairs(photos: usize) -> Vec<(usize, usize)> {
    (0..photos).flat_map(|i| (i + 1..photos).map(move |j| (i, j))).collect()
}

/// A photo over flat ground at height zero, as its metadata describes it.
struct View<'a> {
    flight: &'a Flight,
    camera: usize,
    exterior: Exterior,
    /// Half the diagonal of the footprint.
    reach: f64,
}

impl<'a> View<'a> {
    fn predicted(flight: &'a Flight, photo: &Photo) -> Option<Self> {
        let gps = photo.gps?;
        // A flight without relative altitudes is taken to be at 80 m: the pairs only need the order of magnitude.
        let height = photo.relative_altitude_m.unwrap_or(80.0);
        let nadir = Attitude { yaw_deg: 0.0, pitch_deg: -90.0, roll_deg: 0.0 };
        let rotation = rotation_of(&photo.attitude.unwrap_or(nadir));
        let camera = &flight.cameras[photo.camera].prior;
        let reach = 0.55 * camera.width_px.hypot(camera.height_px) / camera.focal_px * height;
        let centre = Vector3::new(gps.enu.x, gps.enu.y, height);
        Some(Self { flight, camera: photo.camera, exterior: Exterior { rotation, centre }, reach })
    }

    fn centre(&self) -> Vector2<f64> {
        self.exterior.centre.xy()
    }

    /// The share of this photo's ground that the other one sees.
    fn share_in(&self, other: &Self) -> f64 {
        let (own, theirs) = (&self.flight.cameras[self.camera].prior, &self.flight.cameras[other.camera].prior);
        let seen = (0..GRID * GRID)
            .filter(|cell| {
                let at = |index: usize| (index as f64 + 0.5) / GRID as f64;
                let pixel = Vector2::new(at(cell % GRID) * own.width_px, at(cell / GRID) * own.height_px);
                let ray = self.exterior.ray(&own.unproject(&pixel));
                let ground = self.exterior.centre - ray * (self.exterior.centre.z / ray.z.min(-0.05));
                theirs.project(&other.exterior.in_camera(&ground)).is_some_and(|pixel| theirs.contains(&pixel))
            })
            .count();
        seen as f64 / (GRID * GRID) as f64
    }
}
