//! Ground sampling distance.

/// Returns the ground sampling distance at nadir, in metres per pixel, of a camera with square pixels.
///
/// `height_m` is the height above ground, not above sea level; `focal_px` the focal length in pixels.
pub fn gsd_m(focal_px: f64, height_m: f64) -> f64 {
    height_m / focal_px
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forty_metres_with_a_thousand_pixels_is_four_centimetres() {
        assert!((gsd_m(1000.0, 40.0) - 0.04).abs() < 1e-12);
    }
}
