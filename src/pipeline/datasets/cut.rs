//! Cuts an orthophoto into chips of which each lies in one cell of the ground.

use crate::{
    detection,
    pipeline::Result,
    raster::{Raster, Window},
    spatial::{Bbox, Cell, Cells, Crs, GeoTransform, Projection, ground_gsd_m},
};

/// A chip with less of its picture there than this teaches borders.
const COVERED: f64 = 0.25;
/// Side at which a chip is looked at to see whether it has a picture.
const GLANCE: usize = 16;

/// A chip that is about to go into a data set.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cut {
    /// Left, top, width and height in pixels of the raster.
    pub(super) window: [usize; 4],
    /// Width and height of the chip in pixels.
    pub(super) size: [usize; 2],
    pub(super) cell: Cell,
}

/// Returns the chips of a raster, of at most `side` pixels of `gsd_m` metres, cell by cell.
///
/// # Errors
/// [`Error::Raster`](crate::pipeline::Error::Raster) when it is not georeferenced or cannot be read.
pub(super) fn cut(raster: &Raster, cells: Cells, side: usize, gsd_m: f64) -> Result<Vec<Cut>> {
    let (crs, transform, size) = (raster.crs()?, raster.geo_transform()?, raster.size());
    let ratio = gsd_m / ground_gsd_m(crs, &transform, size)?;
    let from_lonlat = Projection::new(Crs::WGS84, crs)?;
    let mut cuts = Vec::new();
    for cell in cells.within(lonlat_bounds(crs, &transform, size)?) {
        let mut corners = cells.corners(cell);
        from_lonlat.forward_many(&mut corners)?;
        let mut pixels = [[0.0; 2]; 4];
        for (pixel, corner) in pixels.iter_mut().zip(corners) {
            *pixel = transform.ground_to_pixel(corner)?;
        }
        let Some([left, top, width, height]) = upright_within(pixels, size) else { continue };
        let extent = [width, height].map(|length| length.min((side as f64 * ratio).round().max(1.0) as usize));
        for place in detection::grid([width, height], extent, 0.0) {
            let Window { x, y, width, height } = place.window;
            let window = [left + x as usize, top + y as usize, width, height];
            if covered(raster, window)? >= COVERED {
                let size = [width, height].map(|length| ((length as f64 / ratio).round() as usize).max(1));
                cuts.push(Cut { window, size, cell });
            }
        }
    }
    Ok(cuts)
}

/// Returns the box of a raster in degrees; its outline is followed, for its sides may bend.
pub(super) fn lonlat_bounds(crs: Crs, transform: &GeoTransform, size: [usize; 2]) -> Result<Bbox> {
    let to_lonlat = Projection::new(crs, Crs::WGS84)?;
    let outline = transform.outline(size);
    let between = |pair: &[[f64; 2]]| {
        let (a, b) = (pair[0], pair[1]);
        (0..8).map(move |i| [0, 1].map(|axis| a[axis] + (b[axis] - a[axis]) * f64::from(i) / 8.0))
    };
    let mut points: Vec<[f64; 2]> = outline.windows(2).flat_map(between).collect();
    to_lonlat.forward_many(&mut points)?;
    Ok(Bbox::of(points).expect("an outline has points"))
}

/// Returns the largest upright square in the middle of a parallelogram (south-west, south-east, north-east, north-west
/// corner in pixels), cut at the raster's border: left, top, width, height. Nothing when less than a pixel is left.
fn upright_within(corners: [[f64; 2]; 4], size: [usize; 2]) -> Option<[usize; 4]> {
    let [sw, se, ne, nw] = corners;
    let axis =
        |a: [f64; 2], b: [f64; 2], c: [f64; 2], d: [f64; 2]| [0, 1].map(|i| f64::midpoint(b[i] - a[i], d[i] - c[i]));
    let (east, north) = (axis(sw, se, nw, ne), axis(sw, nw, se, ne));
    let determinant = east[0] * north[1] - east[1] * north[0];
    if determinant == 0.0 || !determinant.is_finite() {
        return None;
    }
    // A point at (±½, ±½) of the square of side t is at t / 2 · (|a| + |b|) along each side of the parallelogram.
    let along_east = (north[1].abs() + north[0].abs()) / determinant.abs();
    let along_north = (east[1].abs() + east[0].abs()) / determinant.abs();
    let half = 0.5 / along_east.max(along_north);
    let span = |i: usize| {
        let middle = (sw[i] + se[i] + ne[i] + nw[i]) / 4.0;
        let (from, to) = ((middle - half).ceil().max(0.0), (middle + half).floor().min(size[i] as f64));
        (to - from >= 1.0).then_some((from as usize, (to - from) as usize))
    };
    let ((left, width), (top, height)) = (span(0)?, span(1)?);
    Some([left, top, width, height])
}

/// Returns which part of a window has a picture.
fn covered(raster: &Raster, [left, top, width, height]: [usize; 4]) -> Result<f64> {
    let window = Window { x: left as isize, y: top as isize, width, height };
    let glance = raster.read_rgba(window, [GLANCE; 2])?;
    let seen = glance.data.chunks_exact(4).filter(|pixel| pixel[3] > 0).count();
    Ok(seen as f64 / (GLANCE * GLANCE) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_square_in_a_cell_is_the_cell_when_it_is_upright_and_smaller_when_it_is_turned() {
        let upright = [[100.0, 300.0], [300.0, 300.0], [300.0, 100.0], [100.0, 100.0]];
        assert_eq!(upright_within(upright, [1000, 1000]), Some([100, 100, 200, 200]));
        let turned = upright.map(|[x, y]| {
            let (s, c) = 30_f64.to_radians().sin_cos();
            [200.0 + c * (x - 200.0) - s * (y - 200.0), 200.0 + s * (x - 200.0) + c * (y - 200.0)]
        });
        let [left, top, width, height] = upright_within(turned, [1000, 1000]).unwrap();
        let side = 200.0 / (30_f64.to_radians().sin() + 30_f64.to_radians().cos());
        assert!(((width as f64) - side).abs() < 2.0 && width == height, "{width} {height} {side}");
        assert!(left.abs_diff(top) <= 1 && left.abs_diff((200.0 - side / 2.0) as usize) <= 1);
    }

    #[test]
    fn a_cell_beyond_the_raster_gives_nothing_and_one_at_its_border_what_is_on_it() {
        let cell = |x: f64| [[x, 200.0], [x + 100.0, 200.0], [x + 100.0, 100.0], [x, 100.0]];
        assert_eq!(upright_within(cell(-200.0), [500, 500]), None);
        assert_eq!(upright_within(cell(-40.0), [500, 150]), Some([0, 100, 60, 50]));
    }
}
