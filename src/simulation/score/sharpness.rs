//! How much detail an orthophoto has left.

use super::{
    pairing::Picture,
    patch::{FINE_HALF, Grey},
};

/// Pixels of the two orthophotos that differ by less count as equally large, and nothing is interpolated.
const SAME_SIZE: f64 = 0.02;

/// Returns the root-mean-square luma gradient around a found place as a share of the truth's; `NaN` beside missing data.
///
/// Gradients are differences over four pixels of the truth: finer detail is the sensor's noise as much as the ground's, and
/// no photo has what is finer than its own pixels. They are taken on the tested orthophoto's own pixels:
/// interpolating it would blur what is measured. `offset` is where the place was found, in pixels of the truth.
pub(super) fn sharpness(template: &Grey, picture: &Picture, offset: [f64; 2]) -> f64 {
    let middle = [picture.grey.width as f64 / 2.0 + offset[0], picture.grey.height as f64 / 2.0 + offset[1]];
    let scale = picture.part.scale();
    let step = if (scale - 1.0).abs() < SAME_SIZE { 1.0 } else { scale };
    let truth = gradient(template, [template.width as f64 / 2.0, template.height as f64 / 2.0], 1.0);
    gradient(&picture.source, picture.part.position(middle), step) / truth
}

fn gradient(grey: &Grey, middle: [f64; 2], step: f64) -> f64 {
    // On a pixel's centre, where a step of one pixel leads to pixels' centres.
    let middle = middle.map(|at| at.floor() + 0.5);
    let half = FINE_HALF as i32;
    let mut sum = 0.0;
    for row in -half..half {
        for column in -half..half {
            let at = |dx: i32, dy: i32| {
                let (x, y) = (f64::from(column + dx), f64::from(row + dy));
                f64::from(grey.sample([middle[0] + x * step, middle[1] + y * step]))
            };
            sum += (at(2, 0) - at(-2, 0)).powi(2) + (at(0, 2) - at(0, -2)).powi(2);
        }
    }
    (sum / f64::from(4 * half * half)).sqrt()
}
