//! What the summaries of collections tell without a look at any item.

use std::collections::BTreeMap;

use super::{Aggregate, Aggregated, Grouping, Groups, Measure, Search};
use crate::{
    catalog::{Kind, PropertySummary, Summary},
    database::CollectionRow,
};

/// Returns the collections that are searched, when all their items are found.
pub(super) fn of_whole_collections<'a>(search: &Search, known: &'a [CollectionRow]) -> Option<Vec<&'a CollectionRow>> {
    let unasked = Search { collections: None, sort: Vec::new(), limit: 0, cursor: None, ..search.clone() };
    let searched = |row: &&CollectionRow| search.collections.as_ref().is_none_or(|ids| ids.contains(&row.id));
    (unasked == Search::default()).then(|| known.iter().filter(searched).collect())
}

/// Tells what is wanted, or nothing when the summaries do not say it.
pub(super) fn tell(wanted: &Aggregate, rows: &[&CollectionRow]) -> Option<Aggregated> {
    let summaries = || rows.iter().map(|row| &row.summary);
    let items = || summaries().map(|summary| summary.items).sum();
    Some(match wanted {
        Aggregate::Count => Aggregated::Count(items()),
        Aggregate::Least(Measure::Datetime) => {
            Aggregated::Time(summaries().filter_map(|summary| summary.starts_at).min())
        }
        Aggregate::Greatest(Measure::Datetime) => {
            Aggregated::Time(summaries().filter_map(|summary| summary.ends_at).max())
        }
        Aggregate::Least(Measure::Number(name)) => {
            let minima = numbers(name, summaries())?.into_iter().filter_map(|property| property.minimum);
            Aggregated::Number(minima.reduce(f64::min))
        }
        Aggregate::Greatest(Measure::Number(name)) => {
            let maxima = numbers(name, summaries())?.into_iter().filter_map(|property| property.maximum);
            Aggregated::Number(maxima.reduce(f64::max))
        }
        Aggregate::Groups { by: Grouping::Collection, most } => {
            let counts = rows.iter().map(|row| (row.id.clone(), row.summary.items)).filter(|(_, n)| *n > 0);
            Aggregated::Groups(largest(counts.collect(), *most, items()))
        }
        Aggregate::Groups { by: Grouping::Term(name), most } => {
            Aggregated::Groups(largest(terms(name, summaries())?, *most, items()))
        }
        _ => return None,
    })
}

/// What is known of a property; nothing when numbers in arrays are among its extremes.
fn numbers<'a>(name: &str, summaries: impl Iterator<Item = &'a Summary>) -> Option<Vec<&'a PropertySummary>> {
    let all: Vec<_> = summaries.filter_map(|summary| summary.properties.get(name)).collect();
    all.iter().all(|property| !property.kinds.contains_key(&Kind::Array)).then_some(all)
}

/// How often each value is there, when all values are strings and none was too many.
fn terms<'a>(name: &str, summaries: impl Iterator<Item = &'a Summary>) -> Option<Vec<(String, i64)>> {
    let mut counts = BTreeMap::<String, i64>::new();
    for property in summaries.filter_map(|summary| summary.properties.get(name)) {
        if !property.kinds.keys().all(|kind| matches!(kind, Kind::String | Kind::Time)) {
            return None;
        }
        for (value, n) in property.values.as_ref()? {
            *counts.entry(value.clone()).or_default() += n;
        }
    }
    Some(counts.into_iter().collect())
}

/// Keeps the largest groups, as the database does.
fn largest(mut groups: Vec<(String, i64)>, most: usize, items: i64) -> Groups {
    groups.sort_by(|(a, m), (b, n)| n.cmp(m).then_with(|| a.cmp(b)));
    groups.truncate(most);
    let counted: i64 = groups.iter().map(|(_, n)| n).sum();
    Groups { groups, overflow: items - counted }
}
