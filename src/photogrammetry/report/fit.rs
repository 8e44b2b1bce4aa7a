//! How well tie points and photos agree: distances between where a point was seen and where it should be.
//!
//! Surveyed points are left out here; they have their own table.

use nalgebra::Vector2;
use serde::Serialize;

use crate::photogrammetry::bundle::{Block, reprojection};

/// The distances of all sightings.
#[derive(Clone, Debug, Serialize)]
pub struct Reprojection {
    /// Width of a bin, in pixels.
    pub bin_px: f64,
    /// Sightings in each bin, the first from 0.
    pub counts: Vec<u64>,
    /// Sightings beyond the last bin.
    pub beyond: u64,
    pub median_px: f64,
    /// Nineteen of twenty are nearer than this.
    pub p95_px: f64,
    /// Tie points by the number of photos that see them: the first by two, the last by that many or more.
    pub tie_points_seen_by: Vec<usize>,
}

/// Bins fine enough for the sharpest photos, up to where the adjustment leaves sightings out.
const BIN_PX: f64 = 0.05;
const BINS: usize = 60;
/// Tie points seen by more photos than this count as one kind.
const MOST_PHOTOS: usize = 12;

/// One sighting: its photo, its place and how far it is off, in pixels.
pub struct Residual {
    pub photo: usize,
    pub pixel: Vector2<f64>,
    pub off: Vector2<f64>,
}

/// All residuals of a block.
pub struct Fit {
    pub residuals: Vec<Residual>,
    /// How many photos see each tie point.
    lengths: Vec<usize>,
}

impl Fit {
    pub fn of(block: &Block) -> Self {
        let tie_points = || block.points.iter().filter(|point| point.survey.is_none());
        let residuals = tie_points()
            .flat_map(|point| point.sightings.iter().map(move |sighting| (point, sighting)))
            .filter_map(|(point, sighting)| {
                let photo = sighting.photo as usize;
                let seen = reprojection(block, &block.photos[photo], &point.position)?;
                Some(Residual { photo, pixel: sighting.pixel, off: sighting.pixel - seen })
            })
            .collect();
        Self { residuals, lengths: tie_points().map(|point| point.sightings.len()).collect() }
    }

    pub fn tie_points(&self) -> usize {
        self.lengths.len()
    }

    pub fn sightings(&self) -> usize {
        self.lengths.iter().sum()
    }

    /// The root mean square of the distances, pixels.
    pub fn rmse_px(&self) -> f64 {
        let sum: f64 = self.residuals.iter().map(|residual| residual.off.norm_squared()).sum();
        (sum / self.residuals.len().max(1) as f64).sqrt()
    }

    /// For each of `photos` photos the number of sightings and the root mean square of their distances, pixels.
    pub fn per_photo(&self, photos: usize) -> Vec<(usize, f64)> {
        let mut sums = vec![(0, 0.0); photos];
        for residual in &self.residuals {
            let (count, sum) = &mut sums[residual.photo];
            *count += 1;
            *sum += residual.off.norm_squared();
        }
        sums.into_iter().map(|(count, sum)| (count, (sum / count.max(1) as f64).sqrt())).collect()
    }

    pub fn reprojection(&self) -> Reprojection {
        let mut distances: Vec<f64> = self.residuals.iter().map(|residual| residual.off.norm()).collect();
        distances.sort_by(f64::total_cmp);
        let at = |share: f64| distances.get((share * distances.len() as f64) as usize).copied().unwrap_or(0.0);
        let mut counts = vec![0; BINS];
        let mut beyond = 0;
        for distance in &distances {
            *counts.get_mut((distance / BIN_PX) as usize).unwrap_or(&mut beyond) += 1;
        }
        let mut seen_by = vec![0; MOST_PHOTOS - 1];
        for length in self.lengths.iter().filter(|length| **length > 1) {
            seen_by[length.min(&MOST_PHOTOS) - 2] += 1;
        }
        let (median_px, p95_px) = (at(0.5), at(0.95));
        Reprojection { bin_px: BIN_PX, counts, beyond, median_px, p95_px, tie_points_seen_by: seen_by }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sighting_is_counted_once_also_beyond_the_last_bin() {
        let residual = |off: f64| Residual { photo: 1, pixel: Vector2::zeros(), off: Vector2::new(0.0, off) };
        let fit = Fit { residuals: [0.02, 0.06, 0.07, 4.0].map(residual).into(), lengths: vec![2, 2, 40] };
        let found = fit.reprojection();
        assert_eq!((found.counts[0], found.counts[1], found.beyond), (1, 2, 1));
        assert_eq!(found.counts.iter().sum::<u64>() + found.beyond, 4);
        assert_eq!((found.tie_points_seen_by[0], *found.tie_points_seen_by.last().unwrap()), (2, 1));
        assert_eq!(found.median_px, 0.07);
        let per_photo = fit.per_photo(2);
        assert_eq!((per_photo[0].0, per_photo[1].0), (0, 4));
        assert!((per_photo[1].1 - fit.rmse_px()).abs() < 1e-12);
    }
}
