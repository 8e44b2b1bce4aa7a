//! The flight: where the drone was at each photo, and what it believed about it.

use chrono::{DateTime, FixedOffset, NaiveDate, TimeDelta};

use super::{
    Gps,
    camera::{Camera, TruePose},
    dice::Dice,
    landscape::Landscape,
    motion::{self, Motion},
    profile::Conditions,
    site::Site,
};

/// Seconds between photos, for a turn to the next strip, and for new batteries.
const INTERVAL_S: f64 = 2.0;
const TURN_S: f64 = 9.0;
const BREAK_S: f64 = 45.0 * 60.0;
/// The second flight starts from the crown of the dike, and its camera is set a third of a stop lower.
const SECOND_START_M: f64 = 3.6;
const SECOND_EXPOSURE: f64 = 0.85;

/// How the photos lie: strips along the dike, and where things are planted so that three photos see them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Layout {
    pub strips: usize,
    pub photos: usize,
    /// Ground that one photo sees, across and along its strip, in metres.
    footprint: [f64; 2],
    /// Distance between strips, and between photos of one.
    spacing: [f64; 2],
    pub height_m: f64,
}

/// One photo: where it was taken, and what the drone wrote down.
#[derive(Clone, Debug)]
pub(crate) struct Shot {
    pub name: String,
    pub strip: usize,
    /// Which of the flight's cameras took it.
    pub camera: usize,
    /// Where the camera was in the middle of the exposure.
    pub pose: TruePose,
    /// How it moved meanwhile; still under a shutter that opens and closes for all rows at once.
    pub motion: Motion,
    pub taken_at: DateTime<FixedOffset>,
    pub recorded: Recorded,
    /// Brightness against a perfect exposure, red, green, blue.
    pub gain: [f32; 3],
}

/// What stands in the photo's EXIF and XMP.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub lonlat: [f64; 2],
    pub absolute_altitude_m: f64,
    pub relative_altitude_m: f64,
    pub gimbal: [f64; 3],
    pub aircraft: [f64; 3],
    /// With RTK: deviations east, north, up in metres.
    pub rtk_sigma_m: Option<[f64; 3]>,
}

impl Layout {
    /// Plans strips of equal length, about three times as many photos along as across; the last may be shorter.
    pub(crate) fn of(photos: usize, camera: &Camera, gsd_m: f64, [forward, side]: [f64; 2]) -> Self {
        let strips = ((photos as f64 / 3.0).sqrt().round() as usize).clamp(1, photos.max(1));
        let footprint = [camera.width as f64 * gsd_m, camera.height as f64 * gsd_m];
        let spacing = [footprint[0] * (1.0 - side), footprint[1] * (1.0 - forward)];
        Self { strips, photos, footprint, spacing, height_m: camera.focal_px * gsd_m }
    }

    fn in_strip(&self) -> usize {
        self.photos.div_ceil(self.strips)
    }

    /// Returns how far along and across the dike three photos see everything, in metres.
    pub(crate) fn well_seen_m(&self) -> [f64; 2] {
        // Two spacings at each end are seen once or twice; tilt takes another two metres.
        let along = self.footprint[1] + (self.in_strip() as f64 - 5.0) * self.spacing[1] - 4.0;
        let across = self.footprint[0] + (self.strips as f64 - 1.0) * self.spacing[0] - 6.0;
        [along.max(self.footprint[1] * 0.4), across.max(self.footprint[0] * 0.4)]
    }

    /// Returns how far along and across the dike photos see anything, in metres.
    pub(crate) fn seen_m(&self) -> [f64; 2] {
        let steps = |count: usize, spacing: f64| (count.max(1) - 1) as f64 * spacing;
        [
            self.footprint[1] + steps(self.in_strip(), self.spacing[1]),
            self.footprint[0] + steps(self.strips, self.spacing[0]),
        ]
    }

    /// Returns the photo with which a second flight begins: half of the strips, or of the only one, are flown.
    fn second_flight(&self) -> usize {
        if self.strips > 1 { self.strips.div_ceil(2) * self.in_strip() } else { self.photos.div_ceil(2) }
    }

    /// Tells whether the second of two drones takes a photo: each flies every other strip, or every other photo.
    fn by_second_drone(&self, index: usize) -> bool {
        let turn = if self.strips > 1 { index / self.in_strip() } else { index };
        turn % 2 == 1
    }

    /// Returns where each photo is planned: strip, along, across, and whether the strip is flown backwards.
    fn stations(&self) -> Vec<(usize, f64, f64, bool)> {
        let per_strip = self.in_strip();
        let middle = |count: usize, spacing: f64| (count - 1) as f64 * spacing / 2.0;
        (0..self.photos)
            .map(|index| {
                let (strip, place) = (index / per_strip, index % per_strip);
                let backwards = strip % 2 == 1;
                let along = place as f64 * self.spacing[1] - middle(per_strip, self.spacing[1]);
                let across = strip as f64 * self.spacing[0] - middle(self.strips, self.spacing[0]);
                (strip, if backwards { -along } else { along }, across, backwards)
            })
            .collect()
    }
}

impl Shot {
    /// Returns where the camera was when a row of the photo was read, or a share of the way to the next row.
    pub(crate) fn pose_at(&self, row: f64, camera: &Camera) -> TruePose {
        if camera.readout_s == 0.0 {
            return self.pose;
        }
        self.motion.after(&self.pose, camera.readout_s * (row / camera.height as f64 - 0.5))
    }
}

/// Flies over a landscape: the same seed flies the same flight.
pub(crate) fn fly(
    seed: u64,
    landscape: &Landscape,
    layout: &Layout,
    gps: Gps,
    conditions: &Conditions,
    site: &Site,
) -> Vec<Shot> {
    let mut dice = Dice::new(seed, "flight");
    let mut receiver = Receiver::switched_on(seed, gps, conditions, site);
    let [exposure_sigma, exposure_memory_s] = conditions.exposure;
    let mut exposure = Wander::new(exposure_sigma, exposure_memory_s);
    let (mut setting, gust) = (1.0, conditions.most_gust);
    let axis = landscape.axis();
    let heading = axis[0].atan2(axis[1]).to_degrees();
    let start = take_off_time(landscape.month(), &mut dice);
    let mut elapsed_s = 0.0;
    let mut shots: Vec<Shot> = Vec::with_capacity(layout.photos);
    for (index, (strip, along, across, backwards)) in layout.stations().into_iter().enumerate() {
        let landed = conditions.two_flights && index == layout.second_flight();
        let passed_s = if index == 0 {
            0.0
        } else if landed {
            BREAK_S
        } else if shots[index - 1].strip == strip {
            INTERVAL_S
        } else {
            TURN_S
        };
        elapsed_s += passed_s;
        if landed {
            receiver = Receiver::switched_on(seed ^ 0x5EC0, gps, conditions, site);
            receiver.take_off_height_m += SECOND_START_M;
            setting = SECOND_EXPOSURE;
        }
        let drift = conditions.drift_m;
        let (along, across) = (along + drift[0] * dice.normal(), across + drift[0] * dice.normal());
        let pose = TruePose {
            enu: [
                along * axis[0] - across * axis[1],
                along * axis[1] + across * axis[0],
                layout.height_m + drift[1] * dice.normal(),
            ],
            yaw_deg: wrapped(heading + if backwards { 180.0 } else { 0.0 } + conditions.yaw_deg * dice.normal()),
            pitch_deg: -90.0 + conditions.tilt_deg * dice.normal().clamp(-gust, gust),
            roll_deg: conditions.tilt_deg * dice.normal().clamp(-gust, gust),
        };
        let most = conditions.most_exposure;
        let light = exposure.after(passed_s, &mut dice).clamp(-most, most);
        let white = [conditions.white * dice.normal(), 0.0, conditions.white * dice.normal()];
        shots.push(Shot {
            name: format!("DJI_{:04}.JPG", index + 1),
            strip,
            camera: usize::from(conditions.two_cameras && layout.by_second_drone(index)),
            motion: Motion::default(),
            taken_at: start + TimeDelta::milliseconds((elapsed_s * 1000.0) as i64),
            recorded: receiver.record(&pose, passed_s, site),
            gain: white.map(|w| ((1.0 + light + w) * setting) as f32),
            pose,
        });
    }
    if conditions.readout_s > 0.0 {
        let speed = layout.spacing[1] / INTERVAL_S;
        motion::estimate(&mut shots, speed);
    }
    shots
}

fn take_off_time(month: u32, dice: &mut Dice) -> DateTime<FixedOffset> {
    let day = dice.whole(1, 28) as u32;
    let (hour, minute, second) = (dice.whole(10, 15) as u32, dice.whole(0, 59) as u32, dice.whole(0, 59) as u32);
    let summer = FixedOffset::east_opt(2 * 3600).expect("two hours are a zone");
    NaiveDate::from_ymd_opt(2025, month, day)
        .and_then(|date| date.and_hms_opt(hour, minute, second))
        .and_then(|time| time.and_local_timezone(summer).single())
        .expect("the days 1 to 28 are in every month")
}

/// An error that wanders but stays bounded: a first-order Gauss-Markov process.
struct Wander {
    sigma: f64,
    memory_s: f64,
    value: Option<f64>,
}

impl Wander {
    const fn new(sigma: f64, memory_s: f64) -> Self {
        Self { sigma, memory_s, value: None }
    }

    fn after(&mut self, seconds: f64, dice: &mut Dice) -> f64 {
        let kept = self.value.map_or(0.0, |_| (-seconds / self.memory_s).exp());
        let value = self.value.unwrap_or(0.0) * kept + self.sigma * (1.0 - kept * kept).sqrt() * dice.normal();
        self.value = Some(value);
        value
    }
}

/// The drone's instruments.
struct Receiver {
    dice: Dice,
    gps: Gps,
    /// East, north, and height by air pressure.
    errors: [Wander; 3],
    /// What a drone without RTK adds to all its altitudes, and nobody knows.
    altitude_offset_m: f64,
    take_off_height_m: f64,
    compass_deg: f64,
    gimbal_deg: [f64; 2],
    /// What changes from photo to photo: compass and gimbal, degrees.
    jitter_deg: [f64; 2],
}

impl Receiver {
    fn switched_on(seed: u64, gps: Gps, conditions: &Conditions, site: &Site) -> Self {
        let mut dice = Dice::new(seed, "receiver");
        let (sigma, vertical, memory) = match gps {
            Gps::Standard => (conditions.gps_m[0], conditions.gps_m[1], conditions.gps_memory_s),
            Gps::Rtk => (RTK_SIGMA_M[0], RTK_SIGMA_M[2], 0.5),
        };
        let ([compass, compass_jitter], [gimbal, gimbal_jitter]) = (conditions.compass_deg, conditions.gimbal_deg);
        let offset = if gps == Gps::Rtk { 0.0 } else { dice.between(-35.0, 35.0) };
        Self {
            altitude_offset_m: conditions.altitude_offset_m.unwrap_or(offset),
            compass_deg: compass * dice.normal(),
            gimbal_deg: [gimbal * dice.normal(), gimbal * dice.normal()],
            jitter_deg: [compass_jitter, gimbal_jitter],
            dice,
            gps,
            errors: [Wander::new(sigma, memory), Wander::new(sigma, memory), Wander::new(vertical, memory)],
            // Pilots start from the strip at the foot of the dike, level with the land.
            take_off_height_m: site.origin[2],
        }
    }

    fn record(&mut self, pose: &TruePose, passed_s: f64, site: &Site) -> Recorded {
        let dice = &mut self.dice;
        let error: [f64; 3] = std::array::from_fn(|i| self.errors[i].after(passed_s, dice));
        let [lon, lat, height] = site.to_lonlat(std::array::from_fn(|i| pose.enu[i] + error[i]));
        let [compass, gimbal] = self.jitter_deg;
        let yaw = wrapped(pose.yaw_deg + self.compass_deg + compass * dice.normal());
        let pitch = pose.pitch_deg + self.gimbal_deg[0] + gimbal * dice.normal();
        let roll = pose.roll_deg + self.gimbal_deg[1] + gimbal * dice.normal();
        Recorded {
            lonlat: [lon, lat],
            absolute_altitude_m: height + self.altitude_offset_m,
            relative_altitude_m: height - self.take_off_height_m,
            gimbal: [yaw, pitch, roll],
            aircraft: [wrapped(yaw + 0.8 * dice.normal()), -6.0 + 1.5 * dice.normal(), 1.5 * dice.normal()],
            rtk_sigma_m: (self.gps == Gps::Rtk).then_some(RTK_SIGMA_M),
        }
    }
}

/// Deviations of a fixed RTK solution: east, north, up in metres.
const RTK_SIGMA_M: [f64; 3] = [0.014, 0.014, 0.02];

/// Returns an angle in (-180, 180].
pub(crate) fn wrapped(degrees: f64) -> f64 {
    180.0 - (180.0 - degrees).rem_euclid(360.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::Profile;

    fn flight(gps: Gps) -> (Site, Layout, Vec<Shot>) {
        hard_flight(gps, &[])
    }

    fn hard_flight(gps: Gps, profiles: &[Profile]) -> (Site, Layout, Vec<Shot>) {
        let conditions = Conditions::of(1, profiles);
        let camera = Camera::of(1, 1600, 1200);
        let layout = Layout::of(24, &camera, 0.03, conditions.overlap);
        let site = Site::new().unwrap();
        let landscape = Landscape::new(1, layout.well_seen_m());
        let shots = fly(1, &landscape, &layout, gps, &conditions, &site);
        (site, layout, shots)
    }

    fn errors(site: &Site, shots: &[Shot]) -> Vec<[f64; 3]> {
        let error = |shot: &Shot| {
            let [lon, lat] = shot.recorded.lonlat;
            let enu = site.to_enu([lon, lat, shot.recorded.absolute_altitude_m]);
            std::array::from_fn(|i| enu[i] - shot.pose.enu[i])
        };
        shots.iter().map(error).collect()
    }

    #[test]
    fn twenty_four_photos_make_three_strips_back_and_forth() {
        let (_, layout, shots) = flight(Gps::Standard);
        assert_eq!((layout.strips, shots.len(), shots[8].strip), (3, 24, 1));
        assert!((wrapped(shots[0].pose.yaw_deg - shots[8].pose.yaw_deg).abs() - 180.0).abs() < 15.0);
        assert!(shots.windows(2).all(|pair| pair[0].taken_at < pair[1].taken_at));
    }

    #[test]
    fn rtk_is_right_to_centimetres_and_standard_is_not() {
        let (site, _, shots) = flight(Gps::Rtk);
        assert!(errors(&site, &shots).iter().all(|e| e.iter().all(|v| v.abs() < 0.08)));
        let (site, _, shots) = flight(Gps::Standard);
        let worst = errors(&site, &shots).iter().map(|e| e[0].hypot(e[1])).fold(0.0, f64::max);
        assert!((0.3..5.0).contains(&worst), "{worst}");
    }

    /// Over 60 s of memory, two seconds change a 0.85 m error by about 0.85 × sqrt(2 × 2 / 60) = 0.22 m.
    #[test]
    fn a_standard_position_wanders_and_does_not_jump() {
        let (site, _, shots) = flight(Gps::Standard);
        let errors = errors(&site, &shots);
        for (pair, shots) in errors.windows(2).zip(shots.windows(2)) {
            if shots[0].strip == shots[1].strip {
                assert!((pair[1][0] - pair[0][0]).abs() < 1.0, "{pair:?}");
            }
        }
    }

    /// Whoever has a figure for a seed keeps it: profiles changed nothing about a flight without any.
    #[test]
    fn a_standard_flight_stays_as_it_always_was() {
        let (_, layout, shots) = flight(Gps::Standard);
        let shot = &shots[9];
        // Number, value in the first release, and how exactly it was written down.
        let numbers = [
            (layout.height_m, 35.006_274_835_171_09, 1e-9),
            (shot.pose.enu[0], -18.238_410_567_002_54, 1e-9),
            (shot.pose.enu[1], 1.283_879_049_443_35, 1e-9),
            (shot.pose.roll_deg, -1.265_915_018_611_280_9, 1e-9),
            (f64::from(shot.gain[2]), 0.994_257_509_708_404_5, 1e-9),
            (shot.recorded.lonlat[0], 5.399_736_489, 1e-9),
            (shot.recorded.absolute_altitude_m, 110.768, 1e-3),
            (shot.recorded.gimbal[1], -89.68, 0.01),
        ];
        for (i, (found, expected, within)) in numbers.into_iter().enumerate() {
            assert!((found - expected).abs() < within, "number {i}: {found} was {expected}");
        }
    }

    #[test]
    fn a_rough_flight_is_tilted_unequally_exposed_and_thirty_five_metres_too_high() {
        let (site, _, shots) = hard_flight(Gps::Standard, &[Profile::Rough]);
        let tilts: Vec<f64> = shots.iter().map(|s| (s.pose.pitch_deg + 90.0).hypot(s.pose.roll_deg)).collect();
        let most = tilts.iter().copied().fold(0.0, f64::max);
        assert!((6.0..11.5).contains(&most), "{most}");
        let gains: Vec<f32> = shots.iter().map(|shot| shot.gain[1]).collect();
        let steps = gains.windows(2).filter(|pair| (pair[1] - pair[0]).abs() > 0.1).count();
        assert!(steps > 6 && gains.iter().all(|gain| (0.75..=1.25).contains(gain)), "{gains:?}");
        let too_high = errors(&site, &shots).iter().map(|e| e[2]).sum::<f64>() / shots.len() as f64;
        assert!((too_high - 35.0).abs() < 3.0, "{too_high}");
    }

    #[test]
    fn under_a_rolling_shutter_the_camera_is_elsewhere_at_each_row() {
        let (_, layout, shots) = hard_flight(Gps::Standard, &[Profile::RollingShutter]);
        let camera = Camera { readout_s: 0.025, ..Camera::of(1, 1600, 1200) };
        let shot = &shots[11];
        let (first, middle, last) =
            (shot.pose_at(0.0, &camera), shot.pose_at(600.0, &camera), shot.pose_at(1200.0, &camera));
        let flown = (last.enu[0] - first.enu[0]).hypot(last.enu[1] - first.enu[1]);
        // A fifth of the footprint in two seconds, and so a tenth of that in 25 ms; drift is up to a third of it.
        let expected = layout.spacing[1] / INTERVAL_S * 0.025;
        assert!((flown / expected - 1.0).abs() < 0.4, "{flown} {expected}");
        assert!((middle.enu[0] - shot.pose.enu[0]).abs() < 1e-12 && first.yaw_deg != last.yaw_deg);
        // Forwards is where the next photo is taken.
        let ahead = [0, 1].map(|i| shots[12].pose.enu[i] - shot.pose.enu[i]);
        assert!(ahead[0] * shot.motion.velocity_enu_mps[0] + ahead[1] * shot.motion.velocity_enu_mps[1] > 0.0);
    }

    #[test]
    fn thin_strips_lie_apart_as_their_overlap_says() {
        let (_, standard, _) = flight(Gps::Standard);
        let (_, thin, _) = hard_flight(Gps::Standard, &[Profile::Thin]);
        assert!((thin.spacing[0] / standard.spacing[0] - 2.0).abs() < 1e-9, "{thin:?}");
        assert!((thin.spacing[1] / standard.spacing[1] - 2.0).abs() < 1e-9, "{thin:?}");
    }

    #[test]
    fn two_flights_have_a_break_and_two_receivers_between_them() {
        let (site, _, shots) = hard_flight(Gps::Standard, &[Profile::TwoFlights, Profile::TwoCameras]);
        let breaks: Vec<usize> =
            (1..24).filter(|&i| (shots[i].taken_at - shots[i - 1].taken_at).num_minutes() > 30).collect();
        assert_eq!(breaks, [16]);
        let offsets = errors(&site, &shots);
        assert!((offsets[15][2] - offsets[16][2]).abs() > 2.0, "{:?}", &offsets[15..17]);
        let cameras: Vec<usize> = shots.iter().map(|shot| shot.camera).collect();
        assert!(cameras[..8].iter().all(|&c| c == 0) && cameras[8..16].iter().all(|&c| c == 1), "{cameras:?}");
    }

    #[test]
    fn angles_are_wrapped_into_half_a_turn() {
        for (given, expected) in [(190.0, -170.0), (-180.0, 180.0), (540.0, 180.0), (-10.0, -10.0)] {
            assert!((wrapped(given) - expected).abs() < 1e-9, "{given}");
        }
    }
}
