//! A table with a header row, as a spreadsheet or a GIS saves it: one row for each mark, or for each point.
//!
//! Columns come in any order and under the names that surveyors and tools use. They are separated by commas, semicolons
//! or tabs; with the last two a decimal comma is understood. The coordinate system stands in a column `crs`, in a line
//! `# EPSG:28992` before the header, or on the command line.

use super::{
    Fault,
    collect::{Entry, Points, role_of},
    reference::{crs_of, crs_of_field},
    settle,
};
use crate::spatial::Crs;

/// What a column may hold, and the names it goes by in lower case without anything but letters and digits.
const COLUMNS: [(Column, &[&str]); 9] = [
    (
        Column::Name,
        &["name", "label", "id", "point", "pointid", "pointname", "gcp", "gcpname", "marker", "nr", "number"],
    ),
    (Column::X, &["x", "easting", "east", "e", "lon", "long", "longitude", "geox", "xm", "rdx", "mapx"]),
    (Column::Y, &["y", "northing", "north", "n", "lat", "latitude", "geoy", "ym", "rdy", "mapy"]),
    (
        Column::Z,
        &["z", "height", "elevation", "elev", "alt", "altitude", "h", "geoz", "zm", "nap", "ellipsoidalheight"],
    ),
    (Column::PixelX, &["column", "col", "px", "imx", "pixelx", "imagex", "xpixel", "xpx", "sourcex", "u", "sample"]),
    (Column::PixelY, &["row", "py", "imy", "pixely", "imagey", "ypixel", "ypx", "sourcey", "v", "line"]),
    (Column::Photo, &["photo", "image", "filename", "file", "imagename", "photoname", "imagefile", "picture"]),
    (Column::Role, &["role", "type", "kind", "use"]),
    (Column::Crs, &["crs", "epsg", "srs", "coordinatesystem"]),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Name,
    X,
    Y,
    Z,
    PixelX,
    PixelY,
    Photo,
    Role,
    Crs,
}

/// A header row: its line, what separates its fields, and what they are called.
struct Header {
    line: usize,
    separator: char,
    titles: Vec<String>,
    columns: Vec<Option<Column>>,
    /// The system of a line before it.
    crs: Option<Crs>,
}

/// Whether the first line that is no comment and no coordinate system names columns.
pub(super) fn is_table(text: &str) -> bool {
    header(text).is_some()
}

/// Reads the points; `given` is the system for a table that names none.
pub(super) fn parse(text: &str, given: Option<Crs>) -> Result<Points, Fault> {
    let header = header(text).ok_or_else(|| Fault::new(1, "no header row"))?;
    let degrees = header.title_of(Column::X).is_some_and(|title| plain(title).starts_with("lon"));
    for (column, name) in
        [(Column::Z, "z"), (Column::Photo, "photo"), (Column::PixelX, "column"), (Column::PixelY, "row")]
    {
        if header.index_of(column).is_none() {
            return Err(Fault::new(
                header.line,
                format!(
                    "the header has no column for {name}: each row is a mark and needs x, y, z, photo, column and row, \
                     with name and role as you like"
                ),
            ));
        }
    }
    let mut points = Points::default();
    for (line, text) in text.lines().enumerate().map(|(index, line)| (index + 1, line)).skip(header.line) {
        if text.trim().is_empty() || text.trim_start().starts_with('#') {
            continue;
        }
        let row = Row { line, fields: split(text, header.separator), header: &header };
        let of_row = match row.text(Column::Crs) {
            Some(text) => Some(crs_of_field(text).ok_or_else(|| {
                row.fault(Column::Crs, &format!("{text:?} is no coordinate system; write it as EPSG:28992"))
            })?),
            None => None,
        };
        let of_file = of_row.or(header.crs).or_else(|| (degrees && given.is_none()).then_some(Crs::WGS84));
        points.add(row.entry(settle(of_file, given, line)?)?)?;
    }
    Ok(points)
}

fn header(text: &str) -> Option<Header> {
    let mut crs = None;
    for (index, line) in text.lines().enumerate() {
        let bare = line.trim().trim_start_matches('#').trim();
        if bare.is_empty() {
            continue;
        }
        let separator = [';', '\t', ','].into_iter().find(|separator| line.contains(*separator));
        let titles: Vec<String> = separator.map(|separator| split(bare, separator)).unwrap_or_default();
        let columns: Vec<Option<Column>> = titles.iter().map(|title| column_of(title)).collect();
        let has = |column| columns.contains(&Some(column));
        // A comment over a list in ODM's format may name its columns too, with commas between them.
        let rows_alike = || {
            let next = text.lines().skip(index + 1).find(|next| !next.trim().is_empty());
            separator.is_some_and(|separator| next.is_none_or(|next| next.contains(separator)))
        };
        if has(Column::X) && has(Column::Y) && (!line.trim_start().starts_with('#') || rows_alike()) {
            return Some(Header { line: index + 1, separator: separator?, titles, columns, crs });
        }
        let named = crs_of(bare);
        if named.is_none() && !line.trim_start().starts_with('#') {
            return None;
        }
        crs = named.or(crs);
    }
    None
}

fn column_of(title: &str) -> Option<Column> {
    let plain = plain(title);
    COLUMNS.iter().find(|(_, names)| names.contains(&plain.as_str())).map(|(column, _)| *column)
}

/// Letters and digits, in lower case, of what stands before a unit: `Easting [m]` is `easting`.
fn plain(title: &str) -> String {
    let name = title.split(['(', '[']).next().unwrap_or(title);
    name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
}

/// The fields of a line, trimmed; quoted ones may hold the separator, and a quote written twice.
fn split(line: &str, separator: char) -> Vec<String> {
    let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                field.push('"');
                letters.next();
            }
            '"' => quoted = !quoted,
            _ if letter == separator && !quoted => fields.push(std::mem::take(&mut field).trim().to_owned()),
            _ => field.push(letter),
        }
    }
    fields.push(field.trim().to_owned());
    fields
}

impl Header {
    fn index_of(&self, column: Column) -> Option<usize> {
        self.columns.iter().position(|own| *own == Some(column))
    }

    fn title_of(&self, column: Column) -> Option<&str> {
        self.index_of(column).map(|index| self.titles[index].as_str())
    }
}

struct Row<'a> {
    line: usize,
    fields: Vec<String>,
    header: &'a Header,
}

impl Row<'_> {
    fn entry(&self, crs: Crs) -> Result<Entry, Fault> {
        let mark = match self.text(Column::Photo) {
            Some(photo) => Some((photo.to_owned(), [self.number(Column::PixelX)?, self.number(Column::PixelY)?])),
            // A point that nobody marked yet.
            None => None,
        };
        let word = self.text(Column::Role).unwrap_or_default();
        let role = role_of(word)
            .ok_or_else(|| self.fault(Column::Role, &format!("{word:?} is no role; write control or check")))?;
        Ok(Entry {
            line: self.line,
            name: self.text(Column::Name).map(str::to_owned),
            crs,
            place: [self.number(Column::X)?, self.number(Column::Y)?, self.number(Column::Z)?],
            role,
            mark,
        })
    }

    /// What stands in a column; `None` when the table or the row has nothing there.
    fn text(&self, column: Column) -> Option<&str> {
        let field = self.fields.get(self.header.index_of(column)?)?;
        (!field.is_empty()).then_some(field.as_str())
    }

    fn number(&self, column: Column) -> Result<f64, Fault> {
        let Some(text) = self.text(column) else { return Err(self.fault(column, "there is nothing")) };
        let comma = text.matches(',').count() == 1 && !text.contains('.');
        let value = if comma { text.replace(',', ".").parse() } else { text.parse() };
        value.ok().filter(|value: &f64| value.is_finite()).ok_or_else(|| {
            self.fault(column, &format!("{text:?} is not a number; write it as 1234.56, without thousands or units"))
        })
    }

    fn fault(&self, column: Column, detail: &str) -> Fault {
        let place = self.header.index_of(column).map_or(0, |index| index + 1);
        let title = self.header.title_of(column).unwrap_or_default();
        Fault::new(self.line, format!("column {place} ({title}): {detail}"))
    }
}
