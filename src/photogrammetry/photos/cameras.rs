//! Which photos one lens took, and what is known of it before the adjustment.

use serde::Serialize;

use super::{
    super::camera::{Camera, PARAMETERS},
    PhotoInput,
};
use crate::raster::PhotoMetadata;

/// Photos taken by one camera at one setting share their interior orientation.
#[derive(Clone, Debug, Serialize)]
pub struct CameraGroup {
    pub label: String,
    /// The lens as the metadata describes it.
    pub prior: Camera,
    /// One sigma for each of [`Camera::parameters`].
    pub sigma: [f64; PARAMETERS],
    /// How long a photo takes to be read from its first row to its last, and one sigma of that, seconds; a sigma of zero
    /// holds it.
    pub readout_s: (f64, f64),
}

/// One sigma of the focal length, as a share of it: of a lens that was calibrated at the factory; of a nominal one, which
/// is rounded to whole millimetres and means the sensor's width to some cameras and its diagonal to others; and of none.
///
/// A nominal one is given no more than 3 %, because the pictures of a flat nadir flight ask for a focal length that they hardly
/// know: with 5 % those of a real flight were put 2.5 m too high over their ground instead of 1.5 m.
const CALIBRATED_SHARE: f64 = 0.015;
const NOMINAL_SHARE: f64 = 0.03;
const UNKNOWN_SHARE: f64 = 0.2;
/// One sigma of the principal point, as a share of the longer side.
const AXIS_SHARE: f64 = 0.02;
const CALIBRATED_AXIS_SHARE: f64 = 0.005;

/// One sigma of the readout of a camera that nobody knows: consumer drones with a rolling shutter take 10 to 60 ms.
const READOUT_SIGMA_S: f64 = 0.03;

/// Groups photos by make, model, serial number, size and focal length; returns the groups, and that of each photo.
pub(super) fn group_cameras(photos: &[&PhotoInput]) -> (Vec<CameraGroup>, Vec<usize>) {
    let mut groups: Vec<CameraGroup> = Vec::new();
    let mut of_photo = Vec::with_capacity(photos.len());
    for photo in photos {
        let group = camera_group(&photo.metadata);
        let known = groups.iter().position(|other| other.label == group.label);
        of_photo.push(known.unwrap_or(groups.len()));
        if known.is_none() {
            groups.push(group);
        }
    }
    (groups, of_photo)
}

fn camera_group(metadata: &PhotoMetadata) -> CameraGroup {
    let (width, height) = (f64::from(metadata.width), f64::from(metadata.height));
    let longest = width.max(height);
    let usable = |focal: &f64| *focal > 0.2 * longest && *focal < 20.0 * longest;
    let calibrated = metadata.calibration.filter(|calibration| usable(&calibration.focal_px));
    let nominal = metadata.focal_px.or_else(|| metadata.focal_length_35mm.map(|mm| mm / 36.0 * longest)).filter(usable);
    // Most drone cameras see about 60° to 80° across.
    let focal = calibrated.map(|own| own.focal_px).or(nominal).unwrap_or(0.8 * longest);
    let ideal = Camera::ideal(width, height, focal);
    let (prior, focal_share, axis_share) = match (calibrated, nominal) {
        (Some(own), _) => {
            let [dx, dy] = own.axis_px;
            let [k1, k2, k3] = own.k;
            let lens =
                ideal.with_parameters([focal, width / 2.0 + dx, height / 2.0 + dy, k1, k2, k3, own.p[0], own.p[1]]);
            (lens, CALIBRATED_SHARE, CALIBRATED_AXIS_SHARE)
        }
        (None, Some(_)) => (ideal, NOMINAL_SHARE, AXIS_SHARE),
        (None, None) => (ideal, UNKNOWN_SHARE, AXIS_SHARE),
    };
    let name = [metadata.make.as_deref(), metadata.model.as_deref(), metadata.serial.as_deref()]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(" ");
    let name = if name.is_empty() { "unknown camera".to_owned() } else { name };
    let axis = axis_share * longest;
    CameraGroup {
        label: format!("{name}, {width} × {height}, {focal:.0} px"),
        prior,
        sigma: [focal_share * focal, axis, axis, 0.2, 0.2, 0.1, 0.005, 0.005],
        readout_s: (0.0, READOUT_SIGMA_S),
    }
}
