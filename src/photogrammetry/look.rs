//! What a photo looks like before anything is found in it: black, blown out, or blurred.
//!
//! Sharpness is the variance of the Laplacian (Pech-Pacheco et al. 2000) over the variance of the brightness itself: what share
//! of the contrast is fine. Calm water has little contrast of any kind, a blurred photo has contrast that is not fine; only
//! the share tells them apart.

use serde::{Deserialize, Serialize};

use super::photos::median;
use crate::raster::Rgb8;

/// How a photo looks. Brightness is 0–255.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Look {
    pub brightness: f64,
    /// Variance of the brightness.
    pub contrast: f64,
    /// Variance of the Laplacian over that of the brightness.
    pub fineness: f64,
}

/// Darker on average than this is a lens cap or a night.
const BLACK_BELOW: f64 = 6.0;
/// Brighter is blown out: snow in the sun with a wrong exposure keeps some drawing below.
const WHITE_ABOVE: f64 = 250.0;
/// A photo is blurred when its fineness is below this share of the middle one of its camera, and it has this share of the
/// keypoints at most. Either alone is a pond or a heath.
const BLURRED_SHARE: f64 = 0.2;
const FEW_KEYPOINTS_SHARE: f64 = 0.5;
/// A middle of fewer photos says nothing about the others.
const FEWEST_TO_COMPARE: usize = 5;

impl Look {
    /// Looks at every pixel of a photo, in integers: the same on every machine.
    pub fn of(photo: &Rgb8) -> Self {
        let (width, height) = (photo.width, photo.height);
        if width < 3 || height < 3 {
            return Self::default();
        }
        let gray = |row: usize| -> Vec<i32> {
            let pixels = photo.data[3 * row * width..3 * (row + 1) * width].chunks_exact(3);
            pixels.map(|p| (77 * i32::from(p[0]) + 150 * i32::from(p[1]) + 29 * i32::from(p[2])) >> 8).collect()
        };
        let (mut sum, mut squares, mut edges, mut edge_squares) = (0i64, 0i64, 0i64, 0i64);
        let (mut above, mut here) = (gray(0), gray(1));
        for row in 1..height - 1 {
            let below = gray(row + 1);
            for x in 1..width - 1 {
                let value = i64::from(here[x]);
                let edge = i64::from(above[x] + below[x] + here[x - 1] + here[x + 1]) - 4 * value;
                sum += value;
                squares += value * value;
                edges += edge;
                edge_squares += edge * edge;
            }
            (above, here) = (here, below);
        }
        let count = ((width - 2) * (height - 2)) as f64;
        let variance = |sum: i64, squares: i64| squares as f64 / count - (sum as f64 / count).powi(2);
        let contrast = variance(sum, squares);
        Self { brightness: sum as f64 / count, contrast, fineness: variance(edges, edge_squares) / contrast.max(1.0) }
    }

    /// Why nothing can be found in the photo, when that is plain from itself alone.
    pub fn fault(&self) -> Option<String> {
        let mean = self.brightness;
        if mean < BLACK_BELOW {
            return Some(format!("it is black: its mean brightness is {mean:.0} of 255"));
        }
        (mean > WHITE_ABOVE).then(|| format!("it is overexposed: its mean brightness is {mean:.0} of 255"))
    }
}

/// For each photo why it is blurred beside the others of its camera, if it is. `photos` are camera, look and keypoints.
pub fn blurred(photos: &[(usize, Look, usize)]) -> Vec<Option<String>> {
    let middles = |camera: usize| {
        let own = || photos.iter().filter(move |photo| photo.0 == camera);
        let fineness = median(own().map(|photo| photo.1.fineness))?;
        let keypoints = median(own().map(|photo| photo.2 as f64))?;
        (own().count() >= FEWEST_TO_COMPARE).then_some((fineness, keypoints))
    };
    let cameras = photos.iter().map(|photo| photo.0 + 1).max().unwrap_or(0);
    let middles: Vec<Option<(f64, f64)>> = (0..cameras).map(middles).collect();
    photos
        .iter()
        .map(|(camera, look, keypoints)| {
            let (fineness, usual) = middles[*camera]?;
            let share = look.fineness / fineness.max(1e-9);
            (share < BLURRED_SHARE && (*keypoints as f64) < FEW_KEYPOINTS_SHARE * usual).then(|| {
                format!(
                    "it is blurred: {:.0} % as sharp as the middle photo of its camera, with {keypoints} keypoints in place of \
                     {usual:.0}",
                    100.0 * share
                )
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(value: impl Fn(usize, usize) -> u8) -> Rgb8 {
        let mut picture = Rgb8::new(64, 48);
        for (index, pixel) in picture.data.chunks_exact_mut(3).enumerate() {
            pixel.fill(value(index % 64, index / 64));
        }
        picture
    }

    #[test]
    fn black_and_white_are_faults_and_a_dark_meadow_is_none() {
        assert!(Look::of(&picture(|x, _| (x % 5) as u8)).fault().unwrap().contains("black"));
        assert!(Look::of(&picture(|x, _| 250 + (x % 6) as u8)).fault().unwrap().contains("overexposed"));
        assert_eq!(Look::of(&picture(|x, y| 10 + (x * 7 + y * 11) as u8 % 20)).fault(), None);
    }

    #[test]
    fn fineness_does_not_change_with_contrast_and_falls_with_blur() {
        let sharp = |x: usize, y: usize| (31 * x * x + 57 * y * y + 13 * x * y) % 190;
        let near = |x: usize, y: usize| (0..25).map(move |i| (x + i % 5, y + i / 5));
        let soft = |x: usize, y: usize| near(x, y).map(|(x, y)| sharp(x, y)).sum::<usize>() / 25;
        let fineness = |value: &dyn Fn(usize, usize) -> usize| Look::of(&picture(|x, y| value(x, y) as u8)).fineness;
        let whole = fineness(&sharp);
        assert!((fineness(&|x, y| sharp(x, y) / 3) / whole - 1.0).abs() < 0.1);
        assert!(fineness(&soft) < 0.3 * whole, "{} {whole}", fineness(&soft));
    }

    #[test]
    fn blur_is_told_from_water_by_both_signs_together() {
        let usual = Look { brightness: 100.0, contrast: 900.0, fineness: 0.5 };
        let mut photos = vec![(0, usual, 3000); 6];
        photos.push((0, Look { fineness: 0.04, ..usual }, 300));
        photos.push((0, Look { contrast: 4.0, fineness: 0.9, ..usual }, 150));
        photos.push((0, Look { fineness: 0.05, ..usual }, 2500));
        // Another camera is soft throughout.
        photos.extend(vec![(1, Look { fineness: 0.05, ..usual }, 400); 5]);
        let found = blurred(&photos);
        let which: Vec<usize> = (0..photos.len()).filter(|&index| found[index].is_some()).collect();
        assert_eq!(which, [6]);
        assert!(found[6].as_ref().unwrap().contains("8 % as sharp"), "{found:?}");
    }
}
