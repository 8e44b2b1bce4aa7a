//! The photos as the sweep looks at them: grey, and smaller the coarser it looks.

use std::sync::Arc;

use rayon::prelude::*;

use crate::{
    photogrammetry::{
        error::Result,
        shelf::{Shelf, Shelved},
    },
    raster::Rgb8,
};

/// How many times a photo is halved: what the sweep looks at has 2 or 4 of its pixels to a side.
pub const LEVELS: usize = 2;
/// Pyramids kept between tiles, bytes. Those of a hundred photos of two megapixels are 66 MB.
const CACHE_BYTES: usize = 128 << 20;

/// A grey picture, row-major.
pub struct Grey {
    pub width: usize,
    pub height: usize,
    pub data: Vec<u8>,
}

/// A photo at half its size and at a quarter.
pub struct Pyramid {
    levels: Vec<Grey>,
}

impl Pyramid {
    pub fn of(photo: &Rgb8) -> Self {
        let luma = |p: &[u8]| (299 * u32::from(p[0]) + 587 * u32::from(p[1]) + 114 * u32::from(p[2])) / 1000;
        let (width, height) = (photo.width / 2, photo.height / 2);
        let mut data = Vec::with_capacity(width * height);
        for row in 0..height {
            let (upper, lower) = (6 * row * photo.width, 3 * (2 * row + 1) * photo.width);
            let (upper, lower) = (&photo.data[upper..lower], &photo.data[lower..lower + 3 * photo.width]);
            data.extend(
                upper
                    .chunks_exact(6)
                    .zip(lower.chunks_exact(6))
                    .map(|(a, b)| ((luma(&a[..3]) + luma(&a[3..]) + luma(&b[..3]) + luma(&b[3..]) + 2) / 4) as u8),
            );
        }
        Self::over(Grey { width, height, data })
    }

    fn over(half: Grey) -> Self {
        let mut levels = vec![half];
        for _ in 1..LEVELS {
            levels.push(levels[levels.len() - 1].halved());
        }
        Self { levels }
    }

    /// Puts it aside; `None` when the disk has no room, for it can be made again.
    pub fn put_aside(&self, shelf: &Arc<Shelf>) -> Option<ShelvedPyramid> {
        let Grey { width, height, data } = self.level(1);
        Some(ShelvedPyramid { size: [*width, *height], half: shelf.put_if_there_is_room(data)? })
    }

    /// The picture `2^level` times as small as the photo; `level` from 1 to [`LEVELS`].
    pub fn level(&self, level: usize) -> &Grey {
        &self.levels[level - 1]
    }

    fn bytes(&self) -> usize {
        self.levels.iter().map(|grey| grey.data.len()).sum()
    }
}

/// A pyramid that was put aside: its finest level, of which the others are made again.
#[derive(Clone, Debug)]
pub struct ShelvedPyramid {
    size: [usize; 2],
    half: Shelved,
}

impl ShelvedPyramid {
    /// # Errors
    /// Those of [`Shelved::take_down`].
    pub fn take_down(&self) -> Result<Pyramid> {
        let [width, height] = self.size;
        Ok(Pyramid::over(Grey { width, height, data: self.half.take_down()? }))
    }
}

impl Grey {
    fn halved(&self) -> Self {
        let (width, height) = (self.width / 2, self.height / 2);
        let mut data = Vec::with_capacity(width * height);
        for row in 0..height {
            let line = |row: usize| &self.data[row * self.width..(row + 1) * self.width];
            let pairs = line(2 * row).chunks_exact(2).zip(line(2 * row + 1).chunks_exact(2));
            data.extend(
                pairs.map(|(a, b)| {
                    ((u32::from(a[0]) + u32::from(a[1]) + u32::from(b[0]) + u32::from(b[1]) + 2) / 4) as u8
                }),
            );
        }
        Self { width, height, data }
    }

    /// Greys along a line between two places in pixels of this picture, (0, 0) its corner: one for each of `greys`, the
    /// first at `from`, the place after the last at `to`. Zeros when the line leaves the picture.
    pub fn sample_line(&self, from: [f32; 2], to: [f32; 2], greys: &mut [f32], steps: usize) {
        let last = [self.width as f32 - 1.5, self.height as f32 - 1.5];
        let inside = |place: [f32; 2]| (0..2).all(|axis| place[axis] >= 0.5 && place[axis] < last[axis]);
        if !inside(from) || !inside(to) {
            return greys.fill(0.0);
        }
        // Places in 65,536ths of a pixel from the middle of the first one.
        let fixed = |place: [f32; 2]| place.map(|v| ((v - 0.5) * 65536.0) as i64);
        let (from, to) = (fixed(from), fixed(to));
        let step = [0, 1].map(|axis| (to[axis] - from[axis]) / steps as i64);
        let [mut x, mut y] = from;
        for grey in greys {
            let at = (y >> 16) as usize * self.width + (x >> 16) as usize;
            let (fx, fy) = ((x & 0xffff) as f32 / 65536.0, (y & 0xffff) as f32 / 65536.0);
            let square = &self.data[at..at + self.width + 2];
            let (a, b) = (f32::from(square[0]), f32::from(square[1]));
            let (c, d) = (f32::from(square[self.width]), f32::from(square[self.width + 1]));
            let (above, below) = (a + fx * (b - a), c + fx * (d - c));
            *grey = above + fy * (below - above);
            x += step[0];
            y += step[1];
        }
    }
}

/// Pyramids of the photos asked for last.
pub struct Pictures<'a> {
    read: &'a (dyn Fn(usize) -> Result<Pyramid> + Sync),
    /// Newest last.
    held: Vec<(usize, Arc<Pyramid>)>,
}

impl<'a> Pictures<'a> {
    pub fn new(read: &'a (dyn Fn(usize) -> Result<Pyramid> + Sync)) -> Self {
        Self { read, held: Vec::new() }
    }

    /// The pyramids of the given photos, in order; those not held are read side by side.
    ///
    /// # Errors
    /// Those of reading a photo.
    pub fn load(&mut self, photos: &[usize]) -> Result<Vec<Arc<Pyramid>>> {
        let missing: Vec<usize> =
            photos.iter().copied().filter(|photo| !self.held.iter().any(|(held, _)| held == photo)).collect();
        self.held.sort_by_key(|(held, _)| photos.contains(held));
        let read: Vec<Result<Pyramid>> = missing.par_iter().map(|&photo| (self.read)(photo)).collect();
        for (photo, pyramid) in missing.into_iter().zip(read) {
            self.held.push((photo, Arc::new(pyramid?)));
        }
        let find = |photo: &usize| {
            let held = self.held.iter().find(|(held, _)| held == photo);
            held.map(|(_, pyramid)| Arc::clone(pyramid)).expect("every photo was just held or read")
        };
        let found = photos.iter().map(find).collect();
        let mut bytes: usize = self.held.iter().map(|(_, pyramid)| pyramid.bytes()).sum();
        while bytes > CACHE_BYTES && !self.held.is_empty() && !photos.contains(&self.held[0].0) {
            bytes -= self.held.remove(0).1.bytes();
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pyramid_that_was_put_aside_is_the_same() {
        let mut photo = Rgb8::new(65, 47);
        photo.data.iter_mut().enumerate().for_each(|(index, value)| *value = (index * index % 251) as u8);
        let folder = tempfile::tempdir().unwrap();
        let (shelf, pyramid) = (Shelf::in_one_of([folder.path()]), Pyramid::of(&photo));
        let again = pyramid.put_aside(&shelf).unwrap().take_down().unwrap();
        for level in 1..=LEVELS {
            let [one, other] = [pyramid.level(level), again.level(level)];
            assert_eq!((one.width, one.height, &one.data), (other.width, other.height, &other.data));
        }
    }

    #[test]
    fn a_place_stays_where_it_is_at_every_level() {
        let mut photo = Rgb8::new(64, 48);
        for (index, value) in photo.data.iter_mut().enumerate() {
            *value = (index / 3 % 64 * 4) as u8;
        }
        let pyramid = Pyramid::of(&photo);
        for level in 1..=LEVELS {
            let size = (1 << level) as f32;
            // The ramp is 4 grey levels a pixel and 2 at half a pixel from the left, where its first pixel is 0.
            let mut greys = [0.0; 2];
            pyramid.level(level).sample_line([30.0 / size, 20.0 / size], [32.0 / size, 20.0 / size], &mut greys, 2);
            assert!((greys[0] - 118.0).abs() < 1.0 && (greys[1] - 122.0).abs() < 1.0, "{greys:?} at level {level}");
        }
    }
}
