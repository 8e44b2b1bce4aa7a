//! Extrema of the difference of Gaussians, placed to a fraction of a pixel.

use nalgebra::{Matrix3, Vector3};

use super::{
    peaks::Peaks,
    pyramid::{LAYERS, Octave, scale_of_layer},
};

/// Extrema nearer to the frame than this have no whole neighbourhood.
const BORDER: usize = 5;
/// Lowe's limit on the ratio of the principal curvatures: beyond it the point slides along an edge.
const EDGE_RATIO: f32 = 10.0;

/// A place and scale where the difference of Gaussians peaks.
#[derive(Clone, Copy, Debug)]
pub struct Extremum {
    pub octave: usize,
    pub layer: usize,
    /// Pixel centres of the octave at whole numbers.
    pub x: f32,
    pub y: f32,
    /// The layer with its fraction.
    pub fine_layer: f32,
    pub response: f32,
}

impl Extremum {
    /// Pixel centres of the pyramid's first image at whole numbers.
    pub fn base_xy(&self) -> [f64; 2] {
        let scale = f64::from(1u32 << self.octave);
        [f64::from(self.x) * scale, f64::from(self.y) * scale]
    }

    /// The blur in pixels of its octave.
    pub fn octave_scale(&self) -> f32 {
        scale_of_layer(self.fine_layer)
    }

    /// The blur in pixels of the pyramid's first image.
    pub fn base_scale(&self) -> f32 {
        self.octave_scale() * (1u32 << self.octave) as f32
    }
}

/// Adds the extrema of an octave whose contrast exceeds `contrast` (a fraction of full white).
pub fn find_extrema(octave: &Octave, contrast: f32, found: &mut Vec<Extremum>) {
    let difference = Difference { octave, width: octave.gaussians[0].width };
    let height = octave.gaussians[0].height;
    let threshold = contrast * 255.0;
    let mut by_layer: [Vec<Extremum>; LAYERS] = Default::default();
    let mut peaks = Peaks::new(octave);
    for y in BORDER..height.saturating_sub(BORDER) {
        // Half the threshold, as the fitted peak is higher than the pixel's value.
        peaks.look_at(y, 0.5 * threshold, |layer, x| {
            if (BORDER..difference.width - BORDER).contains(&x)
                && let Some(extremum) = difference.refined(layer, x, y, height, threshold)
            {
                by_layer[layer - 1].push(extremum);
            }
        });
    }
    found.extend(by_layer.into_iter().flatten());
}

/// The differences of neighbouring Gaussians, taken when they are asked for: storing them would double the memory.
struct Difference<'a> {
    octave: &'a Octave,
    width: usize,
}

impl Difference<'_> {
    #[inline]
    fn at(&self, layer: usize, index: usize) -> f32 {
        self.octave.gaussians[layer + 1].data[index] - self.octave.gaussians[layer].data[index]
    }

    /// Fits a parabola in x, y and scale (Lowe 2004, section 4) and drops edges and weak peaks.
    fn refined(&self, layer: usize, x: usize, y: usize, height: usize, threshold: f32) -> Option<Extremum> {
        let (mut layer, mut x, mut y) = (layer, x, y);
        for _ in 0..5 {
            let (gradient, hessian) = self.derivatives(layer, y * self.width + x);
            let offset = -(hessian.try_inverse()? * gradient);
            if offset.amax() < 0.5 {
                let value = self.at(layer, y * self.width + x) + 0.5 * gradient.dot(&offset);
                let trace = hessian.m11 + hessian.m22;
                let determinant = hessian.m11 * hessian.m22 - hessian.m12 * hessian.m12;
                let on_edge = trace * trace * EDGE_RATIO >= (EDGE_RATIO + 1.0) * (EDGE_RATIO + 1.0) * determinant;
                if value.abs() < threshold || determinant <= 0.0 || on_edge {
                    return None;
                }
                return Some(Extremum {
                    octave: self.octave.index,
                    layer,
                    x: x as f32 + offset.x,
                    y: y as f32 + offset.y,
                    fine_layer: layer as f32 + offset.z,
                    response: value.abs(),
                });
            }
            let moved = |from: usize, by: f32| from.checked_add_signed(by.round().clamp(-4.0, 4.0) as isize);
            (x, y, layer) = (moved(x, offset.x)?, moved(y, offset.y)?, moved(layer, offset.z)?);
            let inside = (BORDER..self.width - BORDER).contains(&x)
                && (BORDER..height - BORDER).contains(&y)
                && (1..=LAYERS).contains(&layer);
            if !inside {
                return None;
            }
        }
        None
    }

    fn derivatives(&self, layer: usize, at: usize) -> (Vector3<f32>, Matrix3<f32>) {
        let w = self.width;
        let d = |ds: isize, index: usize| self.at(layer.saturating_add_signed(ds), index);
        let centre = d(0, at);
        let gradient = Vector3::new(
            0.5 * (d(0, at + 1) - d(0, at - 1)),
            0.5 * (d(0, at + w) - d(0, at - w)),
            0.5 * (d(1, at) - d(-1, at)),
        );
        let xx = d(0, at + 1) + d(0, at - 1) - 2.0 * centre;
        let yy = d(0, at + w) + d(0, at - w) - 2.0 * centre;
        let ss = d(1, at) + d(-1, at) - 2.0 * centre;
        let xy = 0.25 * (d(0, at + w + 1) - d(0, at + w - 1) - d(0, at - w + 1) + d(0, at - w - 1));
        let xs = 0.25 * (d(1, at + 1) - d(1, at - 1) - d(-1, at + 1) + d(-1, at - 1));
        let ys = 0.25 * (d(1, at + w) - d(1, at - w) - d(-1, at + w) + d(-1, at - w));
        (gradient, Matrix3::new(xx, xy, xs, xy, yy, ys, xs, ys, ss))
    }
}
