//! Findings are what the weights say: compared with a plain loop over chips that is not ours, on rasters of many kinds.
//!
//! `scripts/setup.sh peers` makes the Python with torch that this needs (1.5 GB, so `make test` does not); without it the test
//! says that it was skipped.

mod support;

use std::{path::PathBuf, process::Command};

use polder::{
    raster::{CogOptions, CogWriter, Compression},
    simulation::{Landscape, OrthoWindow, render_ortho},
    spatial::{Crs, GeoTransform},
};
use support::{POLDER, succeeds};

/// The Python of detection's peers; `None`, and a loud word, without it.
fn peers() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
    let python = cache.join("polder/peers-detect-1/bin/python");
    if python.exists() {
        return Some(python);
    }
    eprintln!("SKIPPED: there is no {}; `scripts/setup.sh peers` makes it", python.display());
    None
}

#[test]
fn findings_are_those_of_a_plain_loop_on_every_kind_of_raster() {
    let Some(python) = peers() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (side, gsd_m) = (1700, 0.025);
    let landscape = Landscape::new(4711, [60.0, 60.0]);
    let (picture, _) = render_ortho(&landscape, &OrthoWindow::around([0.0, 0.0], [side; 2], gsd_m));
    let base = folder.path().join("base.tif");
    let options = CogOptions { compression: Compression::Deflate, ..CogOptions::default() };
    let place = GeoTransform::north_up([665_000.0, 5_747_000.0], gsd_m);
    let mut cog = CogWriter::create(&base, [side; 2], place, Crs::from_epsg(32_631), options).unwrap();
    cog.write_rgb([0, 0], [side; 2], &picture.data, &vec![255; side * side]).unwrap();
    cog.finish().unwrap();
    let mut compare = Command::new(python);
    compare.arg("tests/python/detection_reference.py").arg(POLDER).arg(&base).arg("models/muskrat.torchscript");
    println!("{}", succeeds(compare.arg(folder.path())));
}
