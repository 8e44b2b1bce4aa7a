//! Writes a colour picture of any size as a Cloud Optimized GeoTIFF, window by window.
//!
//! GDAL's COG driver can only copy a finished raster, so the windows go into a tiled temporary beside the
//! target first (BigTIFF, lightly compressed, internal mask). The target appears by a rename, whole or not at all.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use gdal::{
    Dataset, DriverManager,
    cpl::CslStringList,
    raster::{Buffer, ColorInterpretation, RasterCreationOptions},
    spatial_ref::SpatialRef,
};

use super::{Error, Result, window::configure_gdal};
use crate::spatial::{Crs, GeoTransform};

/// How the blocks of a COG are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Lossy, of this quality (1-100).
    Jpeg(u8),
    /// Lossy, of this quality (1-99), about a third smaller than a JPEG that looks the same; 100 is lossless.
    Webp(u8),
    /// Lossless, read by everything.
    Deflate,
    /// Lossless, faster to read and a little smaller than deflate.
    Zstd,
    /// Lossless; read by GDAL and by viewers from Esri.
    Lerc,
}

impl Compression {
    /// What GDAL's COG driver calls it.
    fn settings(self) -> Vec<String> {
        match self {
            Self::Jpeg(quality) => vec!["COMPRESS=JPEG".to_owned(), format!("QUALITY={quality}")],
            // The driver takes 100 for lossless.
            Self::Webp(quality) => vec!["COMPRESS=WEBP".to_owned(), format!("QUALITY={quality}")],
            Self::Deflate => vec!["COMPRESS=DEFLATE".to_owned(), "PREDICTOR=YES".to_owned()],
            Self::Zstd => vec!["COMPRESS=ZSTD".to_owned(), "PREDICTOR=YES".to_owned()],
            Self::Lerc => vec!["COMPRESS=LERC_ZSTD".to_owned(), "MAX_Z_ERROR=0".to_owned()],
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Jpeg(quality) => write!(f, "jpeg {quality}"),
            Self::Webp(quality) => write!(f, "webp {quality}"),
            Self::Deflate => f.write_str("deflate"),
            Self::Zstd => f.write_str("zstd"),
            Self::Lerc => f.write_str("lerc"),
        }
    }
}

/// How a COG is written.
#[derive(Clone, Copy, Debug)]
pub struct CogOptions {
    pub compression: Compression,
    /// Side of a block in pixels.
    pub block_size: usize,
}

impl CogOptions {
    /// The quality of a JPEG in which nobody sees the loss.
    pub const QUALITY: u8 = 90;
}

impl Default for CogOptions {
    fn default() -> Self {
        Self { compression: Compression::Jpeg(Self::QUALITY), block_size: 512 }
    }
}

/// A COG of three 8-bit bands and an internal mask in the making. Dropped before [`CogWriter::finish`], it leaves nothing.
pub struct CogWriter {
    target: PathBuf,
    options: CogOptions,
    draft: Draft,
}

impl CogWriter {
    /// Starts a picture of `size` (`[width, height]`) pixels; nothing is at `path` before [`CogWriter::finish`].
    ///
    /// # Errors
    /// [`Error::Gdal`] when the temporary file cannot be made.
    pub fn create(
        path: &Path,
        size: [usize; 2],
        transform: GeoTransform,
        crs: Crs,
        options: CogOptions,
    ) -> Result<Self> {
        let draft = Draft::create::<u8>(path, size, 3, transform, crs, options.block_size)?;
        draft.prepare_mask().map_err(Error::gdal_write("create the mask of", &draft.path))?;
        Ok(Self { target: path.to_owned(), options, draft })
    }

    /// Writes a window: `rgb` is interleaved, `3 × width × height`; `mask` is 0 where there is no data, else 255.
    ///
    /// # Errors
    /// [`Error::Full`] when the disk is full, [`Error::Gdal`] when the window lies outside the picture.
    ///
    /// # Panics
    /// When the buffers do not have the window's size.
    pub fn write_rgb(&mut self, at: [usize; 2], size: [usize; 2], rgb: &[u8], mask: &[u8]) -> Result<()> {
        assert_eq!((rgb.len(), mask.len()), (size[0] * size[1] * 3, size[0] * size[1]), "a window has one size");
        let write = || -> gdal::errors::Result<()> {
            let (at, size) = ((at[0] as isize, at[1] as isize), (size[0], size[1]));
            let dataset = self.draft.dataset();
            for band in 0..3 {
                let plane = rgb.iter().skip(band).step_by(3).copied().collect();
                dataset.rasterband(band + 1)?.write(at, size, &mut Buffer::new(size, plane))?;
            }
            let first = dataset.rasterband(1)?;
            first.open_mask_band()?.write(at, size, &mut Buffer::new(size, mask.to_vec()))
        };
        write().map_err(Error::gdal_write("write a window of", &self.target))
    }

    /// Writes the COG with its overviews and moves it to its place.
    ///
    /// # Errors
    /// [`Error::Full`] when the disk is full, [`Error::Gdal`] or [`Error::Write`] when it cannot be written for another
    /// reason; nothing is at the target then that was not there before.
    pub fn finish(self) -> Result<()> {
        let mut settings = vec!["OVERVIEW_RESAMPLING=AVERAGE".to_owned(), "BIGTIFF=IF_SAFER".to_owned()];
        settings.push(format!("BLOCKSIZE={}", self.options.block_size));
        settings.extend(self.options.compression.settings());
        let options = CslStringList::from_iter(settings);
        self.draft.finish(&self.target, &options)
    }
}

/// The tiled temporary from which the COG driver copies.
pub(super) struct Draft {
    path: PathBuf,
    /// `None` once closed.
    dataset: Option<Dataset>,
}

impl Draft {
    pub(super) fn create<T: gdal::raster::GdalType>(
        target: &Path,
        size: [usize; 2],
        bands: usize,
        transform: GeoTransform,
        crs: Crs,
        block_size: usize,
    ) -> Result<Self> {
        configure_gdal();
        let path = sibling(target, "draft");
        let create = || -> gdal::errors::Result<Dataset> {
            let block = block_size.to_string();
            let options = RasterCreationOptions::from_iter([
                "TILED=YES".to_owned(),
                format!("BLOCKXSIZE={block}"),
                format!("BLOCKYSIZE={block}"),
                "COMPRESS=LZW".to_owned(),
                "BIGTIFF=IF_SAFER".to_owned(),
                "SPARSE_OK=YES".to_owned(),
                "INTERLEAVE=PIXEL".to_owned(),
            ]);
            let driver = DriverManager::get_driver_by_name("GTiff")?;
            let mut dataset =
                driver.create_with_band_type_with_options::<T, _>(&path, size[0], size[1], bands, &options)?;
            dataset.set_geo_transform(&transform.gdal())?;
            dataset.set_spatial_ref(&SpatialRef::from_epsg(crs.epsg())?)?;
            Ok(dataset)
        };
        let dataset = create().map_err(Error::gdal_write("create", &path))?;
        Ok(Self { path, dataset: Some(dataset) })
    }

    pub(super) fn dataset(&self) -> &Dataset {
        self.dataset.as_ref().expect("a draft is open until it is finished")
    }

    fn prepare_mask(&self) -> gdal::errors::Result<()> {
        let interpretations =
            [ColorInterpretation::RedBand, ColorInterpretation::GreenBand, ColorInterpretation::BlueBand];
        for (index, interpretation) in interpretations.into_iter().enumerate() {
            self.dataset().rasterband(index + 1)?.set_color_interpretation(interpretation)?;
        }
        self.dataset().rasterband(1)?.create_mask_band(true)
    }

    /// Copies the draft into a COG beside the target, syncs it and renames it.
    pub(super) fn finish(mut self, target: &Path, options: &CslStringList) -> Result<()> {
        let fault = |operation| Error::gdal_write(operation, target);
        self.dataset.take().expect("finished once").close().map_err(fault("write the draft of"))?;
        let partial = sibling(target, "partial");
        let copy = || -> gdal::errors::Result<()> {
            let draft = Dataset::open(&self.path)?;
            draft.create_copy(&DriverManager::get_driver_by_name("COG")?, &partial, options)?.close()
        };
        let copied = copy().map_err(fault("write")).and_then(|()| {
            fs::File::open(&partial).and_then(|file| file.sync_all()).map_err(Error::write(target))?;
            fs::rename(&partial, target).map_err(Error::write(target))
        });
        if copied.is_err() {
            let _ = fs::remove_file(&partial);
        }
        copied
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        drop(self.dataset.take());
        // It may be gone already; a draft that stays is overwritten by the next run.
        let _ = fs::remove_file(&self.path);
    }
}

/// Returns a hidden name in the target's folder that keeps its extension: `.ortho.draft.tif`.
fn sibling(target: &Path, what: &str) -> PathBuf {
    let stem = target.file_stem().unwrap_or_default().to_string_lossy();
    target.with_file_name(format!(".{stem}.{what}.tif"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raster::{Raster, Window};

    fn write(path: &Path, side: usize, options: CogOptions) {
        let transform = GeoTransform::north_up([500_000.0, 5_700_000.0], 0.03);
        let mut writer = CogWriter::create(path, [side, side], transform, Crs::from_epsg(32631), options).unwrap();
        let rgb: Vec<u8> = (0..side * side).flat_map(|at| [(at % side / 4) as u8, (at / side / 4) as u8, 90]).collect();
        let mask: Vec<u8> = (0..side * side).map(|at| if at % side < 100 { 0 } else { 255 }).collect();
        writer.write_rgb([0, 0], [side, side], &rgb, &mask).unwrap();
        writer.finish().unwrap();
    }

    #[test]
    fn a_cog_is_read_back_with_its_place_and_mask() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ortho.tif");
        write(&path, 900, CogOptions { compression: Compression::Deflate, ..CogOptions::default() });
        let raster = Raster::open(&path).unwrap();
        assert_eq!((raster.size(), raster.crs().unwrap().epsg()), ([900, 900], 32631));
        assert!((raster.geo_transform().unwrap().pixel_size() - 0.03).abs() < 1e-12);
        let window = raster.read_rgba(Window { x: 98, y: 40, width: 4, height: 2 }, [4, 2]).unwrap();
        assert_eq!(window.data[4..12], [0, 0, 0, 0, 25, 10, 90, 255]);
        let leftovers = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(leftovers, 1, "the temporary files are gone");
    }

    #[test]
    fn every_compression_is_read_back_with_its_mask_and_the_lossless_ones_exactly() {
        let folder = tempfile::tempdir().unwrap();
        let all = [
            (Compression::Jpeg(90), 12),
            (Compression::Webp(90), 12),
            (Compression::Webp(100), 0),
            (Compression::Deflate, 0),
            (Compression::Zstd, 0),
            (Compression::Lerc, 0),
        ];
        for (index, (compression, tolerance)) in all.into_iter().enumerate() {
            let path = folder.path().join(format!("{index}.tif"));
            write(&path, 900, CogOptions { compression, ..CogOptions::default() });
            let raster = Raster::open(&path).unwrap();
            let picture = raster.read_rgba(Window { x: 90, y: 500, width: 64, height: 64 }, [64, 64]).unwrap();
            for (at, pixel) in picture.data.chunks_exact(4).enumerate() {
                let (x, y) = (90 + at % 64, 500 + at / 64);
                assert_eq!(pixel[3], if x < 100 { 0 } else { 255 }, "{compression:?} at {x}, {y}");
                let expected = [(x / 4) as u8, (y / 4) as u8, 90];
                let off = pixel.iter().zip(expected).map(|(a, b)| a.abs_diff(b)).max().unwrap();
                // Where the mask begins, a lossy block mixes what is behind it.
                assert!(off <= tolerance || x < 116, "{compression:?} is off by {off} at {x}, {y}");
            }
        }
    }

    #[test]
    fn a_window_over_the_border_is_empty_outside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ortho.tif");
        write(&path, 600, CogOptions::default());
        let raster = Raster::open(&path).unwrap();
        let picture = raster.read_rgba(Window { x: 590, y: -10, width: 20, height: 20 }, [20, 20]).unwrap();
        let alpha = |x: usize, y: usize| picture.data[(y * 20 + x) * 4 + 3];
        assert_eq!([alpha(0, 0), alpha(9, 10), alpha(10, 10), alpha(0, 10)], [0, 255, 0, 255]);
        let far = raster.read_rgba(Window { x: 5000, y: 0, width: 20, height: 20 }, [20, 20]).unwrap();
        assert!(far.is_empty());
    }

    #[test]
    fn an_abandoned_writer_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ortho.tif");
        let transform = GeoTransform::north_up([0.0, 0.0], 1.0);
        drop(CogWriter::create(&path, [64, 64], transform, Crs::from_epsg(32631), CogOptions::default()).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
