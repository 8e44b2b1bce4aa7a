//! Decides which cells of the network answer for which box.
//!
//! By place alone, after FCOS (Tian et al., 2019, section 3): the cells around the middle of a box, on the level
//! whose stride suits its size. A cell that two boxes want goes to the smaller one.

use super::network::STRIDES;

/// Boxes whose longer side is below this belong to stride 8 …
const SMALL_PX: f64 = 64.0;
/// … and those above this to stride 16; those between to both.
const LARGE_PX: f64 = 48.0;

/// How far from a box's middle its cells lie at most, in strides: 3 × 3 of them.
const RADIUS: f64 = 1.5;

/// A box to learn: class, and left, top, right, bottom in pixels of the sample.
pub(super) type Wanted = (usize, [f64; 4]);

/// What the cells of one batch should say.
pub(super) struct Targets {
    /// The cells that have a box, numbered through the batch.
    pub cells: Vec<i64>,
    /// For each of those, the class.
    pub classes: Vec<i64>,
    /// For each of those, centre x, centre y, width, height.
    pub boxes: Vec<f32>,
}

impl Targets {
    /// Assigns the boxes of each sample; samples are squares of `side` pixels.
    pub(super) fn of<'a>(samples: impl Iterator<Item = &'a [Wanted]>, side: usize) -> Self {
        let mut targets = Self { cells: vec![], classes: vec![], boxes: vec![] };
        let total: usize = STRIDES.iter().map(|stride| (side / stride).pow(2)).sum();
        for (number, boxes) in samples.enumerate() {
            let mut owner: Vec<Option<usize>> = vec![None; total];
            // Largest first, so that smaller ones take over.
            let mut order: Vec<usize> = (0..boxes.len()).collect();
            order.sort_by(|&a, &b| area(boxes[b].1).total_cmp(&area(boxes[a].1)));
            for i in order {
                for cell in cells(boxes[i].1, side) {
                    owner[cell] = Some(i);
                }
            }
            for (cell, box_number) in owner.into_iter().enumerate().filter_map(|(c, o)| o.map(|o| (c, o))) {
                let (class, [left, top, right, bottom]) = boxes[box_number];
                targets.cells.push((number * total + cell) as i64);
                targets.classes.push(class as i64);
                let layout = [f64::midpoint(left, right), f64::midpoint(top, bottom), right - left, bottom - top];
                targets.boxes.extend(layout.map(|v| v as f32));
            }
        }
        targets
    }
}

fn area([left, top, right, bottom]: [f64; 4]) -> f64 {
    (right - left) * (bottom - top)
}

/// Lists the cells that answer for a box, on all levels that suit it.
fn cells([left, top, right, bottom]: [f64; 4], side: usize) -> Vec<usize> {
    let longest = (right - left).max(bottom - top);
    let (x, y) = (f64::midpoint(left, right), f64::midpoint(top, bottom));
    let mut cells = Vec::new();
    let mut first = 0;
    for stride in STRIDES {
        let across = side / stride;
        let suits = if stride == STRIDES[0] { longest < SMALL_PX } else { longest > LARGE_PX };
        if suits {
            let s = stride as f64;
            let reach = |middle: f64| {
                let (from, to) = (((middle / s) - RADIUS).round().max(0.0), ((middle / s) + RADIUS).round());
                from as usize..(to as usize).min(across)
            };
            for row in reach(y) {
                for column in reach(x) {
                    let (cx, cy) = ((column as f64 + 0.5) * s, (row as f64 + 0.5) * s);
                    let inside = left < cx && cx < right && top < cy && cy < bottom;
                    let nearest = (cx - x).abs() <= s / 2.0 && (cy - y).abs() <= s / 2.0;
                    if inside || nearest {
                        cells.push(first + row * across + column);
                    }
                }
            }
        }
        first += across * across;
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_box_belongs_to_the_fine_cells_around_its_middle() {
        // 64 × 64 pixels: 8 × 8 fine cells. The middle (20, 20) lies in the cell of column 2, row 2.
        let cells = cells([8.0, 8.0, 32.0, 32.0], 64);
        assert_eq!(cells, [1 + 8, 2 + 8, 3 + 8, 1 + 16, 2 + 16, 3 + 16, 1 + 24, 2 + 24, 3 + 24]);
    }

    #[test]
    fn a_large_box_belongs_to_the_coarse_cells() {
        let cells = cells([0.0, 0.0, 100.0, 100.0], 128);
        assert_eq!(cells.len(), 9);
        assert!(cells.iter().all(|&cell| cell >= 256));
    }

    #[test]
    fn even_a_speck_has_a_cell_and_the_smaller_box_wins_it() {
        let (speck, around) = ((1, [19.0, 19.0, 21.0, 21.0]), (0, [8.0, 8.0, 32.0, 32.0]));
        let targets = Targets::of([[around, speck].as_slice(), &[speck]].into_iter(), 64);
        assert_eq!(targets.classes.iter().filter(|&&class| class == 1).count(), 2);
        assert_eq!(targets.classes.len(), 9 + 1);
        assert_eq!(targets.cells.last(), Some(&(64 + 16 + 2 + 16)), "the second sample follows the first");
    }
}
