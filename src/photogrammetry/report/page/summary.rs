//! The top of the page: the verdict, and what the orthophoto is, in figures.

use super::{
    Report,
    text::{Text, area, length, thousands},
};

pub fn header(out: &mut String, report: &Report) {
    put!(out, "<header><p>Orthophoto report</p><h1>{}</h1>", Text(&report.title));
    if let Some([first, last]) = report.taken {
        let days = if first.date_naive() == last.date_naive() { "%H:%M" } else { "%Y-%m-%d %H:%M" };
        put!(out, "<p>Flown {} – {}</p>", first.format("%Y-%m-%d %H:%M"), last.format(days));
    }
    out.push_str("</header>\n");
}

pub fn verdict(out: &mut String, report: &Report) {
    if report.verdict == "ok" {
        put!(
            out,
            "<section class=\"verdict ok\" id=\"verdict\"><p class=\"kicker\">Verdict</p><p class=\"word\">ok</p><p>{}</p></section>\n",
            assurance(report)
        );
    } else {
        out.push_str(
            "<section class=\"verdict bad\" id=\"verdict\"><p class=\"kicker\">Verdict</p><p class=\"word\">do not use</p>\n",
        );
        list(out, "", &report.reasons);
        if !report.advice.is_empty() {
            out.push_str("<h3>What to do</h3>");
            list(out, "", &report.advice);
        }
        out.push_str("</section>\n");
    }
    if !report.notes.is_empty() {
        out.push_str("<section class=\"notes\" id=\"notes\"><h3>Worth knowing</h3>");
        list(out, "", &report.notes);
        out.push_str("</section>\n");
    }
}

/// What a verdict of `ok` says, and how far it goes.
fn assurance(report: &Report) -> String {
    let sigma = report.gps.as_ref().map_or(0.0, |gps| gps.sigma_horizontal_m);
    match report.georeferenced_by {
        "control points" => {
            let points = report.control_points.len();
            let checked = report.check_rmse.map_or(String::new(), |check| {
                let word = if check.points == 1 { "check point agrees" } else { "check points agree" };
                format!(" {} {word} within {} in plan.", check.points, length(check.horizontal_m))
            });
            format!("Photos, lenses and {points} control points agree.{checked}")
        }
        "rtk gps" => {
            format!("Photos, lenses and RTK positions agree. It lies where RTK puts it, good to {}.", length(sigma))
        }
        _ => format!(
            "Photos, lenses and GPS agree. It is right in itself; its place on the map is as good as this GPS, about {}.",
            length(sigma)
        ),
    }
}

fn list(out: &mut String, class: &str, lines: &[String]) {
    put!(out, "<ul class=\"{class}\">");
    for line in lines {
        put!(out, "<li>{}</li>", Text(line));
    }
    out.push_str("</ul>");
}

/// The six figures that people ask for first.
pub fn figures(out: &mut String, report: &Report) {
    out.push_str("<section class=\"figures\" id=\"figures\">");
    let mut figure = |value: &str, name: &str| put!(out, "<p><b>{value}</b>{name}</p>");
    figure(&format!("{:.1} cm", report.gsd_m * 100.0), "on the ground for a pixel");
    figure(&area(report.covered_m2), "of ground covered");
    figure(&format!("{} / {}", report.photos.used, report.photos.total), "photos used");
    figure(&format!("{:.2} px", report.reprojection_rmse_px), "reprojection error");
    figure(&format!("{:.1} m", report.height_above_ground_m), "above the ground");
    match (&report.check_rmse, &report.control_rmse, &report.gps) {
        (Some(check), ..) => figure(&length(check.horizontal_m), "off at check points, in plan"),
        (None, Some(control), _) => figure(&length(control.horizontal_m), "off at control points, in plan"),
        (None, None, Some(gps)) => figure(&length(gps.horizontal_rmse_m), "between photos and GPS, in plan"),
        _ => {}
    }
    out.push_str("</section>\n");
}

pub fn table(out: &mut String, report: &Report) {
    out.push_str("<section id=\"summary\"><h2>Summary</h2><table class=\"pairs\"><tbody>\n");
    let mut row = |name: &str, value: String| put!(out, "<tr><th scope=\"row\">{name}</th><td>{value}</td></tr>\n");
    let rejected = report.photos.rejected.len();
    row("Photos", format!("{} used, {rejected} rejected, of {}", report.photos.used, report.photos.total));
    let cameras: Vec<String> =
        report.cameras.iter().map(|c| format!("{} ({} photos)", Text(&c.camera), c.photos)).collect();
    row("Cameras", cameras.join("<br/>"));
    row("Ground sampling distance", format!("{:.2} cm", report.gsd_m * 100.0));
    row("Size", format!("{} × {} pixels", thousands(report.size_px[0]), thousands(report.size_px[1])));
    row("Ground covered", area(report.covered_m2));
    row("Coordinate system", Text(&report.crs).to_string());
    row("Placed by", placed_by(report).to_owned());
    row("Heights from", report.heights_from.to_owned());
    let aircraft = report
        .relative_altitude_m
        .map_or(String::new(), |height| format!(" (the aircraft says {height:.1} m above take-off)"));
    row("Height above ground", format!("{:.1} m{aircraft}", report.height_above_ground_m));
    let each = report.sightings / report.photos.used.max(1);
    row("Tie points", format!("{}, {} in each photo", thousands(report.tie_points), thousands(each)));
    row("Reprojection error", format!("{:.2} px (root mean square)", report.reprojection_rmse_px));
    let overlap = &report.overlap;
    row(
        "Overlap",
        format!(
            "{} photos see a piece of ground (median); {:.0} % of it is seen by three or more",
            overlap.median_photos,
            overlap.at_least_three * 100.0
        ),
    );
    if let Some(gps) = &report.gps {
        let (plan, height) = (length(gps.horizontal_rmse_m), length(gps.vertical_rmse_m));
        row("Photos against GPS", format!("{plan} in plan, {height} in height (RMSE of {} photos)", gps.photos));
    }
    for (name, rmse) in [("Control points", &report.control_rmse), ("Check points", &report.check_rmse)] {
        if let Some(rmse) = rmse {
            let (plan, height) = (length(rmse.horizontal_m), length(rmse.up_m));
            row(name, format!("{plan} in plan, {height} in height (RMSE of {})", rmse.points));
        }
    }
    let seconds: f64 = report.stages.iter().map(|stage| stage.seconds).sum();
    let memory = report.stages.iter().map(|stage| stage.peak_memory_mb).fold(0.0, f64::max);
    row("Computed in", format!("{}, with at most {memory:.0} MB of memory", super::made::duration(seconds)));
    out.push_str("</tbody></table></section>\n");
}

fn placed_by(report: &Report) -> &'static str {
    match report.georeferenced_by {
        "control points" => "control points",
        "rtk gps" => "RTK positions of the photos",
        "gps" => "GPS positions of the photos",
        _ => "GPS positions of the photos, moved onto fewer than three control points",
    }
}
