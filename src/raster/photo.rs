//! Decodes the photos that cameras write.

use std::{fs, io::Cursor, path::Path};

use image::{ExtendedColorType, ImageEncoder as _, ImageFormat, ImageReader, codecs::jpeg::JpegEncoder};

use super::{Error, Result, Rgb8};

/// Reads a JPEG or TIFF photo, whole, as the sensor saw it: an EXIF orientation is not applied.
///
/// # Errors
/// [`Error::Read`], [`Error::NotAPhoto`], [`Error::Decode`].
pub fn read_photo(path: &Path) -> Result<Rgb8> {
    let bytes = fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    decode_photo(&bytes)
}

/// Decodes a JPEG or TIFF photo, as the sensor saw it: an EXIF orientation is not applied.
///
/// # Errors
/// [`Error::NotAPhoto`] when the bytes are something else, [`Error::Decode`] when they are damaged.
pub fn decode_photo(bytes: &[u8]) -> Result<Rgb8> {
    let format = image::guess_format(bytes).map_err(|_| Error::NotAPhoto)?;
    if !matches!(format, ImageFormat::Jpeg | ImageFormat::Tiff) {
        return Err(Error::NotAPhoto);
    }
    if format == ImageFormat::Jpeg && !ends_like_a_jpeg(bytes) {
        return Err(Error::Decode(image::ImageError::IoError(std::io::Error::new(
            std::io::ErrorKind::UnexpectedEof,
            "the end-of-image marker is missing",
        ))));
    }
    let picture = ImageReader::with_format(Cursor::new(bytes), format).decode().map_err(Error::Decode)?.into_rgb8();
    Ok(Rgb8 { width: picture.width() as usize, height: picture.height() as usize, data: picture.into_raw() })
}

/// Decoders fill up a truncated JPEG with grey and say nothing; a whole one has an end marker, though cameras
/// may append previews or padding after it.
fn ends_like_a_jpeg(bytes: &[u8]) -> bool {
    // In a truncated file the only end marker is the thumbnail's, inside the first 64 KiB segment.
    let scan_start = bytes.windows(2).rposition(|pair| pair == [0xff, 0xda]).unwrap_or(0);
    bytes[scan_start..].windows(2).any(|pair| pair == [0xff, 0xd9])
}

/// Encodes a picture as a baseline JPEG of the given quality (1-100).
///
/// # Errors
/// [`Error::Encode`] when the picture is larger than JPEG allows (65,535 on a side).
pub fn encode_jpeg(picture: &Rgb8, quality: u8) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality)
        .write_image(&picture.data, picture.width as u32, picture.height as u32, ExtendedColorType::Rgb8)
        .map_err(Error::Encode)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp() -> Rgb8 {
        let mut picture = Rgb8::new(64, 48);
        for (at, value) in picture.data.iter_mut().enumerate() {
            *value = (at / 3 % 64 * 4) as u8;
        }
        picture
    }

    #[test]
    fn a_jpeg_comes_back_nearly_the_same() {
        let back = decode_photo(&encode_jpeg(&ramp(), 95).unwrap()).unwrap();
        assert_eq!((back.width, back.height), (64, 48));
        assert!(back.data.iter().zip(&ramp().data).all(|(a, b)| a.abs_diff(*b) < 12));
    }

    #[test]
    fn a_truncated_jpeg_is_refused() {
        let bytes = encode_jpeg(&ramp(), 95).unwrap();
        assert!(matches!(decode_photo(&bytes[..bytes.len() * 2 / 3]), Err(Error::Decode(_))));
    }

    #[test]
    fn text_is_not_a_photo() {
        assert!(matches!(decode_photo(b"lat,lon\n52,5\n"), Err(Error::NotAPhoto)));
    }

    /// Red grows to the right, green falls downwards.
    fn drawn(x: usize, y: usize) -> [u8; 3] {
        [40 + 6 * x as u8, 200 - 6 * y as u8, 90]
    }

    fn assert_drawn(picture: &Rgb8, tolerance: u8, what: &str) {
        assert_eq!((picture.width, picture.height), (32, 24), "{what}");
        for (x, y) in [(2, 3), (16, 12), (29, 20), (30, 2)] {
            let (is, should) = (picture.pixel(x, y), drawn(x, y));
            assert!(is.iter().zip(should).all(|(a, b)| a.abs_diff(b) <= tolerance), "{what}: {is:?} {should:?}");
        }
    }

    #[test]
    fn progressive_and_four_colour_jpegs_are_decoded() {
        assert_drawn(&decode_photo(include_bytes!("photo/progressive.jpg")).unwrap(), 10, "progressive");
        assert_drawn(&decode_photo(include_bytes!("photo/cmyk.jpg")).unwrap(), 12, "four colours");
    }

    #[test]
    fn sixteen_bits_and_one_band_become_eight_bits_of_three() {
        use image::{DynamicImage, ImageBuffer, Luma, Rgb};
        let written = |picture: DynamicImage, format| {
            let mut bytes = Cursor::new(Vec::new());
            picture.write_to(&mut bytes, format).unwrap();
            decode_photo(&bytes.into_inner()).unwrap()
        };
        let deep =
            ImageBuffer::from_fn(32, 24, |x, y| Rgb(drawn(x as usize, y as usize).map(|value| u16::from(value) * 257)));
        assert_drawn(&written(DynamicImage::ImageRgb16(deep), ImageFormat::Tiff), 0, "16 bits");
        let grey = ImageBuffer::from_fn(32, 24, |x, _| Luma([40 + 6 * x as u8]));
        for format in [ImageFormat::Jpeg, ImageFormat::Tiff] {
            let picture = written(DynamicImage::ImageLuma8(grey.clone()), format);
            let [red, green, blue] = picture.pixel(16, 12);
            assert!(red == green && green == blue && red.abs_diff(136) < 6, "{:?}", picture.pixel(16, 12));
        }
    }

    #[test]
    fn mirrored_twice_is_as_before() {
        let whole = ramp();
        let mut mirrored = whole.clone();
        mirrored.mirror();
        assert_eq!((mirrored.pixel(0, 5), mirrored.pixel(63, 7)), (whole.pixel(63, 5), whole.pixel(0, 7)));
        mirrored.mirror();
        assert_eq!(mirrored, whole);
    }
}
