//! Draws findings onto a small picture of their raster, for a first look without a map.

use super::{
    Finding, Result,
    font::{ADVANCE, GLYPH, has_ink},
};
use crate::raster::{Raster, Rgb8, Rgba8, encode_jpeg};

/// Longest side of the picture: a screen and a bit.
const MAX_SIDE: usize = 2000;
const QUALITY: u8 = 85;

/// Side of a dot of the alphabet, and width of a frame, in pixels.
const DOT: usize = 2;

/// Shown where the raster has no data.
const PAPER: [u8; 3] = [255; 3];

/// Frame colours, one for each class in order of appearance: far apart for most eyes, and from grass and water.
/// After Okabe and Ito, "Color Universal Design" (2008), without their greens and blues.
const COLOURS: [[u8; 3]; 4] = [[230, 30, 60], [255, 190, 0], [204, 121, 167], [255, 255, 255]];

/// Returns a JPEG of the whole raster, at most 2000 pixels on a side, with a labelled frame around each finding.
///
/// Classes take their colours in alphabetical order, so that two runs look alike.
///
/// # Errors
/// [`Error::Raster`](super::Error::Raster) when the raster cannot be read.
pub fn annotate(raster: &Raster, findings: &[Finding]) -> Result<Vec<u8>> {
    let picture = raster.overview(MAX_SIDE)?;
    let scale = picture.width.max(picture.height) as f64 / raster.size()[0].max(raster.size()[1]) as f64;
    let mut picture = on_paper(&picture);
    draw(&mut picture, findings, scale);
    Ok(encode_jpeg(&picture, QUALITY)?)
}

fn on_paper(picture: &Rgba8) -> Rgb8 {
    let data = picture.data.chunks_exact(4).flat_map(|p| if p[3] == 0 { PAPER } else { [p[0], p[1], p[2]] }).collect();
    Rgb8 { width: picture.width, height: picture.height, data }
}

fn draw(picture: &mut Rgb8, findings: &[Finding], scale: f64) {
    let mut classes: Vec<&str> = findings.iter().map(|finding| finding.class.as_str()).collect();
    classes.sort_unstable();
    classes.dedup();
    // The most confident come last, on top.
    for finding in findings.iter().rev() {
        let class = classes.binary_search(&finding.class.as_str()).expect("all classes were collected");
        let colour = COLOURS[class % COLOURS.len()];
        let corners = finding.pixel_box.map(|side| (side * scale).round() as isize);
        frame(picture, corners, colour);
        let text = format!("{} {:.0} %", finding.class, finding.confidence * 100.0);
        label(picture, corners, &text, colour);
    }
}

fn frame(picture: &mut Rgb8, [left, top, right, bottom]: [isize; 4], colour: [u8; 3]) {
    let dot = DOT as isize;
    fill(picture, [left - dot, top - dot, right + dot, top], colour);
    fill(picture, [left - dot, bottom, right + dot, bottom + dot], colour);
    fill(picture, [left - dot, top, left, bottom], colour);
    fill(picture, [right, top, right + dot, bottom], colour);
}

/// Writes the text in black on the frame's colour, above the box where there is room, else below, and inside
/// the picture as far as it fits.
fn label(picture: &mut Rgb8, [left, top, _, bottom]: [isize; 4], text: &str, colour: [u8; 3]) {
    let dot = DOT as isize;
    let width = (text.chars().count() * ADVANCE + 1) as isize * dot;
    let height = (GLYPH[1] + 2) as isize * dot;
    let x = (left - dot).min(picture.width as isize - width).max(0);
    let y = if top - dot >= height { top - dot - height } else { bottom + dot };
    fill(picture, [x, y, x + width, y + height], colour);
    for (i, letter) in text.chars().enumerate() {
        for at in (0..GLYPH[0] * GLYPH[1]).map(|dot| [dot % GLYPH[0], dot / GLYPH[0]]) {
            if has_ink(letter, at) {
                let [column, row] = [(i * ADVANCE + 1 + at[0]) as isize, (at[1] + 1) as isize].map(|d| d * dot);
                fill(picture, [x + column, y + row, x + column + dot, y + row + dot], [0; 3]);
            }
        }
    }
}

/// Paints a rectangle (left, top, right, bottom), as far as it lies in the picture.
fn fill(picture: &mut Rgb8, [left, top, right, bottom]: [isize; 4], colour: [u8; 3]) {
    let within = |at: isize, limit: usize| at.clamp(0, limit as isize) as usize;
    for y in within(top, picture.height)..within(bottom, picture.height) {
        for x in within(left, picture.width)..within(right, picture.width) {
            let at = (y * picture.width + x) * 3;
            picture.data[at..at + 3].copy_from_slice(&colour);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(class: &str, pixel_box: [f64; 4]) -> Finding {
        Finding { class: class.to_owned(), confidence: 0.9, ring: vec![], pixel_box, chip: 0 }
    }

    #[test]
    fn a_frame_goes_around_the_box_and_leaves_the_inside_alone() {
        let mut picture = Rgb8::new(400, 300);
        draw(&mut picture, &[finding("trap", [200.0, 200.0, 300.0, 280.0])], 0.5);
        assert_eq!(picture.pixel(99, 120), COLOURS[0]);
        assert_eq!(picture.pixel(100, 120), [0; 3]);
        assert_eq!(picture.pixel(150, 139), COLOURS[0]);
        assert_eq!(picture.pixel(110, 90), COLOURS[0], "the label stands above");
    }

    #[test]
    fn findings_at_the_border_are_drawn_as_far_as_they_go() {
        let mut picture = Rgb8::new(60, 40);
        draw(&mut picture, &[finding("a very long class name", [-20.0, -20.0, 90.0, 70.0])], 1.0);
        draw(&mut picture, &[finding("trap", [50.0, 30.0, 60.0, 40.0])], 1.0);
        assert_eq!(picture.data.len(), 60 * 40 * 3);
    }

    #[test]
    fn each_class_has_its_colour() {
        let mut picture = Rgb8::new(100, 100);
        draw(&mut picture, &[finding("b", [60.0, 60.0, 70.0, 70.0]), finding("a", [10.0, 60.0, 20.0, 70.0])], 1.0);
        assert_eq!((picture.pixel(9, 65), picture.pixel(59, 65)), (COLOURS[0], COLOURS[1]));
    }
}
