//! Ground sampling distance.

#[cfg(feature = "gdal")]
use super::{Crs, GeoTransform, LocalFrame, Projection, Result};

/// Returns the ground sampling distance at nadir, in metres per pixel, of a camera with square pixels.
///
/// `height_m` is the height above ground, not above sea level; `focal_px` the focal length in pixels.
pub fn gsd_m(focal_px: f64, height_m: f64) -> f64 {
    height_m / focal_px
}

/// Returns the length of a pixel on the ground in metres, in the middle of a raster of `size` (width, height) pixels.
///
/// Measured, not read: a pixel of Web Mercator is shorter than it says, one in degrees is no metres at all.
///
/// # Errors
/// [`Error::UnknownCrs`](super::Error::UnknownCrs) and [`Error::Projection`](super::Error::Projection) when the
/// middle of the raster has no longitude and latitude.
#[cfg(feature = "gdal")]
pub fn ground_gsd_m(crs: Crs, transform: &GeoTransform, size: [usize; 2]) -> Result<f64> {
    let to_lonlat = Projection::new(crs, Crs::WGS84)?;
    let [x, y] = size.map(|side| side as f64 / 2.0);
    let lonlat = |pixel| -> Result<[f64; 3]> {
        let [lon, lat] = to_lonlat.forward(transform.pixel_to_ground(pixel))?;
        Ok([lon, lat, 0.0])
    };
    let frame = LocalFrame::at(lonlat([x, y])?);
    // Ten pixels, because one alone drowns in the rounding of degrees.
    let [east, north, _] = frame.to_enu(lonlat([x + 10.0, y])?);
    let [east2, north2, _] = frame.to_enu(lonlat([x, y + 10.0])?);
    Ok((east * north2 - east2 * north).abs().sqrt() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forty_metres_with_a_thousand_pixels_is_four_centimetres() {
        assert!((gsd_m(1000.0, 40.0) - 0.04).abs() < 1e-12);
    }
}
