//! Orientation and description of a keypoint from the gradients around it (Lowe 2004, sections 5 and 6).

use std::f32::consts::TAU;

use super::{super::dispatch::dispatched, detect::Extremum, pyramid::Gray};

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
/// Directions of a gradient against that of its keypoint: two whole turns, as both lie in one, and the next bin.
const TURNS: usize = 2 * DIRECTIONS + 1;
/// Pixels from a keypoint to the farthest gradient that counts. The largest blur asks for 38.
const FARTHEST: isize = 63;

fn gradient_histogram(image: &Gray, extremum: &Extremum, angle: f32) -> [f32; SIDE * SIDE * DIRECTIONS] {
    let mut turns = [0.0f32; SIDE * SIDE * TURNS];
    let cell = 3.0 * extremum.octave_scale();
    let reach = cell * std::f32::consts::SQRT_2 * (PLACES as f32 + 1.0) * 0.5;
    let radius = (reach.round() as isize).min(FARTHEST);
    let (cx, cy) = (extremum.x.round() as isize, extremum.y.round() as isize);
    let (sin, cos) = (angle.sin() / cell, angle.cos() / cell);
    let half = PLACES as f32 / 2.0;
    // A hair inside the padding, so that rounding cannot step over it.
    let edge = half + 0.499;
    let (left, right) = ((cx - radius).max(1), (cx + radius).min(image.width as isize - 2));
    let mut samples = Samples::new();
    for y in (cy - radius).max(1)..=(cy + radius).min(image.height as isize - 2) {
        let oy = y as f32 - extremum.y;
        // Where the row crosses the turned square: |cos·x + sin·y| and |cos·y - sin·x| are both below the edge.
        let (from, to) = overlap(crossing(cos, sin * oy, edge), crossing(-sin, cos * oy, edge));
        let first = left.max((from + extremum.x).floor() as isize);
        let last = right.min((to + extremum.x).ceil() as isize);
        if first > last {
            continue;
        }
        let [above, here, below] =
            [y - 1, y, y + 1].map(|y| &image.row(y as usize)[first as usize - 1..=last as usize + 1]);
        let place = Place { ox: first as f32 - extremum.x, oy, sin, cos, angle };
        sample_row(above, here, below, &place, &mut samples);
        for i in 0..here.len() - 2 {
            let (u, v) = (samples.u[i], samples.v[i]);
            if u.abs() < edge && v.abs() < edge {
                add_sample(&mut turns, u + half + 0.5, v + half + 0.5, samples.direction[i], samples.weight[i]);
            }
        }
    }
    let mut histogram = [0.0; SIDE * SIDE * DIRECTIONS];
    for (cell, turns) in histogram.chunks_exact_mut(DIRECTIONS).zip(turns.chunks_exact(TURNS)) {
        for (direction, sum) in turns.iter().enumerate() {
            cell[direction % DIRECTIONS] += sum;
        }
    }
    histogram
}

/// The `x` for which `|slope · x + shift|` is below `edge`.
fn crossing(slope: f32, shift: f32, edge: f32) -> (f32, f32) {
    if slope.abs() < 1e-9 {
        return if shift.abs() < edge { (f32::MIN, f32::MAX) } else { (0.0, -1.0) };
    }
    let (a, b) = ((-edge - shift) / slope, (edge - shift) / slope);
    (a.min(b), a.max(b))
}

fn overlap(a: (f32, f32), b: (f32, f32)) -> (f32, f32) {
    (a.0.max(b.0), a.1.min(b.1))
}

/// The gradients of one row: where they lie in cells from the keypoint, how much they count, and where they point, in
/// bins from 0 to 16.
struct Samples {
    u: [f32; 2 * FARTHEST as usize + 1],
    v: [f32; 2 * FARTHEST as usize + 1],
    weight: [f32; 2 * FARTHEST as usize + 1],
    direction: [f32; 2 * FARTHEST as usize + 1],
}

impl Samples {
    const fn new() -> Self {
        let none = [0.0; 2 * FARTHEST as usize + 1];
        Self { u: none, v: none, weight: none, direction: none }
    }
}

/// Where a row begins, in pixels from the keypoint, and how the keypoint is turned, in cells per pixel.
struct Place {
    ox: f32,
    oy: f32,
    sin: f32,
    cos: f32,
    angle: f32,
}

dispatched! {
    /// Rows with one pixel more on either side.
    fn sample_row(above: &[f32], here: &[f32], below: &[f32], place: &Place, samples: &mut Samples) {
        let count = here.len() - 2;
        let (above, below, left, right) = (&above[1..=count], &below[1..=count], &here[..count], &here[2..]);
        let (us, vs) = (&mut samples.u[..count], &mut samples.v[..count]);
        let (weights, directions) = (&mut samples.weight[..count], &mut samples.direction[..count]);
        for i in 0..count {
            let ox = place.ox + i as f32;
            let (u, v) = (place.cos * ox + place.sin * place.oy, place.cos * place.oy - place.sin * ox);
            let (dx, dy) = (right[i] - left[i], below[i] - above[i]);
            us[i] = u;
            vs[i] = v;
            weights[i] = fast_exp(-(u * u + v * v) / (0.5 * (PLACES * PLACES) as f32)) * (dx * dx + dy * dy).sqrt();
            directions[i] = (fast_atan2(dy, dx) - place.angle) * (DIRECTIONS as f32 / TAU) + DIRECTIONS as f32;
        }
    }
}

/// Shares one gradient among the eight nearest bins; `u` and `v` count cells from the padded corner.
#[inline]
fn add_sample(turns: &mut [f32; SIDE * SIDE * TURNS], u: f32, v: f32, direction: f32, weight: f32) {
    let (u0, v0, d0) = (u as usize, v as usize, (direction as usize).min(TURNS - 2));
    let (fu, fv, fd) = (u - u0 as f32, v - v0 as f32, direction - d0 as f32);
    for (row, row_weight) in [(v0, weight * (1.0 - fv)), (v0 + 1, weight * fv)] {
        for (column, share) in [(u0, row_weight * (1.0 - fu)), (u0 + 1, row_weight * fu)] {
            let at = (row * SIDE + column) * TURNS + d0;
            turns[at] += share * (1.0 - fd);
            turns[at + 1] += share * fd;
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
#[expect(clippy::inline_always, reason = "it must be compiled with the instructions of its caller")]
#[inline(always)]
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
#[expect(clippy::inline_always, reason = "it must be compiled with the instructions of its caller")]
#[inline(always)]
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
