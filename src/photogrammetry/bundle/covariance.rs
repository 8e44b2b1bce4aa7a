//! How sure an adjusted block is of its cameras.
//!
//! The inverse of the reduced normal equations is the covariance of poses and lenses with the tie points taken into
//! account (Triggs et al. 2000, section 6 and 9.4). It is in terms of the sigmas that the adjustment was given, not scaled by what the
//! residuals turned out to be: keypoints are given a larger sigma than they show because their errors are alike.

use nalgebra::Vector3;
use serde::{Deserialize, Serialize};

use super::{
    Block,
    index::PairIndex,
    normal::{points_cost, reduce},
    priors::{CAMERA_UNKNOWNS, Unknowns, prior_cost, prior_rows},
    residuals::{Loss, Sightings},
    solve::system,
};

/// One sigma of what was adjusted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Precision {
    pub photos: Vec<PhotoSigma>,
    /// For each camera one sigma of its parameters in their order, then of its readout in seconds.
    pub cameras: Vec<[f64; CAMERA_UNKNOWNS]>,
    /// The root of the cost over the redundancy: one when every sigma was right, less when they were cautious.
    pub sigma0: f64,
}

/// One sigma of a photo's pose.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct PhotoSigma {
    /// East, north, up, metres.
    pub centre_m: Vector3<f64>,
    /// About the camera's x, y and z axes, radians.
    pub rotation: Vector3<f64>,
}

impl Precision {
    /// The precision of an adjusted block. `None` when something is not determined.
    ///
    /// `loss_scale` is the adjustment's own. Takes the memory of the adjustment's last step twice.
    pub fn of(block: &Block, loss_scale: f64) -> Option<Self> {
        let sightings = Sightings::of(block, &block.points, Loss { scale: loss_scale });
        let pairs = PairIndex::new(block.photos.len(), &sightings);
        let positions: Vec<Vector3<f64>> = block.points.iter().map(|point| point.position).collect();
        let reduced = reduce(block, &sightings, &positions, &pairs, 0.0);
        let variances = system(block, &reduced, &pairs, 0.0).variances()?;
        let sigma = |at: usize| variances[at].max(0.0).sqrt();
        let three = |at: usize| Vector3::from_fn(|axis, _| sigma(at + axis));
        let photos = (0..block.photos.len()).map(Unknowns::photo);
        let unknowns = Unknowns::of(block);
        let cameras = (0..block.cameras.len()).map(|camera| {
            let held = block.cameras[camera].sigmas().map(|sigma| sigma == 0.0);
            std::array::from_fn(|at| if held[at] { 0.0 } else { sigma(unknowns.camera(camera) + at) })
        });
        let surveys = block.points.iter().filter(|point| point.survey.is_some()).count();
        let rows = 2 * sightings.photos.len() + 3 * surveys + prior_rows(block);
        let redundancy = rows.saturating_sub(unknowns.count() + 3 * positions.len()).max(1);
        let cost = points_cost(block, &sightings, &positions) + prior_cost(block);
        Some(Self {
            photos: photos.map(|at| PhotoSigma { rotation: three(at), centre_m: three(at + 3) }).collect(),
            cameras: cameras.collect(),
            sigma0: (cost / redundancy as f64).sqrt(),
        })
    }

    /// That of two blocks that know nothing of each other, with the larger [`Precision::sigma0`].
    #[must_use]
    pub fn with(mut self, other: Self) -> Self {
        self.photos.extend(other.photos);
        self.cameras.extend(other.cameras);
        self.sigma0 = self.sigma0.max(other.sigma0);
        self
    }
}

#[cfg(test)]
mod tests {
    use nalgebra::Vector2;
    use rand::SeedableRng as _;
    use rand_distr::{Distribution as _, StandardNormal};
    use rand_pcg::Pcg64Mcg;

    use super::{
        super::tests::{SOLVER, true_block},
        *,
    };

    /// Forty flights over the same ground with other errors: what they scatter is what was promised.
    #[test]
    fn the_sigmas_are_what_repeated_flights_scatter() {
        let mut random = Pcg64Mcg::seed_from_u64(21);
        let mut truth = true_block(&mut random);
        truth.points.truncate(150);
        let runs = 40;
        let (mut centres, mut turns, mut focal, mut sigma0) = (Vector3::zeros(), Vector3::zeros(), 0.0, 0.0);
        let mut promised = None;
        for _ in 0..runs {
            let mut normal = |sigma: f64| -> f64 { sigma * random_normal(&mut random) };
            let mut block = truth.clone();
            for photo in &mut block.photos {
                let prior = photo.position.as_mut().expect("every photo has one");
                let (across, up) = (prior.sigma_horizontal_m, prior.sigma_vertical_m);
                prior.enu += Vector3::new(normal(across), normal(across), normal(up));
            }
            let known = truth.clone();
            for point in &mut block.points {
                for sighting in &mut point.sightings {
                    let photo = &known.photos[sighting.photo as usize];
                    let seen = super::super::reprojection(&known, photo, &point.position).expect("it was seen");
                    sighting.pixel = seen + Vector2::new(normal(0.5), normal(0.5));
                }
            }
            // The truth of a parameter lies where its prior says, give or take a sigma.
            let camera = &mut block.cameras[0];
            let lens = camera.camera.parameters();
            camera.prior = std::array::from_fn(|at| lens[at] + normal(camera.sigma[at]));
            SOLVER.adjust(&mut block);
            let off = block.photos[7].exterior.centre - truth.photos[7].exterior.centre;
            centres += off.component_mul(&off);
            let turn = block.photos[7].exterior.rotation * truth.photos[7].exterior.rotation.transpose();
            let turn = crate::photogrammetry::camera::rotation_log(&turn);
            turns += turn.component_mul(&turn);
            focal += (block.cameras[0].camera.focal_px - lens[0]).powi(2);
            let precision = Precision::of(&block, SOLVER.loss_scale).expect("it is determined");
            sigma0 += precision.sigma0 / f64::from(runs);
            promised = Some(precision);
        }
        let promised = promised.expect("there were runs");
        let ratios = [
            (centres / f64::from(runs)).map(f64::sqrt).component_div(&promised.photos[7].centre_m),
            (turns / f64::from(runs)).map(f64::sqrt).component_div(&promised.photos[7].rotation),
            Vector3::repeat((focal / f64::from(runs)).sqrt() / promised.cameras[0][0]),
        ];
        // The deviation of forty draws is known to 11 %.
        for ratio in ratios.iter().flat_map(|three| three.iter()) {
            assert!((0.67..1.45).contains(ratio), "{ratios:?}");
        }
        assert!((0.85..1.05).contains(&sigma0), "sigma0 {sigma0}");
    }

    fn random_normal(random: &mut Pcg64Mcg) -> f64 {
        StandardNormal.sample(random)
    }
}
