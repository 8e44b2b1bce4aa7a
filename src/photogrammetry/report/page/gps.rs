//! The adjusted positions against GPS: arrows in plan, histograms, and what they mean for scale, turn and tilt.

use std::collections::HashSet;

use super::{
    Report,
    chart::Chart,
    map::{Arrows, Map},
    open,
    text::{Text, length, signed},
};
use crate::photogrammetry::report::{AxisResiduals, GpsAgreement, PhotoReport};

const BINS: usize = 15;

pub fn section(out: &mut String, report: &Report) {
    let Some(gps) = &report.gps else { return };
    open(
        out,
        "gps",
        "Photos against GPS",
        "How far each photo's adjusted position is from where its GPS put it. Arrows that all point one way are a shift of GPS; \
         arrows that point in or out are a wrong scale; arrows in a ring are a turn.",
    );
    plan(out, report, gps);
    out.push_str("<div class=\"row\">\n");
    for (axis, name) in ["east", "north", "up"].into_iter().enumerate() {
        histogram(out, report, axis, name);
    }
    out.push_str("</div>\n");
    axes(out, gps);
    agreement(out, gps);
    out.push_str("</section>\n");
}

fn plan(out: &mut String, report: &Report, gps: &GpsAgreement) {
    let outliers: HashSet<&str> = gps.outliers.iter().map(String::as_str).collect();
    let map = Map::around(report.per_photo.iter().map(|photo| [photo.east_m, photo.north_m]));
    let lengths: Vec<f64> = report.per_photo.iter().filter_map(PhotoReport::gps_distance_m).collect();
    let arrows = Arrows::fitting(&map, &lengths);
    out.push_str("<figure>");
    map.open(out, "Map of the differences between adjusted positions and GPS");
    for (class, wanted) in [("gps", false), ("far", true)] {
        put!(out, "<path class=\"arrow {class}\" d=\"");
        for photo in report.per_photo.iter().filter(|photo| outliers.contains(photo.name.as_str()) == wanted) {
            if let Some([east, north, _]) = photo.gps_residual_m {
                arrows.draw(out, &map, [photo.east_m, photo.north_m], [east, north]);
            }
        }
        out.push_str("\"/>\n");
    }
    for photo in &report.per_photo {
        let [x, y] = map.point([photo.east_m, photo.north_m]);
        put!(out, "<circle class=\"dot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"1.8\"><title>{}", Text(&photo.name));
        if let Some([east, north, up]) = photo.gps_residual_m {
            let [east, north, up] = [east, north, up].map(|metres| signed(metres, 3));
            put!(out, ": {east} m east, {north} m north, {up} m up");
        }
        out.push_str("</title></circle>\n");
    }
    arrows.legend(out, &map, "gps");
    map.close(out);
    out.push_str("<figcaption>From GPS to the adjusted position");
    if !outliers.is_empty() {
        put!(out, "; in red the {} photos whose GPS is off by more than it can be", outliers.len());
    }
    out.push_str(".</figcaption></figure>\n");
}

fn histogram(out: &mut String, report: &Report, axis: usize, name: &str) {
    let values: Vec<f64> =
        report.per_photo.iter().filter_map(|photo| photo.gps_residual_m).map(|off| off[axis]).collect();
    let reach = values.iter().map(|value| value.abs()).fold(1e-3, f64::max) * 1.02;
    let mut counts = [0usize; BINS];
    for value in &values {
        counts[(((value + reach) / (2.0 * reach) * BINS as f64) as usize).min(BINS - 1)] += 1;
    }
    let most = counts.iter().copied().max().unwrap_or(1).max(1) as f64;
    let (times, unit) = if reach < 1.0 { (100.0, "cm") } else { (1.0, "m") };
    let chart = Chart {
        width: 236.0,
        height: 150.0,
        x: [-reach * times, reach * times],
        y: [0.0, most * 1.1],
        x_label: &format!("{name}, {unit}"),
        label: &format!("Histogram of the differences {name}"),
    };
    out.push_str("<figure>");
    chart.open(out);
    let width = 2.0 * reach * times / BINS as f64;
    for (bin, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let from = chart.x[0] + bin as f64 * width;
        chart.column(out, [from, from + width], *count as f64, "gps", &format!("{count} photos"));
    }
    chart.line(out, "mark", [[0.0, 0.0], [0.0, chart.y[1]]].into_iter());
    Chart::close(out);
    out.push_str("</figure>\n");
}

fn axes(out: &mut String, gps: &GpsAgreement) {
    out.push_str(
        "<table class=\"numbers\"><thead><tr><th scope=\"col\">Adjusted minus GPS</th><th scope=\"col\">mean</th><th scope=\"col\">RMSE</th>\
         <th scope=\"col\">largest</th><th scope=\"col\">GPS itself (1 σ)</th></tr></thead><tbody>\n",
    );
    let rows = [
        ("east", &gps.east, gps.sigma_horizontal_m),
        ("north", &gps.north, gps.sigma_horizontal_m),
        ("up", &gps.up, gps.sigma_vertical_m),
    ];
    for (name, AxisResiduals { mean_m, rmse_m, largest_m }, sigma) in rows {
        put!(
            out,
            "<tr><th scope=\"row\">{name}</th><td>{} m</td><td>{rmse_m:.3} m</td><td>{} m</td><td>{sigma:.3} m</td></tr>\n",
            signed(*mean_m, 3),
            signed(*largest_m, 3)
        );
    }
    out.push_str("</tbody></table>\n");
    for (sortie, offset) in gps.altitude_offsets_m.iter().enumerate() {
        put!(
            out,
            "<p>Sortie {}: its heights are {} m from those of the block; taken out before comparing.</p>\n",
            sortie + 1,
            signed(*offset, 2)
        );
    }
}

/// Scale, turn and tilt, each with what noise would do and what is allowed.
fn agreement(out: &mut String, gps: &GpsAgreement) {
    put!(
        out,
        "<table class=\"numbers\"><thead><tr><th scope=\"col\">GPS asks for</th><th scope=\"col\">value</th><th scope=\"col\">GPS noise alone (1 σ)</th>\
         <th scope=\"col\">allowed</th><th scope=\"col\">at {:.0} m from the middle</th></tr></thead><tbody>\n",
        gps.spread_m
    );
    let percent = |ppm: f64| format!("{} %", signed(ppm / 1e4, 3));
    let degrees = |mrad: f64| format!("{}°", signed((mrad / 1e3).to_degrees(), 3));
    let mut row = |name: &str, words: [String; 3], is_off: bool, metres: f64| {
        let class = if is_off { " class=\"off\"" } else { "" };
        let [value, noise, limit] = words;
        let [noise, limit] = [noise, limit].map(|word| word.replace('+', "± "));
        put!(
            out,
            "<tr{class}><th scope=\"row\">{name}</th><td>{value}</td><td>{noise}</td><td>{limit}</td><td>{}</td></tr>\n",
            length(metres.abs())
        );
    };
    row(
        "a larger scale by",
        [percent(gps.scale_ppm), percent(gps.scale_sigma_ppm), percent(gps.scale_limit_ppm)],
        gps.scale_ppm.abs() > gps.scale_limit_ppm,
        gps.scale_ppm / 1e6 * gps.spread_m,
    );
    row(
        "a turn by",
        [degrees(gps.rotation_mrad), degrees(gps.rotation_sigma_mrad), degrees(gps.rotation_limit_mrad)],
        gps.rotation_mrad.abs() > gps.rotation_limit_mrad,
        gps.rotation_mrad / 1e3 * gps.spread_m,
    );
    for (at, name) in ["a tilt along the flight by", "a tilt across the flight by"].into_iter().enumerate() {
        let [value, noise, limit] = [gps.tilt_mrad[at], gps.tilt_sigma_mrad[at], gps.tilt_limit_mrad[at]];
        // A single strip says nothing about the tilt across it.
        if noise < 1000.0 {
            let metres = value / 1e3 * gps.spread_m;
            row(name, [degrees(value), degrees(noise), degrees(limit)], value.abs() > limit, metres);
        }
    }
    out.push_str("</tbody></table>\n");
}
