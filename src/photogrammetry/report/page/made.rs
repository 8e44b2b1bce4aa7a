//! How it was made: stages with their time and memory, options, software.

use serde_json::Value;

use super::{Report, open, text::Text};

pub fn section(out: &mut String, report: &Report) {
    open(
        out,
        "made",
        "How it was made",
        "Time of each stage, and the most memory the program had used by its end. Stages that were kept from an earlier attempt took none.",
    );
    stages(out, report);
    options(out, report);
    out.push_str("</section>\n");
}

fn stages(out: &mut String, report: &Report) {
    let seconds: f64 = report.stages.iter().map(|stage| stage.seconds).sum();
    let longest = report.stages.iter().map(|stage| stage.seconds).fold(1e-9, f64::max);
    let memory = report.stages.iter().map(|stage| stage.peak_memory_mb).fold(1e-9, f64::max);
    out.push_str(
        "<table class=\"numbers stages\"><thead><tr><th scope=\"col\">stage</th><th scope=\"col\">time</th><th scope=\"col\">peak memory</th></tr></thead><tbody>\n",
    );
    for stage in &report.stages {
        let kept = if stage.kept { " <small>kept</small>" } else { "" };
        put!(out, "<tr><th scope=\"row\">{}{kept}</th>", Text(stage.name));
        wide_bar(out, stage.seconds / longest, &duration(stage.seconds), "time");
        wide_bar(out, stage.peak_memory_mb / memory, &format!("{:.0} MB", stage.peak_memory_mb), "memory");
        out.push_str("</tr>\n");
    }
    put!(
        out,
        "</tbody><tfoot><tr><th scope=\"row\">all</th><td>{}</td><td>{memory:.0} MB</td></tr></tfoot></table>\n",
        duration(seconds)
    );
}

fn wide_bar(out: &mut String, share: f64, word: &str, class: &str) {
    put!(
        out,
        "<td class=\"wide\"><span class=\"{class}\" style=\"width:{:.1}%\"></span><b>{word}</b></td>",
        share.clamp(0.0, 1.0) * 62.0
    );
}

/// Seconds as people say them.
pub fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

fn options(out: &mut String, report: &Report) {
    out.push_str("<h3>Options and software</h3><table class=\"pairs\"><tbody>\n");
    let mut row = |name: &str, value: &str| {
        put!(out, "<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n", Text(name), Text(value));
    };
    for (name, value) in report.options.as_object().into_iter().flatten() {
        let words = match value {
            Value::Null => "default".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        row(name, &words);
    }
    row("software", &report.software);
    row("finished", &report.finished_at.format("%Y-%m-%d %H:%M:%S UTC").to_string());
    out.push_str("</tbody></table>\n");
}
