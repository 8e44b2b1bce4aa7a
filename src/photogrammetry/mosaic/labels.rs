//! Which photo gives each cell of the ground its colours: a map of labels for the whole orthophoto.
//!
//! The map is the cheapest that can be found in the sense of Kwatra et al., "Graphcut textures" (2003): each cell pays
//! for a slanted, blurred or odd view, each border between two photos for the colour difference across it, more so on
//! tall things. Labels are changed by expansion moves (Boykov, Veksler and Zabih 2001), each an exact cut, in windows
//! whose surroundings stand still meanwhile: so memory is that of the map, two bytes a cell, and a few windows.
//! Windows that do not touch are cut side by side; the order of the others is fixed, and so is the map.

use rayon::prelude::*;

use super::{
    candidates::{Candidate, Candidates, Lookout, difference},
    max_flow::GridCut,
};
use crate::photogrammetry::error::Result;

/// No photo sees the cell.
pub const NONE: u16 = u16::MAX;
/// Side of a window in cells: 30 to 60 m, wider than what a seam has to go round.
const WINDOW: usize = 160;
/// Windows are laid once, and once more half a window aside, so that no border of them stays.
const SHIFTS: [usize; 2] = [0, WINDOW / 2];
/// Times that every label is tried in a window, the first and the second time.
const CYCLES: [usize; 2] = [2, 1];
/// What a border between two cells costs in slant: by itself, and for each grey level that the photos differ there.
const SEAM_COST: f32 = 0.1;
const SEAM_COST_PER_LEVEL: f32 = 0.04;
/// Grey levels beyond which more is not worse; also for a photo that does not see the other cell.
const MOST_DIFFERENCE: f32 = 60.0;
/// On what stands out this much it costs more, and at the second height all that it can: a roof, not a bush.
const TALL_M: [f32; 2] = [0.5, 2.5];
const TALL_COST: f32 = 1.0;
const TALL_FACTOR: f32 = 3.0;
/// Costs are cut as whole numbers of this fineness.
const FINENESS: f32 = 1000.0;

/// The labels of all cells.
pub struct Labels {
    pub cell_px: usize,
    pub size: [usize; 2],
    of: Vec<u16>,
}

impl Labels {
    /// Finds the labels of an orthophoto of `pixels`. `tell` hears the share done and says whether to go on.
    ///
    /// # Errors
    /// Those of [`Lookout::look`] and of `tell`.
    pub fn find(lookout: &Lookout, pixels: [usize; 2], tell: &(dyn Fn(f64) -> Result<()> + Sync)) -> Result<Self> {
        let size = pixels.map(|side| side.div_ceil(lookout.cell_px));
        let mut labels = Self { cell_px: lookout.cell_px, size, of: vec![NONE; size[0] * size[1]] };
        for (sweep, (shift, cycles)) in SHIFTS.into_iter().zip(CYCLES).enumerate() {
            for phase in 0..4 {
                let windows = windows_of(size, shift, phase);
                let changed: Vec<Option<Vec<u16>>> = windows
                    .par_iter()
                    .map(|&(at, size)| {
                        let found = lookout.look(at, size)?;
                        Ok(found.map(|candidates| labels.improved(&candidates, at, cycles)))
                    })
                    .collect::<Result<_>>()?;
                for ((at, size), window) in windows.into_iter().zip(changed) {
                    for (row, line) in window.iter().flat_map(|window| window.chunks_exact(size[0])).enumerate() {
                        let start = (at[1] + row) * labels.size[0] + at[0];
                        labels.of[start..start + size[0]].copy_from_slice(line);
                    }
                }
                tell((4 * sweep + phase + 1) as f64 / 8.0)?;
            }
        }
        Ok(labels)
    }

    /// The label of a cell; none outside.
    pub fn at(&self, column: usize, row: usize) -> u16 {
        if column < self.size[0] && row < self.size[1] { self.of[row * self.size[0] + column] } else { NONE }
    }

    /// The labels that have a say at a pixel, the strongest first: those of the four cells around, by how near they are.
    /// So borders run diagonally where the cells' are steps.
    pub fn vote(&self, x: f64, y: f64) -> [u16; 4] {
        let side = self.cell_px as f64;
        let limit = |value: f64, count: usize| (value / side - 0.5).clamp(0.0, (count - 1) as f64);
        let (u, v) = (limit(x, self.size[0]), limit(y, self.size[1]));
        let (column, row) = (u as usize, v as usize);
        let labels = [
            self.at(column, row),
            self.at((column + 1).min(self.size[0] - 1), row),
            self.at(column, (row + 1).min(self.size[1] - 1)),
            self.at((column + 1).min(self.size[0] - 1), (row + 1).min(self.size[1] - 1)),
        ];
        if labels.iter().all(|label| *label == labels[0]) {
            return [labels[0], NONE, NONE, NONE];
        }
        let (fx, fy) = (u - column as f64, v - row as f64);
        let near = [(1.0 - fx) * (1.0 - fy), fx * (1.0 - fy), (1.0 - fx) * fy, fx * fy];
        let mut votes = [(0.0, NONE); 4];
        for (label, share) in labels.into_iter().zip(near).filter(|(label, _)| *label != NONE) {
            if let Some(vote) = votes.iter_mut().find(|(sum, of)| *of == label || (*of == NONE && *sum == 0.0)) {
                *vote = (vote.0 + share, label);
            }
        }
        votes.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        votes.map(|(_, label)| label)
    }

    /// The labels of a window after expansion moves; what lies outside stays as it is.
    fn improved(&self, candidates: &Candidates, at: [usize; 2], cycles: usize) -> Vec<u16> {
        let size = candidates.size;
        let cheapest = |cell: usize| candidates.of(cell).first().map_or(NONE, |candidate| candidate.view);
        let held = |cell: usize| {
            let label = self.at(at[0] + cell % size[0], at[1] + cell / size[0]);
            let known = candidates.of(cell).iter().any(|candidate| candidate.view == label);
            if known { label } else { cheapest(cell) }
        };
        let mut window = Window { candidates, labels: (0..size[0] * size[1]).map(held).collect(), at, map: self };
        let mut views: Vec<u16> = (0..size[0] * size[1])
            .flat_map(|cell| candidates.of(cell).iter().map(|candidate| candidate.view))
            .collect();
        views.sort_unstable();
        views.dedup();
        let mut cut = GridCut::new(size[0], size[1]);
        for _ in 0..cycles {
            let changed: usize = views.iter().map(|&view| window.expand(view, &mut cut)).sum();
            if changed == 0 {
                break;
            }
        }
        window.labels
    }

    #[cfg(test)]
    pub fn given(cell_px: usize, size: [usize; 2], of: Vec<u16>) -> Self {
        Self { cell_px, size, of }
    }
}

/// The windows of a phase: every other one across and down, so that no two of them touch.
fn windows_of(size: [usize; 2], shift: usize, phase: usize) -> Vec<([usize; 2], [usize; 2])> {
    let along = |side: usize, odd: usize| -> Vec<(usize, usize)> {
        let starts = (0..side + shift).step_by(WINDOW).skip(odd).step_by(2);
        let spans = starts.map(|start| (start.saturating_sub(shift), (start + WINDOW).saturating_sub(shift).min(side)));
        spans.filter(|(from, to)| from < to).collect()
    };
    let (columns, rows) = (along(size[0], phase % 2), along(size[1], phase / 2));
    let of_row = |&(y0, y1): &(usize, usize)| {
        columns.iter().map(move |&(x0, x1)| ([x0, y0], [x1 - x0, y1 - y0])).collect::<Vec<_>>()
    };
    rows.iter().flat_map(of_row).collect()
}

struct Window<'a> {
    candidates: &'a Candidates,
    labels: Vec<u16>,
    at: [usize; 2],
    map: &'a Labels,
}

impl Window<'_> {
    /// Gives a label to all cells where that makes the whole cheaper; returns how many took it.
    fn expand(&mut self, label: u16, cut: &mut GridCut) -> usize {
        let [width, height] = self.candidates.size;
        let movable: Vec<bool> = (0..width * height)
            .map(|cell| self.labels[cell] != label && find(self.candidates.of(cell), label).is_some())
            .collect();
        if !movable.contains(&true) {
            return 0;
        }
        cut.clear();
        for cell in (0..width * height).filter(|cell| movable[*cell]) {
            let (column, row) = (cell % width, cell / width);
            let cost = |of: u16| find(self.candidates.of(cell), of).map_or(0.0, |candidate| candidate.cost);
            let (mut stay, mut change) = (whole(cost(self.labels[cell])), whole(cost(label)));
            for [dx, dy] in [[1, 0], [0, 1], [-1, 0], [0, -1]] {
                let (x, y) = (column as isize + dx, row as isize + dy);
                let inside = x >= 0 && y >= 0 && x < width as isize && y < height as isize;
                let other = inside.then(|| y as usize * width + x as usize);
                if let Some(other) = other.filter(|other| movable[*other]) {
                    if dx + dy > 0 {
                        let (to_right, from_right, both) = self.pair(cell, other, label);
                        // E(stay, stay) = both, E(stay, change), E(change, stay), E(change, change) = 0, as one edge and
                        // what is left for the nodes (Kolmogorov and Zabih 2004).
                        cut.add_edge(column, row, dy == 1, (to_right + from_right - both).max(0), 0);
                        stay += both - from_right;
                        cut.add_node(x as usize, y as usize, from_right, 0);
                    }
                } else {
                    let beyond = match other {
                        Some(other) => self.labels[other],
                        None => self.label_outside(x, y),
                    };
                    stay += whole(self.seam(cell, other, self.labels[cell], beyond));
                    change += whole(self.seam(cell, other, label, beyond));
                }
            }
            cut.add_node(column, row, stay, change);
        }
        cut.solve();
        let mut changed = 0;
        for cell in (0..width * height).filter(|cell| movable[*cell]) {
            if cut.on_sink_side(cell % width, cell / width) {
                self.labels[cell] = label;
                changed += 1;
            }
        }
        changed
    }

    /// What the border between two cells costs when only the second changes, only the first, and neither.
    fn pair(&self, cell: usize, other: usize, label: u16) -> (i32, i32, i32) {
        let cost = |a: u16, b: u16| whole(self.seam(cell, Some(other), a, b));
        (cost(self.labels[cell], label), cost(label, self.labels[other]), cost(self.labels[cell], self.labels[other]))
    }

    fn label_outside(&self, x: isize, y: isize) -> u16 {
        let at = |start: usize, offset: isize| start.checked_add_signed(offset).unwrap_or(usize::MAX);
        self.map.at(at(self.at[0], x), at(self.at[1], y))
    }

    /// What a border costs between a cell with label `a` and its neighbour with label `b`. A neighbour outside the window
    /// has no colours here: the cell's own stand for them.
    fn seam(&self, cell: usize, other: Option<usize>, a: u16, b: u16) -> f32 {
        if a == b || a == NONE || b == NONE {
            return 0.0;
        }
        let other = other.unwrap_or(cell);
        let apart = 0.5 * (self.apart(cell, a, b) + self.apart(other, a, b));
        let height = self.candidates.height_m[cell].max(self.candidates.height_m[other]);
        let tall = ((height - TALL_M[0]) / (TALL_M[1] - TALL_M[0])).clamp(0.0, 1.0);
        (SEAM_COST + SEAM_COST_PER_LEVEL * apart) * (1.0 + TALL_FACTOR * tall) + TALL_COST * tall
    }

    /// The difference between two photos in a cell, in grey levels. Being cut off at the same level for all, it is a
    /// metric, which is what lets a cut find the best expansion.
    fn apart(&self, cell: usize, a: u16, b: u16) -> f32 {
        let candidates = self.candidates.of(cell);
        match (find(candidates, a), find(candidates, b)) {
            (Some(a), Some(b)) => difference(&a.colours, &b.colours).min(MOST_DIFFERENCE),
            _ => MOST_DIFFERENCE,
        }
    }
}

fn find(candidates: &[Candidate], label: u16) -> Option<&Candidate> {
    candidates.iter().find(|candidate| candidate.view == label)
}

fn whole(cost: f32) -> i32 {
    (cost * FINENESS).round() as i32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::photogrammetry::mosaic::candidates::SAMPLES;

    /// Two photos, one better on the left, one on the right; `grey` of the second is what differs.
    fn two_photos(
        size: [usize; 2],
        grey: impl Fn(usize, usize) -> u8,
        height: impl Fn(usize, usize) -> f32,
    ) -> Vec<u16> {
        let cells: Vec<Vec<Candidate>> = (0..size[0] * size[1])
            .map(|cell| {
                let (column, row) = (cell % size[0], cell / size[0]);
                let slant = 0.01 * (column as f32 - 0.5 * size[0] as f32);
                let mut both = vec![
                    Candidate { view: 0, cost: slant.max(0.0), colours: [100; SAMPLES] },
                    Candidate { view: 1, cost: (-slant).max(0.0), colours: [grey(column, row); SAMPLES] },
                ];
                both.sort_by(|a, b| a.cost.total_cmp(&b.cost));
                both
            })
            .collect();
        let heights = (0..size[0] * size[1]).map(|cell| height(cell % size[0], cell / size[0])).collect();
        let candidates = Candidates::given(size, &cells, heights);
        let map = Labels::given(8, size, vec![NONE; size[0] * size[1]]);
        map.improved(&candidates, [0, 0], 3)
    }

    /// Places left of which the label is 0 and right of which it is 1, for each row.
    fn borders(labels: &[u16], width: usize) -> Vec<Vec<usize>> {
        labels.chunks(width).map(|row| (1..width).filter(|&x| row[x] != row[x - 1]).collect()).collect()
    }

    #[test]
    fn without_differences_the_seam_lies_in_the_middle() {
        let labels = two_photos([40, 30], |_, _| 100, |_, _| 0.0);
        assert!(borders(&labels, 40).iter().all(|row| row.len() == 1 && row[0].abs_diff(20) <= 2));
    }

    #[test]
    fn a_seam_avoids_a_tall_block() {
        let block = |x: usize, y: usize| (14..24).contains(&x) && (10..22).contains(&y);
        // The roof is of the same colour in both photos: only its height tells.
        let labels = two_photos([40, 30], |_, _| 100, |x, y| if block(x, y) { 6.0 } else { 0.0 });
        for (y, row) in borders(&labels, 40).iter().enumerate() {
            for &x in row {
                assert!(!(block(x, y) && block(x - 1, y)), "the seam cuts the roof at {x}, {y}");
            }
        }
        assert!(labels.contains(&0) && labels.contains(&1));
    }

    #[test]
    fn a_seam_goes_where_the_photos_agree() {
        let labels = two_photos([40, 30], |x, _| if x == 24 { 100 } else { 130 }, |_, _| 0.0);
        assert!(borders(&labels, 40).iter().all(|row| row.iter().all(|x| (24..=25).contains(x)) && row.len() == 1));
    }

    #[test]
    fn the_windows_of_a_sweep_cover_every_cell_once_and_those_of_a_phase_do_not_touch() {
        for shift in SHIFTS {
            let size = [3 * WINDOW + 17, WINDOW + 5];
            let mut times = vec![0u8; size[0] * size[1]];
            for phase in 0..4 {
                let windows = windows_of(size, shift, phase);
                for (at, extent) in &windows {
                    for row in at[1]..at[1] + extent[1] {
                        times[row * size[0] + at[0]..][..extent[0]].iter_mut().for_each(|count| *count += 1);
                    }
                }
                for (index, (a, a_size)) in windows.iter().enumerate() {
                    for (b, b_size) in &windows[..index] {
                        let apart = (0..2).any(|i| a[i] > b[i] + b_size[i] || b[i] > a[i] + a_size[i]);
                        assert!(apart, "{a:?} touches {b:?}");
                    }
                }
            }
            assert!(times.iter().all(|count| *count == 1));
        }
    }

    #[test]
    fn a_pixel_between_cells_asks_the_nearest_first() {
        let labels = Labels::given(8, [2, 2], vec![3, 5, 3, NONE]);
        assert_eq!(labels.vote(4.0, 4.0)[0], 3);
        assert_eq!(labels.vote(11.5, 2.0)[..2], [5, 3]);
        assert_eq!(labels.vote(10.0, 10.0)[0], 3, "a cell without a photo has no say");
    }
}
