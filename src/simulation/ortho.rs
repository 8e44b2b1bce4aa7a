//! The landscape straight from above, as a perfect orthophoto would show it.

use super::{
    canvas::{Canvas, Frame},
    landscape::Landscape,
};
use crate::raster::Rgb8;

/// A north-up window on a landscape, in metres east and north.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OrthoWindow {
    /// The window's left edge.
    pub west: f64,
    /// The window's upper edge.
    pub north: f64,
    /// Size in pixels.
    pub width: usize,
    pub height: usize,
    /// Size of a pixel in metres.
    pub gsd_m: f64,
}

impl OrthoWindow {
    /// Returns the window of `width × height` pixels around a place.
    pub fn around([e, n]: [f64; 2], [width, height]: [usize; 2], gsd_m: f64) -> Self {
        let half = |pixels: usize| pixels as f64 * gsd_m / 2.0;
        Self { west: e - half(width), north: n + half(height), width, height, gsd_m }
    }
}

/// A planted object as a box in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlantedBox {
    /// One of [`super::CLASSES`].
    pub class: &'static str,
    /// `[left, top, right, bottom]` in pixels, not cut at the window's edges.
    pub pixels: [f64; 4],
}

/// Points of the canvas for each pixel: finer than the pixels, as a stitched orthophoto is.
const FINER: f64 = 0.7;

/// Draws a window of a landscape from straight above, with the boxes of all objects that it shows, even in part.
///
/// Shadows and light are there; lens, noise, and the blur of a real orthophoto are not. Costs about one and a half
/// CPU-microseconds and twenty bytes of memory a pixel.
pub fn render_ortho(landscape: &Landscape, window: &OrthoWindow) -> (Rgb8, Vec<PlantedBox>) {
    let cell = window.gsd_m * FINER;
    let points = |pixels: usize| (pixels as f64 / FINER).ceil() as usize + 4;
    let canvas = Canvas::of(
        landscape,
        Frame {
            origin: [window.west - cell, window.north + cell],
            axis: [1.0, 0.0],
            cell,
            width: points(window.width),
            height: points(window.height),
        },
    );
    let mut data = Vec::with_capacity(window.width * window.height * 3);
    for row in 0..window.height {
        for column in 0..window.width {
            let at = |pixel: usize| (pixel as f64 + 0.5) / FINER + 1.0;
            let colour = canvas.colour([at(column), at(row)]).unwrap_or_default();
            data.extend(colour.map(|c| c.round() as u8));
        }
    }
    (Rgb8 { width: window.width, height: window.height, data }, boxes(landscape, window))
}

fn boxes(landscape: &Landscape, window: &OrthoWindow) -> Vec<PlantedBox> {
    let size = [window.width as f64, window.height as f64];
    let mut boxes = Vec::new();
    for object in landscape.objects() {
        let mut pixels = [f64::MAX, f64::MAX, f64::MIN, f64::MIN];
        for [e, n] in &object.ring {
            let (x, y) = ((e - window.west) / window.gsd_m, (window.north - n) / window.gsd_m);
            pixels = [pixels[0].min(x), pixels[1].min(y), pixels[2].max(x), pixels[3].max(y)];
        }
        if pixels[0] < size[0] && pixels[1] < size[1] && pixels[2] > 0.0 && pixels[3] > 0.0 {
            boxes.push(PlantedBox { class: object.class, pixels });
        }
    }
    boxes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_in_the_middle_of_the_window_has_its_box_there() {
        let landscape = Landscape::new(5, [65.0, 65.0]);
        let object = &landscape.objects()[0];
        let window = OrthoWindow::around(object.centre, [96, 64], 0.03);
        let (picture, boxes) = render_ortho(&landscape, &window);
        assert_eq!((picture.width, picture.height, picture.data.len()), (96, 64, 96 * 64 * 3));
        let found = boxes.iter().find(|b| b.class == object.class).unwrap().pixels;
        let middle = [f64::midpoint(found[0], found[2]), f64::midpoint(found[1], found[3])];
        assert!((middle[0] - 48.0).abs() < 6.0 && (middle[1] - 32.0).abs() < 6.0, "{middle:?}");
    }

    #[test]
    fn pixels_show_the_landscape_at_their_centres() {
        let landscape = Landscape::new(5, [65.0, 65.0]);
        let mark = landscape.marks()[0].place;
        let window = OrthoWindow::around(mark, [40, 40], 0.02);
        let (picture, _) = render_ortho(&landscape, &window);
        // The fields of a target lie crosswise: pixels that face each other across its middle look alike.
        let luma = |x: usize, y: usize| picture.pixel(x, y).iter().map(|&c| i32::from(c)).sum::<i32>();
        let (mut alike, mut unlike) = (0, 0);
        for (x, y) in [(23, 27), (27, 16), (25, 23)] {
            alike += (luma(x, y) - luma(39 - x, 39 - y)).abs();
            unlike += (luma(x, y) - luma(39 - y, x)).abs();
        }
        assert!(alike * 3 < unlike, "{alike} {unlike}");
    }
}
