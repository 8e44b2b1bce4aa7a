//! How alike the photos are if the ground of a cell lies at a layer.
//!
//! At every layer the photos are laid onto the ground (Collins 1996, *A space-sweep approach to true multi-image
//! matching*) and compared with the steepest one over a small window, by normalised cross-correlation. Of the partners
//! only the better ones count: behind a house some look at its wall.

use std::sync::Arc;

use super::{
    super::{dispatch::dispatched, orthorectify::View},
    pictures::{Grey, Pyramid},
    tile::{Chosen, Tile},
};

/// A window reaches this many cells to each side.
const REACH: usize = 2;
const WINDOW: f32 = (2 * REACH + 1).pow(2) as f32;
/// Variance that noise alone gives a window, grey levels squared times cells: what has no more of it is like nothing.
const NOISE: f32 = 2.0 * WINDOW;
/// Places of the photos are computed every this many cells and interpolated.
const LATTICE: usize = 8;
/// Places nearer to a photo's frame are not compared: a window reaches beyond them.
const FRAME_PX: f64 = 8.0;
/// The dearest a cell can be.
pub const DEAREST: i16 = 255;

/// Costs for each cell and layer, cell by cell: 0 where photos are alike, [`DEAREST`] where they are not.
pub struct Volume {
    pub costs: Vec<i16>,
    /// What the steepest photo shows at the tile's plane.
    pub shown: Vec<f32>,
    /// Whether it and two partners see the cell at the plane. Who sees it only if it lay lower proves nothing.
    pub known: Vec<bool>,
}

/// Compares the chosen photos at every layer of a tile. `level` says at which size they are looked at.
pub fn compare(tile: &Tile, chosen: &[Chosen], views: &[View], pictures: &[Arc<Pyramid>], level: usize) -> Volume {
    let cells = tile.columns * tile.rows;
    let mut volume =
        Volume { costs: vec![DEAREST; cells * tile.layers], shown: vec![0.0; cells], known: vec![false; cells] };
    let plane = (-tile.lowest_m / tile.step_m).round().clamp(0.0, (tile.layers - 1) as f64) as usize;
    let mut patches = vec![vec![0.0f32; cells]; chosen.len()];
    let mut seen = patches.clone();
    let mut work = Work::new(tile.columns, tile.rows);
    let mut likeness = vec![0.0f32; cells];
    for layer in 0..tile.layers {
        for (((chosen, picture), patch), seen) in chosen.iter().zip(pictures).zip(&mut patches).zip(&mut seen) {
            lay_down(tile, layer as f64, &views[chosen.view], picture.level(level), patch, seen);
            work.see_whole_windows(seen);
        }
        work.liken(&patches, &seen, &mut likeness);
        if layer == plane {
            volume.shown.copy_from_slice(&patches[0]);
            let partners = work.count.iter().zip(&seen[0]).map(|(count, first)| count * first);
            volume.known.iter_mut().zip(partners).for_each(|(known, partners)| *known = partners > 1.5);
        }
        for (cell, likeness) in likeness.iter().enumerate() {
            volume.costs[cell * tile.layers + layer] = ((1.0 - likeness.max(0.0)) * f32::from(DEAREST)) as i16;
        }
    }
    volume
}

/// Nodes of the lattice across a tile and up: enough to have every cell between four.
fn lattice(tile: &Tile) -> (usize, usize) {
    ((tile.columns - 1) / LATTICE + 2, (tile.rows - 1) / LATTICE + 2)
}

/// Lays a photo onto a layer of a tile: a grey for each cell, less 128, and whether it is seen, 1 or 0.
fn lay_down(tile: &Tile, layer: f64, view: &View, picture: &Grey, patch: &mut [f32], seen: &mut [f32]) {
    let camera = &view.camera;
    let scale = [picture.width as f64 / camera.width_px, picture.height as f64 / camera.height_px];
    let (across, up) = lattice(tile);
    let mut nodes: Vec<Option<[f32; 2]>> = Vec::with_capacity(across * up);
    for row in 0..up {
        for column in 0..across {
            let point = tile.point((column * LATTICE) as f64, (row * LATTICE) as f64, layer);
            let inside = |x: f64, size: f64| x > FRAME_PX && x < size - FRAME_PX;
            let pixel =
                view.see(&point).filter(|pixel| inside(pixel.x, camera.width_px) && inside(pixel.y, camera.height_px));
            nodes.push(pixel.map(|pixel| [(pixel.x * scale[0]) as f32, (pixel.y * scale[1]) as f32]));
        }
    }
    for (row, (line, seen)) in patch.chunks_exact_mut(tile.columns).zip(seen.chunks_exact_mut(tile.columns)).enumerate()
    {
        let (node_row, share) = (row / LATTICE, (row % LATTICE) as f32 / LATTICE as f32);
        let mix = |column: usize| {
            let (below, above) = (nodes[node_row * across + column]?, nodes[(node_row + 1) * across + column]?);
            Some([0, 1].map(|i| below[i] + share * (above[i] - below[i])))
        };
        for (column, (greys, seen)) in line.chunks_mut(LATTICE).zip(seen.chunks_mut(LATTICE)).enumerate() {
            if let (Some(from), Some(to)) = (mix(column), mix(column + 1)) {
                picture.sample_line(from, to, greys, LATTICE);
                seen.fill(1.0);
            } else {
                greys.fill(128.0);
                seen.fill(0.0);
            }
        }
    }
    for grey in patch {
        *grey -= 128.0;
    }
}

/// Buffers for comparing patches.
struct Work {
    columns: usize,
    rows: usize,
    product: Vec<f32>,
    lines: Vec<f32>,
    first_sum: Vec<f32>,
    first_squares: Vec<f32>,
    sum: Vec<f32>,
    squares: Vec<f32>,
    together: Vec<f32>,
    total: Vec<f32>,
    worst: Vec<f32>,
    second_worst: Vec<f32>,
    count: Vec<f32>,
}

impl Work {
    fn new(columns: usize, rows: usize) -> Self {
        let empty = || vec![0.0f32; columns * rows];
        Self {
            columns,
            rows,
            product: empty(),
            lines: empty(),
            first_sum: empty(),
            first_squares: empty(),
            sum: empty(),
            squares: empty(),
            together: empty(),
            total: empty(),
            worst: empty(),
            second_worst: empty(),
            count: empty(),
        }
    }

    /// Leaves only those cells seen whose whole window is. A window that reaches beyond what a photo shows has an edge in it
    /// that is in no photo; two photos that end at the same cells would be alike in that.
    fn see_whole_windows(&mut self, seen: &mut [f32]) {
        if seen.iter().all(|seen| *seen == 1.0) {
            return;
        }
        sum_rows(seen, self.columns, &mut self.lines);
        sum_columns(&self.lines, self.columns, self.rows, &mut self.sum);
        seen.iter_mut().zip(&self.sum).for_each(|(seen, sum)| *seen = f32::from(u8::from(*sum > WINDOW - 0.5)));
    }

    /// The mean correlation of the first patch with the better ones of the others.
    fn liken(&mut self, patches: &[Vec<f32>], seen: &[Vec<f32>], likeness: &mut [f32]) {
        let (columns, rows) = (self.columns, self.rows);
        let (product, lines) = (&mut self.product, &mut self.lines);
        let mut sums = |a: &[f32], b: Option<&[f32]>, out: &mut [f32]| {
            match b {
                Some(b) => multiply(a, b, product),
                None => product.copy_from_slice(a),
            }
            sum_rows(product, columns, lines);
            sum_columns(lines, columns, rows, out);
        };
        let (first, others) = (&patches[0], &patches[1..]);
        sums(first, None, &mut self.first_sum);
        sums(first, Some(first), &mut self.first_squares);
        self.total.fill(0.0);
        self.worst.fill(f32::INFINITY);
        self.second_worst.fill(f32::INFINITY);
        self.count.fill(0.0);
        for (other, seen) in others.iter().zip(&seen[1..]) {
            sums(other, None, &mut self.sum);
            sums(other, Some(other), &mut self.squares);
            sums(first, Some(other), &mut self.together);
            correlate(
                [&self.first_sum, &self.first_squares, &self.sum, &self.squares, seen],
                &mut self.together,
                &mut self.total,
                [&mut self.worst, &mut self.second_worst],
            );
            add(seen, &mut self.count);
        }
        let count = self.count.iter().zip(&seen[0]).map(|(count, first)| count * first);
        if count.clone().all(|count| count == 5.0) {
            let worst = self.worst.iter().zip(&self.second_worst);
            for ((likeness, total), (worst, second)) in likeness.iter_mut().zip(&self.total).zip(worst) {
                *likeness = (total - worst - second) * (1.0 / 3.0);
            }
            return;
        }
        // Of five partners three count, of four three, of three and two two; one alone proves nothing.
        for (cell, likeness) in likeness.iter_mut().enumerate() {
            let count = self.count[cell] * seen[0][cell];
            let (worst, second) = (self.worst[cell], self.second_worst[cell]);
            *likeness = match count as u32 {
                0 | 1 => 0.0,
                count @ 2 => self.total[cell] / count as f32,
                count @ (3 | 4) => (self.total[cell] - worst) / (count - 1) as f32,
                count => (self.total[cell] - worst - second) / (count - 2) as f32,
            };
        }
    }
}

dispatched! {
    fn add(values: &[f32], sums: &mut [f32]) {
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum += value;
        }
    }
}

dispatched! {
    fn multiply(a: &[f32], b: &[f32], product: &mut [f32]) {
        for ((product, a), b) in product.iter_mut().zip(a).zip(b) {
            *product = a * b;
        }
    }
}

dispatched! {
    /// Sums over a window's columns; at the sides the window is cut and its sum scaled to the whole.
    fn sum_rows(values: &[f32], columns: usize, sums: &mut [f32]) {
        for (line, sums) in values.chunks_exact(columns).zip(sums.chunks_exact_mut(columns)) {
            let inner = columns - 2 * REACH;
            for (index, sum) in sums[REACH..REACH + inner].iter_mut().enumerate() {
                let window = &line[index..=index + 2 * REACH];
                *sum = window[0] + window[1] + window[2] + window[3] + window[4];
            }
            // Cells at the sides stand in for no one: a tile's apron is thrown away.
            for index in 0..REACH {
                sums[index] = sums[REACH];
                sums[columns - 1 - index] = sums[columns - 1 - REACH];
            }
        }
    }
}

dispatched! {
    fn sum_columns(lines: &[f32], columns: usize, rows: usize, sums: &mut [f32]) {
        for row in 0..rows {
            let first = row.clamp(REACH, rows - 1 - REACH) - REACH;
            let (sums, lines) = (&mut sums[row * columns..(row + 1) * columns], &lines[first * columns..]);
            for (column, sum) in sums.iter_mut().enumerate() {
                *sum = lines[column]
                    + lines[column + columns]
                    + lines[column + 2 * columns]
                    + lines[column + 3 * columns]
                    + lines[column + 4 * columns];
            }
        }
    }
}

dispatched! {
    /// Turns the sums of products into correlations, adds them up, and keeps the two lowest.
    fn correlate(sums: [&[f32]; 5], together: &mut [f32], total: &mut [f32], lowest: [&mut [f32]; 2]) {
        let n = together.len();
        let [a, aa, b, bb, seen] = sums.map(|sum| &sum[..n]);
        let [worst, second] = lowest;
        let (worst, second, total) = (&mut worst[..n], &mut second[..n], &mut total[..n]);
        for i in 0..n {
            let covariance = together[i] - a[i] * b[i] / WINDOW;
            let variances = (aa[i] - a[i] * a[i] / WINDOW + NOISE) * (bb[i] - b[i] * b[i] / WINDOW + NOISE);
            let correlation = covariance / variances.sqrt();
            total[i] += seen[i] * correlation;
            // Who does not see the cell is not among the worst.
            let rank = correlation + (1.0 - seen[i]) * 1e6;
            second[i] = second[i].min(worst[i].max(rank));
            worst[i] = worst[i].min(rank);
        }
    }
}
