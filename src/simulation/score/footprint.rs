//! How much of what the photos saw an orthophoto shows.

use serde::Serialize;

use super::overlay::Overlay;

/// Coverage of the ground that at least one photo saw, by the true cameras and the true surface, where the truth's
/// orthophoto has it; in cells of four by four pixels, after the affine map.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FootprintScore {
    /// The ground that photos saw, square metres.
    pub area_m2: f64,
    /// Share of it that the orthophoto shows.
    pub coverage: f64,
    /// Connected areas without data that lie wholly inside, of a cell or more. What is missing at the border is no hole; it
    /// counts in the coverage.
    pub holes: usize,
    pub holes_m2: f64,
    /// The largest hole, square metres.
    pub largest_hole_m2: f64,
}

impl FootprintScore {
    pub(super) fn of(overlay: &Overlay) -> Self {
        let cell_m2 = overlay.cell_m * overlay.cell_m;
        let seen = overlay.seen.iter().filter(|&&seen| seen).count();
        let shown = overlay.seen.iter().zip(&overlay.covered).filter(|&(&seen, &covered)| seen && covered).count();
        let holes = holes(overlay);
        Self {
            area_m2: seen as f64 * cell_m2,
            coverage: shown as f64 / seen.max(1) as f64,
            holes: holes.len(),
            holes_m2: holes.iter().sum::<usize>() as f64 * cell_m2,
            largest_hole_m2: holes.iter().copied().max().unwrap_or(0) as f64 * cell_m2,
        }
    }
}

/// Returns the sizes in cells of the holes: four-connected areas that are seen and not covered, and that touch nothing
/// that is not seen.
fn holes(overlay: &Overlay) -> Vec<usize> {
    let [width, height] = overlay.size;
    let mut left: Vec<bool> =
        overlay.seen.iter().zip(&overlay.covered).map(|(&seen, &covered)| seen && !covered).collect();
    let mut holes = Vec::new();
    let mut stack = Vec::new();
    for start in 0..left.len() {
        if !left[start] {
            continue;
        }
        left[start] = false;
        stack.push(start);
        let (mut size, mut inside) = (0, true);
        while let Some(at) = stack.pop() {
            size += 1;
            let (column, row) = (at % width, at / width);
            if column == 0 || row == 0 || column + 1 == width || row + 1 == height {
                inside = false;
                continue;
            }
            for next in [at - 1, at + 1, at - width, at + width] {
                inside &= overlay.seen[next];
                if left[next] {
                    left[next] = false;
                    stack.push(next);
                }
            }
        }
        if inside {
            holes.push(size);
        }
    }
    holes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cells as a drawing: `.` is not seen, `o` is seen and missing, `#` is seen and shown.
    fn overlay(rows: &[&str]) -> Overlay {
        let cells: Vec<u8> = rows.iter().flat_map(|row| row.bytes()).collect();
        Overlay {
            size: [rows[0].len(), rows.len()],
            cell_m: 0.5,
            seen: cells.iter().map(|&cell| cell != b'.').collect(),
            covered: cells.iter().map(|&cell| cell == b'#').collect(),
            blocks: [0; 2],
            block_cells: 2,
            sums: Vec::new(),
        }
    }

    #[test]
    fn a_hole_lies_inside_and_a_notch_does_not() {
        let score = FootprintScore::of(&overlay(&[
            "............",
            ".##########.",
            ".#oo###o###.",
            ".#o########.",
            ".oo#####ooo.",
            ".##########.",
            "............",
        ]));
        assert_eq!((score.holes, score.holes_m2), (1, 0.25), "{score:?}");
        assert!((score.coverage - 41.0 / 50.0).abs() < 1e-9, "{score:?}");
    }

    #[test]
    fn what_reaches_the_rasters_border_is_no_hole() {
        let score = FootprintScore::of(&overlay(&["o####", "#####", "##o##", "#####"]));
        assert_eq!((score.holes, score.largest_hole_m2), (1, 0.25));
    }
}
