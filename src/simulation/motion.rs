//! How a camera moves while its rows are read.

use serde::Serialize;

use super::{
    camera::TruePose,
    flight::{Shot, wrapped},
};

/// Velocity and rates of turn, constant over an exposure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Motion {
    /// East, north, up, metres a second.
    pub velocity_enu_mps: [f64; 3],
    /// Yaw, pitch, roll, degrees a second.
    pub rates_deg_s: [f64; 3],
}

impl Motion {
    /// Returns the pose some seconds after a given one; before it when negative.
    pub(crate) fn after(&self, pose: &TruePose, seconds: f64) -> TruePose {
        let [yaw, pitch, roll] = self.rates_deg_s.map(|rate| rate * seconds);
        TruePose {
            enu: std::array::from_fn(|i| pose.enu[i] + self.velocity_enu_mps[i] * seconds),
            yaw_deg: pose.yaw_deg + yaw,
            pitch_deg: pose.pitch_deg + pitch,
            roll_deg: pose.roll_deg + roll,
        }
    }

    /// Returns the motion that leads from one shot to another.
    fn between(from: &Shot, to: &Shot) -> Self {
        let seconds = (to.taken_at - from.taken_at).as_seconds_f64();
        let angles = |shot: &Shot| [shot.pose.yaw_deg, shot.pose.pitch_deg, shot.pose.roll_deg];
        let (before, after) = (angles(from), angles(to));
        Self {
            velocity_enu_mps: std::array::from_fn(|i| (to.pose.enu[i] - from.pose.enu[i]) / seconds),
            rates_deg_s: std::array::from_fn(|i| wrapped(after[i] - before[i]) / seconds),
        }
    }
}

/// Gives each shot the motion between its neighbours in the strip: central differences, one-sided at the ends.
///
/// A shot that is alone in its strip flies straight ahead at `speed_mps`.
pub(crate) fn estimate(shots: &mut [Shot], speed_mps: f64) {
    let motions: Vec<Motion> = (0..shots.len())
        .map(|i| {
            let same_strip = |j: &usize| shots[*j].strip == shots[i].strip;
            let before = i.checked_sub(1).filter(same_strip).unwrap_or(i);
            let after = Some(i + 1).filter(|&j| j < shots.len()).filter(same_strip).unwrap_or(i);
            if before == after {
                let (sin, cos) = shots[i].pose.yaw_deg.to_radians().sin_cos();
                return Motion { velocity_enu_mps: [sin * speed_mps, cos * speed_mps, 0.0], ..Motion::default() };
            }
            Motion::between(&shots[before], &shots[after])
        })
        .collect();
    for (shot, motion) in shots.iter_mut().zip(motions) {
        shot.motion = motion;
    }
}
