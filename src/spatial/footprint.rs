//! The ground that a photo sees.

use super::LocalFrame;

/// Where a camera was and where it looked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pose {
    /// `[longitude, latitude]` in degrees.
    pub lonlat: [f64; 2],
    pub height_above_ground_m: f64,
    /// Clockwise from true north, degrees.
    pub yaw_deg: f64,
    /// 0 looks at the horizon, -90 straight down.
    pub pitch_deg: f64,
    /// Positive is right side down.
    pub roll_deg: f64,
}

/// The pinhole that matters for a footprint: size and focal length in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Camera {
    pub width: u32,
    pub height: u32,
    pub focal_px: f64,
}

/// Rays flatter than this below the horizon are cut here: farther away the ground is not flat any more.
const FLATTEST_RAY: f64 = -0.15;

/// Returns the four corners that a photo sees on flat ground, `[longitude, latitude]`, as a closed ring,
/// counter-clockwise; nothing when the camera is not above the ground or looks so far up that no ground is seen.
///
/// Corners whose rays do not meet the ground are taken at about seven heights away.
pub fn footprint(camera: &Camera, pose: &Pose) -> Option<Vec<[f64; 2]>> {
    // Written so that NaN is refused too.
    let above = pose.height_above_ground_m > 0.0 && camera.focal_px > 0.0 && pose.pitch_deg <= -20.0;
    if !above {
        return None;
    }
    let [right, down, forward] = camera_axes(pose);
    let (half_width, half_height) = (f64::from(camera.width) / 2.0, f64::from(camera.height) / 2.0);
    let frame = LocalFrame::at([pose.lonlat[0], pose.lonlat[1], 0.0]);
    let corners = [(-1.0, -1.0), (-1.0, 1.0), (1.0, 1.0), (1.0, -1.0)].map(|(sx, sy)| {
        let (u, v) = (sx * half_width / camera.focal_px, sy * half_height / camera.focal_px);
        let ray = std::array::from_fn::<f64, 3, _>(|i| right[i] * u + down[i] * v + forward[i]);
        let length = (ray[0] * ray[0] + ray[1] * ray[1] + ray[2] * ray[2]).sqrt();
        let steps = pose.height_above_ground_m / -(ray[2] / length).min(FLATTEST_RAY);
        let [lon, lat, _] = frame.to_lonlat([ray[0] / length * steps, ray[1] / length * steps, 0.0]);
        [lon, lat]
    });
    let [a, b, c, d] = corners;
    Some(vec![a, b, c, d, a])
}

/// Returns the camera's right, down and forward axes in east, north, up.
///
/// DJI's gimbal: yaw about the vertical, then pitch about the right axis, then roll about the view.
fn camera_axes(pose: &Pose) -> [[f64; 3]; 3] {
    let (sin_yaw, cos_yaw) = pose.yaw_deg.to_radians().sin_cos();
    let (sin_pitch, cos_pitch) = pose.pitch_deg.to_radians().sin_cos();
    let (sin_roll, cos_roll) = pose.roll_deg.to_radians().sin_cos();
    let forward = [sin_yaw * cos_pitch, cos_yaw * cos_pitch, sin_pitch];
    let level_right = [cos_yaw, -sin_yaw, 0.0];
    let level_down = [sin_yaw * sin_pitch, cos_yaw * sin_pitch, -cos_pitch];
    let mix = |a: [f64; 3], s: f64, b: [f64; 3], t: f64| std::array::from_fn(|i| a[i] * s + b[i] * t);
    [mix(level_right, cos_roll, level_down, sin_roll), mix(level_down, cos_roll, level_right, -sin_roll), forward]
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAMERA: Camera = Camera { width: 2000, height: 1000, focal_px: 1000.0 };

    fn corners_in_metres(pose: &Pose) -> Vec<[f64; 2]> {
        let frame = LocalFrame::at([pose.lonlat[0], pose.lonlat[1], 0.0]);
        let ring = footprint(&CAMERA, pose).unwrap();
        ring.iter().map(|p| frame.to_enu([p[0], p[1], 0.0])).map(|[e, n, _]| [e, n]).collect()
    }

    fn pose(yaw_deg: f64, pitch_deg: f64) -> Pose {
        Pose { lonlat: [5.4, 51.85], height_above_ground_m: 40.0, yaw_deg, pitch_deg, roll_deg: 0.0 }
    }

    #[test]
    fn a_nadir_photo_sees_a_rectangle_with_its_top_to_the_north() {
        let ring = corners_in_metres(&pose(0.0, -90.0));
        for (corner, expected) in ring.iter().zip([[-40.0, 20.0], [-40.0, -20.0], [40.0, -20.0], [40.0, 20.0]]) {
            assert!((corner[0] - expected[0]).abs() < 1e-3 && (corner[1] - expected[1]).abs() < 1e-3, "{ring:?}");
        }
    }

    #[test]
    fn yaw_turns_the_top_of_the_photo_to_the_east() {
        let top_left = corners_in_metres(&pose(90.0, -90.0))[0];
        assert!((top_left[0] - 20.0).abs() < 1e-3 && (top_left[1] - 40.0).abs() < 1e-3, "{top_left:?}");
    }

    #[test]
    fn a_camera_that_looks_ahead_sees_farther_in_front() {
        let ring = corners_in_metres(&pose(0.0, -60.0));
        assert!(ring[0][1] > 40.0 && ring[1][1] > 0.0, "{ring:?}");
    }

    #[test]
    fn a_camera_on_the_ground_or_looking_up_sees_nothing() {
        assert!(footprint(&CAMERA, &Pose { height_above_ground_m: 0.0, ..pose(0.0, -90.0) }).is_none());
        assert!(footprint(&CAMERA, &Pose { height_above_ground_m: f64::NAN, ..pose(0.0, -90.0) }).is_none());
        assert!(footprint(&CAMERA, &pose(0.0, 10.0)).is_none());
    }
}
