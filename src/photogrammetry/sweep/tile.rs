//! A piece of ground under sweep: its cells, its layers of height, and the photos that look at it.

use nalgebra::{Vector2, Vector3};

use super::super::orthorectify::View;

/// Partners of the steepest photo at most.
const PARTNERS: usize = 5;
/// Difference of slant (tangents) between two photos that matches best: less is uncertain in height, more looks at
/// the sides of things. 0.3 is the overlap of neighbours in a strip that is flown at 70 %.
const BEST_BASE: f64 = 0.3;
const LEAST_BASE: f64 = 0.06;
const MOST_BASE: f64 = 0.75;
/// Between two layers the most slanted partner moves by this many cells.
const STEP_CELLS: f64 = 1.0;
const MOST_LAYERS: usize = 160;

/// Cells on the ground and layers over them. Layer 0 lies `lowest_m` over the plane.
#[derive(Clone, Debug)]
pub struct Tile {
    /// East and north of the first cell's middle, metres of the local frame; row 0 is the southernmost.
    pub origin: [f64; 2],
    pub cell_m: f64,
    pub columns: usize,
    pub rows: usize,
    /// Height at the origin, slope to the east, slope to the north: layers lie as the land does.
    pub plane: [f64; 3],
    pub lowest_m: f64,
    pub step_m: f64,
    pub layers: usize,
}

/// A photo chosen for a tile.
pub struct Chosen {
    /// Index among the views.
    pub view: usize,
    /// Slant seen from the steepest one, east and north; zero for that itself.
    base: Vector2<f64>,
    /// Of the tile's cells, how many it sees.
    share: f64,
}

impl Tile {
    /// The plane's height under a cell.
    pub fn plane_m(&self, column: f64, row: f64) -> f64 {
        self.plane[0] + self.cell_m * (column * self.plane[1] + row * self.plane[2])
    }

    pub fn point(&self, column: f64, row: f64, layer: f64) -> Vector3<f64> {
        let height = self.plane_m(column, row) + self.lowest_m + layer * self.step_m;
        Vector3::new(self.origin[0] + column * self.cell_m, self.origin[1] + row * self.cell_m, height)
    }

    /// The share of the tile that a photo sees.
    fn share_seen(&self, view: &View) -> f64 {
        let (right, top) = ((self.columns - 1) as f64, (self.rows - 1) as f64);
        // At the plane, where most of the ground is.
        let layer = -self.lowest_m / self.step_m;
        let sees = |x: f64, y: f64| view.see(&self.point(x * right, y * top, layer)).is_some();
        let seen = (0..25).filter(|at| sees(f64::from(at % 5) / 4.0, f64::from(at / 5) / 4.0)).count();
        seen as f64 / 25.0
    }

    /// Chooses the photos to compare, the steepest first, and divides the heights from `low_m` to `high_m` over the
    /// plane into layers that they tell apart. Fewer than two photos leave no layer.
    pub fn prepare(&mut self, views: &[View], [low_m, high_m]: [f64; 2]) -> Vec<Chosen> {
        (self.lowest_m, self.step_m, self.layers) = (low_m, high_m - low_m, 0);
        let middle = self.point(0.5 * (self.columns - 1) as f64, 0.5 * (self.rows - 1) as f64, 0.5);
        let slant = |view: &View| {
            let up = view.exterior.centre - middle;
            up.xy() / up.z.max(1e-3)
        };
        let mut seen: Vec<(usize, f64, Vector2<f64>)> = views
            .iter()
            .enumerate()
            .filter(|(_, view)| view.may_see(&middle))
            .map(|(index, view)| (index, self.share_seen(view), slant(view)))
            .filter(|(_, share, _)| *share > 0.0)
            .collect();
        // The first is compared with all others: it must see as much as any.
        let most = seen.iter().map(|(_, share, _)| *share).fold(0.0, f64::max);
        seen.sort_by(|a, b| a.2.norm().total_cmp(&b.2.norm()).then(a.0.cmp(&b.0)));
        let Some(first) = seen.iter().position(|(_, share, _)| *share > 0.95 * most) else { return Vec::new() };
        let (first, _, steepest) = seen.remove(first);
        let mut others: Vec<Chosen> = seen
            .iter()
            .map(|(view, share, slant)| Chosen { view: *view, base: slant - steepest, share: *share })
            .filter(|other| (LEAST_BASE..MOST_BASE).contains(&other.base.norm()))
            .collect();
        // Half as much to see counts like a base twice too wide.
        let fitness = |other: &Chosen| (other.base.norm() / BEST_BASE).ln().abs() - other.share.ln();
        others.sort_by(|a, b| fitness(a).total_cmp(&fitness(b)).then(a.view.cmp(&b.view)));
        let mut chosen = vec![Chosen { view: first, base: Vector2::zeros(), share: 1.0 }];
        chosen.extend(all_round(others));
        let widest = chosen.iter().map(|other| other.base.norm()).fold(0.0, f64::max);
        if chosen.len() > 1 {
            let step = STEP_CELLS * self.cell_m / widest;
            self.layers = (((high_m - low_m) / step).ceil() as usize + 1).clamp(3, MOST_LAYERS);
            self.step_m = (high_m - low_m) / (self.layers - 1) as f64;
        }
        chosen
    }
}

/// Takes the fittest partners, those first that look from another side than any taken before: what one side hides,
/// the other shows.
fn all_round(others: Vec<Chosen>) -> Vec<Chosen> {
    let mut taken: Vec<Chosen> = Vec::new();
    let mut left = Vec::new();
    for other in others {
        let same_side = |one: &Chosen| one.base.normalize().dot(&other.base.normalize()) > 0.64;
        if taken.len() < PARTNERS && !taken.iter().any(same_side) {
            taken.push(other);
        } else {
            left.push(other);
        }
    }
    let room = PARTNERS.saturating_sub(taken.len());
    taken.extend(left.into_iter().take(room));
    taken
}
