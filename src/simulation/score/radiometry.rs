//! How well an orthophoto's brightness follows the truth's: unequal photos, vignetting, and the seams they leave.

use rayon::prelude::*;
use serde::Serialize;

use super::{median, overlay::Overlay};

/// Deviation of the blur, metres: what a lawn's or a road's texture has is gone, what a photo has is not. A place that lies
/// a pixel off changes the blurred picture by a thousandth.
const BLUR_M: f64 = 1.0;
/// Share of the blur's weight that must lie on comparable ground.
const LEAST_WEIGHT: f32 = 0.4;
/// Fewer blocks say nothing about percentiles of a thousandth.
const LEAST_BLOCKS: usize = 2000;
/// Added to both before they are divided, grey levels: black has no logarithm.
const FLOOR: f32 = 1.0;

/// How an orthophoto's brightness differs from the truth's, on open ground and without detail.
///
/// Both are blurred over a metre, place on place. The natural logarithm of their ratio, less its median for each colour,
/// is the error: 0.01 is one per cent too bright. Water, roofs, crowns, reeds and what is near them are left out.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct RadiometryScore {
    /// Ground that could be compared, square metres.
    pub judged_m2: f64,
    /// Root of the mean square of the error.
    pub log_rms: f64,
    /// Percentiles of the length of the error's gradient, per metre. A step between two photos of unequal brightness, `s`,
    /// gives `s / 2.5` after the blur: a seam of 6 % is 0.024.
    pub seam_gradient_p99: f64,
    pub seam_gradient_p999: f64,
}

/// The error, block by block.
pub(super) struct Radiometry {
    /// `NaN` where nothing can be compared.
    pub error: Vec<f32>,
    block_m: f64,
    gradients: Vec<f32>,
}

impl Radiometry {
    /// Compares what an overlay holds; nothing when there is too little open ground.
    pub(super) fn of(overlay: &Overlay) -> Option<Self> {
        let size = overlay.blocks;
        let sigma = (BLUR_M / overlay.block_m()).max(1.0);
        let whole = overlay.block_cells.pow(2) as f32;
        let blurred = blur(&overlay.sums, size, sigma);
        let ratios: Vec<[f32; 3]> = blurred
            .par_iter()
            .zip(&overlay.sums)
            .map(|(sums, here)| {
                if here[6] == 0.0 || sums[6] < LEAST_WEIGHT * whole {
                    return [f32::NAN; 3];
                }
                [0, 1, 2].map(|band| ((sums[band + 3] / sums[6] + FLOOR) / (sums[band] / sums[6] + FLOOR)).ln())
            })
            .collect();
        let usual = [0, 1, 2].map(|band| {
            let known = ratios.iter().map(|ratio| ratio[band]).filter(|ratio| !ratio.is_nan());
            median(known.map(f64::from).collect()) as f32
        });
        let weights = [0.299, 0.587, 0.114];
        let luma = |ratio: &[f32; 3]| (0..3).map(|band| weights[band] * (ratio[band] - usual[band])).sum::<f32>();
        let error: Vec<f32> = ratios.iter().map(luma).collect();
        let mut gradients = gradients(&error, size, overlay.block_m() as f32);
        gradients.par_sort_unstable_by(f32::total_cmp);
        (gradients.len() >= LEAST_BLOCKS).then_some(Self { error, block_m: overlay.block_m(), gradients })
    }

    pub(super) fn score(&self) -> RadiometryScore {
        let known: Vec<f64> =
            self.error.iter().filter(|error| !error.is_nan()).map(|&error| f64::from(error)).collect();
        let squares = known.iter().map(|error| error * error).sum::<f64>();
        let percentile =
            |share: f64| f64::from(self.gradients[(share * (self.gradients.len() - 1) as f64).round() as usize]);
        RadiometryScore {
            judged_m2: known.len() as f64 * self.block_m * self.block_m,
            log_rms: (squares / known.len() as f64).sqrt(),
            seam_gradient_p99: percentile(0.99),
            seam_gradient_p999: percentile(0.999),
        }
    }
}

/// Returns the lengths of the gradient per metre, by central differences, where all four neighbours are known.
fn gradients(error: &[f32], [width, height]: [usize; 2], block_m: f32) -> Vec<f32> {
    let at = |column: usize, row: usize| error[row * width + column];
    let inner = (1..height.max(1) - 1).flat_map(|row| (1..width.max(1) - 1).map(move |column| (column, row)));
    inner
        .map(|(x, y)| (at(x + 1, y) - at(x - 1, y)).hypot(at(x, y + 1) - at(x, y - 1)) / (2.0 * block_m))
        .filter(|gradient| !gradient.is_nan())
        .collect()
}

/// Blurs by a Gaussian of so many blocks, cut off at three deviations; beyond the border there is nothing.
fn blur(sums: &[[f32; 7]], [width, height]: [usize; 2], sigma: f64) -> Vec<[f32; 7]> {
    let reach = (3.0 * sigma).ceil() as usize;
    let taps: Vec<f32> =
        (0..=2 * reach).map(|i| (-((i as f64 - reach as f64) / sigma).powi(2) / 2.0).exp() as f32).collect();
    let total: f32 = taps.iter().sum();
    let weigh = |at: usize, limit: usize, value: &dyn Fn(usize) -> [f32; 7]| {
        let mut sum = [0.0; 7];
        for other in at.saturating_sub(reach)..(at + reach + 1).min(limit) {
            let tap = taps[other + reach - at] / total;
            sum.iter_mut().zip(value(other)).for_each(|(sum, value)| *sum += tap * value);
        }
        sum
    };
    let rows: Vec<[f32; 7]> = (0..width * height)
        .into_par_iter()
        .map(|i| weigh(i % width, width, &|column| sums[i / width * width + column]))
        .collect();
    (0..width * height)
        .into_par_iter()
        .map(|i| weigh(i / width, height, &|row| rows[row * width + i % width]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::noise::fractal;

    const SIZE: [usize; 2] = [160, 120];

    /// An overlay of textured ground whose tested side is as bright as `gain` says, at metres right and down.
    fn overlay(gain: impl Fn(f32, f32) -> f32) -> Overlay {
        let block_m = 0.24;
        let sum = |i: usize| {
            let (x, y) = ((i % SIZE[0]) as f32 * block_m, (i / SIZE[0]) as f32 * block_m);
            let truth = 100.0 * (1.0 + 0.4 * fractal([x, y], 2.0, 4, 3));
            let tested = truth * gain(x, y);
            [truth, truth, truth, tested, tested, tested].map(|v| 4.0 * v)
        };
        let sums = (0..SIZE[0] * SIZE[1]).map(sum).map(|[a, b, c, d, e, f]| [a, b, c, d, e, f, 4.0]).collect();
        Overlay {
            size: [0; 2],
            cell_m: 0.12,
            seen: Vec::new(),
            covered: Vec::new(),
            blocks: SIZE,
            block_cells: 2,
            sums,
        }
    }

    fn score(gain: impl Fn(f32, f32) -> f32) -> RadiometryScore {
        Radiometry::of(&overlay(gain)).unwrap().score()
    }

    #[test]
    fn one_gain_for_all_is_no_error() {
        let score = score(|_, _| 1.23);
        assert!(score.log_rms < 1e-3 && score.seam_gradient_p999 < 1e-3, "{score:?}");
    }

    /// A step of 6 % down the middle is 0.0583 in the logarithm: half of it on each side of the median's middle, and
    /// 0.0583 / (sqrt(2 pi) 1 m) = 0.0233 a metre at its steepest.
    #[test]
    fn a_seam_is_as_steep_as_its_step() {
        let score = score(|x, _| if x < 19.2 { 1.0 } else { 1.06 });
        assert!((score.seam_gradient_p999 - 0.0233).abs() < 0.002, "{score:?}");
        assert!((0.02..0.06).contains(&score.log_rms), "{score:?}");
    }

    #[test]
    fn what_cannot_be_compared_counts_for_nothing() {
        let mut overlay = overlay(|_, _| 1.0);
        for (i, sum) in overlay.sums.iter_mut().enumerate() {
            if i % SIZE[0] > 100 {
                *sum = [0.0; 7];
            }
        }
        let score = Radiometry::of(&overlay).unwrap().score();
        assert!(score.log_rms < 1e-6 && score.judged_m2 < 0.65 * 0.0576 * (160.0 * 120.0), "{score:?}");
    }
}
