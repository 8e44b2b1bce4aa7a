//! The keypoints of a photo, put aside until a pair needs them.

use super::{Keypoint, Keypoints};
use crate::photogrammetry::{
    error::Result,
    shelf::{Shelf, Shelved},
};
use std::sync::Arc;

/// Where the keypoints of a photo and their descriptors are.
#[derive(Clone, Debug)]
pub struct ShelvedKeypoints {
    pub count: usize,
    points: Shelved,
    descriptors: Shelved,
}

/// Bytes of a keypoint on the shelf: two doubles and five singles.
const POINT_BYTES: usize = 2 * 8 + 5 * 4;

impl ShelvedKeypoints {
    pub fn of(keypoints: Keypoints, shelf: &Arc<Shelf>) -> Self {
        let Keypoints { points, descriptors } = keypoints;
        let bytes = points.iter().flat_map(to_bytes).collect();
        Self { count: points.len(), points: shelf.put(bytes), descriptors: shelf.put(descriptors) }
    }

    /// The keypoints without their descriptors.
    ///
    /// # Errors
    /// Those of [`Shelved::take_down`].
    pub fn points(&self) -> Result<Vec<Keypoint>> {
        Ok(self.points.take_down()?.as_chunks().0.iter().map(from_bytes).collect())
    }

    /// The keypoints with their descriptors.
    ///
    /// # Errors
    /// Those of [`Shelved::take_down`].
    pub fn whole(&self) -> Result<Keypoints> {
        Ok(Keypoints { points: self.points()?, descriptors: self.descriptors.take_down()? })
    }
}

fn to_bytes(point: &Keypoint) -> [u8; POINT_BYTES] {
    let mut bytes = [0; POINT_BYTES];
    let (doubles, singles) = bytes.split_at_mut(16);
    for (to, value) in doubles.chunks_exact_mut(8).zip(point.xy) {
        to.copy_from_slice(&value.to_le_bytes());
    }
    let [red, green, blue] = point.rgb;
    for (to, value) in singles.chunks_exact_mut(4).zip([point.scale_px, point.angle, red, green, blue]) {
        to.copy_from_slice(&value.to_le_bytes());
    }
    bytes
}

fn from_bytes(bytes: &[u8; POINT_BYTES]) -> Keypoint {
    let (doubles, singles) = bytes.split_at(16);
    let [x, y]: [f64; 2] = std::array::from_fn(|at| f64::from_le_bytes(doubles.as_chunks().0[at]));
    let [scale_px, angle, red, green, blue]: [f32; 5] =
        std::array::from_fn(|at| f32::from_le_bytes(singles.as_chunks().0[at]));
    Keypoint { xy: [x, y], scale_px, angle, rgb: [red, green, blue] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keypoints_come_back_bit_by_bit() {
        let point = |index: u32| {
            let value = f64::from(index) / 3.0;
            let single = value as f32;
            Keypoint { xy: [value, -1.7 * value], scale_px: single, angle: -single, rgb: [single, 0.1, 255.0] }
        };
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::in_one_of([folder.path()]);
        let keypoints = Keypoints { points: (0..50).map(point).collect(), descriptors: (0..=255).collect() };
        let shelved = ShelvedKeypoints::of(keypoints.clone(), &shelf);
        assert_eq!((shelved.count, shelved.points().unwrap()), (50, keypoints.points.clone()));
        assert_eq!(shelved.whole().unwrap().descriptors, keypoints.descriptors);
    }
}
