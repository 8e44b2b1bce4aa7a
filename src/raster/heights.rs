//! Reads windows of a raster of heights.

use std::path::{Path, PathBuf};

use gdal::Dataset;

use super::{Error, Raster, Result, Window, window::configure_gdal};
use crate::spatial::{Crs, GeoTransform};

/// An opened raster whose first band holds heights. Not shared between threads.
pub struct HeightRaster {
    path: PathBuf,
    dataset: Dataset,
    crs: Crs,
    transform: GeoTransform,
}

impl HeightRaster {
    /// Opens a raster.
    ///
    /// # Errors
    /// [`Error::Gdal`] when it cannot be opened, [`Error::NotGeoreferenced`] when it does not say where it is.
    pub fn open(path: &Path) -> Result<Self> {
        configure_gdal();
        let as_raster = Raster::open(path)?;
        let (crs, transform) = (as_raster.crs()?, as_raster.geo_transform()?);
        let dataset = Dataset::open(path).map_err(Error::gdal("open the raster", path))?;
        Ok(Self { path: path.to_owned(), dataset, crs, transform })
    }

    /// Returns `[width, height]` in pixels.
    pub fn size(&self) -> [usize; 2] {
        self.dataset.raster_size().into()
    }

    pub const fn crs(&self) -> Crs {
        self.crs
    }

    pub const fn geo_transform(&self) -> GeoTransform {
        self.transform
    }

    /// Reads a window, row-major; NaN where nothing is known, and outside the raster.
    ///
    /// # Errors
    /// [`Error::Gdal`] when a block cannot be read.
    pub fn read(&self, window: Window) -> Result<Vec<f32>> {
        let mut heights = vec![f32::NAN; window.width * window.height];
        let inside = |start: isize, length: usize, limit: usize| {
            let (from, to) = (start.max(0), (start + length as isize).min(limit as isize));
            (to > from).then_some((from, (to - from) as usize))
        };
        let [width, height] = self.size();
        let (Some((x, columns)), Some((y, rows))) =
            (inside(window.x, window.width, width), inside(window.y, window.height, height))
        else {
            return Ok(heights);
        };
        let read = || -> gdal::errors::Result<(Vec<f32>, Vec<u8>)> {
            let band = self.dataset.rasterband(1)?;
            let (at, size) = ((x, y), (columns, rows));
            let values = band.read_as::<f32>(at, size, size, None)?;
            let mask = band.open_mask_band()?.read_as::<u8>(at, size, size, None)?;
            Ok((values.data().to_vec(), mask.data().to_vec()))
        };
        let (values, mask) = read().map_err(Error::gdal("read a window of", &self.path))?;
        for row in 0..rows {
            let to = (row + (y - window.y) as usize) * window.width + (x - window.x) as usize;
            let from = row * columns;
            for column in 0..columns {
                if mask[from + column] > 0 {
                    heights[to + column] = values[from + column];
                }
            }
        }
        Ok(heights)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raster::{DEM_NODATA, DemWriter};

    #[test]
    fn unknown_heights_and_those_outside_are_no_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dsm.tif");
        let transform = GeoTransform::north_up([500_000.0, 5_700_000.0], 1.0);
        let mut writer = DemWriter::create(&path, [4, 4], transform, Crs::from_epsg(32631)).unwrap();
        let heights: Vec<f32> = (0..16_u8).map(|at| if at == 5 { DEM_NODATA } else { f32::from(at) }).collect();
        writer.write([0, 0], [4, 4], &heights).unwrap();
        writer.finish().unwrap();
        let raster = HeightRaster::open(&path).unwrap();
        assert_eq!((raster.crs().epsg(), raster.size()), (32631, [4, 4]));
        let read = raster.read(Window { x: -1, y: 0, width: 3, height: 2 }).unwrap();
        let known: Vec<Option<f32>> = read.iter().map(|h| h.is_finite().then_some(*h)).collect();
        assert_eq!(known, [None, Some(0.0), Some(1.0), None, Some(4.0), None]);
        let far = raster.read(Window { x: 40, y: 0, width: 2, height: 1 }).unwrap();
        assert!(far.iter().all(|h| h.is_nan()));
    }
}
