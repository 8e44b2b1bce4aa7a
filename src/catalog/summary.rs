//! What the items of a collection are like, kept true without looking at them again.
//!
//! Each write says what it adds and what it takes away ([`Change`]), as numbers. A collection's [`Summary`] is the sum
//! of all changes. Sums need no order and no lock between writers: four that write at once leave four changes, which
//! whoever reads the collection next adds up.
//!
//! Counting goes both ways, but an extreme does not: when the item that reached farthest west goes, the sum cannot tell
//! who is now the last. [`Summary::apply`] says so ([`Stale`]), and the items themselves are asked for that edge alone.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    ItemText, Result,
    tree::{Object, Tree},
};
use crate::spatial::Bbox;

/// Distinct strings that are kept of a property: more make no list that a person would choose from.
const MOST_VALUES: usize = 50;

/// Longest string that counts as a value to choose.
const LONGEST_VALUE: usize = 80;

/// From here on, numbers have no digits behind the point: one that is written with a power of ten is whole too, and comes
/// back from `PostgreSQL` without it.
const WHOLE: f64 = 1e16;

/// Times are columns of their own and no property of the summary.
const TIMES: [&str; 3] = ["datetime", "start_datetime", "end_datetime"];

/// The kinds of JSON values, with those strings apart that are times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Boolean,
    Integer,
    Number,
    String,
    /// A string as RFC 3339 writes times.
    Time,
    Array,
    Object,
}

/// What all items of a collection are together. Also: what some of them are, to be added to others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Summary {
    pub items: i64,
    /// west, south, east, north in degrees; nothing when no item has a place.
    pub bbox: Option<[f64; 4]>,
    pub starts_at: Option<DateTime<Utc>>,
    pub ends_at: Option<DateTime<Utc>>,
    pub properties: BTreeMap<String, PropertySummary>,
    pub assets: BTreeMap<String, AssetSummary>,
}

/// What is known of one property.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PropertySummary {
    /// How many items have a value of this kind; the kinds of an array are in `elements`.
    pub kinds: BTreeMap<Kind, i64>,
    /// How often each string is there, alone or in an array; nothing once there were too many.
    pub values: Option<BTreeMap<String, i64>>,
    pub minimum: Option<f64>,
    pub maximum: Option<f64>,
}

/// What is known of the assets of one key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AssetSummary {
    pub items: i64,
    pub types: BTreeMap<String, i64>,
    pub roles: BTreeMap<String, i64>,
    pub titles: BTreeMap<String, i64>,
}

/// What a write did to the items of one collection.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Change {
    pub added: Summary,
    pub removed: Summary,
}

/// What a sum cannot tell any more and the items must be asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stale {
    pub extent: bool,
    /// Names of properties whose smallest or largest number went.
    pub ranges: BTreeSet<String>,
}

impl Stale {
    pub fn is_empty(&self) -> bool {
        !self.extent && self.ranges.is_empty()
    }
}

impl Summary {
    /// Summarises one item, as it was read.
    pub(super) fn of_item(
        bbox: Option<Bbox>,
        [starts_at, ends_at]: [DateTime<Utc>; 2],
        properties: &Object,
        assets: Option<&Object>,
    ) -> Self {
        let kept = properties.iter().filter(|(name, value)| !TIMES.contains(name) && !value.is_null());
        let assets = assets.into_iter().flat_map(Object::iter);
        Self {
            items: 1,
            bbox: bbox.map(Bbox::to_array),
            starts_at: Some(starts_at),
            ends_at: Some(ends_at),
            properties: kept.map(|(name, value)| (name.to_owned(), PropertySummary::of(value))).collect(),
            assets: assets.map(|(key, asset)| (key.to_owned(), AssetSummary::of(asset))).collect(),
        }
    }

    /// Summarises an item as it is stored: its properties as JSON, its assets as marked text. `bbox` is that of its
    /// geometry.
    ///
    /// # Errors
    /// [`Error::Json`](super::Error::Json) when somebody changed what is stored by hand.
    pub fn of_stored(bbox: Option<Bbox>, times: [DateTime<Utc>; 2], properties: &str, text: &ItemText) -> Result<Self> {
        let assets = text.stored_assets();
        Ok(Self::of_item(bbox, times, &serde_json::from_str(properties)?, Some(&serde_json::from_str(&assets)?)))
    }

    /// Adds what other items are.
    pub fn add(&mut self, other: &Self) {
        self.items += other.items;
        self.bbox = match (self.bbox, other.bbox) {
            (Some(a), Some(b)) => Some([a[0].min(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].max(b[3])]),
            (a, b) => a.or(b),
        };
        self.starts_at = [self.starts_at, other.starts_at].into_iter().flatten().min();
        self.ends_at = [self.ends_at, other.ends_at].into_iter().flatten().max();
        for (name, property) in &other.properties {
            match self.properties.get_mut(name) {
                Some(own) => own.add(property),
                None => _ = self.properties.insert(name.clone(), property.clone()),
            }
        }
        for (key, asset) in &other.assets {
            self.assets.entry(key.clone()).or_default().count(asset, 1);
        }
    }

    /// Makes a change part of the sum, and says what the items must be asked for now.
    pub fn apply(&mut self, change: &Change) -> Stale {
        self.add(&change.added);
        let removed = &change.removed;
        if removed.items == 0 {
            return Stale::default();
        }
        self.items -= removed.items;
        let mut stale = Stale { extent: self.reaches(removed) && !change.added.covers(removed), ..Stale::default() };
        for (name, property) in &removed.properties {
            let Some(own) = self.properties.get_mut(name) else { continue };
            let kept = change.added.properties.get(name);
            if own.remove(property, kept) {
                stale.ranges.insert(name.clone());
            }
        }
        for (key, asset) in &removed.assets {
            self.assets.entry(key.clone()).or_default().count(asset, -1);
        }
        self.properties.retain(|_, property| property.kinds.values().any(|count| *count > 0));
        self.assets.retain(|_, asset| asset.items > 0);
        stale.ranges.retain(|name| self.properties.contains_key(name));
        stale
    }

    /// Tells whether an edge of the whole is an edge of `part`.
    fn reaches(&self, part: &Self) -> bool {
        let touches = |a: [f64; 4], b: [f64; 4]| a.iter().zip(b).any(|(a, b)| *a == b);
        self.bbox.zip(part.bbox).is_some_and(|(whole, part)| touches(whole, part))
            || self.starts_at == part.starts_at
            || self.ends_at == part.ends_at
    }

    fn covers(&self, other: &Self) -> bool {
        let around = |a: [f64; 4], b: [f64; 4]| a[0] <= b[0] && a[1] <= b[1] && a[2] >= b[2] && a[3] >= b[3];
        let place = other.bbox.is_none_or(|inner| self.bbox.is_some_and(|outer| around(outer, inner)));
        let start = self.starts_at.zip(other.starts_at).is_some_and(|(own, other)| own <= other);
        place && start && self.ends_at >= other.ends_at
    }
}

/// Returns the box around a `GeoJSON` geometry; nothing when it has no place.
pub(super) fn bbox_of(geometry: &Tree) -> Option<Bbox> {
    let mut places = Vec::new();
    collect_places(geometry, &mut places);
    Bbox::of(places)
}

/// Finds the places (`[lon, lat]`) of a geometry, whatever it is nested in.
fn collect_places(value: &Tree, places: &mut Vec<[f64; 2]>) {
    match value {
        Tree::Object(members) => {
            let inner = members.get("coordinates").into_iter().chain(members.get("geometries"));
            inner.for_each(|value| collect_places(value, places));
        }
        Tree::List(values) => match values.as_slice() {
            [x, y, ..] if x.number().is_some() => places.extend(x.number().zip(y.number()).map(|(x, y)| [x, y])),
            values => values.iter().for_each(|value| collect_places(value, places)),
        },
        _ => {}
    }
}

impl PropertySummary {
    fn of(value: &Tree) -> Self {
        let mut summary = Self { values: Some(BTreeMap::new()), ..Self::default() };
        summary.kinds.insert(kind(value), 1);
        match value {
            // The numbers of a box or a matrix have no range that says something.
            Tree::List(elements) => elements.iter().filter(|v| v.text().is_some()).for_each(|v| summary.note(v)),
            value => summary.note(value),
        }
        summary
    }

    /// Notes a value that a person may choose, or a number of a range. A string twice in one array counts twice.
    fn note(&mut self, value: &Tree) {
        match value {
            Tree::Text(text) => match &mut self.values {
                Some(values) if text.len() <= LONGEST_VALUE => *values.entry(text.to_string()).or_default() += 1,
                values => *values = None,
            },
            Tree::Integer(number) | Tree::Number(number) => {
                self.minimum = Some(self.minimum.map_or(*number, |minimum| minimum.min(*number)));
                self.maximum = Some(self.maximum.map_or(*number, |maximum| maximum.max(*number)));
            }
            _ => {}
        }
    }

    fn add(&mut self, other: &Self) {
        for (kind, count) in &other.kinds {
            *self.kinds.entry(*kind).or_default() += count;
        }
        self.values = match (self.values.take(), &other.values) {
            (Some(mut own), Some(other)) => {
                for (value, count) in other {
                    *own.entry(value.clone()).or_default() += count;
                }
                (own.len() <= MOST_VALUES).then_some(own)
            }
            _ => None,
        };
        self.minimum = [self.minimum, other.minimum].into_iter().flatten().reduce(f64::min);
        self.maximum = [self.maximum, other.maximum].into_iter().flatten().reduce(f64::max);
    }

    /// Takes a part away; tells whether the range must be looked up. `kept` came with the same change.
    fn remove(&mut self, part: &Self, kept: Option<&Self>) -> bool {
        for (kind, count) in &part.kinds {
            *self.kinds.entry(*kind).or_default() -= count;
        }
        self.kinds.retain(|_, count| *count > 0);
        if let (Some(own), Some(part)) = (&mut self.values, &part.values) {
            for (value, count) in part {
                *own.entry(value.clone()).or_default() -= count;
            }
            own.retain(|_, count| *count > 0);
        }
        let goes =
            |own: Option<f64>, part: Option<f64>, kept: Option<f64>| part.is_some() && own == part && kept != part;
        goes(self.minimum, part.minimum, kept.and_then(|kept| kept.minimum))
            || goes(self.maximum, part.maximum, kept.and_then(|kept| kept.maximum))
    }

    /// Tells whether only whole numbers were seen where there are numbers.
    pub fn is_integer(&self) -> bool {
        self.kinds.contains_key(&Kind::Integer) && !self.kinds.contains_key(&Kind::Number)
    }

    /// Writes the property as STAC summarises it: a range, or a list of values; nothing when neither says much.
    pub fn json(&self) -> Option<Value> {
        if let (Some(minimum), Some(maximum)) = (self.minimum, self.maximum) {
            return Some(if self.is_integer() {
                json!({ "minimum": minimum as i64, "maximum": maximum as i64 })
            } else {
                json!({ "minimum": minimum, "maximum": maximum })
            });
        }
        let values =
            self.values.as_ref().filter(|values| !values.is_empty() && !self.kinds.contains_key(&Kind::Time))?;
        Some(values.keys().cloned().collect())
    }
}

impl AssetSummary {
    fn of(asset: &Tree) -> Self {
        let member = |name| asset.object().and_then(|asset| asset.get(name));
        let once = |name| member(name).and_then(Tree::text).map(|text| (text.to_owned(), 1)).into_iter().collect();
        let roles = member("roles").and_then(Tree::list).into_iter().flatten().filter_map(Tree::text);
        Self {
            items: 1,
            types: once("type"),
            roles: roles.map(|role| (role.to_owned(), 1)).collect(),
            titles: once("title"),
        }
    }

    fn count(&mut self, other: &Self, sign: i64) {
        self.items += sign * other.items;
        let counts =
            [(&mut self.types, &other.types), (&mut self.roles, &other.roles), (&mut self.titles, &other.titles)];
        for (own, other) in counts {
            for (value, count) in other {
                if own.len() <= MOST_VALUES || own.contains_key(value) {
                    *own.entry(value.clone()).or_default() += sign * count;
                }
            }
            own.retain(|_, count| *count > 0);
        }
    }

    /// Writes what all assets of this key share, as `item_assets` has it.
    pub fn json(&self) -> Value {
        let mut shared = Map::new();
        let only = |values: &BTreeMap<String, i64>| match values.iter().next() {
            Some((value, count)) if *count == self.items => Some(Value::from(value.as_str())),
            _ => None,
        };
        shared.extend(only(&self.titles).map(|title| ("title".to_owned(), title)));
        shared.extend(only(&self.types).map(|media_type| ("type".to_owned(), media_type)));
        let roles: Vec<&String> = self.roles.iter().filter(|(_, n)| **n == self.items).map(|(role, _)| role).collect();
        if !roles.is_empty() {
            shared.insert("roles".to_owned(), json!(roles));
        }
        Value::Object(shared)
    }
}

fn kind(value: &Tree) -> Kind {
    match value {
        Tree::Bool => Kind::Boolean,
        Tree::Number(number) if number.abs() < WHOLE => Kind::Number,
        Tree::Integer(_) | Tree::Number(_) => Kind::Integer,
        Tree::List(_) => Kind::Array,
        Tree::Object(_) => Kind::Object,
        Tree::Text(text) if is_time(text) => Kind::Time,
        Tree::Text(_) | Tree::Null => Kind::String,
    }
}

fn is_time(text: &str) -> bool {
    text.as_bytes().get(10).is_some_and(|byte| matches!(byte, b'T' | b't'))
        && DateTime::parse_from_rfc3339(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "each is made for the call")]
    fn item(west: f64, cloud: Value, platform: &str) -> Summary {
        let at: DateTime<Utc> = "2025-06-23T10:00:00Z".parse().unwrap();
        let bbox = Bbox { west, south: 52.0, east: west + 1.0, north: 53.0 };
        let properties = json!({ "eo:cloud_cover": cloud, "platform": platform, "datetime": "2025-06-23T10:00:00Z" });
        let assets = json!({ "photo": { "href": "x", "type": "image/jpeg", "roles": ["data"] } });
        let [properties, assets] = [&properties, &assets].map(Tree::from);
        Summary::of_item(Some(bbox), [at, at], properties.object().unwrap(), assets.object())
    }

    fn added(summaries: &[Summary]) -> Summary {
        summaries.iter().fold(Summary::default(), |mut sum, item| {
            sum.add(item);
            sum
        })
    }

    fn removal(removed: Summary) -> Change {
        Change { removed, ..Change::default() }
    }

    #[test]
    fn a_sum_says_what_all_items_are() {
        let sum = added(&[item(5.0, json!(10), "a"), item(7.0, json!(30.5), "b")]);
        assert_eq!((sum.items, sum.bbox), (2, Some([5.0, 52.0, 8.0, 53.0])));
        assert_eq!(sum.properties["eo:cloud_cover"].json(), Some(json!({ "minimum": 10.0, "maximum": 30.5 })));
        assert_eq!(sum.properties["platform"].json(), Some(json!(["a", "b"])));
        assert_eq!(sum.assets["photo"].json(), json!({ "type": "image/jpeg", "roles": ["data"] }));
        assert!(!sum.properties.contains_key("datetime"));
    }

    #[test]
    fn what_comes_and_goes_leaves_no_trace() {
        let first = item(5.0, json!(10), "a");
        let mut sum = added(&[first.clone(), item(6.0, json!(10), "b")]);
        let stale = sum.apply(&removal(item(6.0, json!(10), "b")));
        assert!(stale.extent && stale.ranges.contains("eo:cloud_cover"));
        assert_eq!((&sum.properties["platform"], sum.items), (&first.properties["platform"], 1));
        sum.apply(&removal(first));
        assert!(sum.properties.is_empty() && sum.assets.is_empty());
    }

    #[test]
    fn an_item_from_the_middle_leaves_the_extremes_alone() {
        let mut sum = added(&[item(4.0, json!(1), "a"), item(5.0, json!(2), "a"), item(6.0, json!(3), "a")]);
        let mut middle = item(5.0, json!(2), "a");
        middle.bbox = Some([5.0, 52.5, 6.0, 52.6]);
        middle.starts_at = middle.starts_at.map(|at| at + chrono::TimeDelta::hours(1));
        middle.ends_at = middle.ends_at.map(|at| at - chrono::TimeDelta::hours(1));
        assert!(sum.apply(&removal(middle)).is_empty());
    }

    #[test]
    fn writing_an_item_again_in_its_place_asks_for_nothing() {
        let mut sum = added(&[item(5.0, json!(10), "a")]);
        let change = Change { added: item(5.0, json!(10), "b"), removed: item(5.0, json!(10), "a") };
        assert!(sum.apply(&change).is_empty());
        assert_eq!(sum.properties["platform"].json(), Some(json!(["b"])));
    }

    #[test]
    fn too_many_values_are_no_list() {
        let items: Vec<Summary> = (0..60).map(|i| item(5.0, json!(1), &format!("p{i}"))).collect();
        assert_eq!(added(&items).properties["platform"].json(), None);
    }

    #[test]
    fn a_state_comes_back_from_its_json() {
        let sum = added(&[item(5.0, json!(10), "a"), item(7.0, json!([1, 2]), "b")]);
        let json = serde_json::to_string(&sum).unwrap();
        assert_eq!(serde_json::from_str::<Summary>(&json).unwrap(), sum);
    }
}
