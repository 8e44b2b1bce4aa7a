//! Orientation and description of a keypoint from the gradients around it (Lowe 2004, sections 5 and 6).

use std::f32::consts::TAU;

use super::{detect::Extremum, pyramid::Gray};

/// 4 × 4 places with 8 directions each.
pub const DESCRIPTOR_LENGTH: usize = 128;
/// The length of every descriptor as a vector, before its numbers are cut to whole ones. By Cauchy and Schwarz no sum
/// of products passes 181² = 32 761, so that matching may add in 16 bits.
const DESCRIPTOR_NORM: f32 = 181.0;

const PLACES: usize = 4;
const DIRECTIONS: usize = 8;
const ORIENTATION_BINS: usize = 36;

/// The one or few dominant gradient directions around an extremum, in radians.
pub fn orientations(image: &Gray, extremum: &Extremum) -> Vec<f32> {
    let sigma = 1.5 * extremum.octave_scale();
    let radius = (3.0 * sigma).round() as isize;
    let (cx, cy) = (extremum.x.round() as isize, extremum.y.round() as isize);
    let falloff = -1.0 / (2.0 * sigma * sigma);
    let mut histogram = [0.0f32; ORIENTATION_BINS];
    for y in (cy - radius).max(1)..=(cy + radius).min(image.height as isize - 2) {
        for x in (cx - radius).max(1)..=(cx + radius).min(image.width as isize - 2) {
            let (dx, dy) = gradient(image, x as usize, y as usize);
            let (ox, oy) = ((x - cx) as f32, (y - cy) as f32);
            let weight = fast_exp((ox * ox + oy * oy) * falloff) * (dx * dx + dy * dy).sqrt();
            let bin = (fast_atan2(dy, dx) * (ORIENTATION_BINS as f32 / TAU) + 0.5) as usize;
            histogram[bin % ORIENTATION_BINS] += weight;
        }
    }
    peaks(&smoothed(&histogram))
}

/// Circular [1 4 6 4 1] / 16.
fn smoothed(histogram: &[f32; ORIENTATION_BINS]) -> [f32; ORIENTATION_BINS] {
    let n = ORIENTATION_BINS;
    std::array::from_fn(|i| {
        let at = |step: usize| histogram[(i + n + step - 2) % n];
        (at(0) + at(4)) / 16.0 + (at(1) + at(3)) / 4.0 + at(2) * 0.375
    })
}

/// Peaks of at least 0.8 of the highest, each placed by a parabola through three bins.
fn peaks(histogram: &[f32; ORIENTATION_BINS]) -> Vec<f32> {
    let n = ORIENTATION_BINS;
    let highest = histogram.iter().copied().fold(0.0, f32::max);
    let mut found = Vec::new();
    for i in 0..n {
        let (left, here, right) = (histogram[(i + n - 1) % n], histogram[i], histogram[(i + 1) % n]);
        if here > left && here > right && here >= 0.8 * highest {
            let shift = 0.5 * (left - right) / (left - 2.0 * here + right);
            found.push(((i as f32 + shift) / n as f32 * TAU).rem_euclid(TAU));
        }
    }
    found
}

/// Appends the 128 bytes of a keypoint.
pub fn describe(image: &Gray, extremum: &Extremum, angle: f32, out: &mut Vec<u8>) {
    let histogram = gradient_histogram(image, extremum, angle);
    let mut values = [0.0f32; DESCRIPTOR_LENGTH];
    let mut next = values.iter_mut();
    for row in 1..=PLACES {
        for column in 1..=PLACES {
            for direction in 0..DIRECTIONS {
                let bin = histogram[(row * SIDE + column) * DIRECTIONS + direction];
                *next.next().expect("there are 4 × 4 × 8 values") = bin;
            }
        }
    }
    out.extend(root_sift(&values));
}

/// Histogram cells along one side: one more on either side, so that interpolation needs no test.
const SIDE: usize = PLACES + 2;

fn gradient_histogram(image: &Gray, extremum: &Extremum, angle: f32) -> [f32; SIDE * SIDE * DIRECTIONS] {
    let mut histogram = [0.0f32; SIDE * SIDE * DIRECTIONS];
    let cell = 3.0 * extremum.octave_scale();
    let reach = cell * std::f32::consts::SQRT_2 * (PLACES as f32 + 1.0) * 0.5;
    let radius = (reach.round() as isize).min(image.width.max(image.height) as isize);
    let (cx, cy) = (extremum.x.round() as isize, extremum.y.round() as isize);
    let (sin, cos) = (angle.sin() / cell, angle.cos() / cell);
    let half = PLACES as f32 / 2.0;
    // A hair inside the padding, so that rounding cannot step over it.
    let edge = half + 0.499;
    for y in (cy - radius).max(1)..=(cy + radius).min(image.height as isize - 2) {
        let oy = y as f32 - extremum.y;
        for x in (cx - radius).max(1)..=(cx + radius).min(image.width as isize - 2) {
            let ox = x as f32 - extremum.x;
            let (u, v) = (cos * ox + sin * oy, cos * oy - sin * ox);
            if u.abs() >= edge || v.abs() >= edge {
                continue;
            }
            let (dx, dy) = gradient(image, x as usize, y as usize);
            let weight = fast_exp(-(u * u + v * v) / (0.5 * (PLACES * PLACES) as f32)) * (dx * dx + dy * dy).sqrt();
            let turned = (fast_atan2(dy, dx) - angle) * (DIRECTIONS as f32 / TAU);
            add_sample(&mut histogram, u + half + 0.5, v + half + 0.5, turned, weight);
        }
    }
    histogram
}

/// Shares one gradient among the eight nearest bins; `u` and `v` count cells from the padded corner.
#[inline]
fn add_sample(histogram: &mut [f32; SIDE * SIDE * DIRECTIONS], u: f32, v: f32, direction: f32, weight: f32) {
    let (u0, v0) = (u as usize, v as usize);
    let d_floor = direction.floor();
    let (fu, fv, fd) = (u - u0 as f32, v - v0 as f32, direction - d_floor);
    let d0 = (d_floor as i32).rem_euclid(DIRECTIONS as i32) as usize;
    let d1 = (d0 + 1) % DIRECTIONS;
    for (row, row_weight) in [(v0, 1.0 - fv), (v0 + 1, fv)] {
        for (column, column_weight) in [(u0, 1.0 - fu), (u0 + 1, fu)] {
            let share = weight * row_weight * column_weight;
            let at = (row * SIDE + column) * DIRECTIONS;
            histogram[at + d0] += share * (1.0 - fd);
            histogram[at + d1] += share * fd;
        }
    }
}

/// Lowe's clipping at 0.2, then the square root of the fractions.
fn root_sift(values: &[f32; DESCRIPTOR_LENGTH]) -> [u8; DESCRIPTOR_LENGTH] {
    let length = values.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-12);
    let clipped = values.map(|v| (v / length).min(0.2));
    let sum = clipped.iter().sum::<f32>().max(1e-12);
    clipped.map(|v| ((v / sum).sqrt() * DESCRIPTOR_NORM).min(127.0) as u8)
}

#[inline]
fn gradient(image: &Gray, x: usize, y: usize) -> (f32, f32) {
    let at = y * image.width + x;
    let data = &image.data;
    (data[at + 1] - data[at - 1], data[at + image.width] - data[at - image.width])
}

/// The angle of (x, y) in [0, 2π), within 0.0003 radians.
#[inline]
fn fast_atan2(y: f32, x: f32) -> f32 {
    let (ax, ay) = (x.abs(), y.abs());
    let ratio = ax.min(ay) / (ax.max(ay) + 1e-20);
    let s = ratio * ratio;
    // Abramowitz and Stegun 4.4.49, shortened: an odd polynomial on [0, 1].
    let mut angle = ((-0.046_496_47 * s + 0.159_314_22) * s - 0.327_622_76) * s * ratio + ratio;
    if ay > ax {
        angle = std::f32::consts::FRAC_PI_2 - angle;
    }
    if x < 0.0 {
        angle = std::f32::consts::PI - angle;
    }
    if y < 0.0 {
        angle = TAU - angle;
    }
    if angle >= TAU { 0.0 } else { angle }
}

/// `exp(x)` for x ≤ 0 as (1 + x/256)^256: within 5 % down to -4, which is plenty for a window.
#[inline]
fn fast_exp(x: f32) -> f32 {
    let mut value = (1.0 + x * (1.0 / 256.0)).max(0.0);
    for _ in 0..8 {
        value *= value;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quick_angle_is_the_angle() {
        for i in 0..720 {
            let angle = i as f32 / 720.0 * TAU;
            let found = fast_atan2(3.0 * angle.sin(), 3.0 * angle.cos());
            let error = (found - angle).abs();
            assert!(error.min(TAU - error) < 4e-4, "{angle} {found}");
        }
    }

    #[test]
    fn descriptors_fit_sixteen_bit_sums() {
        for filled in [1, 2, 4, 5, 25, 128] {
            let mut values = [0.0; DESCRIPTOR_LENGTH];
            values[..filled].fill(3.0);
            let bytes = root_sift(&values);
            let sum: u32 = bytes.iter().map(|&b| u32::from(b) * u32::from(b)).sum();
            assert!(bytes.iter().all(|&b| b <= 127) && sum <= 32_767, "{sum} with {filled}");
        }
    }
}
