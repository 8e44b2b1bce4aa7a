//! Times and intervals of time as clients write them.

use chrono::{DateTime, NaiveDateTime, Utc};

use super::{Error, Result};

/// A span of time, both ends included; an end that is `None` is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interval {
    pub start: Option<DateTime<Utc>>,
    pub end: Option<DateTime<Utc>>,
}

impl Interval {
    /// Reads a time, or two with a slash between them; `..` or nothing is an open end (OGC API Features, 7.15.4).
    ///
    /// # Errors
    /// [`Error::Time`] when a time is none, when both ends are open, or when the end is before the start.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |rule| Error::Time { value: text.to_owned(), rule };
        let Some((start, end)) = text.split_once('/') else {
            let at = parse_time(text)?;
            return Ok(Self { start: Some(at), end: Some(at) });
        };
        let side = |text: &str| match text {
            "" | ".." => Ok(None),
            text => parse_time(text).map(Some),
        };
        let interval = Self { start: side(start)?, end: side(end)? };
        match interval {
            Self { start: None, end: None } => Err(wrong("it must not be open at both ends")),
            Self { start: Some(start), end: Some(end) } if start > end => {
                Err(wrong("it must not end before it starts"))
            }
            interval => Ok(interval),
        }
    }
}

/// Reads a time (RFC 3339). One without a zone is taken as UTC when it has three digits of milliseconds: QGIS writes such
/// times, always with three, and refusing them would shut it out. Any other without a zone is refused, as the STAC API wants.
///
/// # Errors
/// [`Error::Time`] when it is no time.
pub fn parse_time(text: &str) -> Result<DateTime<Utc>> {
    // chrono also takes a space for the `T`, which is what a `+` becomes in a URL; ambiguous, so refused.
    let spaced = text.contains(' ');
    let zoned = DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
    let qgis = text.len() == "2025-06-23T10:00:00.123".len();
    let zoneless = || NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").ok().filter(|_| qgis);
    match zoned.ok().or_else(|| zoneless().map(|time| time.and_utc())) {
        Some(time) if !spaced => Ok(time),
        _ => Err(Error::Time { value: text.to_owned(), rule: "write it as 2025-06-23T10:00:00Z" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn an_interval_may_be_open_at_one_end() {
        let day = "2025-06-23T00:00:00Z";
        for text in [format!("{day}/.."), format!("{day}/")] {
            assert_eq!(Interval::parse(&text).unwrap(), Interval { start: Some(at(day)), end: None });
        }
        assert_eq!(Interval::parse(&format!("../{day}")).unwrap(), Interval { start: None, end: Some(at(day)) });
        assert_eq!(Interval::parse(day).unwrap(), Interval { start: Some(at(day)), end: Some(at(day)) });
    }

    #[test]
    fn a_time_without_zone_is_utc_as_qgis_means_it() {
        assert_eq!(parse_time("2025-06-23T10:00:00.123").unwrap(), at("2025-06-23T10:00:00.123Z"));
        assert_eq!(parse_time("2025-06-23T12:00:00+02:00").unwrap(), at("2025-06-23T10:00:00Z"));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        let day = "2025-06-23T00:00:00Z";
        for wrong in [
            "",
            "/",
            "../..",
            "../",
            "yesterday",
            "2025-06-23",
            "2025-13-01T00:00:00Z",
            "2025-06-23 10:00:00Z",
            "2025-06-23T25:00:00Z",
            "2025-06-23T10:00:00+0100",
            "2025-06-23T10:00:00",
            "2025-06-23T10:00:00.12",
            "25-06-23T10:00:00Z",
            &format!("{day}/{day}/{day}"),
            "2025-06-23T00:00:00Z/2024-06-23T00:00:00Z",
        ] {
            assert!(Interval::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
