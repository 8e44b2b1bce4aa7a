//! The camera model: where a point in front of the lens lands on the photo, and the other way round.
//!
//! Interior orientation is Brown's model (Brown 1971, *Close-range camera calibration*): one focal length,
//! the principal point, three radial and two tangential terms, in the order and signs that `OpenCV` made common.
//! Camera axes are x right, y down, z forward; pixels count from the top-left corner of the photo.
//!
//! Invariant: a point beyond the radius where the radial polynomial stops growing is *not seen*. Without that
//! guard far points fold back into the frame, and an adjustment that starts well runs away.

use nalgebra::{Matrix2x3, Matrix3, SMatrix, Vector2, Vector3};
use serde::{Deserialize, Serialize};

use crate::raster::Attitude;

/// How many numbers of a camera the adjustment may change.
pub const PARAMETERS: usize = 8;

/// The derivative of a pixel by the camera's parameters, in the order of [`Camera::parameters`].
pub type ByParameters = SMatrix<f64, 2, PARAMETERS>;

/// Interior orientation: photo size, focal length and principal point in pixels, distortion.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written")]
pub struct Camera {
    pub width_px: f64,
    pub height_px: f64,
    pub focal_px: f64,
    pub cx: f64,
    pub cy: f64,
    pub k: [f64; 3],
    pub p: [f64; 2],
    /// The squared radius (in focal lengths) up to which the distortion grows with the angle.
    #[serde(skip)]
    limit_r2: f64,
}

/// A camera as it is written.
#[derive(Deserialize)]
struct Written {
    width_px: f64,
    height_px: f64,
    focal_px: f64,
    cx: f64,
    cy: f64,
    k: [f64; 3],
    p: [f64; 2],
}

impl From<Written> for Camera {
    fn from(Written { width_px, height_px, focal_px, cx, cy, k, p }: Written) -> Self {
        Self::ideal(width_px, height_px, focal_px).with_parameters([focal_px, cx, cy, k[0], k[1], k[2], p[0], p[1]])
    }
}

impl Camera {
    /// A lens without distortion, its axis through the middle of the photo.
    pub fn ideal(width_px: f64, height_px: f64, focal_px: f64) -> Self {
        Self {
            width_px,
            height_px,
            focal_px,
            cx: width_px / 2.0,
            cy: height_px / 2.0,
            k: [0.0; 3],
            p: [0.0; 2],
            limit_r2: f64::INFINITY,
        }
    }

    /// Focal length, principal point (x, y), k1, k2, k3, p1, p2.
    pub fn parameters(&self) -> [f64; PARAMETERS] {
        [self.focal_px, self.cx, self.cy, self.k[0], self.k[1], self.k[2], self.p[0], self.p[1]]
    }

    /// The same photo size with other [`Camera::parameters`].
    #[must_use]
    pub fn with_parameters(&self, v: [f64; PARAMETERS]) -> Self {
        let k = [v[3], v[4], v[5]];
        let limit_r2 = monotonic_limit(k);
        Self { focal_px: v[0], cx: v[1], cy: v[2], k, p: [v[6], v[7]], limit_r2, ..*self }
    }

    /// Projects a point in camera axes to a pixel; `None` behind the lens or beyond the fold-back radius.
    pub fn project(&self, point: &Vector3<f64>) -> Option<Vector2<f64>> {
        if point.z <= 1e-9 {
            return None;
        }
        let (x, y) = (point.x / point.z, point.y / point.z);
        let r2 = x * x + y * y;
        if r2 > self.limit_r2 {
            return None;
        }
        let [xd, yd] = self.distort(x, y, r2);
        Some(Vector2::new(self.focal_px * xd + self.cx, self.focal_px * yd + self.cy))
    }

    /// Projects like [`Camera::project`] and adds the derivatives by the point and by the parameters.
    #[inline]
    pub fn project_with_derivatives(
        &self,
        point: &Vector3<f64>,
    ) -> Option<(Vector2<f64>, Matrix2x3<f64>, ByParameters)> {
        if point.z <= 1e-9 {
            return None;
        }
        let inverse_z = 1.0 / point.z;
        let (x, y) = (point.x * inverse_z, point.y * inverse_z);
        let r2 = x * x + y * y;
        if r2 > self.limit_r2 {
            return None;
        }
        let [k1, k2, k3] = self.k;
        let [p1, p2] = self.p;
        let f = self.focal_px;
        let (r4, r6) = (r2 * r2, r2 * r2 * r2);
        let radial = 1.0 + k1 * r2 + k2 * r4 + k3 * r6;
        let slope = k1 + 2.0 * k2 * r2 + 3.0 * k3 * r4;
        let xd = x * radial + 2.0 * p1 * x * y + p2 * (r2 + 2.0 * x * x);
        let yd = y * radial + p1 * (r2 + 2.0 * y * y) + 2.0 * p2 * x * y;

        let xd_x = radial + 2.0 * x * x * slope + 2.0 * p1 * y + 6.0 * p2 * x;
        let xd_y = 2.0 * x * y * slope + 2.0 * p1 * x + 2.0 * p2 * y;
        let yd_y = radial + 2.0 * y * y * slope + 6.0 * p1 * y + 2.0 * p2 * x;
        let by_point = Matrix2x3::new(
            f * xd_x * inverse_z,
            f * xd_y * inverse_z,
            -f * (xd_x * x + xd_y * y) * inverse_z,
            f * xd_y * inverse_z,
            f * yd_y * inverse_z,
            -f * (xd_y * x + yd_y * y) * inverse_z,
        );
        #[rustfmt::skip]
        let by_parameters = ByParameters::from_row_slice(&[
            xd, 1.0, 0.0, f * x * r2, f * x * r4, f * x * r6, f * 2.0 * x * y, f * (r2 + 2.0 * x * x),
            yd, 0.0, 1.0, f * y * r2, f * y * r4, f * y * r6, f * (r2 + 2.0 * y * y), f * 2.0 * x * y,
        ]);
        let pixel = Vector2::new(f * xd + self.cx, f * yd + self.cy);
        Some((pixel, by_point, by_parameters))
    }

    /// The ray through a pixel, as x/z and y/z in camera axes, with the distortion taken out.
    ///
    /// Newton on two equations; five steps reach 1e-12 for every lens whose polynomial is monotonic in the frame.
    pub fn unproject(&self, pixel: &Vector2<f64>) -> Vector2<f64> {
        let target = Vector2::new((pixel.x - self.cx) / self.focal_px, (pixel.y - self.cy) / self.focal_px);
        let mut ray = target;
        let limit = self.limit_r2.sqrt();
        for _ in 0..12 {
            let at = Vector3::new(ray.x, ray.y, 1.0);
            let Some((seen, by_point, _)) = self.project_with_derivatives(&at) else {
                // Over the fold: step back inside and try again.
                ray *= 0.95 * limit / ray.norm();
                continue;
            };
            let jacobian = by_point.fixed_columns::<2>(0).into_owned();
            let Some(inverse) = jacobian.try_inverse() else { break };
            let step = inverse * (pixel - seen);
            ray += step;
            if step.norm_squared() < 1e-24 {
                break;
            }
        }
        ray
    }

    /// Whether a pixel lies on the photo.
    pub fn contains(&self, pixel: &Vector2<f64>) -> bool {
        pixel.x >= 0.0 && pixel.y >= 0.0 && pixel.x <= self.width_px && pixel.y <= self.height_px
    }

    fn distort(&self, x: f64, y: f64, r2: f64) -> [f64; 2] {
        let radial = 1.0 + r2 * (self.k[0] + r2 * (self.k[1] + r2 * self.k[2]));
        let [p1, p2] = self.p;
        [
            x * radial + 2.0 * p1 * x * y + p2 * (r2 + 2.0 * x * x),
            y * radial + p1 * (r2 + 2.0 * y * y) + 2.0 * p2 * x * y,
        ]
    }
}

/// The smallest squared radius where `r (1 + k1 r² + k2 r⁴ + k3 r⁶)` stops growing.
///
/// Searched up to four focal lengths (a field of view of 150°) on a grid, then by bisection.
fn monotonic_limit(k: [f64; 3]) -> f64 {
    let slope = |s: f64| 1.0 + s * (3.0 * k[0] + s * (5.0 * k[1] + s * 7.0 * k[2]));
    let (mut low, step) = (0.0, 0.02);
    while low < 16.0 {
        let high = low + step;
        if slope(high) <= 0.0 {
            let (mut a, mut b) = (low, high);
            for _ in 0..40 {
                let middle = 0.5 * (a + b);
                if slope(middle) > 0.0 { a = middle } else { b = middle }
            }
            return a;
        }
        low = high;
    }
    f64::INFINITY
}

/// Exterior orientation: the rotation from local east-north-up to camera axes, and the centre in metres.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exterior {
    pub rotation: Matrix3<f64>,
    pub centre: Vector3<f64>,
}

impl Exterior {
    /// A point of the world in this camera's axes.
    pub fn in_camera(&self, point: &Vector3<f64>) -> Vector3<f64> {
        self.rotation * (point - self.centre)
    }

    /// The direction in the world of a ray given as x/z and y/z, one unit along the optical axis.
    pub fn ray(&self, ray: &Vector2<f64>) -> Vector3<f64> {
        self.rotation.tr_mul(&Vector3::new(ray.x, ray.y, 1.0))
    }
}

/// Where a photo shows a point of the world, its rows read one after the other while the camera flies on.
///
/// `exterior` is the pose at the middle row, `motion` how far the centre moves from the first row to the last, in metres of
/// the local frame; zero is a global shutter. `None` behind the lens or beyond the fold-back radius.
pub fn in_frame(
    camera: &Camera,
    exterior: &Exterior,
    motion: &Vector3<f64>,
    point: &Vector3<f64>,
) -> Option<Vector2<f64>> {
    let mut seen = camera.project(&exterior.in_camera(point))?;
    if *motion == Vector3::zeros() {
        return Some(seen);
    }
    // The row says from where it was taken, and that says which row it is. A readout moves the picture by a hundredth
    // of its rows at most, so each round brings two more digits.
    for _ in 0..3 {
        seen = camera.project(&at_row(camera, exterior, motion, seen.y).in_camera(point))?;
    }
    Some(seen)
}

/// The ray through a pixel: from where in the world, and in what direction.
pub fn ray_of(
    camera: &Camera,
    exterior: &Exterior,
    motion: &Vector3<f64>,
    pixel: &Vector2<f64>,
) -> (Vector3<f64>, Vector3<f64>) {
    let pose = at_row(camera, exterior, motion, pixel.y);
    (pose.centre, pose.ray(&camera.unproject(pixel)))
}

/// The pose at which a row was read.
fn at_row(camera: &Camera, exterior: &Exterior, motion: &Vector3<f64>, row: f64) -> Exterior {
    Exterior { centre: exterior.centre + motion * (row / camera.height_px - 0.5), ..*exterior }
}

/// The rotation from east-north-up to camera axes for a gimbal that reports `attitude`.
///
/// Degrees; yaw clockwise from true north, pitch -90 looks straight down, a positive roll lowers the right side.
pub fn rotation_of(attitude: &Attitude) -> Matrix3<f64> {
    let (yaw, pitch, roll) =
        (attitude.yaw_deg.to_radians(), attitude.pitch_deg.to_radians(), attitude.roll_deg.to_radians());
    let forward = Vector3::new(yaw.sin() * pitch.cos(), yaw.cos() * pitch.cos(), pitch.sin());
    let level = Vector3::new(yaw.cos(), -yaw.sin(), 0.0);
    let under = forward.cross(&level);
    let right = level * roll.cos() + under * roll.sin();
    let down = forward.cross(&right);
    Matrix3::from_rows(&[right.transpose(), down.transpose(), forward.transpose()])
}

/// The rotation matrix of a rotation vector (Rodrigues), in radians.
pub fn rotation_exp(w: &Vector3<f64>) -> Matrix3<f64> {
    *nalgebra::Rotation3::new(*w).matrix()
}

/// The rotation vector of a rotation matrix, in radians.
pub fn rotation_log(r: &Matrix3<f64>) -> Vector3<f64> {
    nalgebra::Rotation3::from_matrix_unchecked(*r).scaled_axis()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lens() -> Camera {
        Camera::ideal(1600.0, 1200.0, 1180.0)
            .with_parameters([1180.0, 795.6, 604.5, -0.08, 0.02, -0.004, 0.0006, -0.0004])
    }

    #[test]
    fn unprojecting_undoes_projecting() {
        let camera = lens();
        for pixel in [[3.0, 5.0], [800.0, 600.0], [1599.0, 1.0], [400.0, 1190.0]] {
            let pixel = Vector2::from(pixel);
            let ray = camera.unproject(&pixel);
            let back = camera.project(&Vector3::new(ray.x, ray.y, 1.0)).unwrap();
            assert!((back - pixel).norm() < 1e-7, "{pixel} came back as {back}");
        }
    }

    proptest! {
        #[test]
        fn every_lens_undoes_itself_within_its_fold(
            k in (-0.3..0.1f64, -0.1..0.1f64, -0.02..0.02f64),
            p in prop::array::uniform2(-0.002..0.002f64),
            axis in prop::array::uniform2(-30.0..30.0f64),
            ray in prop::array::uniform2(-0.8..0.8f64),
            depth in 1.0..200.0f64,
        ) {
            let camera = Camera::ideal(1600.0, 1200.0, 1100.0)
                .with_parameters([1100.0, 800.0 + axis[0], 600.0 + axis[1], k.0, k.1, k.2, p[0], p[1]]);
            // Near the fold the picture hardly moves with the ray, and the way back is not sharp.
            prop_assume!(ray[0].hypot(ray[1]) < 0.9 * camera.limit_r2.sqrt());
            if let Some(pixel) = camera.project(&(Vector3::new(ray[0], ray[1], 1.0) * depth)) {
                let back = camera.unproject(&pixel);
                prop_assert!((back - Vector2::from(ray)).norm() < 1e-7, "{ray:?} came back as {back}");
            }
        }

        #[test]
        fn a_rolling_shutter_sees_along_its_own_rays(
            motion in prop::array::uniform3(-0.4..0.4f64),
            turn in prop::array::uniform3(-0.2..0.2f64),
            pixel in (10.0..1590.0f64, 10.0..1190.0f64),
            reach in 20.0..60.0f64,
        ) {
            let (camera, motion) = (lens(), Vector3::from(motion));
            let nadir = rotation_of(&Attitude { yaw_deg: 30.0, pitch_deg: -90.0, roll_deg: 0.0 });
            let exterior = Exterior { rotation: rotation_exp(&turn.into()) * nadir, centre: Vector3::new(3.0, -2.0, 40.0) };
            let pixel = Vector2::new(pixel.0, pixel.1);
            let (from, towards) = ray_of(&camera, &exterior, &motion, &pixel);
            let seen = in_frame(&camera, &exterior, &motion, &(from + towards * reach)).unwrap();
            prop_assert!((seen - pixel).norm() < 1e-3, "{pixel} came back as {seen}");
        }
    }

    #[test]
    fn derivatives_agree_with_finite_differences() {
        let camera = lens();
        let point = Vector3::new(8.0, -5.0, 21.0);
        let (_, by_point, by_parameters) = camera.project_with_derivatives(&point).unwrap();
        for axis in 0..3 {
            let mut ahead = point;
            ahead[axis] += 1e-6;
            let mut behind = point;
            behind[axis] -= 1e-6;
            let slope = (camera.project(&ahead).unwrap() - camera.project(&behind).unwrap()) / 2e-6;
            assert!((slope - by_point.column(axis)).norm() < 1e-4, "axis {axis}");
        }
        for index in 0..PARAMETERS {
            let step = 1e-6;
            let (mut ahead, mut behind) = (camera.parameters(), camera.parameters());
            ahead[index] += step;
            behind[index] -= step;
            let slope = (camera.with_parameters(ahead).project(&point).unwrap()
                - camera.with_parameters(behind).project(&point).unwrap())
                / (2.0 * step);
            assert!((slope - by_parameters.column(index)).norm() < 1e-3, "parameter {index}");
        }
    }

    #[test]
    fn a_point_beyond_the_fold_is_not_seen() {
        // With k1 = -0.3 the image radius peaks at 1/sqrt(0.9) = 1.054 focal lengths and then shrinks again.
        let camera =
            Camera::ideal(1600.0, 1200.0, 900.0).with_parameters([900.0, 800.0, 600.0, -0.3, 0.0, 0.0, 0.0, 0.0]);
        assert!(camera.project(&Vector3::new(1.0, 0.0, 1.0)).is_some());
        assert!(camera.project(&Vector3::new(1.6, 0.0, 1.0)).is_none());
        assert!(camera.project(&Vector3::new(0.0, 0.0, -1.0)).is_none());
    }

    #[test]
    fn a_nadir_photo_flown_north_has_north_on_top() {
        let rotation = rotation_of(&Attitude { yaw_deg: 0.0, pitch_deg: -90.0, roll_deg: 0.0 });
        let exterior = Exterior { rotation, centre: Vector3::new(0.0, 0.0, 40.0) };
        let camera = Camera::ideal(1600.0, 1200.0, 1000.0);
        let north = camera.project(&exterior.in_camera(&Vector3::new(0.0, 10.0, 0.0))).unwrap();
        let east = camera.project(&exterior.in_camera(&Vector3::new(10.0, 0.0, 0.0))).unwrap();
        assert!((north - Vector2::new(800.0, 350.0)).norm() < 1e-9);
        assert!((east - Vector2::new(1050.0, 600.0)).norm() < 1e-9);
    }

    #[test]
    fn yaw_turns_clockwise_from_north() {
        let rotation = rotation_of(&Attitude { yaw_deg: 90.0, pitch_deg: -90.0, roll_deg: 0.0 });
        let up_in_photo = -rotation.row(1);
        assert!((up_in_photo.transpose() - Vector3::x()).norm() < 1e-12, "a photo flown east has east on top");
    }
}
