//! A metric frame around a place: east, north, up.

/// Semi-major axis of the WGS 84 ellipsoid in metres, and its flattening.
const A: f64 = 6_378_137.0;
const F: f64 = 1.0 / 298.257_223_563;
const E2: f64 = F * (2.0 - F);

/// A topocentric frame: metres east, north and up from an origin on WGS 84.
///
/// Conversions pass through earth-centred coordinates and are exact to a tenth of a millimetre up to hundreds
/// of kilometres away and 10 km high; "up" is the ellipsoid's normal at the origin, so the Earth falls away
/// from the frame by 8 cm at 1 km.
#[derive(Clone, Copy, Debug)]
pub struct LocalFrame {
    origin_ecef: [f64; 3],
    /// Rows: east, north, up, in earth-centred axes.
    axes: [[f64; 3]; 3],
}

impl LocalFrame {
    /// Makes the frame at `[longitude, latitude, ellipsoidal height]`, degrees and metres.
    pub fn at(origin: [f64; 3]) -> Self {
        let (sin_lon, cos_lon) = origin[0].to_radians().sin_cos();
        let (sin_lat, cos_lat) = origin[1].to_radians().sin_cos();
        Self {
            origin_ecef: to_ecef(origin),
            axes: [
                [-sin_lon, cos_lon, 0.0],
                [-sin_lat * cos_lon, -sin_lat * sin_lon, cos_lat],
                [cos_lat * cos_lon, cos_lat * sin_lon, sin_lat],
            ],
        }
    }

    /// Returns `[east, north, up]` in metres of `[longitude, latitude, ellipsoidal height]`.
    pub fn to_enu(&self, place: [f64; 3]) -> [f64; 3] {
        let p = to_ecef(place);
        let d = [p[0] - self.origin_ecef[0], p[1] - self.origin_ecef[1], p[2] - self.origin_ecef[2]];
        self.axes.map(|axis| axis[0] * d[0] + axis[1] * d[1] + axis[2] * d[2])
    }

    /// Returns `[longitude, latitude, ellipsoidal height]` in degrees and metres of `[east, north, up]`.
    pub fn to_lonlat(&self, enu: [f64; 3]) -> [f64; 3] {
        let mut p = self.origin_ecef;
        for (axis, length) in self.axes.iter().zip(enu) {
            for (coordinate, component) in p.iter_mut().zip(axis) {
                *coordinate += component * length;
            }
        }
        from_ecef(p)
    }
}

fn to_ecef([lon, lat, height]: [f64; 3]) -> [f64; 3] {
    let (sin_lon, cos_lon) = lon.to_radians().sin_cos();
    let (sin_lat, cos_lat) = lat.to_radians().sin_cos();
    let n = A / (1.0 - E2 * sin_lat * sin_lat).sqrt();
    [(n + height) * cos_lat * cos_lon, (n + height) * cos_lat * sin_lon, (n * (1.0 - E2) + height) * sin_lat]
}

/// Bowring's method, iterated: B. R. Bowring (1976), Survey Review 23(181), 323-327.
fn from_ecef([x, y, z]: [f64; 3]) -> [f64; 3] {
    let b = A * (1.0 - F);
    let ep2 = E2 / (1.0 - E2);
    let p = x.hypot(y);
    let mut beta = (z * A).atan2(p * b);
    let mut lat = 0.0_f64;
    for _ in 0..3 {
        let (sin_beta, cos_beta) = beta.sin_cos();
        lat = (z + ep2 * b * sin_beta.powi(3)).atan2(p - E2 * A * cos_beta.powi(3));
        beta = ((1.0 - F) * lat.sin()).atan2(lat.cos());
    }
    let (sin_lat, cos_lat) = lat.sin_cos();
    let n = A / (1.0 - E2 * sin_lat * sin_lat).sqrt();
    let height = p * cos_lat + z * sin_lat - A * A / n;
    [y.atan2(x).to_degrees(), lat.to_degrees(), height]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_comes_back_within_a_tenth_of_a_millimetre() {
        let frame = LocalFrame::at([5.4, 51.85, 45.0]);
        for enu in [[0.0, 0.0, 0.0], [1500.0, -800.0, 120.0], [-90_000.0, 70_000.0, 3_000.0]] {
            let back = frame.to_enu(frame.to_lonlat(enu));
            for (a, b) in back.iter().zip(enu) {
                assert!((a - b).abs() < 1e-4, "{enu:?} came back as {back:?}");
            }
        }
    }

    /// A degree of latitude at 52° north is 111.27 km, of longitude 68.68 km (WGS 84 radii of curvature).
    #[test]
    fn degrees_have_the_length_of_the_ellipsoid() {
        let frame = LocalFrame::at([5.0, 52.0, 0.0]);
        let north = frame.to_enu([5.0, 52.001, 0.0]);
        let east = frame.to_enu([5.001, 52.0, 0.0]);
        assert!((north[1] - 111.267).abs() < 0.01, "{north:?}");
        assert!((east[0] - 68.678).abs() < 0.01, "{east:?}");
    }
}
