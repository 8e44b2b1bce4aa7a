//! Chooses keypoints so that every part of the photo has some.

use std::cmp::Ordering;

use super::detect::Extremum;

/// The frame is cut into about this many cells.
const CELLS: usize = 300;

/// Keeps the strongest extrema of every cell, then the strongest of the rest, `wanted` in all.
///
/// `size` is the frame in pixels of the pyramid's first image. The order of the result is that of detection.
pub fn spread_over(extrema: &[Extremum], size: [f64; 2], wanted: usize) -> Vec<Extremum> {
    if extrema.len() <= wanted {
        return extrema.to_vec();
    }
    let side = (size[0] * size[1] / CELLS as f64).sqrt().max(1.0);
    let columns = (size[0] / side).ceil().max(1.0) as usize;
    let cell_of = |e: &Extremum| {
        let [x, y] = e.base_xy();
        (y / side).max(0.0) as usize * columns + ((x / side).max(0.0) as usize).min(columns - 1)
    };

    let mut by_strength: Vec<usize> = (0..extrema.len()).collect();
    by_strength.sort_by(|&a, &b| stronger(&extrema[a], &extrema[b]).then(a.cmp(&b)));
    let quota = (wanted / CELLS).max(1);
    let mut taken_in_cell = std::collections::HashMap::new();
    let (mut kept, mut rest) = (Vec::new(), Vec::new());
    for index in by_strength {
        let taken = taken_in_cell.entry(cell_of(&extrema[index])).or_insert(0usize);
        if *taken < quota {
            *taken += 1;
            kept.push(index);
        } else {
            rest.push(index);
        }
    }
    kept.truncate(wanted);
    let missing = wanted - kept.len();
    kept.extend(rest.into_iter().take(missing));
    kept.sort_unstable();
    kept.into_iter().map(|index| extrema[index]).collect()
}

fn stronger(a: &Extremum, b: &Extremum) -> Ordering {
    b.response.total_cmp(&a.response)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extremum(x: f32, y: f32, response: f32) -> Extremum {
        Extremum { octave: 0, layer: 1, x, y, fine_layer: 1.0, response }
    }

    #[test]
    fn a_weak_corner_is_kept_beside_a_strong_middle() {
        let mut extrema: Vec<_> = (0..1000).map(|i| extremum(800.0 + (i % 40) as f32, 600.0, 50.0)).collect();
        extrema.push(extremum(10.0, 10.0, 1.0));
        let kept = spread_over(&extrema, [1600.0, 1200.0], 600);
        assert_eq!(kept.len(), 600);
        assert!(kept.iter().any(|e| e.x < 20.0));
    }
}
