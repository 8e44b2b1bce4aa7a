//! From pixels to the ground and back.

use super::{Bbox, Error, Result};

/// The affine map from pixel to ground, in GDAL's order:
/// `x = g[0] + col * g[1] + row * g[2]`, `y = g[3] + col * g[4] + row * g[5]`.
///
/// Pixel (0, 0) is the top-left corner of the top-left pixel; its centre is (0.5, 0.5). STAC's
/// `proj:transform` lists the same numbers in another order; only this type knows that.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GeoTransform([f64; 6]);

impl GeoTransform {
    /// Takes the six numbers in GDAL's order.
    pub const fn from_gdal(coefficients: [f64; 6]) -> Self {
        Self(coefficients)
    }

    /// Returns the map of a raster with north up and square pixels whose top-left corner is at `origin` (`[x, y]`).
    pub const fn north_up(origin: [f64; 2], gsd_m: f64) -> Self {
        Self([origin[0], gsd_m, 0.0, origin[1], 0.0, -gsd_m])
    }

    /// Returns the six numbers in GDAL's order.
    pub const fn gdal(&self) -> [f64; 6] {
        self.0
    }

    /// Returns the six numbers in the order of STAC's `proj:transform` (and of `affine` and rasterio).
    pub const fn stac(&self) -> [f64; 6] {
        let g = self.0;
        [g[1], g[2], g[0], g[4], g[5], g[3]]
    }

    /// Returns the ground position `[x, y]` of a pixel position `[column, row]`.
    pub fn pixel_to_ground(&self, [col, row]: [f64; 2]) -> [f64; 2] {
        let g = &self.0;
        [g[0] + col * g[1] + row * g[2], g[3] + col * g[4] + row * g[5]]
    }

    /// Returns the pixel position `[column, row]` of a ground position `[x, y]`.
    ///
    /// # Errors
    /// [`Error::DegenerateGeoTransform`] when pixels have no area.
    pub fn ground_to_pixel(&self, [x, y]: [f64; 2]) -> Result<[f64; 2]> {
        let g = &self.0;
        let determinant = g[1] * g[5] - g[2] * g[4];
        if determinant == 0.0 || !determinant.is_finite() {
            return Err(Error::DegenerateGeoTransform(self.0));
        }
        let (dx, dy) = (x - g[0], y - g[3]);
        Ok([(dx * g[5] - dy * g[2]) / determinant, (dy * g[1] - dx * g[4]) / determinant])
    }

    /// Returns the side of a square with the area of one pixel, in units of the ground.
    pub fn pixel_size(&self) -> f64 {
        let g = &self.0;
        (g[1] * g[5] - g[2] * g[4]).abs().sqrt()
    }

    /// Returns the corners of a raster of `width × height` pixels as a closed ring, counter-clockwise on the
    /// ground for a raster with north up: top-left, bottom-left, bottom-right, top-right, top-left.
    pub fn outline(&self, [width, height]: [usize; 2]) -> [[f64; 2]; 5] {
        let (w, h) = (width as f64, height as f64);
        [[0.0, 0.0], [0.0, h], [w, h], [w, 0.0], [0.0, 0.0]].map(|pixel| self.pixel_to_ground(pixel))
    }

    /// Returns the box of a raster of `width × height` pixels, in ground units.
    ///
    /// # Panics
    /// Never: an outline has points.
    pub fn bounds(&self, size: [usize; 2]) -> Bbox {
        Bbox::of(self.outline(size)).expect("an outline has five points")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_come_back_from_the_ground_when_rotated() {
        let transform = GeoTransform::from_gdal([100.0, 0.3, 0.1, 200.0, 0.2, -0.4]);
        let ground = transform.pixel_to_ground([12.5, 7.25]);
        let pixel = transform.ground_to_pixel(ground).unwrap();
        assert!((pixel[0] - 12.5).abs() < 1e-9 && (pixel[1] - 7.25).abs() < 1e-9);
    }

    #[test]
    fn stac_lists_the_pixel_size_first() {
        assert_eq!(GeoTransform::north_up([10.0, 20.0], 0.5).stac(), [0.5, 0.0, 10.0, 0.0, -0.5, 20.0]);
    }

    #[test]
    fn a_flat_transform_is_refused() {
        assert!(GeoTransform::from_gdal([0.0, 1.0, 1.0, 0.0, 1.0, 1.0]).ground_to_pixel([0.0, 0.0]).is_err());
    }
}
