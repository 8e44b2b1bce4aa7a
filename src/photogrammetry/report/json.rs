//! `report.json` as text: a member a line, and a row of numbers on one line, so that people can read it too.

use std::io::{self, Write};

use serde::Serialize as _;
use serde_json::ser::{Formatter, PrettyFormatter};

use super::Report;

impl Report {
    /// Returns the report as indented JSON.
    ///
    /// # Panics
    /// Never: all keys are text.
    pub fn to_json(&self) -> String {
        let mut bytes = Vec::new();
        let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, Rows::default());
        self.serialize(&mut serializer).expect("a report has text keys and memory takes all");
        String::from_utf8(bytes).expect("JSON is UTF-8")
    }
}

/// Indents like [`PrettyFormatter`], but for numbers in arrays.
#[derive(Default)]
struct Rows {
    pretty: PrettyFormatter<'static>,
    /// In an array, before a value: whether that is the first, until it is known what comes.
    waiting: Option<bool>,
    /// Whether the last value of an array was a plain one.
    plain: bool,
}

impl Rows {
    /// What comes is an array or an object: it gets its own line.
    fn own_line<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.plain = false;
        match self.waiting.take() {
            Some(first) => self.pretty.begin_array_value(writer, first),
            None => Ok(()),
        }
    }

    /// What comes is a number or the like: it follows on the line.
    fn same_line<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        match self.waiting.take() {
            Some(first) => {
                self.plain = true;
                writer.write_all(if first { b"" } else { b", " })
            }
            None => Ok(()),
        }
    }
}

macro_rules! plain_values {
    ($($name:ident($kind:ty)),*) => {$(
        fn $name<W: ?Sized + Write>(&mut self, writer: &mut W, value: $kind) -> io::Result<()> {
            self.same_line(writer)?;
            self.pretty.$name(writer, value)
        }
    )*};
}

impl Formatter for Rows {
    plain_values!(write_bool(bool), write_u16(u16), write_u32(u32), write_u64(u64), write_i64(i64), write_f64(f64));

    fn write_null<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.same_line(writer)?;
        self.pretty.write_null(writer)
    }

    fn begin_string<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.own_line(writer)?;
        self.pretty.begin_string(writer)
    }

    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.own_line(writer)?;
        self.pretty.begin_array(writer)
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.plain = false;
        self.pretty.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, _: &mut W, first: bool) -> io::Result<()> {
        self.waiting = Some(first);
        Ok(())
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        if self.plain { Ok(()) } else { self.pretty.end_array_value(writer) }
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.own_line(writer)?;
        self.pretty.begin_object(writer)
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.plain = false;
        self.pretty.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.pretty.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.pretty.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.plain = false;
        self.pretty.end_object_value(writer)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use crate::photogrammetry::report::testing::{rejected, with_control};

    #[test]
    fn what_is_written_is_the_report_and_rows_of_numbers_stay_rows() {
        let mut report = with_control();
        report.photos.rejected.push(rejected([1.0, 2.0], 3.0));
        report.cameras[0].residuals.mean_px[0][0] = None;
        report.notes = vec!["a \"note\"".to_owned(), "b".to_owned()];
        let text = report.to_json();
        let read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read, serde_json::to_value(&report).unwrap());
        assert!(text.contains("\n      [1, 2, 3, 3, 3, 3, 3, 2, 1, 0],\n"), "{text}");
        assert!(text.contains("\"size_px\": [3000, 2000],\n"), "{text}");
        assert!(text.contains("\"advice\": [],\n"), "{text}");
        assert!(text.lines().count() < 800, "{} lines", text.lines().count());
    }
}
