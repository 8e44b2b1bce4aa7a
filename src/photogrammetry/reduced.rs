//! Every photo at a glance: small copies, and how sharp each photo is.
//!
//! Colours are compared on these, for the exposure and for the seams. They are made while a photo is decoded for its
//! keypoints and put aside; a few are in memory at a time.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use nalgebra::Vector2;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{
    error::Result,
    photos::{Flight, Photo, median},
    shelf::{Shelf, Shelved},
};
use crate::raster::Rgb8;

/// The longer side of a copy, at most: a pixel is then 8 to 20 cm of the ground, and a person is a few of them.
const LONGEST_SIDE: usize = 512;
/// Copies that are kept in memory after they were used, bytes: those of a hundred photos.
const CACHE_BYTES: usize = 64 << 20;
/// Every this many rows of a photo are looked at for its sharpness.
const SHARPNESS_ROWS: usize = 3;

/// A photo made small.
#[derive(Clone, Serialize, Deserialize)]
pub struct Small {
    width: usize,
    height: usize,
    data: Vec<u8>,
    /// Contrast between neighbours against that between every other pixel: 0.5 when blurred, 1 for noise.
    sharpness: f64,
}

impl Small {
    /// `factor` pixels of the photo become one, across and down.
    pub fn of(photo: &Rgb8, factor: usize) -> Self {
        let Rgb8 { width, height, data } = shrink(photo, factor);
        Self { width, height, data, sharpness: sharpness(photo) }
    }

    pub fn put_aside(self, shelf: &Arc<Shelf>) -> SmallCopy {
        SmallCopy { size: [self.width, self.height], pixels: shelf.put(self.data), sharpness: self.sharpness }
    }
}

/// A small copy of a photo that was put aside.
#[derive(Clone, Debug)]
pub struct SmallCopy {
    size: [usize; 2],
    pixels: Shelved,
    sharpness: f64,
}

/// The small copies of a flight's photos, in the order of the flight.
pub struct Reduced {
    /// How many pixels of a photo are one of its copy, across and down.
    pub factor: usize,
    copies: Vec<SmallCopy>,
    /// What was used last; newest last.
    held: Mutex<Vec<(usize, Arc<Rgb8>)>>,
}

impl Reduced {
    /// Collects the copies of all photos; of a photo that has none it is made. `tell` hears the share done.
    ///
    /// # Errors
    /// [`super::Error::PhotoGone`] and [`super::Error::PhotoChanged`] when a photo is not what it was.
    pub fn of(flight: &Flight, factor: usize, shelf: &Arc<Shelf>, tell: &(dyn Fn(f64) + Sync)) -> Result<Self> {
        let finished = AtomicUsize::new(0);
        let copy = |photo: &Photo| -> Result<SmallCopy> {
            let made = || Ok(Small::of(&photo.read()?, factor).put_aside(shelf));
            let copy = photo.aside.copy.clone().map_or_else(made, Ok);
            tell((finished.fetch_add(1, Ordering::Relaxed) + 1) as f64 / flight.photos.len() as f64);
            copy
        };
        let copies = flight.photos.par_iter().map(copy).collect::<Result<_>>()?;
        Ok(Self { factor, copies, held: Mutex::default() })
    }

    /// Takes the copies of some photos into memory, to look at for as long as the result lives.
    ///
    /// # Errors
    /// [`super::Error::Shelf`] when the disk does not give back what it took.
    pub fn at_hand(&self, photos: impl IntoIterator<Item = usize>) -> Result<AtHand> {
        let mut pictures: Vec<Option<Arc<Rgb8>>> = vec![None; self.copies.len()];
        for photo in photos {
            pictures[photo] = Some(self.picture(photo)?);
        }
        Ok(AtHand { factor: self.factor, pictures })
    }

    fn picture(&self, photo: usize) -> Result<Arc<Rgb8>> {
        let held = || self.held.lock().unwrap_or_else(PoisonError::into_inner);
        {
            let mut held = held();
            if let Some(place) = held.iter().position(|(of, _)| *of == photo) {
                let found = held.remove(place);
                let picture = Arc::clone(&found.1);
                held.push(found);
                return Ok(picture);
            }
        }
        let SmallCopy { size: [width, height], pixels, .. } = &self.copies[photo];
        let picture = Arc::new(Rgb8 { width: *width, height: *height, data: pixels.take_down()? });
        let mut held = held();
        held.push((photo, Arc::clone(&picture)));
        let mut bytes: usize = held.iter().map(|(_, picture)| picture.data.len()).sum();
        while bytes > CACHE_BYTES {
            bytes -= held.remove(0).1.data.len();
        }
        Ok(picture)
    }

    /// How sharp each photo is against the middle one of its flight: 1 is as sharp, 0.5 is a blur of about three pixels.
    pub fn relative_sharpness(&self) -> Vec<f64> {
        let middle = median(self.copies.iter().map(|copy| copy.sharpness)).unwrap_or(0.0);
        let relative = |copy: &SmallCopy| if middle > 0.0 { copy.sharpness / middle } else { 1.0 };
        self.copies.iter().map(relative).collect()
    }

    #[cfg(test)]
    pub fn of_pictures(factor: usize, photos: &[Rgb8]) -> Self {
        let shelf = Arc::default();
        let copies = photos.iter().map(|photo| Small::of(photo, factor).put_aside(&shelf)).collect();
        Self { factor, copies, held: Mutex::default() }
    }
}

/// Small copies in memory.
pub struct AtHand {
    factor: usize,
    /// By photo.
    pictures: Vec<Option<Arc<Rgb8>>>,
}

impl AtHand {
    /// The colour at a pixel of the photo, linear between the pixels of its copy, the border repeated outside.
    ///
    /// # Panics
    /// When the photo was not asked for.
    pub fn colour(&self, photo: usize, pixel: &Vector2<f64>) -> [f32; 3] {
        let picture = self.pictures[photo].as_ref().expect("its copy was asked for");
        let scale = 1.0 / self.factor as f64;
        let x = (pixel.x * scale - 0.5).clamp(0.0, (picture.width - 1) as f64) as f32;
        let y = (pixel.y * scale - 0.5).clamp(0.0, (picture.height - 1) as f64) as f32;
        let (left, top) = (x as usize, y as usize);
        let (fx, fy) = (x - left as f32, y - top as f32);
        let (right, below) = ((left + 1).min(picture.width - 1), (top + 1).min(picture.height - 1));
        let at = |column: usize, row: usize| picture.pixel(column, row).map(f32::from);
        let (a, b, c, d) = (at(left, top), at(right, top), at(left, below), at(right, below));
        std::array::from_fn(|i| (a[i] * (1.0 - fx) + b[i] * fx) * (1.0 - fy) + (c[i] * (1.0 - fx) + d[i] * fx) * fy)
    }
}

/// How many pixels of a flight's photos are one of a copy, across and down.
pub fn factor_for(flight: &Flight) -> usize {
    let longest = flight.cameras.iter().map(|camera| camera.prior.width_px.max(camera.prior.height_px) as usize).max();
    longest.unwrap_or(1).div_ceil(LONGEST_SIDE).max(1)
}

/// A picture of means over squares of `factor` pixels; what is left over at the right and below belongs to the last.
pub fn shrink(picture: &Rgb8, factor: usize) -> Rgb8 {
    if factor <= 1 {
        return picture.clone();
    }
    let (width, height) = ((picture.width / factor).max(1), (picture.height / factor).max(1));
    let mut small = Rgb8::new(width, height);
    let mut sums = vec![0u32; 3 * width];
    for (row, line) in small.data.chunks_exact_mut(3 * width).enumerate() {
        sums.fill(0);
        let rows = row * factor..((row + 1) * factor).min(picture.height);
        let count = (rows.len() * factor.min(picture.width)) as u32;
        for source in rows {
            let pixels = &picture.data[3 * source * picture.width..][..3 * picture.width];
            for (sum, square) in sums.chunks_exact_mut(3).zip(pixels.chunks(3 * factor)) {
                for pixel in square.chunks_exact(3) {
                    for (total, value) in sum.iter_mut().zip(pixel) {
                        *total += u32::from(*value);
                    }
                }
            }
        }
        for (value, sum) in line.iter_mut().zip(&sums) {
            *value = ((sum + count / 2) / count) as u8;
        }
    }
    small
}

/// How much of the contrast between pixels two apart is there between neighbours already.
fn sharpness(picture: &Rgb8) -> f64 {
    let (mut near, mut far) = (0u64, 0u64);
    let stride = 3 * picture.width;
    for row in picture.data.chunks_exact(stride).step_by(SHARPNESS_ROWS) {
        let green = |at: usize| i32::from(row[3 * at + 1]);
        for at in 2..picture.width {
            near += u64::from((green(at) - green(at - 1)).unsigned_abs().pow(2));
            far += u64::from((green(at) - green(at - 2)).unsigned_abs().pow(2));
        }
    }
    if far == 0 { 0.0 } else { (near as f64 / far as f64).sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(width: usize, height: usize, side: usize) -> Rgb8 {
        let mut picture = Rgb8::new(width, height);
        for (index, pixel) in picture.data.chunks_exact_mut(3).enumerate() {
            let even = (index % width / side + index / width / side).is_multiple_of(2);
            pixel.fill(if even { 40 } else { 200 });
        }
        picture
    }

    #[test]
    fn a_copy_has_the_mean_colours_at_the_same_places() {
        let photo = checked(64, 48, 8);
        let reduced = Reduced::of_pictures(4, std::slice::from_ref(&photo));
        for (x, y) in [(4.0, 4.0), (12.0, 4.0), (36.0, 44.0), (60.0, 20.0)] {
            let expected = photo.pixel(x as usize, y as usize).map(f32::from);
            // In the middle of a square of the board, two of the copy's pixels away from any other.
            assert_eq!(reduced.at_hand([0]).unwrap().colour(0, &Vector2::new(x, y)), expected, "{x} {y}");
        }
        assert_eq!(shrink(&photo, 16).pixel(1, 1), [120; 3]);
    }

    #[test]
    fn a_smeared_photo_is_less_sharp() {
        let mut sharp = Rgb8::new(200, 60);
        for (index, value) in sharp.data.iter_mut().enumerate() {
            // Noise: a product alone repeats itself every few pixels, and smearing it is no blur.
            let mixed = (index as u32 / 3 + 1).wrapping_mul(0x045d_9f3b);
            *value = ((mixed ^ (mixed >> 16)).wrapping_mul(0x045d_9f3b) >> 24) as u8;
        }
        let mut smeared = sharp.clone();
        for row in 0..60 {
            for column in 3..197 {
                let sum: u32 = (column - 3..=column + 3).map(|c| u32::from(sharp.pixel(c, row)[1])).sum();
                smeared.data[3 * (row * 200 + column) + 1] = (sum / 7) as u8;
            }
        }
        let reduced = Reduced::of_pictures(2, &[sharp.clone(), sharp, smeared]);
        let sharpness = reduced.relative_sharpness();
        assert!((sharpness[0] - 1.0).abs() < 1e-9 && sharpness[2] < 0.8, "{sharpness:?}");
    }
}
