//! Turns the mask of a segment into a polygon.
//!
//! A YOLOv8 segment is a weighted sum of prototypes, coarse pictures that the whole chip shares. As Ultralytics does it
//! (`process_mask` with `upsample`), the sum is enlarged to the chip linearly, cut at the box, and what is above 0 is the thing. Its
//! largest part is followed along the edges of its pixels, and the ring is simplified.

use geo::{Coord, LineString, Simplify as _};

use super::PixelBox;

/// How far a simplified outline may lie from the pixels', in pixels of the chip: stairs of one pixel become a slope.
const TOLERANCE: f64 = 1.0;

/// The prototypes of one chip: `count × size[1] × size[0]` numbers, row-major.
#[derive(Clone, Copy)]
pub struct Prototypes<'a> {
    pub numbers: &'a [f32],
    /// Width and height of each.
    pub size: [usize; 2],
}

/// Returns the outline of the segment in pixels of the chip, not closed; nothing when the mask is empty within the box.
///
/// `weights` has one number for each prototype, `chip` is the chip's width and height.
pub fn segment(
    weights: &[f32],
    prototypes: Prototypes<'_>,
    around: &PixelBox,
    chip: [usize; 2],
) -> Option<Vec<[f64; 2]>> {
    let columns = pixels(around.left, around.right, chip[0]);
    let rows = pixels(around.top, around.bottom, chip[1]);
    let mask = Mask {
        x: columns.start,
        y: rows.start,
        width: columns.len(),
        height: rows.len(),
        inside: enlarged(weights, prototypes, [&columns, &rows], chip),
    };
    let corners = mask.largest_part()?.outline();
    let ring: LineString = corners.iter().chain(corners.first()).copied().map(Coord::from).collect();
    let mut simple: Vec<_> = ring.simplify(TOLERANCE).coords().map(|at| [at.x, at.y]).collect();
    simple.pop();
    // Something of a pixel or two may simplify to a line; its pixels are its outline then.
    Some(if simple.len() < 3 { corners } else { simple })
}

/// The pixels whose centres lie between two places.
fn pixels(from: f64, to: f64, limit: usize) -> std::ops::Range<usize> {
    let at = |place: f64| ((place - 0.5).ceil().max(0.0) as usize).min(limit);
    at(from)..at(to).max(at(from))
}

/// Tells of each pixel of the region whether the weighted sum is above 0 there.
fn enlarged(
    weights: &[f32],
    prototypes: Prototypes<'_>,
    region: [&std::ops::Range<usize>; 2],
    chip: [usize; 2],
) -> Vec<bool> {
    let [width, height] = prototypes.size;
    // Which two cells a pixel lies between, and how far it is from the first.
    let between = |pixel: usize, cells: usize, pixels: usize| {
        let at = ((pixel as f32 + 0.5) * cells as f32 / pixels as f32 - 0.5).max(0.0);
        let first = (at as usize).min(cells - 1);
        (first, (first + 1).min(cells - 1), at - first as f32)
    };
    let [columns, rows] = region;
    let (Some(last_column), Some(last_row)) = (columns.clone().last(), rows.clone().last()) else { return vec![] };
    let (left, right) = (between(columns.start, width, chip[0]).0, between(last_column, width, chip[0]).1);
    let (top, bottom) = (between(rows.start, height, chip[1]).0, between(last_row, height, chip[1]).1);
    let across = right - left + 1;
    let mut sum = vec![0.0_f32; across * (bottom - top + 1)];
    for (weight, prototype) in weights.iter().zip(prototypes.numbers.chunks_exact(width * height)) {
        for (row, sums) in (top..=bottom).zip(sum.chunks_exact_mut(across)) {
            for (sum, value) in sums.iter_mut().zip(&prototype[row * width + left..=row * width + right]) {
                *sum += weight * value;
            }
        }
    }
    let at = |column: usize, row: usize| sum[(row - top) * across + column - left];
    let mut inside = Vec::with_capacity(columns.len() * rows.len());
    for row in rows.clone() {
        let (above, below, v) = between(row, height, chip[1]);
        for column in columns.clone() {
            let (before, after, u) = between(column, width, chip[0]);
            let upper = at(before, above) * (1.0 - u) + at(after, above) * u;
            let lower = at(before, below) * (1.0 - u) + at(after, below) * u;
            inside.push(upper * (1.0 - v) + lower * v > 0.0);
        }
    }
    inside
}

/// A mask over a part of the chip that starts at column `x` and row `y`.
struct Mask {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
    inside: Vec<bool>,
}

impl Mask {
    /// Keeps the largest part that hangs together by sides of pixels; the first of equals. Nothing when it is empty.
    fn largest_part(self) -> Option<Self> {
        let mut part = vec![0_u32; self.inside.len()];
        let (mut largest, mut number) = ((0, 0), 0);
        for start in 0..part.len() {
            if !self.inside[start] || part[start] != 0 {
                continue;
            }
            number += 1;
            let (mut edge, mut pixels) = (vec![start], 0_usize);
            part[start] = number;
            while let Some(at) = edge.pop() {
                pixels += 1;
                let (x, y) = (at % self.width, at / self.width);
                let beside = [(x > 0, at.wrapping_sub(1)), (x + 1 < self.width, at + 1)];
                let across = [(y > 0, at.wrapping_sub(self.width)), (y + 1 < self.height, at + self.width)];
                for (_, next) in beside.into_iter().chain(across).filter(|(exists, _)| *exists) {
                    if self.inside[next] && part[next] == 0 {
                        part[next] = number;
                        edge.push(next);
                    }
                }
            }
            if pixels > largest.0 {
                largest = (pixels, number);
            }
        }
        let inside = part.into_iter().map(|number| number != 0 && number == largest.1).collect();
        (largest.0 > 0).then_some(Self { inside, ..self })
    }

    fn has(&self, x: isize, y: isize) -> bool {
        let (inside_x, inside_y) = (0..self.width as isize, 0..self.height as isize);
        inside_x.contains(&x) && inside_y.contains(&y) && self.inside[y as usize * self.width + x as usize]
    }

    /// Walks around the part along the edges of its pixels, the part on the right hand, and returns the corners.
    fn outline(&self) -> Vec<[f64; 2]> {
        let first = self.inside.iter().position(|&inside| inside).expect("the part has pixels");
        let start = [(first % self.width) as isize, (first / self.width) as isize];
        let (mut at, mut heading) = (start, [1_isize, 0_isize]);
        let mut corners = Vec::new();
        loop {
            // The two pixels ahead of a corner, to the left and to the right of where we go.
            let ahead = |side: isize| {
                let [dx, dy] = heading;
                let (x, y) = (2 * at[0] - 1 + dx - side * dy, 2 * at[1] - 1 + dy + side * dx);
                self.has(x.div_euclid(2), y.div_euclid(2))
            };
            let turned = if !ahead(1) {
                [-heading[1], heading[0]]
            } else if ahead(-1) {
                [heading[1], -heading[0]]
            } else {
                heading
            };
            if turned != heading {
                corners.push([(self.x as isize + at[0]) as f64, (self.y as isize + at[1]) as f64]);
            }
            heading = turned;
            at = [at[0] + heading[0], at[1] + heading[1]];
            if at == start {
                break;
            }
        }
        corners.push([(self.x as isize + start[0]) as f64, (self.y as isize + start[1]) as f64]);
        corners
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(rows: &[&str]) -> Mask {
        let inside = rows.iter().flat_map(|row| row.bytes().map(|b| b == b'#')).collect();
        Mask { x: 10, y: 20, width: rows[0].len(), height: rows.len(), inside }
    }

    fn area(ring: &[[f64; 2]]) -> f64 {
        let next = ring.iter().cycle().skip(1);
        ring.iter().zip(next).map(|(a, b)| a[0] * b[1] - b[0] * a[1]).sum::<f64>() / 2.0
    }

    #[test]
    fn an_outline_goes_round_every_pixel_of_the_part_once() {
        for (rows, pixels, corners) in [
            (&["#"][..], 1.0, 4),
            (&["##", "##"], 4.0, 4),
            (&["#..", "##.", "###"], 6.0, 8),
            (&["###", "#..", "###"], 7.0, 8),
            (&[".#.", "###", ".#."], 5.0, 12),
        ] {
            let ring = mask(rows).largest_part().unwrap().outline();
            assert!((area(&ring) - pixels).abs() < 1e-9, "{rows:?} {ring:?}");
            assert_eq!(ring.len(), corners, "{rows:?} {ring:?}");
            assert!(ring.iter().all(|[x, y]| *x >= 10.0 && *y >= 20.0));
        }
    }

    #[test]
    fn the_largest_part_stays_and_nothing_has_no_outline() {
        let ring = mask(&["#.##", "..##"]).largest_part().unwrap().outline();
        assert!((area(&ring) - 4.0).abs() < 1e-9);
        assert!(mask(&["...", "..."]).largest_part().is_none());
    }

    /// A disc of radius 10 cells as a prototype, on a chip four times as large.
    #[test]
    fn a_disc_of_the_prototypes_is_a_disc_on_the_chip_cut_at_its_box() {
        let disc: Vec<f32> =
            (0..40 * 40).map(|i| 10.0 - ((i % 40) as f32 + 0.5 - 20.0).hypot((i / 40) as f32 + 0.5 - 20.0)).collect();
        let prototypes = Prototypes { numbers: &disc, size: [40, 40] };
        let around = |right| PixelBox { left: 30.0, top: 30.0, right, bottom: 130.0, class: 0, confidence: 0.9 };
        let whole = segment(&[2.0], prototypes, &around(130.0), [160, 160]).unwrap();
        let expected = std::f64::consts::PI * 40.0 * 40.0;
        assert!((area(&whole) / expected - 1.0).abs() < 0.02, "{} {expected}", area(&whole));
        assert!(whole.len() < 70, "simplified: {}", whole.len());
        let half = segment(&[2.0], prototypes, &around(80.0), [160, 160]).unwrap();
        assert!((area(&half) / expected - 0.5).abs() < 0.02 && half.iter().all(|c| c[0] <= 80.0));
        assert!(
            segment(&[-1.0], prototypes, &around(100.0).clone(), [160, 160]).is_some(),
            "the corners are outside the disc"
        );
        let middle = PixelBox { left: 70.0, top: 70.0, right: 90.0, bottom: 90.0, class: 0, confidence: 0.9 };
        assert!(segment(&[-1.0], prototypes, &middle, [160, 160]).is_none());
    }
}
