//! Each photo: how it was used, or why not.

use super::{
    Report, open,
    text::{Text, signed},
};

pub fn section(out: &mut String, report: &Report) {
    open(
        out,
        "photos",
        "Photos",
        "Those that were left out first, each with the reason; then those in the orthophoto, in the order in which they were taken.",
    );
    rejected(out, report);
    used(out, report);
    out.push_str("</section>\n");
}

fn rejected(out: &mut String, report: &Report) {
    let rejected = &report.photos.rejected;
    if rejected.is_empty() {
        put!(out, "<p>All {} photos were used.</p>\n", report.photos.total);
        return;
    }
    put!(
        out,
        "<h3>Rejected: {}</h3><table class=\"words\"><thead><tr><th scope=\"col\">photo</th><th scope=\"col\">why</th></tr></thead><tbody>\n",
        rejected.len()
    );
    for photo in rejected {
        put!(out, "<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n", Text(&photo.name), Text(&photo.reason));
    }
    out.push_str("</tbody></table>\n");
}

fn used(out: &mut String, report: &Report) {
    let most_points = report.per_photo.iter().map(|photo| photo.tie_points).max().unwrap_or(1).max(1) as f64;
    let most_px = report.per_photo.iter().map(|photo| photo.reprojection_rmse_px).fold(1e-6, f64::max);
    let several = report.cameras.len() > 1;
    put!(
        out,
        "<h3>Used: {}</h3><table class=\"numbers photos\"><thead><tr><th scope=\"col\">photo</th>{}<th scope=\"col\">tie points</th>\
         <th scope=\"col\">error, px</th><th scope=\"col\">height, m</th><th scope=\"col\">GPS east, m</th><th scope=\"col\">north, m</th>\
         <th scope=\"col\">up, m</th><th scope=\"col\">brightness</th></tr></thead><tbody>\n",
        report.photos.used,
        if several { "<th scope=\"col\">camera</th>" } else { "" }
    );
    for photo in &report.per_photo {
        put!(out, "<tr><th scope=\"row\">{}</th>", Text(&photo.name));
        if several {
            put!(out, "<td>{}</td>", photo.camera + 1);
        }
        bar(out, photo.tie_points as f64 / most_points, &photo.tie_points.to_string());
        bar(out, photo.reprojection_rmse_px / most_px, &format!("{:.2}", photo.reprojection_rmse_px));
        put!(out, "<td>{:.1}</td>", photo.height_above_ground_m);
        match photo.gps_residual_m {
            Some(off) => off.iter().for_each(|metres| put!(out, "<td>{}</td>", signed(*metres, 3))),
            None => out.push_str("<td>–</td><td>–</td><td>–</td>"),
        }
        put!(out, "<td>× {:.2}</td></tr>\n", photo.gain.iter().sum::<f64>() / 3.0);
    }
    out.push_str("</tbody></table>\n");
}

/// A cell with a bar behind its number.
fn bar(out: &mut String, share: f64, word: &str) {
    put!(out, "<td class=\"bar\"><span style=\"width:{:.0}%\"></span>{word}</td>", share.clamp(0.0, 1.0) * 100.0);
}
