//! Puts what was seen on the ground.

use super::Seen;
use crate::spatial::GeoTransform;

/// Returns the shape as a closed ring (`[x, y]`, ground units), counter-clockwise; a box has five points.
///
/// Under a rotated geotransform the ring of a box is a rotated rectangle. The order of corners turns round where the
/// geotransform mirrors, as it does on a raster whose rows go north.
pub fn ring(seen: &Seen, transform: &GeoTransform) -> Vec<[f64; 2]> {
    let mut ring: Vec<_> = seen.corners().into_iter().map(|pixel| transform.pixel_to_ground(pixel)).collect();
    ring.extend(ring.first().copied());
    if twice_signed_area(&ring) < 0.0 {
        ring.reverse();
    }
    ring
}

/// Twice the area within a closed ring, positive when it runs counter-clockwise.
pub(super) fn twice_signed_area(ring: &[[f64; 2]]) -> f64 {
    // Measured from the first point: ground coordinates are millions, and their products would lose the centimetres.
    let [x, y] = ring[0];
    ring.windows(2).map(|p| (p[0][0] - x) * (p[1][1] - y) - (p[1][0] - x) * (p[0][1] - y)).sum()
}

#[cfg(test)]
mod tests {
    use super::{super::PixelBox, *};

    const BOX: PixelBox = PixelBox { left: 10.0, top: 20.0, right: 14.0, bottom: 30.0, class: 0, confidence: 1.0 };

    #[test]
    fn a_box_on_a_raster_with_north_up_is_where_its_pixels_are() {
        let ring = ring(&BOX.into(), &GeoTransform::north_up([1000.0, 2000.0], 0.5));
        assert_eq!(ring, [[1005.0, 1990.0], [1005.0, 1985.0], [1007.0, 1985.0], [1007.0, 1990.0], [1005.0, 1990.0]]);
    }

    #[test]
    fn rings_are_closed_counter_clockwise_and_keep_their_area_however_the_raster_lies() {
        let (sin, cos) = 0.7_f64.sin_cos();
        for coefficients in [
            [5e5, 0.5, 0.0, 5.7e6, 0.0, -0.5],
            [5e5, 0.5, 0.0, 5.7e6, 0.0, 0.5],
            [5e5, 0.5 * cos, 0.5 * sin, 5.7e6, 0.5 * sin, -0.5 * cos],
        ] {
            let ring = ring(&BOX.into(), &GeoTransform::from_gdal(coefficients));
            assert_eq!(ring.first(), ring.last());
            assert!((twice_signed_area(&ring) - 2.0 * 40.0 * 0.25).abs() < 1e-6, "{ring:?}");
        }
    }

    #[test]
    fn a_rotated_raster_turns_the_box() {
        // Columns go north, rows go east: a quarter turn.
        let ring = ring(&BOX.into(), &GeoTransform::from_gdal([100.0, 0.0, 1.0, 200.0, 1.0, 0.0]));
        assert!(ring.contains(&[120.0, 210.0]) && ring.contains(&[130.0, 214.0]), "{ring:?}");
    }
}
