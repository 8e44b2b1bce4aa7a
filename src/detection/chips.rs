//! Cuts a raster into chips that overlap, and says which of them owns which place.
//!
//! Every chip covers the same number of raster pixels. Neighbours share a strip, so that what lies on a border
//! is whole on at least one of them; the strip is divided in the middle, and a chip owns the boxes whose centre
//! lies on its side. So the cores cover every place exactly once, and no answer depends on the order of chips.

use crate::raster::{Rgb8, Rgba8, Window};

/// What networks trained by Ultralytics see where there is no picture.
const PADDING: u8 = 114;

/// A piece of a raster, resampled to the model's size.
#[derive(Clone, Debug)]
pub struct Chip {
    pub place: ChipPlace,
    /// The pixels; grey where the raster has no data.
    pub pixels: Rgb8,
}

/// Where a chip lies on the raster.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChipPlace {
    /// Number of the chip in reading order: row by row, left to right.
    pub index: usize,
    /// What the chip shows, in raster pixels. It reaches outside a raster that is smaller than a chip.
    pub window: Window,
    /// The part that the chip owns, in raster pixels: left, top (inside), right, bottom (outside).
    pub core: [f64; 4],
}

impl Chip {
    /// Makes a chip of a window, or nothing when the window has no data at all.
    pub(super) fn of(place: ChipPlace, picture: &Rgba8) -> Option<Self> {
        if picture.is_empty() {
            return None;
        }
        let data = picture.data.chunks_exact(4).flat_map(|p| if p[3] == 0 { [PADDING; 3] } else { [p[0], p[1], p[2]] });
        Some(Self { place, pixels: Rgb8 { width: picture.width, height: picture.height, data: data.collect() } })
    }
}

impl ChipPlace {
    /// Tells whether the chip owns a position (`[column, row]`, raster pixels).
    pub fn owns(&self, [x, y]: [f64; 2]) -> bool {
        let [left, top, right, bottom] = self.core;
        left <= x && x < right && top <= y && y < bottom
    }
}

/// Returns the overlap of chips whose step is a whole number of the network's coarsest cells, and at least `overlap`.
///
/// Convolutions give the same answer for the same pixels only when they lie the same way on their cells.
pub(super) fn whole_cells(overlap: f64, side: usize, stride: usize) -> f64 {
    let stride = stride.clamp(1, side);
    let step = (side as f64 * (1.0 - overlap.clamp(0.0, 0.9)) + 1e-6) as usize / stride * stride;
    1.0 - step.max(stride) as f64 / side as f64
}

/// Lists the chips of a raster of `size` pixels; each covers `extent` raster pixels and shares at least the
/// part `overlap` (in [0, 0.9]) of its side with its neighbours.
pub fn grid(size: [usize; 2], extent: [usize; 2], overlap: f64) -> impl Iterator<Item = ChipPlace> {
    let columns = spans(size[0], extent[0], overlap);
    let rows = spans(size[1], extent[1], overlap);
    let across = columns.len();
    rows.into_iter().enumerate().flat_map(move |(j, row)| {
        let line = columns.clone().into_iter().enumerate();
        line.map(move |(i, column)| ChipPlace {
            index: j * across + i,
            window: Window { x: column.start, y: row.start, width: extent[0], height: extent[1] },
            core: [column.core[0], row.core[0], column.core[1], row.core[1]],
        })
    })
}

/// One side of a chip: where it starts, and from where to where it owns.
#[derive(Clone)]
struct Span {
    start: isize,
    core: [f64; 2],
}

/// Lays chips along one side of the raster: from its start in equal steps, the last one back at its end.
///
/// Steps rather than even gaps: a network's cells then fall on the same pixels in every chip but the last, whoever cuts them.
fn spans(length: usize, extent: usize, overlap: f64) -> Vec<Span> {
    assert!(extent > 0, "a chip has pixels");
    // A millionth more, for an overlap that was itself computed from a whole number of pixels.
    let step = ((extent as f64 * (1.0 - overlap.clamp(0.0, 0.9)) + 1e-6) as usize).max(1);
    let beyond = length.saturating_sub(extent);
    let gaps = beyond.div_ceil(step);
    let start = |i: usize| (step * i).min(beyond) as isize;
    let border = |i: usize| (start(i) + start(i - 1) + extent as isize) as f64 / 2.0;
    (0..=gaps)
        .map(|i| Span {
            start: start(i),
            core: [
                if i == 0 { f64::NEG_INFINITY } else { border(i) },
                if i == gaps { f64::INFINITY } else { border(i + 1) },
            ],
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_pixel_has_one_owner_that_sees_it(
            width in 1_usize..300, height in 1_usize..300, extent in 8_usize..90, overlap in 0.0..0.6_f64,
        ) {
            let places: Vec<ChipPlace> = grid([width, height], [extent, extent], overlap).collect();
            for (x, y) in (0..width).step_by(7).flat_map(|x| (0..height).step_by(5).map(move |y| (x, y))) {
                let pixel = [x as f64 + 0.5, y as f64 + 0.5];
                let owners: Vec<_> = places.iter().filter(|place| place.owns(pixel)).collect();
                prop_assert_eq!(owners.len(), 1);
                let Window { x: left, y: top, .. } = owners[0].window;
                let inside = |at: usize, start: isize| (start..start + extent as isize).contains(&(at as isize));
                prop_assert!(inside(x, left) && inside(y, top));
            }
        }

        #[test]
        fn neighbours_share_at_least_the_overlap(length in 1_usize..5000, extent in 20_usize..700) {
            let spans = spans(length, extent, 0.25);
            for pair in spans.windows(2) {
                let shared = pair[0].start + extent as isize - pair[1].start;
                prop_assert!(shared as f64 >= extent as f64 * 0.25 - 1e-6);
            }
        }
    }

    #[test]
    fn a_small_raster_is_one_chip_that_reaches_outside() {
        let places: Vec<_> = grid([100, 80], [640, 640], 0.2).collect();
        assert_eq!(places.len(), 1);
        assert_eq!(places[0].window, Window { x: 0, y: 0, width: 640, height: 640 });
    }

    #[test]
    fn a_chip_without_data_is_none_and_gaps_are_grey() {
        let place = grid([2, 1], [2, 1], 0.0).next().unwrap();
        let mut picture = Rgba8::new(2, 1);
        assert!(Chip::of(place, &picture).is_none());
        picture.data[4..].copy_from_slice(&[9, 8, 7, 255]);
        assert_eq!(Chip::of(place, &picture).unwrap().pixels.data, [114, 114, 114, 9, 8, 7]);
    }
}
