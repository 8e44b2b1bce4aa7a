//! Asking the database, and writing what it told as an `AggregationCollection`.

use std::collections::BTreeMap;

use axum::response::Response;
use serde_json::{Map, Value, json};

use super::{
    super::{collections::summary_of, json_of},
    histogram::{ranges, width},
    offer::What,
    request::{Asked, Wanted},
};
use crate::{
    api::{AppState, access::Reader, problem::Problem},
    catalog::{PropertySummary, timestamp},
    database::{Aggregate, Aggregated, CollectionRow, Grouping, Groups, Measure, Search},
};

/// Doubles up to here hold every whole number.
const WHOLE: f64 = 9_007_199_254_740_992.0;

/// Answers a request; `known` are the collections whose items may count.
pub(super) async fn answer(
    state: &AppState,
    reader: &Reader,
    known: &[CollectionRow],
    asked: &Asked,
    links: Vec<Value>,
    collection: Option<&str>,
) -> Result<Response, Problem> {
    let search = asked.search(collection)?;
    let widths = widths(state, reader, known, &search, &asked.wanted).await?;
    let chosen = |wanted: &Wanted| widths.get(wanted.offer.name.as_str()).copied().unwrap_or(1.0);
    let aggregates: Vec<Aggregate> = asked.wanted.iter().map(|wanted| wanted.aggregate(chosen(wanted))).collect();
    let told = state.database.aggregate_items(&reader.narrowed(search), &aggregates, known).await?;
    let all = asked.wanted.iter().zip(&aggregates).zip(&told);
    let all: Vec<Value> = all.map(|((wanted, aggregate), told)| aggregation(wanted, aggregate, told)).collect();
    Ok(json_of(&json!({ "type": "AggregationCollection", "aggregations": all, "links": links })))
}

/// Chooses the widths of histograms, by the names of their aggregations.
///
/// They follow from all items that the reader may see in these collections, and not from those that match: buckets
/// stay where they are while somebody narrows the search down.
async fn widths<'a>(
    state: &AppState,
    reader: &Reader,
    known: &[CollectionRow],
    search: &Search,
    wanted: &'a [Wanted],
) -> Result<BTreeMap<&'a str, f64>, Problem> {
    let open: Vec<(&Wanted, &str)> = wanted.iter().filter_map(|one| Some((one, one.needs_range_of()?))).collect();
    if open.is_empty() {
        return Ok(BTreeMap::new());
    }
    let measures = open.iter().map(|(_, name)| Measure::Number((*name).to_owned()));
    let extremes: Vec<Aggregate> =
        measures.flat_map(|measure| [Aggregate::Least(measure.clone()), Aggregate::Greatest(measure)]).collect();
    let everything = Search { collections: search.collections.clone(), ..Search::default() };
    let told = state.database.aggregate_items(&reader.narrowed(everything), &extremes, known).await?;
    let properties = summary_of(known).properties;
    let chosen = |((one, name), told): (&(&'a Wanted, &str), &[Aggregated])| {
        let range = match told {
            [Aggregated::Number(Some(least)), Aggregated::Number(Some(greatest))] => Some((*least, *greatest)),
            _ => None,
        };
        let whole = properties.get(*name).is_some_and(PropertySummary::is_integer);
        (one.offer.name.as_str(), width(range, one.options.buckets, whole))
    };
    Ok(open.iter().zip(told.chunks(2)).map(chosen).collect())
}

/// Writes one aggregation.
fn aggregation(wanted: &Wanted, aggregate: &Aggregate, told: &Aggregated) -> Value {
    let what = &wanted.offer.what;
    let value = match told {
        Aggregated::Count(n) => json!(n),
        Aggregated::Time(time) => time.map(timestamp).into(),
        Aggregated::Number(value) => value.map(number).into(),
        Aggregated::Groups(groups) => {
            return json!({
                "name": wanted.offer.name,
                "data_type": "frequency_distribution",
                "overflow": groups.overflow,
                "buckets": buckets(what, aggregate, groups),
            });
        }
    };
    json!({ "name": wanted.offer.name, "data_type": what.data_type(), "value": value })
}

/// Time, numbers and paths go upwards; everything else begins with the largest bucket.
fn buckets(what: &What, aggregate: &Aggregate, groups: &Groups) -> Vec<Value> {
    let bucket = |(key, n): &(String, i64)| json!({ "key": key, "data_type": what.data_type(), "frequency": n });
    let Aggregate::Groups { by, most } = aggregate else { return Vec::new() };
    match by {
        Grouping::Range { width, .. } => ranges(groups, *width, *most)
            .iter()
            .map(|range| {
                let (from, to) = (number(range.from), number(range.to));
                let mut bucket: Map<String, Value> = Map::new();
                bucket.insert("key".to_owned(), format!("{from}-{to}").into());
                bucket.insert("data_type".to_owned(), what.data_type().into());
                bucket.insert("frequency".to_owned(), range.frequency.into());
                bucket.insert("from".to_owned(), from);
                bucket.insert("to".to_owned(), to);
                bucket.into()
            })
            .collect(),
        Grouping::Time { .. } | Grouping::Path(_) => {
            let mut sorted = groups.groups.clone();
            sorted.sort();
            sorted.iter().map(bucket).collect()
        }
        _ => groups.groups.iter().map(bucket).collect(),
    }
}

/// Writes whole numbers without a fraction.
fn number(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < WHOLE { (number as i64).into() } else { number.into() }
}
