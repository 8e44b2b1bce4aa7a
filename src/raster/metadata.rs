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
        focal_px: focal_px(xmp, focal_length_35mm, &number, width.max(height)),
        gps_sigma: gps_sigma(xmp),
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

/// `GPSAltitudeRef` 1 means below sea level.
fn exif_altitude(number: &impl Fn(Tag) -> Option<f64>) -> Option<f64> {
    let altitude = number(Tag::GPSAltitude)?;
    Some(if number(Tag::GPSAltitudeRef) == Some(1.0) { -altitude } else { altitude })
}

fn attitude(xmp: &Xmp, of: &str) -> Option<Attitude> {
    Some(Attitude {
        yaw_deg: xmp.number(&format!("{of}YawDegree"))?,
        pitch_deg: xmp.number(&format!("{of}PitchDegree"))?,
        roll_deg: xmp.number(&format!("{of}RollDegree"))?,
    })
}

fn gps_sigma(xmp: &Xmp) -> Option<GpsSigma> {
    let (lon, lat) = xmp.number("RtkStdLon").zip(xmp.number("RtkStdLat"))?;
    let sigma = GpsSigma { horizontal_m: lon.max(lat), vertical_m: xmp.number("RtkStdHgt")? };
    (sigma.horizontal_m > 0.0 && sigma.vertical_m > 0.0).then_some(sigma)
}

/// In order of trust: DJI's calibration in pixels, the 35 mm equivalent, the focal plane resolution.
fn focal_px(
    xmp: &Xmp,
    equivalent_mm: Option<f64>,
    number: &impl Fn(Tag) -> Option<f64>,
    long_side: u32,
) -> Option<f64> {
    let calibrated = xmp.number("CalibratedFocalLength").filter(|f| *f > 0.0);
    let from_equivalent = || equivalent_mm.map(|mm| mm / FULL_FRAME_WIDTH_MM * f64::from(long_side));
    let from_plane = || {
        // Unit 3 is centimetres, 2 inches.
        let unit_mm = if number(Tag::FocalPlaneResolutionUnit) == Some(3.0) { 10.0 } else { 25.4 };
        Some(number(Tag::FocalLength)? * number(Tag::FocalPlaneXResolution)? / unit_mm)
    };
    calibrated.or_else(from_equivalent).or_else(from_plane).filter(|f| f.is_finite() && *f > 0.0)
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
