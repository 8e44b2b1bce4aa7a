//! What scale and rotation the recorded positions carry: an orthophoto that is placed by them can hardly have less.

use std::path::Path;

use serde::Serialize;

use super::{fault, read_json};
use crate::{
    raster::{Raster, read_metadata},
    simulation::Result,
    spatial::{Crs, Projection},
};

/// How the positions in the photos' metadata differ from where they were taken, as a similarity that is fitted to the
/// differences in the plane.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct GpsError {
    /// Photos that were read.
    pub photos: usize,
    /// By how much the recorded positions are too far apart, millionths.
    pub scale_ppm: f64,
    /// By how much they are turned counter-clockwise, thousandths of a radian.
    pub rotation_mrad: f64,
    /// Root of the mean squared distance in the plane.
    pub rmse_m: f64,
}

/// Reads the photos beside a truth; `None` when fewer than three of them are there.
pub(super) fn error_of(truth: &Path, reference: &Raster) -> Result<Option<GpsError>> {
    let path = truth.join("cameras.json");
    let cameras = read_json(&path)?;
    let images = truth.parent().unwrap_or(truth).join("images");
    let to_grid = Projection::new(Crs::WGS84, reference.crs()?)?;
    let (mut places, mut errors) = (Vec::new(), Vec::new());
    for photo in cameras["photos"].as_array().ok_or_else(|| fault(&path, "it lists no photos"))? {
        let name = photo["name"].as_str().ok_or_else(|| fault(&path, "a photo has no name"))?;
        let number = |key: &str, i: usize| photo[key][i].as_f64().ok_or_else(|| fault(&path, "a photo has no place"));
        let Some(lonlat) = read_metadata(&images.join(name)).ok().and_then(|metadata| metadata.lonlat) else {
            continue;
        };
        let (recorded, place) =
            (to_grid.forward(lonlat)?, to_grid.forward([number("lonlat", 0)?, number("lonlat", 1)?])?);
        errors.push([recorded[0] - place[0], recorded[1] - place[1]]);
        places.push(place);
    }
    Ok((places.len() >= 3).then(|| fit(&places, &errors)))
}

/// Fits `dx = a x - b y + c`, `dy = b x + a y + d` by least squares.
fn fit(places: &[[f64; 2]], errors: &[[f64; 2]]) -> GpsError {
    let count = places.len() as f64;
    let mean = |of: &[[f64; 2]]| [0, 1].map(|i| of.iter().map(|v| v[i]).sum::<f64>() / count);
    let (middle, shift) = (mean(places), mean(errors));
    let (mut along, mut across, mut spread) = (0.0, 0.0, 0.0);
    for (place, error) in places.iter().zip(errors) {
        let (x, y) = (place[0] - middle[0], place[1] - middle[1]);
        let (dx, dy) = (error[0] - shift[0], error[1] - shift[1]);
        along += x * dx + y * dy;
        across += x * dy - y * dx;
        spread += x * x + y * y;
    }
    GpsError {
        photos: places.len(),
        scale_ppm: along / spread.max(1e-9) * 1e6,
        rotation_mrad: across / spread.max(1e-9) * 1e3,
        rmse_m: (errors.iter().map(|e| e[0] * e[0] + e[1] * e[1]).sum::<f64>() / count).sqrt(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_and_a_turn_of_the_positions_are_found() {
        let places: Vec<[f64; 2]> = (0..12).map(|i| [f64::from(i % 4) * 7.0, f64::from(i / 4) * 14.0]).collect();
        let errors: Vec<[f64; 2]> =
            places.iter().map(|[x, y]| [1.2 + 0.002 * x - 0.003 * y, -0.4 + 0.003 * x + 0.002 * y]).collect();
        let found = fit(&places, &errors);
        assert!((found.scale_ppm - 2000.0).abs() < 1e-6 && (found.rotation_mrad - 3.0).abs() < 1e-9, "{found:?}");
    }
}
