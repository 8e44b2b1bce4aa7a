//! Randomness that depends on a place and a seed alone, so that every pixel can be made on its own.

use std::f32::consts::TAU;

/// Returns 32 well-mixed bits of a lattice point.
pub(crate) fn hash(x: i32, y: i32, seed: u32) -> u32 {
    let mut h = seed ^ (x as u32).wrapping_mul(0x9E37_79B1) ^ (y as u32).wrapping_mul(0x85EB_CA77).rotate_left(13);
    h = (h ^ (h >> 15)).wrapping_mul(0x2C1B_3C6D);
    h = (h ^ (h >> 12)).wrapping_mul(0x297A_2D39);
    h ^ (h >> 15)
}

/// Returns a number in [0, 1) of a lattice point.
pub(crate) fn unit(x: i32, y: i32, seed: u32) -> f32 {
    (hash(x, y, seed) >> 8) as f32 / 16_777_216.0
}

/// Returns smooth noise in [-1, 1] that changes over about `wavelength` metres.
pub(crate) fn value(p: [f32; 2], wavelength: f32, seed: u32) -> f32 {
    let (x, y) = (p[0] / wavelength, p[1] / wavelength);
    let (i, j) = (floor(x), floor(y));
    let (u, v) = (ease(x - i as f32), ease(y - j as f32));
    let top = lerp(unit(i, j, seed), unit(i + 1, j, seed), u);
    let bottom = lerp(unit(i, j + 1, seed), unit(i + 1, j + 1, seed), u);
    lerp(top, bottom, v) * 2.0 - 1.0
}

/// Returns noise in about [-1, 1]: `octaves` layers, each half as long and half as strong as the one before.
///
/// Each layer is turned, so that the lattice does not show.
pub(crate) fn fractal(p: [f32; 2], wavelength: f32, octaves: u32, seed: u32) -> f32 {
    let (mut sum, mut weight, mut total) = (0.0, 1.0, 0.0);
    let (mut q, mut length) = (p, wavelength);
    for octave in 0..octaves {
        sum += weight * value(q, length, seed.wrapping_add(octave.wrapping_mul(0x9E37)));
        total += weight;
        q = [q[0] * 0.8 - q[1] * 0.6 + 17.3, q[0] * 0.6 + q[1] * 0.8 - 5.1];
        weight *= 0.55;
        length *= 0.49;
    }
    sum / total * 1.35
}

/// The nearest of a scatter of points, one for each square of `spacing` metres.
pub(crate) struct Grain {
    /// Distance to the point, in units of the spacing.
    pub distance: f32,
    /// Bits of the point, for whatever it should be.
    pub bits: u32,
}

/// Finds the nearest scattered point (S. Worley, 1996, "A cellular texture basis function").
pub(crate) fn grain(p: [f32; 2], spacing: f32, seed: u32) -> Grain {
    let (x, y) = (p[0] / spacing, p[1] / spacing);
    let (cx, cy) = (floor(x), floor(y));
    let mut best = Grain { distance: f32::MAX, bits: 0 };
    for dy in -1..=1 {
        for dx in -1..=1 {
            let bits = hash(cx + dx, cy + dy, seed);
            let px = (cx + dx) as f32 + (bits & 0xFFFF) as f32 / 65_536.0;
            let py = (cy + dy) as f32 + (bits >> 16) as f32 / 65_536.0;
            let squared = (x - px) * (x - px) + (y - py) * (y - py);
            if squared < best.distance {
                best = Grain { distance: squared, bits };
            }
        }
    }
    best.distance = best.distance.sqrt();
    // The position's own bits would tie a grain's look to its place within its square.
    best.bits = hash(best.bits as i32, 7, seed);
    best
}

/// Returns a number in [0, 1) from eight of the bits; `lane` is 0 to 3.
pub(crate) fn lane(bits: u32, lane: u32) -> f32 {
    ((bits >> (lane * 8)) & 0xFF) as f32 / 256.0
}

/// Returns a closed curve's relative radius at an angle: about 1, with wobbles of `roughness`.
pub(crate) fn wobble(angle: f32, roughness: f32, seed: u32) -> f32 {
    let (sin, cos) = (angle % TAU).sin_cos();
    let slow = value([cos * 1.1 + 9.0, sin * 1.1 + 9.0], 1.0, seed);
    let fast = value([cos * 3.1 + 3.0, sin * 3.1 + 3.0], 1.0, seed ^ 0x55);
    1.0 + roughness * (0.75 * slow + 0.35 * fast)
}

pub(crate) fn lerp(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

/// Rises smoothly from 0 at `from` to 1 at `to`; falls when `from` is the larger.
pub(crate) fn step(from: f32, to: f32, x: f32) -> f32 {
    ease(((x - from) / (to - from)).clamp(0.0, 1.0))
}

/// Rounds down. The processors that every build must run on have no instruction for `f32::floor`, and the
/// library's function took a third of the time of a landscape.
pub(crate) fn floor(x: f32) -> i32 {
    let cut = x as i32;
    cut - i32::from(x < cut as f32)
}

fn ease(t: f32) -> f32 {
    t * t * (3.0 - 2.0 * t)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_centred_and_stays_in_its_range() {
        let values: Vec<f32> =
            (0..40_000).map(|i| value([(i % 200) as f32 * 0.37, (i / 200) as f32 * 0.41], 1.0, 5)).collect();
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        assert!(mean.abs() < 0.03, "mean {mean}");
        assert!(values.iter().all(|v| v.abs() <= 1.0));
    }

    #[test]
    fn seeds_give_unrelated_noise() {
        let product: f32 =
            (0..10_000).map(|i| value([i as f32 * 0.7, 0.3], 1.0, 1) * value([i as f32 * 0.7, 0.3], 1.0, 2)).sum();
        assert!((product / 10_000.0).abs() < 0.02, "{product}");
    }

    #[test]
    fn a_grain_is_never_farther_than_the_neighbouring_squares() {
        for i in 0..2000 {
            let g = grain([i as f32 * 0.173, i as f32 * -0.091], 0.5, 3);
            assert!(g.distance < 1.5, "{}", g.distance);
        }
    }

    #[test]
    fn a_wobbly_outline_closes() {
        assert!((wobble(0.0, 0.3, 4) - wobble(TAU - 1e-4, 0.3, 4)).abs() < 1e-2);
    }
}
