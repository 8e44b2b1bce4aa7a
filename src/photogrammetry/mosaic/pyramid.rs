//! Pictures of four numbers a pixel at several scales (Burt and Adelson 1983).
//!
//! A level's pixel lies over two by two of the level below, so that levels of pictures that begin at a multiple of the
//! coarsest pixel fit onto each other: what is computed at a place does not depend on where the picture begins.

use rayon::prelude::*;

pub type Pixel = [f32; 4];

/// One level: where it begins, in its own pixels of the whole orthophoto, and its pixels.
#[derive(Clone, Debug)]
pub struct Level {
    pub at: [usize; 2],
    pub size: [usize; 2],
    pub pixels: Vec<Pixel>,
}

impl Level {
    pub fn zero(at: [usize; 2], size: [usize; 2]) -> Self {
        Self { at, size, pixels: vec![[0.0; 4]; size[0] * size[1]] }
    }

    /// The next coarser level: a smooth mean over four by four pixels ([1 3 3 1]/8 both ways), the border repeated.
    pub fn reduced(&self) -> Self {
        let [width, height] = self.size;
        let mut coarse = Self::zero(self.at.map(|at| at / 2), self.size.map(|side| side.div_ceil(2)));
        coarse.pixels.par_chunks_mut(width.div_ceil(2)).enumerate().for_each(|(row, line)| {
            let rows = taps(row, height).map(|y| &self.pixels[y * width..][..width]);
            let column = |x: usize| smooth([rows[0][x], rows[1][x], rows[2][x], rows[3][x]]);
            let means: Vec<Pixel> = (0..width).map(column).collect();
            for (x, pixel) in line.iter_mut().enumerate() {
                *pixel = smooth(taps(x, width).map(|x| means[x]));
            }
        });
        coarse
    }

    /// Calls `with` for every row with the pixels that the coarser level, linear between its own, has there.
    pub fn with_expanded(&mut self, coarse: &Self, with: impl Fn(usize, usize, &mut Pixel, Pixel) + Sync) {
        let width = self.size[0];
        debug_assert_eq!(coarse.size, self.size.map(|side| side.div_ceil(2)), "levels belong to each other");
        self.pixels.par_chunks_mut(width).enumerate().for_each(|(y, line)| {
            let [near, far] =
                around(y, coarse.size[1]).map(|row| &coarse.pixels[row * coarse.size[0]..][..coarse.size[0]]);
            let means: Vec<Pixel> = near.iter().zip(far).map(|(a, b)| mix(*a, *b)).collect();
            for (x, pixel) in line.iter_mut().enumerate() {
                let [near, far] = around(x, coarse.size[0]);
                with(x, y, pixel, mix(means[near], means[far]));
            }
        });
    }
}

/// The four pixels under a coarser one.
fn taps(at: usize, count: usize) -> [usize; 4] {
    [(2 * at).saturating_sub(1), 2 * at, (2 * at + 1).min(count - 1), (2 * at + 2).min(count - 1)]
}

/// The coarser pixel over a pixel, and the nearest one beside it.
fn around(at: usize, count: usize) -> [usize; 2] {
    let over = at / 2;
    [over, if at.is_multiple_of(2) { over.saturating_sub(1) } else { (over + 1).min(count - 1) }]
}

fn smooth([a, b, c, d]: [Pixel; 4]) -> Pixel {
    std::array::from_fn(|i| 0.125 * (a[i] + d[i]) + 0.375 * (b[i] + c[i]))
}

fn mix(near: Pixel, far: Pixel) -> Pixel {
    std::array::from_fn(|i| 0.75 * near[i] + 0.25 * far[i])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(at: [usize; 2], size: [usize; 2]) -> Level {
        let value = |x: usize, y: usize| ((x * 7919 + y * 104_729) % 251) as f32;
        let pixels = (0..size[0] * size[1]).map(|i| [value(at[0] + i % size[0], at[1] + i / size[0]); 4]).collect();
        Level { at, size, pixels }
    }

    #[test]
    fn a_flat_picture_stays_flat_on_every_level() {
        let mut fine = Level { at: [0, 0], size: [13, 7], pixels: vec![[5.0; 4]; 91] };
        let coarse = fine.reduced();
        assert!(coarse.pixels.iter().all(|pixel| *pixel == [5.0; 4]));
        fine.with_expanded(&coarse, |_, _, pixel, over| *pixel = over);
        assert!(fine.pixels.iter().all(|pixel| *pixel == [5.0; 4]));
    }

    #[test]
    fn a_place_has_the_same_numbers_wherever_the_picture_begins() {
        let (large, small) =
            (noise([0, 0], [64, 64]).reduced().reduced(), noise([16, 24], [40, 32]).reduced().reduced());
        for y in 2..6 {
            for x in 2..8 {
                let place = |level: &Level| level.pixels[(6 + y - level.at[1]) * level.size[0] + 4 + x - level.at[0]];
                assert_eq!(place(&large), place(&small));
            }
        }
    }
}
