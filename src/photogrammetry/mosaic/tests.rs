//! Small flights over made-up ground, drawn and looked at.

use std::path::Path;

use super::{super::surface::Sight, draw::Tile, *};
use crate::{
    photogrammetry::{
        orthorectify::union,
        photos::{Aside, Flight, Photo},
        toy::{GSD_M, Look, Toy},
    },
    raster::{Compression, encode_jpeg},
    spatial::LocalFrame,
};

const ORIGIN: [f64; 3] = [5.4, 51.85, 45.0];

/// Everything a mosaic is made of, with the photos in a folder.
struct World {
    toy: Toy,
    flight: Flight,
    reduced: Reduced,
    exposure: Exposure,
    grid: Grid,
}

impl World {
    fn new(folder: &Path, places: &[[f64; 2]], colour: impl Fn(&Look) -> [f64; 3]) -> Self {
        let toy = Toy::over_plane(places, colour);
        let photos = toy.photos.iter().enumerate().map(|(index, picture)| {
            let (name, path) = (format!("{index}.jpg"), folder.join(format!("{index}.jpg")));
            std::fs::write(&path, encode_jpeg(picture, 98).unwrap()).unwrap();
            Photo {
                name,
                path,
                size: [picture.width, picture.height],
                mirrored: false,
                camera: 0,
                sortie: 0,
                gps: None,
                attitude: None,
                relative_altitude_m: None,
                taken_at_s: None,
                aside: Aside::default(),
            }
        });
        let flight = Flight {
            frame: LocalFrame::at(ORIGIN),
            origin: ORIGIN,
            photos: photos.collect(),
            cameras: Vec::new(),
            sorties: 1,
            rejected: Vec::new(),
            notes: Vec::new(),
        };
        let extent = union(toy.views.iter().map(|view| view.extent));
        let grid = Grid::covering(&flight, extent, 0.0, Crs::utm_at([ORIGIN[0], ORIGIN[1]]), GSD_M).unwrap();
        let reduced = Reduced::of_pictures(2, &toy.photos);
        let exposure = Exposure::neutral(toy.views.len(), 1);
        Self { toy, flight, reduced, exposure, grid }
    }

    fn mosaic(&self) -> Mosaic<'_> {
        let terrain = Terrain {
            flight: &self.flight,
            views: &self.toy.views,
            sharpness: vec![1.0; self.toy.views.len()],
            surface: &self.toy.surface,
            bare: self.toy.surface.bare(),
            sight: Sight::over(&self.toy.surface),
            grid: self.grid,
            gsd_m: GSD_M,
            ground_m: 0.0,
        };
        Mosaic { terrain, exposure: &self.exposure, reduced: &self.reduced, native_gsd_m: GSD_M }
    }

    /// Draws windows of the orthophoto, each as a tile of its own.
    fn draw(&self, windows: &[([usize; 2], [usize; 2])]) -> Vec<Tile> {
        let mosaic = self.mosaic();
        let labels = mosaic.labels(&|_| Ok(())).unwrap();
        let painter = Painter { terrain: &mosaic.terrain, exposure: &self.exposure, labels: &labels };
        let to_lonlat = Projection::new(self.grid.crs, Crs::WGS84).unwrap();
        let mut cache = mosaic.cache();
        let mut tile = |&(at, size): &([usize; 2], [usize; 2])| {
            let empty = || Tile { rgb: vec![0; 3 * size[0] * size[1]], mask: vec![0; size[0] * size[1]] };
            painter.draw(at, size, &to_lonlat, &mut cache).unwrap().unwrap_or_else(empty)
        };
        windows.iter().map(&mut tile).collect()
    }

    fn draw_all(&self) -> Tile {
        self.draw(&[([0, 0], self.grid.size)]).remove(0)
    }

    /// East and north of a pixel's middle.
    fn ground(&self, pixel: usize) -> [f64; 2] {
        let to_lonlat = Projection::new(self.grid.crs, Crs::WGS84).unwrap();
        let lattice = self.grid.lattice(&self.flight, &to_lonlat, [0, 0], self.grid.size, 0.0).unwrap();
        lattice.ground((pixel % self.grid.size[0]) as f64 + 0.5, (pixel / self.grid.size[0]) as f64 + 0.5)
    }
}

fn meadow(east: f64, north: f64) -> [f64; 3] {
    let wave = (east * 2.1).sin() * (north * 1.7).cos() + (east * 7.0 + north * 5.0).sin();
    [110.0 + 15.0 * wave, 120.0 + 20.0 * wave, 80.0 + 10.0 * wave]
}

const ROW: [[f64; 2]; 3] = [[0.0, 0.0], [2.0, 0.0], [4.0, 0.0]];

#[test]
fn a_pixel_is_the_same_bit_for_bit_whatever_tile_draws_it() {
    let folder = tempfile::tempdir().unwrap();
    // Photos of different brightness and detail, so that every seam is blended.
    let world = World::new(folder.path(), &[[0.0, 0.0], [5.0, 1.0], [1.0, 5.0], [6.0, 6.0]], |look| {
        let own = 12.0 * look.photo as f64 + 6.0 * (look.east * 20.0 * (look.photo + 1) as f64).sin();
        meadow(look.east, look.north).map(|value| value + own)
    });
    let whole = world.draw_all();
    let size = world.grid.size;
    for side in [[100, 77], [64, 160], [131, 131]] {
        let corners = (0..size[1]).step_by(side[1]).flat_map(|y| (0..size[0]).step_by(side[0]).map(move |x| [x, y]));
        let windows: Vec<_> =
            corners.map(|at| (at, [side[0].min(size[0] - at[0]), side[1].min(size[1] - at[1])])).collect();
        for ((at, extent), tile) in windows.iter().zip(world.draw(&windows)) {
            for y in 0..extent[1] {
                let (here, there) = (y * extent[0], (at[1] + y) * size[0] + at[0]);
                assert_eq!(tile.mask[here..here + extent[0]], whole.mask[there..there + extent[0]], "{at:?} {y}");
                assert_eq!(tile.rgb[3 * here..3 * (here + extent[0])], whole.rgb[3 * there..3 * (there + extent[0])]);
            }
        }
    }
}

#[test]
fn who_stood_in_one_of_three_photos_is_not_in_the_orthophoto() {
    let folder = tempfile::tempdir().unwrap();
    // Right under the middle photo, which would be the best by far.
    let world = World::new(folder.path(), &ROW, |look| {
        let person = look.photo == 1 && (look.east - 2.0).abs() < 0.6 && look.north.abs() < 0.4;
        if person { [230.0, 40.0, 40.0] } else { meadow(look.east, look.north) }
    });
    let tile = world.draw_all();
    let mut looked_at = 0;
    for pixel in 0..tile.mask.len() {
        let [east, north] = world.ground(pixel);
        if tile.mask[pixel] != 0 && (east - 2.0).abs() < 1.2 && north.abs() < 1.0 {
            let expected = meadow(east, north);
            for (seen, expected) in tile.rgb[3 * pixel..].iter().zip(expected) {
                let off = f64::from(*seen) - expected;
                assert!(off.abs() < 25.0, "at {east:.2}, {north:.2} it is off by {off:.0}");
            }
            looked_at += 1;
        }
    }
    assert!(looked_at > 1500, "{looked_at}");
}

#[test]
fn what_any_photo_sees_is_covered_and_nothing_else_and_the_border_is_not_darkened() {
    let folder = tempfile::tempdir().unwrap();
    let world =
        World::new(folder.path(), &[[0.0, 0.0], [5.0, 1.3], [1.0, 4.0]], |look| [100.0 + 10.0 * look.photo as f64; 3]);
    let tile = world.draw_all();
    for (pixel, &mask) in tile.mask.iter().enumerate() {
        let [east, north] = world.ground(pixel);
        let point = nalgebra::Vector3::new(east, north, world.toy.surface.height_at(east, north));
        let seen = world.toy.views.iter().any(|view| view.see(&point).is_some());
        assert_eq!(mask != 0, seen, "at {east:.2}, {north:.2}");
        let range = if seen { 99..=121 } else { 0..=0 };
        assert!(range.contains(&tile.rgb[3 * pixel]), "{} at {east:.2}, {north:.2}", tile.rgb[3 * pixel]);
    }
}

/// On the mean ground the photos do show something where the dike leaves their frames, but not what is there.
#[test]
fn a_dike_that_rises_out_of_every_frame_is_not_drawn_with_what_lies_lower() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path(), &ROW[..2], |look| meadow(look.east, look.north));
    let extent = union(world.toy.views.iter().map(|view| view.extent));
    let dike = |north: f64| (1.5 - 0.4 * north.abs()).max(0.0);
    let place = |i: i32| [f64::from(i % 60) / 59.0, f64::from(i / 60) / 59.0];
    let points: Vec<_> = (0..3600)
        .map(|i| [0, 1].map(|axis| extent[axis] + place(i)[axis] * (extent[axis + 2] - extent[axis])))
        .map(|[east, north]| nalgebra::Vector3::new(east, north, dike(north)))
        .collect();
    world.toy.surface = Surface::from_points(&points, extent, 20.0, GSD_M).unwrap();
    let tile = world.draw_all();
    let mut lost = 0;
    for (pixel, &mask) in tile.mask.iter().enumerate() {
        let [east, north] = world.ground(pixel);
        let seen = |z: f64| {
            let point = nalgebra::Vector3::new(east, north, z);
            world.toy.views.iter().any(|view| view.see(&point).is_some())
        };
        let there = seen(world.toy.surface.height_at(east, north));
        assert_eq!(mask != 0, there, "at {east:.2}, {north:.2}");
        lost += usize::from(!there && seen(0.0));
    }
    assert!(lost > 500, "the dike's crown leaves the frames at {lost} places only");
}

#[test]
fn a_seam_between_photos_of_different_brightness_is_no_step() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path(), &ROW[..2], |look| [100.0 + 20.0 * look.photo as f64; 3]);
    let tile = world.draw_all();
    let width = world.grid.size[0];
    for (row, line) in tile.rgb.chunks_exact(3 * width).enumerate() {
        for x in 1..width {
            if tile.mask[row * width + x] != 0 && tile.mask[row * width + x - 1] != 0 {
                assert!(line[3 * x].abs_diff(line[3 * x - 3]) <= 4, "a step at {x}, {row}");
            }
        }
    }
    let (low, high) = (tile.rgb.iter().filter(|v| **v > 0).min().unwrap(), tile.rgb.iter().max().unwrap());
    assert!(*low < 103 && *high > 117, "{low} to {high}: the photos themselves stay as they are");
}

#[test]
fn a_mosaic_that_is_stopped_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let photos = tempfile::tempdir().unwrap();
    let world = World::new(photos.path(), &ROW, |look| meadow(look.east, look.north));
    let options = CogOptions { compression: Compression::Deflate, ..CogOptions::default() };
    let stop = |done: f64| if done > 0.5 { Err(crate::photogrammetry::Error::Stopped) } else { Ok(()) };
    let result = world.mosaic().write(&folder.path().join("ortho.tif"), options, &stop);
    assert!(matches!(result, Err(crate::photogrammetry::Error::Stopped)));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
