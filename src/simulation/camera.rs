//! The camera that took the photos: a pinhole with the errors of a real lens.

use super::dice::Dice;

/// A camera with Brown's distortion (D. C. Brown, 1966, "Decentering distortion of lenses"), in `OpenCV`'s terms.
///
/// Pixel (0, 0) is the top-left corner of the photo.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Camera {
    pub width: usize,
    pub height: usize,
    pub focal_px: f64,
    /// Principal point in pixels.
    pub centre: [f64; 2],
    /// Radial k1, k2, k3.
    pub radial: [f64; 3],
    /// Tangential p1, p2.
    pub tangential: [f64; 2],
    /// What the maker says about the focal length: millimetres, and 35 mm equivalent.
    pub nominal_mm: f64,
    pub nominal_35mm: f64,
    /// What the maker calls it.
    pub model: &'static str,
    /// Time from the first row to the last, seconds; 0 when all are exposed at once.
    pub readout_s: f64,
}

/// A camera's position and attitude, in the landscape's frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct TruePose {
    /// East, north, up in metres.
    pub enu: [f64; 3],
    /// Clockwise from true north; the top of the photo looks there.
    pub yaw_deg: f64,
    /// -90 looks straight down.
    pub pitch_deg: f64,
    pub roll_deg: f64,
}

impl Camera {
    /// Makes a camera of a size: its nominal lens is the same for all seeds, its errors are not.
    pub(crate) fn of(seed: u64, width: usize, height: usize) -> Self {
        Self::made(Dice::new(seed, "camera"), width, height, [8.8, 26.0], "POLDER-SIM")
    }

    /// Makes the camera of the second drone, which sees a little more.
    pub(crate) fn wider(seed: u64, width: usize, height: usize) -> Self {
        Self::made(Dice::new(seed, "second camera"), width, height, [8.1, 24.0], "POLDER-SIM-W")
    }

    fn made(
        mut dice: Dice,
        width: usize,
        height: usize,
        [nominal_mm, nominal_35mm]: [f64; 2],
        model: &'static str,
    ) -> Self {
        let (w, h) = (width as f64, height as f64);
        let focal_px = nominal_35mm / 36.0 * w * (1.0 + dice.between(-0.02, 0.02));
        // Offsets and distortion of a mass-produced camera; the strength of one whose maker corrects little.
        Self {
            width,
            height,
            focal_px,
            centre: [w / 2.0 + w * dice.normal() * 0.0025, h / 2.0 + w * dice.normal() * 0.0025],
            radial: [-0.045 + 0.008 * dice.normal(), 0.012 + 0.003 * dice.normal(), -0.002],
            tangential: [0.0004 * dice.normal(), 0.0004 * dice.normal()],
            nominal_mm,
            nominal_35mm,
            model,
            readout_s: 0.0,
        }
    }

    /// Returns the pixel of a point in the camera's frame (right, down, forward); nothing when it is behind.
    pub(crate) fn project(&self, [x, y, z]: [f64; 3]) -> Option<[f64; 2]> {
        (z > 0.0).then(|| {
            let [u, v] = self.distort([x / z, y / z]);
            [self.focal_px * u + self.centre[0], self.focal_px * v + self.centre[1]]
        })
    }

    /// Returns the ray of a pixel: right and down for each unit forward.
    pub(crate) fn ray(&self, pixel: [f64; 2]) -> [f64; 2] {
        let seen = [0, 1].map(|i| (pixel[i] - self.centre[i]) / self.focal_px);
        // The distortion is a few per cent, so the fixed point is reached to 1e-9 in ten rounds.
        let mut ray = seen;
        for _ in 0..10 {
            let there = self.distort(ray);
            ray = [0, 1].map(|i| ray[i] + seen[i] - there[i]);
        }
        ray
    }

    fn distort(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        let r2 = x * x + y * y;
        let radial = 1.0 + r2 * (self.radial[0] + r2 * (self.radial[1] + r2 * self.radial[2]));
        let [p1, p2] = self.tangential;
        [
            x * radial + 2.0 * p1 * x * y + p2 * (r2 + 2.0 * x * x),
            y * radial + p1 * (r2 + 2.0 * y * y) + 2.0 * p2 * x * y,
        ]
    }
}

impl TruePose {
    /// Returns the camera's right, down and forward axes, each in east, north, up.
    ///
    /// DJI's gimbal: yaw about the vertical, then pitch about the right axis, then roll about the view.
    pub(crate) fn axes(self) -> [[f64; 3]; 3] {
        let (sin_yaw, cos_yaw) = self.yaw_deg.to_radians().sin_cos();
        let (sin_pitch, cos_pitch) = self.pitch_deg.to_radians().sin_cos();
        let (sin_roll, cos_roll) = self.roll_deg.to_radians().sin_cos();
        let forward = [sin_yaw * cos_pitch, cos_yaw * cos_pitch, sin_pitch];
        let right = [cos_yaw, -sin_yaw, 0.0];
        let down = [sin_yaw * sin_pitch, cos_yaw * sin_pitch, -cos_pitch];
        [
            std::array::from_fn(|i| right[i] * cos_roll + down[i] * sin_roll),
            std::array::from_fn(|i| down[i] * cos_roll - right[i] * sin_roll),
            forward,
        ]
    }

    /// Returns a point of the landscape in the camera's frame (right, down, forward).
    pub(crate) fn to_camera(self, enu: [f64; 3]) -> [f64; 3] {
        let d: [f64; 3] = std::array::from_fn(|i| enu[i] - self.enu[i]);
        self.axes().map(|axis| axis[0] * d[0] + axis[1] * d[1] + axis[2] * d[2])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ray_goes_back_through_its_pixel() {
        let camera = Camera::of(3, 1600, 1200);
        for pixel in [[0.5, 0.5], [800.0, 600.0], [1599.5, 3.0], [200.0, 1190.0]] {
            let [u, v] = camera.ray(pixel);
            let back = camera.project([u * 7.0, v * 7.0, 7.0]).unwrap();
            assert!((back[0] - pixel[0]).abs() < 1e-5 && (back[1] - pixel[1]).abs() < 1e-5, "{back:?}");
        }
    }

    #[test]
    fn a_camera_over_a_point_sees_the_north_at_its_top() {
        let pose = TruePose { enu: [10.0, 20.0, 35.0], yaw_deg: 0.0, pitch_deg: -90.0, roll_deg: 0.0 };
        let [right, down, forward] = pose.to_camera([11.0, 25.0, 0.0]);
        assert!((right - 1.0).abs() < 1e-9 && (down + 5.0).abs() < 1e-9 && (forward - 35.0).abs() < 1e-9);
        let turned = TruePose { yaw_deg: 90.0, ..pose }.to_camera([11.0, 25.0, 0.0]);
        assert!((turned[0] + 5.0).abs() < 1e-9 && (turned[1] + 1.0).abs() < 1e-9, "{turned:?}");
    }

    #[test]
    fn what_is_behind_the_camera_is_not_seen() {
        assert_eq!(Camera::of(1, 100, 80).project([0.0, 0.0, -1.0]), None);
    }
}
