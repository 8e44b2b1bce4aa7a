//! Aggregates: what is told of all the items that a search finds, without giving any of them.
//!
//! Three ways lead to an answer, and the cheapest one is taken. What the summaries of whole collections say already is
//! read off them ([`summed`]). All that has one value for each item is counted in one pass over the items
//! ([`single_pass`]). What an item has several of, or what an index finds by its beginning, takes a pass of its own
//! ([`own_pass`]).
//!
//! Invariant: counts are exact. Of many groups the largest are given, and how many items are in none of them is said.

mod keys;
mod own_pass;
mod single_pass;
mod summed;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};

use super::{CollectionRow, Database, Filter, Result, Search};

/// Something to tell of all the items that a search finds.
#[derive(Clone, Debug, PartialEq)]
pub enum Aggregate {
    /// How many they are.
    Count,
    Least(Measure),
    Greatest(Measure),
    /// How many are in each group, for the `most` largest groups.
    Groups {
        by: Grouping,
        most: usize,
    },
}

/// What has a least and a greatest value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Measure {
    /// The least is the first start, the greatest is the last end.
    Datetime,
    /// A property, where it is a number.
    Number(String),
    /// A property, where it is a time.
    Time(String),
}

/// What makes items of one group.
#[derive(Clone, Debug, PartialEq)]
pub enum Grouping {
    Collection,
    /// A stretch of time (UTC), in which the item starts or in which the property `of` is. The key is its first moment.
    Time {
        of: Option<String>,
        step: Step,
    },
    /// The geohash of the middle of the geometry, of this many characters.
    Geohash(u8),
    /// The web map tile in which the middle of the geometry is, as `z/x/y`.
    Geotile(u8),
    /// The value of a property, where it is a string, a number or a boolean.
    Term(String),
    /// A property, where it is a number, between two multiples of `width`. The key is the lower one.
    Range {
        property: String,
        width: f64,
    },
    /// Each element of a property that is an array.
    Element(String),
    /// Each key of an asset.
    AssetKey,
    Path(PathGrouping),
}

/// A level of a tree that is written as paths.
///
/// A key is a path, or the beginning of paths up to and with the next separator behind the prefix: then it is the
/// prefix of the level below. Items outside of the prefix are in no group and are not counted.
#[derive(Clone, Debug, PartialEq)]
pub struct PathGrouping {
    pub of: PathOf,
    pub prefix: String,
    pub separator: String,
    /// Says of an item that its path begins with the prefix, in words that an index may serve.
    pub below: Option<Box<Filter>>,
}

/// Where paths are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathOf {
    Id,
    Property(String),
    AssetKey,
    /// The hrefs of assets, as they are stored.
    AssetHref,
}

/// A stretch of time. Weeks begin on Mondays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Year,
    Month,
    Week,
    Day,
    Hour,
}

/// What was told.
#[derive(Clone, Debug, PartialEq)]
pub enum Aggregated {
    Count(i64),
    Time(Option<DateTime<Utc>>),
    Number(Option<f64>),
    Groups(Groups),
}

/// Groups, the largest first and those of one size by key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups {
    pub groups: Vec<(String, i64)>,
    /// How many items are in none of them.
    pub overflow: i64,
}

impl Step {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Year => "year",
            Self::Month => "month",
            Self::Week => "week",
            Self::Day => "day",
            Self::Hour => "hour",
        }
    }
}

impl Grouping {
    /// Tells whether it takes a pass of its own.
    const fn is_apart(&self) -> bool {
        matches!(self, Self::Element(_) | Self::AssetKey | Self::Path(_))
    }
}

impl Database {
    /// Tells what is wanted of all the items that a search finds, in the order in which it is wanted. Order, limit and
    /// cursor of the search say nothing here. `known` are the collections, read a moment ago.
    ///
    /// # Errors
    /// [`Error::Query`](super::Error::Query).
    pub async fn aggregate_items(
        &self,
        search: &Search,
        wanted: &[Aggregate],
        known: &[CollectionRow],
    ) -> Result<Vec<Aggregated>> {
        let summaries = summed::of_whole_collections(search, known);
        let mut told: Vec<Option<Aggregated>> =
            wanted.iter().map(|one| summed::tell(one, summaries.as_deref()?)).collect();
        let apart = |one: &Aggregate| matches!(one, Aggregate::Groups { by, .. } if by.is_apart());
        let open = wanted.iter().zip(&mut told).filter(|(_, told)| told.is_none());
        let (several, single): (Vec<_>, Vec<_>) = open.partition(|(one, _)| apart(one));
        let (single, places): (Vec<&Aggregate>, Vec<_>) = single.into_iter().unzip();
        if !single.is_empty() {
            let answers = self.in_a_single_pass(search, &single).await?;
            places.into_iter().zip(answers).for_each(|(place, answer)| *place = Some(answer));
        }
        for (one, place) in several {
            if let Aggregate::Groups { by, most } = one {
                *place = Some(Aggregated::Groups(self.in_a_pass_of_its_own(search, by, *most).await?));
            }
        }
        Ok(told.into_iter().flatten().collect())
    }
}
