//! What the heights of the surface count from.
//!
//! Cameras with corrections (RTK) know their height above the ellipsoid, and so where a country's own zero lies, as long
//! as PROJ has its geoid. Other receivers and barometers know it to metres, from a zero that is the maker's secret: such heights are
//! right against each other and are not shifted, which would only lend them a name.

use super::{
    gcp::{Role, Surveyed},
    photos::Flight,
    report::georeferenced_by,
};
use crate::spatial::{Crs, Undulation};

/// RD New with NAP heights.
const RD_NEW_NAP: u32 = 7415;

/// The zero of a flight's heights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heights {
    /// In words: `NAP`, `WGS 84 ellipsoid`, `control points` or `recorded altitudes`.
    pub from: &'static str,
    undulation: Option<Undulation>,
}

impl Heights {
    /// The zero that an adjusted flight can have in a coordinate system.
    pub fn of(flight: &Flight, surveyed: &[Surveyed], crs: Crs) -> Self {
        let controls = surveyed.iter().filter(|point| point.role == Role::Control && point.marks.len() > 1);
        let from = match georeferenced_by(flight, controls.count()) {
            "control points" => "control points",
            "rtk gps" => "WGS 84 ellipsoid",
            _ => "recorded altitudes",
        };
        let national = from == "WGS 84 ellipsoid" && crs == Crs::RD_NEW;
        let [lon, lat, _] = flight.origin;
        match national.then(|| Undulation::of(RD_NEW_NAP, [lon, lat])).flatten() {
            Some(undulation) => Self { from: "NAP", undulation: Some(undulation) },
            None => Self { from, undulation: None },
        }
    }

    /// The height to write of a place given as `[longitude, latitude, height in the flight's frame above its ellipsoid]`.
    pub fn height_of(&self, place: [f64; 3]) -> f64 {
        self.undulation.map_or(place[2], |undulation| undulation.height_of(place))
    }

    /// What someone who asked for RD New has to know when the heights are not NAP.
    pub fn note(&self, crs: Crs) -> Option<String> {
        let remedy = match self.from {
            _ if crs != Crs::RD_NEW => return None,
            "WGS 84 ellipsoid" => {
                "they count from the WGS 84 ellipsoid, some 43 m more: PROJ has no RDNAPTRANS grids here. Put \
                 nl_nsgi_rdtrans2018.tif and nl_nsgi_nlgeo2018.tif into its data folder, or give control points with NAP heights"
            }
            "recorded altitudes" => {
                "they are as the drone recorded them, right against each other but metres off: fly with RTK, or give control \
                 points with NAP heights"
            }
            _ => return None,
        };
        Some(format!("the heights of surface and terrain are not NAP: {remedy}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_rd_new_hears_when_heights_are_not_nap() {
        let note = |from, crs| Heights { from, undulation: None }.note(crs);
        for (from, remedy) in [("WGS 84 ellipsoid", "RDNAPTRANS grids"), ("recorded altitudes", "fly with RTK")] {
            assert!(note(from, Crs::RD_NEW).is_some_and(|note| note.contains("not NAP") && note.contains(remedy)));
            assert_eq!(note(from, Crs::from_epsg(32631)), None);
        }
        assert_eq!(note("control points", Crs::RD_NEW), None);
        assert_eq!(note("NAP", Crs::RD_NEW), None);
    }

    #[test]
    fn heights_stay_as_they_are_without_a_geoid() {
        let heights = Heights { from: "recorded altitudes", undulation: None };
        assert_eq!(heights.height_of([5.4, 51.9, 46.5]).to_bits(), 46.5_f64.to_bits());
    }
}
