//! Gives operands of the temporal functions their two ends.

use super::Checked;
use crate::database::filter::{
    FilterError,
    expression::{Expr, bare},
    instant,
    predicate::{End, Kind, Span, Time},
};

/// Checks an instant, an interval or a property. The property `datetime` is all the time of a row.
pub(super) fn span(expr: &Expr, function: &'static str) -> Checked<Span> {
    let at = |start: &str, end: &str| Span {
        start: End::At(Time::Property(start.to_owned())),
        end: End::At(Time::Property(end.to_owned())),
    };
    match expr {
        Expr::Property(name) => match (bare(name), Kind::of(bare(name))) {
            ("datetime", _) => Ok(at("start_datetime", "end_datetime")),
            (name, Kind::Time | Kind::Any) => Ok(at(name, name)),
            (_, Kind::Text | Kind::Geometry) => Err(FilterError::operand(function, "times", expr.described())),
        },
        Expr::Date(written) | Expr::Timestamp(written) | Expr::Text(written) => {
            let time = literal_time(written)?;
            Ok(Span { start: End::At(time.clone()), end: End::At(time) })
        }
        Expr::Interval(ends) => Ok(Span { start: end(&ends[0], false)?, end: end(&ends[1], true)? }),
        other => Err(FilterError::operand(function, "times or intervals", other.described())),
    }
}

fn end(expr: &Expr, last: bool) -> Checked<End> {
    match expr {
        Expr::Text(written) if written == ".." => Ok(End::Open),
        Expr::Text(written) => literal_time(written).map(End::At),
        Expr::Property(name) => match (bare(name), Kind::of(bare(name))) {
            ("datetime", _) if last => Ok(End::At(Time::Property("end_datetime".to_owned()))),
            (name, Kind::Time | Kind::Any) => Ok(End::At(Time::Property(name.to_owned()))),
            _ => Err(FilterError::operand("INTERVAL", "times", expr.described())),
        },
        other => Err(FilterError::operand("INTERVAL", "times", other.described())),
    }
}

/// Reads a time that was written as a string.
pub(super) fn literal_time(written: &str) -> Checked<Time> {
    instant::moment(written)
        .map(Time::Literal)
        .ok_or_else(|| FilterError::literal("time", written, "write it as 2025-06-23 or 2025-06-23T10:00:00Z"))
}
