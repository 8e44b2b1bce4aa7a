//! The table `collections`.

mod fold;
mod write;

use serde_json::{Map, Value};
use sqlx::{QueryBuilder, Row as _, postgres::PgRow};

use super::{
    Database, Error, Result,
    filter::{Filter, Subject, push_filter},
    search::push_within,
};
use crate::{
    catalog::{Coverage, Interval, Summary, coverage},
    spatial::Bbox,
};

/// A collection as it is kept, and what its items are.
#[derive(Clone, Debug, PartialEq)]
pub struct CollectionRow {
    pub id: String,
    /// The collection's JSON as it is served, but for its links.
    pub body: Map<String, Value>,
    /// The links that it was given.
    pub links: Vec<Value>,
    pub summary: Summary,
    /// Names what was given and what the items are: it changes when either does.
    pub digest: String,
}

impl CollectionRow {
    pub fn coverage(&self) -> Coverage {
        coverage(&self.summary)
    }
}

/// A question about collections. What is `None` is not asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CollectionSearch {
    pub ids: Option<Vec<String>>,
    pub bbox: Option<Bbox>,
    pub datetime: Option<Interval>,
    /// Terms of which a collection has any among its words.
    pub words: Option<Vec<String>>,
    pub filter: Option<Filter>,
}

const COLUMNS: &str =
    "select id, served, links, summary, md5(digest || summary) as digest from collections c where true";

impl Database {
    /// Lists all collections by id.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub async fn list_collections(&self) -> Result<Vec<CollectionRow>> {
        self.search_collections(&CollectionSearch::default()).await
    }

    /// Returns one collection, or nothing when there is none of this id.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub async fn find_collection(&self, id: &str) -> Result<Option<CollectionRow>> {
        let search = CollectionSearch { ids: Some(vec![id.to_owned()]), ..CollectionSearch::default() };
        Ok(self.search_collections(&search).await?.pop())
    }

    /// Lists the collections that a search finds, by id.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub async fn search_collections(&self, search: &CollectionSearch) -> Result<Vec<CollectionRow>> {
        self.fold_changes().await?;
        let mut query = QueryBuilder::new(COLUMNS);
        push_conditions(&mut query, search);
        query.push(" order by id");
        let rows = self.all(&mut query, "read the collections").await?;
        rows.iter().map(collection_row).collect()
    }

    /// Lists the ids and titles of all collections, by id.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub async fn list_collection_titles(&self) -> Result<Vec<(String, Option<String>)>> {
        sqlx::query_as("select id, body::json ->> 'title' from collections order by id")
            .fetch_all(&self.pool)
            .await
            .map_err(Error::query("list the collections"))
    }

    /// Tells whether there is a collection of this id.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub async fn has_collection(&self, id: &str) -> Result<bool> {
        sqlx::query_scalar("select exists (select from collections where id = $1)")
            .bind(id)
            .fetch_one(&self.pool)
            .await
            .map_err(Error::query("look for a collection"))
    }
}

fn push_conditions(query: &mut QueryBuilder<sqlx::Postgres>, search: &CollectionSearch) {
    if let Some(ids) = &search.ids {
        query.push(" and id = any(").push_bind(ids.clone()).push(")");
    }
    if let Some(bbox) = search.bbox {
        push_within(query, bbox);
    }
    if let Some(Interval { start, end }) = search.datetime {
        query.push(" and (ends_at is null or ").push_bind(start).push("::timestamptz is null or ends_at >= ");
        query.push_bind(start).push(") and (starts_at is null or ").push_bind(end);
        query.push("::timestamptz is null or starts_at <= ").push_bind(end).push(")");
    }
    if let Some(terms) = &search.words {
        query.push(
            " and to_tsvector('simple', concat_ws(' ', id, content ->> 'title', content ->> 'description',
                content ->> 'keywords')) @@ (''::tsquery",
        );
        for term in terms {
            query.push(" || phraseto_tsquery('simple', ").push_bind(term.clone()).push(")");
        }
        query.push(")");
    }
    if let Some(filter) = &search.filter {
        query.push(" and ");
        push_filter(query, filter, Subject::Collections);
    }
}

fn collection_row(row: &PgRow) -> Result<CollectionRow> {
    Ok(CollectionRow {
        id: row.get("id"),
        body: serde_json::from_str(row.get("served"))?,
        links: serde_json::from_str(row.get("links"))?,
        summary: serde_json::from_str(row.get("summary"))?,
        digest: row.get("digest"),
    })
}
