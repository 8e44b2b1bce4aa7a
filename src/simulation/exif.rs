//! Writes what a drone writes beside the pixels: EXIF and DJI's XMP.

use std::io::Cursor;

use chrono::Timelike as _;
use exif::{Field, In, Rational, Tag, Value, experimental::Writer};

use super::{Error, Result, camera::Camera, flight::Shot};

/// Returns the JPEG with EXIF and XMP segments put behind its first marker.
///
/// # Errors
/// [`Error::Metadata`] when the EXIF does not fit into a segment.
pub(crate) fn annotate(jpeg: &[u8], shot: &Shot, camera: &Camera) -> Result<Vec<u8>> {
    let exif = [b"Exif\0\0".as_slice(), &exif(shot, camera)?].concat();
    let xmp = [b"http://ns.adobe.com/xap/1.0/\0".as_slice(), xmp(shot).as_bytes()].concat();
    let mut photo = jpeg[..2].to_vec();
    for segment in [exif, xmp] {
        let length = u16::try_from(segment.len() + 2)
            .map_err(|_| Error::Metadata { photo: shot.name.clone(), reason: "a segment is over 64 KiB".to_owned() })?;
        photo.extend([0xff, 0xe1]);
        photo.extend(length.to_be_bytes());
        photo.extend(segment);
    }
    photo.extend(&jpeg[2..]);
    Ok(photo)
}

fn exif(shot: &Shot, camera: &Camera) -> Result<Vec<u8>> {
    let fields = fields(shot, camera);
    let mut writer = Writer::new();
    for field in &fields {
        writer.push_field(field);
    }
    let mut bytes = Cursor::new(Vec::new());
    writer
        .write(&mut bytes, true)
        .map_err(|error| Error::Metadata { photo: shot.name.clone(), reason: error.to_string() })?;
    Ok(bytes.into_inner())
}

fn fields(shot: &Shot, camera: &Camera) -> Vec<Field> {
    let time = shot.taken_at.format("%Y:%m:%d %H:%M:%S").to_string();
    let zone = shot.taken_at.format("%:z").to_string();
    let utc = shot.taken_at.to_utc();
    let [lon, lat] = shot.recorded.lonlat;
    let altitude = shot.recorded.absolute_altitude_m;
    let field = |tag: Tag, value: Value| Field { tag, ifd_num: In::PRIMARY, value };
    let text = |tag: Tag, text: &str| field(tag, Value::Ascii(vec![text.as_bytes().to_vec()]));
    let ratio = |tag: Tag, num: u32, denom: u32| field(tag, Value::Rational(vec![Rational { num, denom }]));
    let short = |tag: Tag, value: u16| field(tag, Value::Short(vec![value]));
    let whole = |n: u32| Rational { num: n, denom: 1 };
    vec![
        text(Tag::ImageDescription, "made by polder simulate"),
        text(Tag::Make, "DJI"),
        text(Tag::Model, camera.model),
        short(Tag::Orientation, 1),
        text(Tag::Software, concat!("polder ", env!("CARGO_PKG_VERSION"))),
        text(Tag::DateTime, &time),
        text(Tag::DateTimeOriginal, &time),
        text(Tag::DateTimeDigitized, &time),
        text(Tag::OffsetTime, &zone),
        text(Tag::OffsetTimeOriginal, &zone),
        text(Tag::SubSecTimeOriginal, &format!("{:03}", shot.taken_at.timestamp_subsec_millis())),
        ratio(Tag::ExposureTime, 1, 1000),
        ratio(Tag::FNumber, 56, 10),
        short(Tag::PhotographicSensitivity, 100),
        ratio(Tag::FocalLength, (camera.nominal_mm * 100.0).round() as u32, 100),
        short(Tag::FocalLengthIn35mmFilm, camera.nominal_35mm.round() as u16),
        field(Tag::PixelXDimension, Value::Long(vec![camera.width as u32])),
        field(Tag::PixelYDimension, Value::Long(vec![camera.height as u32])),
        field(Tag::GPSVersionID, Value::Byte(vec![2, 3, 0, 0])),
        text(Tag::GPSLatitudeRef, if lat < 0.0 { "S" } else { "N" }),
        field(Tag::GPSLatitude, Value::Rational(sexagesimal(lat))),
        text(Tag::GPSLongitudeRef, if lon < 0.0 { "W" } else { "E" }),
        field(Tag::GPSLongitude, Value::Rational(sexagesimal(lon))),
        field(Tag::GPSAltitudeRef, Value::Byte(vec![u8::from(altitude < 0.0)])),
        ratio(Tag::GPSAltitude, (altitude.abs() * 1000.0).round() as u32, 1000),
        field(Tag::GPSTimeStamp, Value::Rational([utc.hour(), utc.minute(), utc.second()].map(whole).to_vec())),
        text(Tag::GPSDateStamp, &utc.format("%Y:%m:%d").to_string()),
    ]
}

/// Returns degrees, minutes and seconds; seconds to a millionth, which is 0.03 mm on the ground.
fn sexagesimal(degrees: f64) -> Vec<Rational> {
    let micro = (degrees.abs() * 3600.0 * 1e6).round() as u64;
    let (whole, rest) = (micro / 3_600_000_000, micro % 3_600_000_000);
    let parts = [(whole, 1), (rest / 60_000_000, 1), (rest % 60_000_000, 1_000_000)];
    parts.map(|(num, denom)| Rational { num: num as u32, denom }).to_vec()
}

/// Returns the XMP packet, in the form of DJI's own: attributes, signs always written.
fn xmp(shot: &Shot) -> String {
    let r = &shot.recorded;
    let mut values = vec![
        ("GpsLatitude", format!("{:.9}", r.lonlat[1])),
        ("GpsLongitude", format!("{:.9}", r.lonlat[0])),
        ("AbsoluteAltitude", format!("{:+.3}", r.absolute_altitude_m)),
        ("RelativeAltitude", format!("{:+.3}", r.relative_altitude_m)),
        ("GimbalYawDegree", format!("{:+.2}", r.gimbal[0])),
        ("GimbalPitchDegree", format!("{:+.2}", r.gimbal[1])),
        ("GimbalRollDegree", format!("{:+.2}", r.gimbal[2])),
        ("FlightYawDegree", format!("{:+.2}", r.aircraft[0])),
        ("FlightPitchDegree", format!("{:+.2}", r.aircraft[1])),
        ("FlightRollDegree", format!("{:+.2}", r.aircraft[2])),
    ];
    if let Some([east, north, up]) = r.rtk_sigma_m {
        // 50 is a fixed solution.
        values.push(("RtkFlag", "50".to_owned()));
        values.push(("RtkStdLon", format!("{east:.5}")));
        values.push(("RtkStdLat", format!("{north:.5}")));
        values.push(("RtkStdHgt", format!("{up:.5}")));
    }
    let attributes: Vec<String> =
        values.iter().map(|(name, value)| format!("   drone-dji:{name}=\"{value}\"")).collect();
    format!(
        "<?xpacket begin=\"\u{feff}\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\n\
         <x:xmpmeta xmlns:x=\"adobe:ns:meta/\">\n \
         <rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">\n  \
         <rdf:Description rdf:about=\"polder\" xmlns:drone-dji=\"http://www.dji.com/drone-dji/1.0/\"\n{}/>\n \
         </rdf:RDF>\n</x:xmpmeta>\n<?xpacket end=\"w\"?>",
        attributes.join("\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        raster::{Rgb8, encode_jpeg, parse_metadata},
        simulation::{Gps, flight, landscape::Landscape, profile::Conditions, site::Site},
    };

    fn shot(gps: Gps) -> (Shot, Camera) {
        let camera = Camera::of(2, 400, 300);
        let conditions = Conditions::of(2, &[]);
        let layout = flight::Layout::of(2, &camera, 0.05, conditions.overlap);
        let landscape = Landscape::new(2, layout.well_seen_m());
        let shots = flight::fly(2, &landscape, &layout, gps, &conditions, &Site::new().unwrap());
        (shots[1].clone(), camera)
    }

    #[test]
    fn what_is_written_is_read_back() {
        let (shot, camera) = shot(Gps::Rtk);
        let jpeg = encode_jpeg(&Rgb8::new(400, 300), 90).unwrap();
        let read = parse_metadata(&annotate(&jpeg, &shot, &camera).unwrap()).unwrap();
        let lonlat = read.lonlat.unwrap();
        assert!(
            (lonlat[0] - shot.recorded.lonlat[0]).abs() < 1e-8 && (lonlat[1] - shot.recorded.lonlat[1]).abs() < 1e-8
        );
        assert_eq!(read.taken_at, Some(shot.taken_at.to_utc()));
        assert_eq!((read.rtk_flag, read.gps_sigma.unwrap().vertical_m), (Some(50), 0.02));
        assert!((read.relative_altitude_m.unwrap() - shot.recorded.relative_altitude_m).abs() < 1e-3);
        assert!((read.gimbal.unwrap().yaw_deg - shot.recorded.gimbal[0]).abs() < 0.01);
        assert!((read.focal_px.unwrap() / camera.focal_px - 1.0).abs() < 0.021);
        assert_eq!((read.width, read.height), (400, 300));
    }

    #[test]
    fn without_rtk_no_deviation_is_claimed() {
        assert!(!xmp(&shot(Gps::Standard).0).contains("Rtk"));
    }

    #[test]
    fn degrees_become_minutes_and_seconds() {
        let parts = sexagesimal(-5.504_166_75).iter().map(Rational::to_f64).collect::<Vec<_>>();
        assert_eq!(parts[..2], [5.0, 30.0]);
        assert!((parts[2] - 15.000_3).abs() < 1e-6, "{parts:?}");
    }
}
