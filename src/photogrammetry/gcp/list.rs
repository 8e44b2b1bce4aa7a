//! ODM's `gcp_list.txt`.
//!
//! The first line names the coordinate system (`EPSG:28992`, `WGS84 UTM 31N`, a `+proj=utm` string); every
//! other line is `x y z column row photo [name] [role]`.

use super::{
    Fault, Role,
    collect::{Entry, Points, role_of},
    reference::crs_of,
    settle,
};
use crate::spatial::Crs;

/// What stands in the columns, in order.
const COLUMNS: [&str; 5] = ["x", "y", "z", "pixel column", "pixel row"];

/// Reads the points; `given` is the system for a list without a first line that names one.
pub(super) fn parse(text: &str, given: Option<Crs>) -> Result<Points, Fault> {
    let mut lines = text
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim()))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .peekable();
    let &(line, header) = lines.peek().ok_or_else(|| Fault::new(1, "the file is empty"))?;
    let of_file = crs_of(header);
    if of_file.is_some() {
        lines.next();
    } else if given.is_none() || header.split_whitespace().next().is_none_or(|field| field.parse::<f64>().is_err()) {
        return Err(Fault::new(
            line,
            format!(
                "{header:?} is no coordinate system: begin the file with a line as EPSG:28992, or write a CSV table whose \
                 first row names its columns (name,x,y,z,photo,column,row), or GeoJSON"
            ),
        ));
    }
    let crs = settle(of_file, given, line)?;
    let mut points = Points::default();
    for (line, text) in lines {
        points.add(entry(line, text, crs)?)?;
    }
    Ok(points)
}

fn entry(line: usize, text: &str, crs: Crs) -> Result<Entry, Fault> {
    let fields: Vec<&str> = text.split_whitespace().collect();
    if fields.len() < 6 {
        let found = fields.len();
        return Err(Fault::new(line, format!("expected x y z column row photo [name] [role], found {found} fields")));
    }
    let number = |index: usize| {
        let field = fields[index];
        let value = field.parse().ok().filter(|value: &f64| value.is_finite());
        value.ok_or_else(|| {
            let name = COLUMNS[index];
            Fault::new(line, format!("column {}: {name} {field:?} is not a number; write it as 1234.56", index + 1))
        })
    };
    // ODM leaves what follows the name to whoever writes it, so an unknown word there is no fault.
    let role = fields.get(7).and_then(|word| role_of(word)).unwrap_or(Role::Control);
    Ok(Entry {
        line,
        name: fields.get(6).map(|name| (*name).to_owned()),
        crs,
        place: [number(0)?, number(1)?, number(2)?],
        role,
        mark: Some((fields[5].to_owned(), [number(3)?, number(4)?])),
    })
}
