//! What makes a flight harder than a standard one.
//!
//! A [`Profile`] is a word on the command line; [`Conditions`] are the numbers behind it. Whoever flies, photographs or
//! writes down the truth reads the numbers and never the word, so that profiles combine freely.

use serde::Serialize;

use super::dice::Dice;

/// A difficulty that a flight can have; several may come together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// Gusts tilt the camera by several degrees, exposure jumps by up to a quarter between photos, corners are dark,
    /// the position wanders by metres, and altitudes are 35 m too high.
    Rough,
    /// Rows are read one after the other, over 20 to 30 ms, while the drone flies on and turns.
    RollingShutter,
    /// A pond of some forty metres without features; its glitter is another in each photo.
    Pond,
    /// Overlap of 60 % forward and 40 % sideways.
    Thin,
    /// Every other strip is flown by a drone with a wider lens.
    TwoCameras,
    /// The second half is flown three quarters of an hour later: another start, receiver, offset and exposure.
    TwoFlights,
}

/// The numbers of a flight that profiles change.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Conditions {
    /// Overlap along a strip, and between strips.
    pub overlap: [f64; 2],
    /// Deviation of each photo's place from its station: in the plane and in height, metres.
    pub drift_m: [f64; 2],
    /// Deviation of pitch and roll, and of yaw, degrees.
    pub tilt_deg: f64,
    pub yaw_deg: f64,
    /// Deviation of the exposure, and how many seconds it lasts.
    pub exposure: [f64; 2],
    /// Gusts and exposures go no farther than this: deviations, and share of the light.
    pub most_gust: f64,
    pub most_exposure: f64,
    /// Deviation of red and blue against green.
    pub white: f64,
    /// Exponent of the darkening towards the corners: 2 is the cosine-fourth law.
    pub falloff: f32,
    /// Deviation of a standard receiver's place on each axis, and of its height, metres; how long an error lasts.
    pub gps_m: [f64; 2],
    pub gps_memory_s: f64,
    /// What is added to all absolute altitudes; `None` leaves it to the seed.
    pub altitude_offset_m: Option<f64>,
    /// Constant and changing error of the compass, then of the gimbal, degrees.
    pub compass_deg: [f64; 2],
    pub gimbal_deg: [f64; 2],
    /// Time from the first row of a photo to its last, seconds.
    pub readout_s: f64,
    pub pond: bool,
    pub two_cameras: bool,
    pub two_flights: bool,
}

impl Conditions {
    /// Returns the conditions of a flight; what profiles leave to chance is the seed's.
    pub(crate) fn of(seed: u64, profiles: &[Profile]) -> Self {
        let mut conditions = Self::standard();
        for profile in profiles {
            conditions.harden(*profile, seed);
        }
        conditions
    }

    /// A calm day, a stabilised camera with a global shutter, a receiver that is right to 1.2 m.
    const fn standard() -> Self {
        Self {
            overlap: [0.8, 0.7],
            drift_m: [0.35, 0.25],
            tilt_deg: 1.3,
            yaw_deg: 1.5,
            exposure: [0.05, 20.0],
            most_gust: f64::INFINITY,
            most_exposure: f64::INFINITY,
            white: 0.008,
            // A little under half of the law is left after the camera's own correction and its curve.
            falloff: 0.45,
            // 1.2 m is the deviation in the plane, so 0.85 m on each axis.
            gps_m: [0.85, 0.25],
            gps_memory_s: 60.0,
            altitude_offset_m: None,
            compass_deg: [1.5, 0.4],
            gimbal_deg: [0.3, 0.3],
            readout_s: 0.0,
            pond: false,
            two_cameras: false,
            two_flights: false,
        }
    }

    fn harden(&mut self, profile: Profile, seed: u64) {
        match profile {
            Profile::Rough => {
                self.drift_m = [0.9, 0.7];
                self.tilt_deg = 4.0;
                self.yaw_deg = 5.0;
                // Two deviations are eight degrees: more tips a drone of two kilograms out of its strip.
                self.most_gust = 2.0;
                // Automatic exposure looks at each photo anew, so hardly anything of it lasts to the next.
                self.exposure = [0.13, 1.5];
                self.most_exposure = 0.25;
                self.white = 0.02;
                self.falloff = 0.8;
                self.gps_m = [2.2, 1.0];
                self.gps_memory_s = 45.0;
                self.altitude_offset_m = Some(35.0);
                self.compass_deg = [4.0, 1.0];
                self.gimbal_deg = [0.8, 0.8];
            }
            // The sensors of small drones take 20 to 30 ms; those with a mechanical shutter take none.
            Profile::RollingShutter => self.readout_s = Dice::new(seed, "shutter").between(0.020, 0.030),
            Profile::Pond => self.pond = true,
            Profile::Thin => self.overlap = [0.6, 0.4],
            Profile::TwoCameras => self.two_cameras = true,
            Profile::TwoFlights => self.two_flights = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_combine_in_any_order() {
        let one = Conditions::of(4, &[Profile::Rough, Profile::Thin, Profile::RollingShutter]);
        let other = Conditions::of(4, &[Profile::RollingShutter, Profile::Rough, Profile::Thin]);
        assert_eq!(one, other);
        assert!((0.020..0.030).contains(&one.readout_s) && one.overlap == [0.6, 0.4] && one.tilt_deg > 3.0);
        assert_eq!(Conditions::of(4, &[]), Conditions::standard());
    }
}
