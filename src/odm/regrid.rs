//! Puts the pictures of ODM on the grid that was asked for: another coordinate system, another GSD, our own COG.
//!
//! Works tile by tile, so memory does not grow with the orthophoto. Where grid and picture agree, pixels are copied;
//! elsewhere colours are Catmull-Rom cubic and heights linear between the pixels that are known. The way from target to
//! source is computed on a lattice and linear between its nodes: over 32 pixels the map projections used on land bend by
//! less than a thousandth of one.

use std::path::Path;

use rayon::prelude::*;

use super::{Error, Result};
use crate::{
    photogrammetry,
    raster::{CogOptions, CogWriter, DEM_NODATA, DemWriter, HeightRaster, Raster, Window},
    spatial::{Crs, GeoTransform, Projection, ground_gsd_m},
};

/// Side of a tile in pixels.
const TILE: usize = 1024;
/// Pixels between two nodes of the lattice.
const LATTICE: usize = 32;
/// A pixel size that differs by less is the one asked for: a centimetre over a hundred metres.
const SAME_SIZE: f64 = 1e-4;
/// More pixels than this on a side are a mistake, as in the own engine.
const LONGEST_SIDE: usize = 400_000;
/// Pixels that a sample reaches beyond its place.
const REACH: isize = 3;

/// Where a raster lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    pub crs: Crs,
    pub transform: GeoTransform,
    /// `[width, height]`.
    pub size: [usize; 2],
}

/// Writes the orthophoto as a COG with mask at `out`; returns where it lies and how many pixels have data.
///
/// # Errors
/// [`Error::NotGeoreferenced`] when ODM's picture does not say where it is; [`Error::Spatial`] when it lies outside the
/// coordinate system; [`Error::Raster`] when it cannot be read or written. Nothing is at `out` then that was not before.
pub fn orthophoto(
    source: &Path,
    out: &Path,
    crs: Option<Crs>,
    gsd_m: Option<f64>,
    tell: &dyn Fn(f64),
) -> Result<(Place, u64)> {
    let raster = Raster::open(source)?;
    let from = Place { crs: placed(raster.crs())?, transform: placed(raster.geo_transform())?, size: raster.size() };
    let to = Place::asked(&from, crs, gsd_m)?;
    let mut writer = CogWriter::create(out, to.size, to.transform, to.crs, CogOptions::default())?;
    let way = Way::between(&to, &from)?;
    let mut covered = 0;
    for (index, (at, size)) in tiles(to.size).enumerate() {
        let (rgb, mask) = if from == to {
            split(&raster.read_rgba(window(at, size), size)?.data)
        } else {
            let nodes = way.nodes(at, size)?;
            let Some((window, out)) = nodes.window(from.size) else { continue };
            let picture = raster.read_rgba(window, out)?;
            let pixel = |p: &[u8]| (p[3] > 0).then(|| [f32::from(p[0]), f32::from(p[1]), f32::from(p[2])]);
            let patch = Patch { window, size: out, values: picture.data.chunks_exact(4).map(pixel).collect() };
            split(&nodes.sample(&patch, size, cubic).into_iter().flat_map(bytes_of).collect::<Vec<u8>>())
        };
        covered += mask.iter().filter(|value| **value > 0).count() as u64;
        writer.write_rgb(at, size, &rgb, &mask)?;
        tell((index + 1) as f64 / tiles(to.size).count() as f64);
    }
    writer.finish()?;
    Ok((to, covered))
}

/// Writes the surface as a COG of heights at `out`, at its own cell size.
///
/// # Errors
/// As [`orthophoto`].
pub fn surface(source: &Path, out: &Path, crs: Option<Crs>) -> Result<()> {
    let raster = HeightRaster::open(source)?;
    let from = Place { crs: raster.crs(), transform: raster.geo_transform(), size: raster.size() };
    let to = Place::asked(&from, crs, None)?;
    let way = Way::between(&to, &from)?;
    let mut writer = DemWriter::create(out, to.size, to.transform, to.crs)?;
    for (at, size) in tiles(to.size) {
        let known = |heights: Vec<f32>| -> Vec<f32> {
            heights.into_iter().map(|h| if h.is_finite() { h } else { DEM_NODATA }).collect()
        };
        let heights = if from == to {
            known(raster.read(window(at, size))?)
        } else {
            let nodes = way.nodes(at, size)?;
            match nodes.window(from.size) {
                None => vec![DEM_NODATA; size[0] * size[1]],
                Some((window, _)) => {
                    let values = raster.read(window)?.into_iter().map(|h| h.is_finite().then_some([h]));
                    let patch = Patch { window, size: [window.width, window.height], values: values.collect() };
                    let sampled = nodes.sample(&patch, size, linear);
                    sampled.into_iter().map(|value| value.map_or(DEM_NODATA, |[h]| h)).collect()
                }
            }
        };
        writer.write(at, size, &heights)?;
    }
    Ok(writer.finish()?)
}

fn placed<T>(of: crate::raster::Result<T>) -> Result<T> {
    of.map_err(|error| match error {
        crate::raster::Error::NotGeoreferenced { missing, .. } => {
            Error::NotGeoreferenced { missing: format!("no {missing}") }
        }
        other => other.into(),
    })
}

impl Place {
    /// The grid that covers a raster in the system and pixel size asked for; the raster's own where that is the same.
    fn asked(from: &Self, crs: Option<Crs>, gsd_m: Option<f64>) -> Result<Self> {
        let crs = crs.unwrap_or(from.crs);
        let own_gsd_m = ground_gsd_m(from.crs, &from.transform, from.size)?;
        let is_same_size = gsd_m.is_none_or(|gsd| (from.transform.pixel_size() / gsd - 1.0).abs() < SAME_SIZE);
        if crs == from.crs && is_same_size {
            return Ok(*from);
        }
        let to_crs = Projection::new(from.crs, crs)?;
        let [width, height] = from.size.map(|side| side as f64);
        let along = |step: u32| f64::from(step) / 16.0;
        let mut outline: Vec<[f64; 2]> = (0..=16)
            .flat_map(|step| {
                let (x, y) = (along(step) * width, along(step) * height);
                [[x, 0.0], [x, height], [0.0, y], [width, y]]
            })
            .map(|pixel| from.transform.pixel_to_ground(pixel))
            .collect();
        to_crs.forward_many(&mut outline)?;
        let axis = |axis: usize| {
            let values = outline.iter().map(|point| point[axis]);
            (values.clone().fold(f64::MAX, f64::min), values.fold(f64::MIN, f64::max))
        };
        let ((west, east), (south, north)) = (axis(0), axis(1));
        let gsd_m = gsd_m.unwrap_or(own_gsd_m);
        let step = gsd_m * units_per_metre(crs, [west, north])?;
        let (west, north) = ((west / step).floor() * step, (north / step).ceil() * step);
        let size = [((east - west) / step).ceil() as usize, ((north - south) / step).ceil() as usize];
        if size.iter().any(|side| *side > LONGEST_SIDE) {
            return Err(photogrammetry::Error::TooLarge { width: size[0], height: size[1], gsd_m }.into());
        }
        Ok(Self { crs, transform: GeoTransform::north_up([west, north], step), size })
    }
}

/// 1 for systems in metres, whose metre is kept though their scale is not quite 1; else what a metre is there.
fn units_per_metre(crs: Crs, at: [f64; 2]) -> Result<f64> {
    /// Long enough in metres to be told apart from rounding, short enough in degrees to be flat.
    const UNIT: f64 = 1e-5;
    let metres = ground_gsd_m(crs, &GeoTransform::north_up(at, UNIT), [1, 1])? / UNIT;
    Ok(if (0.9..1.1).contains(&metres) { 1.0 } else { 1.0 / metres })
}

fn tiles([width, height]: [usize; 2]) -> impl Iterator<Item = ([usize; 2], [usize; 2])> {
    (0..height.div_ceil(TILE)).flat_map(move |row| {
        (0..width.div_ceil(TILE)).map(move |column| {
            let at = [column * TILE, row * TILE];
            (at, [TILE.min(width - at[0]), TILE.min(height - at[1])])
        })
    })
}

const fn window(at: [usize; 2], size: [usize; 2]) -> Window {
    Window { x: at[0] as isize, y: at[1] as isize, width: size[0], height: size[1] }
}

fn split(rgba: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let rgb = rgba.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect();
    (rgb, rgba.chunks_exact(4).map(|p| p[3]).collect())
}

fn bytes_of(value: Option<[f32; 3]>) -> [u8; 4] {
    // `as` rounds towards zero and clamps.
    value.map_or([0; 4], |[r, g, b]| [(r + 0.5) as u8, (g + 0.5) as u8, (b + 0.5) as u8, 255])
}

/// The way from pixels of one raster to those of another.
struct Way<'a> {
    to: &'a Place,
    from: &'a Place,
    projection: Projection,
}

impl<'a> Way<'a> {
    fn between(to: &'a Place, from: &'a Place) -> Result<Self> {
        Ok(Self { to, from, projection: Projection::new(to.crs, from.crs)? })
    }

    fn nodes(&self, at: [usize; 2], size: [usize; 2]) -> Result<Nodes> {
        let [columns, rows] = size.map(|side| side.div_ceil(LATTICE) + 1);
        let corner = |index: usize| {
            let (column, row) = (index % columns, index / columns);
            [(at[0] + column * LATTICE) as f64, (at[1] + row * LATTICE) as f64]
        };
        let ground = |index| self.to.transform.pixel_to_ground(corner(index));
        let mut nodes: Vec<[f64; 2]> = (0..columns * rows).map(ground).collect();
        self.projection.forward_many(&mut nodes)?;
        for node in &mut nodes {
            *node = self.from.transform.ground_to_pixel(*node)?;
        }
        Ok(Nodes { columns, nodes })
    }
}

/// Source pixels of the corners of a tile's lattice.
struct Nodes {
    columns: usize,
    nodes: Vec<[f64; 2]>,
}

impl Nodes {
    /// The part of the source that a tile shows, and to how many pixels to average it when the tile is coarser.
    fn window(&self, source: [usize; 2]) -> Option<(Window, [usize; 2])> {
        let axis = |axis: usize| {
            let values = self.nodes.iter().map(|node| node[axis]);
            let (low, high) = (values.clone().fold(f64::MAX, f64::min), values.fold(f64::MIN, f64::max));
            let (from, to) = (low.floor() as isize - REACH, high.ceil() as isize + REACH);
            let limit = source[axis] as isize;
            (to > 0 && from < limit).then(|| (from.max(-REACH), to.min(limit + REACH)))
        };
        let ((left, right), (top, bottom)) = (axis(0)?, axis(1)?);
        let (width, height) = ((right - left) as usize, (bottom - top) as usize);
        let (here, beside) = (self.nodes[0], self.nodes[1]);
        let scale = (beside[0] - here[0]).hypot(beside[1] - here[1]) / LATTICE as f64;
        let shrunk = |side: usize| if scale > 1.5 { ((side as f64 / scale).round() as usize).max(1) } else { side };
        Some((Window { x: left, y: top, width, height }, [shrunk(width), shrunk(height)]))
    }

    /// The source pixel of a place in the tile.
    fn at(&self, x: f64, y: f64) -> [f64; 2] {
        let (column, row) = ((x as usize / LATTICE), (y as usize / LATTICE));
        let node = |c: usize, r: usize| self.nodes[(row + r) * self.columns + column + c];
        let (u, v) = (x / LATTICE as f64 - column as f64, y / LATTICE as f64 - row as f64);
        std::array::from_fn(|axis| {
            let top = node(0, 0)[axis] * (1.0 - u) + node(1, 0)[axis] * u;
            let bottom = node(0, 1)[axis] * (1.0 - u) + node(1, 1)[axis] * u;
            top * (1.0 - v) + bottom * v
        })
    }

    fn sample<const N: usize>(&self, patch: &Patch<N>, size: [usize; 2], kernel: Kernel) -> Vec<Option<[f32; N]>> {
        let row = |y: usize| {
            (0..size[0]).map(move |x| patch.at(self.at(x as f64 + 0.5, y as f64 + 0.5), kernel)).collect::<Vec<_>>()
        };
        (0..size[1]).into_par_iter().flat_map_iter(row).collect()
    }
}

/// The weights of the four pixels around a place, which lies `t` of the way from the second to the third.
type Kernel = fn(f32) -> [f32; 4];

fn cubic(t: f32) -> [f32; 4] {
    // Keys, "Cubic convolution interpolation for digital image processing", 1981, with a = -1/2.
    let (t2, t3) = (t * t, t * t * t);
    [0.5 * (-t3 + 2.0 * t2 - t), 0.5 * (3.0 * t3 - 5.0 * t2 + 2.0), 0.5 * (-3.0 * t3 + 4.0 * t2 + t), 0.5 * (t3 - t2)]
}

fn linear(t: f32) -> [f32; 4] {
    [0.0, 1.0 - t, t, 0.0]
}

/// A window of the source, perhaps averaged to fewer pixels.
struct Patch<const N: usize> {
    window: Window,
    size: [usize; 2],
    values: Vec<Option<[f32; N]>>,
}

impl<const N: usize> Patch<N> {
    /// The value at a source pixel; `None` where the pixel under it has none.
    fn at(&self, [x, y]: [f64; 2], kernel: Kernel) -> Option<[f32; N]> {
        let shrink =
            |at: f64, start: isize, length: usize, size: usize| (at - start as f64) * size as f64 / length as f64;
        let x = shrink(x, self.window.x, self.window.width, self.size[0]);
        let y = shrink(y, self.window.y, self.window.height, self.size[1]);
        let under = self.value(x.floor() as isize, y.floor() as isize)?;
        let (x, y) = (x - 0.5, y - 0.5);
        let (left, top) = (x.floor(), y.floor());
        let (across, down) = (kernel((x - left) as f32), kernel((y - top) as f32));
        let (mut sum, mut weights) = ([0.0; N], 0.0);
        for (row, v) in down.into_iter().enumerate() {
            for (column, u) in across.into_iter().enumerate() {
                let at = (left as isize + column as isize - 1, top as isize + row as isize - 1);
                let Some(value) = self.value(at.0, at.1) else { continue };
                weights += u * v;
                (0..N).for_each(|band| sum[band] += u * v * value[band]);
            }
        }
        // Beside a hole the weights that are left can nearly cancel out.
        Some(if weights > 0.3 { sum.map(|value| value / weights) } else { under })
    }

    fn value(&self, x: isize, y: isize) -> Option<[f32; N]> {
        let [width, height] = self.size.map(|side| side as isize);
        let is_inside = (0..width).contains(&x) && (0..height).contains(&y);
        if is_inside { self.values[(y * width + x) as usize] } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UTM: Crs = Crs::from_epsg(32631);

    /// A picture whose red grows with easting and whose green grows with northing, 5 a metre; its western part is empty.
    fn picture(path: &Path) -> GeoTransform {
        let (side, transform) = (400, GeoTransform::north_up([600_000.0, 5_750_000.0], 0.1));
        let options = CogOptions { compression: crate::raster::Compression::Deflate, block_size: 512 };
        let mut writer = CogWriter::create(path, [side, side], transform, UTM, options).unwrap();
        let pixels = || (0..side * side).map(|at| (at % side, at / side));
        let rgb: Vec<u8> = pixels().flat_map(|(x, y)| [(x / 2) as u8, ((side - y) / 2) as u8, 77]).collect();
        let mask: Vec<u8> = pixels().map(|(x, _)| if x < 50 { 0 } else { 255 }).collect();
        writer.write_rgb([0, 0], [side, side], &rgb, &mask).unwrap();
        writer.finish().unwrap();
        transform
    }

    fn made(crs: Option<Crs>, gsd_m: Option<f64>) -> (Place, u64, Raster, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        picture(&folder.path().join("in.tif"));
        let out = folder.path().join("out.tif");
        let (place, covered) = orthophoto(&folder.path().join("in.tif"), &out, crs, gsd_m, &|_| ()).unwrap();
        let raster = Raster::open(&out).unwrap();
        assert_eq!((raster.size(), raster.crs().unwrap()), (place.size, place.crs));
        (place, covered, raster, folder)
    }

    #[test]
    fn the_same_grid_keeps_every_pixel() {
        let (place, covered, _, _folder) = made(None, Some(0.1));
        assert_eq!((place.size, covered), ([400, 400], 350 * 400));
        let (other, ..) = made(Some(UTM), None);
        assert_eq!(other, place);
    }

    #[test]
    fn colours_stay_at_their_place_on_another_grid() {
        for (crs, gsd_m) in [(Some(Crs::RD_NEW), None), (None, Some(0.037)), (Some(Crs::RD_NEW), Some(0.25))] {
            let (place, covered, raster, _folder) = made(crs, gsd_m);
            let gsd = gsd_m.unwrap_or(0.1);
            assert!((place.transform.pixel_size() / gsd - 1.0).abs() < 1e-3, "{place:?}");
            let area = covered as f64 * gsd * gsd;
            assert!((area / (35.0 * 40.0) - 1.0).abs() < 0.01, "{area} m²");
            let to_target = Projection::new(UTM, place.crs).unwrap();
            for (east, north) in [(10.0, 5.0), (20.3, 20.7), (38.0, 33.3)] {
                let ground = to_target.forward([600_000.0 + east, 5_750_000.0 - north]).unwrap();
                let [x, y] = place.transform.ground_to_pixel(ground).unwrap();
                let at = Window { x: x as isize, y: y as isize, width: 1, height: 1 };
                let pixel = raster.read_rgba(at, [1, 1]).unwrap().data;
                let expected = [east * 5.0, 200.0 - north * 5.0, 77.0];
                // The COG is JPEG; 4 values are 0.8 m of the ramp, and the pixel itself is up to 0.25 m of them.
                let far = expected.iter().zip(&pixel).map(|(e, p)| (e - f64::from(*p)).abs()).fold(0.0, f64::max);
                assert!(far < 4.0 && pixel[3] == 255, "{crs:?} {gsd_m:?}: {expected:?} {pixel:?}");
            }
        }
    }

    #[test]
    fn a_ramp_is_sampled_exactly_and_holes_are_not_filled() {
        let window = Window { x: 10, y: 20, width: 8, height: 8 };
        let mut values: Vec<Option<[f32; 1]>> = (0..64_u8).map(|at| Some([f32::from(at % 8) * 2.0])).collect();
        values[3 * 8 + 3] = None;
        let patch = Patch { window, size: [8, 8], values };
        let at = |x: f64, y: f64| patch.at([x, y], cubic).map(|[value]| value);
        // The centre of column c is c + 0.5.
        assert!((at(15.25, 26.0).unwrap() - 9.5).abs() < 1e-4);
        assert_eq!(at(13.5, 23.5), None);
        assert_eq!(at(9.9, 24.0), None);
        assert!((at(14.5, 23.5).unwrap() - 8.0).abs() < 0.3);
    }

    #[test]
    fn heights_keep_their_place_and_their_gaps() {
        let folder = tempfile::tempdir().unwrap();
        let (source, out) = (folder.path().join("in.tif"), folder.path().join("out.tif"));
        let transform = GeoTransform::north_up([600_000.0, 5_750_000.0], 0.5);
        let mut writer = DemWriter::create(&source, [60, 60], transform, UTM).unwrap();
        let heights: Vec<f32> =
            (0..3600_u16).map(|at| if at / 60 < 10 { DEM_NODATA } else { f32::from(at % 60) * 0.1 }).collect();
        writer.write([0, 0], [60, 60], &heights).unwrap();
        writer.finish().unwrap();
        surface(&source, &out, Some(Crs::RD_NEW)).unwrap();
        let raster = HeightRaster::open(&out).unwrap();
        let to_rd = Projection::new(UTM, Crs::RD_NEW).unwrap();
        for (east, north, expected) in [(15.0, 20.0, Some(2.95)), (15.0, 2.0, None)] {
            let ground = to_rd.forward([600_000.0 + east, 5_750_000.0 - north]).unwrap();
            let [x, y] = raster.geo_transform().ground_to_pixel(ground).unwrap();
            let height = raster.read(Window { x: x as isize, y: y as isize, width: 1, height: 1 }).unwrap()[0];
            match expected {
                Some(expected) => assert!((height - expected).abs() < 0.11, "{height}"),
                None => assert!(height.is_nan(), "{height}"),
            }
        }
    }
}
