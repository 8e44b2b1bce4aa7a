//! A house on level ground, photographed by cameras we placed: is it found, and where?

use std::path::Path;

use nalgebra::{Vector2, Vector3};

use super::{Pyramid, Scene, sweep};
use crate::{
    photogrammetry::{
        camera::{Camera, Exterior, rotation_of},
        error::Result,
        orthorectify::View,
        surface::{Extent, Surface},
    },
    raster::{Attitude, Rgb8, encode_jpeg, read_photo},
};

const HEIGHT_M: f64 = 30.0;
const GSD_M: f64 = 0.05;
const SIZE: [usize; 2] = [480, 360];
/// West, south, east, north and height.
const HOUSE: [f64; 5] = [-3.0, -2.5, 3.0, 2.5, 3.0];
const EXTENT: Extent = [-16.0, -14.0, 16.0, 14.0];

/// Patches of a few sizes, another pattern for every `salt`.
fn texture(u: f64, v: f64, salt: i64) -> f64 {
    let hash = |x: f64, y: f64, scale: f64| {
        let mut hash = (x as i64).wrapping_mul(0x9E37_79B9) ^ (y as i64).wrapping_mul(0x85EB_CA6B);
        hash ^= (scale * 1000.0) as i64 * 0x27D4_EB2F + salt * 0x1656_67B1;
        let hash = (hash ^ (hash >> 15)).wrapping_mul(0x2C1B_3C6D);
        ((hash ^ (hash >> 12)) & 0xff) as f64
    };
    [0.12, 0.3, 0.8].iter().map(|scale| hash((u / scale).floor(), (v / scale).floor(), *scale)).sum::<f64>() / 3.0
}

/// The grey where a ray from a camera first meets house or ground.
fn seen_along(centre: &Vector3<f64>, ray: &Vector3<f64>) -> f64 {
    let [west, south, east, north, top] = HOUSE;
    let at = |reach: f64| centre + ray * reach;
    let mut hits = Vec::new();
    let roof = at((top - centre.z) / ray.z);
    if (west..east).contains(&roof.x) && (south..north).contains(&roof.y) {
        hits.push(((top - centre.z) / ray.z, texture(roof.x, roof.y, 1)));
    }
    for (axis, wall, range) in
        [(0, west, south..north), (0, east, south..north), (1, south, west..east), (1, north, west..east)]
    {
        let reach = (wall - centre[axis]) / ray[axis];
        let place = at(reach);
        if reach > 0.0 && range.contains(&place[1 - axis]) && (0.0..top).contains(&place.z) {
            hits.push((reach, texture(place[1 - axis], place.z, 2)));
        }
    }
    let ground = at(-centre.z / ray.z);
    hits.push((-centre.z / ray.z, texture(ground.x, ground.y, 3)));
    hits.into_iter().min_by(|a, b| a.0.total_cmp(&b.0)).map_or(0.0, |(_, grey)| grey)
}

fn photograph(camera: &Camera, exterior: &Exterior) -> Rgb8 {
    let mut photo = Rgb8::new(SIZE[0], SIZE[1]);
    for (index, pixel) in photo.data.chunks_exact_mut(3).enumerate() {
        let (x, y) = ((index % SIZE[0]) as f64, (index / SIZE[0]) as f64);
        // Four rays a pixel, as a sensor would.
        let grey = [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)].iter().map(|(dx, dy)| {
            let ray = exterior.ray(&camera.unproject(&Vector2::new(x + dx, y + dy)));
            seen_along(&exterior.centre, &ray)
        });
        pixel.fill((grey.sum::<f64>() / 4.0) as u8);
    }
    photo
}

/// Three by three photos, overlapping by some 70 %.
fn views(folder: &Path) -> Vec<View> {
    let camera = Camera::ideal(SIZE[0] as f64, SIZE[1] as f64, HEIGHT_M / GSD_M);
    (0..9)
        .map(|photo| {
            let centre = Vector3::new((f64::from(photo % 3) - 1.0) * 6.0, (f64::from(photo / 3) - 1.0) * 5.0, HEIGHT_M);
            let attitude = Attitude { yaw_deg: 10.0 * f64::from(photo % 2), pitch_deg: -90.0, roll_deg: 0.0 };
            let exterior = Exterior { rotation: rotation_of(&attitude), centre };
            let photo = photo as usize;
            let jpeg = encode_jpeg(&photograph(&camera, &exterior), 95).unwrap();
            std::fs::write(folder.join(format!("{photo}.jpg")), jpeg).unwrap();
            let extent = [centre.x - 13.0, centre.y - 10.0, centre.x + 13.0, centre.y + 10.0];
            View { photo, exterior, motion: Vector3::zeros(), camera, camera_index: 0, extent }
        })
        .collect()
}

/// Sweeps the ground under photos of a folder, tie points given.
fn swept(folder: &Path, views: &[View], points: &[Vector3<f64>]) -> Result<Surface> {
    let base = Surface::from_points(points, EXTENT, HEIGHT_M, GSD_M).unwrap();
    let scene = Scene {
        views,
        read: &|photo| Ok(Pyramid::of(&read_photo(&folder.join(format!("{photo}.jpg")))?)),
        base: &base,
        points,
        flying_height_m: HEIGHT_M,
        gsd_m: GSD_M,
    };
    sweep(&scene, EXTENT, &|_| ())
}

#[test]
fn a_house_stands_where_tie_points_know_only_the_ground() {
    let folder = tempfile::tempdir().unwrap();
    let views = views(folder.path());
    let points: Vec<Vector3<f64>> =
        (0..900).map(|i| Vector3::new(f64::from(i % 30) - 15.0, f64::from(i / 30) - 15.0, 0.0)).collect();
    let surface = swept(folder.path(), &views, &points).unwrap();

    let [west, south, east, north, top] = HOUSE;
    let (mut wrong, mut asked) = (0, 0);
    let (mut roof, mut ground) = (Vec::new(), Vec::new());
    for row in -60..60 {
        for column in -60..60 {
            let (x, y) = (f64::from(column) * 0.1, f64::from(row) * 0.1);
            let inside = (x - west).min(east - x).min(y - south).min(north - y);
            let height = surface.height_at(x, y);
            // Walls are found within four pixels.
            if inside.abs() > 0.2 {
                asked += 1;
                wrong += i32::from((height - if inside > 0.0 { top } else { 0.0 }).abs() > 0.5);
            }
            if inside > 0.5 {
                roof.push((height - top).abs());
            } else if inside < -0.5 {
                ground.push(height.abs());
            }
        }
    }
    assert!(f64::from(wrong) < 0.01 * f64::from(asked), "{wrong} of {asked}");
    let worst_but_few = |mut errors: Vec<f64>| {
        errors.sort_by(f64::total_cmp);
        errors[errors.len() * 95 / 100]
    };
    let (roof, ground) = (worst_but_few(roof), worst_but_few(ground));
    // A fifth of a pixel at a base of 0.3 is 3 cm.
    assert!(roof < 0.06 && ground < 0.04, "roof {roof} m, ground {ground} m");
}

#[test]
fn a_photo_that_was_deleted_meanwhile_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let views = views(folder.path());
    std::fs::remove_file(folder.path().join("4.jpg")).unwrap();
    let points = [[-15.0, -15.0], [15.0, -15.0], [0.0, 15.0], [3.0, 2.0]].map(|[x, y]| Vector3::new(x, y, 0.0));
    let error = swept(folder.path(), &views, &points).unwrap_err();
    assert!(error.to_string().contains("4.jpg"), "{error}");
}
