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
}
