//! The orthophoto, small enough to be carried inside the page.

use std::path::Path;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{Report, open, text::round_below};
use crate::raster::{Raster, Result, Rgb8, Rgba8, encode_jpeg};

/// A JPEG of the orthophoto and the outline of what it covers.
pub struct Picture {
    jpeg: Vec<u8>,
    size: [usize; 2],
    /// An SVG path around the covered pixels.
    outline: String,
}

/// Longer side in pixels, and the most bytes of the JPEG: base64 adds a third, and a page should pass as a mail.
const SIDE: usize = 1200;
const MOST_BYTES: usize = 150_000;
/// Qualities to try, and by how much to shrink when even the last is too large.
const QUALITIES: [u8; 4] = [82, 74, 64, 52];
const SHRINK: f64 = 0.8;
/// Rows of the outline: finer than the eye sees, and a few kilobytes.
const OUTLINE_ROWS: usize = 300;
/// Under the parts that no photo covers; the outline cuts them away.
const NEUTRAL: [u8; 3] = [128; 3];

impl Picture {
    /// Makes the picture of an orthophoto from its overviews.
    ///
    /// # Errors
    /// When the orthophoto cannot be read.
    pub fn of(orthophoto: &Path) -> Result<Self> {
        let raster = Raster::open(orthophoto)?;
        let mut side = SIDE;
        loop {
            let overview = raster.overview(side)?;
            let rgb = over_neutral(&overview);
            for quality in QUALITIES {
                let jpeg = encode_jpeg(&rgb, quality)?;
                if jpeg.len() <= MOST_BYTES || side < 64 {
                    return Ok(Self { jpeg, size: [rgb.width, rgb.height], outline: outline(&overview) });
                }
            }
            side = (side as f64 * SHRINK) as usize;
        }
    }

    /// Shows the picture with a scale bar.
    pub(super) fn show(&self, out: &mut String, report: &Report) {
        let [width, height] = self.size;
        open(
            out,
            "picture",
            "Orthophoto",
            "A small copy; grid north is up. Where nothing is drawn, no photo saw the ground.",
        );
        // Scale bar and words are part of the drawing, so that they shrink with it.
        let per_metre = width as f64 / (report.size_px[0] as f64 * report.gsd_m);
        let bar_m = round_below(width as f64 / 4.0 / per_metre);
        let (letter, bar) = ((width.max(height) as f64 / 55.0).max(6.0), bar_m * per_metre);
        let foot = height as f64 + 1.8 * letter;
        put!(
            out,
            "<figure><svg class=\"picture\" role=\"img\" aria-label=\"The orthophoto\" viewBox=\"0 0 {width} {:.0}\" width=\"{width}\" height=\"{:.0}\">\
             <defs><clipPath id=\"covered\"><path d=\"{}\"/></clipPath></defs>\
             <image width=\"{width}\" height=\"{height}\" clip-path=\"url(#covered)\" href=\"data:image/jpeg;base64,{}\"/>\n\
             <path class=\"scale\" style=\"stroke-width:{:.1}\" d=\"M{letter:.1} {:.1}v{:.1}h{bar:.1}v-{:.1}\"/>\
             <text style=\"font-size:{letter:.1}px\" x=\"{:.1}\" y=\"{foot:.1}\">{bar_m} m</text></svg></figure></section>\n",
            foot + letter,
            foot + letter,
            self.outline,
            STANDARD.encode(&self.jpeg),
            letter / 8.0,
            foot - 0.5 * letter,
            0.5 * letter,
            0.5 * letter,
            1.5 * letter + bar,
        );
    }
}

fn over_neutral(picture: &Rgba8) -> Rgb8 {
    let mut rgb = Rgb8::new(picture.width, picture.height);
    for (to, from) in rgb.data.chunks_exact_mut(3).zip(picture.data.chunks_exact(4)) {
        to.copy_from_slice(if from[3] == 0 { &NEUTRAL } else { &from[..3] });
    }
    rgb
}

/// The covered pixels as runs of rows.
fn outline(picture: &Rgba8) -> String {
    let step = picture.height.div_ceil(OUTLINE_ROWS).max(1);
    let mut path = String::new();
    for top in (0..picture.height).step_by(step) {
        let row = (top + step / 2).min(picture.height - 1) * picture.width;
        let covered = |x: usize| x < picture.width && picture.data[4 * (row + x) + 3] != 0;
        let mut start = None;
        for x in 0..=picture.width {
            match (start, covered(x)) {
                (None, true) => start = Some(x),
                (Some(from), false) => {
                    // A little over the next row, so that no hairline shows between them.
                    put!(path, "M{from} {top}h{}v{step}.5h-{}z", x - from, x - from);
                    start = None;
                }
                _ => {}
            }
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outline_follows_what_is_covered() {
        let mut picture = Rgba8::new(4, 2);
        for x in [1, 2] {
            picture.data[4 * x + 3] = 255;
        }
        picture.data[4 * 7 + 3] = 255;
        assert_eq!(outline(&picture), "M1 0h2v1.5h-2zM3 1h1v1.5h-1z");
        assert_eq!(over_neutral(&picture).pixel(0, 0), NEUTRAL);
    }
}
