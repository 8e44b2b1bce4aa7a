//! Pixels of the difference of Gaussians that none of their 26 neighbours in place and scale exceeds.
//!
//! Nearly every pixel of grass differs enough from its blur to be asked, so all of them are asked at once, row by row:
//! the highest and lowest of three neighbours along x, of three rows of those, of three layers of those.

use super::{
    super::dispatch::dispatched,
    pyramid::{LAYERS, Octave},
};

/// The differences at which extrema are looked for, and one more on either side.
const DIFFERENCES: usize = LAYERS + 2;

/// Three rows of every difference of an octave, moving down.
pub struct Peaks<'a> {
    octave: &'a Octave,
    /// The next row to be read.
    next: usize,
    /// By row modulo three, then by layer.
    rows: [[Row; DIFFERENCES]; 3],
    /// By layer: the highest and lowest of the three rows.
    blocks: [Extent; DIFFERENCES],
    marks: Vec<u8>,
}

/// One row of a difference of Gaussians.
struct Row {
    values: Vec<f32>,
    /// Of a pixel and those left and right of it.
    near: Extent,
}

#[derive(Clone)]
struct Extent {
    high: Vec<f32>,
    low: Vec<f32>,
}

impl Extent {
    fn new(width: usize) -> Self {
        // The first and last pixel have no neighbour and stay so: nothing is a peak there.
        Self { high: vec![f32::INFINITY; width], low: vec![f32::NEG_INFINITY; width] }
    }
}

impl<'a> Peaks<'a> {
    pub fn new(octave: &'a Octave) -> Self {
        let width = octave.gaussians[0].width;
        let row = || Row { values: vec![0.0; width], near: Extent::new(width) };
        Self {
            octave,
            next: 0,
            rows: std::array::from_fn(|_| std::array::from_fn(|_| row())),
            blocks: std::array::from_fn(|_| Extent::new(width)),
            marks: vec![0; width],
        }
    }

    /// Calls `found(layer, x)` for each peak of row `y` that is farther than `least` from zero. Rows come from top to
    /// bottom; neither the first nor the last has peaks.
    pub fn look_at(&mut self, y: usize, least: f32, mut found: impl FnMut(usize, usize)) {
        self.next = self.next.max(y - 1);
        while self.next <= y + 1 {
            self.read();
        }
        let [above, here, below] = [y - 1, y, y + 1].map(|row| &self.rows[row % 3]);
        for (layer, block) in self.blocks.iter_mut().enumerate() {
            let [above, here, below] = [above, here, below].map(|row| &row[layer].near);
            highest(&above.high, &here.high, &below.high, &mut block.high);
            lowest(&above.low, &here.low, &below.low, &mut block.low);
        }
        for (layer, row) in here.iter().enumerate().take(LAYERS + 1).skip(1) {
            let [a, b, c] = [layer - 1, layer, layer + 1].map(|layer| &self.blocks[layer]);
            mark_peaks(&row.values, [&a.high, &b.high, &c.high], [&a.low, &b.low, &c.low], least, &mut self.marks);
            memchr::memchr_iter(1, &self.marks).for_each(|x| found(layer, x));
        }
    }

    fn read(&mut self) {
        for (layer, row) in self.rows[self.next % 3].iter_mut().enumerate() {
            let [fine, coarse] = [layer, layer + 1].map(|layer| self.octave.gaussians[layer].row(self.next));
            subtract(coarse, fine, &mut row.values);
            let width = row.values.len();
            let [left, centre, right] = [0, 1, 2].map(|first| &row.values[first..first + width - 2]);
            highest(left, centre, right, &mut row.near.high[1..width - 1]);
            lowest(left, centre, right, &mut row.near.low[1..width - 1]);
        }
        self.next += 1;
    }
}

dispatched! {
    fn subtract(a: &[f32], b: &[f32], out: &mut [f32]) {
        for ((o, a), b) in out.iter_mut().zip(a).zip(b) {
            *o = a - b;
        }
    }
}

dispatched! {
    fn highest(a: &[f32], b: &[f32], c: &[f32], out: &mut [f32]) {
        for (((o, a), b), c) in out.iter_mut().zip(a).zip(b).zip(c) {
            *o = higher(higher(*a, *b), *c);
        }
    }
}

dispatched! {
    fn lowest(a: &[f32], b: &[f32], c: &[f32], out: &mut [f32]) {
        for (((o, a), b), c) in out.iter_mut().zip(a).zip(b).zip(c) {
            *o = lower(lower(*a, *b), *c);
        }
    }
}

dispatched! {
    fn mark_peaks(values: &[f32], high: [&[f32]; 3], low: [&[f32]; 3], least: f32, marks: &mut [u8]) {
        let n = values.len();
        let ([h0, h1, h2], [l0, l1, l2]) = (high.map(|row| &row[..n]), low.map(|row| &row[..n]));
        for (x, mark) in marks[..n].iter_mut().enumerate() {
            let value = values[x];
            let (top, bottom) = (higher(higher(h0[x], h1[x]), h2[x]), lower(lower(l0[x], l1[x]), l2[x]));
            *mark = u8::from((value > least && value >= top) || (value < -least && value <= bottom));
        }
    }
}

/// Of two numbers, without `f32::max`'s care for those that are none: it becomes one instruction.
#[expect(clippy::inline_always, reason = "it must be compiled with the instructions of its caller")]
#[inline(always)]
fn higher(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

#[expect(clippy::inline_always, reason = "it must be compiled with the instructions of its caller")]
#[inline(always)]
fn lower(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::photogrammetry::keypoints::pyramid::{Gray, Octaves};

    /// As Lowe defines it, one pixel at a time.
    fn is_peak(octave: &Octave, layer: usize, x: usize, y: usize, least: f32) -> bool {
        let at = |layer: usize, x: usize, y: usize| {
            octave.gaussians[layer + 1].row(y)[x] - octave.gaussians[layer].row(y)[x]
        };
        let value = at(layer, x, y);
        let around = (layer - 1..=layer + 1)
            .flat_map(|l| (y - 1..=y + 1).flat_map(move |y| (x - 1..=x + 1).map(move |x| (l, x, y))));
        let others: Vec<f32> = around.map(|(layer, x, y)| at(layer, x, y)).collect();
        (value > least && others.iter().all(|other| value >= *other))
            || (value < -least && others.iter().all(|other| value <= *other))
    }

    #[test]
    fn peaks_are_those_of_the_definition() {
        // Blobs, dark and bright, of several sizes: noise is strongest in its finest scale and has no peak within.
        let blob = |n: u16, x: u16, y: u16| {
            let (dx, dy) = (f32::from(x) - f32::from(n * 37 % 61), f32::from(y) - f32::from(n * 29 % 47));
            let size = 1.5 + 0.5 * f32::from(n % 6);
            (if n.is_multiple_of(2) { -80.0 } else { 80.0 }) * (-(dx * dx + dy * dy) / (2.0 * size * size)).exp()
        };
        let value = |i: u16| 120.0 + (0..40).map(|n| blob(n, i % 61, i / 61)).sum::<f32>();
        let data = (0..61 * 47).map(value).collect();
        let octave = Octaves::new(Gray { width: 61, height: 47, data }, 0.5).next_octave().unwrap();
        let mut peaks = Peaks::new(&octave);
        let (mut found, mut defined) = (Vec::new(), Vec::new());
        for y in 3..46 {
            peaks.look_at(y, 0.5, |layer, x| found.push((y, layer, x)));
            let of_layer = |layer| (1..60).map(move |x| (y, layer, x));
            defined.extend((1..=LAYERS).flat_map(of_layer).filter(|&(y, layer, x)| is_peak(&octave, layer, x, y, 0.5)));
        }
        assert!(found.len() > 8, "{}", found.len());
        assert_eq!(found, defined);
    }
}
