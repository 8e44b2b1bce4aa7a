//! The parameters of an aggregation: `{name}_limit`, `{name}_interval` and the like.

use std::collections::BTreeMap;

use serde_json::json;

use super::offer::{Offer, What};
use crate::{
    api::problem::Problem,
    database::{Filter, PathGrouping, PathOf, Step},
};

/// Buckets of an aggregation when nothing is asked for, and at most.
const USUAL_LIMIT: usize = 1_000;
const LARGEST_LIMIT: usize = 10_000;

/// About how many buckets a histogram has when nothing is asked for.
const USUAL_BUCKETS: usize = 20;

/// Cells of about 5 km by 5 km, and tiles of about 300 km: what Elasticsearch takes.
const USUAL_GEOHASH: u8 = 5;
const USUAL_GEOTILE: u8 = 7;

/// What an aggregation is asked with; each only where it takes it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Options {
    pub limit: usize,
    pub step: Step,
    /// Width of the buckets of a histogram; without one it follows from `buckets`.
    pub width: Option<f64>,
    pub buckets: usize,
    pub precision: u8,
    pub path: PathGrouping,
}

impl Options {
    /// Reads the parameters of an aggregation among those that were given.
    pub fn read(offer: &Offer, given: &BTreeMap<String, String>, offers: &[Offer]) -> Result<Self, Problem> {
        let reader = Reader { offer, given };
        let histogram = matches!(offer.what, What::Histogram(_));
        let precision = match offer.what {
            What::Geohashes => reader.whole("precision", 1, 12)?.map_or(USUAL_GEOHASH, |n| n as u8),
            _ => reader.whole("precision", 0, 29)?.map_or(USUAL_GEOTILE, |n| n as u8),
        };
        Ok(Self {
            limit: reader.whole("limit", 1, LARGEST_LIMIT)?.unwrap_or(USUAL_LIMIT),
            step: if histogram { Step::Month } else { reader.step()? },
            width: if histogram { reader.width()? } else { None },
            buckets: reader.whole("buckets", 1, LARGEST_LIMIT)?.unwrap_or(USUAL_BUCKETS),
            precision,
            path: reader.path(offers)?,
        })
    }
}

struct Reader<'a> {
    offer: &'a Offer,
    given: &'a BTreeMap<String, String>,
}

impl Reader<'_> {
    fn text(&self, option: &str) -> Option<&str> {
        self.given.get(&format!("{}_{option}", self.offer.name)).map(String::as_str)
    }

    fn wrong(&self, option: &str, rule: &str) -> Problem {
        let value = self.text(option).unwrap_or_default();
        Problem::parameter(&format!("{}_{option}", self.offer.name), value, rule)
    }

    fn whole(&self, option: &str, least: usize, most: usize) -> Result<Option<usize>, Problem> {
        let Some(text) = self.text(option) else { return Ok(None) };
        let number = text.parse().ok().filter(|number| (least..=most).contains(number));
        number.map(Some).ok_or_else(|| self.wrong(option, &format!("write a whole number from {least} to {most}")))
    }

    fn step(&self) -> Result<Step, Problem> {
        match self.text("interval") {
            None | Some("month") => Ok(Step::Month),
            Some("year") => Ok(Step::Year),
            Some("week") => Ok(Step::Week),
            Some("day") => Ok(Step::Day),
            Some("hour") => Ok(Step::Hour),
            Some(_) => Err(self.wrong("interval", "say year, month, week, day or hour")),
        }
    }

    fn width(&self) -> Result<Option<f64>, Problem> {
        let Some(text) = self.text("interval") else { return Ok(None) };
        let width = text.parse().ok().filter(|width| (1e-12..=1e15).contains(width));
        width.map(Some).ok_or_else(|| self.wrong("interval", "write the width of a bucket, a number above 0"))
    }

    fn path(&self, offers: &[Offer]) -> Result<PathGrouping, Problem> {
        let of = match self.text("property") {
            None | Some("id") => PathOf::Id,
            Some("asset") => PathOf::AssetKey,
            Some("href") => PathOf::AssetHref,
            Some(name) => {
                let what = What::Terms(name.to_owned());
                if !offers.iter().any(|offer| offer.what == what) {
                    let rule = "name id, asset (their keys), href (of assets) or a property that is a string here";
                    return Err(self.wrong("property", rule));
                }
                PathOf::Property(name.to_owned())
            }
        };
        let prefix = self.text("prefix").unwrap_or_default().to_owned();
        let separator = self.text("separator").unwrap_or("/").to_owned();
        if separator.is_empty() {
            return Err(self.wrong("separator", "write at least one character"));
        }
        let below = match &of {
            PathOf::Id => below("id", &prefix),
            PathOf::Property(name) => below(name, &prefix),
            PathOf::AssetKey | PathOf::AssetHref => None,
        };
        Ok(PathGrouping { of, prefix, separator, below })
    }
}

/// A filter for the strings that begin with a prefix: those from the prefix on and before the next one that is none.
/// Comparisons are what an index serves; the database looks at the beginning itself, so this may be missing.
fn below(property: &str, prefix: &str) -> Option<Box<Filter>> {
    if prefix.is_empty() {
        return None;
    }
    let name = json!({ "property": property });
    let from = json!({ "op": ">=", "args": [name, prefix] });
    let range = match behind(prefix) {
        Some(end) => json!({ "op": "and", "args": [from, { "op": "<", "args": [name, end] }] }),
        None => from,
    };
    Filter::parse_json(&range).ok().map(Box::new)
}

/// Returns the first string behind all those that begin with a prefix.
fn behind(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        let after = match last {
            char::MAX => continue,
            '\u{d7ff}' => '\u{e000}',
            other => char::from_u32(other as u32 + 1).expect("it is neither the last nor before the surrogates"),
        };
        chars.push(after);
        return Some(chars.into_iter().collect());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_with_a_prefix_ends_before_the_next_one() {
        assert_eq!(behind("projects/dijk-a/").unwrap(), "projects/dijk-a0");
        assert_eq!(behind("a\u{d7ff}").unwrap(), "a\u{e000}");
        assert_eq!(behind("a\u{10ffff}").unwrap(), "b");
        assert_eq!(behind("\u{10ffff}"), None);
    }

    #[test]
    fn a_prefix_is_asked_for_as_a_range() {
        assert_eq!(below("polder:flight", ""), None);
        let filter = below("polder:flight", "2025/").unwrap().to_text();
        assert!(filter.contains("'2025/'") && filter.contains("'20250'"), "{filter}");
    }
}
