//! Nearest descriptors, both ways, with the ratio test.
//!
//! Descriptors are 128 bytes of at most 127 and a length of about 181, so products fit the signed-unsigned
//! multiply of AVX2 and their sums fit 16 bits. On other machines the same integers are added one by one.

use crate::photogrammetry::keypoints::{DESCRIPTOR_LENGTH, Keypoints};

/// The second nearest must be this much farther than the nearest (Lowe 2004, section 7.1), squared.
const RATIO_SQUARED: f32 = 0.8 * 0.8;

/// Index pairs of keypoints that are each other's nearest and clearly nearer than the next.
///
/// Keypoints at one place with two orientations don't compete with each other in the ratio test.
pub fn match_descriptors(a: &Keypoints, b: &Keypoints) -> Vec<[u32; 2]> {
    if a.points.is_empty() || b.points.is_empty() {
        return Vec::new();
    }
    let norms_a = squared_norms(&a.descriptors);
    let norms_b = squared_norms(&b.descriptors);
    let mut products = vec![0i32; b.points.len()];
    let mut best_of_b = vec![(i32::MAX, u32::MAX); b.points.len()];
    let mut best_of_a = Vec::with_capacity(a.points.len());
    for (i, &norm_a) in norms_a.iter().enumerate() {
        dot_products(a.descriptor(i), &b.descriptors, &mut products);
        best_of_a.push(scan_row(i, norm_a, &norms_b, &products, &mut best_of_b, b));
    }
    best_of_a
        .iter()
        .enumerate()
        .filter(|(i, nearest)| {
            best_of_b[nearest.index as usize].1 as usize == *i
                && (nearest.distance as f32) < RATIO_SQUARED * nearest.next as f32
        })
        .map(|(i, nearest)| [i as u32, nearest.index])
        .collect()
}

#[derive(Clone, Copy)]
struct Nearest {
    index: u32,
    distance: i32,
    /// The squared distance of the next one at another place.
    next: i32,
}

fn scan_row(
    i: usize,
    norm_a: i32,
    norms_b: &[i32],
    products: &[i32],
    best_of_b: &mut [(i32, u32)],
    b: &Keypoints,
) -> Nearest {
    let mut nearest = Nearest { index: 0, distance: i32::MAX, next: i32::MAX };
    for (j, ((&norm_b, &product), best)) in norms_b.iter().zip(products).zip(best_of_b).enumerate() {
        let distance = norm_a + norm_b - 2 * product;
        if distance < best.0 {
            *best = (distance, i as u32);
        }
        if distance < nearest.next {
            let same_place = b.points[j].xy == b.points[nearest.index as usize].xy;
            if distance < nearest.distance {
                let next = if same_place { nearest.next } else { nearest.distance };
                nearest = Nearest { index: j as u32, distance, next };
            } else if !same_place {
                nearest.next = distance;
            }
        }
    }
    nearest
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
    use std::arch::x86_64::{
        __m256i, _mm_add_epi32, _mm256_add_epi16, _mm256_castsi256_si128, _mm256_extracti128_si256, _mm256_hadd_epi32,
        _mm256_loadu_si256, _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_set1_epi16,
    };
    use std::arch::x86_64::{__m128i, _mm_storeu_si128};
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
    let ones = _mm256_set1_epi16(1);
    let query = [load(one, 0), load(one, 1), load(one, 2), load(one, 3)];
    let product = |other: &[u8]| {
        // Lengths of 181 keep every 16-bit sum below 32 767.
        let low = _mm256_add_epi16(
            _mm256_maddubs_epi16(query[0], load(other, 0)),
            _mm256_maddubs_epi16(query[1], load(other, 1)),
        );
        let high = _mm256_add_epi16(
            _mm256_maddubs_epi16(query[2], load(other, 2)),
            _mm256_maddubs_epi16(query[3], load(other, 3)),
        );
        _mm256_madd_epi16(_mm256_add_epi16(low, high), ones)
    };
    let mut groups = out.chunks_exact_mut(4);
    let mut others = all.chunks_exact(4 * DESCRIPTOR_LENGTH);
    for (four, other) in groups.by_ref().zip(others.by_ref()) {
        let [a, b, c, d] =
            [0, 1, 2, 3].map(|index| product(&other[index * DESCRIPTOR_LENGTH..(index + 1) * DESCRIPTOR_LENGTH]));
        let sums = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
        let total = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
        #[expect(unsafe_code, reason = "an unaligned store of four sums")]
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
