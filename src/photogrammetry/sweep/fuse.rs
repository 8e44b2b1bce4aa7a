//! Joins what the sweep found with the surface of the tie points.
//!
//! Tie points are seen in many photos and very exact, but far apart; the sweep knows every cell, less exactly. So what
//! the sweep finds over the surface is smoothed where it is even, kept where it is not, and dropped where it is no
//! more than its own noise.

use super::super::windows::{extreme, mean};

/// A swept block with its surroundings.
pub struct Swept {
    /// First column and row in cells of the surface; may be negative.
    pub at: [i64; 2],
    pub columns: usize,
    pub rows: usize,
    pub step_m: f64,
    /// Height and likeness; NaN where nothing is known.
    pub cells: Vec<(f32, f32)>,
}

/// Photos less alike than this do not know the height.
const LEAST_LIKENESS: f32 = 0.6;
/// Half the window, in cells, over which even ground is smoothed.
const SMOOTH: usize = 8;
/// Noise of a height, in layers; of its mean over a window.
const NOISE: f32 = 0.5;
const NOISE_OF_MEAN: f32 = 0.5;
/// A patch of fewer cells that stands alone is a mistake.
const LEAST_PATCH: usize = 40;
/// The share of a window that must be known.
const LEAST_KNOWN: f32 = 0.15;
/// Half the windows, in cells, from which unknown cells take their height: the smallest that knows enough.
const FILLS: [usize; 2] = [4, 12];

/// Returns heights for all cells of a swept block. `ground` is bare, `tied` the surface of the tie points with all that
/// stands on it.
pub fn fuse(swept: &Swept, ground: &[f32], tied: &[f32]) -> Vec<f32> {
    let columns = swept.columns;
    let step = swept.step_m as f32;
    let mut over: Vec<f32> = swept
        .cells
        .iter()
        .zip(ground)
        .map(|((height, likeness), ground)| if *likeness < LEAST_LIKENESS { f32::NAN } else { height - ground })
        .collect();
    drop_patches(&mut over, columns, 2.0 * step, LEAST_PATCH);
    fill(&mut over, columns);
    // Too far from all that is known the tie points have the last word.
    let last_word = tied.iter().zip(ground).map(|(tied, ground)| tied - ground);
    over.iter_mut().zip(last_word).filter(|(over, _)| over.is_nan()).for_each(|(over, tied)| *over = tied);
    let even = smooth(&over, columns, (NOISE * step).powi(2));
    let noise = (NOISE_OF_MEAN * step).powi(2);
    even.iter().zip(ground).map(|(over, ground)| ground + over * (over * over / (over * over + noise))).collect()
}

/// Forgets small patches of cells that jump from all around them.
pub fn drop_patches(heights: &mut [f32], columns: usize, jump_m: f32, least: usize) {
    let rows = heights.len() / columns;
    let mut visited = vec![false; heights.len()];
    let mut patch = Vec::new();
    for start in 0..heights.len() {
        if visited[start] || heights[start].is_nan() {
            continue;
        }
        patch.clear();
        patch.push(start);
        visited[start] = true;
        let mut next = 0;
        while next < patch.len() {
            let at = patch[next];
            next += 1;
            let (row, column) = (at / columns, at % columns);
            let mut join = |other: usize| {
                if !visited[other] && (heights[other] - heights[at]).abs() < jump_m {
                    visited[other] = true;
                    patch.push(other);
                }
            };
            if column > 0 {
                join(at - 1);
            }
            if column + 1 < columns {
                join(at + 1);
            }
            if row > 0 {
                join(at - columns);
            }
            if row + 1 < rows {
                join(at + columns);
            }
        }
        if patch.len() < least {
            for &cell in &patch {
                heights[cell] = f32::NAN;
            }
        }
    }
}

/// Gives unknown cells the lowest height around them: what photos cannot agree on lies in the shadow of what they can.
/// What is too far from all stays unknown.
fn fill(over: &mut [f32], columns: usize) {
    for reach in FILLS {
        if over.iter().all(|height| !height.is_nan()) {
            return;
        }
        let known: Vec<f32> = over.iter().map(|height| f32::from(u8::from(!height.is_nan()))).collect();
        let shares = mean(&known, columns, reach);
        // The least of a number and NaN is the number.
        let lowest = extreme(over, columns, reach, f32::min);
        for (index, height) in over.iter_mut().enumerate().filter(|(_, height)| height.is_nan()) {
            if shares[index] > LEAST_KNOWN {
                *height = lowest[index];
            }
        }
    }
}

/// Smooths where heights vary by less than `noise` (squared metres), and keeps what varies more: He, Sun & Tang 2010,
/// *Guided image filtering*, with the heights as their own guide.
fn smooth(heights: &[f32], columns: usize, noise: f32) -> Vec<f32> {
    let squares: Vec<f32> = heights.iter().map(|height| height * height).collect();
    let (means, squares) = (mean(heights, columns, SMOOTH), mean(&squares, columns, SMOOTH));
    let slopes: Vec<f32> = means
        .iter()
        .zip(&squares)
        .map(|(mean, square)| {
            let variance = (square - mean * mean).max(0.0);
            variance / (variance + noise)
        })
        .collect();
    let offsets: Vec<f32> = means.iter().zip(&slopes).map(|(mean, slope)| mean * (1.0 - slope)).collect();
    let (slopes, offsets) = (mean(&slopes, columns, SMOOTH), mean(&offsets, columns, SMOOTH));
    heights.iter().zip(slopes.iter().zip(&offsets)).map(|(height, (slope, offset))| slope * height + offset).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_ground_is_smoothed_and_a_wall_stays() {
        let columns = 60;
        let noise = |i: usize| 0.04 * (((i * 7919) % 101) as f32 / 50.0 - 1.0);
        let heights: Vec<f32> =
            (0..columns * 60).map(|i| if i % columns < 30 { 0.0 } else { 3.0 } + noise(i)).collect();
        let smoothed = smooth(&heights, columns, 0.06 * 0.06);
        let middle = |column: usize| smoothed[30 * columns + column];
        assert!(middle(10).abs() < 0.01 && (middle(50) - 3.0).abs() < 0.01);
        assert!(middle(29) < 0.1 && middle(30) > 2.9, "{} {}", middle(29), middle(30));
    }

    #[test]
    fn what_is_unknown_beside_a_wall_lies_at_its_foot() {
        let columns = 40;
        let mut heights: Vec<f32> = (0..columns * 40).map(|i| if i % columns < 20 { 4.0 } else { 0.1 }).collect();
        for row in 10..30 {
            heights[row * columns + 20..row * columns + 24].fill(f32::NAN);
        }
        fill(&mut heights, columns);
        assert!(heights.iter().all(|height| *height == 4.0 || (*height - 0.1).abs() < 0.01));
    }

    #[test]
    fn specks_go_and_roofs_stay() {
        let columns = 40;
        let mut heights = vec![0.0f32; columns * 40];
        for row in 5..15 {
            for column in 5..15 {
                heights[row * columns + column] = 3.0;
            }
        }
        heights[25 * columns + 25] = 4.0;
        drop_patches(&mut heights, columns, 0.3, 40);
        assert!(heights[25 * columns + 25].is_nan() && heights[10 * columns + 10] == 3.0);
    }
}
