//! The adjusted positions against those of GPS: place, scale, turn and tilt, each with what GPS noise alone would do.
//!
//! GPS takes part in the adjustment, so small residuals prove little; large ones prove that photos and GPS tell
//! different stories. Photos whose GPS is off by more than its own sigma allows are named. As long as they are few,
//! scale, turn and tilt are taken from the others: one position without a fix does not make a block wrong.

use nalgebra::{Matrix2, Vector2, Vector3};
use serde::Serialize;

use super::survey::ENOUGH_CONTROL;
use crate::photogrammetry::{
    bundle::{AdjustedPhoto, Block},
    photos::{Flight, Photo, median},
};

/// How the adjusted positions lie to those of GPS.
#[derive(Clone, Debug, Serialize)]
pub struct GpsAgreement {
    /// Photos with a GPS position.
    pub photos: usize,
    pub horizontal_rmse_m: f64,
    /// After the sorties' altitude offsets.
    pub vertical_rmse_m: f64,
    /// What GPS would make larger or smaller, parts per million, and one sigma of that by GPS noise alone.
    pub scale_ppm: f64,
    pub scale_sigma_ppm: f64,
    /// Beyond this, either way, the block must not be used.
    pub scale_limit_ppm: f64,
    /// What GPS would turn anticlockwise, and one sigma of that.
    pub rotation_mrad: f64,
    pub rotation_sigma_mrad: f64,
    pub rotation_limit_mrad: f64,
    /// How the heights lean against those of GPS, along the flight and across, and one sigma of that.
    pub tilt_mrad: [f64; 2],
    pub tilt_sigma_mrad: [f64; 2],
    pub tilt_limit_mrad: [f64; 2],
    /// The middle sigma of the receivers.
    pub sigma_horizontal_m: f64,
    pub sigma_vertical_m: f64,
    /// How far GPS positions lie from their middle (root mean square): what an angle is worth in metres.
    pub spread_m: f64,
    /// Adjusted minus GPS.
    pub east: AxisResiduals,
    pub north: AxisResiduals,
    pub up: AxisResiduals,
    /// Photos whose GPS is off by more than it can be.
    pub outliers: Vec<String>,
    /// What barometer or GPS add to the height, for each sortie.
    pub altitude_offsets_m: Vec<f64>,
}

/// Residuals of one axis, metres.
#[derive(Clone, Copy, Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "the unit is part of every name in the JSON")]
pub struct AxisResiduals {
    pub mean_m: f64,
    pub rmse_m: f64,
    /// The one farthest from zero, with its sign.
    pub largest_m: f64,
}

/// A GPS position may be off by so many of its sigmas, and by these metres in any case: antennas sit beside lenses, and
/// clocks of cameras and receivers differ by milliseconds.
const OUTLIER_SIGMAS: f64 = 4.0;
const OUTLIER_FLOOR_M: [f64; 2] = [0.3, 0.5];
/// Up to this share of outliers they are the exceptions; with more, it is the block that is doubted.
pub const EXCEPTIONS_SHARE: f64 = 0.2;
/// Scale, turn and tilt may be so many sigmas of what GPS noise alone makes of them, and a little more, because errors of
/// GPS last for minutes and are no noise: as much as one sigma at one end of the flight, between these bounds (parts in
/// a thousand).
const AGREEMENT_SIGMAS: f64 = 4.0;
const LASTING_PLAN: [f64; 2] = [2.0, 10.0];
const LASTING_HEIGHT: [f64; 2] = [5.0, 20.0];

/// One photo with GPS: the two positions, the sigmas of GPS, and whether they agree.
struct Compared {
    adjusted: Vector3<f64>,
    gps: Vector3<f64>,
    sigma: [f64; 2],
}

impl Compared {
    fn off(&self) -> Vector3<f64> {
        self.adjusted - self.gps
    }

    /// Whether the difference is more than GPS can be off, after the shift that all have in common.
    fn is_outlier(&self, shift: &Vector3<f64>) -> bool {
        let off = self.off() - shift;
        let limit = |axis: usize| (OUTLIER_SIGMAS * self.sigma[axis]).max(OUTLIER_FLOOR_M[axis]);
        off.xy().norm() > limit(0) || off.z.abs() > limit(1)
    }
}

/// Adjusted minus GPS of one photo, metres, after its sortie's altitude offset.
pub fn residual(photo: &Photo, adjusted: &AdjustedPhoto, block: &Block) -> Option<Vector3<f64>> {
    let gps = photo.gps?;
    let offset = if gps.rtk { 0.0 } else { block.altitude_offsets_m[photo.sortie] };
    Some(adjusted.exterior.centre + Vector3::new(0.0, 0.0, offset) - gps.enu)
}

/// Compares the adjusted centres with GPS; `None` with fewer than three GPS positions.
///
/// Where enough control points, not GPS, decide the place, a shift of all positions is no outlier.
pub fn compare_with_gps(flight: &Flight, block: &Block) -> Option<GpsAgreement> {
    let surveyed = block.points.iter().filter(|point| point.survey.is_some()).count() >= ENOUGH_CONTROL;
    let mut names = Vec::new();
    let mut pairs = Vec::new();
    for (photo, adjusted) in flight.photos.iter().zip(&block.photos) {
        if let (Some(gps), Some(off)) = (photo.gps, residual(photo, adjusted, block)) {
            let sigma = [gps.sigma_horizontal_m, gps.sigma_vertical_m];
            names.push(photo.name.as_str());
            pairs.push(Compared { adjusted: gps.enu + off, gps: gps.enu, sigma });
        }
    }
    let uses_offset = |photo: &&Photo| photo.gps.is_some_and(|gps| !gps.rtk);
    let sorties = flight.photos.iter().filter(uses_offset).map(|photo| photo.sortie + 1).max().unwrap_or(0);
    let agreement = compare(&names, &pairs, surveyed)?;
    Some(GpsAgreement { altitude_offsets_m: block.altitude_offsets_m[..sorties].to_vec(), ..agreement })
}

fn compare(names: &[&str], pairs: &[Compared], surveyed: bool) -> Option<GpsAgreement> {
    if pairs.len() < 3 {
        return None;
    }
    let middle = |axis: usize| median(pairs.iter().map(|pair| pair.off()[axis])).unwrap_or(0.0);
    let shift = if surveyed { Vector3::new(middle(0), middle(1), middle(2)) } else { Vector3::zeros() };
    let outlier: Vec<bool> = pairs.iter().map(|pair| pair.is_outlier(&shift)).collect();
    let outliers: Vec<String> =
        names.iter().zip(&outlier).filter(|(_, is)| **is).map(|(name, _)| (*name).to_owned()).collect();
    let exceptions = outliers.len() as f64 <= EXCEPTIONS_SHARE * pairs.len() as f64;
    let judged: Vec<&Compared> =
        pairs.iter().zip(&outlier).filter(|(_, is)| !exceptions || !**is).map(|(pair, _)| pair).collect();

    let sigma = |axis: usize| median(pairs.iter().map(|pair| pair.sigma[axis])).unwrap_or(0.0);
    let [sigma_horizontal_m, sigma_vertical_m] = [sigma(0), sigma(1)];
    let plan = Plan::of(&judged);
    let (tilt, tilt_weights) = plan.tilt(&judged);
    let (east, north, up) = (axis(pairs, 0), axis(pairs, 1), axis(pairs, 2));
    let spread_m = (plan.square / judged.len() as f64).sqrt();
    let by_noise = sigma_horizontal_m / plan.square.sqrt() * 1e3;
    let lasting = |sigma: f64, [least, most]: [f64; 2]| (sigma / spread_m * 1e3).clamp(least, most);
    let limit = AGREEMENT_SIGMAS * by_noise + lasting(sigma_horizontal_m, LASTING_PLAN);
    let tilt_sigma_mrad = tilt_weights.map(|weight| sigma_vertical_m / weight.sqrt() * 1e3);
    let tilt_lasting = lasting(sigma_vertical_m, LASTING_HEIGHT);
    Some(GpsAgreement {
        photos: pairs.len(),
        horizontal_rmse_m: east.rmse_m.hypot(north.rmse_m),
        vertical_rmse_m: up.rmse_m,
        scale_ppm: (plan.dot.hypot(plan.cross) / plan.square - 1.0) * 1e6,
        scale_sigma_ppm: by_noise * 1e3,
        scale_limit_ppm: limit * 1e3,
        rotation_mrad: plan.cross.atan2(plan.dot) * 1e3,
        rotation_sigma_mrad: by_noise,
        rotation_limit_mrad: limit,
        tilt_mrad: tilt.map(|slope| slope * 1e3),
        tilt_sigma_mrad,
        tilt_limit_mrad: tilt_sigma_mrad.map(|sigma| AGREEMENT_SIGMAS * sigma + tilt_lasting),
        sigma_horizontal_m,
        sigma_vertical_m,
        spread_m,
        east,
        north,
        up,
        outliers,
        altitude_offsets_m: Vec::new(),
    })
}

fn axis(pairs: &[Compared], axis: usize) -> AxisResiduals {
    let (count, off) = (pairs.len() as f64, || pairs.iter().map(|pair| pair.off()[axis]));
    AxisResiduals {
        mean_m: off().sum::<f64>() / count,
        rmse_m: (off().map(|v| v * v).sum::<f64>() / count).sqrt(),
        largest_m: off().fold(0.0, |largest: f64, v| if v.abs() > largest.abs() { v } else { largest }),
    }
}

/// The turn and zoom in plan that GPS asks for: complex division of the GPS positions by the adjusted ones.
struct Plan {
    dot: f64,
    cross: f64,
    square: f64,
    middle: Vector3<f64>,
    scatter: Matrix2<f64>,
}

impl Plan {
    fn of(pairs: &[&Compared]) -> Self {
        let count = pairs.len() as f64;
        let middle = pairs.iter().map(|pair| pair.adjusted).sum::<Vector3<f64>>() / count;
        let gps_middle = pairs.iter().map(|pair| pair.gps).sum::<Vector3<f64>>() / count;
        let mut plan = Self { dot: 0.0, cross: 0.0, square: 0.0, middle, scatter: Matrix2::zeros() };
        for pair in pairs {
            let (a, b) = ((pair.adjusted - middle).xy(), (pair.gps - gps_middle).xy());
            plan.dot += a.dot(&b);
            plan.cross += a.x * b.y - a.y * b.x;
            plan.square += a.norm_squared();
            plan.scatter += a * a.transpose();
        }
        plan.square = plan.square.max(1e-9);
        plan
    }

    /// The slope of the height residuals along the two main axes of the flight, and the sum of squares each rests on.
    fn tilt(&self, pairs: &[&Compared]) -> ([f64; 2], [f64; 2]) {
        let axes = self.scatter.symmetric_eigen();
        let order = if axes.eigenvalues[0] >= axes.eigenvalues[1] { [0, 1] } else { [1, 0] };
        let mean = pairs.iter().map(|pair| pair.off().z).sum::<f64>() / pairs.len() as f64;
        let weights = order.map(|at| axes.eigenvalues[at].max(1e-9));
        let slope = |at: usize| {
            let along: Vector2<f64> = axes.eigenvectors.column(order[at]).into_owned();
            let lean = |pair: &&Compared| along.dot(&(pair.adjusted - self.middle).xy()) * (pair.off().z - mean);
            pairs.iter().map(lean).sum::<f64>() / weights[at]
        };
        ([slope(0), slope(1)], weights)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];

    /// Three strips of four, 30 m apart, GPS of 5 cm; `adjusted` moves what the photos say.
    fn compared(sigma: f64, adjusted: impl Fn(Vector3<f64>) -> Vector3<f64>, surveyed: bool) -> GpsAgreement {
        let pairs: Vec<Compared> = (0..12)
            .map(|index| Vector3::new(f64::from(index % 4) * 30.0, f64::from(index / 4) * 30.0, 40.0))
            .map(|gps| Compared { adjusted: adjusted(gps), gps, sigma: [sigma; 2] })
            .collect();
        compare(&NAMES, &pairs, surveyed).unwrap()
    }

    #[test]
    fn scale_turn_and_tilt_are_found_with_their_signs() {
        let scale = compared(0.05, |p| p * 0.98, false);
        assert!((scale.scale_ppm - (1e6 / 0.98 - 1e6)).abs() < 1.0, "{}", scale.scale_ppm);
        // 20 700 m² is the sum of the squared distances from the middle.
        let sigma_ppm = 0.05 / (20_700f64.sqrt() * 0.98) * 1e6;
        assert!((scale.scale_sigma_ppm - sigma_ppm).abs() < 0.1, "{}", scale.scale_sigma_ppm);

        let turned = compared(0.05, |p| nalgebra::Rotation3::from_axis_angle(&Vector3::z_axis(), -0.02) * p, false);
        assert!((turned.rotation_mrad - 20.0).abs() < 1e-6 && turned.scale_ppm.abs() < 1e-6, "{turned:?}");

        let leaning = compared(0.05, |p| p + Vector3::new(0.0, 0.0, 0.01 * p.x - 0.03 * p.y), false);
        let [along, across] = leaning.tilt_mrad.map(f64::abs);
        assert!((along - 10.0).abs() < 1e-6 && (across - 30.0).abs() < 1e-6, "{leaning:?}");
    }

    #[test]
    fn one_photo_without_a_fix_is_named_and_does_not_turn_the_others() {
        let off = |p: Vector3<f64>| if p.norm() < 41.0 { p + Vector3::new(-90.0, 40.0, 0.0) } else { p };
        let agreement = compared(0.05, off, false);
        assert_eq!(agreement.outliers, ["a"]);
        assert!(agreement.scale_ppm.abs() < 1e-6 && agreement.rotation_mrad.abs() < 1e-6, "{agreement:?}");
        assert!((agreement.east.largest_m + 90.0).abs() < 1e-9 && agreement.horizontal_rmse_m > 20.0);
    }

    #[test]
    fn a_common_shift_is_no_outlier_where_control_points_decide() {
        let shifted = |surveyed| compared(0.05, |p| p + Vector3::new(2.0, 0.0, -43.0), surveyed);
        assert_eq!((shifted(false).outliers.len(), shifted(true).outliers.len()), (12, 0));
    }
}
