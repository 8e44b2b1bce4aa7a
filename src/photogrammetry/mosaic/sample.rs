//! The colour of a photo at a place between its pixels.

use std::sync::Arc;

use nalgebra::Vector2;

use crate::{
    photogrammetry::{
        exposure::{Exposure, corner_distance_squared},
        orthorectify::{View, sample_bicubic},
    },
    raster::Rgb8,
};

/// Steps in which a lens's fall-off is tabulated from the middle to the corner; linear between them it is right to 1e-4.
const FALL_OFF_STEPS: usize = 128;
/// Up to this many pixels of the picture for one of the orthophoto, nothing is lost between samples.
const FINE_ENOUGH: f64 = 1.2;

/// A decoded photo with its corrections.
pub struct Sampler<'a> {
    pub view: &'a View,
    picture: Arc<Rgb8>,
    /// Pixels of the picture for one of the photo.
    scale: f64,
    /// Half the distance of two samples, pixels of the picture; 0 when one is enough.
    spread: f64,
    factors: Vec<[f32; 3]>,
}

/// How many pixels of a photo are averaged into one before it is sampled, for a step of the orthophoto.
pub fn shrink_factor(view: &View, ground_m: f64, gsd_m: f64) -> usize {
    (step_px(view, ground_m, gsd_m).floor() as usize).max(1)
}

/// Pixels of a photo for one of the orthophoto, at nadir.
fn step_px(view: &View, ground_m: f64, gsd_m: f64) -> f64 {
    gsd_m * view.camera.focal_px / (view.exterior.centre.z - ground_m).max(1e-3)
}

impl<'a> Sampler<'a> {
    /// `picture` was shrunk by [`shrink_factor`].
    pub fn new(view: &'a View, picture: Arc<Rgb8>, exposure: &Exposure, ground_m: f64, gsd_m: f64) -> Self {
        let shrunk = shrink_factor(view, ground_m, gsd_m);
        let step = step_px(view, ground_m, gsd_m) / shrunk as f64;
        let table = (0..=FALL_OFF_STEPS + 1)
            .map(|at| exposure.factor(view.photo, view.camera_index, at as f64 / FALL_OFF_STEPS as f64));
        let spread = if step > FINE_ENOUGH { 0.25 * step } else { 0.0 };
        Self { view, picture, scale: 1.0 / shrunk as f64, spread, factors: table.collect() }
    }

    /// The colour at a pixel of the photo, evenly exposed; may be a little below 0 or above 255.
    ///
    /// Cubic between pixels; where the orthophoto is coarser than the picture, the mean of four such samples over the
    /// orthophoto's pixel.
    pub fn colour(&self, pixel: &Vector2<f64>) -> [f32; 3] {
        let at = pixel * self.scale;
        let mut colour = if self.spread > 0.0 {
            let mut sum = [0.0; 3];
            for (dx, dy) in [(-1.0, -1.0), (1.0, -1.0), (-1.0, 1.0), (1.0, 1.0)] {
                let one = sample_bicubic(&self.picture, &(at + self.spread * Vector2::new(dx, dy)));
                sum.iter_mut().zip(one).for_each(|(sum, value)| *sum += 0.25 * value);
            }
            sum
        } else {
            sample_bicubic(&self.picture, &at)
        };
        let r2 = corner_distance_squared(&self.view.camera, (*pixel).into()) * FALL_OFF_STEPS as f64;
        let (step, share) = (r2 as usize, (r2 - r2.floor()) as f32);
        let [low, high] = [0, 1].map(|next| self.factors[(step + next).min(self.factors.len() - 1)]);
        for (value, (low, high)) in colour.iter_mut().zip(low.into_iter().zip(high)) {
            *value *= low + share * (high - low);
        }
        colour
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::photogrammetry::{
        reduced::shrink,
        toy::{GSD_M, Toy},
    };

    /// Stripes of less than two pixels are finer than an orthophoto of four pixels' step can show: it must be grey, not moiré.
    #[test]
    fn a_coarse_orthophoto_has_no_moire() {
        let toy = Toy::over_plane(&[[0.0, 0.0]], |look| {
            [if (look.east / (1.7 * GSD_M)).floor() % 2.0 == 0.0 { 40.0 } else { 200.0 }; 3]
        });
        let (view, exposure) = (&toy.views[0], Exposure::neutral(1, 1));
        for step in [4.0, 3.3, 6.7] {
            let gsd_m = step * GSD_M;
            let picture = Arc::new(shrink(&toy.photos[0], shrink_factor(view, 0.0, gsd_m)));
            let sampler = Sampler::new(view, picture, &exposure, 0.0, gsd_m);
            let along: Vec<f32> =
                (2..25).map(|i| sampler.colour(&Vector2::new(20.0 + f64::from(i) * step, 90.0))[0]).collect();
            let (low, high) = along.iter().fold((255.0f32, 0.0f32), |(l, h), v| (l.min(*v), h.max(*v)));
            assert!(high - low < 80.0, "{step}: {low} to {high}; unfiltered it is 40 to 200");
        }
    }

    #[test]
    fn at_its_own_scale_a_photo_is_sampled_as_it_is() {
        let toy = Toy::over_plane(&[[0.0, 0.0]], |look| [100.0 + 8.0 * look.east, 90.0, 80.0]);
        let exposure = Exposure::neutral(1, 1);
        let sampler = Sampler::new(&toy.views[0], Arc::new(toy.photos[0].clone()), &exposure, 0.0, GSD_M);
        let colour = sampler.colour(&Vector2::new(150.5, 33.5));
        assert_eq!(colour.map(|value| value.round() as u8), toy.photos[0].pixel(150, 33));
    }
}
