//! A page of items, written without parsing any and without holding many.
//!
//! The items of an answer are read from the database in chunks, each a short search of its own behind the last item of
//! the one before. A chunk is written out before the next is read, so an answer of ten thousand items takes no more
//! memory than one of some hundred, and a slow reader keeps no connection to the database busy.

use std::{fmt::Write as _, io, sync::Arc};

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use serde_json::Value;

use super::{GEOJSON, NDJSON, search::Fields};
use crate::{
    api::{AppState, Hrefs, access::Reader, problem::Problem},
    database::{Cursor, Database, ItemRow, Matched, Page, Search},
};

/// Items that are read at once: about 1 MB of JSON, so that sixteen large answers at a time stay small.
const CHUNK: usize = 250;

/// In which form items are given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Format {
    /// One feature collection with links.
    #[default]
    GeoJson,
    /// One item a line.
    NdJson,
    /// stac-geoparquet.
    Parquet,
}

/// How each item is written.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub base: String,
    pub hrefs: Hrefs,
    pub fields: Option<Fields>,
    /// For what is said beside the items.
    pub reader: Reader,
}

/// The links of an answer.
pub(super) struct PageLinks {
    /// Those that are known beforehand: `self`, `root` and the like.
    pub own: Vec<Value>,
    /// Makes the link of this name to another page.
    pub to: ToPage,
}

/// Makes a link to another page from its name and where it starts.
type ToPage = Arc<dyn Fn(&'static str, &Cursor) -> Value + Send + Sync>;

impl Shape {
    pub fn write(&self, out: &mut String, item: &ItemRow) {
        match &self.fields {
            None => item.text.write(out, [&item.collection, &item.id], &self.base, self.hrefs),
            Some(fields) => {
                let mut whole = String::new();
                item.text.write(&mut whole, [&item.collection, &item.id], &self.base, self.hrefs);
                out.push_str(&fields.apply(&whole));
            }
        }
    }
}

/// An answer that is being read.
pub(super) struct Reading {
    database: Database,
    /// The search for the next chunk; its limit is what is still wanted in all.
    search: Search,
    pub first: Page,
    matched: Option<Matched>,
}

impl Reading {
    /// Reads the first chunk, so that what is wrong with a search is known before an answer begins.
    pub async fn open(database: &Database, mut search: Search, format: Format) -> Result<Self, Problem> {
        // A page back is a page of the whole limit, not of a chunk.
        search.cursor = database.start_of(&search).await?;
        let wanted = search.limit;
        let chunk = Search { limit: wanted.min(CHUNK), ..search.clone() };
        let (mut first, matched) = match &search.cursor {
            None if format == Format::GeoJson => {
                let (page, matched) = database.first_page(&chunk).await?;
                (page, Some(matched))
            }
            cursor => (database.search_items(&chunk).await?, cursor.as_ref().and_then(|cursor| cursor.matched)),
        };
        for cursor in [&mut first.next, &mut first.prev].into_iter().flatten() {
            cursor.matched = matched;
        }
        let search = Search { limit: wanted - first.items.len().min(wanted), ..search };
        Ok(Self { database: database.clone(), search, first, matched })
    }

    /// Answers in the form that was asked for.
    pub async fn answer(
        self,
        state: &AppState,
        shape: Shape,
        format: Format,
        links: PageLinks,
    ) -> Result<Response, Problem> {
        match format {
            Format::GeoJson => Ok(self.feature_collection(shape, links)),
            Format::NdJson => Ok(self.lines(shape, &links)),
            Format::Parquet => super::parquet::answer(state, self, shape).await,
        }
    }

    /// Returns the search that the answer is for.
    pub fn search(&self) -> &Search {
        &self.search
    }

    /// Reads chunk after chunk: its items, and where the next one starts when it was the last of the answer.
    pub fn chunks(self) -> impl Stream<Item = Result<(Vec<ItemRow>, Option<Cursor>), Problem>> + Send {
        let Self { database, search, first, .. } = self;
        stream::unfold((database, search, Some(Ok(first))), |(database, mut search, page)| async move {
            let page = match page? {
                Ok(page) => page,
                Err(problem) => return Some((Err(problem), (database, search, None))),
            };
            let Some(next) = page.next.filter(|_| search.limit > 0) else {
                return Some((Ok((page.items, None)), (database, search, None)));
            };
            search.cursor = Some(next);
            let chunk = Search { limit: search.limit.min(CHUNK), ..search.clone() };
            let more = database.search_items(&chunk).await.map_err(Problem::from);
            if let Ok(more) = &more {
                search.limit -= more.items.len().min(search.limit);
            }
            Some((Ok((page.items, None)), (database, search, Some(more))))
        })
        // Compression asks once more after the end.
        .fuse()
    }

    fn feature_collection(self, shape: Shape, links: PageLinks) -> Response {
        let prev = self.first.prev.clone();
        let mut writing = Writing { links, prev, matched: self.matched, returned: 0, shape };
        if self.first.next.is_none() || self.search.limit == 0 {
            let mut out = Writing::start(&self.first.items);
            writing.chunk(&mut out, &self.first.items);
            writing.end(&mut out, self.first.next.as_ref());
            return typed(out.into(), GEOJSON);
        }
        typed(Body::from_stream(writing.stream(self)), GEOJSON)
    }

    fn lines(self, shape: Shape, links: &PageLinks) -> Response {
        // Where the lines end is known beforehand only when they are few; then the next page is a header.
        let next = self.first.next.as_ref().filter(|_| self.search.limit == 0).map(|next| (links.to)("next", next));
        let lines = self.chunks().map(move |chunk| {
            let (items, _) = chunk.map_err(broken_off)?;
            let mut out = String::new();
            for item in &items {
                shape.write(&mut out, item);
                out.push('\n');
            }
            Ok::<_, io::Error>(Bytes::from(out))
        });
        let mut response = typed(Body::from_stream(lines), NDJSON);
        let href = next.and_then(|next| Some(format!("<{}>; rel=\"next\"", next["href"].as_str()?)));
        if let Some(value) = href.and_then(|link| HeaderValue::from_str(&link).ok()) {
            response.headers_mut().insert(header::LINK, value);
        }
        response
    }
}

/// A feature collection that is being written.
struct Writing {
    links: PageLinks,
    prev: Option<Cursor>,
    matched: Option<Matched>,
    returned: usize,
    shape: Shape,
}

impl Writing {
    fn start(items: &[ItemRow]) -> String {
        let length: usize = items.iter().map(|item| item.text.body.len() + item.text.assets.len() + 800).sum();
        let mut out = String::with_capacity(length + 1024);
        out.push_str("{\"type\":\"FeatureCollection\",\"features\":[");
        out
    }

    fn chunk(&mut self, out: &mut String, items: &[ItemRow]) {
        for item in items {
            out.push_str(if self.returned == 0 { "" } else { "," });
            self.shape.write(out, item);
            self.returned += 1;
        }
    }

    fn end(&self, out: &mut String, next: Option<&Cursor>) {
        out.push_str("],\"links\":[");
        let pages = [("next", next), ("prev", self.prev.as_ref())];
        let pages = pages.into_iter().filter_map(|(rel, cursor)| Some((self.links.to)(rel, cursor?)));
        for (i, link) in self.links.own.iter().cloned().chain(pages).enumerate() {
            write!(out, "{}{link}", if i == 0 { "" } else { "," }).expect("writing to a string cannot fail");
        }
        write!(out, "],\"numberReturned\":{}", self.returned).expect("writing to a string cannot fail");
        match self.matched {
            Some(Matched::Exactly(n)) => write!(out, ",\"numberMatched\":{n}"),
            Some(Matched::About(n)) => write!(out, ",\"numberMatched\":{n},\"polder:numberMatched\":\"estimated\""),
            None => Ok(()),
        }
        .expect("writing to a string cannot fail");
        out.push('}');
    }

    fn stream(self, reading: Reading) -> impl Stream<Item = Result<Bytes, io::Error>> + Send {
        let matched = self.matched;
        let Reading { database, search, first, .. } = reading;
        let start = (self, database, search, Some(first), true);
        stream::try_unfold(start, move |(mut writing, database, mut search, page, first)| async move {
            let Some(page) = page else { return Ok(None) };
            let mut out = if first { Writing::start(&page.items) } else { String::new() };
            writing.chunk(&mut out, &page.items);
            let following = match page.next {
                Some(next) if search.limit > 0 => {
                    search.cursor = Some(Cursor { matched, ..next });
                    let chunk = Search { limit: search.limit.min(CHUNK), ..search.clone() };
                    let following = database.search_items(&chunk).await;
                    let following = following.map_err(|error| broken_off(Problem::from(error)))?;
                    search.limit -= following.items.len().min(search.limit);
                    Some(following)
                }
                next => {
                    writing.end(&mut out, next.as_ref());
                    None
                }
            };
            Ok(Some((Bytes::from(out), (writing, database, search, following, false))))
        })
        .fuse()
    }
}

/// The status has gone out already: all that can be done is to end without an end, which every client notices.
#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
pub(super) fn broken_off(problem: Problem) -> io::Error {
    tracing::warn!("an answer broke off: {problem:?}");
    io::Error::other("the answer broke off")
}

pub(super) fn typed(body: Body, media_type: &'static str) -> Response {
    ([(header::CONTENT_TYPE, media_type)], body).into_response()
}
