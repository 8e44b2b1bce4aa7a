//! Finds points that other photos will find again, and describes what is around them.
//!
//! The detector is SIFT (Lowe 2004, *Distinctive image features from scale-invariant keypoints*): extrema of a
//! difference-of-Gaussians pyramid, placed to a fraction of a pixel, each with an orientation and 128 numbers.
//! The numbers are kept as `RootSIFT` (Arandjelović and Zisserman 2012) in bytes that never exceed 127.
//! What we keep is spread over the frame, because a block is held together by its edges and not by one bright tree.
//!
//! Invariant: the same photo gives the same keypoints in the same order on every machine and with any number of threads.

mod descriptor;
mod detect;
mod peaks;
mod pyramid;
mod shelved;
mod spread;

use serde::{Deserialize, Serialize};

use crate::raster::Rgb8;

pub use descriptor::DESCRIPTOR_LENGTH;
pub use pyramid::Gray;
pub use shelved::ShelvedKeypoints;

/// One point of a photo: where, how large, which way, and the colour around it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Keypoint {
    /// Pixels of the photo as stored, from the top-left corner.
    pub xy: [f64; 2],
    /// The Gaussian scale at which it was found, in pixels of the photo.
    pub scale_px: f32,
    /// Radians, clockwise from the photo's x axis.
    pub angle: f32,
    /// Mean red, green and blue of the pixels around it, 0–255; for the exposure balance.
    pub rgb: [f32; 3],
}

/// The keypoints of one photo and their descriptors, `n × 128` bytes, row-major.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Keypoints {
    pub points: Vec<Keypoint>,
    pub descriptors: Vec<u8>,
}

impl Keypoints {
    /// The 128 numbers of one keypoint.
    pub fn descriptor(&self, index: usize) -> &[u8] {
        &self.descriptors[index * DESCRIPTOR_LENGTH..(index + 1) * DESCRIPTOR_LENGTH]
    }

    /// The keypoints of the largest scales, `wanted` of them, in their order.
    pub fn largest(&self, wanted: usize) -> Self {
        let mut order: Vec<usize> = (0..self.points.len()).collect();
        order.sort_by(|&i, &j| self.points[j].scale_px.total_cmp(&self.points[i].scale_px).then(i.cmp(&j)));
        order.truncate(wanted);
        order.sort_unstable();
        Self {
            points: order.iter().map(|&index| self.points[index]).collect(),
            descriptors: order.iter().flat_map(|&index| self.descriptor(index)).copied().collect(),
        }
    }
}

/// How many keypoints to look for, and where to start.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct KeypointOptions {
    /// At most this many places are described; one place may have two orientations.
    pub wanted: usize,
    /// The least contrast of an extremum, as a fraction of full white.
    pub contrast: f32,
    /// Whether the pyramid starts at twice the photo's size, which finds twice as much at four times the cost.
    pub doubled: bool,
    /// Photos longer than this are halved (or more) first, so that cost does not grow with the sensor.
    pub longest_side_px: usize,
}

impl Default for KeypointOptions {
    fn default() -> Self {
        // Lowe's 0.04 divided over three layers; half of it, because grass has little contrast.
        Self { wanted: 5000, contrast: 0.0067, doubled: true, longest_side_px: 2600 }
    }
}

/// Detects and describes the keypoints of a photo.
///
/// Peak memory is about `6 × 4 × pixels` bytes, four times that when the pyramid is doubled.
pub fn detect_keypoints(photo: &Rgb8, options: &KeypointOptions) -> Keypoints {
    let shrink = photo.width.max(photo.height).div_ceil(options.longest_side_px).max(1);
    let gray = Gray::of_photo(photo, shrink);
    let pyramid_start = if options.doubled { gray.doubled() } else { gray };
    let blur = if options.doubled { 1.0 } else { 0.5 };
    let to_photo = shrink as f64 / if options.doubled { 2.0 } else { 1.0 };

    let mut pyramid = pyramid::Octaves::new(pyramid_start, blur);
    let mut extrema = Vec::new();
    let mut octaves = Vec::new();
    while let Some(octave) = pyramid.next_octave() {
        detect::find_extrema(&octave, options.contrast, &mut extrema);
        octaves.push(octave.into_small());
    }
    let size = [photo.width as f64 / to_photo, photo.height as f64 / to_photo];
    let kept = spread::spread_over(&extrema, size, options.wanted);

    let mut found = Keypoints::default();
    for extremum in kept {
        let octave = &octaves[extremum.octave];
        let image = octave.gaussian(extremum.layer);
        for angle in descriptor::orientations(image, &extremum) {
            descriptor::describe(image, &extremum, angle, &mut found.descriptors);
            let [x, y] = extremum.base_xy();
            let xy = [(x + 0.5) * to_photo, (y + 0.5) * to_photo];
            found.points.push(Keypoint {
                xy,
                scale_px: extremum.base_scale() * to_photo as f32,
                angle,
                rgb: mean_colour(photo, xy),
            });
        }
    }
    found
}

/// The mean colour of the 7 × 7 pixels around a place, cut at the frame.
fn mean_colour(photo: &Rgb8, xy: [f64; 2]) -> [f32; 3] {
    let (column, row) = (xy[0] as usize, xy[1] as usize);
    let columns = column.saturating_sub(3)..(column + 4).min(photo.width);
    let rows = row.saturating_sub(3)..(row + 4).min(photo.height);
    let (mut sum, mut count) = ([0u32; 3], 0u32);
    for y in rows {
        for x in columns.clone() {
            let at = 3 * (y * photo.width + x);
            for (channel, total) in sum.iter_mut().enumerate() {
                *total += u32::from(photo.data[at + channel]);
            }
            count += 1;
        }
    }
    sum.map(|total| total as f32 / count.max(1) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number in [0, 1) that knows nothing of its neighbours (Steele, Lea and Flood 2014, `SplitMix`).
    fn scattered(index: u64) -> f64 {
        let mut z = (index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Blobs of many sizes on grey, seen through a turn and a zoom about the middle.
    fn picture(turn: f64, zoom: f64) -> Rgb8 {
        let mut photo = Rgb8::new(320, 240);
        let (sin, cos) = turn.sin_cos();
        for (index, pixel) in photo.data.chunks_exact_mut(3).enumerate() {
            let (x, y) = ((index % 320) as f64 + 0.5 - 160.0, (index / 320) as f64 + 0.5 - 120.0);
            let (u, v) = ((cos * x + sin * y) / zoom, (cos * y - sin * x) / zoom);
            let mut value = 120.0;
            for blob in 0..500 {
                let at = |salt: u64| scattered(blob * 4 + salt);
                let (dx, dy, size) = (u - 300.0 * (at(1) - 0.5), v - 260.0 * (at(2) - 0.5), 1.5 + 3.0 * at(3));
                value +=
                    (if blob % 2 == 0 { 70.0 } else { -70.0 }) * (-(dx * dx + dy * dy) / (2.0 * size * size)).exp();
            }
            pixel.fill(value.clamp(0.0, 255.0) as u8);
        }
        photo
    }

    #[test]
    fn a_turned_and_zoomed_photo_has_the_same_keypoints() {
        let (turn, zoom) = (0.6f64, 1.25);
        let options = KeypointOptions::default();
        let (a, b) = (detect_keypoints(&picture(0.0, 1.0), &options), detect_keypoints(&picture(turn, zoom), &options));
        let matched = crate::photogrammetry::matching::match_pair(0, 1, &a, &b, 320.0);
        let (sin, cos) = turn.sin_cos();
        let right = matched.matches.iter().filter(|[i, j]| {
            let ([x, y], [u, v]) = (a.points[*i as usize].xy, b.points[*j as usize].xy);
            let (x, y) = ((x - 160.0) * zoom, (y - 120.0) * zoom);
            let expected = [cos * x - sin * y + 160.0, sin * x + cos * y + 120.0];
            (expected[0] - u).hypot(expected[1] - v) < 1.0
        });
        let right = right.count();
        assert!(right >= 20 && right * 10 >= matched.matches.len() * 9, "{right} of {}", matched.matches.len());
    }

    #[test]
    fn the_same_photo_gives_the_same_keypoints() {
        let (a, b) = (
            detect_keypoints(&picture(0.2, 1.0), &KeypointOptions::default()),
            detect_keypoints(&picture(0.2, 1.0), &KeypointOptions::default()),
        );
        assert_eq!((a.points, a.descriptors), (b.points, b.descriptors));
    }
}
