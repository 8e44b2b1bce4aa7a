//! Searches a picture that is in memory, the way a raster is searched.

use image::imageops::{FilterType, resize};

use super::{Candidate, Chip, Criteria, Detector, PixelBox, Result, Seen, grid, merge};
use crate::raster::Rgb8;

/// What networks trained by Ultralytics see where there is no picture.
const PADDING: u8 = 114;
/// A difference between the GSDs that is not worth resampling for, as for a raster.
const SAME_GSD: f64 = 0.02;
/// Part of a chip's side that it shares with its neighbour, where a picture needs several.
const OVERLAP: f64 = 0.2;
/// IoU above which boxes of several chips are one thing.
const IOU: f64 = 0.5;

/// Finds everything on a picture, best first, in its pixels.
///
/// The picture is brought to the model's GSD where both are known, and cut into chips where it is larger than one.
///
/// # Errors
/// [`Error::Torch`](super::Error::Torch) when the model fails.
pub fn detect_picture(
    picture: &Rgb8,
    gsd_m: Option<f64>,
    detector: &dyn Detector,
    confidence: f64,
) -> Result<Vec<PixelBox>> {
    let spec = detector.spec();
    let scale = gsd_m.zip(spec.gsd_m).map_or(1.0, |(own, wanted)| own / wanted);
    let scale = if (scale - 1.0).abs() < SAME_GSD || !scale.is_finite() { 1.0 } else { scale };
    let resampled;
    let seen = if scale == 1.0 {
        picture
    } else {
        resampled = scaled(picture, scale);
        &resampled
    };
    let back = [picture.width as f64 / seen.width as f64, picture.height as f64 / seen.height as f64];
    let limit = [picture.width as f64, picture.height as f64];
    let criteria = Criteria { confidence: vec![confidence; spec.names.len()], iou: IOU };
    let mut candidates = Vec::new();
    for place in grid([seen.width, seen.height], spec.image_size, OVERLAP) {
        let [left, top] = [place.window.x as f64, place.window.y as f64];
        let chip =
            Chip { place, pixels: piece(seen, place.window.x as usize, place.window.y as usize, spec.image_size) };
        for Seen { found, .. } in detector.detect(std::slice::from_ref(&chip), &criteria)?.into_iter().flatten() {
            let moved = PixelBox {
                left: found.left + left,
                right: found.right + left,
                top: found.top + top,
                bottom: found.bottom + top,
                ..found
            };
            if !place.owns(moved.center()) {
                continue;
            }
            let onto = PixelBox {
                left: (moved.left * back[0]).clamp(0.0, limit[0]),
                right: (moved.right * back[0]).clamp(0.0, limit[0]),
                top: (moved.top * back[1]).clamp(0.0, limit[1]),
                bottom: (moved.bottom * back[1]).clamp(0.0, limit[1]),
                ..moved
            };
            if onto.area() > 0.0 {
                candidates.push(Candidate { seen: onto.into(), chip: place.index, cut: false });
            }
        }
    }
    Ok(merge(candidates, IOU).into_iter().map(|candidate| candidate.seen.found).collect())
}

fn scaled(picture: &Rgb8, scale: f64) -> Rgb8 {
    let size = [picture.width, picture.height].map(|length| ((length as f64 * scale).round() as u32).max(1));
    let whole = image::RgbImage::from_raw(picture.width as u32, picture.height as u32, picture.data.clone());
    let whole = whole.expect("a picture has three bytes a pixel");
    // A triangle as wide as the scale averages when it shrinks, as a raster does.
    let small = resize(&whole, size[0], size[1], FilterType::Triangle);
    Rgb8 { width: size[0] as usize, height: size[1] as usize, data: small.into_raw() }
}

/// Cuts a piece; what reaches outside the picture is grey.
fn piece(picture: &Rgb8, left: usize, top: usize, [width, height]: [usize; 2]) -> Rgb8 {
    let mut data = vec![PADDING; width * height * 3];
    let columns = width.min(picture.width.saturating_sub(left));
    for row in 0..height.min(picture.height.saturating_sub(top)) {
        let from = ((top + row) * picture.width + left) * 3;
        data[row * width * 3..(row * width + columns) * 3].copy_from_slice(&picture.data[from..from + columns * 3]);
    }
    Rgb8 { width, height, data }
}
