//! Blurs a photo step by step and halves it after every doubling of the scale.
//!
//! The blur is separable and symmetric. Its two inner loops are plain slices, compiled once for every machine
//! and once for AVX2, chosen when the program runs; both do the same additions in the same order.

use super::super::dispatch::dispatched;
use crate::raster::Rgb8;

/// Scales per octave at which extrema are looked for (Lowe 2004, section 3.2).
pub const LAYERS: usize = 3;
/// The scale of the first image of an octave.
const FIRST_SCALE: f32 = 1.6;
/// An octave smaller than this holds no extremum with its whole neighbourhood inside.
const SMALLEST_SIDE: usize = 24;

/// One channel, row-major, 0–255.
#[derive(Clone, Debug, PartialEq)]
pub struct Gray {
    pub width: usize,
    pub height: usize,
    pub data: Vec<f32>,
}

impl Gray {
    /// The luma of a photo (BT.601), averaged over `shrink × shrink` pixels.
    pub fn of_photo(photo: &Rgb8, shrink: usize) -> Self {
        let (width, height) = (photo.width / shrink, photo.height / shrink);
        let mut data = vec![0.0f32; width * height];
        let scale = 1.0 / (shrink * shrink) as f32;
        for (y, out) in data.chunks_exact_mut(width.max(1)).enumerate() {
            for sub in 0..shrink {
                let start = 3 * (y * shrink + sub) * photo.width;
                let row = &photo.data[start..start + 3 * photo.width];
                for (value, block) in out.iter_mut().zip(row.chunks_exact(3 * shrink)) {
                    for rgb in block.chunks_exact(3) {
                        *value += 0.299 * f32::from(rgb[0]) + 0.587 * f32::from(rgb[1]) + 0.114 * f32::from(rgb[2]);
                    }
                }
            }
            for value in out.iter_mut() {
                *value *= scale;
            }
        }
        Self { width, height, data }
    }

    /// Twice the size, linear; the top-left corner stays where it is.
    pub fn doubled(&self) -> Self {
        let (width, height) = (2 * self.width, 2 * self.height);
        let mut data = vec![0.0f32; width * height];
        let mut wide = vec![[0.0f32; 2]; self.width];
        for (y, out) in data.chunks_exact_mut(width).enumerate() {
            let near = self.row(y / 2);
            let far = self.row(if y % 2 == 0 { (y / 2).saturating_sub(1) } else { (y / 2 + 1).min(self.height - 1) });
            for (x, pair) in wide.iter_mut().enumerate() {
                let (left, right) = (x.saturating_sub(1), (x + 1).min(self.width - 1));
                let mix = |at: usize| 0.75 * near[at] + 0.25 * far[at];
                *pair = [0.75 * mix(x) + 0.25 * mix(left), 0.75 * mix(x) + 0.25 * mix(right)];
            }
            out.copy_from_slice(wide.as_flattened());
        }
        Self { width, height, data }
    }

    pub fn row(&self, y: usize) -> &[f32] {
        &self.data[y * self.width..(y + 1) * self.width]
    }

    /// Every second pixel of every second row.
    fn halved(&self) -> Self {
        let (width, height) = (self.width / 2, self.height / 2);
        let mut data = Vec::with_capacity(width * height);
        for y in 0..height {
            data.extend(self.row(2 * y).iter().step_by(2).take(width));
        }
        Self { width, height, data }
    }

    /// Convolved with a Gaussian; the frame's last pixel is repeated outside.
    pub fn blurred(&self, sigma: f32) -> Self {
        let kernel = half_kernel(sigma);
        let radius = kernel.len() - 1;
        let mut out = Self { width: self.width, height: self.height, data: vec![0.0; self.data.len()] };
        // A ring of rows blurred along x, so that every row is read and written once.
        let mut ring = vec![vec![0.0f32; self.width]; 2 * radius + 1];
        let mut padded = vec![0.0f32; self.width + 2 * radius];
        let mut filled = 0;
        for y in 0..self.height {
            let last = (y + radius).min(self.height - 1);
            while filled <= last {
                pad_row(self.row(filled), radius, &mut padded);
                let slot = filled % ring.len();
                blur_along_row(&padded, &kernel, &mut ring[slot]);
                filled += 1;
            }
            let row_at = |offset: isize| {
                let source = (y as isize + offset).clamp(0, self.height as isize - 1) as usize;
                ring[source % ring.len()].as_slice()
            };
            let target = &mut out.data[y * self.width..(y + 1) * self.width];
            scale_row(row_at(0), kernel[0], target);
            for (step, weight) in kernel.iter().enumerate().skip(1) {
                add_rows(row_at(-(step as isize)), row_at(step as isize), *weight, target);
            }
        }
        out
    }
}

/// The centre and one side of a normalised Gaussian, three sigma long.
fn half_kernel(sigma: f32) -> Vec<f32> {
    let radius = (3.0 * sigma).ceil().max(1.0) as usize;
    let mut kernel: Vec<f32> = (0..=radius).map(|i| (-((i * i) as f32) / (2.0 * sigma * sigma)).exp()).collect();
    let sum = kernel[0] + 2.0 * kernel[1..].iter().sum::<f32>();
    for weight in &mut kernel {
        *weight /= sum;
    }
    kernel
}

fn pad_row(row: &[f32], radius: usize, padded: &mut [f32]) {
    padded[..radius].fill(row[0]);
    padded[radius..radius + row.len()].copy_from_slice(row);
    padded[radius + row.len()..].fill(row[row.len() - 1]);
}

dispatched! {
    /// Blurs one padded row; `out` is as long as the row without its padding.
    fn blur_along_row(padded: &[f32], kernel: &[f32], out: &mut [f32]) {
        let radius = kernel.len() - 1;
        let width = out.len();
        let centre = &padded[radius..radius + width];
        for (o, c) in out.iter_mut().zip(centre) {
            *o = kernel[0] * c;
        }
        for (step, &weight) in kernel.iter().enumerate().skip(1) {
            let left = &padded[radius - step..radius - step + width];
            let right = &padded[radius + step..radius + step + width];
            for ((o, l), r) in out.iter_mut().zip(left).zip(right) {
                *o += weight * (l + r);
            }
        }
    }
}

dispatched! {
    fn scale_row(row: &[f32], weight: f32, out: &mut [f32]) {
        for (o, v) in out.iter_mut().zip(row) {
            *o = weight * v;
        }
    }
}

dispatched! {
    fn add_rows(above: &[f32], below: &[f32], weight: f32, out: &mut [f32]) {
        for ((o, a), b) in out.iter_mut().zip(above).zip(below) {
            *o += weight * (a + b);
        }
    }
}

/// Gives the octaves of a pyramid one after the other, so that only one is whole in memory.
pub struct Octaves {
    base: Option<Gray>,
    index: usize,
}

impl Octaves {
    /// Starts at `image`, which is already blurred by `blur` pixels.
    pub fn new(image: Gray, blur: f32) -> Self {
        let first = image.blurred((FIRST_SCALE * FIRST_SCALE - blur * blur).sqrt());
        drop(image);
        Self { base: Some(first), index: 0 }
    }

    pub fn next_octave(&mut self) -> Option<Octave> {
        let base = self.base.take().filter(|image| image.width.min(image.height) >= SMALLEST_SIDE)?;
        let step = 2f32.powf(1.0 / LAYERS as f32);
        let mut gaussians = vec![base];
        for layer in 1..LAYERS + 3 {
            let before = FIRST_SCALE * step.powi(layer as i32 - 1);
            let extra = before * (step * step - 1.0).sqrt();
            gaussians.push(gaussians[layer - 1].blurred(extra));
        }
        self.base = Some(gaussians[LAYERS].halved());
        self.index += 1;
        Some(Octave { index: self.index - 1, gaussians })
    }
}

/// Six images of one size with growing blur.
pub struct Octave {
    pub index: usize,
    pub gaussians: Vec<Gray>,
}

impl Octave {
    /// Keeps what the descriptors need: the images at which extrema were found.
    pub fn into_small(mut self) -> SmallOctave {
        self.gaussians.truncate(LAYERS + 1);
        SmallOctave { gaussians: self.gaussians.split_off(1) }
    }
}

/// The blur of a layer, in pixels of its octave.
pub fn scale_of_layer(layer: f32) -> f32 {
    FIRST_SCALE * 2f32.powf(layer / LAYERS as f32)
}

/// The images of layers 1 to 3 of an octave.
pub struct SmallOctave {
    gaussians: Vec<Gray>,
}

impl SmallOctave {
    pub fn gaussian(&self, layer: usize) -> &Gray {
        &self.gaussians[layer - 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blurred_dot_has_the_gaussians_width_and_keeps_its_mass() {
        let mut data = vec![0.0; 61 * 61];
        data[30 * 61 + 30] = 1000.0;
        let out = Gray { width: 61, height: 61, data }.blurred(3.0);
        let mass: f32 = out.data.iter().sum();
        let variance: f32 =
            (0..61).map(|x| (x as f32 - 30.0).powi(2) * out.row(30)[x]).sum::<f32>() / out.row(30).iter().sum::<f32>();
        assert!((mass - 1000.0).abs() < 0.5);
        assert!((variance.sqrt() - 3.0).abs() < 0.1, "{}", variance.sqrt());
    }

    #[test]
    fn doubling_keeps_a_ramp_in_its_place() {
        let data = (0..32 * 32).map(|i| (i % 32) as f32).collect();
        let doubled = Gray { width: 32, height: 32, data }.doubled();
        // Pixel 20 of the doubled row has its centre at 20.5 / 2 = 10.25, which is 9.75 from the first centre.
        assert!((doubled.row(17)[20] - 9.75).abs() < 1e-4);
    }
}
