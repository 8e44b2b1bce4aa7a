//! Coordinate systems, named by their EPSG codes.

use std::{fmt, str::FromStr};

use super::{Error, Result};

/// A coordinate system, by its EPSG code. Axis order is always x, y, whatever the registry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
pub struct Crs(u32);

impl Crs {
    /// Longitude and latitude on WGS 84, in degrees: EPSG:4326 with longitude first.
    pub const WGS84: Self = Self(4326);
    /// Amersfoort / RD New, the Dutch national grid, in metres.
    pub const RD_NEW: Self = Self(28992);

    pub const fn from_epsg(code: u32) -> Self {
        Self(code)
    }

    pub const fn epsg(self) -> u32 {
        self.0
    }

    /// Returns the UTM zone (WGS 84, metres) of a place given as `[longitude, latitude]` in degrees.
    ///
    /// The exceptions around Norway and Svalbard are left out: polder flies lower.
    pub fn utm_at(lonlat: [f64; 2]) -> Self {
        let zone = (((lonlat[0] + 180.0) / 6.0).floor() as i64).rem_euclid(60) as u32 + 1;
        Self(if lonlat[1] >= 0.0 { 32600 } else { 32700 } + zone)
    }
}

impl fmt::Display for Crs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EPSG:{}", self.0)
    }
}

impl FromStr for Crs {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::CrsSyntax(text.to_owned());
        let (authority, code) = text.trim().split_once(':').ok_or_else(wrong)?;
        if !authority.eq_ignore_ascii_case("epsg") {
            return Err(wrong());
        }
        code.parse().map(Self).map_err(|_| wrong())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utm_zones_follow_longitude_and_hemisphere() {
        assert_eq!(Crs::utm_at([5.4, 51.9]).epsg(), 32631);
        assert_eq!(Crs::utm_at([-91.99, 46.8]).epsg(), 32615);
        assert_eq!(Crs::utm_at([151.2, -33.9]).epsg(), 32756);
        assert_eq!(Crs::utm_at([180.0, 10.0]).epsg(), 32601);
    }

    #[test]
    fn a_code_is_read_back_as_it_is_shown() {
        assert_eq!("epsg:28992".parse::<Crs>().unwrap().to_string(), "EPSG:28992");
        for wrong in ["28992", "EPSG:", "EPSG:x", "ESRI:54009", ""] {
            assert!(wrong.parse::<Crs>().is_err(), "{wrong}");
        }
    }
}
