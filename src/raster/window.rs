//! Reads windows of a georeferenced raster, whatever its bands and bit depth, as 8-bit colour with a mask.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::Once,
};

use gdal::{
    Dataset, Metadata as _,
    raster::{ColorInterpretation, GdalDataType, RasterBand, ResampleAlg},
};

use super::{Error, Result, Rgba8};
use crate::spatial::{Crs, GeoTransform};

/// Blocks that GDAL keeps decoded; its own default is 5 % of the machine's memory.
const GDAL_CACHE_MB: &str = "192";

/// Side of the overview from which the range of 16-bit and float bands is taken.
const STATISTICS_SIDE: usize = 512;

/// A rectangle of pixels. It may reach outside the raster, where there is no data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub x: isize,
    pub y: isize,
    pub width: usize,
    pub height: usize,
}

/// An opened raster. Not shared between threads: open it once for each.
pub struct Raster {
    path: PathBuf,
    dataset: Dataset,
    size: [usize; 2],
    colours: [usize; 3],
    /// The values that become 0 and 255; `None` for 8-bit bands, which are taken as they are.
    scale: Option<[f64; 2]>,
}

/// GDAL says nothing at all about a folder, and little about what is no raster.
fn not_opened(path: &Path, source: gdal::errors::GdalError) -> Error {
    if path.is_dir() {
        let reason = "it is a folder; name the raster in it".to_owned();
        return Error::Unsupported { path: path.to_owned(), reason };
    }
    Error::gdal("open the raster", path)(source)
}

impl Raster {
    /// Opens a local file, `s3://bucket/key`, an `https://` link, or anything else that GDAL can open by name, such as
    /// `/vsis3/bucket/key`.
    ///
    /// # Errors
    /// [`Error::Gdal`] when it cannot be opened, [`Error::Unsupported`] when it has no bands.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        configure_gdal();
        let path = gdal_name(path.as_ref());
        let dataset = Dataset::open(&path).map_err(|source| not_opened(&path, source))?;
        let size: [usize; 2] = dataset.raster_size().into();
        if dataset.raster_count() == 0 {
            return Err(Error::Unsupported { path, reason: "it has no bands".to_owned() });
        }
        let colours = colour_bands(&dataset).map_err(Error::gdal("read the bands of", &path))?;
        let mut raster = Self { path, dataset, size, colours, scale: None };
        raster.scale = raster.find_scale()?;
        Ok(raster)
    }

    /// Returns `[width, height]` in pixels.
    pub const fn size(&self) -> [usize; 2] {
        self.size
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the values that are read as 0 and as 255, the same for all colours everywhere on the raster; nothing for
    /// 8-bit bands, which are read as they are.
    ///
    /// Whole numbers start at 0 and end at what their bits hold: as many of 8, 10, 12, 14, 16 or 32 as 99.9 % of the values
    /// need, or as the file declares. Fractions are 0 to 1 or 0 to 255 when they lie there, else the 1st to the 99th percentile.
    pub const fn scale(&self) -> Option<[f64; 2]> {
        self.scale
    }

    /// Returns the number of bands, alpha included.
    pub fn bands(&self) -> usize {
        self.dataset.raster_count()
    }

    /// Returns where the pixels are.
    ///
    /// # Errors
    /// [`Error::NotGeoreferenced`] when the raster does not say.
    pub fn geo_transform(&self) -> Result<GeoTransform> {
        let missing = || Error::NotGeoreferenced { path: self.path.clone(), missing: "geotransform" };
        self.dataset.geo_transform().map(GeoTransform::from_gdal).map_err(|_| missing())
    }

    /// Returns the coordinate system of the geotransform.
    ///
    /// # Errors
    /// [`Error::NotGeoreferenced`] when there is none or it has no EPSG code.
    pub fn crs(&self) -> Result<Crs> {
        let missing =
            || Error::NotGeoreferenced { path: self.path.clone(), missing: "coordinate system with an EPSG code" };
        let mut srs = self.dataset.spatial_ref().map_err(|_| missing())?;
        if srs.auth_code().is_err() {
            // A system written out in full, as some software does, may still be a known one.
            let _ = srs.auto_identify_epsg();
        }
        // The code of a compound system is that of its horizontal part.
        let code = srs.auth_code().map_err(|_| missing())?;
        u32::try_from(code).map(Crs::from_epsg).map_err(|_| missing())
    }

    /// Reads a window, resampled to `out` (`[width, height]`): averaged when it shrinks, cubic when it grows.
    ///
    /// Where the window reaches outside the raster, and where the raster's mask, alpha or nodata says so, alpha
    /// is 0; everywhere else it is 255.
    ///
    /// # Errors
    /// [`Error::Gdal`] when a block cannot be read.
    pub fn read_rgba(&self, window: Window, out: [usize; 2]) -> Result<Rgba8> {
        let mut picture = Rgba8::new(out[0], out[1]);
        let Some((inside, columns, rows)) = self.clip(window, out) else { return Ok(picture) };
        let (w, h) = (columns.len(), rows.len());
        let resample = if w < inside.width || h < inside.height {
            ResampleAlg::Average
        } else if w > inside.width || h > inside.height {
            ResampleAlg::Cubic
        } else {
            ResampleAlg::NearestNeighbour
        };
        let read = Error::gdal("read a window of", &self.path);
        let planes = self.read_planes(inside, [w, h], resample).map_err(read)?;
        for (i, row) in rows.enumerate() {
            for (j, column) in columns.clone().enumerate() {
                let (from, to) = (i * w + j, (row * out[0] + column) * 4);
                if planes[3][from] >= 128 {
                    let pixel = [planes[0][from], planes[1][from], planes[2][from], 255];
                    picture.data[to..to + 4].copy_from_slice(&pixel);
                }
            }
        }
        Ok(picture)
    }

    /// Reads the whole raster, shrunk so that its longer side is at most `side` pixels.
    ///
    /// # Errors
    /// [`Error::Gdal`] when a block cannot be read.
    pub fn overview(&self, side: usize) -> Result<Rgba8> {
        let [width, height] = self.size;
        let scale = (side as f64 / width.max(height) as f64).min(1.0);
        let out = self.size.map(|length| ((length as f64 * scale).round() as usize).max(1));
        self.read_rgba(Window { x: 0, y: 0, width, height }, out)
    }

    /// Cuts the window at the raster's border; returns what is left, and which columns and rows of `out` it fills.
    fn clip(&self, window: Window, out: [usize; 2]) -> Option<(Window, Range<usize>, Range<usize>)> {
        let axis = |start: isize, length: usize, limit: usize, out: usize| {
            let scale = out as f64 / length as f64;
            let (from, to) = (start.max(0), (start + length as isize).min(limit as isize));
            let filled = |at: isize| ((at - start) as f64 * scale).round() as usize;
            (to > from).then(|| (from, (to - from) as usize, filled(from)..filled(to).min(out)))
        };
        let (x, width, columns) = axis(window.x, window.width, self.size[0], out[0])?;
        let (y, height, rows) = axis(window.y, window.height, self.size[1], out[1])?;
        let is_empty = columns.is_empty() || rows.is_empty();
        (!is_empty).then_some((Window { x, y, width, height }, columns, rows))
    }

    /// Returns red, green, blue and mask, each `out[0] × out[1]`, of a window inside the raster.
    fn read_planes(&self, w: Window, out: [usize; 2], resample: ResampleAlg) -> gdal::errors::Result<[Vec<u8>; 4]> {
        let (offset, size, out) = ((w.x, w.y), (w.width, w.height), (out[0], out[1]));
        let mut planes: [Vec<u8>; 4] = std::array::from_fn(|_| Vec::new());
        for (i, band) in self.colours.into_iter().enumerate() {
            planes[i] = if i > 0 && band == self.colours[i - 1] {
                planes[i - 1].clone()
            } else {
                let band = self.dataset.rasterband(band)?;
                match self.scale {
                    None => read_bytes(&band, offset, size, out, resample)?,
                    Some(scale) => {
                        let mut values = vec![0.0_f32; out.0 * out.1];
                        band.read_into_slice(offset, size, out, &mut values, Some(resample))?;
                        values.into_iter().map(|value| stretch(f64::from(value), scale)).collect()
                    }
                }
            };
        }
        let band = self.dataset.rasterband(self.colours[0])?;
        planes[3] = if band.mask_flags()?.is_all_valid() {
            vec![255; out.0 * out.1]
        } else {
            // GDAL 3.6 makes nothing of a one-bit mask that it enlarges with a cubic: all 0.
            let resample = if resample == ResampleAlg::Cubic { ResampleAlg::NearestNeighbour } else { resample };
            read_bytes(&band.open_mask_band()?, offset, size, out, resample)?
        };
        Ok(planes)
    }

    fn find_scale(&self) -> Result<Option<[f64; 2]>> {
        let read = || -> gdal::errors::Result<Option<[f64; 2]>> {
            let first = self.dataset.rasterband(self.colours[0])?;
            let kind = first.band_type();
            if kind == GdalDataType::UInt8 {
                return Ok(None);
            }
            if let Some(bits) =
                first.metadata_item("NBITS", "IMAGE_STRUCTURE").and_then(|bits| bits.parse::<u32>().ok())
            {
                return Ok(Some(full_range(bits)));
            }
            let scale = (STATISTICS_SIDE as f64 / self.size[0].max(self.size[1]) as f64).min(1.0);
            let out = self.size.map(|side| ((side as f64 * scale) as usize).max(1));
            let (size, out) = ((self.size[0], self.size[1]), (out[0], out[1]));
            let mut sample = Vec::new();
            for band in self.colours {
                let band = self.dataset.rasterband(band)?;
                let mut values = vec![0.0_f32; out.0 * out.1];
                band.read_into_slice((0, 0), size, out, &mut values, Some(ResampleAlg::NearestNeighbour))?;
                let mask = read_bytes(&band.open_mask_band()?, (0, 0), size, out, ResampleAlg::NearestNeighbour)?;
                sample.extend(values.into_iter().zip(mask).filter(|(v, m)| *m > 0 && v.is_finite()).map(|(v, _)| v));
            }
            sample.sort_by(f32::total_cmp);
            let is_whole = !matches!(kind, GdalDataType::Float32 | GdalDataType::Float64);
            Ok(Some(if is_whole { range_of_numbers(&sample) } else { range_of_fractions(&sample) }))
        };
        read().map_err(Error::gdal("read the range of", &self.path))
    }
}

/// What GDAL calls it: `s3://` and links have names of their own there.
fn gdal_name(path: &Path) -> PathBuf {
    let Some(text) = path.to_str() else { return path.to_owned() };
    if let Some(object) = text.strip_prefix("s3://") {
        return format!("/vsis3/{object}").into();
    }
    let is_link = text.starts_with("https://") || text.starts_with("http://");
    if is_link { format!("/vsicurl/{text}").into() } else { path.to_owned() }
}

/// Returns the value below which a part of the sorted values lie.
fn percentile(sorted: &[f32], part: f64) -> f64 {
    sorted.get(((sorted.len() as f64 - 1.0) * part) as usize).copied().map_or(0.0, f64::from)
}

fn full_range(bits: u32) -> [f64; 2] {
    [0.0, 2.0_f64.powi(bits.clamp(1, 32) as i32) - 1.0]
}

/// Sensors give 8, 10, 12, 14 or 16 bits; a stretch by percentiles would show each scene in other colours than the model learned.
fn range_of_numbers(sorted: &[f32]) -> [f64; 2] {
    let high = percentile(sorted, 0.999);
    full_range([8, 10, 12, 14, 16].into_iter().find(|bits| high <= full_range(*bits)[1]).unwrap_or(32))
}

fn range_of_fractions(sorted: &[f32]) -> [f64; 2] {
    let (lowest, high) = (percentile(sorted, 0.0), percentile(sorted, 0.999));
    match () {
        () if lowest >= 0.0 && high <= 1.0 => [0.0, 1.0],
        () if lowest >= 0.0 && (16.0..=255.0).contains(&high) => [0.0, 255.0],
        () => {
            let (low, high) = (percentile(sorted, 0.01), percentile(sorted, 0.99));
            if high > low { [low, high] } else { [low, low + 1.0] }
        }
    }
}

fn read_bytes(
    band: &RasterBand<'_>,
    offset: (isize, isize),
    size: (usize, usize),
    out: (usize, usize),
    resample: ResampleAlg,
) -> gdal::errors::Result<Vec<u8>> {
    let mut bytes = vec![0_u8; out.0 * out.1];
    band.read_into_slice(offset, size, out, &mut bytes, Some(resample))?;
    Ok(bytes)
}

fn stretch(value: f64, [low, high]: [f64; 2]) -> u8 {
    // `as` turns NaN into 0 and clamps the rest.
    ((value - low) / (high - low) * 255.0).round() as u8
}

/// Finds red, green and blue by what the bands say they are, else takes the first three; one band is grey.
fn colour_bands(dataset: &Dataset) -> gdal::errors::Result<[usize; 3]> {
    let mut found = [None; 3];
    let mut colours = 0;
    for index in 1..=dataset.raster_count() {
        let interpretation = dataset.rasterband(index)?.color_interpretation();
        colours += usize::from(interpretation != ColorInterpretation::AlphaBand);
        match interpretation {
            ColorInterpretation::RedBand => found[0] = found[0].or(Some(index)),
            ColorInterpretation::GreenBand => found[1] = found[1].or(Some(index)),
            ColorInterpretation::BlueBand => found[2] = found[2].or(Some(index)),
            _ => {}
        }
    }
    Ok(match found {
        [Some(red), Some(green), Some(blue)] => [red, green, blue],
        _ if colours >= 3 => [1, 2, 3],
        _ => [1, 1, 1],
    })
}

pub(super) fn configure_gdal() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for (key, value) in [
            ("GDAL_CACHEMAX", GDAL_CACHE_MB),
            ("GDAL_DISABLE_READDIR_ON_OPEN", "EMPTY_DIR"),
            ("GDAL_TIFF_INTERNAL_MASK", "YES"),
            ("GDAL_PAM_ENABLED", "NO"),
            // What goes wrong is reported once, by the caller, not also on stderr by the library.
            ("CPL_LOG", "/dev/null"),
        ] {
            gdal::config::set_config_option(key, value).expect("an option without NUL is accepted");
        }
        gdal::config::set_error_handler(|class, number, message| {
            tracing::debug!(gdal.class = ?class, gdal.number = number, "{message}");
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_objects_have_the_names_that_gdal_knows() {
        let name = |text: &str| gdal_name(Path::new(text)).display().to_string();
        assert_eq!(name("s3://ortho/a/b.tif"), "/vsis3/ortho/a/b.tif");
        assert_eq!(name("https://host/a.tif?X-Amz-Signature=1"), "/vsicurl/https://host/a.tif?X-Amz-Signature=1");
        assert_eq!((name("/vsis3/a/b.tif"), name("dir/a.tif")), ("/vsis3/a/b.tif".into(), "dir/a.tif".into()));
    }

    #[test]
    fn whole_numbers_have_the_range_of_their_bits_and_a_dead_pixel_does_not_change_it() {
        let up_to = |high: u16| (0..=high).map(f32::from).collect::<Vec<_>>();
        assert_eq!(range_of_numbers(&up_to(200)), [0.0, 255.0]);
        assert_eq!(range_of_numbers(&up_to(4000)), [0.0, 4095.0]);
        assert_eq!(range_of_numbers(&up_to(60_000)), [0.0, 65_535.0]);
        let mut with_dead_pixel = up_to(4000);
        with_dead_pixel.push(65_535.0);
        assert_eq!(range_of_numbers(&with_dead_pixel), [0.0, 4095.0]);
        assert_eq!(stretch(65_535.0 * 128.0 / 255.0, [0.0, 65_535.0]), 128);
    }

    #[test]
    fn fractions_are_a_share_a_byte_or_stretched() {
        let range = |low: f32, high: f32| {
            range_of_fractions(&(0..=1000).map(|i| low + (high - low) * i as f32 / 1000.0).collect::<Vec<_>>())
        };
        assert_eq!((range(0.0, 0.9), range(0.0, 240.0)), ([0.0, 1.0], [0.0, 255.0]));
        let [low, high] = range(-20.0, 80.0);
        assert!((low + 19.0).abs() < 0.2 && (high - 79.0).abs() < 0.2);
        assert_eq!(stretch(f64::NAN, [0.0, 1.0]), 0);
    }
}
