//! What a search asks of an item, as conditions with bound values.

use sqlx::{Postgres, QueryBuilder};

use super::Search;
use crate::{
    catalog::Interval,
    database::filter::{Subject, envelope_of, push_envelope, push_filter, push_intersects_box},
    spatial::Bbox,
};

/// Which of the items that lie in the interval of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum During {
    Any,
    /// Those that begin in it: one range of the index that has the usual order.
    Beginning,
    /// Those that began before it and last into it.
    Lasting,
}

/// Writes ` where …`: every condition of the search but its order and its page.
pub(in crate::database) fn push_where(query: &mut QueryBuilder<Postgres>, search: &Search) {
    push_where_during(query, search, During::Any);
}

/// Writes the same for a part of the items.
pub(super) fn push_where_during(query: &mut QueryBuilder<Postgres>, search: &Search, part: During) {
    query.push(" where true");
    match search.collections.as_deref() {
        None => {}
        // One value keeps the order of the index (collection, starts_at, id); a list does not.
        Some([only]) => _ = query.push(" and collection = ").push_bind(only.clone()),
        Some(several) => _ = query.push(" and collection = any(").push_bind(several.to_vec()).push(")"),
    }
    if let Some(ids) = &search.ids {
        query.push(" and id = any(").push_bind(ids.clone()).push(")");
    }
    if let Some(bbox) = search.bbox {
        push_within(query, bbox);
    }
    if let Some(geometry) = &search.intersects {
        if let Some(envelope) = envelope_of(geometry) {
            query.push(" and geometry && ");
            push_envelope(query, envelope);
        }
        // A ring that crosses itself would make PostGIS fail; made valid, it means what its author saw.
        query.push(" and polder_relate('intersects', geometry, st_makevalid(st_setsrid(st_force2d(st_geomfromgeojson(");
        query.push_bind(geometry.clone()).push(")), 4326)))");
    }
    if let Some(interval) = search.datetime {
        match (part, interval.start) {
            (During::Any, _) | (_, None) => push_during(query, interval),
            (During::Beginning, Some(start)) => {
                query.push(" and starts_at >= ").push_bind(start);
                if let Some(end) = interval.end {
                    query.push(" and starts_at <= ").push_bind(end);
                }
            }
            (During::Lasting, Some(start)) => {
                query.push(" and lasts and ends_at >= ").push_bind(start);
                query.push(" and starts_at < ").push_bind(start);
            }
        }
    }
    if let Some(Interval { start, end }) = search.starts {
        for (operator, at) in [(" >= ", start), (" <= ", end)] {
            if let Some(at) = at {
                query.push(" and starts_at").push(operator).push_bind(at);
            }
        }
    }
    if let Some(words) = &search.words {
        push_words(query, words);
    }
    if let Some(filter) = &search.filter {
        query.push(" and ");
        push_filter(query, filter, Subject::Items);
    }
}

/// Writes that the geometry of a row lies in a box at least in part.
pub(in crate::database) fn push_within(query: &mut QueryBuilder<Postgres>, bbox: Bbox) {
    let Bbox { west, south, east, north } = bbox;
    let halves = if west <= east { vec![(west, east)] } else { vec![(west, 180.0), (-180.0, east)] };
    query.push(" and (");
    for (i, (west, east)) in halves.into_iter().enumerate() {
        query.push(if i == 0 { "" } else { " or " });
        push_intersects_box(query, [west, south, east, north]);
    }
    query.push(")");
}

/// Items of one moment are found by their start alone, the few that last by their end too: each arm is one range of one
/// index. The first condition is implied by both; it lets a search that walks from new to old begin at the end.
fn push_during(query: &mut QueryBuilder<Postgres>, interval: Interval) {
    if let Some(end) = interval.end {
        query.push(" and starts_at <= ").push_bind(end);
    }
    let Some(start) = interval.start else { return };
    query.push(" and ((starts_at >= ").push_bind(start);
    if let Some(end) = interval.end {
        query.push(" and starts_at <= ").push_bind(end);
    }
    query.push(") or (lasts and ends_at >= ").push_bind(start).push("))");
}

/// Any of the terms; the words of one term follow each other.
fn push_words(query: &mut QueryBuilder<Postgres>, terms: &[String]) {
    query.push(" and properties ?| array['title', 'description', 'keywords']");
    query.push(" and to_tsvector('simple', polder_words(properties)) @@ (");
    for (i, term) in terms.iter().enumerate() {
        query.push(if i == 0 { "" } else { " || " }).push("phraseto_tsquery('simple', ");
        query.push_bind(term.clone()).push(")");
    }
    query.push(if terms.is_empty() { "''::tsquery)" } else { ")" });
}
