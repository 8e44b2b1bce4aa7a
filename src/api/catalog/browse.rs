//! Walking the catalog by links alone: a collection's items by year, month and day.
//!
//! Every item is a link away from some page, without a search: that is what `browseable` means. A year, a month or a day is a
//! catalog of its own, made when it is asked for; the index on time finds the next one that has items.

use axum::{
    extract::{Path, State},
    http::Uri,
    response::Response,
};
use chrono::{DateTime, Datelike as _, Days, Months, NaiveDate, NaiveTime, Utc};
use serde_json::{Value, json};

use super::{
    super::{
        AppState,
        access::Reader,
        base::Base,
        problem::{Problem, refusal},
        query::Query,
    },
    GEOJSON, JSON,
    collections::{collection_json, find_collection, told},
    json_of, link,
};
use crate::{
    catalog::{Interval, percent_encoded},
    database::{Cursor, Search, SortField, SortKey},
};

/// Items that are linked from one page; the rest follows in the next.
const MOST_ITEMS: usize = 1_000;

/// All children of the catalog: its collections.
#[utoipa::path(get, path = "/children", operation_id = "getChildren", tag = "Children",
    responses((status = 200, description = "The children", body = super::schemas::Children),
        refusal::WrongParameter))]
pub(super) async fn children(
    State(state): State<AppState>,
    Base(base): Base,
    reader: Reader,
    uri: Uri,
) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    let rows = state.database.list_collections().await?.into_iter().map(|row| told(&reader, row));
    let children: Vec<Value> = rows.map(|row| collection_json(&row, &base)).collect();
    Ok(json_of(&json!({
        "children": children,
        "links": [
            link("self", format!("{base}/stac/children"), JSON),
            link("root", format!("{base}/stac"), JSON),
            link("parent", format!("{base}/stac"), JSON),
        ],
    })))
}

/// A collection by time: its years.
#[utoipa::path(get, path = "/collections/{collectionId}/browse", operation_id = "browseCollection", tag = "Browseable",
    params(super::parameters::CollectionPath),
    responses((status = 200, description = "A catalog", body = super::schemas::Catalog),
        refusal::WrongParameter, refusal::NoCollection))]
pub(super) async fn browse(
    State(state): State<AppState>,
    Base(base): Base,
    reader: Reader,
    Path(collection): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    answer(&state, &base, &reader, &collection, Span::Ever, None).await
}

/// A year, a month (`2025-06`) or a day (`2025-06-23`) of a collection.
#[utoipa::path(get, path = "/collections/{collectionId}/browse/{span}", operation_id = "browseCollectionSpan", tag = "Browseable",
    params(super::parameters::CollectionPath,
        ("span" = String, Path, description = "A year, a month or a day", pattern = "^[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?$", example = "2025-06"),
        ("token" = Option<super::parameters::Token>, Query, description = "Where the page starts: from a `child` link")),
    responses((status = 200, description = "A catalog", body = super::schemas::Catalog),
        refusal::WrongParameter, refusal::NoSpan))]
pub(super) async fn browse_span(
    State(state): State<AppState>,
    Base(base): Base,
    reader: Reader,
    Path((collection, span)): Path<(String, String)>,
    uri: Uri,
) -> Result<Response, Problem> {
    let query = Query::parse(uri.query(), &["token"])?;
    let cursor = query.one("token")?.map(Cursor::parse).transpose()?;
    let span = Span::parse(&span).ok_or_else(|| Problem::not_found("year, month or day", &span))?;
    answer(&state, &base, &reader, &collection, span, cursor).await
}

/// A stretch of time that is a catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Span {
    Ever,
    Year(i32),
    Month(i32, u32),
    Day(NaiveDate),
}

impl Span {
    fn parse(text: &str) -> Option<Self> {
        let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        let mut parts = text.split('-');
        let year = parts.next().filter(|year| plain && year.len() == 4)?.parse().ok()?;
        let (month, day) = (parts.next().map(str::parse), parts.next().map(str::parse));
        let span = match (month, day) {
            (None, _) => Self::Year(year),
            (Some(month), None) => Self::Month(year, month.ok()?),
            (Some(month), Some(day)) => Self::Day(NaiveDate::from_ymd_opt(year, month.ok()?, day.ok()?)?),
        };
        (span.name() == text && span.bounds().is_some()).then_some(span)
    }

    fn name(self) -> String {
        match self {
            Self::Ever => String::new(),
            Self::Year(year) => format!("{year:04}"),
            Self::Month(year, month) => format!("{year:04}-{month:02}"),
            Self::Day(day) => day.format("%Y-%m-%d").to_string(),
        }
    }

    fn parent(self) -> Self {
        match self {
            Self::Ever | Self::Year(_) => Self::Ever,
            Self::Month(year, _) => Self::Year(year),
            Self::Day(day) => Self::Month(day.year(), day.month()),
        }
    }

    /// The part one step smaller in which a time lies.
    fn part(self, at: DateTime<Utc>) -> Option<Self> {
        match self {
            Self::Ever => Some(Self::Year(at.year())),
            Self::Year(year) => Some(Self::Month(year, at.month())),
            Self::Month(..) => Some(Self::Day(at.date_naive())),
            Self::Day(_) => None,
        }
    }

    /// The first moment, and the first one after.
    fn bounds(self) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let (first, end) = match self {
            // All that RFC 3339 can write; PostgreSQL has no place for the bounds of `DateTime`.
            Self::Ever => (NaiveDate::from_ymd_opt(0, 1, 1)?, NaiveDate::from_ymd_opt(10_000, 1, 1)?),
            Self::Year(year) => (NaiveDate::from_ymd_opt(year, 1, 1)?, NaiveDate::from_ymd_opt(year + 1, 1, 1)?),
            Self::Month(year, month) => {
                let first = NaiveDate::from_ymd_opt(year, month, 1)?;
                (first, first.checked_add_months(Months::new(1))?)
            }
            Self::Day(day) => (day, day.checked_add_days(Days::new(1))?),
        };
        let midnight = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc();
        Some((midnight(first), midnight(end)))
    }
}

async fn answer(
    state: &AppState,
    base: &str,
    reader: &Reader,
    collection: &str,
    span: Span,
    cursor: Option<Cursor>,
) -> Result<Response, Problem> {
    let row = find_collection(state, collection).await?;
    let own = format!("{base}/stac/collections/{}", percent_encoded(collection));
    let url = |span: Span| match span {
        Span::Ever => format!("{own}/browse"),
        span => format!("{own}/browse/{}", span.name()),
    };
    let parent = if span == Span::Ever { own.clone() } else { url(span.parent()) };
    let mut links = vec![
        link("self", url(span), JSON),
        link("root", format!("{base}/stac"), JSON),
        link("parent", parent, JSON),
        link("collection", own.clone(), JSON),
    ];
    if let Span::Day(_) = span {
        links.extend(items(state, reader, collection, span, cursor, &own, &url(span)).await?);
    } else {
        for part in parts(state, reader, collection, span).await? {
            let mut child = link("child", url(part), JSON);
            child["title"] = part.name().into();
            links.push(child);
        }
    }
    let title = row.body.get("title").and_then(Value::as_str).unwrap_or(collection);
    let when = if span == Span::Ever { "by time".to_owned() } else { span.name() };
    Ok(json_of(&json!({
        "type": "Catalog", "stac_version": "1.1.0",
        "id": format!("{collection}-{}", if span == Span::Ever { "browse".to_owned() } else { span.name() }),
        "title": format!("{title}, {when}"),
        "description": format!("Items of the collection {collection}, {when}."),
        "links": links,
    })))
}

/// The parts of a span that have items, oldest first: each is looked up behind the one before.
async fn parts(state: &AppState, reader: &Reader, collection: &str, span: Span) -> Result<Vec<Span>, Problem> {
    let Some((mut from, end)) = span.bounds() else { return Ok(Vec::new()) };
    let mut parts = Vec::new();
    while from < end {
        let oldest = Search { limit: 1, ..starting(collection, from, end) };
        let Some(item) = state.database.search_items(&reader.narrowed(oldest)).await?.items.pop() else { break };
        let Some(part) = span.part(item.starts_at) else { break };
        let Some((_, next)) = part.bounds() else { break };
        parts.push(part);
        from = next;
    }
    Ok(parts)
}

async fn items(
    state: &AppState,
    reader: &Reader,
    collection: &str,
    span: Span,
    cursor: Option<Cursor>,
    own: &str,
    url: &str,
) -> Result<Vec<Value>, Problem> {
    let Some((from, end)) = span.bounds() else { return Ok(Vec::new()) };
    let search = Search { limit: MOST_ITEMS, cursor, ..starting(collection, from, end) };
    let page = state.database.search_items(&reader.narrowed(search)).await?;
    let item = |id: &str| {
        let mut item = link("item", format!("{own}/items/{}", percent_encoded(id)), GEOJSON);
        item["title"] = id.into();
        item
    };
    let mut links: Vec<Value> = page.items.iter().map(|row| item(&row.id)).collect();
    if let Some(next) = page.next {
        let mut child = link("child", format!("{url}?token={}", next.token()), JSON);
        child["title"] = "More of this day".into();
        links.push(child);
    }
    Ok(links)
}

/// The items that start in a span, oldest first.
fn starting(collection: &str, from: DateTime<Utc>, end: DateTime<Utc>) -> Search {
    let last = end - chrono::TimeDelta::microseconds(1);
    Search {
        collections: Some(vec![collection.to_owned()]),
        starts: Some(Interval { start: Some(from), end: Some(last) }),
        sort: vec![SortKey { field: SortField::Start, descending: false }],
        ..Search::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_one_spelling_and_a_place_among_others() {
        for text in ["2025", "2025-06", "2025-06-23"] {
            assert_eq!(Span::parse(text).unwrap().name(), text);
        }
        for wrong in ["", "25", "2025-6", "2025-13", "2025-02-30", "2025-06-23-01", "+025", "abcd"] {
            assert_eq!(Span::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Span::parse("2025-06-23").unwrap().parent().name(), "2025-06");
        let (first, end) = Span::Month(2024, 12).bounds().unwrap();
        assert_eq!(
            (first.to_rfc3339(), end.to_rfc3339()),
            ("2024-12-01T00:00:00+00:00".into(), "2025-01-01T00:00:00+00:00".into())
        );
    }
}
