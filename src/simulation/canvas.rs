//! A part of the landscape made once, finely, so that many photos can be taken of it.

use rayon::prelude::*;

use super::landscape::{Landscape, Material, to_bytes};

/// Heights, colours and materials on a square grid of points, which may be turned.
///
/// Eight bytes a point. Point (0, 0) lies at `origin`; columns run along `axis`, rows to the right of it.
pub(crate) struct Canvas {
    origin: [f64; 2],
    /// Unit vector along the columns, east and north.
    axis: [f64; 2],
    pub cell: f64,
    pub width: usize,
    pub height: usize,
    pub heights: Vec<f32>,
    colours: Vec<[u8; 3]>,
    materials: Vec<Material>,
}

/// Where a canvas lies: its first point, its direction, its size in points of `cell` metres.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub origin: [f64; 2],
    pub axis: [f64; 2],
    pub cell: f64,
    pub width: usize,
    pub height: usize,
}

impl Frame {
    /// Returns the place of a point, east and north.
    fn place(&self, column: f64, row: f64) -> [f64; 2] {
        let (x, y) = (column * self.cell, row * self.cell);
        [self.origin[0] + x * self.axis[0] + y * self.axis[1], self.origin[1] + x * self.axis[1] - y * self.axis[0]]
    }
}

impl Canvas {
    /// Makes the part of a landscape that a frame describes, on all threads.
    pub(crate) fn of(landscape: &Landscape, frame: Frame) -> Self {
        let (width, height) = (frame.width, frame.height);
        let mut heights = vec![0.0_f32; width * height];
        let mut colours = vec![[0_u8; 3]; width * height];
        let mut materials = vec![Material::Ground; width * height];
        let rows =
            heights.par_chunks_mut(width).zip(colours.par_chunks_mut(width)).zip(materials.par_chunks_mut(width));
        rows.enumerate().for_each(|(row, ((heights, colours), materials))| {
            for column in 0..width {
                let surface = landscape.surface(frame.place(column as f64, row as f64));
                heights[column] = surface.height;
                colours[column] = to_bytes(surface.colour);
                materials[column] = surface.material;
            }
        });
        let mut canvas = Self {
            origin: frame.origin,
            axis: frame.axis,
            cell: frame.cell,
            width,
            height,
            heights,
            colours,
            materials,
        };
        canvas.light(landscape, &frame);
        canvas
    }

    fn light(&mut self, landscape: &Landscape, frame: &Frame) {
        let (width, height) = (self.width, self.height);
        let (heights, materials, axis) = (&self.heights, &self.materials, self.axis);
        let double = 2.0 * self.cell as f32;
        self.colours.par_chunks_mut(width).enumerate().for_each(|(row, colours)| {
            let above = row.saturating_sub(1) * width;
            let below = (row + 1).min(height - 1) * width;
            for (column, colour) in colours.iter_mut().enumerate() {
                let (left, right) = (column.saturating_sub(1), (column + 1).min(width - 1));
                let at = row * width;
                let along = (heights[at + right] - heights[at + left]) / double;
                let across = (heights[above + column] - heights[below + column]) / double;
                let slope = [
                    along * axis[0] as f32 - across * axis[1] as f32,
                    along * axis[1] as f32 + across * axis[0] as f32,
                ];
                let i = at + column;
                let place = frame.place(column as f64, row as f64);
                let light = landscape.light(place, heights[i], slope, materials[i]);
                *colour = colour.map(|c| (f32::from(c) * light + 0.5) as u8);
            }
        });
    }

    /// Returns the column and row of a place, in points.
    pub(crate) fn position(&self, [e, n]: [f64; 2]) -> [f64; 2] {
        let (dx, dy) = (e - self.origin[0], n - self.origin[1]);
        [(dx * self.axis[0] + dy * self.axis[1]) / self.cell, (dx * self.axis[1] - dy * self.axis[0]) / self.cell]
    }

    /// Returns the place, east and north, of a position in points.
    pub(crate) fn place(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        let (x, y) = (x * self.cell, y * self.cell);
        [self.origin[0] + x * self.axis[0] + y * self.axis[1], self.origin[1] + x * self.axis[1] - y * self.axis[0]]
    }

    /// Returns the index of the point before a position and the share of the way to the next ones;
    /// nothing outside.
    fn locate(&self, [x, y]: [f64; 2]) -> Option<(usize, f32, f32)> {
        let inside = x >= 0.0 && y >= 0.0 && x < (self.width - 1) as f64 && y < (self.height - 1) as f64;
        inside.then(|| {
            let (column, row) = (x as usize, y as usize);
            (row * self.width + column, (x - column as f64) as f32, (y - row as f64) as f32)
        })
    }

    /// Returns the colour at a position in points, 0 to 255, interpolated.
    pub(crate) fn colour(&self, position: [f64; 2]) -> Option<[f32; 3]> {
        let (i, u, v) = self.locate(position)?;
        let corners = [i, i + 1, i + self.width, i + self.width + 1].map(|k| self.colours[k]);
        let weights = [(1.0 - u) * (1.0 - v), u * (1.0 - v), (1.0 - u) * v, u * v];
        Some(std::array::from_fn(|band| {
            corners.iter().zip(weights).map(|(corner, weight)| f32::from(corner[band]) * weight).sum()
        }))
    }

    /// Returns the height at a position in points, interpolated.
    pub(crate) fn height_at(&self, position: [f64; 2]) -> Option<f32> {
        let (i, u, v) = self.locate(position)?;
        let top = self.heights[i] * (1.0 - u) + self.heights[i + 1] * u;
        let bottom = self.heights[i + self.width] * (1.0 - u) + self.heights[i + self.width + 1] * u;
        Some(top * (1.0 - v) + bottom * v)
    }

    /// Returns the tallest of the four points around a position, and what it is made of.
    pub(crate) fn tallest(&self, position: [f64; 2]) -> Option<(f32, Material)> {
        let (i, _, _) = self.locate(position)?;
        let corners = [i, i + 1, i + self.width, i + self.width + 1];
        let tallest = corners.into_iter().max_by(|&a, &b| self.heights[a].total_cmp(&self.heights[b]))?;
        Some((self.heights[tallest], self.materials[tallest]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> Frame {
        Frame { origin: [-4.0, 6.0], axis: [0.8, 0.6], cell: 0.05, width: 60, height: 40 }
    }

    #[test]
    fn a_position_is_found_again_on_a_turned_canvas() {
        let canvas = Canvas::of(&Landscape::new(2, [40.0, 40.0]), frame());
        let [column, row] = canvas.position(frame().place(12.0, 31.0));
        assert!((column - 12.0).abs() < 1e-9 && (row - 31.0).abs() < 1e-9, "{column} {row}");
        assert_eq!(canvas.place([12.0, 31.0]), frame().place(12.0, 31.0));
    }

    /// The canvas differs from the landscape only by the step over which slopes are taken.
    #[test]
    fn a_canvas_shows_the_landscape() {
        let landscape = Landscape::new(2, [40.0, 40.0]);
        let canvas = Canvas::of(&landscape, Frame { cell: 0.02, ..frame() });
        for (column, row) in [(3.0, 5.0), (30.0, 20.0), (50.0, 33.0)] {
            let place = Frame { cell: 0.02, ..frame() }.place(column, row);
            let seen = canvas.colour([column, row]).unwrap();
            let expected = landscape.colour(place[0], place[1]);
            for band in 0..3 {
                assert!((seen[band] - f32::from(expected[band])).abs() < 14.0, "{seen:?} {expected:?}");
            }
            let height = f64::from(canvas.height_at([column, row]).unwrap());
            assert!((height - landscape.height(place[0], place[1])).abs() < 1e-4);
        }
    }
}
