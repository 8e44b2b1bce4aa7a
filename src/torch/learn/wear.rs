//! Wears a clean picture down to what a stitched orthophoto looks like.
//!
//! Lens and resampling blur, seams where two photos are a few pixels apart, exposure and colour of another
//! camera, the fall-off of light towards a photo's corner, noise, JPEG, and the border of the flight.

use image::{ExtendedColorType, codecs::jpeg::JpegEncoder};
use polder::raster::Rgba8;
use rand::RngExt as _;
use rand_pcg::Pcg64Mcg;

/// Applies a random selection of all of it, in the order in which it happens to real pictures.
pub(super) fn wear(picture: &mut Rgba8, rng: &mut Pcg64Mcg) {
    if rng.random_bool(0.75) {
        blur(picture, rng.random_range(0.3..1.3));
    }
    if rng.random_bool(0.35) {
        ghost(picture, rng);
    }
    expose(picture, rng);
    if rng.random_bool(0.7) {
        speckle(picture, rng.random_range(1.0..7.0), rng);
    }
    if rng.random_bool(0.6) {
        squeeze(picture, rng.random_range(55..96));
    }
    if rng.random_bool(0.15) {
        cut(picture, rng);
    }
}

/// Blurs with a Gaussian of the given deviation in pixels, along rows, then along columns.
fn blur(picture: &mut Rgba8, sigma: f64) {
    let radius = (sigma * 2.5).ceil() as usize;
    let weight = |i: usize| (-0.5 * ((i as f64 - radius as f64) / sigma).powi(2)).exp() as f32;
    let weights: Vec<f32> = (0..=2 * radius).map(weight).collect();
    let total: f32 = weights.iter().sum();
    let (line, height) = (picture.width * 4, picture.height);
    let mut sum = vec![0.0_f32; line];
    let mut wide = vec![0.0_f32; line + 8 * radius];
    for row in picture.data.chunks_exact_mut(line) {
        for (i, value) in wide.iter_mut().enumerate() {
            // Columns outside repeat the first and the last one.
            let at = i.saturating_sub(4 * radius).min(line - 1);
            let inside = i >= 4 * radius && i < line + 4 * radius;
            *value = f32::from(if inside { row[at] } else { row[if at == 0 { i % 4 } else { line - 4 + i % 4 }] });
        }
        sum.fill(0.0);
        for (k, weight) in weights.iter().enumerate() {
            sum.iter_mut().zip(&wide[4 * k..]).for_each(|(sum, value)| *sum += weight * value);
        }
        row.iter_mut().zip(&sum).for_each(|(value, sum)| *value = (sum / total).round() as u8);
    }
    let before = picture.data.clone();
    for (y, row) in picture.data.chunks_exact_mut(line).enumerate() {
        sum.fill(0.0);
        for (k, weight) in weights.iter().enumerate() {
            let from = (y + k).saturating_sub(radius).min(height - 1) * line;
            sum.iter_mut().zip(&before[from..from + line]).for_each(|(sum, value)| *sum += weight * f32::from(*value));
        }
        row.iter_mut().zip(&sum).for_each(|(value, sum)| *value = (sum / total).round() as u8);
    }
}

/// Blends in a second photo of the same ground, a little off, across a feathered seam.
fn ghost(picture: &mut Rgba8, rng: &mut Pcg64Mcg) {
    let before = picture.clone();
    let (width, height) = (picture.width as isize, picture.height as isize);
    let shift = [0; 2].map(|_: i32| rng.random_range(-3..=3_i32) as isize);
    let seam = Edge::random(picture, rng);
    let feather = rng.random_range(4.0..90.0);
    let gain = rng.random_range(0.93..1.07_f32);
    for (i, pixel) in picture.data.chunks_exact_mut(4).enumerate() {
        let (x, y) = (i as isize % width, i as isize / width);
        let share = (seam.distance(x as f64, y as f64) / feather + 0.5).clamp(0.0, 1.0) as f32;
        let (x, y) = ((x + shift[0]).clamp(0, width - 1), (y + shift[1]).clamp(0, height - 1));
        let other = &before.data[(y * width + x) as usize * 4..][..4];
        if other[3] > 0 {
            for c in 0..3 {
                pixel[c] = (f32::from(pixel[c]) * (1.0 - share) + f32::from(other[c]) * gain * share).round() as u8;
            }
        }
    }
}

/// Changes brightness, contrast and colour, stronger towards one side.
fn expose(picture: &mut Rgba8, rng: &mut Pcg64Mcg) {
    let gain = rng.random_range(0.75..1.3_f32);
    let cast = [0.0; 3].map(|_: f32| rng.random_range(0.87..1.15_f32) * gain);
    let gamma = rng.random_range(0.85..1.2_f32);
    let (edge, fall) = (Edge::random(picture, rng), rng.random_range(0.0..0.0012));
    let curve: [[f32; 256]; 3] =
        cast.map(|cast| std::array::from_fn(|v| 255.0 * (v as f32 / 255.0 * cast).powf(gamma)));
    for (i, pixel) in picture.data.chunks_exact_mut(4).enumerate() {
        let (x, y) = ((i % picture.width) as f64, (i / picture.width) as f64);
        let light = (1.0 - edge.distance(x, y) * fall) as f32;
        for c in 0..3 {
            pixel[c] = (curve[c][pixel[c] as usize] * light).round() as u8;
        }
    }
}

/// Adds noise that is nearly normal, the same to all colours by half.
fn speckle(picture: &mut Rgba8, sigma: f32, rng: &mut Pcg64Mcg) {
    // The sum of four uniform numbers has a third of the deviation of its range's half; close enough, and cheap.
    let mut normal = || {
        let bits: u32 = rng.random();
        let sum: f32 = bits.to_le_bytes().iter().map(|&b| f32::from(b)).sum();
        (sum - 510.0) / 147.8
    };
    for pixel in picture.data.chunks_exact_mut(4) {
        let common = normal();
        for value in &mut pixel[..3] {
            *value = (f32::from(*value) + sigma * (0.7 * common + 0.7 * normal())).round() as u8;
        }
    }
}

/// Writes and reads the picture as a JPEG.
fn squeeze(picture: &mut Rgba8, quality: u8) {
    let (width, height) = (picture.width as u32, picture.height as u32);
    let rgb = picture.to_rgb();
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality)
        .encode(&rgb.data, width, height, ExtendedColorType::Rgb8)
        .expect("a sample is smaller than JPEG allows");
    let read = image::load_from_memory_with_format(&bytes, image::ImageFormat::Jpeg);
    let read = read.expect("what was just written can be read").into_rgb8();
    for (pixel, new) in picture.data.chunks_exact_mut(4).zip(read.as_raw().chunks_exact(3)) {
        pixel[..3].copy_from_slice(new);
    }
}

/// Takes away everything beyond a straight border.
fn cut(picture: &mut Rgba8, rng: &mut Pcg64Mcg) {
    let edge = Edge::random(picture, rng);
    let width = picture.width;
    for (i, pixel) in picture.data.chunks_exact_mut(4).enumerate() {
        if edge.distance((i % width) as f64, (i / width) as f64) > width as f64 * 0.25 {
            pixel.fill(0);
        }
    }
}

/// A straight line through the picture.
struct Edge {
    through: [f64; 2],
    normal: [f64; 2],
}

impl Edge {
    fn random(picture: &Rgba8, rng: &mut Pcg64Mcg) -> Self {
        let (width, height) = (picture.width as f64, picture.height as f64);
        let through = [width * rng.random_range(0.2..0.8), height * rng.random_range(0.2..0.8)];
        let angle = rng.random_range(0.0..std::f64::consts::TAU);
        Self { through, normal: [angle.cos(), angle.sin()] }
    }

    /// Distance in pixels, positive on one side.
    fn distance(&self, x: f64, y: f64) -> f64 {
        (x - self.through[0]) * self.normal[0] + (y - self.through[1]) * self.normal[1]
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    fn grey(side: usize) -> Rgba8 {
        Rgba8 { width: side, height: side, data: [120, 120, 120, 255].repeat(side * side) }
    }

    #[test]
    fn blur_keeps_the_light() {
        let mut picture = grey(21);
        picture.data[(10 * 21 + 10) * 4] = 255;
        blur(&mut picture, 1.0);
        let red: i64 = picture.data.chunks_exact(4).map(|p| i64::from(p[0]) - 120).sum();
        assert!((120..150).contains(&red), "{red}");
        assert!(picture.data[(10 * 21 + 10) * 4] < 150);
    }

    #[test]
    fn a_worn_picture_is_still_the_picture() {
        for seed in 0..30 {
            let mut picture = grey(64);
            wear(&mut picture, &mut Pcg64Mcg::seed_from_u64(seed));
            let seen: Vec<_> = picture.data.chunks_exact(4).filter(|p| p[3] > 0).map(|p| f64::from(p[1])).collect();
            let mean = seen.iter().sum::<f64>() / seen.len() as f64;
            assert!(seen.len() > 64 * 16 && (55.0..210.0).contains(&mean), "seed {seed}: {mean}, {}", seen.len());
        }
    }
}
