//! Small charts: columns and lines over a labelled axis.

use super::text::round_below;

/// Margins of a chart: left, right, top, bottom, in SVG units.
const MARGINS: [f64; 4] = [46.0, 20.0, 10.0, 36.0];

/// A rectangle with two axes.
pub struct Chart<'a> {
    pub width: f64,
    pub height: f64,
    pub x: [f64; 2],
    pub y: [f64; 2],
    pub x_label: &'a str,
    /// What the chart shows, for those who cannot see it.
    pub label: &'a str,
}

impl Chart<'_> {
    pub fn at(&self, x: f64, y: f64) -> [f64; 2] {
        let [left, right, top, bottom] = MARGINS;
        let share = |v: f64, [low, high]: [f64; 2]| (v - low) / (high - low).max(1e-12);
        [
            left + share(x, self.x) * (self.width - left - right),
            self.height - bottom - share(y, self.y) * (self.height - top - bottom),
        ]
    }

    /// Starts the chart with grid lines, ticks and the name of its axis.
    pub fn open(&self, out: &mut String) {
        let (width, height) = (self.width, self.height);
        put!(
            out,
            "<svg class=\"chart\" role=\"img\" aria-label=\"{}\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\">\n",
            self.label
        );
        let [left, right, ..] = MARGINS;
        for (value, text) in ticks(self.y, 4.0) {
            let [_, y] = self.at(self.x[0], value);
            put!(out, "<path class=\"grid\" d=\"M{left} {y:.1}H{:.1}\"/>", width - right);
            put!(out, "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>", left - 6.0, y + 4.0);
        }
        let [_, bottom] = self.at(self.x[0], self.y[0]);
        for (value, text) in ticks(self.x, (width / 70.0).max(2.0)) {
            let [x, _] = self.at(value, self.y[0]);
            put!(out, "<path class=\"axis\" d=\"M{x:.1} {bottom:.1}v4\"/>");
            put!(out, "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{text}</text>", bottom + 16.0);
        }
        put!(out, "<path class=\"axis\" d=\"M{left} {bottom:.1}H{:.1}\"/>", width - right);
        let middle = (left + width - right) / 2.0;
        put!(
            out,
            "<text class=\"name\" x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n",
            height - 4.0,
            self.x_label
        );
    }

    /// A column from the floor of the chart, with a name to hover over.
    pub fn column(&self, out: &mut String, [from, to]: [f64; 2], height: f64, class: &str, name: &str) {
        let ([left, top], [right, bottom]) = (self.at(from, height), self.at(to, self.y[0]));
        let width = (right - left - 1.0).max(0.5);
        put!(
            out,
            "<rect class=\"{class}\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{:.1}\"><title>{name}</title></rect>\n",
            (bottom - top).max(0.0)
        );
    }

    pub fn line(&self, out: &mut String, class: &str, points: impl Iterator<Item = [f64; 2]>) {
        put!(out, "<path class=\"{class}\" d=\"");
        for (index, [x, y]) in points.enumerate() {
            let [x, y] = self.at(x, y);
            put!(out, "{}{x:.1} {y:.1}", if index == 0 { 'M' } else { 'L' });
        }
        out.push_str("\"/>\n");
    }

    /// An upright line at `x` with a word beside its top; marks in lower rows stay under the words of higher ones.
    pub fn mark(&self, out: &mut String, x: f64, word: &str, row: f64) {
        let ([px, top], [_, bottom]) = (self.at(x, self.y[1]), self.at(x, self.y[0]));
        let top = top + 16.0 * row;
        put!(out, "<path class=\"mark\" d=\"M{px:.1} {top:.1}V{bottom:.1}\"/>");
        put!(out, "<text x=\"{:.1}\" y=\"{:.1}\">{word}</text>\n", px + 4.0, top + 10.0);
    }

    pub fn close(out: &mut String) {
        out.push_str("</svg>\n");
    }
}

/// Round values within a range, about `count` of them, each as it is written.
fn ticks([low, high]: [f64; 2], count: f64) -> Vec<(f64, String)> {
    let step = round_below((high - low).max(1e-12) / count * 1.6);
    let decimals = (-step.log10().floor()).max(0.0) as usize;
    let first = (low / step - 1e-6).ceil() as i64;
    let last = (high / step + 1e-6).floor() as i64;
    (first..=last)
        .take(40)
        .map(|at| {
            let value = at as f64 * step;
            let text = if step >= 1000.0 { format!("{}k", value / 1000.0) } else { format!("{value:.decimals$}") };
            (value, if value == 0.0 { "0".to_owned() } else { text.replace('-', "−") })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let words = |range, count| ticks(range, count).into_iter().map(|(_, word)| word).collect::<Vec<_>>();
        assert_eq!(words([0.0, 3.0], 6.0), ["0", "0.5", "1.0", "1.5", "2.0", "2.5", "3.0"]);
        assert_eq!(words([-0.03, 0.03], 3.0), ["−0.02", "0", "0.02"]);
        assert_eq!(words([0.0, 21_000.0], 4.0), ["0", "5k", "10k", "15k", "20k"]);
    }
}
