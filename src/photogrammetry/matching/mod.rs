//! Finds the same ground in two photos.
//!
//! Nearest descriptors both ways, Lowe's ratio test, then geometry: a match must agree with one homography (flat
//! ground) or with one fundamental matrix (ground with relief) that many others agree with. Drone photos of
//! a dike are nearly planar and the fundamental matrix is then not unique, so planar pairs are kept
//! for their homography and never dropped for their degeneracy.
//!
//! Invariant: the result depends on the two photos alone; random draws are seeded by the pair.

mod descriptors;
mod fundamental;
mod homography;
mod ransac;

use nalgebra::{Matrix3, Vector2};
use serde::{Deserialize, Serialize};

use super::keypoints::Keypoints;

/// Matches of two photos that survived the geometry.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PairMatches {
    pub first: usize,
    pub second: usize,
    /// Keypoint indices in the first and the second photo.
    pub matches: Vec<[u32; 2]>,
}

/// A pair with fewer verified matches than this is chance.
pub const FEWEST_MATCHES: usize = 20;
/// How far a match may be from the homography, as a fraction of the photo's longer side: lens distortion and
/// relief bend a flat mapping by this much.
const HOMOGRAPHY_TOLERANCE: f64 = 0.006;
/// How far from the epipolar line, likewise: about 2.5 pixels of 1600.
const EPIPOLAR_TOLERANCE: f64 = 0.0015;
/// How far relief may move a match along its epipolar line, likewise: a tree of a quarter of the flying height.
const PARALLAX: f64 = 0.12;
/// Keypoints that are enough to see how two photos lie, and how many must agree.
const ROUGH_KEYPOINTS: usize = 1200;
const ROUGH_MATCHES: usize = 25;

/// Matches two photos and verifies the matches; empty when nothing reliable is left.
///
/// `longest_side_px` is the longer side of the larger photo, the yardstick of the tolerances.
pub fn match_pair(first: usize, second: usize, a: &Keypoints, b: &Keypoints, longest_side_px: f64) -> PairMatches {
    let seed = (first as u64) << 32 | second as u64;
    let candidates = match rough_mapping(a, b, longest_side_px, seed) {
        Some(mapping) => descriptors::match_near(a, b, PARALLAX * longest_side_px, |xy| homography::map(&mapping, xy)),
        None => descriptors::match_all(a, b),
    };
    let places = places_of(a, b, &candidates);
    let matches = verified(&places, longest_side_px, seed).into_iter().map(|index| candidates[index]).collect();
    PairMatches { first, second, matches }
}

/// The homography of the largest keypoints, in pixels: a tenth of the work tells where to look for the others.
fn rough_mapping(a: &Keypoints, b: &Keypoints, longest_side_px: f64, seed: u64) -> Option<Matrix3<f64>> {
    let (coarse_a, coarse_b) = (a.largest(ROUGH_KEYPOINTS), b.largest(ROUGH_KEYPOINTS));
    let candidates = descriptors::match_all(&coarse_a, &coarse_b);
    let scale = 2.0 / longest_side_px;
    let scaled: Vec<[Vector2<f64>; 2]> =
        places_of(&coarse_a, &coarse_b, &candidates).iter().map(|[p, q]| [p * scale, q * scale]).collect();
    let flat = ransac::best_model(&homography::Estimator, &scaled, 4.0 * HOMOGRAPHY_TOLERANCE, seed)?;
    (flat.inliers.len() >= ROUGH_MATCHES && 3 * flat.inliers.len() > candidates.len()).then(|| {
        let zoom = Matrix3::new(scale, 0.0, 0.0, 0.0, scale, 0.0, 0.0, 0.0, 1.0);
        let back = Matrix3::new(1.0 / scale, 0.0, 0.0, 0.0, 1.0 / scale, 0.0, 0.0, 0.0, 1.0);
        back * flat.model * zoom
    })
}

fn places_of(a: &Keypoints, b: &Keypoints, matches: &[[u32; 2]]) -> Vec<[Vector2<f64>; 2]> {
    matches.iter().map(|&[i, j]| [a.points[i as usize].xy.into(), b.points[j as usize].xy.into()]).collect()
}

/// The indices of the matches that one homography or one fundamental matrix explains.
fn verified(places: &[[Vector2<f64>; 2]], longest_side_px: f64, seed: u64) -> Vec<usize> {
    if places.len() < FEWEST_MATCHES {
        return Vec::new();
    }
    // The longer side becomes 2, which keeps the equations well conditioned.
    let scale = 2.0 / longest_side_px;
    let scaled: Vec<[Vector2<f64>; 2]> = places.iter().map(|[p, q]| [p * scale, q * scale]).collect();

    let flat = ransac::best_model(&homography::Estimator, &scaled, 2.0 * HOMOGRAPHY_TOLERANCE, seed);
    let relief = ransac::best_model(&fundamental::Estimator, &scaled, 2.0 * EPIPOLAR_TOLERANCE, seed ^ 0x5eed);
    let (flat, relief) = match (flat, relief) {
        (Some(flat), relief) if flat.inliers.len() >= FEWEST_MATCHES => (flat, relief),
        // Without a dominant plane the epipolar geometry must stand alone, and be better than chance.
        (_, Some(relief)) if relief.inliers.len() >= 2 * FEWEST_MATCHES => return relief.inliers,
        _ => return Vec::new(),
    };
    let mut keep = vec![false; scaled.len()];
    for &index in &flat.inliers {
        keep[index] = true;
    }
    for index in relief.into_iter().flat_map(|model| model.inliers) {
        keep[index] |= homography::distance(&flat.model, &scaled[index]) < 2.0 * PARALLAX;
    }
    (0..keep.len()).filter(|&index| keep[index]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hundred matches by a rotation and shift, with forty wrong ones between them.
    fn planar_matches() -> Vec<[Vector2<f64>; 2]> {
        (0..140)
            .map(|i| {
                let p = Vector2::new(f64::from(i * 97 % 1600), f64::from(i * 61 % 1200));
                let wrong = Vector2::new(f64::from(i * 353 % 1600), f64::from(i * 511 % 1200));
                let turned = Vector2::new(0.8 * p.x - 0.6 * p.y + 500.0, 0.6 * p.x + 0.8 * p.y - 100.0);
                [p, if i < 100 { turned } else { wrong }]
            })
            .collect()
    }

    #[test]
    fn a_planar_pair_is_kept_and_its_wrong_matches_are_not() {
        let kept = verified(&planar_matches(), 1600.0, 7);
        assert!((0..100).all(|index| kept.contains(&index)));
        assert!(kept.len() <= 103, "{} kept", kept.len());
    }

    #[test]
    fn a_house_above_the_plane_is_kept_by_the_epipolar_geometry() {
        // Parallax along x only, as in a strip: flat ground moves 400 pixels, the roof 460.
        let mut places: Vec<[Vector2<f64>; 2]> = Vec::new();
        for i in 0..120 {
            let p = Vector2::new(f64::from(400 + i * 97 % 1200), f64::from(i * 61 % 1200));
            places.push([p, p - Vector2::new(400.0 + f64::from(i % 7) * 1.5, 0.0)]);
        }
        for i in 0..30 {
            let p = Vector2::new(f64::from(800 + i * 7), f64::from(500 + i * 31 % 150));
            places.push([p, p - Vector2::new(460.0, 0.0)]);
        }
        let kept = verified(&places, 1600.0, 7);
        assert!(kept.len() >= 148, "{} of 150 kept", kept.len());
    }

    #[test]
    fn chance_matches_are_no_pair() {
        let places: Vec<[Vector2<f64>; 2]> = (0..60)
            .map(|i| {
                let p = Vector2::new(f64::from(i * 97 % 1600), f64::from(i * 61 % 1200));
                [p, Vector2::new(f64::from(i * 353 % 1600), f64::from(i * i * 511 % 1200))]
            })
            .collect();
        assert!(verified(&places, 1600.0, 7).is_empty());
    }
}
