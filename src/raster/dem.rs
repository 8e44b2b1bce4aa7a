//! Writes heights as a Cloud Optimized GeoTIFF, window by window.

use std::path::Path;

use gdal::{cpl::CslStringList, raster::Buffer};

use super::{Error, Result, cog::Draft};
use crate::spatial::{Crs, GeoTransform};

/// What stands where no height is known.
pub const DEM_NODATA: f32 = -9999.0;

/// A COG of one 32-bit float band in the making: metres, [`DEM_NODATA`] where unknown.
pub struct DemWriter {
    target: std::path::PathBuf,
    draft: Draft,
}

impl DemWriter {
    /// Starts a raster of `size` (`[width, height]`); nothing is at `path` before [`DemWriter::finish`].
    ///
    /// # Errors
    /// [`Error::Gdal`] when the temporary file cannot be made.
    pub fn create(path: &Path, size: [usize; 2], transform: GeoTransform, crs: Crs) -> Result<Self> {
        let draft = Draft::create::<f32>(path, size, 1, transform, crs, 512)?;
        let band = draft.dataset().rasterband(1);
        band.and_then(|mut band| band.set_no_data_value(Some(f64::from(DEM_NODATA))))
            .map_err(Error::gdal_write("create", path))?;
        Ok(Self { target: path.to_owned(), draft })
    }

    /// Writes a window of heights, row-major, `width × height`.
    ///
    /// # Errors
    /// [`Error::Gdal`] when the disk is full or the window lies outside the raster.
    pub fn write(&mut self, at: [usize; 2], size: [usize; 2], heights_m: &[f32]) -> Result<()> {
        let (offset, shape) = ((at[0] as isize, at[1] as isize), (size[0], size[1]));
        let write =
            || self.draft.dataset().rasterband(1)?.write(offset, shape, &mut Buffer::new(shape, heights_m.to_vec()));
        write().map_err(Error::gdal_write("write a window of", &self.target))
    }

    /// Writes the COG with its overviews and moves it to its place.
    ///
    /// # Errors
    /// [`Error::Gdal`] or [`Error::Write`]; the target is untouched then.
    pub fn finish(self) -> Result<()> {
        let options = CslStringList::from_iter([
            "COMPRESS=DEFLATE",
            "PREDICTOR=YES",
            "OVERVIEW_RESAMPLING=AVERAGE",
            "BIGTIFF=IF_SAFER",
        ]);
        self.draft.finish(&self.target, &options)
    }
}
