//! Drawings in plan: the local frame in metres on a piece of SVG, with a scale bar and north.

use super::text::{length, round_below};

/// Width of every map, and the bounds of its height, in SVG units.
pub const WIDTH: f64 = 720.0;
const HEIGHT: [f64; 2] = [160.0, 560.0];
const MARGIN: f64 = 14.0;
/// The strip under the map for scale bar and legend.
const FOOT: f64 = 34.0;
/// The longest ordinary arrow, and the longest of all: one far outlier must not cover the map.
const ARROW: f64 = 60.0;
const LONGEST_ARROW: f64 = 110.0;

/// A window on the local frame.
pub struct Map {
    west: f64,
    north: f64,
    per_metre: f64,
    left: f64,
    height: f64,
}

impl Map {
    /// The map that shows `extent`: west, south, east, north in metres.
    pub fn of([west, south, east, north]: [f64; 4]) -> Self {
        let (across, down) = ((east - west).max(1e-3), (north - south).max(1e-3));
        let per_metre = ((WIDTH - 2.0 * MARGIN) / across).min((HEIGHT[1] - 2.0 * MARGIN - FOOT) / down);
        let height = (down * per_metre + 2.0 * MARGIN + FOOT).max(HEIGHT[0]);
        let spare = (height - FOOT - 2.0 * MARGIN - down * per_metre).max(0.0);
        let left = (WIDTH - across * per_metre) / 2.0;
        Self { west, north: north + (spare / 2.0 + MARGIN) / per_metre, per_metre, left, height }
    }

    /// The map around places, with some room.
    pub fn around(places: impl Iterator<Item = [f64; 2]>) -> Self {
        let bounds = places.fold([f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY], |b, [x, y]| {
            [b[0].min(x), b[1].min(y), b[2].max(x), b[3].max(y)]
        });
        let bounds = if bounds[0].is_finite() { bounds } else { [0.0; 4] };
        let room = 0.08 * (bounds[2] - bounds[0]).max(bounds[3] - bounds[1]).max(5.0);
        Self::of([bounds[0] - room, bounds[1] - room, bounds[2] + room, bounds[3] + room])
    }

    /// Where a place lies on the drawing.
    pub fn point(&self, [east, north]: [f64; 2]) -> [f64; 2] {
        [self.left + (east - self.west) * self.per_metre, (self.north - north) * self.per_metre]
    }

    pub fn pixels(&self, metres: f64) -> f64 {
        metres * self.per_metre
    }

    /// Starts the drawing; `label` says what it is to those who cannot see it.
    pub fn open(&self, out: &mut String, label: &str) {
        put!(
            out,
            "<svg class=\"map\" role=\"img\" aria-label=\"{label}\" viewBox=\"0 0 {WIDTH} {:.0}\" width=\"{WIDTH}\" height=\"{:.0}\">\n",
            self.height,
            self.height
        );
    }

    /// Ends the drawing with scale bar and north arrow.
    pub fn close(&self, out: &mut String) {
        let metres = round_below(0.2 * WIDTH / self.per_metre);
        let (x, y, bar) = (MARGIN, self.height - 12.0, metres * self.per_metre);
        put!(out, "<path class=\"ink\" d=\"M{x:.1} {:.1}v5h{bar:.1}v-5\"/>", y - 5.0);
        put!(out, "<text x=\"{:.1}\" y=\"{y:.1}\">{}</text>", x + bar + 6.0, plain(metres));
        let x = WIDTH - MARGIN - 8.0;
        put!(out, "<path class=\"north\" d=\"M{x:.1} {:.1}l6 18l-6 -4l-6 4z\"/>", y - 16.0);
        put!(out, "<text x=\"{:.1}\" y=\"{y:.1}\" text-anchor=\"end\">N</text></svg>\n", x - 10.0);
    }

    /// The legend's place, in the strip at the foot.
    pub fn foot(&self) -> [f64; 2] {
        [WIDTH * 0.36, self.height - 12.0]
    }
}

/// 20 m, 0.5 m, 2 km: as people write round lengths.
fn plain(metres: f64) -> String {
    if metres >= 1000.0 { format!("{} km", metres / 1000.0) } else { format!("{metres} m") }
}

/// How much longer than true the arrows of residuals are drawn.
pub struct Arrows {
    times: f64,
    /// The length in the legend, metres.
    sample_m: f64,
}

impl Arrows {
    /// A round magnification at which most of `lengths_m` are well seen.
    pub fn fitting(map: &Map, lengths_m: &[f64]) -> Self {
        let mut sorted = lengths_m.to_vec();
        sorted.sort_by(f64::total_cmp);
        let most = sorted.get(sorted.len() * 9 / 10).copied().unwrap_or(0.0).max(1e-4);
        Self { times: round_below(ARROW / (most * map.per_metre)), sample_m: round_below(most) }
    }

    /// An arrow from `at` along `off` metres, as a piece of a path.
    pub fn draw(&self, out: &mut String, map: &Map, at: [f64; 2], off: [f64; 2]) {
        let [x, y] = map.point(at);
        let per_metre = self.times * map.per_metre;
        let cut = (LONGEST_ARROW / (off[0].hypot(off[1]) * per_metre).max(1e-9)).min(1.0);
        head(out, [x, y], [off[0] * per_metre * cut, -off[1] * per_metre * cut]);
    }

    /// The legend: an arrow of known length, and the magnification.
    pub fn legend(&self, out: &mut String, map: &Map, class: &str) {
        let [x, y] = map.foot();
        let pixels = self.sample_m * self.times * map.per_metre;
        put!(out, "<path class=\"arrow {class}\" d=\"");
        head(out, [x, y - 4.0], [pixels, 0.0]);
        let times = if self.times >= 1.0 { format!("{}", self.times) } else { format!("{:.2}", self.times) };
        put!(
            out,
            "\"/><text x=\"{:.1}\" y=\"{y:.1}\">{}, drawn × {times}</text>",
            x + pixels + 8.0,
            length(self.sample_m)
        );
    }
}

/// A line with a head, as a piece of a path.
pub fn head(out: &mut String, [x, y]: [f64; 2], [dx, dy]: [f64; 2]) {
    let long = dx.hypot(dy);
    put!(out, "M{x:.1} {y:.1}l{dx:.1} {dy:.1}");
    if long > 2.0 {
        let size = (0.35 * long).min(5.0) / long;
        let (bx, by) = (-dx * size, -dy * size);
        put!(out, "l{:.1} {:.1}", bx - 0.5 * by, by + 0.5 * bx);
        put!(out, "m{:.1} {:.1}l{:.1} {:.1}", -bx + 0.5 * by, -by - 0.5 * bx, bx + 0.5 * by, by - 0.5 * bx);
    }
}
