//! What a command says: sentences for people, or one JSON object a line for programs.

use std::io::{IsTerminal as _, Write as _};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use serde_json::json;

/// Where results and progress go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    json: bool,
}

impl Output {
    pub(super) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Prints a sentence on stdout, unless JSON was asked for.
    pub(super) fn say(self, sentence: impl AsRef<str>) {
        if !self.json {
            print_line(sentence.as_ref());
        }
    }

    /// Prints an object on stdout when JSON was asked for.
    pub(super) fn event(self, name: &str, fields: impl Serialize) {
        if !self.json {
            return;
        }
        let mut object = serde_json::Map::new();
        object.insert("event".to_owned(), json!(name));
        match serde_json::to_value(fields) {
            Ok(serde_json::Value::Object(fields)) => object.extend(fields),
            Ok(other) => drop(object.insert("value".to_owned(), other)),
            Err(error) => drop(object.insert("error".to_owned(), json!(error.to_string()))),
        }
        print_line(&serde_json::Value::Object(object).to_string());
    }

    /// Prints the chain of an error on stderr; with JSON also as an object on stdout.
    pub(super) fn failed(self, error: &anyhow::Error) {
        let message = sentence(error);
        eprintln!("error: {message}");
        let mut fields = json!({ "message": message });
        if let Some(hint) = hint(error) {
            eprintln!("hint: {hint}");
            fields["hint"] = json!(hint);
        }
        self.event("failed", fields);
    }

    /// Starts a progress bar on stderr, which shows only on a terminal.
    pub(super) fn progress(self, total: u64, what: &str) -> ProgressBar {
        let bar = ProgressBar::new(total);
        if self.json || !std::io::stderr().is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let style = ProgressStyle::with_template("{msg:24} {wide_bar} {pos}/{len} {eta:>5}");
        bar.set_style(style.expect("the template is valid"));
        bar.set_message(what.to_owned());
        bar
    }
}

/// The chain of an error in one line; a cause that the sentence before it tells already is not told twice.
fn sentence(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |mut text, cause| {
        if text.is_empty() {
            return cause;
        }
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        text
    })
}

#[cfg(feature = "gdal")]
fn hint(error: &anyhow::Error) -> Option<&'static str> {
    error.downcast_ref::<crate::pipeline::Error>().and_then(crate::pipeline::Error::advice)
}

/// Commands without rasters say in their errors what to do.
#[cfg(not(feature = "gdal"))]
fn hint(_error: &anyhow::Error) -> Option<&'static str> {
    None
}

/// A closed pipe (`polder … | head`) is not an error of the command.
fn print_line(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

#[cfg(all(test, feature = "gdal"))]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let cause = std::io::Error::other("the disk is on fire");
        let error = crate::raster::Error::Write { path: "ortho.tif".into(), source: cause };
        let error = anyhow::Error::from(error).context("cannot stitch");
        assert_eq!(sentence(&error), "cannot stitch: cannot write ortho.tif: the disk is on fire");
    }
}
