//! The ground that an orthophoto covers: the convex hull of its valid pixels.

use geo::{ConvexHull as _, MultiPoint, Point};

use super::Result;
use crate::{
    catalog::Grid,
    raster::Rgba8,
    spatial::{Crs, Projection},
};

/// Returns the hull of the valid pixels of an overview as a closed ring of longitude and latitude, counter-clockwise.
///
/// An orthophoto without a single valid pixel covers its whole grid, so that it can be found and looked at.
pub(super) fn covered_ground(overview: &Rgba8, grid: &Grid) -> Result<Vec<[f64; 2]>> {
    let scale = [grid.size[0] as f64 / overview.width as f64, grid.size[1] as f64 / overview.height as f64];
    let mut corners = Vec::new();
    for y in 0..overview.height {
        let valid = |x: &usize| overview.data[(y * overview.width + x) * 4 + 3] > 0;
        // Only the ends of a row can be on the hull.
        let ends = [(0..overview.width).find(valid), (0..overview.width).rfind(valid).map(|x| x + 1)];
        for x in ends.into_iter().flatten() {
            for row in [y, y + 1] {
                corners.push([x as f64 * scale[0], row as f64 * scale[1]]);
            }
        }
    }
    if corners.is_empty() {
        return super::ingest::outline(grid);
    }
    let ground = corners.into_iter().map(|pixel| Point::from(grid.transform.pixel_to_ground(pixel)));
    let hull = ground.collect::<MultiPoint>().convex_hull();
    let mut ring: Vec<[f64; 2]> = hull.exterior().coords().map(|c| [c.x, c.y]).collect();
    Projection::new(grid.crs, Crs::WGS84)?.forward_many(&mut ring)?;
    Ok(ring)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spatial::GeoTransform;

    #[test]
    fn the_footprint_is_around_the_valid_pixels_alone() {
        let transform = GeoTransform::north_up([500_000.0, 5_700_000.0], 1.0);
        let grid = Grid { crs: Crs::from_epsg(32631), transform, size: [100, 100] };
        let mut overview = Rgba8::new(10, 10);
        for (x, y) in [(2, 3), (4, 3), (2, 6), (4, 6)] {
            overview.data[(y * 10 + x) * 4 + 3] = 255;
        }
        let ring = covered_ground(&overview, &grid).unwrap();
        let back = Projection::new(Crs::WGS84, grid.crs).unwrap();
        let xs: Vec<f64> = ring.iter().map(|p| back.forward(*p).unwrap()[0] - 500_000.0).collect();
        let (west, east) = (xs.iter().copied().fold(f64::MAX, f64::min), xs.iter().copied().fold(f64::MIN, f64::max));
        assert!((west - 20.0).abs() < 1e-3 && (east - 50.0).abs() < 1e-3, "{xs:?}");
        assert_eq!(ring.first(), ring.last());
    }
}
