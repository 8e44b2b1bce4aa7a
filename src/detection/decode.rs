//! Reads the numbers that YOLOv8's heads give.
//!
//! The layout is `[4 + classes, n]`, row-major: four rows of centre x, centre y, width and height in pixels of
//! the chip, then one row of confidence for each class, already in [0, 1]. Turned boxes have one more row, their
//! angle; masks have one more row for each prototype, its weight. There is no objectness row, and the boxes are
//! not yet thinned out.

use super::{Outline, PixelBox, Seen};

/// Returns the boxes whose best class reaches its confidence. They may reach beyond the chip: duplicates are judged by whole
/// boxes, as Ultralytics does, and what stays is cut afterwards ([`Seen::within`]).
///
/// A box belongs to its best class alone, the first one of equals. `confidence` has one entry for each class.
///
/// # Panics
/// When `output` does not hold `(4 + classes) × n` numbers for a whole `n`.
pub fn decode(output: &[f32], confidence: &[f64]) -> Vec<PixelBox> {
    let cells = Cells::of(output, 4 + confidence.len());
    cells.best(confidence).into_iter().map(|best| cells.upright(best)).filter(|b| b.area() > 0.0).collect()
}

/// Does the same for turned boxes, whose last row is the angle in radians, clockwise on the picture.
pub fn decode_rotated(output: &[f32], confidence: &[f64]) -> Vec<Seen> {
    let cells = Cells::of(output, 5 + confidence.len());
    let read = |best: Best| {
        let [x, y, width, height] = [0, 1, 2, 3].map(|row| f64::from(cells.row(row)[best.cell]));
        let angle = f64::from(cells.row(4 + confidence.len())[best.cell]);
        turned_box([x, y], [width, height], angle, best.class, best.confidence)
    };
    cells.best(confidence).into_iter().map(read).filter(|seen| seen.area() > 0.0).collect()
}

/// Does the same for boxes with masks; each comes with its weights, one for each of the `prototypes`.
pub fn decode_weighted(output: &[f32], confidence: &[f64], prototypes: usize) -> Vec<(PixelBox, Vec<f32>)> {
    let first = 4 + confidence.len();
    let cells = Cells::of(output, first + prototypes);
    let weights = |cell: usize| (first..first + prototypes).map(|row| cells.row(row)[cell]).collect();
    let read = |best: Best| (cells.upright(best), weights(best.cell));
    cells.best(confidence).into_iter().map(read).filter(|(b, _)| b.area() > 0.0).collect()
}

/// Tells whether every number is one: neither NaN nor infinite.
pub fn all_finite(numbers: &[f32]) -> bool {
    // Exponents of all ones, looked for without a branch for each number.
    const SPECIAL: u32 = 0x7f80_0000;
    numbers.chunks(4096).all(|part| !part.iter().fold(false, |any, x| any | (x.to_bits() & SPECIAL == SPECIAL)))
}

/// Makes a turned box of its middle, its size along its own sides, and its angle in radians, clockwise on the picture.
pub(super) fn turned_box(
    [x, y]: [f64; 2],
    [width, height]: [f64; 2],
    angle: f64,
    class: usize,
    confidence: f64,
) -> Seen {
    let (sin, cos) = angle.sin_cos();
    let (along, down) = ([width / 2.0 * cos, width / 2.0 * sin], [-height / 2.0 * sin, height / 2.0 * cos]);
    let corners = [[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0], [-1.0, 1.0]]
        .map(|[a, b]| [x + a * along[0] + b * down[0], y + a * along[1] + b * down[1]]);
    let reach = [along[0].abs() + down[0].abs(), along[1].abs() + down[1].abs()];
    let found = PixelBox {
        left: x - reach[0],
        top: y - reach[1],
        right: x + reach[0],
        bottom: y + reach[1],
        class,
        confidence,
    };
    Seen { found, outline: Outline::Rotated(Box::new(corners)) }
}

/// The output as rows; a column is one cell of the network.
struct Cells<'a> {
    numbers: &'a [f32],
    n: usize,
}

#[derive(Clone, Copy)]
struct Best {
    cell: usize,
    class: usize,
    confidence: f64,
}

impl<'a> Cells<'a> {
    fn of(numbers: &'a [f32], rows: usize) -> Self {
        assert_eq!(numbers.len() % rows, 0, "the layout was checked when the model was loaded");
        Self { numbers, n: numbers.len() / rows }
    }

    fn row(&self, row: usize) -> &'a [f32] {
        &self.numbers[row * self.n..(row + 1) * self.n]
    }

    /// Finds the cells whose best class reaches its confidence.
    fn best(&self, confidence: &[f64]) -> Vec<Best> {
        let (mut best, mut class) = (self.row(4).to_vec(), vec![0_u32; self.n]);
        for candidate in 1..confidence.len() {
            for ((best, class), &score) in best.iter_mut().zip(&mut class).zip(self.row(4 + candidate)) {
                if score > *best {
                    (*best, *class) = (score, candidate as u32);
                }
            }
        }
        let all = best.into_iter().zip(class).enumerate();
        let reaching = all.filter(|(_, (score, class))| f64::from(*score) >= confidence[*class as usize]);
        reaching
            .map(|(cell, (score, class))| Best { cell, class: class as usize, confidence: f64::from(score).min(1.0) })
            .collect()
    }

    fn upright(&self, best: Best) -> PixelBox {
        let [x, y, width, height] = [0, 1, 2, 3].map(|row| f64::from(self.row(row)[best.cell]));
        PixelBox {
            left: x - width / 2.0,
            top: y - height / 2.0,
            right: x + width / 2.0,
            bottom: y + height / 2.0,
            class: best.class,
            confidence: best.confidence,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two classes, three cells; a column is one cell.
    #[rustfmt::skip]
    const OUTPUT: [f32; 18] = [
        10.0, 50.0, 30.0,  // centre x
        20.0, 50.0, 30.0,  // centre y
         8.0, 40.0, 10.0,  // width
         4.0, 40.0, 10.0,  // height
         0.9,  0.1,  0.1,
         0.2,  0.6,  0.2,
    ];

    #[test]
    fn centre_and_size_become_corners_and_the_best_class_wins() {
        let boxes = decode(&OUTPUT, &[0.5, 0.5]);
        assert_eq!(boxes.len(), 2);
        let first = boxes[0];
        assert_eq!([first.left, first.top, first.right, first.bottom], [6.0, 18.0, 14.0, 22.0]);
        assert_eq!((boxes[0].class, boxes[1].class), (0, 1));
    }

    #[test]
    fn each_class_has_its_own_threshold() {
        let classes = |confidence: [f64; 2]| -> Vec<usize> {
            decode(&OUTPUT, &confidence).into_iter().map(|b| b.class).collect()
        };
        assert_eq!(classes([0.95, 0.5]), [1]);
        assert_eq!(classes([0.5, 0.95]), [0]);
        assert_eq!(classes([0.5, 0.2]), [0, 1, 1]);
    }

    #[test]
    fn boxes_end_at_the_border_of_the_chip_and_those_beyond_are_none() {
        let cut = |size| Seen::from(decode(&OUTPUT, &[0.5, 0.5])[1]).within(size);
        let found = cut([60, 64]).unwrap().found;
        assert_eq!([found.right, found.bottom], [60.0, 64.0]);
        assert_eq!(cut([30, 64]), None);
    }

    #[test]
    fn an_angle_turns_a_box_clockwise_about_its_middle() {
        let output = [30.0, 20.0, 10.0, 4.0, 0.9, std::f32::consts::FRAC_PI_6];
        let seen = decode_rotated(&output, &[0.5]).remove(0);
        let (sin, cos) = std::f64::consts::FRAC_PI_6.sin_cos();
        let first = [30.0 + 5.0 * cos - 2.0 * sin, 20.0 + 5.0 * sin + 2.0 * cos];
        assert!(seen.corners().iter().any(|c| (c[0] - first[0]).hypot(c[1] - first[1]) < 1e-5), "{seen:?}");
        assert!((seen.area() - 40.0).abs() < 1e-5);
        assert!(seen.corners().iter().all(|c| c[0] <= seen.found.right + 1e-9 && c[1] >= seen.found.top - 1e-9));
    }

    #[test]
    fn numbers_that_are_none_are_noticed_wherever_they_are() {
        assert!(all_finite(&OUTPUT));
        for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut output = vec![0.5; 10_000];
            output[9_999] = wrong;
            assert!(!all_finite(&output));
        }
    }
}
