//! Pictures of a judgement, for whoever wants to see what the figures say.

use std::{fs, path::Path};

use super::{overlay::Overlay, radiometry::Radiometry};
use crate::{
    raster::{Raster, Rgb8, encode_jpeg},
    simulation::{Error, Result, run::write_whole},
};

/// Longer side of each orthophoto in the picture, pixels.
const SIDE: usize = 1600;
const QUALITY: u8 = 88;
/// An error of this much is drawn in full red (too bright) or blue (too dark).
const FULL: f32 = 0.10;
/// The map of the seams is drawn with squares of so many pixels for each block.
const SQUARE: usize = 3;

const NOTHING: [u8; 3] = [255, 255, 255];
const SEEN: [u8; 3] = [150, 150, 150];
const MISSING: [u8; 3] = [230, 0, 200];

/// Writes `beside.jpg`: the truth to the left, the orthophoto to the right.
pub(super) fn write_beside(folder: &Path, truth: &Raster, tested: &Raster) -> Result<()> {
    let halves = [truth.overview(SIDE)?, tested.overview(SIDE)?];
    let (gap, height) = (8, halves.iter().map(|half| half.height).max().unwrap_or(1));
    let mut picture = blank(halves[0].width + gap + halves[1].width, height);
    let mut left = 0;
    for half in &halves {
        for (i, pixel) in half.data.chunks_exact(4).enumerate().filter(|(_, pixel)| pixel[3] > 0) {
            put(&mut picture, left + i % half.width, i / half.width, [pixel[0], pixel[1], pixel[2]]);
        }
        left += half.width + gap;
    }
    write(folder, "beside.jpg", &picture)
}

/// Writes `seams.jpg`: red is too bright, blue too dark, white is right; grey was not compared, pink is missing.
pub(super) fn write_seams(folder: &Path, overlay: &Overlay, radiometry: Option<&Radiometry>) -> Result<()> {
    let [width, height] = overlay.blocks;
    let mut picture = blank(width * SQUARE, height * SQUARE);
    let cells = overlay.block_cells;
    for block in 0..width * height {
        let (column, row) = (block % width, block / width);
        let cell = (row * cells).min(overlay.size[1] - 1) * overlay.size[0] + (column * cells).min(overlay.size[0] - 1);
        let error = radiometry.map_or(f32::NAN, |radiometry| radiometry.error[block]);
        let colour = match (overlay.seen[cell], overlay.covered[cell]) {
            (false, _) => continue,
            (true, false) => MISSING,
            _ if error.is_nan() => SEEN,
            _ => diverging(error / FULL),
        };
        for i in 0..SQUARE * SQUARE {
            put(&mut picture, column * SQUARE + i % SQUARE, row * SQUARE + i / SQUARE, colour);
        }
    }
    write(folder, "seams.jpg", &picture)
}

fn diverging(value: f32) -> [u8; 3] {
    let pale = (255.0 * (1.0 - value.abs().min(1.0))) as u8;
    if value > 0.0 { [255, pale, pale] } else { [pale, pale, 255] }
}

fn blank(width: usize, height: usize) -> Rgb8 {
    let mut picture = Rgb8::new(width, height);
    picture.data.chunks_exact_mut(3).for_each(|pixel| pixel.copy_from_slice(&NOTHING));
    picture
}

fn put(picture: &mut Rgb8, x: usize, y: usize, colour: [u8; 3]) {
    let at = (y * picture.width + x) * 3;
    picture.data[at..at + 3].copy_from_slice(&colour);
}

fn write(folder: &Path, name: &str, picture: &Rgb8) -> Result<()> {
    fs::create_dir_all(folder).map_err(|source| Error::Write { path: folder.to_owned(), source })?;
    write_whole(&folder.join(name), &encode_jpeg(picture, QUALITY)?)
}
