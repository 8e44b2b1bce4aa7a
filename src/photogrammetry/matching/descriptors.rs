//! Nearest descriptors, both ways, with the ratio test.
//!
//! Descriptors are 128 bytes of at most 127 and a length of about 181, so products fit the signed-unsigned
//! multiply of AVX2 and their sums fit 16 bits. On other machines the same integers are added one by one.

use std::ops::Range;

use crate::photogrammetry::keypoints::{DESCRIPTOR_LENGTH, Keypoints};

/// The second nearest must be this much farther than the nearest (Lowe 2004, section 7.1), squared.
const RATIO_SQUARED: f32 = 0.8 * 0.8;

/// Index pairs of keypoints that are each other's nearest and clearly nearer than the next, of all.
///
/// Keypoints at one place with two orientations don't compete with each other in the ratio test.
pub fn match_all(a: &Keypoints, b: &Keypoints) -> Vec<[u32; 2]> {
    let others = Neighbourhoods::new(b, f64::INFINITY);
    match_each(a, &others, |_| Some([0.0, 0.0]))
}

/// The same among the keypoints of `b` that lie within about `radius_px` of where `predict` expects a keypoint of `a`.
pub fn match_near(
    a: &Keypoints,
    b: &Keypoints,
    radius_px: f64,
    predict: impl Fn([f64; 2]) -> Option<[f64; 2]>,
) -> Vec<[u32; 2]> {
    match_each(a, &Neighbourhoods::new(b, radius_px), predict)
}

fn match_each(a: &Keypoints, others: &Neighbourhoods, predict: impl Fn([f64; 2]) -> Option<[f64; 2]>) -> Vec<[u32; 2]> {
    let norms_a = squared_norms(&a.descriptors);
    let mut products = vec![0i32; others.norms.len()];
    let mut best_of_b = vec![(i32::MAX, u32::MAX); others.norms.len()];
    let mut best_of_a = Vec::with_capacity(norms_a.len());
    for (i, point) in a.points.iter().enumerate() {
        let mut nearest = Nearest { index: u32::MAX, distance: i32::MAX, next: i32::MAX };
        if let Some(place) = predict(point.xy) {
            for run in others.runs_around(place) {
                let descriptors = &others.descriptors[run.start * DESCRIPTOR_LENGTH..run.end * DESCRIPTOR_LENGTH];
                dot_products(a.descriptor(i), descriptors, &mut products[run.clone()]);
                scan(i as u32, norms_a[i], others, run, &products, &mut best_of_b, &mut nearest);
            }
        }
        best_of_a.push(nearest);
    }
    let mutual = |(i, nearest): (usize, &Nearest)| {
        let known = nearest.index != u32::MAX && best_of_b[nearest.index as usize].1 as usize == i;
        let clear = (nearest.distance as f32) < RATIO_SQUARED * nearest.next as f32;
        (known && clear).then(|| [i as u32, others.original[nearest.index as usize]])
    };
    best_of_a.iter().enumerate().filter_map(mutual).collect()
}

/// The keypoints of a photo sorted into square cells, so that those near a place are a few runs.
struct Neighbourhoods {
    cell_px: f64,
    columns: usize,
    rows: usize,
    /// Where each cell begins; one more than cells.
    starts: Vec<usize>,
    original: Vec<u32>,
    places: Vec<[f64; 2]>,
    descriptors: Vec<u8>,
    norms: Vec<i32>,
}

impl Neighbourhoods {
    /// Cells are half a radius wide: a neighbourhood is five cells each way.
    fn new(b: &Keypoints, radius_px: f64) -> Self {
        let reach = |axis: usize| b.points.iter().map(|p| p.xy[axis]).fold(1.0, f64::max);
        let (width, height) = (reach(0), reach(1));
        let cell_px = (0.5 * radius_px).min(2.0 * width.max(height));
        let (columns, rows) = ((width / cell_px) as usize + 1, (height / cell_px) as usize + 1);
        let cell_of = |xy: [f64; 2]| (xy[1] / cell_px) as usize * columns + (xy[0] / cell_px) as usize;
        let mut original: Vec<u32> = (0..b.points.len() as u32).collect();
        original.sort_by_key(|&index| (cell_of(b.points[index as usize].xy), index));
        let mut starts = vec![0; columns * rows + 1];
        for point in &b.points {
            starts[cell_of(point.xy) + 1] += 1;
        }
        for cell in 1..starts.len() {
            starts[cell] += starts[cell - 1];
        }
        let descriptors: Vec<u8> = original.iter().flat_map(|&index| b.descriptor(index as usize)).copied().collect();
        let places = original.iter().map(|&index| b.points[index as usize].xy).collect();
        let norms = squared_norms(&descriptors);
        Self { cell_px, columns, rows, starts, original, places, descriptors, norms }
    }

    /// Whether two keypoints are one place with two orientations: such ones are exact copies.
    fn same_place(&self, i: usize, j: usize) -> bool {
        self.places[i].map(f64::to_bits) == self.places[j].map(f64::to_bits)
    }

    /// Runs of sorted keypoints in the five rows of cells around a place.
    fn runs_around(&self, [x, y]: [f64; 2]) -> impl Iterator<Item = Range<usize>> + '_ {
        let cell = |value: f64| (value / self.cell_px).floor().clamp(-9.0, 1e6) as isize;
        let span = |at: isize, count: usize| {
            (at - 2).clamp(0, count as isize) as usize..(at + 3).clamp(0, count as isize) as usize
        };
        let columns = span(cell(x), self.columns);
        span(cell(y), self.rows).filter_map(move |row| {
            let line = row * self.columns;
            let run = self.starts[line + columns.start]..self.starts[line + columns.end];
            (!run.is_empty()).then_some(run)
        })
    }
}

#[derive(Clone, Copy)]
struct Nearest {
    index: u32,
    distance: i32,
    /// The squared distance of the next one at another place.
    next: i32,
}

/// Looks through the products of a run for the nearest of `a`'s keypoint, and notes it where it is the nearest so far.
fn scan(
    i: u32,
    norm_a: i32,
    others: &Neighbourhoods,
    run: Range<usize>,
    products: &[i32],
    best_of_b: &mut [(i32, u32)],
    nearest: &mut Nearest,
) {
    let first = run.start;
    let candidates = others.norms[run.clone()].iter().zip(&products[run.clone()]).zip(&mut best_of_b[run]);
    for (offset, ((&norm_b, &product), best)) in candidates.enumerate() {
        let distance = norm_a + norm_b - 2 * product;
        if distance < best.0 {
            *best = (distance, i);
        }
        if distance < nearest.next {
            let j = first + offset;
            let same_place = nearest.index != u32::MAX && others.same_place(j, nearest.index as usize);
            if distance < nearest.distance {
                let next = if same_place { nearest.next } else { nearest.distance };
                *nearest = Nearest { index: j as u32, distance, next };
            } else if !same_place {
                nearest.next = distance;
            }
        }
    }
}

fn squared_norms(descriptors: &[u8]) -> Vec<i32> {
    descriptors.chunks_exact(DESCRIPTOR_LENGTH).map(|d| d.iter().map(|&v| i32::from(v) * i32::from(v)).sum()).collect()
}

/// The products of one descriptor with all of another photo.
fn dot_products(one: &[u8], all: &[u8], out: &mut [i32]) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        #[expect(unsafe_code, reason = "the feature was detected the line before")]
        // SAFETY: the processor has AVX2.
        return unsafe { dot_products_avx2(one, all, out) };
    }
    dot_products_plain(one, all, out);
}

fn dot_products_plain(one: &[u8], all: &[u8], out: &mut [i32]) {
    for (product, other) in out.iter_mut().zip(all.chunks_exact(DESCRIPTOR_LENGTH)) {
        *product = one.iter().zip(other).map(|(&x, &y)| i32::from(x) * i32::from(y)).sum();
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn dot_products_avx2(one: &[u8], all: &[u8], out: &mut [i32]) {
    use std::arch::x86_64::{__m128i, _mm_storeu_si128};
    use std::arch::x86_64::{
        __m256i, _mm_add_epi32, _mm256_add_epi16, _mm256_castsi256_si128, _mm256_extracti128_si256, _mm256_hadd_epi32,
        _mm256_loadu_si256, _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_set1_epi16,
    };
    #[inline]
    #[target_feature(enable = "avx2")]
    fn load(bytes: &[u8], part: usize) -> __m256i {
        let bytes = &bytes[32 * part..32 * part + 32];
        #[expect(unsafe_code, reason = "an unaligned load of 32 bytes")]
        // SAFETY: the slice above is 32 bytes long.
        unsafe {
            _mm256_loadu_si256(bytes.as_ptr().cast())
        }
    }
    #[inline]
    #[target_feature(enable = "avx2")]
    fn product(query: &[__m256i; 4], other: &[u8]) -> __m256i {
        // Lengths of 181 keep every 16-bit sum below 32 767.
        let low = _mm256_add_epi16(
            _mm256_maddubs_epi16(query[0], load(other, 0)),
            _mm256_maddubs_epi16(query[1], load(other, 1)),
        );
        let high = _mm256_add_epi16(
            _mm256_maddubs_epi16(query[2], load(other, 2)),
            _mm256_maddubs_epi16(query[3], load(other, 3)),
        );
        _mm256_madd_epi16(_mm256_add_epi16(low, high), _mm256_set1_epi16(1))
    }
    let query = [load(one, 0), load(one, 1), load(one, 2), load(one, 3)];
    let mut groups = out.chunks_exact_mut(4);
    let mut others = all.chunks_exact(4 * DESCRIPTOR_LENGTH);
    for (four, other) in groups.by_ref().zip(others.by_ref()) {
        let a = product(&query, &other[..DESCRIPTOR_LENGTH]);
        let b = product(&query, &other[DESCRIPTOR_LENGTH..2 * DESCRIPTOR_LENGTH]);
        let c = product(&query, &other[2 * DESCRIPTOR_LENGTH..3 * DESCRIPTOR_LENGTH]);
        let d = product(&query, &other[3 * DESCRIPTOR_LENGTH..]);
        let sums = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
        let total = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
        #[expect(unsafe_code, clippy::cast_ptr_alignment, reason = "an unaligned store of four sums")]
        // SAFETY: `four` holds four 32-bit numbers.
        unsafe {
            _mm_storeu_si128(four.as_mut_ptr().cast::<__m128i>(), total);
        }
    }
    dot_products_plain(one, others.remainder(), groups.into_remainder());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::photogrammetry::keypoints::Keypoint;

    /// Keypoints on a lattice whose descriptors are unlike each other.
    fn lattice(shift: f64) -> Keypoints {
        let mut keypoints = Keypoints::default();
        for i in 0..400u32 {
            let xy = [f64::from(i % 20) * 50.0 + shift, f64::from(i / 20) * 50.0 + 5.0];
            keypoints.points.push(Keypoint { xy, scale_px: 2.0, angle: 0.0, rgb: [0.0; 3] });
            keypoints.descriptors.extend((0..128u32).map(|k| {
                let mixed = (i * 131 + k).wrapping_mul(2_654_435_761) >> 7;
                (mixed % 32) as u8
            }));
        }
        keypoints
    }

    #[test]
    fn looking_near_finds_what_looking_everywhere_finds() {
        let (a, b) = (lattice(10.0), lattice(25.0));
        let everywhere = match_all(&a, &b);
        assert_eq!(everywhere.len(), 400);
        let near = match_near(&a, &b, 60.0, |[x, y]| Some([x + 15.0, y]));
        assert_eq!(near, everywhere);
        assert!(match_near(&a, &b, 60.0, |[x, y]| Some([x + 500.0, y])).is_empty());
    }

    #[test]
    fn both_ways_of_multiplying_agree() {
        let one: Vec<u8> = (0..128).map(|i| (i * 37 % 32) as u8).collect();
        let all: Vec<u8> = (0..128 * 7).map(|i| (i * 53 % 33) as u8).collect();
        let (mut quick, mut plain) = (vec![0; 7], vec![0; 7]);
        dot_products(&one, &all, &mut quick);
        dot_products_plain(&one, &all, &mut plain);
        assert_eq!(quick, plain);
    }
}
