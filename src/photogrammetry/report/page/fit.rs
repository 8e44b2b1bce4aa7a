//! How well the photos fit each other: the histogram of reprojection errors, and how many photos share a tie point.

use super::{Report, chart::Chart, open, text::thousands};

/// The chart ends where this share of the sightings is on it: a few far ones would squeeze the others.
const SHOWN: f64 = 0.995;

pub fn section(out: &mut String, report: &Report) {
    let fit = &report.reprojection;
    open(
        out,
        "fit",
        "Reprojection errors",
        "How far tie points lie from where the adjusted cameras would see them. It says how well the photos fit each other, \
         and nothing about place or scale. The error of each photo stands in the table of photos.",
    );
    out.push_str("<div class=\"row\"><figure>");
    let all = fit.counts.iter().sum::<u64>() + fit.beyond;
    let mut on_it = 0;
    let shown = fit.counts.iter().take_while(|count| {
        let more = (on_it as f64) < SHOWN * all as f64;
        on_it += **count;
        more
    });
    let shown = shown.count().max(1);
    let counts = || fit.counts[..shown].iter().map(|count| *count as f64);
    let chart = Chart {
        width: 460.0,
        height: 220.0,
        x: [0.0, fit.bin_px * shown as f64],
        y: [0.0, counts().fold(1.0, f64::max) * 1.08],
        x_label: "reprojection error, pixels",
        label: "Histogram of the reprojection errors",
    };
    chart.open(out);
    for (bin, count) in counts().enumerate().filter(|(_, count)| *count > 0.0) {
        let from = bin as f64 * fit.bin_px;
        let name = format!("{from:.2} to {:.2} px: {} sightings", from + fit.bin_px, thousands(count as usize));
        chart.column(out, [from, from + fit.bin_px], count, "fit", &name);
    }
    chart.mark(out, fit.median_px, "median", 0.0);
    chart.mark(out, report.reprojection_rmse_px, "RMS", 1.0);
    chart.mark(out, fit.p95_px, "95 %", 2.0);
    Chart::close(out);
    put!(
        out,
        "<figcaption>{} sightings; median {:.2} px, root mean square {:.2} px, 95 % below {:.2} px, {} beyond the chart.</figcaption></figure>\n",
        thousands(report.sightings),
        fit.median_px,
        report.reprojection_rmse_px,
        fit.p95_px,
        thousands((all - fit.counts[..shown].iter().sum::<u64>()) as usize)
    );
    lengths(out, report);
    out.push_str("</div></section>\n");
}

fn lengths(out: &mut String, report: &Report) {
    let counts = &report.reprojection.tie_points_seen_by;
    let last = counts.len() + 1;
    let chart = Chart {
        width: 250.0,
        height: 220.0,
        x: [1.5, last as f64 + 0.5],
        y: [0.0, counts.iter().copied().max().unwrap_or(1).max(1) as f64 * 1.08],
        x_label: "photos that see a tie point",
        label: "Histogram of the photos that see a tie point",
    };
    out.push_str("<figure>");
    chart.open(out);
    for (index, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let photos = (index + 2) as f64;
        let name = format!(
            "{} tie points in {}{} photos",
            thousands(*count),
            index + 2,
            if index + 2 == last { " or more" } else { "" }
        );
        chart.column(out, [photos - 0.5, photos + 0.5], *count as f64, "fit", &name);
    }
    Chart::close(out);
    put!(
        out,
        "<figcaption>{} tie points; the last column counts {last} or more photos.</figcaption></figure>\n",
        thousands(report.tie_points)
    );
}
