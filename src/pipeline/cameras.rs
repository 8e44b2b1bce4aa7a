//! `cameras.json`: where the cameras of an orthophoto were, so that a place on the ground is found in its photos.
//!
//! A place of longitude, latitude and ellipsoidal height becomes metres east, north and up of `frame` (a topocentric
//! frame on WGS 84: the axes of its origin, no map projection). With a photo's `rotation` R, its rows given one after
//! the other, and `centre_m` c, a place p lies at R (p - c) in camera axes: x right, y down, z forward. Its camera is
//! Brown's model with `OpenCV`'s order and signs (k1, k2, k3; p1, p2), `focal_px` one focal length, `cx`, `cy` the
//! principal point; pixels count from the top-left corner of the picture. While a rolling shutter reads row y of h, the
//! centre is at c + `motion_m` (y / h - 1/2). Where `mirrored` is true the file stores the picture mirrored: its
//! column is `width_px` minus the one computed.

use nalgebra::{Matrix3, Vector3};
use serde::{Deserialize, Serialize};

use crate::{
    photogrammetry::{Camera, Exterior, Report, in_frame},
    spatial::{LocalFrame, Undulation},
};

/// Of the file, so that a later one is not misread.
const FORMAT: &str = "polder-cameras-1";

/// All cameras of one orthophoto.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Cameras {
    format: String,
    pub(super) frame: Frame,
    /// The median height of the ground, above the ellipsoid.
    pub(super) ground_height_m: f64,
    /// What must be added to a height of the surface model (DSM) to make it one of `frame`: its zero may be NAP.
    pub(super) surface_offset_m: f64,
    #[serde(rename = "cameras")]
    lenses: Vec<Lens>,
    pub(super) photos: Vec<Pose>,
}

/// The origin of the local frame: WGS 84, ellipsoidal height as far as the photos' altitudes are that.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Frame {
    longitude: f64,
    latitude: f64,
    height_m: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Lens {
    name: String,
    #[serde(flatten)]
    camera: Camera,
}

/// One photo: the end of its item's id, and where it was taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Pose {
    /// The name of the photo in its flight: the id of its item is `{project}.{flight}.{name}`.
    pub(super) name: String,
    camera: usize,
    pub(super) centre_m: [f64; 3],
    pub(super) rotation: [[f64; 3]; 3],
    motion_m: [f64; 3],
    mirrored: bool,
}

impl Cameras {
    /// Takes the adjusted cameras out of a report.
    pub(super) fn of(report: &Report) -> Self {
        let pose = |photo: &crate::photogrammetry::PhotoReport| Pose {
            name: photo.name.clone(),
            camera: photo.camera,
            centre_m: [photo.east_m, photo.north_m, photo.up_m],
            rotation: photo.rotation,
            motion_m: photo.motion_m,
            mirrored: photo.mirrored,
        };
        let frame = &report.frame;
        let ground_m = report.per_photo.first().map_or(0.0, |photo| photo.up_m - photo.height_above_ground_m);
        Self {
            format: FORMAT.to_owned(),
            frame: Frame { longitude: frame.longitude, latitude: frame.latitude, height_m: frame.height_m },
            ground_height_m: frame.height_m + ground_m,
            surface_offset_m: surface_offset_m(report),
            lenses: report
                .cameras
                .iter()
                .map(|lens| Lens { name: lens.camera.clone(), camera: lens.adjusted })
                .collect(),
            photos: report.per_photo.iter().map(pose).collect(),
        }
    }

    /// Reads the file; says why it cannot be used.
    pub(super) fn read(json: &[u8]) -> Result<Self, String> {
        let cameras: Self = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        if cameras.format != FORMAT {
            return Err(format!("its format is {}, not {FORMAT}", cameras.format));
        }
        if cameras.photos.iter().any(|photo| photo.camera >= cameras.lenses.len()) {
            return Err("a photo names a camera that is not in it".to_owned());
        }
        Ok(cameras)
    }

    pub(super) fn local_frame(&self) -> LocalFrame {
        LocalFrame::at([self.frame.longitude, self.frame.latitude, self.frame.height_m])
    }

    pub(super) fn camera(&self, photo: &Pose) -> &Camera {
        &self.lenses[photo.camera].camera
    }

    /// Where the stored photo shows a place of the local frame, and how slanted: the tangent of the angle to the
    /// vertical. `None` outside the picture.
    pub(super) fn see(&self, photo: &Pose, place: &Vector3<f64>) -> Option<([f64; 2], f64)> {
        let camera = self.camera(photo);
        let rotation = Matrix3::from_fn(|row, column| photo.rotation[row][column]);
        let exterior = Exterior { rotation, centre: photo.centre_m.into() };
        let pixel = in_frame(camera, &exterior, &photo.motion_m.into(), place)?;
        if !camera.contains(&pixel) {
            return None;
        }
        let up = exterior.centre - place;
        let column = if photo.mirrored { camera.width_px - pixel.x } else { pixel.x };
        Some(([column, pixel.y], up.xy().norm() / up.z.max(1e-3)))
    }
}

/// RD New with NAP.
const RD_NAP: u32 = 7415;

/// The surface model counts from NAP where PROJ knows how; the cameras always stand above the ellipsoid.
fn surface_offset_m(report: &Report) -> f64 {
    let origin = [report.frame.longitude, report.frame.latitude];
    match report.heights_from {
        "NAP" => Undulation::of(RD_NAP, origin).map_or(0.0, |nap| -nap.height_of([origin[0], origin[1], 0.0])),
        _ => 0.0,
    }
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;

    /// Photos of 4000 × 3000 pixels that look straight down from 50 m, each where it is said, its top to the north.
    pub(in crate::pipeline) fn looking_down(from: &[[f64; 2]]) -> Cameras {
        let pose = |(index, [east, north]): (usize, &[f64; 2])| Pose {
            name: format!("{index}.jpg"),
            camera: 0,
            centre_m: [*east, *north, 50.0],
            rotation: [[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]],
            motion_m: [0.0; 3],
            mirrored: false,
        };
        Cameras {
            format: FORMAT.to_owned(),
            frame: Frame { longitude: 5.1, latitude: 52.0, height_m: 43.0 },
            ground_height_m: 43.0,
            surface_offset_m: 0.0,
            lenses: vec![Lens { name: "lens".to_owned(), camera: Camera::ideal(4000.0, 3000.0, 2500.0) }],
            photos: from.iter().enumerate().map(pose).collect(),
        }
    }

    #[test]
    fn a_place_is_seen_where_geometry_says_and_the_file_tells_it_again() {
        let cameras = looking_down(&[[0.0, 0.0]]);
        let cameras = Cameras::read(&serde_json::to_vec(&cameras).unwrap()).unwrap();
        // 10 m east and 4 m north of the point below, at 50 m: 2500 / 50 pixels a metre; north is up.
        let (pixel, slant) = cameras.see(&cameras.photos[0], &Vector3::new(10.0, 4.0, 0.0)).unwrap();
        assert_eq!(pixel, [2500.0, 1300.0]);
        assert!((slant - 10_f64.hypot(4.0) / 50.0).abs() < 1e-12);
        assert!(cameras.see(&cameras.photos[0], &Vector3::new(41.0, 0.0, 0.0)).is_none(), "outside the picture");
    }

    #[test]
    fn a_mirrored_file_is_answered_in_its_own_columns() {
        let mut cameras = looking_down(&[[0.0, 0.0]]);
        cameras.photos[0].mirrored = true;
        let (pixel, _) = cameras.see(&cameras.photos[0], &Vector3::new(10.0, 4.0, 0.0)).unwrap();
        assert_eq!(pixel, [1500.0, 1300.0]);
    }

    #[test]
    fn another_format_is_refused() {
        let mut json = serde_json::to_value(looking_down(&[[0.0, 0.0]])).unwrap();
        json["format"] = "polder-cameras-9".into();
        assert!(Cameras::read(json.to_string().as_bytes()).unwrap_err().contains("polder-cameras-9"));
    }
}
