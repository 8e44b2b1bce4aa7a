//! Where on the Earth the landscape lies.

use crate::spatial::{Crs, LocalFrame, Projection};

use super::Result;

/// A polder on the Waal: longitude, latitude, and the ellipsoidal height of its land in metres.
///
/// The geoid is about 44 m above the ellipsoid here, so the land lies near NAP zero, as polders do.
const ORIGIN: [f64; 3] = [5.4, 51.85, 45.0];

/// Puts the landscape's metres (east, north, up) on the Earth. Not shared between threads.
pub(crate) struct Site {
    frame: LocalFrame,
    to_grid: Projection,
    pub crs: Crs,
    /// Longitude, latitude and ellipsoidal height of east, north, up zero.
    pub origin: [f64; 3],
}

impl Site {
    pub(crate) fn new() -> Result<Self> {
        let crs = Crs::utm_at([ORIGIN[0], ORIGIN[1]]);
        Ok(Self { frame: LocalFrame::at(ORIGIN), to_grid: Projection::new(Crs::WGS84, crs)?, crs, origin: ORIGIN })
    }

    /// Returns longitude, latitude and ellipsoidal height.
    pub(crate) fn to_lonlat(&self, enu: [f64; 3]) -> [f64; 3] {
        self.frame.to_lonlat(enu)
    }

    /// Returns east, north and up of a place on the Earth.
    pub(crate) fn to_enu(&self, place: [f64; 3]) -> [f64; 3] {
        self.frame.to_enu(place)
    }

    /// Returns easting, northing in the UTM zone and ellipsoidal height.
    pub(crate) fn to_grid(&self, enu: [f64; 3]) -> Result<[f64; 3]> {
        let [lon, lat, height] = self.to_lonlat(enu);
        let [x, y] = self.to_grid.forward([lon, lat])?;
        Ok([x, y, height])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// East of the zone's central meridian the grid is turned and slightly smaller than the ground; over 100 m
    /// both together stay within half a per cent and five degrees.
    #[test]
    fn a_hundred_metres_stay_a_hundred_metres() {
        let site = Site::new().unwrap();
        let (a, b) = (site.to_grid([0.0, 0.0, 0.0]).unwrap(), site.to_grid([100.0, 0.0, 0.0]).unwrap());
        let length = (b[0] - a[0]).hypot(b[1] - a[1]);
        assert_eq!(site.crs.epsg(), 32631);
        assert!((length - 100.0).abs() < 0.05 && (b[0] - a[0]) > 99.0, "{length}");
    }
}
