//! What cameras, firmwares and editors write beside the pixels.

use exif::{Field, Rational, experimental::Writer};

use super::*;
use crate::raster::{Rgb8, encode_jpeg};

fn whole(tag: Tag, value: u32) -> Field {
    Field { tag, ifd_num: In::PRIMARY, value: Value::Long(vec![value]) }
}

fn ratio(tag: Tag, parts: &[(u32, u32)]) -> Field {
    let parts = parts.iter().map(|&(num, denom)| Rational { num, denom }).collect();
    Field { tag, ifd_num: In::PRIMARY, value: Value::Rational(parts) }
}

fn text(tag: Tag, text: &str) -> Field {
    Field { tag, ifd_num: In::PRIMARY, value: Value::Ascii(vec![text.as_bytes().to_vec()]) }
}

/// What is read of a photo of 400 × 300 pixels with these fields and these attributes of DJI's.
fn read(fields: &[Field], attributes: &str) -> PhotoMetadata {
    let maker = text(Tag::Make, "maker");
    let mut writer = Writer::new();
    writer.push_field(&maker);
    for field in fields {
        writer.push_field(field);
    }
    let mut tiff = Cursor::new(Vec::new());
    writer.write(&mut tiff, false).unwrap();
    let exif = [b"Exif\0\0".to_vec(), tiff.into_inner()].concat();
    let xmp = format!(
        "http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x=\"adobe:ns:meta/\"><rdf:RDF><rdf:Description {attributes}/>\
         </rdf:RDF></x:xmpmeta>"
    );
    let jpeg = encode_jpeg(&Rgb8::new(400, 300), 90).unwrap();
    let mut photo = jpeg[..2].to_vec();
    for segment in [exif, xmp.into_bytes()] {
        photo.extend([0xff, 0xe1]);
        photo.extend((segment.len() as u16 + 2).to_be_bytes());
        photo.extend(segment);
    }
    photo.extend(&jpeg[2..]);
    parse_metadata(&photo).unwrap()
}

fn truncated_position() -> Vec<Field> {
    vec![
        text(Tag::GPSLatitudeRef, "S"),
        ratio(Tag::GPSLatitude, &[(33, 1), (51, 1), (25, 1)]),
        text(Tag::GPSLongitudeRef, "E"),
        ratio(Tag::GPSLongitude, &[(151, 1), (12, 1), (40, 1)]),
    ]
}

#[test]
fn the_whole_position_of_the_xmp_wins_over_a_truncated_one() {
    let xmp = r#"drone-dji:GpsLatitude="-33.857012345" drone-dji:GpsLongtitude="+151.211298765""#;
    assert_eq!(read(&truncated_position(), xmp).lonlat, Some([151.211_298_765, -33.857_012_345]));
    let [lon, lat] = read(&truncated_position(), "").lonlat.unwrap();
    assert!((lon - 151.211_111).abs() < 1e-6 && (lat + 33.856_944).abs() < 1e-6, "{lon} {lat}");
    let no_fix = r#"drone-dji:GpsLatitude="0.0" drone-dji:GpsLongitude="0.0""#;
    assert!((read(&truncated_position(), no_fix).lonlat.unwrap()[0] - lon).abs() < 1e-9, "zeros are no position");
}

#[test]
fn heights_below_the_sea_are_below_it() {
    let altitude = |reference: u32| {
        let reference =
            Field { tag: Tag::GPSAltitudeRef, ifd_num: In::PRIMARY, value: Value::Byte(vec![reference as u8]) };
        read(&[reference, ratio(Tag::GPSAltitude, &[(35, 10)])], "").absolute_altitude_m
    };
    assert_eq!([altitude(0), altitude(1), altitude(3)], [Some(3.5), Some(-3.5), Some(-3.5)]);
}

#[test]
fn a_factory_calibration_is_read_in_pixels_of_the_stored_size() {
    let dewarp = r#"drone-dji:DewarpData="2021-03-22;370.0,371.0,2.0,-4.0,-0.11,0.02,-0.0001,0.0002,-0.03""#;
    let size = [whole(Tag::PixelXDimension, 800), whole(Tag::PixelYDimension, 600)];
    let own = read(&[], dewarp).calibration.unwrap();
    assert_eq!((own.focal_px, own.axis_px), (370.5, [2.0, -4.0]));
    assert_eq!((own.k, own.p), ([-0.11, 0.02, -0.03], [-0.0001, 0.0002]));
    let halved = read(&size, dewarp).calibration.unwrap();
    assert_eq!((halved.focal_px, halved.axis_px, halved.k), (185.25, [1.0, -2.0], own.k));
    let straightened = read(&[], &format!("{dewarp} drone-dji:DewarpFlag=\"1\"")).calibration.unwrap();
    assert_eq!((straightened.k, straightened.p), ([0.0; 3], [0.0; 2]));
    assert_eq!(read(&[], r#"drone-dji:DewarpData="2021;1,2,3""#).calibration, None);
}

#[test]
fn a_focal_length_of_another_frame_is_not_taken() {
    let equivalent = || whole(Tag::FocalLengthIn35mmFilm, 24);
    // 24 mm of 36 mm on 400 pixels are 267 pixels.
    let calibrated = |focal: f64| format!("drone-dji:CalibratedFocalLength=\"{focal}\"");
    assert_eq!(read(&[equivalent()], &calibrated(280.0)).focal_px, Some(280.0));
    assert!((read(&[equivalent()], &calibrated(3666.7)).focal_px.unwrap() - 266.67).abs() < 0.01);
    assert_eq!(read(&[], &calibrated(280.0)).focal_px, Some(280.0));
    let plane = [
        ratio(Tag::FocalLength, &[(88, 10)]),
        ratio(Tag::FocalPlaneXResolution, &[(303, 1)]),
        whole(Tag::FocalPlaneResolutionUnit, 3),
    ];
    assert!((read(&plane, "").focal_px.unwrap() - 266.64).abs() < 0.01);
}

#[test]
fn sigmas_come_from_whoever_writes_them() {
    let sigma = |fields: &[Field], xmp: &str| read(fields, xmp).gps_sigma.map(|s| [s.horizontal_m, s.vertical_m]);
    let dji = r#"drone-dji:RtkStdLon="0.011" drone-dji:RtkStdLat="0.012" drone-dji:RtkStdHgt="0.025""#;
    let pix4d = r#"Camera:GPSXYAccuracy="0.04" Camera:GPSZAccuracy="0.06""#;
    let exif = [ratio(Tag::GPSHPositioningError, &[(47, 10)])];
    assert_eq!(sigma(&exif, dji), Some([0.012, 0.025]));
    assert_eq!(sigma(&exif, pix4d), Some([0.04, 0.06]));
    assert_eq!(sigma(&exif, ""), Some([4.7, 9.4]));
    assert_eq!(sigma(&[], ""), None);
}
