//! What a camera writes beside the pixels: place, attitude, time, optics.

use std::{
    fs::File,
    io::{Cursor, Read as _},
    path::Path,
};

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, Utc};
use exif::{Exif, In, Tag, Value};
use serde::Serialize;

use super::{Error, Result, xmp::Xmp};

/// EXIF and XMP stand in the first segments of a JPEG; cameras put megabytes of previews behind the pixels.
const HEAD_BYTES: u64 = 512 * 1024;

/// Width of a full-frame sensor in millimetres, which "35 mm equivalent" refers to.
const FULL_FRAME_WIDTH_MM: f64 = 36.0;

/// An attitude as DJI writes it, in degrees.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Attitude {
    /// Clockwise from true north.
    pub yaw_deg: f64,
    /// 0 looks at the horizon; a gimbal at -90 looks straight down.
    pub pitch_deg: f64,
    pub roll_deg: f64,
}

/// Standard deviations of a position as an RTK receiver states them, in metres.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GpsSigma {
    pub horizontal_m: f64,
    pub vertical_m: f64,
}

/// A lens as the factory measured it, from DJI's `DewarpData`, in pixels of the stored size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LensCalibration {
    pub focal_px: f64,
    /// The optical axis from the middle of the photo, right and down.
    pub axis_px: [f64; 2],
    /// Radial and tangential distortion, in Brown's order and `OpenCV`'s signs; zero in photos that the camera straightened.
    pub k: [f64; 3],
    pub p: [f64; 2],
}

/// What a photo says about itself. Everything that a camera may leave out is optional.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PhotoMetadata {
    /// Size as stored, in pixels.
    pub width: u32,
    pub height: u32,
    pub make: Option<String>,
    pub model: Option<String>,
    pub serial: Option<String>,
    pub taken_at: Option<DateTime<Utc>>,
    /// Whether the time came with a zone or from GPS; without, the camera's clock is taken as UTC.
    pub time_has_zone: bool,
    /// `[longitude, latitude]`, WGS 84 degrees.
    pub lonlat: Option<[f64; 2]>,
    /// As the drone says: barometric, orthometric or ellipsoidal, often tens of metres off.
    pub absolute_altitude_m: Option<f64>,
    /// Height above the take-off point.
    pub relative_altitude_m: Option<f64>,
    pub gimbal: Option<Attitude>,
    pub aircraft: Option<Attitude>,
    pub focal_length_mm: Option<f64>,
    pub focal_length_35mm: Option<f64>,
    /// Focal length in pixels of the stored size, from the calibration in the XMP or the 35 mm equivalent.
    pub focal_px: Option<f64>,
    pub calibration: Option<LensCalibration>,
    pub gps_sigma: Option<GpsSigma>,
    /// DJI's `RtkFlag`: 50 is a fixed solution, 34 a float one, 16 single.
    pub rtk_flag: Option<u32>,
    /// EXIF orientation, 1-8; 1 when absent.
    pub orientation: u16,
    /// Percent, when the file says it.
    pub cloud_cover: Option<f64>,
    pub iso: Option<u32>,
    pub exposure_time_s: Option<f64>,
}

/// Reads the metadata of a JPEG or TIFF photo; of a JPEG only the first half megabyte is read.
///
/// # Errors
/// [`Error::Read`] when the file cannot be read, [`Error::NotAPhoto`] when it is neither a JPEG nor a TIFF.
pub fn read_metadata(path: &Path) -> Result<PhotoMetadata> {
    let io = |source| Error::Read { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(io)?;
    let mut head = Vec::new();
    (&mut file).take(HEAD_BYTES).read_to_end(&mut head).map_err(io)?;
    if is_tiff(&head) {
        // A TIFF's directory may stand anywhere.
        file.read_to_end(&mut head).map_err(io)?;
    }
    parse_metadata(&head)
}

/// Reads the metadata from a photo's bytes; of a JPEG the first half megabyte is enough.
///
/// # Errors
/// [`Error::NotAPhoto`] when the bytes are neither a JPEG nor a TIFF.
pub fn parse_metadata(bytes: &[u8]) -> Result<PhotoMetadata> {
    let is_jpeg = bytes.starts_with(&[0xff, 0xd8, 0xff]);
    if !is_jpeg && !is_tiff(bytes) {
        return Err(Error::NotAPhoto);
    }
    let mut reader = exif::Reader::new();
    reader.continue_on_error(true);
    let exif = match reader.read_from_container(&mut Cursor::new(bytes)) {
        Ok(exif) => Some(exif),
        Err(exif::Error::PartialResult(partial)) => Some(partial.into_inner().0),
        Err(_) => None,
    };
    let xmp = Xmp::find(bytes);
    let size = image::ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .ok()
        .and_then(|reader| reader.into_dimensions().ok());
    Ok(assemble(exif.as_ref(), &xmp, size.unwrap_or_default()))
}

fn is_tiff(bytes: &[u8]) -> bool {
    [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"].iter().any(|magic| bytes.starts_with(*magic))
}

fn assemble(exif: Option<&Exif>, xmp: &Xmp, (width, height): (u32, u32)) -> PhotoMetadata {
    let number = |tag| exif.and_then(|e| e.get_field(tag, In::PRIMARY)).and_then(|f| first_number(&f.value));
    let text = |tag| exif.and_then(|e| e.get_field(tag, In::PRIMARY)).and_then(|f| first_text(&f.value));
    let focal_length_35mm = number(Tag::FocalLengthIn35mmFilm).filter(|f| *f > 0.0);
    let time = exif.and_then(|e| taken_at(e, &text));
    // Calibrations are in pixels of the frame that the camera wrote: an editor may have made it smaller.
    let long_side = f64::from(width.max(height));
    let written = number(Tag::PixelXDimension).zip(number(Tag::PixelYDimension)).map(|(x, y)| x.max(y));
    let shrunk = written.filter(|written| *written > 0.0 && long_side > 0.0).map_or(1.0, |written| long_side / written);
    PhotoMetadata {
        width,
        height,
        make: text(Tag::Make),
        model: text(Tag::Model),
        serial: text(Tag::BodySerialNumber).or_else(|| xmp.text("CameraSerialNumber").map(str::to_owned)),
        taken_at: time.map(|(at, _)| at),
        time_has_zone: time.is_some_and(|(_, zoned)| zoned),
        lonlat: position(exif, xmp),
        absolute_altitude_m: xmp.number("AbsoluteAltitude").or_else(|| exif_altitude(&number)),
        relative_altitude_m: xmp.number("RelativeAltitude"),
        gimbal: attitude(xmp, "Gimbal"),
        aircraft: attitude(xmp, "Flight"),
        focal_length_mm: number(Tag::FocalLength).filter(|f| *f > 0.0),
        focal_length_35mm,
        focal_px: focal_px(xmp, focal_length_35mm, &number, long_side, shrunk),
        calibration: calibration(xmp, shrunk),
        gps_sigma: gps_sigma(xmp, &number),
        rtk_flag: xmp.number("RtkFlag").map(|flag| flag as u32),
        orientation: number(Tag::Orientation).map_or(1, |o| o as u16),
        cloud_cover: xmp.number("CloudCover").filter(|c| (0.0..=100.0).contains(c)),
        iso: number(Tag::PhotographicSensitivity).map(|iso| iso as u32),
        exposure_time_s: number(Tag::ExposureTime),
    }
}

/// The XMP position wins: some firmware truncates the EXIF one to whole seconds. (0, 0) means "no fix".
fn position(exif: Option<&Exif>, xmp: &Xmp) -> Option<[f64; 2]> {
    let from_xmp = xmp
        .number("GpsLongitude")
        // The misspelling is DJI's own, in several firmwares.
        .or_else(|| xmp.number("GpsLongtitude"))
        .zip(xmp.number("GpsLatitude"))
        .map(|(lon, lat)| [lon, lat]);
    let from_exif = || {
        let exif = exif?;
        let lon = degrees(exif, Tag::GPSLongitude, Tag::GPSLongitudeRef, b'W')?;
        let lat = degrees(exif, Tag::GPSLatitude, Tag::GPSLatitudeRef, b'S')?;
        Some([lon, lat])
    };
    let is_a_place = |[lon, lat]: &[f64; 2]| {
        (-180.0..=180.0).contains(lon) && (-90.0..=90.0).contains(lat) && (*lon != 0.0 || *lat != 0.0)
    };
    from_xmp.filter(is_a_place).or_else(from_exif).filter(is_a_place)
}

fn degrees(exif: &Exif, tag: Tag, reference: Tag, negative: u8) -> Option<f64> {
    let Value::Rational(parts) = &exif.get_field(tag, In::PRIMARY)?.value else { return None };
    let part = |i: usize| parts.get(i).map_or(0.0, exif::Rational::to_f64);
    if parts.is_empty() || !(part(0).is_finite() && part(1).is_finite() && part(2).is_finite()) {
        return None;
    }
    let value = part(0) + part(1) / 60.0 + part(2) / 3600.0;
    let is_negative = matches!(
        exif.get_field(reference, In::PRIMARY).map(|f| &f.value),
        Some(Value::Ascii(v)) if v.first().and_then(|s| s.first()) == Some(&negative)
    );
    Some(if is_negative { -value } else { value })
}

/// `GPSAltitudeRef` 1 means below sea level, 3 below the ellipsoid.
fn exif_altitude(number: &impl Fn(Tag) -> Option<f64>) -> Option<f64> {
    let altitude = number(Tag::GPSAltitude)?;
    let below = number(Tag::GPSAltitudeRef).is_some_and(|reference| reference == 1.0 || reference == 3.0);
    Some(if below { -altitude } else { altitude })
}

fn attitude(xmp: &Xmp, of: &str) -> Option<Attitude> {
    Some(Attitude {
        yaw_deg: xmp.number(&format!("{of}YawDegree"))?,
        pitch_deg: xmp.number(&format!("{of}PitchDegree"))?,
        roll_deg: xmp.number(&format!("{of}RollDegree"))?,
    })
}

/// One sigma by DJI's RTK tags, or the accuracies that mapping cameras and phones write.
fn gps_sigma(xmp: &Xmp, number: &impl Fn(Tag) -> Option<f64>) -> Option<GpsSigma> {
    let dji = || {
        let (lon, lat) = xmp.number("RtkStdLon").zip(xmp.number("RtkStdLat"))?;
        Some(GpsSigma { horizontal_m: lon.max(lat), vertical_m: xmp.number("RtkStdHgt")? })
    };
    let pix4d =
        || Some(GpsSigma { horizontal_m: xmp.number("GPSXYAccuracy")?, vertical_m: xmp.number("GPSZAccuracy")? });
    // EXIF knows one number; heights by satellite are about half as good.
    let exif = || {
        let error = number(Tag::GPSHPositioningError)?;
        Some(GpsSigma { horizontal_m: error, vertical_m: 2.0 * error })
    };
    let usable = |sigma: &GpsSigma| sigma.horizontal_m > 0.0 && sigma.vertical_m > 0.0;
    dji().filter(usable).or_else(|| pix4d().filter(usable)).or_else(|| exif().filter(usable))
}

/// `DewarpData` is a date and nine numbers: fx, fy, cx, cy (from the middle), k1, k2, p1, p2, k3.
fn calibration(xmp: &Xmp, shrunk: f64) -> Option<LensCalibration> {
    let text = xmp.text("DewarpData")?;
    let numbers: Vec<f64> =
        text.rsplit(';').next()?.split(',').map(|number| number.trim().parse().ok()).collect::<Option<_>>()?;
    let [fx, fy, cx, cy, k1, k2, p1, p2, k3] = numbers.try_into().ok()?;
    let straightened = xmp.number("DewarpFlag") == Some(1.0);
    let usable = fx > 0.0 && fy > 0.0 && (fx / fy - 1.0).abs() < 0.01;
    usable.then_some(LensCalibration {
        focal_px: 0.5 * (fx + fy) * shrunk,
        axis_px: [cx * shrunk, cy * shrunk],
        k: if straightened { [0.0; 3] } else { [k1, k2, k3] },
        p: if straightened { [0.0; 2] } else { [p1, p2] },
    })
}

/// Two sources of a focal length that differ by more than this are not of one frame.
const FOCAL_DIFFERS: f64 = 0.15;

/// In order of trust: DJI's calibration in pixels, the 35 mm equivalent, the focal plane resolution.
///
/// A calibration that the 35 mm equivalent contradicts is of a frame of another size, and the equivalent is taken.
fn focal_px(
    xmp: &Xmp,
    equivalent_mm: Option<f64>,
    number: &impl Fn(Tag) -> Option<f64>,
    long_side: f64,
    shrunk: f64,
) -> Option<f64> {
    let equivalent = equivalent_mm.map(|mm| mm / FULL_FRAME_WIDTH_MM * long_side);
    let agrees = |focal: &f64| equivalent.is_none_or(|equivalent| (focal / equivalent).ln().abs() < FOCAL_DIFFERS);
    let calibrated =
        xmp.number("CalibratedFocalLength").map(|focal| focal * shrunk).filter(|f| *f > 0.0).filter(agrees);
    let from_plane = || {
        // Unit 3 is centimetres, 2 inches.
        let unit_mm = if number(Tag::FocalPlaneResolutionUnit) == Some(3.0) { 10.0 } else { 25.4 };
        Some(number(Tag::FocalLength)? * number(Tag::FocalPlaneXResolution)? / unit_mm * shrunk)
    };
    calibrated.or(equivalent).or_else(from_plane).filter(|f| f.is_finite() && *f > 0.0)
}

/// Returns the moment of exposure, and whether the file says in which zone its clock ran.
///
/// In order of trust: the local time with its offset, the GPS time, the local time taken as UTC.
fn taken_at(exif: &Exif, text: &impl Fn(Tag) -> Option<String>) -> Option<(DateTime<Utc>, bool)> {
    let local = text(Tag::DateTimeOriginal).or_else(|| text(Tag::DateTime)).and_then(|t| parse_time(&t, text));
    let zone = text(Tag::OffsetTimeOriginal).or_else(|| text(Tag::OffsetTime)).and_then(|z| parse_zone(&z));
    if let (Some(local), Some(zone)) = (local, zone) {
        return Some((local.and_local_timezone(zone).single()?.to_utc(), true));
    }
    if let Some(at) = gps_time(exif, text) {
        return Some((at, true));
    }
    local.map(|local| (local.and_utc(), false))
}

fn parse_time(time: &str, text: &impl Fn(Tag) -> Option<String>) -> Option<NaiveDateTime> {
    let whole = NaiveDateTime::parse_from_str(time.trim(), "%Y:%m:%d %H:%M:%S").ok()?;
    let fraction = text(Tag::SubSecTimeOriginal)
        .and_then(|digits| format!("0.{}", digits.trim()).parse::<f64>().ok())
        .filter(|f| (0.0..1.0).contains(f));
    Some(whole + chrono::TimeDelta::milliseconds((fraction.unwrap_or(0.0) * 1000.0) as i64))
}

fn parse_zone(zone: &str) -> Option<FixedOffset> {
    zone.trim().parse().ok()
}

fn gps_time(exif: &Exif, text: &impl Fn(Tag) -> Option<String>) -> Option<DateTime<Utc>> {
    let date = NaiveDate::parse_from_str(text(Tag::GPSDateStamp)?.trim(), "%Y:%m:%d").ok()?;
    let Value::Rational(parts) = &exif.get_field(Tag::GPSTimeStamp, In::PRIMARY)?.value else { return None };
    let [hour, minute, second] = parts.as_slice() else { return None };
    let time = date.and_hms_opt(hour.to_f64() as u32, minute.to_f64() as u32, second.to_f64() as u32)?;
    Some(time.and_utc())
}

fn first_number(value: &Value) -> Option<f64> {
    match value {
        Value::Rational(v) => v.first().map(exif::Rational::to_f64),
        Value::SRational(v) => v.first().map(exif::SRational::to_f64),
        Value::Double(v) => v.first().copied(),
        Value::Float(v) => v.first().map(|f| f64::from(*f)),
        other => other.get_uint(0).map(f64::from),
    }
    .filter(|number| number.is_finite())
}

fn first_text(value: &Value) -> Option<String> {
    let Value::Ascii(parts) = value else { return None };
    let text = String::from_utf8_lossy(parts.first()?);
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests;
