//! What the recorded positions carry: an orthophoto that is placed by them can hardly lie better than they do.

use std::path::Path;

use nalgebra::{DMatrix, RowSVector, SMatrix, SVector};
use serde::Serialize;

use super::{fault, places::Place, read_json};
use crate::{
    raster::{PhotoMetadata, Raster, read_metadata},
    simulation::Result,
    spatial::{Crs, Projection},
};

/// How the positions in the photos' metadata differ from where they were taken.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct GpsError {
    /// Photos that were read.
    pub photos: usize,
    /// By how much the recorded positions are too far apart, millionths: a similarity fitted in the plane.
    pub scale_ppm: f64,
    /// By how much they are turned counter-clockwise, thousandths of a radian.
    pub rotation_mrad: f64,
    /// Root of the mean squared distance in the plane.
    pub rmse_m: f64,
    /// Root of the mean squared distance in the plane by which the check points on the ground are off when the true flight is laid over the
    /// recorded positions as well as a similarity in space can be: no adjustment knows better where a stiff block lies when each position
    /// errs by itself. Most of it is tilt times height. `None` for receivers that do not say how exact they are, as their error wanders,
    /// and for one strip, which may roll.
    pub ground_rmse_m: Option<f64>,
    pub ground_rmse_gsd: Option<f64>,
}

/// Where a photo was taken, where it says that it was, and how far it trusts that: metres, the truth's easting and northing, and height.
struct Recorded {
    place: [f64; 3],
    error: [f64; 3],
    sigma: [f64; 3],
}

/// Flatter than this share of their length, positions lie on one line.
const ONE_LINE: f64 = 0.02;

/// Reads the photos beside a truth; `None` when fewer than three of them are there.
pub(super) fn error_of(truth: &Path, reference: &Raster, places: &[Place], gsd_m: f64) -> Result<Option<GpsError>> {
    let path = truth.join("cameras.json");
    let cameras = read_json(&path)?;
    let images = truth.parent().unwrap_or(truth).join("images");
    let to_grid = Projection::new(Crs::WGS84, reference.crs()?)?;
    let mut recorded = Vec::new();
    let mut exact = true;
    for photo in cameras["photos"].as_array().ok_or_else(|| fault(&path, "it lists no photos"))? {
        let name = photo["name"].as_str().ok_or_else(|| fault(&path, "a photo has no name"))?;
        let number = |value: &serde_json::Value| value.as_f64().ok_or_else(|| fault(&path, "a photo has no place"));
        let Some((metadata, lonlat)) = read_metadata(&images.join(name))
            .ok()
            .and_then(|metadata| metadata.lonlat.map(|lonlat| (metadata, lonlat)))
        else {
            continue;
        };
        let at = to_grid.forward([number(&photo["lonlat"][0])?, number(&photo["lonlat"][1])?])?;
        let said = to_grid.forward(lonlat)?;
        let height = photo["ellipsoidal_height_m"].as_f64();
        let up = metadata.absolute_altitude_m.zip(height).map(|(said, height)| said - height);
        exact &= up.is_some() && metadata.gps_sigma.is_some();
        recorded.push(Recorded {
            place: [at[0], at[1], height.unwrap_or(0.0)],
            error: [said[0] - at[0], said[1] - at[1], up.unwrap_or(0.0)],
            sigma: sigma_of(&metadata),
        });
    }
    if recorded.len() < 3 {
        return Ok(None);
    }
    let on_ground = places.iter().filter(|place| place.kind.as_deref() == Some("ground"));
    let ground: Vec<[f64; 3]> = on_ground.filter_map(|p| Some([p.at[0], p.at[1], p.height_m?])).collect();
    let ground_rmse_m = exact.then(|| ground_rmse(&recorded, &ground)).flatten();
    Ok(Some(GpsError { ground_rmse_m, ground_rmse_gsd: ground_rmse_m.map(|rmse| rmse / gsd_m), ..fit(&recorded) }))
}

/// What the receiver says of itself.
fn sigma_of(metadata: &PhotoMetadata) -> [f64; 3] {
    metadata.gps_sigma.map_or([1.0; 3], |sigma| [sigma.horizontal_m, sigma.horizontal_m, sigma.vertical_m])
}

/// Fits `dx = a x - b y + c`, `dy = b x + a y + d` by least squares.
fn fit(recorded: &[Recorded]) -> GpsError {
    let count = recorded.len() as f64;
    let mean = |of: fn(&Recorded) -> &[f64; 3]| [0, 1].map(|i| recorded.iter().map(|r| of(r)[i]).sum::<f64>() / count);
    let (middle, shift) = (mean(|r| &r.place), mean(|r| &r.error));
    let (mut along, mut across, mut spread) = (0.0, 0.0, 0.0);
    for Recorded { place, error, .. } in recorded {
        let (x, y) = (place[0] - middle[0], place[1] - middle[1]);
        let (dx, dy) = (error[0] - shift[0], error[1] - shift[1]);
        along += x * dx + y * dy;
        across += x * dy - y * dx;
        spread += x * x + y * y;
    }
    GpsError {
        photos: recorded.len(),
        scale_ppm: along / spread.max(1e-9) * 1e6,
        rotation_mrad: across / spread.max(1e-9) * 1e3,
        rmse_m: (recorded.iter().map(|r| r.error[0].powi(2) + r.error[1].powi(2)).sum::<f64>() / count).sqrt(),
        ground_rmse_m: None,
        ground_rmse_gsd: None,
    }
}

/// How far ground is off in the plane after the similarity that lays the true places over the recorded ones (weighted least
/// squares: shift, small turn, scale); nothing when the places do not fix it.
fn ground_rmse(recorded: &[Recorded], ground: &[[f64; 3]]) -> Option<f64> {
    let count = recorded.len() as f64;
    let middle = [0, 1, 2].map(|i| recorded.iter().map(|r| r.place[i]).sum::<f64>() / count);
    let rows = |place: &[f64; 3]| displacements([0, 1, 2].map(|i| place[i] - middle[i]));
    let flat: Vec<f64> = recorded.iter().flat_map(|r| [r.place[0] - middle[0], r.place[1] - middle[1]]).collect();
    let extent = DMatrix::from_row_slice(recorded.len(), 2, &flat).singular_values();
    if ground.is_empty() || extent[1] < ONE_LINE * extent[0] {
        return None;
    }
    let (mut normal, mut right) = (SMatrix::<f64, 7, 7>::zeros(), SVector::<f64, 7>::zeros());
    for Recorded { place, error, sigma } in recorded {
        for ((row, error), sigma) in rows(place).into_iter().zip(error).zip(sigma) {
            let weighted = row.transpose() / (sigma * sigma);
            normal += weighted * row;
            right += weighted * *error;
        }
    }
    let map = normal.cholesky()?.solve(&right);
    let off = |place: &[f64; 3]| {
        let [x, y, _] = rows(place);
        (x * map)[0].powi(2) + (y * map)[0].powi(2)
    };
    Some((ground.iter().map(off).sum::<f64>() / ground.len() as f64).sqrt())
}

/// How a place moves east, north and up with a shift, a small turn about each axis, and a scale.
fn displacements([x, y, z]: [f64; 3]) -> [RowSVector<f64, 7>; 3] {
    [
        RowSVector::from([1.0, 0.0, 0.0, 0.0, z, -y, x]),
        RowSVector::from([0.0, 1.0, 0.0, -z, 0.0, x, y]),
        RowSVector::from([0.0, 0.0, 1.0, y, -x, 0.0, z]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Twelve places at 34 m, and what is recorded of them.
    fn flight(error: impl Fn([f64; 2]) -> [f64; 3]) -> Vec<Recorded> {
        (0..12)
            .map(|i| {
                let [x, y] = [f64::from(i % 4) * 7.0, f64::from(i / 4) * 14.0];
                Recorded { place: [x, y, 34.0], error: error([x, y]), sigma: [0.014, 0.014, 0.02] }
            })
            .collect()
    }

    #[test]
    fn a_scale_and_a_turn_of_the_positions_are_found() {
        let found = fit(&flight(|[x, y]| [1.2 + 0.002 * x - 0.003 * y, -0.4 + 0.003 * x + 0.002 * y, 0.0]));
        assert!((found.scale_ppm - 2000.0).abs() < 1e-6 && (found.rotation_mrad - 3.0).abs() < 1e-9, "{found:?}");
    }

    #[test]
    fn heights_that_rise_along_the_flight_move_the_ground_by_their_slope_times_the_height() {
        let leaning = flight(|[x, _]| [0.0, 0.0, 0.001 * (x - 10.5)]);
        let off = ground_rmse(&leaning, &[[10.5, 14.0, 0.0], [3.0, 2.0, 0.0]]).unwrap();
        assert!((off - 0.034).abs() < 1e-6, "{off}");
        // An offset that all heights have moves nothing.
        let high = ground_rmse(&flight(|_| [0.0, 0.0, 35.0]), &[[10.5, 14.0, 0.0]]).unwrap();
        assert!(high < 1e-9, "{high}");
    }

    #[test]
    fn one_strip_does_not_say_where_the_ground_lies() {
        let mut strip = flight(|_| [0.0, 0.0, 0.01]);
        strip.truncate(4);
        assert_eq!(ground_rmse(&strip, &[[10.5, 14.0, 0.0]]), None);
    }
}
