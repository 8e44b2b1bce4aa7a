//! Surveyed points against the block: those that took part, and those that were held out to judge it.

use serde::Serialize;

use crate::photogrammetry::{
    bundle::Block,
    gcp::{Role, Surveyed, measured},
    photos::Flight,
};

/// Control points that fix place, turn and scale; with fewer, GPS decides.
pub const ENOUGH_CONTROL: usize = 3;

/// A surveyed point: measured minus surveyed, metres.
#[derive(Clone, Debug, Serialize)]
pub struct SurveyResidual {
    pub name: String,
    /// How many photos it is marked in.
    pub photos: usize,
    pub east_m: f64,
    pub north_m: f64,
    pub up_m: f64,
    /// Where it was surveyed, in the local frame: east, north, up.
    pub at_m: [f64; 3],
    pub longitude: f64,
    pub latitude: f64,
}

impl SurveyResidual {
    pub fn horizontal_m(&self) -> f64 {
        self.east_m.hypot(self.north_m)
    }
}

/// The root mean square of residuals of surveyed points, metres.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct SurveyRmse {
    pub points: usize,
    pub east_m: f64,
    pub north_m: f64,
    pub up_m: f64,
    pub horizontal_m: f64,
}

impl SurveyRmse {
    /// `None` without points.
    pub fn of(points: &[SurveyResidual]) -> Option<Self> {
        let rms = |value: fn(&SurveyResidual) -> f64| {
            (points.iter().map(|point| value(point).powi(2)).sum::<f64>() / points.len() as f64).sqrt()
        };
        (!points.is_empty()).then(|| Self {
            points: points.len(),
            east_m: rms(|point| point.east_m),
            north_m: rms(|point| point.north_m),
            up_m: rms(|point| point.up_m),
            horizontal_m: rms(SurveyResidual::horizontal_m),
        })
    }
}

/// Surveyed points of one role, measured in the adjusted block.
pub fn residuals(flight: &Flight, block: &Block, surveyed: &[Surveyed], role: Role) -> Vec<SurveyResidual> {
    surveyed
        .iter()
        .filter(|point| point.role == role)
        .filter_map(|point| {
            let off = measured(block, point)? - point.enu;
            let [longitude, latitude, _] = flight.frame.to_lonlat(point.enu.into());
            Some(SurveyResidual {
                name: point.name.clone(),
                photos: point.marks.len(),
                east_m: off.x,
                north_m: off.y,
                up_m: off.z,
                at_m: point.enu.into(),
                longitude,
                latitude,
            })
        })
        .collect()
}

/// What the place of the block rests on.
pub fn georeferenced_by(flight: &Flight, control_points: usize) -> &'static str {
    let mut receivers = flight.photos.iter().filter_map(|photo| photo.gps).peekable();
    match control_points {
        ENOUGH_CONTROL.. => "control points",
        1.. => "gps and too few control points",
        0 if receivers.peek().is_some() && receivers.all(|gps| gps.rtk) => "rtk gps",
        0 => "gps",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rmse_of_each_axis_is_its_own() {
        let point = |east_m, north_m, up_m| SurveyResidual {
            east_m,
            north_m,
            up_m,
            ..crate::photogrammetry::report::testing::surveyed("a")
        };
        let rmse = SurveyRmse::of(&[point(0.3, 0.0, -0.1), point(-0.3, 0.4, 0.1)]).unwrap();
        let near = |a: f64, b: f64| (a - b).abs() < 1e-12;
        assert!(near(rmse.east_m, 0.3) && near(rmse.north_m, 0.08f64.sqrt()) && near(rmse.up_m, 0.1), "{rmse:?}");
        assert!(near(rmse.horizontal_m, 0.17f64.sqrt()), "{rmse:?}");
        assert!(SurveyRmse::of(&[]).is_none());
    }
}
