//! What one sighting says: its residual, and how that changes with pose, camera and point.
//!
//! The sightings of a block are laid out in rows before the adjustment: what a photo and a lens contribute is made
//! ready once for each linearisation, so that the inner loops only multiply.

use nalgebra::{Matrix3, RowVector3, Vector2, Vector3};

use super::{AdjustedPhoto, Block, TiePoint, priors::CAMERA_UNKNOWNS};
use crate::photogrammetry::{
    camera::{Camera, PARAMETERS, in_frame},
    photos::median,
};

/// Cauchy's loss of a squared residual, for a scale in sigmas: near ones count in full, far ones hardly.
#[derive(Clone, Copy, Debug)]
pub struct Loss {
    pub scale: f64,
}

impl Loss {
    pub fn cost(self, squared: f64) -> f64 {
        let c2 = self.scale * self.scale;
        c2 * (squared / c2).ln_1p()
    }

    pub fn weight(self, squared: f64) -> f64 {
        1.0 / (1.0 + squared / (self.scale * self.scale))
    }
}

/// What an unseen sighting costs: a constant, so that a step cannot win by looking away.
const UNSEEN_SQUARED: f64 = 1e6;

/// Where a photo of the block sees a point; `None` behind the lens or beyond the fold.
pub fn reprojection(block: &Block, photo: &AdjustedPhoto, point: &Vector3<f64>) -> Option<Vector2<f64>> {
    in_frame(&block.cameras[photo.camera].camera, &photo.exterior, &block.motion(photo), point)
}

/// The sightings of all points in one row, point after point, with what stays the same while they are adjusted.
pub struct Sightings {
    /// Where the sightings of each point begin; one more at the end.
    pub first: Vec<u32>,
    pub photos: Vec<u32>,
    pixels: Vec<Vector2<f64>>,
    per_sigma: Vec<f64>,
    /// Surveyed points by their index, in order: place and one sigma.
    surveyed: Vec<(u32, Vector3<f64>, Vector3<f64>)>,
    loss: Loss,
    /// For every photo the height of its centre over its ground and the weight of *one* of its points; zero without one.
    ///
    /// A photo's n points share its one constraint: each sigma is √n larger, so together they say where the *mean* of what
    /// it sees lies, and hardly flatten its relief. See [`over_mean`] for the height over that.
    heights: Vec<(f64, f64)>,
}

/// Points of a photo that are enough to know their middle height.
const ENOUGH_FOR_MIDDLE: u32 = 500;
/// By no more than this share of its height the mean of what a photo sees may lie off the middle; wild points do.
const MOST_RELIEF: f64 = 0.1;

/// The height over the mean of what a photo sees, from that over the ground.
///
/// Aircraft take off from the ground, and so it is the *middle* of the points that lies at the height: their mean is raised by
/// roofs and crowns. On simulated flights over a dike it was raised by 3.5 % of the height, and the scale with it by 1 %.
fn over_mean(height_m: f64, relief_m: f64) -> f64 {
    let most = MOST_RELIEF * height_m.abs();
    height_m - relief_m.clamp(-most, most)
}

/// For each photo, how much higher the mean of its points lies than their middle, metres. Surveyed points count like others.
fn relief(points: &[TiePoint], counts: &[u32]) -> Vec<f64> {
    let mut sums = vec![0.0; counts.len()];
    let mut some = vec![(0u32, Vec::new()); counts.len()];
    for point in points {
        for sighting in &point.sightings {
            let photo = sighting.photo as usize;
            let (seen, heights) = &mut some[photo];
            sums[photo] += point.position.z;
            if *seen % counts[photo].div_ceil(ENOUGH_FOR_MIDDLE) == 0 {
                heights.push(point.position.z);
            }
            *seen += 1;
        }
    }
    let off = |(sum, (seen, heights)): (f64, (u32, Vec<f64>))| {
        median(heights.into_iter()).map_or(0.0, |middle| sum / f64::from(seen) - middle)
    };
    sums.into_iter().zip(some).map(off).collect()
}

/// A point's survey: place and one sigma, metres.
pub type Survey<'a> = Option<(&'a Vector3<f64>, &'a Vector3<f64>)>;

impl Sightings {
    pub fn of(block: &Block, points: &[TiePoint], loss: Loss) -> Self {
        let mut counts = vec![0u32; block.photos.len()];
        let (mut first, mut photos, mut pixels, mut per_sigma) = (vec![0], Vec::new(), Vec::new(), Vec::new());
        let mut surveyed = Vec::new();
        for (index, point) in points.iter().enumerate() {
            for sighting in &point.sightings {
                counts[sighting.photo as usize] += 1;
                photos.push(sighting.photo);
                pixels.push(sighting.pixel);
                per_sigma.push(1.0 / sighting.sigma_px);
            }
            first.push(photos.len() as u32);
            surveyed.extend(point.survey.map(|(at, sigma)| (index as u32, at, sigma)));
        }
        let relief = relief(points, &counts);
        let weight = |(photo, (count, relief)): (&AdjustedPhoto, (u32, f64))| {
            photo.height_above_ground_m.map_or((0.0, 0.0), |(height, sigma)| {
                (over_mean(height, relief), 1.0 / (sigma * f64::from(count.max(1)).sqrt()))
            })
        };
        let heights = block.photos.iter().zip(counts.into_iter().zip(relief)).map(weight).collect();
        Self { first, photos, pixels, per_sigma, surveyed, loss, heights }
    }

    pub fn points(&self) -> usize {
        self.first.len() - 1
    }

    /// The sightings of a point.
    pub fn of_point(&self, point: usize) -> std::ops::Range<usize> {
        self.first[point] as usize..self.first[point + 1] as usize
    }

    pub fn survey(&self, point: usize) -> Survey<'_> {
        let found = self.surveyed.binary_search_by_key(&(point as u32), |survey| survey.0).ok()?;
        Some((&self.surveyed[found].1, &self.surveyed[found].2))
    }

    /// The cost of a point: its sightings, their heights, and its survey.
    pub fn cost(&self, ready: &Ready, point: usize, position: &Vector3<f64>) -> f64 {
        let survey = self.survey(point);
        let mut cost = survey.map_or(0.0, |(at, sigma)| (position - at).component_div(sigma).norm_squared());
        for at in self.of_point(point) {
            let photo = &ready.photos[self.photos[at] as usize];
            let camera = &ready.lenses[photo.lens].camera;
            let squared = camera
                .project(&photo.in_camera(position, self.share(at, camera)))
                .map_or(UNSEEN_SQUARED, |seen| (seen - self.pixels[at]).norm_squared() * self.per_sigma[at].powi(2));
            cost += if survey.is_some() { squared } else { self.loss.cost(squared) };
            cost += photo.height(position).powi(2);
        }
        cost
    }

    /// Linearises one sighting, weighted by the loss; `None` when the photo does not see the point.
    #[inline]
    pub fn linearise(&self, ready: &Ready, at: usize, position: &Vector3<f64>, surveyed: bool) -> Option<Seen> {
        let photo = &ready.photos[self.photos[at] as usize];
        let lens = &ready.lenses[photo.lens];
        let share = self.share(at, &lens.camera);
        let in_camera = photo.in_camera(position, share);
        let (seen, by_axes, by_parameters) = lens.camera.project_with_derivatives(&in_camera)?;
        let residual = (seen - self.pixels[at]) * self.per_sigma[at];
        // Surveyed points are few and were clicked by a person: they always count in full.
        let weight = if surveyed { 1.0 } else { self.loss.weight(residual.norm_squared()).sqrt() };
        let scale = weight * self.per_sigma[at];

        let mut out = Seen {
            photo: self.photos[at],
            lens: photo.lens as u32,
            residual: [residual.x * weight, residual.y * weight],
            by_turn: [[0.0; 3]; 2],
            by_point: [[0.0; 3]; 2],
            by_camera: [[0.0; CAMERA_UNKNOWNS]; 2],
            height: [photo.per_metre, photo.height(position)],
        };
        // The camera's way while it is read out turns with it, see [`super::solve::moved`].
        let at_middle = in_camera + photo.rotation * photo.motion * share;
        for row in 0..2 {
            let slope = RowVector3::new(by_axes[(row, 0)], by_axes[(row, 1)], by_axes[(row, 2)]) * scale;
            // a · (w × p) = w · (p × a): how the pixel moves when the camera turns by a small w.
            out.by_turn[row] = at_middle.cross(&slope.transpose()).into();
            let by_point = slope * photo.rotation;
            out.by_point[row] = [by_point[0], by_point[1], by_point[2]];
            for parameter in 0..PARAMETERS {
                out.by_camera[row][parameter] = by_parameters[(row, parameter)] * scale * lens.free[parameter];
            }
            out.by_camera[row][PARAMETERS] = -by_point.dot(&photo.velocity.transpose()) * share * lens.free[PARAMETERS];
        }
        Some(out)
    }

    /// Where in the readout the row of a sighting is: -½ at the top of the photo, ½ at its foot.
    fn share(&self, at: usize, camera: &Camera) -> f64 {
        self.pixels[at].y / camera.height_px - 0.5
    }
}

/// A sighting linearised at the present values, rows already weighted by the robust loss.
///
/// The derivative by the camera's centre is the negative of that by the point.
pub struct Seen {
    pub photo: u32,
    pub lens: u32,
    pub residual: [f64; 2],
    pub by_turn: [[f64; 3]; 2],
    pub by_point: [[f64; 3]; 2],
    pub by_camera: [[f64; CAMERA_UNKNOWNS]; 2],
    /// One more row: the centre's height over the point, its slope and residual in sigmas.
    pub height: [f64; 2],
}

/// Photos and lenses as the inner loops want them.
pub struct Ready {
    photos: Vec<ReadyPhoto>,
    lenses: Vec<ReadyLens>,
}

struct ReadyPhoto {
    rotation: Matrix3<f64>,
    centre: Vector3<f64>,
    velocity: Vector3<f64>,
    /// The way of the centre while the photo is read out.
    motion: Vector3<f64>,
    lens: usize,
    height_m: f64,
    per_metre: f64,
}

struct ReadyLens {
    camera: Camera,
    /// One for what may change, zero for what is held.
    free: [f64; CAMERA_UNKNOWNS],
}

impl Ready {
    pub fn new(block: &Block, sightings: &Sightings) -> Self {
        let photos = block
            .photos
            .iter()
            .zip(&sightings.heights)
            .map(|(photo, (height_m, per_metre))| ReadyPhoto {
                rotation: photo.exterior.rotation,
                centre: photo.exterior.centre,
                velocity: photo.velocity,
                motion: photo.velocity * block.cameras[photo.camera].readout_s,
                lens: photo.camera,
                height_m: *height_m,
                per_metre: *per_metre,
            })
            .collect();
        let lenses = block
            .cameras
            .iter()
            .map(|adjusted| ReadyLens {
                camera: adjusted.camera,
                free: adjusted.sigmas().map(|sigma| f64::from(u8::from(sigma > 0.0))),
            })
            .collect();
        Self { photos, lenses }
    }
}

impl ReadyPhoto {
    #[inline]
    fn in_camera(&self, point: &Vector3<f64>, share: f64) -> Vector3<f64> {
        self.rotation * (point - self.centre - self.motion * share)
    }

    /// How far the point is from where the height over the ground puts it, in sigmas.
    #[inline]
    fn height(&self, point: &Vector3<f64>) -> f64 {
        (self.centre.z - point.z - self.height_m) * self.per_metre
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Observation, *};

    fn seen_by_one(heights: &[f64]) -> Vec<TiePoint> {
        let sighting = Observation { photo: 0, pixel: Vector2::zeros(), sigma_px: 1.0, rgb: [0.0; 3] };
        let point =
            |z: &f64| TiePoint { position: Vector3::new(0.0, 0.0, *z), sightings: vec![sighting], survey: None };
        heights.iter().map(point).collect()
    }

    #[test]
    fn a_roof_among_the_points_lowers_the_height_over_their_mean() {
        let relief = relief(&seen_by_one(&[1.0, 1.0, 1.0, 9.0]), &[4, 0]);
        assert_eq!(relief, [2.0, 0.0]);
        assert!((over_mean(40.0, relief[0]) - 38.0).abs() < 1e-12);
        // A point that flew off says nothing about the ground.
        assert!((over_mean(40.0, 700.0) - 36.0).abs() < 1e-12);
    }
}
