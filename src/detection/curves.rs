//! Draws curves as SVG: both axes from 0 to 1, a line and a name for each.

use std::fmt::Write as _;

use super::Score;

/// Colours that people with any colour vision tell apart (Okabe and Ito, "Color universal design", 2008).
const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"];
/// Side of the square that 0-1 covers, and its distance from the picture's left and top border.
const SIDE: f64 = 360.0;
const LEFT: f64 = 56.0;
const TOP: f64 = 36.0;

/// A name, and points `[x, y]` in 0-1.
type Line = (String, Vec<[f64; 2]>);

/// Draws precision over recall, a line for each class of which there are objects.
pub fn precision_recall_svg(score: &Score) -> String {
    let judged = score.classes.iter().filter(|class| class.objects > 0);
    let lines: Vec<Line> = judged
        .map(|class| (format!("{}: AP50 {:.3}", class.class, class.ap50), evenly(&class.precision_by_recall)))
        .collect();
    let title = format!("mAP50 {:.3}, mAP50-95 {:.3}", score.map50, score.map50_95);
    draw(&title, "recall", "precision", &lines)
}

/// Draws F1 over confidence, a line for each class of which there are objects.
pub fn f1_svg(score: &Score) -> String {
    let judged = score.classes.iter().filter(|class| class.objects > 0);
    let lines: Vec<Line> = judged
        .map(|class| {
            let values: Vec<f64> = class.by_confidence.iter().map(|[_, _, f1]| *f1).collect();
            (format!("{}: {:.3} at {:.2}", class.class, class.f1, score.confidence), evenly(&values))
        })
        .collect();
    draw(&format!("F1, best at {:.2}", score.best_confidence), "confidence", "F1", &lines)
}

fn evenly(values: &[f64]) -> Vec<[f64; 2]> {
    let last = values.len().saturating_sub(1).max(1) as f64;
    values.iter().enumerate().map(|(i, value)| [i as f64 / last, *value]).collect()
}

fn draw(title: &str, x: &str, y: &str, lines: &[Line]) -> String {
    let (width, height) = (LEFT + SIDE + 250.0, TOP + SIDE + 50.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n<text x=\"{LEFT}\" y=\"22\">{}</text>\n",
        escaped(title)
    );
    for tick in 0..=5 {
        let at = f64::from(tick) / 5.0;
        let [px, py] = place([at, at]);
        let (bottom, right) = (TOP + SIDE, LEFT + SIDE);
        let _ = writeln!(
            svg,
            "<path d=\"M{px:.1} {TOP}V{bottom}M{LEFT} {py:.1}H{right}\" stroke=\"#ddd\"/>\
             <text x=\"{px:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{at}</text>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{at}</text>",
            bottom + 18.0,
            LEFT - 8.0,
            py + 4.0
        );
    }
    for (i, (name, points)) in lines.iter().enumerate() {
        let colour = COLOURS[i % COLOURS.len()];
        let points: Vec<String> =
            points.iter().map(|point| place(*point).map(|at| format!("{at:.1}")).join(",")).collect();
        let (left, top) = (LEFT + SIDE + 14.0, TOP + 14.0 + 20.0 * i as f64);
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\
             <text x=\"{left}\" y=\"{top}\" fill=\"{colour}\">{}</text>",
            points.join(" "),
            escaped(name)
        );
    }
    let (middle, bottom) = (LEFT + SIDE / 2.0, TOP + SIDE + 38.0);
    let up = TOP + SIDE / 2.0;
    let _ = writeln!(
        svg,
        "<text x=\"{middle}\" y=\"{bottom}\" text-anchor=\"middle\">{x}</text>\
         <text transform=\"translate(16 {up}) rotate(-90)\" text-anchor=\"middle\">{y}</text>\n</svg>"
    );
    svg
}

fn place([x, y]: [f64; 2]) -> [f64; 2] {
    [LEFT + x * SIDE, TOP + (1.0 - y) * SIDE]
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detection::{Judged, PixelBox, score};

    #[test]
    fn a_curve_has_a_line_for_each_class_with_objects_and_names_are_escaped() {
        let known = PixelBox { left: 0.0, top: 0.0, right: 9.0, bottom: 9.0, class: 0, confidence: 1.0 };
        let names = ["<klem> & co".to_owned(), "none".to_owned()];
        let score = score(&[Judged { found: vec![known], known: vec![known] }], &names, 0.5);
        for svg in [precision_recall_svg(&score), f1_svg(&score)] {
            assert_eq!(svg.matches("<polyline").count(), 1);
            assert!(svg.contains("&lt;klem&gt; &amp; co") && !svg.contains("<klem>"));
        }
        let first = format!("points=\"{LEFT:.1},{TOP:.1}");
        assert!(precision_recall_svg(&score).contains(&first), "at recall 0 the precision is 1, at the top left");
    }
}
