//! Means and extremes over square windows, at a cost that does not depend on their size.

/// Means over windows of `2 reach + 1` cells to a side, cut at the border.
pub fn mean(values: &[f32], columns: usize, reach: usize) -> Vec<f32> {
    let rows = values.len() / columns;
    let mut lines = vec![0.0f32; values.len()];
    for (line, out) in values.chunks_exact(columns).zip(lines.chunks_exact_mut(columns)) {
        let mut sum: f64 = line[..reach.min(columns)].iter().map(|v| f64::from(*v)).sum();
        for column in 0..columns {
            if column + reach < columns {
                sum += f64::from(line[column + reach]);
            }
            if column > reach {
                sum -= f64::from(line[column - reach - 1]);
            }
            let count = (column + reach).min(columns - 1) - column.saturating_sub(reach) + 1;
            out[column] = (sum / count as f64) as f32;
        }
    }
    let mut sums = vec![0.0f64; columns];
    for line in lines.chunks_exact(columns).take(reach) {
        sums.iter_mut().zip(line).for_each(|(sum, value)| *sum += f64::from(*value));
    }
    let mut means = vec![0.0f32; values.len()];
    for row in 0..rows {
        if row + reach < rows {
            let line = &lines[(row + reach) * columns..(row + reach + 1) * columns];
            sums.iter_mut().zip(line).for_each(|(sum, value)| *sum += f64::from(*value));
        }
        if row > reach {
            let line = &lines[(row - reach - 1) * columns..(row - reach) * columns];
            sums.iter_mut().zip(line).for_each(|(sum, value)| *sum -= f64::from(*value));
        }
        let count = ((row + reach).min(rows - 1) - row.saturating_sub(reach) + 1) as f64;
        let out = &mut means[row * columns..(row + 1) * columns];
        out.iter_mut().zip(&sums).for_each(|(mean, sum)| *mean = (sum / count) as f32);
    }
    means
}

/// The least or most of a square window, cut at the border.
pub fn extreme(heights: &[f32], columns: usize, reach: usize, pick: impl Fn(f32, f32) -> f32) -> Vec<f32> {
    let rows = heights.len() / columns;
    let mut lines = vec![0.0; heights.len()];
    for (line, out) in heights.chunks_exact(columns).zip(lines.chunks_exact_mut(columns)) {
        window(columns, reach, |index| line[index], |index, value| out[index] = value, &pick);
    }
    let mut picked = vec![0.0; heights.len()];
    for column in 0..columns {
        let at = |row: usize| row * columns + column;
        window(rows, reach, |row| lines[at(row)], |row, value| picked[at(row)] = value, &pick);
    }
    picked
}

/// van Herk 1992 and Gil & Werman 1993: three comparisons a cell whatever the window, by running extremes of blocks
/// as long as the window, forwards and backwards.
fn window(
    count: usize,
    reach: usize,
    value: impl Fn(usize) -> f32,
    mut put: impl FnMut(usize, f32),
    pick: &impl Fn(f32, f32) -> f32,
) {
    let length = 2 * reach + 1;
    let padded = count + 2 * reach;
    // The border repeated outside changes no extreme of a window that is cut there.
    let at = |index: usize| value(index.saturating_sub(reach).min(count - 1));
    let (mut forwards, mut backwards) = (vec![0.0; padded], vec![0.0; padded]);
    for index in 0..padded {
        forwards[index] = if index % length == 0 { at(index) } else { pick(forwards[index - 1], at(index)) };
    }
    for index in (0..padded).rev() {
        let last = index + 1 == padded || (index + 1) % length == 0;
        backwards[index] = if last { at(index) } else { pick(backwards[index + 1], at(index)) };
    }
    for index in 0..count {
        put(index, pick(backwards[index], forwards[index + length - 1]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_is_over_the_window_and_cut_at_the_border() {
        let values: Vec<f32> = (0..30).map(|i| (i % 6) as f32 + 10.0 * (i / 6) as f32).collect();
        let means = mean(&values, 6, 1);
        assert!((means[0] - 5.5).abs() < 1e-4 && (means[14] - 22.0).abs() < 1e-4, "{means:?}");
    }

    #[test]
    fn an_extreme_is_that_of_the_window() {
        let heights: Vec<f32> = (0..70).map(|i| ((i * 37) % 23) as f32).collect();
        for reach in [1, 2, 5] {
            let found = extreme(&heights, 10, reach, f32::min);
            for row in 0..7_usize {
                for column in 0..10_usize {
                    let rows = row.saturating_sub(reach)..(row + reach + 1).min(7);
                    let least = rows
                        .flat_map(|r| {
                            (column.saturating_sub(reach)..(column + reach + 1).min(10)).map(move |c| r * 10 + c)
                        })
                        .map(|index| heights[index])
                        .fold(f32::INFINITY, f32::min);
                    assert_eq!(found[row * 10 + column].to_bits(), least.to_bits(), "{reach} {row} {column}");
                }
            }
        }
    }
}
