//! What one sighting says: its residual and how that changes with pose, camera and point.

use nalgebra::{Matrix3x6, SMatrix, SVector, Vector2, Vector3};

use super::{AdjustedPhoto, Block, Observation, TiePoint};
use crate::photogrammetry::camera::PARAMETERS;

/// Residuals of a sighting: two of the image and one of the height over the ground, each divided by its sigma.
pub const ROWS: usize = 3;

/// A sighting linearised at the present values, rows already weighted by the robust loss.
pub struct Linearised {
    pub residual: SVector<f64, ROWS>,
    /// By rotation (three, left increments) and centre (three).
    pub by_pose: SMatrix<f64, ROWS, 6>,
    pub by_camera: SMatrix<f64, ROWS, PARAMETERS>,
    pub by_point: SMatrix<f64, ROWS, 3>,
}

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
    block.cameras[photo.camera].camera.project(&photo.exterior.in_camera(point))
}

/// A block with what stays the same while it is adjusted.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub block: &'a Block,
    pub loss: Loss,
    /// For every photo, sigmas per metre of the height over the ground of *one* of its points; zero without one.
    pub height_weights: &'a [f64],
}

/// For every photo the weight of one point's height residual.
///
/// A photo's n points share its one constraint: each sigma is √n larger, so together they say that the *mean* ground
/// lies at the height, and hardly flatten its relief.
pub fn height_weights(block: &Block) -> Vec<f64> {
    let mut counts = vec![0u32; block.photos.len()];
    for sighting in block.points.iter().flat_map(|point| &point.sightings) {
        counts[sighting.photo as usize] += 1;
    }
    let weight = |(photo, count): (&AdjustedPhoto, u32)| {
        photo.height_above_ground_m.map_or(0.0, |(_, sigma)| 1.0 / (sigma * f64::from(count.max(1)).sqrt()))
    };
    block.photos.iter().zip(counts).map(weight).collect()
}

/// The cost of one sighting, image and height together.
pub fn sighting_cost(view: View, point: &TiePoint, sighting: &Observation) -> f64 {
    let photo = &view.block.photos[sighting.photo as usize];
    let squared = reprojection(view.block, photo, &point.position)
        .map_or(UNSEEN_SQUARED, |seen| (seen - sighting.pixel).norm_squared() / sighting.sigma_px.powi(2));
    let image = if point.survey.is_some() { squared } else { view.loss.cost(squared) };
    image + height_residual(view, sighting.photo, point).powi(2)
}

/// Linearises one sighting; `None` when the photo does not see the point.
pub fn linearise(view: View, point: &TiePoint, sighting: &Observation) -> Option<Linearised> {
    let block = view.block;
    let photo = &block.photos[sighting.photo as usize];
    let in_camera = photo.exterior.in_camera(&point.position);
    let (seen, by_camera_axes, by_parameters) =
        block.cameras[photo.camera].camera.project_with_derivatives(&in_camera)?;
    let residual = (seen - sighting.pixel) / sighting.sigma_px;
    // Surveyed points are few and were clicked by a person: they always count in full.
    let weight = if point.survey.is_some() { 1.0 } else { view.loss.weight(residual.norm_squared()) };
    let scale = weight.sqrt() / sighting.sigma_px;

    let rotation = &photo.exterior.rotation;
    // d(exp(w) p)/dw = -[p]x at w = 0, and d(R (X - C))/dC = -R.
    let mut pose = Matrix3x6::zeros();
    pose.fixed_columns_mut::<3>(0).copy_from(&-in_camera.cross_matrix());
    pose.fixed_columns_mut::<3>(3).copy_from(&-rotation);

    let mut out = Linearised {
        residual: SVector::zeros(),
        by_pose: SMatrix::zeros(),
        by_camera: SMatrix::zeros(),
        by_point: SMatrix::zeros(),
    };
    out.residual.fixed_rows_mut::<2>(0).copy_from(&(residual * weight.sqrt()));
    out.by_pose.fixed_rows_mut::<2>(0).copy_from(&(by_camera_axes * pose * scale));
    out.by_camera.fixed_rows_mut::<2>(0).copy_from(&(by_parameters * scale));
    out.by_point.fixed_rows_mut::<2>(0).copy_from(&(by_camera_axes * rotation * scale));
    for (column, sigma) in block.cameras[photo.camera].sigma.iter().enumerate() {
        if *sigma == 0.0 {
            out.by_camera.column_mut(column).fill(0.0);
        }
    }
    let per_metre = view.height_weights[sighting.photo as usize];
    out.residual[2] = height_residual(view, sighting.photo, point);
    out.by_pose[(2, 5)] = per_metre;
    out.by_point[(2, 2)] = -per_metre;
    Some(out)
}

/// How far the point is from where the height over the ground puts it, in sigmas.
fn height_residual(view: View, photo: u32, point: &TiePoint) -> f64 {
    let adjusted = &view.block.photos[photo as usize];
    adjusted.height_above_ground_m.map_or(0.0, |(height, _)| {
        (adjusted.exterior.centre.z - point.position.z - height) * view.height_weights[photo as usize]
    })
}
