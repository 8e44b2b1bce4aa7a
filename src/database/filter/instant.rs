//! Dates, timestamps and intervals as literals.
//!
//! A date stands for its first moment in UTC wherever it meets a timestamp: CQL2 leaves that to each system
//! (OGC 21-065r2, 7.5.2 "Type casts").

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

use super::{FilterError, expression::Expr};
use crate::catalog::parse_time;

/// Reads the text of `DATE('…')`.
///
/// # Errors
/// [`FilterError::Literal`] when it is no day of the calendar.
pub(super) fn date(text: String) -> Result<Expr, FilterError> {
    match day(&text) {
        Some(_) => Ok(Expr::Date(text)),
        None => Err(FilterError::literal("date", &text, "write it as 2025-06-23")),
    }
}

/// Reads the text of `TIMESTAMP('…')`.
///
/// # Errors
/// [`FilterError::Literal`] when it is no time.
pub(super) fn timestamp(text: String) -> Result<Expr, FilterError> {
    match parse_time(&text) {
        Ok(_) => Ok(Expr::Timestamp(text)),
        Err(_) => Err(FilterError::literal("timestamp", &text, "write it as 2025-06-23T10:00:00Z")),
    }
}

/// Reads the two ends of `INTERVAL(…)`.
///
/// # Errors
/// [`FilterError`] when there are not two, when one is no time, no property and not `..`, or when the interval would
/// end before it starts.
pub(super) fn interval(ends: Vec<Expr>) -> Result<Expr, FilterError> {
    const WANTED: &str = "dates, timestamps, properties or '..'";
    let found = ends.len();
    let [start, end]: [Expr; 2] = ends.try_into().map_err(|_| FilterError::Arguments {
        function: "INTERVAL",
        expected: "2 arguments".to_owned(),
        found,
    })?;
    let read = |end: Expr| match end {
        // Written as functions they mean what their text means.
        Expr::Text(text) | Expr::Date(text) | Expr::Timestamp(text) => {
            let known = text == ".." || moment(&text).is_some();
            let wrong = || FilterError::literal("end of an interval", &text, format!("it must be one of {WANTED}"));
            if known { Ok(Expr::Text(text)) } else { Err(wrong()) }
        }
        Expr::Property(name) => Ok(Expr::Property(name)),
        other => Err(FilterError::operand("INTERVAL", WANTED, other.described())),
    };
    let ends = [read(start)?, read(end)?];
    if let [Expr::Text(start), Expr::Text(end)] = &ends
        && let (Some(from), Some(to)) = (moment(start), moment(end))
        && from > to
    {
        return Err(FilterError::literal("interval", &format!("{start}/{end}"), "it must not end before it starts"));
    }
    Ok(Expr::Interval(Box::new(ends)))
}

/// The moment that a date or timestamp stands for.
pub(super) fn moment(text: &str) -> Option<DateTime<Utc>> {
    day(text).map(|day| day.and_time(NaiveTime::MIN).and_utc()).or_else(|| parse_time(text).ok())
}

fn day(text: &str) -> Option<NaiveDate> {
    let digits = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    if digits { NaiveDate::parse_from_str(text, "%Y-%m-%d").ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_its_first_moment() {
        assert_eq!(moment("2025-06-23").unwrap().to_rfc3339(), "2025-06-23T00:00:00+00:00");
        assert_eq!(moment("2025-06-23T02:00:00+02:00"), moment("2025-06-23"));
        for wrong in ["2025-02-29", "2025-6-23", "25-06-23", "", "..", "2025-06-23T", "+025-06-23", "2025-06-23Z"] {
            assert!(moment(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn an_interval_has_two_ends_in_order() {
        let text = |text: &str| Expr::Text(text.to_owned());
        assert!(interval(vec![text(".."), text("..")]).is_ok());
        assert!(interval(vec![text("2025-06-23"), Expr::Property("end".to_owned())]).is_ok());
        assert!(interval(vec![text("2025-06-24"), text("2025-06-23")]).is_err());
        assert!(interval(vec![text("2025-06-24")]).is_err());
        assert!(interval(vec![text("2025-06-24"), text("later")]).is_err());
        assert!(interval(vec![text("2025-06-24"), Expr::Bool(true)]).is_err());
    }
}
