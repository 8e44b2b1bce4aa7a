//! Surveyed points: where they are, how far off, and the root mean square of each axis.

use super::{
    Report,
    map::{Arrows, Map},
    open,
    text::{Text, signed},
};
use crate::photogrammetry::report::{SurveyResidual, SurveyRmse};

pub fn section(out: &mut String, report: &Report) {
    let kinds = [
        ("control", "Control points", "took part in the adjustment", &report.control_points, &report.control_rmse),
        ("check", "Check points", "took no part in the adjustment", &report.check_points, &report.check_rmse),
    ];
    if kinds.iter().all(|(.., points, _)| points.is_empty()) {
        return;
    }
    open(
        out,
        "survey",
        "Surveyed points",
        "Where the photos put each surveyed point, less where it was surveyed. Control points took part in the adjustment; \
         check points were held out, so they say how exact the orthophoto is.",
    );
    plan(out, report);
    for (class, heading, said, points, rmse) in kinds {
        if let Some(rmse) = rmse {
            table(out, class, heading, said, points, rmse);
        }
    }
    out.push_str("</section>\n");
}

fn plan(out: &mut String, report: &Report) {
    let photos = report.per_photo.iter().map(|photo| [photo.east_m, photo.north_m]);
    let points = || report.control_points.iter().chain(&report.check_points);
    let map = Map::around(photos.chain(points().map(|point| [point.at_m[0], point.at_m[1]])));
    let lengths: Vec<f64> = points().map(SurveyResidual::horizontal_m).collect();
    let arrows = Arrows::fitting(&map, &lengths);
    out.push_str("<figure>");
    map.open(out, "Map of the surveyed points and how far they are off");
    for photo in &report.per_photo {
        let [x, y] = map.point([photo.east_m, photo.north_m]);
        put!(out, "<circle class=\"faint\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"1.6\"/>");
    }
    for (class, points) in [("control", &report.control_points), ("check", &report.check_points)] {
        for point in points {
            let at = [point.at_m[0], point.at_m[1]];
            let [x, y] = map.point(at);
            put!(out, "<path class=\"arrow {class}\" d=\"");
            arrows.draw(out, &map, at, [point.east_m, point.north_m]);
            out.push_str("\"/>\n");
            if class == "control" {
                put!(out, "<path class=\"{class}\" d=\"M{x:.1} {:.1}l5 9h-10z\">", y - 6.0);
            } else {
                put!(
                    out,
                    "<path class=\"{class}\" d=\"M{:.1} {y:.1}a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0 -9 0z\">",
                    x - 4.5
                );
            }
            let [east, north, up] = [point.east_m, point.north_m, point.up_m].map(|metres| signed(metres, 3));
            put!(out, "<title>{}: {east} m east, {north} m north, {up} m up</title></path>", Text(&point.name));
            put!(out, "<text x=\"{:.1}\" y=\"{:.1}\">{}</text>\n", x + 8.0, y - 6.0, Text(&point.name));
        }
    }
    arrows.legend(out, &map, "ink");
    map.close(out);
    out.push_str(
        "<figcaption class=\"legend\"><span><i class=\"control\">▲</i>control point</span><span><i class=\"check\">●</i>check point</span>\
         <span><i class=\"dot faint\"></i>photo</span></figcaption></figure>\n",
    );
}

fn table(out: &mut String, class: &str, heading: &str, said: &str, points: &[SurveyResidual], rmse: &SurveyRmse) {
    put!(
        out,
        "<h3>{heading}</h3><table class=\"numbers {class}\"><caption>{} {said}; metres, measured minus surveyed</caption>\
         <thead><tr><th scope=\"col\">point</th><th scope=\"col\">photos</th><th scope=\"col\">east</th><th scope=\"col\">north</th>\
         <th scope=\"col\">up</th><th scope=\"col\">in plan</th></tr></thead><tbody>\n",
        if points.len() == 1 { "One point, which".to_owned() } else { format!("{} points, which", points.len()) }
    );
    for point in points {
        put!(
            out,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{:.3}</td></tr>\n",
            Text(&point.name),
            point.photos,
            signed(point.east_m, 3),
            signed(point.north_m, 3),
            signed(point.up_m, 3),
            point.horizontal_m()
        );
    }
    put!(
        out,
        "</tbody><tfoot><tr><th scope=\"row\">RMSE</th><td></td><td>{:.3}</td><td>{:.3}</td><td>{:.3}</td><td>{:.3}</td></tr></tfoot></table>\n",
        rmse.east_m,
        rmse.north_m,
        rmse.up_m,
        rmse.horizontal_m
    );
}
