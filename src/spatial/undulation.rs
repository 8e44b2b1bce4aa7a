//! How far a country's zero of heights lies above the ellipsoid.

use gdal::spatial_ref::{AxisMappingStrategy, CoordTransform, CoordTransformOptions, SpatialRef};

/// Where the slope of the geoid is measured, in degrees to either side: about a kilometre.
const STEP_DEG: f64 = 0.01;

/// The height of a vertical datum above the WGS 84 ellipsoid around a place.
///
/// A plane: over the kilometres of a flight the geoid bends by less than a centimetre.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Undulation {
    /// Longitude and latitude where it was asked, degrees.
    at: [f64; 2],
    /// Metres there.
    height_m: f64,
    /// Metres per degree of longitude and of latitude.
    slope: [f64; 2],
}

impl Undulation {
    /// The zero of the heights of a compound system, by its EPSG code (7415 is RD New with NAP), around a place
    /// (`[longitude, latitude]`, degrees). `None` where PROJ lacks the grids for it, or the system does not reach.
    pub fn of(compound: u32, at: [f64; 2]) -> Option<Self> {
        let transform = between(4979, compound)?;
        let zero = |[lon, lat]: [f64; 2]| {
            let (mut x, mut y, mut z) = ([lon], [lat], [0.0]);
            transform.transform_coords(&mut x, &mut y, &mut z).ok()?;
            z[0].is_finite().then_some(-z[0])
        };
        let slope = |axis: usize| {
            let (mut before, mut after) = (at, at);
            before[axis] -= STEP_DEG;
            after[axis] += STEP_DEG;
            Some((zero(after)? - zero(before)?) / (2.0 * STEP_DEG))
        };
        Some(Self { at, height_m: zero(at)?, slope: [slope(0)?, slope(1)?] })
    }

    /// Returns the height above the datum of a place given as `[longitude, latitude, ellipsoidal height]`.
    pub fn height_of(&self, [lon, lat, ellipsoidal_m]: [f64; 3]) -> f64 {
        ellipsoidal_m - self.height_m - self.slope[0] * (lon - self.at[0]) - self.slope[1] * (lat - self.at[1])
    }
}

/// A conversion that knows heights; a guess, which would leave them as they are, is none.
fn between(from: u32, to: u32) -> Option<CoordTransform> {
    let system = |code| {
        let mut system = SpatialRef::from_epsg(code).ok()?;
        system.set_axis_mapping_strategy(AxisMappingStrategy::TraditionalGisOrder);
        Some(system)
    };
    let mut options = CoordTransformOptions::new().ok()?;
    options.set_ballpark_allowed(false).ok()?;
    CoordTransform::new_with_options(&system(from)?, &system(to)?, &options).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// EGM96, whose grid comes with PROJ: 43 to 44 m at Amersfoort, where NAP has 43.2 m.
    #[test]
    fn a_geoid_lies_above_the_ellipsoid_and_slopes() {
        let geoid = Undulation::of(9707, [5.387, 52.155]).expect("PROJ's data has egm96_15.gtx");
        assert!((42.0..45.0).contains(&geoid.height_m), "{geoid:?}");
        assert!((geoid.height_of([5.387, 52.155, 50.0]) - (50.0 - geoid.height_m)).abs() < 1e-9);
        let elsewhere = Undulation::of(9707, [5.4, 52.145]).unwrap();
        let apart = geoid.height_of([5.4, 52.145, 0.0]) + elsewhere.height_m;
        assert!(apart.abs() < 0.01, "{apart} m beside it");
    }

    /// The grids of RDNAPTRANS are not everywhere; without them there is no answer rather than a wrong one.
    #[test]
    fn nap_is_told_only_with_its_grids() {
        let nap = Undulation::of(7415, [5.387, 52.155]);
        assert!(nap.is_none_or(|nap| (43.0..43.5).contains(&nap.height_m)), "{nap:?}");
        assert_eq!(Undulation::of(1, [5.387, 52.155]), None);
    }
}
