//! What stands out above the ground around it: houses, trees, poles, not dikes and slopes.

/// Things narrower than twice this stand on the ground; what is wider is the ground, metres.
pub const REACH_M: f64 = 5.0;

/// How high each cell is above the opening of the heights (Serra's, with a square of `2 × reach + 1` cells): a slope's
/// opening is the slope itself, a roof's is the ground around it. Metres, never negative.
pub fn above_ground(heights: &[f32], size: [usize; 2], reach: usize) -> Vec<f32> {
    let eroded = both_ways(heights, size, reach, f32::min);
    let opened = both_ways(&eroded, size, reach, f32::max);
    heights.iter().zip(&opened).map(|(height, ground)| (height - ground).max(0.0)).collect()
}

fn both_ways(values: &[f32], [width, height]: [usize; 2], reach: usize, pick: fn(f32, f32) -> f32) -> Vec<f32> {
    let mut rows = Vec::with_capacity(values.len());
    for row in values.chunks_exact(width) {
        rows.extend(running(row, reach, pick));
    }
    let mut result = vec![0.0; values.len()];
    let mut column = vec![0.0; height];
    for x in 0..width {
        column.iter_mut().enumerate().for_each(|(y, value)| *value = rows[y * width + x]);
        for (y, value) in running(&column, reach, pick).into_iter().enumerate() {
            result[y * width + x] = value;
        }
    }
    result
}

/// The least (or greatest) of the values up to `reach` away, by doubling: windows of 1, 2, 4 … and then two that overlap.
fn running(line: &[f32], reach: usize, pick: fn(f32, f32) -> f32) -> Vec<f32> {
    let window = 2 * reach + 1;
    let last = line.len() - 1;
    let padded = (0..line.len() + 2 * reach).map(|at| line[at.saturating_sub(reach).min(last)]);
    let mut values: Vec<f32> = padded.collect();
    let mut length = 1;
    while 2 * length <= window {
        for at in 0..values.len() - length {
            values[at] = pick(values[at], values[at + length]);
        }
        length *= 2;
    }
    (0..line.len()).map(|at| pick(values[at], values[at + window - length])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_house_on_a_slope_stands_out_by_its_height() {
        let size = [60, 50];
        let heights: Vec<f32> = (0..3000)
            .map(|i| {
                let (x, y) = (i % 60, i / 60);
                let house = (20..30).contains(&x) && (15..25).contains(&y);
                0.2 * x as f32 + if house { 6.0 } else { 0.0 }
            })
            .collect();
        let above = above_ground(&heights, size, 8);
        assert!((above[20 * 60 + 25] - 6.0).abs() < 1.7, "{}", above[20 * 60 + 25]);
        assert!(above[20 * 60 + 25] > 4.0);
        // Away from the house and the border a slope stands out nowhere.
        for at in [40 * 60 + 30, 5 * 60 + 50, 40 * 60 + 12] {
            assert!(above[at] < 1e-4, "{at}: {}", above[at]);
        }
    }

    #[test]
    fn the_running_least_is_the_least_of_the_window() {
        let line: Vec<f32> = (0..40).map(|i| ((i * 37 + 11) % 29) as f32).collect();
        for reach in [0, 1, 3, 5, 8] {
            for (at, found) in running(&line, reach, f32::min).into_iter().enumerate() {
                let window = &line[at.saturating_sub(reach)..(at + reach + 1).min(40)];
                assert_eq!(found, window.iter().copied().fold(f32::INFINITY, f32::min), "{reach} {at}");
            }
        }
    }
}
