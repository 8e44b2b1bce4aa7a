//! Picks a layer for each cell so that neighbours mostly agree.
//!
//! Semi-global matching (Hirschmüller 2008, *Stereo processing by semiglobal matching and mutual information*): costs
//! are carried along eight directions, a small change of layer costs a little, a jump costs more, but less where
//! the photo shows an edge.

use super::{
    super::dispatch::dispatched,
    volume::{DEAREST, Volume},
};

/// A step of one layer: slopes and roofs make many.
const STEP: i16 = 8;
/// A jump where the photo is even, and at least, where it shows an edge.
const JUMP: i16 = 120;
const LEAST_JUMP: i16 = 24;
/// A difference of grey at which a jump costs half.
const EDGE_GREYS: f32 = 10.0;
/// Beyond every layer: dearer than anything, and far from the largest number even with a cost added.
const WALL: i16 = 16_000;

/// The chosen layer of a cell.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pick {
    /// With its fraction.
    pub layer: f32,
    /// How alike the photos are there, 0 to 1.
    pub likeness: f32,
}

/// Chooses the layers of a tile of `columns` cells a row and `layers` layers.
pub fn choose_layers(volume: &Volume, columns: usize, layers: usize) -> Vec<Pick> {
    let rows = volume.shown.len() / columns;
    let mut sums = vec![0i16; volume.costs.len()];
    for backwards in [false, true] {
        sweep(volume, [columns, rows, layers], backwards, &mut sums);
    }
    sums.chunks_exact(layers).zip(volume.costs.chunks_exact(layers)).map(|(sums, costs)| pick(sums, costs)).collect()
}

/// The cheapest layer, and its fraction by a parabola through the neighbours.
fn pick(sums: &[i16], costs: &[i16]) -> Pick {
    let (best, &lowest) = sums.iter().enumerate().min_by_key(|(_, sum)| **sum).unwrap_or((0, &0));
    let likeness = 1.0 - f32::from(costs[best]) / f32::from(DEAREST);
    if best == 0 || best + 1 == sums.len() {
        return Pick { layer: best as f32, likeness };
    }
    let (before, after) = (f32::from(sums[best - 1] - lowest), f32::from(sums[best + 1] - lowest));
    let fraction = if before + after > 0.0 { 0.5 * (before - after) / (before + after) } else { 0.0 };
    Pick { layer: best as f32 + fraction, likeness }
}

/// Carries costs along the four directions that a pass over the rows can take, and adds them to the sums.
fn sweep(volume: &Volume, [columns, rows, layers]: [usize; 3], backwards: bool, sums: &mut [i16]) {
    // A wall on either side of the layers saves asking where they end.
    let padded = layers + 2;
    let empty = || vec![WALL; columns * padded];
    // From the cell before in this row; from the row before: diagonally, straight, diagonally.
    let (mut before, mut here) = (vec![WALL; padded], vec![WALL; padded]);
    let mut last = [empty(), empty(), empty()];
    let mut next = [empty(), empty(), empty()];
    for line in 0..rows {
        let row = if backwards { rows - 1 - line } else { line };
        for place in 0..columns {
            let column = if backwards { columns - 1 - place } else { place };
            let cell = row * columns + column;
            let costs = &volume.costs[cell * layers..(cell + 1) * layers];
            let sums = &mut sums[cell * layers..(cell + 1) * layers];
            let shown = volume.shown[cell];
            let jump_from = |other: usize| jump(shown - volume.shown[other]);
            let at = |column: usize| column * padded..(column + 1) * padded;
            let ahead = |column: usize, by: isize| {
                let by = if backwards { -by } else { by };
                column.checked_add_signed(by).filter(|column| *column < columns)
            };
            match ahead(column, -1) {
                None => start(costs, &mut here, sums),
                Some(from) => carry(costs, &before, &mut here, jump_from(row * columns + from), sums),
            }
            std::mem::swap(&mut before, &mut here);
            for (side, (last, next)) in last.iter().zip(&mut next).enumerate() {
                let from = if line == 0 { None } else { ahead(column, side as isize - 1) };
                match from {
                    None => start(costs, &mut next[at(column)], sums),
                    Some(from) => {
                        let other = if backwards { row + 1 } else { row - 1 } * columns + from;
                        carry(costs, &last[at(from)], &mut next[at(column)], jump_from(other), sums);
                    }
                }
            }
        }
        std::mem::swap(&mut last, &mut next);
    }
}

fn jump(difference: f32) -> i16 {
    ((f32::from(JUMP) / (1.0 + difference.abs() / EDGE_GREYS)) as i16).max(LEAST_JUMP)
}

fn start(costs: &[i16], path: &mut [i16], sums: &mut [i16]) {
    path[1..=costs.len()].copy_from_slice(costs);
    sums.iter_mut().zip(costs).for_each(|(sum, cost)| *sum += cost);
}

dispatched! {
    /// One step of a path: each layer takes the cheapest way to it.
    fn carry(costs: &[i16], from: &[i16], to: &mut [i16], jump: i16, sums: &mut [i16]) {
        let layers = costs.len();
        let (from, to, sums) = (&from[..layers + 2], &mut to[1..=layers], &mut sums[..layers]);
        let lowest = from[1..=layers].iter().fold(WALL, |a, b| a.min(*b));
        let jumped = lowest + jump;
        for i in 0..layers {
            let stepped = from[i].min(from[i + 2]) + STEP;
            let cheapest = from[i + 1].min(stepped).min(jumped);
            let cost = costs[i] + cheapest - lowest;
            to[i] = cost;
            sums[i] += cost;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A step of 6 layers in a volume with wrong minima strewn over it: the step stays where it is, the strewn ones go.
    #[test]
    fn neighbours_outvote_a_wrong_cell_but_not_an_edge() {
        let (columns, rows, layers) = (24, 16, 12);
        let truth = |column: usize| if column < 11 { 2 } else { 8 };
        let mut volume = Volume {
            costs: vec![200; columns * rows * layers],
            shown: vec![0.0; columns * rows],
            known: vec![true; columns * rows],
        };
        for cell in 0..columns * rows {
            let column = cell % columns;
            volume.shown[cell] = if column < 11 { 0.0 } else { 60.0 };
            volume.costs[cell * layers + truth(column)] = 40;
            if cell % 7 == 3 {
                volume.costs[cell * layers + (cell * 5) % layers] = 20;
            }
        }
        for (cell, pick) in choose_layers(&volume, columns, layers).iter().enumerate() {
            let expected = truth(cell % columns) as f32;
            assert!((pick.layer - expected).abs() < 0.6, "{pick:?} at {cell}, not {expected}");
        }
    }

    #[test]
    fn the_fraction_follows_the_cheaper_side() {
        let pick = pick(&[90, 50, 10, 30, 90], &[255, 128, 51, 100, 255]);
        assert!((pick.layer - 2.167).abs() < 0.01 && (pick.likeness - 0.8).abs() < 0.01, "{pick:?}");
    }
}
