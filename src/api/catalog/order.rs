//! Sorting and paging of collections. They are few, so both are done on the spot.

use std::cmp::Ordering;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

use super::search::SortBy;
use crate::{api::problem::Problem, database::CollectionRow};

/// Collections in the order that was asked for.
pub(super) struct Ordered(Vec<CollectionRow>);

/// Some of them.
pub(super) struct CollectionPage {
    pub rows: Vec<CollectionRow>,
    pub matched: usize,
    pub next: Option<String>,
    pub prev: Option<String>,
}

impl Ordered {
    pub fn new(mut rows: Vec<CollectionRow>, keys: &[SortBy]) -> Result<Self, Problem> {
        if let Some(key) = keys.iter().find(|key| matches!(key.field.as_str(), "links" | "extent" | "summaries")) {
            return Err(Problem::parameter("sortby", &key.field, "sort by id, title or another plain member"));
        }
        rows.sort_by(|a, b| {
            let by_key = |key: &SortBy| {
                let (a, b) = (a.body.get(&key.field), b.body.get(&key.field));
                match (a, b) {
                    // Those without the member come last, whichever way the rest goes.
                    (Some(_), None) => Ordering::Less,
                    (None, Some(_)) => Ordering::Greater,
                    (None, None) => Ordering::Equal,
                    (Some(a), Some(b)) if key.descends() => compare(b, a),
                    (Some(a), Some(b)) => compare(a, b),
                }
            };
            let order = keys.iter().map(by_key).find(|order| order.is_ne());
            order.unwrap_or_else(|| a.id.cmp(&b.id))
        });
        Ok(Self(rows))
    }

    /// Cuts a page: a token names the collection before it (`>`), or the one after it (`<`).
    pub fn page(self, limit: usize, token: Option<&str>) -> Result<CollectionPage, Problem> {
        let matched = self.0.len();
        let start = match token {
            None => 0,
            Some(token) => self.start(limit, token)?,
        };
        let end = matched.min(start.saturating_add(limit));
        let name = |sign: &str, row: &CollectionRow| URL_SAFE_NO_PAD.encode(format!("{sign}{}", row.id));
        let next = (end < matched && end > 0).then(|| name(">", &self.0[end - 1]));
        let prev = (start > 0 && start < matched).then(|| name("<", &self.0[start]));
        let rows = self.0.into_iter().skip(start).take(limit).collect();
        Ok(CollectionPage { rows, matched, next, prev })
    }

    fn start(&self, limit: usize, token: &str) -> Result<usize, Problem> {
        let wrong = || Problem::parameter("token", token, "use the token of a `next` or `prev` link");
        let text =
            URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(wrong)?;
        let id = text.get(1..).ok_or_else(wrong)?;
        let at = self.0.iter().position(|row| row.id == id);
        match &text[..1] {
            ">" => Ok(at.map_or(self.0.len(), |at| at + 1)),
            "<" => Ok(at.unwrap_or(0).saturating_sub(limit)),
            _ => Err(wrong()),
        }
    }
}

fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            a.as_f64().unwrap_or_default().total_cmp(&b.as_f64().unwrap_or_default())
        }
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (a, b) => a.to_string().cmp(&b.to_string()),
    }
}
