//! What is asked for: names of aggregations, their parameters, and the conditions of a search.

use std::collections::BTreeMap;

use axum::http::Uri;
use serde_json::{Map, Value};

use super::{
    super::{page::Format, search::SearchBody},
    offer::{Offer, What},
    options::Options,
};
use crate::{
    api::{problem::Problem, query::Query},
    database::{Aggregate, Grouping, Search},
};

/// What a search asks of items; order, pages and forms mean nothing here.
const CONDITIONS: [&str; 10] =
    ["collections", "ids", "bbox", "datetime", "intersects", "q", "query", "filter", "filter-lang", "filter-crs"];
const NAMES: &str = "aggregations";

/// More than a page shows, and fewer than PostgreSQL can group by at once.
const MOST_AGGREGATIONS: usize = 30;

/// Names that are listed to somebody who asks for one that there is not.
const MOST_SHOWN: usize = 50;

/// A request that was read.
pub(super) struct Asked {
    pub wanted: Vec<Wanted>,
    body: SearchBody,
}

/// One aggregation that is wanted.
pub(super) struct Wanted {
    pub offer: Offer,
    pub options: Options,
}

impl Asked {
    /// Reads the parameters of a GET.
    pub fn from_uri(uri: &Uri, offers: &[Offer]) -> Result<Self, Problem> {
        // Which parameters there are depends on the names, so those are read first; what is no query is refused below.
        let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri).map(|query| query.0);
        let names = pairs.unwrap_or_default().into_iter().filter(|(name, _)| name == NAMES);
        let names: Vec<String> =
            names.flat_map(|(_, list)| list.split(',').map(str::to_owned).collect::<Vec<_>>()).collect();
        let chosen = chosen(names.iter().map(|name| name.trim()).filter(|name| !name.is_empty()), offers)?;
        let known = known(&chosen);
        let query = Query::parse(uri.query(), &known.iter().map(String::as_str).collect::<Vec<_>>())?;
        let mut given = BTreeMap::new();
        for name in chosen.iter().flat_map(Offer::parameters) {
            if let Some(value) = query.one(&name)? {
                given.insert(name, value.to_owned());
            }
        }
        Ok(Self { wanted: wanted(chosen, &given, offers)?, body: SearchBody::from_query(&query)? })
    }

    /// Reads the body of a POST.
    pub fn from_json(mut body: Map<String, Value>, offers: &[Offer]) -> Result<Self, Problem> {
        let names: Option<Vec<String>> = serde_json::from_value(body.remove(NAMES).unwrap_or_default())
            .map_err(|_| Problem::bad_request("aggregations: write a list of names"))?;
        let chosen = chosen(names.iter().flatten().map(String::as_str), offers)?;
        let known = known(&chosen);
        if let Some(name) = body.keys().find(|name| !known.contains(name)) {
            let rule = format!("the body has no member {name:?} here, only {}", known.join(", "));
            return Err(Problem::bad_request(rule));
        }
        let mut given = BTreeMap::new();
        for name in chosen.iter().flat_map(Offer::parameters) {
            match body.remove(&name) {
                None | Some(Value::Null) => {}
                Some(Value::String(text)) => _ = given.insert(name, text),
                Some(Value::Number(number)) => _ = given.insert(name, number.to_string()),
                Some(other) => return Err(Problem::parameter(&name, &other.to_string(), "write a string or a number")),
            }
        }
        let body = SearchBody::from_json(Value::Object(body))?;
        Ok(Self { wanted: wanted(chosen, &given, offers)?, body })
    }

    /// Returns the search for the items that count, in one collection or in all.
    pub fn search(&self, collection: Option<&str>) -> Result<Search, Problem> {
        let mut search = self.body.search(Format::GeoJson)?;
        if let Some(collection) = collection {
            if search.collections.take().is_some_and(|asked| !asked.iter().any(|id| id == collection)) {
                // Items of other collections only: there are none here.
                search.ids = Some(Vec::new());
            }
            search.collections = Some(vec![collection.to_owned()]);
        }
        Ok(search)
    }
}

impl Wanted {
    /// Returns the property whose range must be known to choose the width of buckets.
    pub fn needs_range_of(&self) -> Option<&str> {
        match &self.offer.what {
            What::Histogram(name) if self.options.width.is_none() => Some(name),
            _ => None,
        }
    }

    /// Makes the question for the database; `width` is that of the buckets of a histogram.
    pub fn aggregate(&self, width: f64) -> Aggregate {
        let Options { step, precision, path, limit, .. } = &self.options;
        let by = match self.offer.what.clone() {
            What::Count => return Aggregate::Count,
            What::Least(measure) => return Aggregate::Least(measure),
            What::Greatest(measure) => return Aggregate::Greatest(measure),
            What::Collections => Grouping::Collection,
            What::Times(of) => Grouping::Time { of, step: *step },
            What::Geohashes => Grouping::Geohash(*precision),
            What::Geotiles => Grouping::Geotile(*precision),
            What::Terms(name) => Grouping::Term(name),
            What::Elements(name) => Grouping::Element(name),
            What::Histogram(property) => Grouping::Range { property, width: self.options.width.unwrap_or(width) },
            What::AssetKeys => Grouping::AssetKey,
            What::Paths => Grouping::Path(path.clone()),
        };
        Aggregate::Groups { by, most: *limit }
    }
}

/// Finds what is offered under the names, each once.
fn chosen<'a>(names: impl Iterator<Item = &'a str>, offers: &[Offer]) -> Result<Vec<Offer>, Problem> {
    let mut chosen: Vec<Offer> = Vec::new();
    for name in names {
        let Some(offer) = offers.iter().find(|offer| offer.name == name) else {
            let mut known: Vec<&str> = offers.iter().map(|offer| offer.name.as_str()).take(MOST_SHOWN).collect();
            known.extend((offers.len() > MOST_SHOWN).then_some("… (/aggregations lists them all)"));
            let rule = format!("there is no such aggregation here, only {}", known.join(", "));
            return Err(Problem::parameter(NAMES, name, &rule));
        };
        if !chosen.contains(offer) {
            chosen.push(offer.clone());
        }
    }
    if chosen.len() > MOST_AGGREGATIONS {
        let rule = format!("ask for {MOST_AGGREGATIONS} at most at once");
        return Err(Problem::parameter(NAMES, &chosen.len().to_string(), &rule));
    }
    Ok(chosen)
}

fn known(chosen: &[Offer]) -> Vec<String> {
    let own = [NAMES].into_iter().chain(CONDITIONS).map(str::to_owned);
    own.chain(chosen.iter().flat_map(Offer::parameters)).collect()
}

fn wanted(chosen: Vec<Offer>, given: &BTreeMap<String, String>, offers: &[Offer]) -> Result<Vec<Wanted>, Problem> {
    let wanted = |offer: Offer| Ok(Wanted { options: Options::read(&offer, given, offers)?, offer });
    chosen.into_iter().map(wanted).collect()
}
