//! The order in which tiles are drawn.

/// Side of a tile in pixels.
const TILE: usize = 1024;

/// The tiles of a picture, corner and size each, along Hilbert's curve: what is drawn soon is near, both ways, so that a
/// photo is still in memory when its next tile comes.
pub fn in_order(size: [usize; 2]) -> Vec<([usize; 2], [usize; 2])> {
    let across = size.map(|side| side.div_ceil(TILE));
    let side = across[0].max(across[1]).next_power_of_two();
    let mut tiles = Vec::with_capacity(across[0] * across[1]);
    for step in 0..side * side {
        let [column, row] = hilbert(side, step);
        if column < across[0] && row < across[1] {
            let at = [column * TILE, row * TILE];
            tiles.push((at, [TILE.min(size[0] - at[0]), TILE.min(size[1] - at[1])]));
        }
    }
    tiles
}

/// Where the curve through a square of `side` (a power of two) is after so many steps.
fn hilbert(side: usize, mut step: usize) -> [usize; 2] {
    let [mut x, mut y] = [0, 0];
    let mut part = 1;
    while part < side {
        let right = 1 & (step / 2);
        let up = 1 & (step ^ right);
        if up == 0 {
            if right == 1 {
                [x, y] = [part - 1 - x, part - 1 - y];
            }
            [x, y] = [y, x];
        }
        x += part * right;
        y += part * up;
        step /= 4;
        part *= 2;
    }
    [x, y]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_the_grid_once_and_most_neighbours_follow_each_other() {
        let tiles = in_order([5500, 3500]);
        assert_eq!(tiles.iter().map(|(_, size)| size[0] * size[1]).sum::<usize>(), 5500 * 3500);
        let mut corners: Vec<_> = tiles.iter().map(|(at, _)| *at).collect();
        let near = |pair: &&[[usize; 2]]| pair[0][0].abs_diff(pair[1][0]) + pair[0][1].abs_diff(pair[1][1]) <= TILE;
        assert!(corners.windows(2).filter(near).count() >= corners.len() - 3);
        corners.sort_unstable();
        corners.dedup();
        assert_eq!(corners.len(), tiles.len());
    }

    #[test]
    fn the_curve_of_a_whole_square_never_jumps() {
        for step in 1..256 {
            let (a, b) = (hilbert(16, step - 1), hilbert(16, step));
            assert_eq!(a[0].abs_diff(b[0]) + a[1].abs_diff(b[1]), 1);
        }
    }
}
