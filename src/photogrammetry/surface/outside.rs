//! The land beyond the last tie point.
//!
//! Photos at the edge of a flight see farther than tie points reach. There the land goes on as it left the border,
//! and it goes on *along its own grain*: a dike, a ditch or a bank keeps its profile and its direction, whatever the
//! angle at which the border cuts it.

use std::collections::HashMap;

/// Half the side of the window whose slopes say which way the land runs, metres: about the width of a dike.
const GRAIN_M: f64 = 12.0;
/// Where the land runs one way only, a step across it counts as this many steps along it. The higher, the less a
/// ragged border bends what goes on (at 8, a tooth of 1 m moves the land by 0.5 m at 8 m outside); but the farther,
/// too, heights are carried along a border that the land runs beside.
const ALONG: f32 = 8.0;

/// Beyond the last tie point what stands on the land goes on for as long, metres: the other half of a house, but not
/// the land behind it.
const STANDS_ON_M: f64 = 4.0;

/// Which way the land runs around a place.
#[derive(Clone, Copy, Default)]
struct Grain {
    /// Unit vector (column, row) in which heights change most.
    across: [f32; 2],
    /// Weight of a squared step across above that of one along, 0 where no direction stands out.
    extra: f32,
}

/// A grid of heights over a level, of which some are not known (NaN); row by row.
pub(super) struct Grid<'a> {
    pub over: &'a mut [f32],
    pub columns: usize,
    pub cell_m: f64,
}

impl Grid<'_> {
    /// Gives every unknown cell the height of a known one: the nearest, counted along the grain of the land there.
    ///
    /// What stands on the land (by cell) is not carried along: next to it, it goes on for [`STANDS_ON_M`] where it is the
    /// nearest by plain distance; farther away there is land again.
    pub fn carry_on(&mut self, stands: &[bool]) {
        let known: Vec<bool> = self.over.iter().map(|height| !height.is_nan()).collect();
        let own = |of: &dyn Fn(usize) -> bool| -> Vec<Option<u32>> {
            (0..known.len()).map(|index| (known[index] && of(index)).then_some(index as u32)).collect()
        };
        let mut nearest = own(&|_| true);
        self.sweep(&mut nearest, |_| Grain::default());
        let mut sources = own(&|index| !stands[index]);
        if sources.iter().all(Option::is_none) {
            sources = own(&|_| true);
        }
        self.sweep(&mut sources, |_| Grain::default());
        let mut grains = HashMap::new();
        for (index, source) in sources.iter().enumerate() {
            if let Some(source) = source.filter(|_| !known[index]) {
                grains.entry(source).or_insert_with(|| self.grain_at(source as usize, stands));
            }
        }
        let of_nearest = sources.clone();
        let grain_of =
            |index: usize| of_nearest[index].and_then(|source| grains.get(&source)).copied().unwrap_or_default();
        // Cells are offered what their neighbours hold, and with a metric of their own that may come late: twice.
        for _ in 0..2 {
            self.sweep(&mut sources, grain_of);
        }
        for (index, source) in sources.into_iter().enumerate().filter(|(index, _)| !known[*index]) {
            let thing =
                nearest[index].filter(|from| stands[*from as usize] && self.is_within(index, *from, STANDS_ON_M));
            self.over[index] = thing.or(source).map_or(0.0, |from| self.over[from as usize]);
        }
    }

    fn is_within(&self, to: usize, from: u32, metres: f64) -> bool {
        let (column, row) = (from as usize % self.columns, from as usize / self.columns);
        let apart = (to % self.columns).abs_diff(column).pow(2) + (to / self.columns).abs_diff(row).pow(2);
        apart as f64 * self.cell_m * self.cell_m <= metres * metres
    }

    /// Spans every gap of unknown cells as a soap film would; at least one cell is known.
    pub fn span(&mut self) {
        let (columns, rows) = (self.columns, self.over.len() / self.columns);
        let unknown: Vec<usize> = (0..self.over.len()).filter(|index| self.over[*index].is_nan()).collect();
        self.carry_on(&vec![false; self.over.len()]);
        // Gaps are houses: successive over-relaxation crosses one of 60 cells in as many rounds.
        for _ in 0..120 {
            for &index in &unknown {
                let (column, row) = (index % columns, index / columns);
                let at = |column: usize, row: usize| self.over[row * columns + column];
                let sum = at(column.saturating_sub(1), row)
                    + at((column + 1).min(columns - 1), row)
                    + at(column, row.saturating_sub(1))
                    + at(column, (row + 1).min(rows - 1));
                self.over[index] += 1.8 * (0.25 * sum - self.over[index]);
            }
        }
    }

    /// Structure tensor of the land's known heights around a cell (Förstner & Gülch 1987; Weickert 1998 for its coherence).
    fn grain_at(&self, centre: usize, stands: &[bool]) -> Grain {
        let (columns, rows) = (self.columns as isize, (self.over.len() / self.columns) as isize);
        let reach = (GRAIN_M / self.cell_m).ceil().clamp(3.0, 60.0) as isize;
        let (x, y) = (centre as isize % columns, centre as isize / columns);
        let at = |x: isize, y: isize| {
            let index = (y * columns + x) as usize;
            if stands[index] { f32::NAN } else { self.over[index] }
        };
        let (mut xx, mut xy, mut yy) = (0.0_f32, 0.0_f32, 0.0_f32);
        for row in (y - reach).max(1)..(y + reach + 1).min(rows - 1) {
            for column in (x - reach).max(1)..(x + reach + 1).min(columns - 1) {
                let dx = at(column + 1, row) - at(column - 1, row);
                let dy = at(column, row + 1) - at(column, row - 1);
                if dx.is_finite() && dy.is_finite() {
                    (xx, xy, yy) = (xx + dx * dx, xy + dx * dy, yy + dy * dy);
                }
            }
        }
        let sum = xx + yy;
        if sum <= f32::MIN_POSITIVE {
            return Grain::default();
        }
        let coherence = (xx - yy).hypot(2.0 * xy) / sum;
        let angle = 0.5 * (2.0 * xy).atan2(xx - yy);
        let along = 1.0 + (ALONG - 1.0) * coherence * coherence;
        Grain { across: [angle.cos(), angle.sin()], extra: along * along - 1.0 }
    }

    /// Offers every cell the sources of its neighbours (Danielsson 1980, *Euclidean distance mapping*: two sweeps).
    fn sweep(&self, sources: &mut [Option<u32>], grain_of: impl Fn(usize) -> Grain) {
        let (columns, rows) = (self.columns, self.over.len() / self.columns);
        let distance = |to: usize, from: u32, grain: Grain| {
            let dx = (to % columns) as f32 - (from as usize % columns) as f32;
            let dy = (to / columns) as f32 - (from as usize / columns) as f32;
            let across = dx * grain.across[0] + dy * grain.across[1];
            dx * dx + dy * dy + grain.extra * across * across
        };
        let mut offer = |to: usize, by: usize| {
            let Some(offered) = sources[by] else { return };
            match sources[to] {
                Some(held) if held == offered || held as usize == to => {}
                Some(held) => {
                    let grain = grain_of(to);
                    if distance(to, offered, grain) < distance(to, held, grain) {
                        sources[to] = Some(offered);
                    }
                }
                None => sources[to] = Some(offered),
            }
        };
        for sweep in 0..2 {
            for line in 0..rows {
                let row = if sweep == 0 { line } else { rows - 1 - line };
                let before = if sweep == 0 { row.checked_sub(1) } else { Some(row + 1).filter(|next| *next < rows) };
                for column in 0..columns {
                    let at = row * columns + column;
                    for other in [column.wrapping_sub(1), column, column + 1] {
                        if let Some(line) = before.filter(|_| other < columns) {
                            offer(at, line * columns + other);
                        }
                    }
                    if column > 0 {
                        offer(at, at - 1);
                    }
                }
                for column in (0..columns - 1).rev() {
                    offer(row * columns + column, row * columns + column + 1);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A dike that a slanting border cuts off goes on in its own direction, not square to the border.
    #[test]
    fn a_slanting_border_does_not_bend_a_dike() {
        let (columns, rows, cell_m) = (240_usize, 200_usize, 0.5);
        let dike = |x: f64, y: f64| {
            let off = (y - 50.0 - 0.2 * (x - 60.0)) / 1.04_f64.sqrt();
            (5.0 - 0.5 * off.abs()).clamp(0.0, 2.0)
        };
        let place = |index: usize| ((index % columns) as f64 * cell_m, (index / columns) as f64 * cell_m);
        let truth: Vec<f64> = (0..columns * rows).map(|index| dike(place(index).0, place(index).1)).collect();
        // Known west of a line that leans by 35 degrees.
        let outside = |index: usize| place(index).0 - (80.0 + 0.7 * (place(index).1 - 50.0));
        let mut over: Vec<f32> = truth
            .iter()
            .enumerate()
            .map(|(index, height)| if outside(index) > 0.0 { f32::NAN } else { *height as f32 })
            .collect();
        Grid { over: &mut over, columns, cell_m }.carry_on(&vec![false; columns * rows]);
        let near = |index: &usize| (0.0..12.0).contains(&outside(*index)) && (place(*index).1 - 54.0).abs() < 20.0;
        let worst = (0..over.len()).filter(near).map(|i| (f64::from(over[i]) - truth[i]).abs()).fold(0.0, f64::max);
        assert!(worst < 0.35, "{worst}");
    }

    /// Its eaves run along the border's outside: by its own grain a roof would cover the land beside it.
    #[test]
    fn a_house_at_the_border_ends_and_the_land_beside_it_stays_low() {
        let (columns, rows, cell_m) = (120_usize, 80_usize, 0.5);
        let house = |index: usize| (30..50).contains(&(index % columns)) && index / columns >= 40;
        let mut over: Vec<f32> = (0..columns * rows)
            .map(|index| if index / columns >= 50 { f32::NAN } else { f32::from(u8::from(house(index))) * 5.0 })
            .collect();
        let stands: Vec<bool> = (0..columns * rows).map(house).collect();
        Grid { over: &mut over, columns, cell_m }.carry_on(&stands);
        let at = |column: usize, row: usize| over[row * columns + column];
        assert_eq!((at(40, 52), at(40, 56)), (5.0, 5.0), "the house goes on");
        assert!((50..80).all(|row| at(24, row) == 0.0 && at(56, row) == 0.0), "beside it is land");
        assert!((60..80).all(|row| (0..columns).all(|column| at(column, row) == 0.0)), "and behind it");
    }

    /// Where the land shows no direction, the nearest known height is taken.
    #[test]
    fn level_land_stays_level() {
        let mut over = vec![f32::NAN; 400];
        over[..200].fill(1.5);
        Grid { over: &mut over, columns: 20, cell_m: 1.0 }.carry_on(&[false; 400]);
        assert!(over.iter().all(|height| *height == 1.5));
    }
}
