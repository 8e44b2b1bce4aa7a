//! The report as a page for people: one HTML file with its style, drawings and picture inside.
//!
//! No script and no request: it opens from a mail, from a bucket, and in ten years. It reads top down as a client does:
//! whether to use it, what it is, how it looks, and then the evidence, figure by figure.
//!
//! Invariants: every text that came from outside (a photo's file name, a camera's model) goes through [`text::Text`],
//! which leaves it no way to become markup; the page is well-formed XML; what it shows stands in the [`Report`].

macro_rules! put {
    ($out:expr, $($part:tt)*) => {{
        use std::fmt::Write as _;
        write!($out, $($part)*).expect("writing to a string cannot fail");
    }};
}

mod camera;
mod chart;
mod coverage;
mod fit;
mod gps;
mod made;
mod map;
mod photos;
mod picture;
mod summary;
mod survey;
mod text;

pub use picture::Picture;

use super::Report;
use text::Text;

/// What the page may load, said by itself, since a file has no headers: nothing but what is in it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

impl Report {
    /// Returns the report as one HTML page. `picture` is the orthophoto, small.
    pub fn page(&self, picture: Option<&Picture>) -> String {
        let mut out = String::with_capacity(64 << 10);
        put!(
            out,
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
             <meta name=\"color-scheme\" content=\"light dark\"/>\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\"/>\n\
             <title>{} · orthophoto report</title>\n<style>\n{}</style></head>\n<body>\n",
            Text(&self.title),
            include_str!("style.css"),
        );
        summary::header(&mut out, self);
        out.push_str("<main>\n");
        summary::verdict(&mut out, self);
        summary::figures(&mut out, self);
        summary::table(&mut out, self);
        if let Some(picture) = picture {
            picture.show(&mut out, self);
        }
        coverage::section(&mut out, self);
        gps::section(&mut out, self);
        survey::section(&mut out, self);
        fit::section(&mut out, self);
        camera::section(&mut out, self);
        photos::section(&mut out, self);
        made::section(&mut out, self);
        put!(
            out,
            "</main>\n<footer><p>Made by {} on {}. Every figure of this page stands in <code>report.json</code>.</p></footer>\n\
             </body></html>\n",
            Text(&self.software),
            self.finished_at.format("%Y-%m-%d %H:%M UTC"),
        );
        out
    }
}

/// Starts a section with its heading and what to know to read it.
fn open(out: &mut String, id: &str, heading: &str, lead: &str) {
    put!(out, "<section id=\"{id}\"><h2>{heading}</h2>\n<p class=\"lead\">{lead}</p>\n");
}

#[cfg(test)]
mod tests;
