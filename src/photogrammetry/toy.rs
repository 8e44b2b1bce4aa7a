//! A small flight over a world that a test makes up, with cameras placed exactly: for what comes after the adjustment.

use nalgebra::{Vector2, Vector3};

use super::{
    bundle::{AdjustedCamera, AdjustedPhoto, Block},
    camera::{Camera, Exterior, rotation_of},
    orthorectify::{View, views_of},
    surface::Surface,
};
use crate::raster::{Attitude, Rgb8};

/// Flying height over the plane, metres.
pub const HEIGHT_M: f64 = 20.0;
/// Ground sampling distance of the photos, metres.
pub const GSD_M: f64 = 0.05;
pub const SIZE: [usize; 2] = [240, 180];

/// What a photo sees: which photo it is, where on the plane, and how far from its middle (1 in the corner, squared).
pub struct Look {
    pub photo: usize,
    pub east: f64,
    pub north: f64,
    pub r2: f64,
}

pub struct Toy {
    pub block: Block,
    pub views: Vec<View>,
    pub photos: Vec<Rgb8>,
    pub surface: Surface,
}

impl Toy {
    /// Photos over a plane from the given places, looking straight down, north on top.
    pub fn over_plane(places: &[[f64; 2]], colour: impl Fn(&Look) -> [f64; 3]) -> Self {
        let lens = Camera::ideal(SIZE[0] as f64, SIZE[1] as f64, HEIGHT_M / GSD_M);
        let rotation = rotation_of(&Attitude { yaw_deg: 0.0, pitch_deg: -90.0, roll_deg: 0.0 });
        let photos = places.iter().map(|[east, north]| {
            AdjustedPhoto::at(Exterior { rotation, centre: Vector3::new(*east, *north, HEIGHT_M) })
        });
        let block = Block { cameras: vec![AdjustedCamera::held(lens)], photos: photos.collect(), ..Block::default() };
        let views = views_of(&block, 0.0);
        let photos = views.iter().map(|view| render(view, &colour)).collect();
        let extent = super::orthorectify::union(views.iter().map(|view| view.extent));
        let plane: Vec<Vector3<f64>> = (0..400)
            .map(|i| (f64::from(i % 20) / 19.0, f64::from(i / 20) / 19.0))
            .map(|(x, y)| {
                let along = |low: f64, high: f64, share: f64| low + share * (high - low);
                Vector3::new(along(extent[0], extent[2], x), along(extent[1], extent[3], y), 0.0)
            })
            .collect();
        let surface = Surface::from_points(&plane, extent, HEIGHT_M, GSD_M).expect("a plane is a surface");
        Self { block, views, photos, surface }
    }
}

fn render(view: &View, colour: &impl Fn(&Look) -> [f64; 3]) -> Rgb8 {
    let mut photo = Rgb8::new(SIZE[0], SIZE[1]);
    for (index, pixel) in photo.data.chunks_exact_mut(3).enumerate() {
        let at = Vector2::new((index % SIZE[0]) as f64 + 0.5, (index / SIZE[0]) as f64 + 0.5);
        let ray = view.exterior.ray(&view.camera.unproject(&at));
        let ground = view.exterior.centre - ray * (view.exterior.centre.z / ray.z);
        let r2 = super::exposure::corner_distance_squared(&view.camera, at.into());
        let seen = colour(&Look { photo: view.photo, east: ground.x, north: ground.y, r2 });
        pixel.copy_from_slice(&seen.map(|value| value.round().clamp(0.0, 255.0) as u8));
    }
    photo
}
