//! From a pixel of the orthophoto to the ground and from the ground to a pixel of a photo.
//!
//! Invariant: this module never decides *where* a camera was. It trusts the adjustment completely.

use nalgebra::{Vector2, Vector3};

use super::{
    bundle::Block,
    camera::{Camera, Exterior, in_frame},
    error::{Error, Result},
    photos::{Flight, median},
    surface::{Extent, Surface},
};
use crate::{
    raster::Rgb8,
    spatial::{Crs, GeoTransform, Projection},
};

/// The orthophoto's pixels: how many, where, how large.
#[derive(Clone, Copy, Debug)]
pub struct Grid {
    pub crs: Crs,
    pub transform: GeoTransform,
    pub size: [usize; 2],
}

/// No side of an orthophoto is longer than this: photos placed wrongly would ask for terabytes.
const LONGEST_SIDE: usize = 400_000;
/// Relief shifts what a photo sees by up to this share of what it sees on level ground.
const EXTENT_MARGIN: f64 = 0.15;
/// Coordinates are converted on a lattice of this many pixels and interpolated: 1e-4 pixel at any useful GSD.
const LATTICE: usize = 32;

/// A photo as the rectifier needs it.
#[derive(Clone, Copy, Debug)]
pub struct View {
    pub photo: usize,
    pub exterior: Exterior,
    /// How far the camera flew while the photo was read out, metres; zero with a global shutter.
    pub motion: Vector3<f64>,
    pub camera: Camera,
    pub camera_index: usize,
    /// The ground it sees, with a margin for relief.
    pub extent: Extent,
}

impl View {
    /// Where the photo shows a ground point; `None` outside its frame.
    pub fn see(&self, point: &Vector3<f64>) -> Option<Vector2<f64>> {
        in_frame(&self.camera, &self.exterior, &self.motion, point).filter(|pixel| self.camera.contains(pixel))
    }

    /// Whether a point is near enough to the ground that the photo sees to be worth a closer look.
    pub fn may_see(&self, point: &Vector3<f64>) -> bool {
        self.may_touch(&[point.x, point.y, point.x, point.y])
    }

    /// The same for any point of a box on the ground.
    pub fn may_touch(&self, ground: &Extent) -> bool {
        let [west, south, east, north] = self.extent;
        let margin = EXTENT_MARGIN * (east - west).max(north - south);
        ground[2] > west - margin
            && ground[0] < east + margin
            && ground[3] > south - margin
            && ground[1] < north + margin
    }

    /// How slanted the photo sees a point: the tangent of the angle to the vertical.
    pub fn slant(&self, point: &Vector3<f64>) -> f64 {
        let down = self.exterior.centre - point;
        down.xy().norm() / down.z.max(1e-3)
    }
}

/// The views of a block over ground at about `ground_m`.
pub fn views_of(block: &Block, ground_m: f64) -> Vec<View> {
    block
        .photos
        .iter()
        .enumerate()
        .map(|(photo, adjusted)| {
            let camera = block.cameras[adjusted.camera].camera;
            let extent = extent_of(&camera, &adjusted.exterior, ground_m);
            let motion = block.motion(adjusted);
            View { photo, exterior: adjusted.exterior, motion, camera, camera_index: adjusted.camera, extent }
        })
        .collect()
}

/// The box around the ground that a photo sees, from points along its frame.
fn extent_of(camera: &Camera, exterior: &Exterior, ground_m: f64) -> Extent {
    let mut extent = [f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY];
    for step in 0..=8 {
        let (x, y) = (f64::from(step) / 8.0 * camera.width_px, f64::from(step) / 8.0 * camera.height_px);
        for pixel in [[x, 0.0], [x, camera.height_px], [0.0, y], [camera.width_px, y]] {
            let ray = exterior.ray(&camera.unproject(&Vector2::from(pixel)));
            let reach = (exterior.centre.z - ground_m) / -ray.z.min(-0.2 * ray.norm());
            let ground = exterior.centre + ray * reach;
            extent =
                [extent[0].min(ground.x), extent[1].min(ground.y), extent[2].max(ground.x), extent[3].max(ground.y)];
        }
    }
    extent
}

/// The box around boxes.
pub fn union(extents: impl Iterator<Item = Extent>) -> Extent {
    extents.fold([f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY], |a, b| {
        [a[0].min(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].max(b[3])]
    })
}

/// The median ground sampling distance of the photos at nadir, metres per pixel.
pub fn native_gsd_m(block: &Block, ground_m: f64) -> Option<f64> {
    median(
        block
            .photos
            .iter()
            .map(|photo| (photo.exterior.centre.z - ground_m) / block.cameras[photo.camera].camera.focal_px),
    )
}

impl Grid {
    /// The grid that covers an extent of the local frame, its corner on a whole number of pixels.
    ///
    /// # Errors
    /// [`Error::TooLarge`]; [`Error::Spatial`] when the place lies outside the coordinate system.
    pub fn covering(flight: &Flight, extent: Extent, ground_m: f64, crs: Crs, gsd_m: f64) -> Result<Self> {
        let to_crs = Projection::new(Crs::WGS84, crs)?;
        let mut outline = Vec::new();
        for step in 0..=16 {
            let along = |low: f64, high: f64| low + f64::from(step) / 16.0 * (high - low);
            let (east, north) = (along(extent[0], extent[2]), along(extent[1], extent[3]));
            for [e, n] in [[east, extent[1]], [east, extent[3]], [extent[0], north], [extent[2], north]] {
                let [lon, lat, _] = flight.frame.to_lonlat([e, n, ground_m]);
                outline.push([lon, lat]);
            }
        }
        to_crs.forward_many(&mut outline)?;
        let step = gsd_m * units_per_metre(flight, &to_crs, ground_m)?;
        let bounds = union(outline.iter().map(|p| [p[0], p[1], p[0], p[1]]));
        let (west, north) = ((bounds[0] / step).floor() * step, (bounds[3] / step).ceil() * step);
        let size = [((bounds[2] - west) / step).ceil() as usize, ((north - bounds[1]) / step).ceil() as usize];
        if size[0] > LONGEST_SIDE || size[1] > LONGEST_SIDE {
            return Err(Error::TooLarge { width: size[0], height: size[1], gsd_m });
        }
        Ok(Self { crs, transform: GeoTransform::north_up([west, north], step), size })
    }

    /// East and north of the pixel centres of a window, on a lattice.
    ///
    /// # Errors
    /// [`Error::Spatial`] when the coordinate system cannot be left.
    pub fn lattice(
        &self,
        flight: &Flight,
        to_lonlat: &Projection,
        at: [usize; 2],
        size: [usize; 2],
        ground_m: f64,
    ) -> Result<Lattice> {
        let columns = size[0].div_ceil(LATTICE) + 1;
        let rows = size[1].div_ceil(LATTICE) + 1;
        let mut nodes = Vec::with_capacity(columns * rows);
        for row in 0..rows {
            for column in 0..columns {
                let pixel = [(at[0] + column * LATTICE) as f64, (at[1] + row * LATTICE) as f64];
                nodes.push(self.transform.pixel_to_ground(pixel));
            }
        }
        to_lonlat.forward_many(&mut nodes)?;
        let origin_height = flight.origin[2];
        for node in &mut nodes {
            let [east, north, _] = flight.frame.to_enu([node[0], node[1], origin_height + ground_m]);
            *node = [east, north];
        }
        Ok(Lattice { columns, nodes })
    }
}

/// How many units of the projected system are a metre on the ground at the flight: 1 but for the scale factor.
///
/// Systems in metres keep their metre, so that a GSD of 2 cm is 2 cm of the grid; degrees are converted.
fn units_per_metre(flight: &Flight, to_crs: &Projection, ground_m: f64) -> Result<f64> {
    let [lon, lat, _] = flight.frame.to_lonlat([0.0, 0.0, ground_m]);
    let [lon_east, lat_east, _] = flight.frame.to_lonlat([100.0, 0.0, ground_m]);
    let (a, b) = (to_crs.forward([lon, lat])?, to_crs.forward([lon_east, lat_east])?);
    let units = (a[0] - b[0]).hypot(a[1] - b[1]) / 100.0;
    Ok(if (0.9..1.1).contains(&units) { 1.0 } else { units })
}

/// Ground coordinates of a window's pixels, interpolated.
pub struct Lattice {
    columns: usize,
    nodes: Vec<[f64; 2]>,
}

impl Lattice {
    /// East and north of a place given in pixels of the window, (0, 0) its corner.
    pub fn ground(&self, x: f64, y: f64) -> [f64; 2] {
        let (u, v) = (x / LATTICE as f64, y / LATTICE as f64);
        let (column, row) = (u as usize, v as usize);
        let (fx, fy) = (u - column as f64, v - row as f64);
        let node = |r: usize, c: usize| self.nodes[(r * self.columns + c).min(self.nodes.len() - 1)];
        let (a, b, c, d) = (node(row, column), node(row, column + 1), node(row + 1, column), node(row + 1, column + 1));
        std::array::from_fn(|i| (a[i] * (1.0 - fx) + b[i] * fx) * (1.0 - fy) + (c[i] * (1.0 - fx) + d[i] * fx) * fy)
    }
}

/// The ground point of a place of the window: plan by the lattice, height by the surface.
pub fn ground_point(lattice: &Lattice, surface: &Surface, x: f64, y: f64) -> Vector3<f64> {
    let [east, north] = lattice.ground(x, y);
    Vector3::new(east, north, surface.height_at(east, north))
}

/// The colour of a photo between its pixels: Catmull and Rom's cubic, the border repeated outside.
pub fn sample_bicubic(photo: &Rgb8, pixel: &Vector2<f64>) -> [f32; 3] {
    let (x, y) = (pixel.x - 0.5, pixel.y - 0.5);
    let (x0, y0) = (x.floor(), y.floor());
    let (wx, wy) = (cubic_weights((x - x0) as f32), cubic_weights((y - y0) as f32));
    let (last_column, last_row) = (photo.width as isize - 1, photo.height as isize - 1);
    let (x0, y0) = (x0 as isize - 1, y0 as isize - 1);
    let mut sum = [0.0f32; 3];
    for (j, weight_y) in wy.iter().enumerate() {
        let row = (y0 + j as isize).clamp(0, last_row) as usize * photo.width;
        let mut line = [0.0f32; 3];
        for (i, weight_x) in wx.iter().enumerate() {
            let at = 3 * (row + (x0 + i as isize).clamp(0, last_column) as usize);
            for (channel, value) in line.iter_mut().enumerate() {
                *value += weight_x * f32::from(photo.data[at + channel]);
            }
        }
        for (total, value) in sum.iter_mut().zip(line) {
            *total += weight_y * value;
        }
    }
    sum
}

fn cubic_weights(t: f32) -> [f32; 4] {
    let (t2, t3) = (t * t, t * t * t);
    [0.5 * (-t3 + 2.0 * t2 - t), 0.5 * (3.0 * t3 - 5.0 * t2 + 2.0), 0.5 * (-3.0 * t3 + 4.0 * t2 + t), 0.5 * (t3 - t2)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pixel_centre_has_the_pixels_own_colour() {
        let mut photo = Rgb8::new(8, 8);
        for (index, value) in photo.data.iter_mut().enumerate() {
            *value = (index * 7 % 251) as u8;
        }
        let colour = sample_bicubic(&photo, &Vector2::new(3.5, 5.5));
        assert_eq!(colour.map(|v| v.round() as u8), photo.pixel(3, 5));
    }

    #[test]
    fn a_ramp_stays_a_ramp_between_pixels() {
        let mut photo = Rgb8::new(16, 16);
        for (index, value) in photo.data.iter_mut().enumerate() {
            *value = (index / 3 % 16 * 10) as u8;
        }
        assert!((sample_bicubic(&photo, &Vector2::new(7.8, 8.0))[0] - 73.0).abs() < 1e-3);
    }
}
