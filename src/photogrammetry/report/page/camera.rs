//! The lenses: each parameter against its prior, the distortion, and what the model leaves unexplained.

use super::{
    Report,
    chart::Chart,
    open,
    text::{Text, signed},
};
use crate::photogrammetry::{
    camera::Camera,
    report::{CameraParameter, CameraReport},
};

/// Side of the drawing of the frame, in SVG units, and the longest arrow in it.
const FRAME: f64 = 320.0;
const ARROW: f64 = 16.0;

pub fn section(out: &mut String, report: &Report) {
    open(
        out,
        "cameras",
        "Camera calibration",
        "What was known of each lens before (the prior and its σ) and what the photos say. A change of many σ means that the prior was \
         wrong, or that the photos cannot tell this parameter from another.",
    );
    for (index, camera) in report.cameras.iter().enumerate() {
        let number = if report.cameras.len() > 1 { format!("{}. ", index + 1) } else { String::new() };
        put!(out, "<h3>{number}{} · {} photos</h3>\n", Text(&camera.camera), camera.photos);
        parameters(out, camera);
        out.push_str("<div class=\"row\">");
        distortion(out, camera);
        field(out, camera);
        out.push_str("</div>\n");
    }
    out.push_str("</section>\n");
}

fn parameters(out: &mut String, camera: &CameraReport) {
    let known = camera.parameters.iter().any(|parameter| parameter.sigma.is_some());
    out.push_str(
        "<table class=\"numbers\"><thead><tr><th scope=\"col\">parameter</th><th scope=\"col\">prior</th><th scope=\"col\">σ of the prior</th>\
         <th scope=\"col\">adjusted</th><th scope=\"col\">change</th><th scope=\"col\">in σ</th>",
    );
    out.push_str(if known {
        "<th scope=\"col\">σ after</th></tr></thead><tbody>\n"
    } else {
        "</tr></thead><tbody>\n"
    });
    for (index, CameraParameter { name, prior, prior_sigma, adjusted, sigma }) in camera.parameters.iter().enumerate() {
        // Focal length and principal point are pixels; the others have no unit and are small.
        let (decimals, unit) = if index < 3 { (2, " px") } else { (5, "") };
        let change = adjusted - prior;
        let in_sigmas = if *prior_sigma > 0.0 { signed(change / prior_sigma, 1) } else { "fixed".to_owned() };
        put!(
            out,
            "<tr><th scope=\"row\">{name}</th><td>{prior:.decimals$}{unit}</td><td>{prior_sigma:.decimals$}</td>\
             <td>{}{unit}</td><td>{}</td><td>{in_sigmas}</td>",
            if index < 3 { format!("{adjusted:.decimals$}") } else { signed(*adjusted, decimals) },
            signed(change, decimals)
        );
        if known {
            put!(out, "<td>{}</td>", sigma.map_or(String::new(), |sigma| format!("{sigma:.decimals$}")));
        }
        out.push_str("</tr>\n");
    }
    put!(
        out,
        "</tbody></table>\n<p>The focal length changed by {} %; {:.0} × {:.0} pixels.</p>\n",
        signed(camera.focal_change_percent, 2),
        camera.adjusted.width_px,
        camera.adjusted.height_px
    );
}

/// How far the lens moves a ray that leaves the axis, along the radius, pixels.
fn radial_px(camera: &Camera, radius_px: f64) -> f64 {
    let x2 = (radius_px / camera.focal_px).powi(2);
    let [k1, k2, k3] = camera.k;
    radius_px * x2 * (k1 + x2 * (k2 + x2 * k3))
}

fn distortion(out: &mut String, camera: &CameraReport) {
    let corner = camera.adjusted.width_px.hypot(camera.adjusted.height_px) / 2.0;
    let curve = |lens: &Camera| -> Vec<[f64; 2]> {
        (0..=60).map(|step| corner * f64::from(step) / 60.0).map(|radius| [radius, radial_px(lens, radius)]).collect()
    };
    let (before, after) = (curve(&camera.prior), curve(&camera.adjusted));
    let values = || before.iter().chain(&after).map(|point| point[1]);
    let (low, high) = (values().fold(0.0, f64::min), values().fold(0.0, f64::max));
    let room = 0.08 * (high - low).max(0.5);
    let chart = Chart {
        width: 350.0,
        height: 260.0,
        x: [0.0, corner],
        y: [low - room, high + room],
        x_label: "distance from the principal point, pixels",
        label: "Radial distortion of the lens",
    };
    out.push_str("<figure>");
    chart.open(out);
    chart.line(out, "curve prior", before.iter().copied());
    chart.line(out, "curve", after.iter().copied());
    Chart::close(out);
    out.push_str(
        "<figcaption class=\"legend\"><span>Radial distortion, pixels:</span><span><i class=\"line\"></i>adjusted</span>\
         <span><i class=\"line prior\"></i>prior</span></figcaption></figure>\n",
    );
}

/// The mean residuals over the frame.
fn field(out: &mut String, camera: &CameraReport) {
    let rows = &camera.residuals.mean_px;
    let columns = rows.first().map_or(1, Vec::len);
    let (width, height) = (FRAME, FRAME * camera.adjusted.height_px / camera.adjusted.width_px);
    let (cell_x, cell_y) = (width / columns as f64, height / rows.len().max(1) as f64);
    let times = ARROW / camera.residuals.largest_px.max(1e-3);
    put!(
        out,
        "<figure><svg class=\"chart\" role=\"img\" aria-label=\"Mean residuals over the frame\" viewBox=\"-4 -4 {:.0} {:.0}\" width=\"{:.0}\" height=\"{:.0}\">\
         <rect class=\"frame\" x=\"0\" y=\"0\" width=\"{width:.1}\" height=\"{height:.1}\"/><path class=\"arrow fit\" d=\"",
        width + 8.0,
        height + 8.0,
        width + 8.0,
        height + 8.0
    );
    for (row, means) in rows.iter().enumerate() {
        for (column, mean) in means.iter().enumerate() {
            if let Some([x, y]) = mean {
                let at = [(column as f64 + 0.5) * cell_x, (row as f64 + 0.5) * cell_y];
                super::map::head(out, at, [x * times, y * times]);
            }
        }
    }
    put!(
        out,
        "\"/></svg>\n<figcaption>Mean residual in each part of the frame: what this lens model does not explain. The longest arrow is {:.2} px.</figcaption></figure>\n",
        camera.residuals.largest_px
    );
}
