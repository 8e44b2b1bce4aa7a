//! Reads the numbers that a YOLOv8 detector gives.
//!
//! The layout is `[4 + classes, n]`, row-major: four rows of centre x, centre y, width and height in pixels of
//! the chip, then one row of confidence for each class, already in [0, 1]. There is no objectness row, and the
//! boxes are not yet thinned out.

use super::PixelBox;

/// Returns the boxes whose best class reaches `confidence`, cut at the chip's border (`size`: width, height).
///
/// A box belongs to its best class alone, the first one of equals.
///
/// # Panics
/// When `output` does not hold `(4 + classes) × n` numbers for a whole `n`.
pub fn decode(output: &[f32], classes: usize, size: [usize; 2], confidence: f64) -> Vec<PixelBox> {
    assert_eq!(output.len() % (4 + classes), 0, "the layout was checked when the model was loaded");
    let n = output.len() / (4 + classes);
    let row = |row: usize| &output[row * n..(row + 1) * n];
    let (mut best, mut class) = (row(4).to_vec(), vec![0_usize; n]);
    for candidate in 1..classes {
        for (i, &score) in row(4 + candidate).iter().enumerate() {
            if score > best[i] {
                (best[i], class[i]) = (score, candidate);
            }
        }
    }
    let read = |i: usize| {
        let [x, y, width, height] = [0, 1, 2, 3].map(|r| f64::from(row(r)[i]));
        let within = |value: f64, limit: usize| value.clamp(0.0, limit as f64);
        PixelBox {
            left: within(x - width / 2.0, size[0]),
            top: within(y - height / 2.0, size[1]),
            right: within(x + width / 2.0, size[0]),
            bottom: within(y + height / 2.0, size[1]),
            class: class[i],
            confidence: f64::from(best[i]).min(1.0),
        }
    };
    // Written so that NaN, in a confidence or in a corner, fails the comparison and drops the box.
    (0..n).filter(|&i| f64::from(best[i]) >= confidence).map(read).filter(|b| b.area() > 0.0).collect()
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
        let boxes = decode(&OUTPUT, 2, [100, 100], 0.5);
        assert_eq!(boxes.len(), 2);
        let first = boxes[0];
        assert_eq!([first.left, first.top, first.right, first.bottom], [6.0, 18.0, 14.0, 22.0]);
        assert_eq!((boxes[0].class, boxes[1].class), (0, 1));
    }

    #[test]
    fn boxes_end_at_the_border_of_the_chip() {
        let boxes = decode(&OUTPUT, 2, [60, 64], 0.5);
        assert_eq!([boxes[1].right, boxes[1].bottom], [60.0, 64.0]);
    }

    #[test]
    fn numbers_that_are_none_are_no_boxes() {
        let mut output = OUTPUT;
        output[0] = f32::NAN;
        output[16] = f32::NAN;
        assert!(decode(&output, 2, [100, 100], 0.5).is_empty());
    }
}
