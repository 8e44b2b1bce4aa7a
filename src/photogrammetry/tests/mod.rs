//! Whole flights over worlds we made: a textured plane, a camera we placed, photos rendered and stitched.

mod altitudes;
mod bad_photos;
mod changing;
mod flights;
mod holes;
mod lenses;
mod surveys;
mod verdicts;

use std::path::{Path, PathBuf};

use nalgebra::{Vector2, Vector3};

use super::{
    Camera, Error, Gcp, Options, PhotoInput, Report, Role,
    camera::{Exterior, rotation_of},
    stitch,
};
use crate::{
    raster::{Attitude, GpsSigma, PhotoMetadata, Raster, Rgb8, Window, encode_jpeg},
    spatial::{Crs, LocalFrame, Projection},
};

const ORIGIN: [f64; 3] = [5.4, 51.85, 45.0];
const HEIGHT_M: f64 = 20.0;
const SIZE: [usize; 2] = [480, 360];

/// A grey value for every place of the plane: patches of four sizes, 0–255.
fn texture(east: f64, north: f64) -> f64 {
    let mut value = 0.0;
    for (scale, share) in [(0.35, 60.0), (0.9, 60.0), (2.3, 50.0), (6.1, 30.0)] {
        let (x, y) = (east / scale, north / scale);
        let (x0, y0) = (x.floor(), y.floor());
        let (fx, fy) = (x - x0, y - y0);
        let (sx, sy) = (fx * fx * (3.0 - 2.0 * fx), fy * fy * (3.0 - 2.0 * fy));
        let node = |dx: f64, dy: f64| random_at((x0 + dx) as i64, (y0 + dy) as i64, (scale * 100.0) as i64);
        let south = node(0.0, 0.0) * (1.0 - sx) + node(1.0, 0.0) * sx;
        let north = node(0.0, 1.0) * (1.0 - sx) + node(1.0, 1.0) * sx;
        value += share * (south * (1.0 - sy) + north * sy);
    }
    value + 25.0
}

fn random_at(x: i64, y: i64, salt: i64) -> f64 {
    let mut hash = (x.wrapping_mul(0x9E37_79B9) ^ y.wrapping_mul(0x85EB_CA6B) ^ salt.wrapping_mul(0xC2B2_AE35)) as u64;
    hash = (hash ^ (hash >> 31)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((hash ^ (hash >> 31)) >> 40) as f64 / f64::from(1u32 << 24)
}

fn lens() -> Camera {
    Camera::ideal(SIZE[0] as f64, SIZE[1] as f64, 400.0)
        .with_parameters([400.0, 241.5, 178.5, -0.04, 0.005, 0.0, 0.0, 0.0])
}

fn render(exterior: &Exterior) -> Rgb8 {
    render_through(&lens(), exterior)
}

fn render_through(camera: &Camera, exterior: &Exterior) -> Rgb8 {
    render_ground(camera, exterior, texture)
}

/// A photo of a plane that has this grey value at a place.
fn render_ground(camera: &Camera, exterior: &Exterior, ground_at: impl Fn(f64, f64) -> f64) -> Rgb8 {
    let mut photo = Rgb8::new(SIZE[0], SIZE[1]);
    for (index, pixel) in photo.data.chunks_exact_mut(3).enumerate() {
        let place = Vector2::new((index % SIZE[0]) as f64 + 0.5, (index / SIZE[0]) as f64 + 0.5);
        let ray = exterior.ray(&camera.unproject(&place));
        let ground = exterior.centre - ray * (exterior.centre.z / ray.z);
        pixel.fill(ground_at(ground.x, ground.y).round() as u8);
    }
    photo
}

/// Two strips of four photos, there and back, with RTK positions.
fn fly(folder: &Path) -> Vec<PhotoInput> {
    fly_strips(folder, 2, [5.0, 6.0])
}

/// Strips of four photos, so many metres apart along and across, with RTK positions.
fn fly_strips(folder: &Path, strips: u32, apart_m: [f64; 2]) -> Vec<PhotoInput> {
    let frame = LocalFrame::at(ORIGIN);
    (0..4 * strips)
        .map(|index| {
            let (strip, along) = (index / 4, index % 4);
            let attitude = Attitude {
                yaw_deg: if strip % 2 == 0 { 90.0 } else { -90.0 },
                pitch_deg: -90.0 + f64::from(index % 3) - 1.0,
                roll_deg: f64::from(index % 2) - 0.5,
            };
            let centre = Vector3::new(f64::from(along) * apart_m[0], f64::from(strip) * apart_m[1], HEIGHT_M);
            let name = format!("photo_{index}.jpg");
            let path = folder.join(&name);
            let exterior = Exterior { rotation: rotation_of(&attitude), centre };
            std::fs::write(&path, encode_jpeg(&render(&exterior), 95).unwrap()).unwrap();
            let [lon, lat, height] = frame.to_lonlat(centre.into());
            let metadata = PhotoMetadata {
                width: SIZE[0] as u32,
                height: SIZE[1] as u32,
                lonlat: Some([lon, lat]),
                absolute_altitude_m: Some(height),
                relative_altitude_m: Some(HEIGHT_M),
                gimbal: Some(attitude),
                focal_px: Some(395.0),
                gps_sigma: Some(GpsSigma { horizontal_m: 0.02, vertical_m: 0.03 }),
                ..PhotoMetadata::default()
            };
            PhotoInput { name, path, metadata }
        })
        .collect()
}

fn stitch_quietly(photos: &[PhotoInput], out: PathBuf) -> Result<Report, Error> {
    stitch(photos, &Options { out, ..Options::default() }, &|_| ())
}

/// The shift in metres, east and north, that makes the orthophoto most like the texture, and the likeness there.
fn shift_of(ortho: &Path) -> ([f64; 2], f64) {
    shift_around(ortho, [0.0, 0.0])
}

/// The same around another place than the origin.
fn shift_around(ortho: &Path, around: [f64; 2]) -> ([f64; 2], f64) {
    let raster = Raster::open(ortho).unwrap();
    let transform = raster.geo_transform().unwrap();
    let to_utm = Projection::new(Crs::WGS84, Crs::utm_at([ORIGIN[0], ORIGIN[1]])).unwrap();
    let frame = LocalFrame::at(ORIGIN);
    let [width, height] = raster.size();
    let pixels = raster.read_rgba(Window { x: 0, y: 0, width, height }, [width, height]).unwrap();
    let value_at = |east: f64, north: f64| -> f64 {
        let [lon, lat, _] = frame.to_lonlat([east, north, 0.0]);
        let [column, row] = transform.ground_to_pixel(to_utm.forward([lon, lat]).unwrap()).unwrap();
        let (x, y) = ((column - 0.5) as usize, (row - 0.5) as usize);
        let (fx, fy) = (column - 0.5 - x as f64, row - 0.5 - y as f64);
        let at = |x: usize, y: usize| f64::from(pixels.data[4 * (y * width + x)]);
        (at(x, y) * (1.0 - fx) + at(x + 1, y) * fx) * (1.0 - fy)
            + (at(x, y + 1) * (1.0 - fx) + at(x + 1, y + 1) * fx) * fy
    };
    let places: Vec<[f64; 2]> = (0..400)
        .map(|i| [around[0] + f64::from(i % 20) * 0.7 + 0.5, around[1] + f64::from(i / 20) * 0.35 - 0.5])
        .collect();
    let seen: Vec<f64> = places.iter().map(|p| value_at(p[0], p[1])).collect();
    let mut best = ([0.0; 2], f64::NEG_INFINITY);
    for step in 0..41 * 41 {
        let shift = [f64::from(step % 41 - 20) * 0.01, f64::from(step / 41 - 20) * 0.01];
        let known: Vec<f64> = places.iter().map(|p| texture(p[0] - shift[0], p[1] - shift[1])).collect();
        let likeness = correlation(&seen, &known);
        if likeness > best.1 {
            best = (shift, likeness);
        }
    }
    best
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let count = a.len() as f64;
    let (ma, mb) = (a.iter().sum::<f64>() / count, b.iter().sum::<f64>() / count);
    let product: f64 = a.iter().zip(b).map(|(x, y)| (x - ma) * (y - mb)).sum();
    let squares = |v: &[f64], m: f64| v.iter().map(|x| (x - m).powi(2)).sum::<f64>();
    product / (squares(a, ma) * squares(b, mb)).sqrt()
}

/// Five points of the plane with their marks in all photos that see them; the last is a check point.
fn survey(photos: &[PhotoInput]) -> Vec<Gcp> {
    let frame = LocalFrame::at(ORIGIN);
    let exteriors: Vec<Exterior> = photos.iter().map(exterior_of).collect();
    [[0.0, 0.0], [14.0, 1.0], [13.0, 6.0], [1.0, 5.0], [7.0, 3.0]]
        .iter()
        .enumerate()
        .map(|(index, place)| {
            let point = Vector3::new(place[0], place[1], 0.0);
            let marks = photos.iter().zip(&exteriors).filter_map(|(photo, exterior)| {
                let pixel = lens().project(&exterior.in_camera(&point)).filter(|pixel| lens().contains(pixel))?;
                Some((photo.name.clone(), pixel.into()))
            });
            let [lon, lat, height_m] = frame.to_lonlat(point.into());
            let role = if index == 4 { Role::Check } else { Role::Control };
            let (name, marks) = (index.to_string(), marks.collect());
            Gcp { name, crs: Crs::WGS84, xy: [lon, lat], height_m, role, marks }
        })
        .collect()
}

/// Where a photo of [`fly`] was taken, by its own metadata, which is right.
fn exterior_of(photo: &PhotoInput) -> Exterior {
    let [lon, lat] = photo.metadata.lonlat.unwrap();
    let enu = LocalFrame::at(ORIGIN).to_enu([lon, lat, photo.metadata.absolute_altitude_m.unwrap()]);
    Exterior { rotation: rotation_of(&photo.metadata.gimbal.unwrap()), centre: enu.into() }
}
