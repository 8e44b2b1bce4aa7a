//! How many items a search finds: exactly when that is cheap, else about.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{QueryBuilder, types::Json};

use super::{Page, Search, Way, conditions::push_where};
use crate::database::{Database, Error, Result};

/// Cost, in PostgreSQL's unit, up to which all that match are looked at just to count them: less than a millisecond.
const CHEAP: f64 = 400.0;

/// Cost up to which what lies in a place is counted: all of it is looked at anyway, but counting keeps it for a while.
const COUNTED: f64 = 6_000.0;

/// Cost up to which all that lies in a place is looked at, to find the first of it: some hundred milliseconds.
const BEARABLE: f64 = 30_000.0;

/// A number of items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Matched {
    Exactly(i64),
    /// What PostgreSQL expects from its statistics.
    About(i64),
}

/// What PostgreSQL expects of a search that gives all its items.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    cost: f64,
    rows: i64,
}

impl Expected {
    /// Tells whether the first page is worth reading out of all that match.
    fn is_counted(self, search: &Search) -> bool {
        self.cost <= if search.narrows_space() { COUNTED } else { CHEAP }
    }

    /// Chooses how a page is found. PostgreSQL takes what lies in a place to be spread evenly over time; where it is
    /// mistaken it walks through all items to find ten that are not there.
    fn way(self, search: &Search) -> Way {
        if search.narrows_space() && self.cost <= BEARABLE { Way::Enumerated } else { Way::Planned }
    }
}

impl Database {
    /// Returns the first page of a search, and tells how many items it finds in all.
    ///
    /// What is cheap to count is read once: the page comes out of the same rows.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub async fn first_page(&self, search: &Search) -> Result<(Page, Matched)> {
        if search.is_whole_collections() {
            let page = self.search_items(search).await?;
            let items = match page.next {
                Some(_) => self.count_of_collections(search.collections.as_deref()).await?,
                None => page.items.len() as i64,
            };
            return Ok((page, Matched::Exactly(items)));
        }
        let expected = self.expected(search).await?;
        if expected.is_counted(search) && search.order().has_one_stage() {
            return self.counted_page(search).await;
        }
        let page = self.page_by(search, expected.way(search)).await?;
        let seen = page.items.len() as i64;
        let matched = match page.next {
            None => Matched::Exactly(seen),
            Some(_) if expected.is_counted(search) => Matched::Exactly(self.count(search).await?),
            // It is known already that there is one more than these.
            Some(_) => Matched::About(expected.rows.max(seen + 1)),
        };
        Ok((page, matched))
    }

    /// Chooses how a page is found, where there is a choice.
    pub(super) async fn way(&self, search: &Search) -> Result<Way> {
        if search.narrows_space() { Ok(self.expected(search).await?.way(search)) } else { Ok(Way::Planned) }
    }

    async fn expected(&self, search: &Search) -> Result<Expected> {
        let mut explained = QueryBuilder::new("explain (format json) select from items");
        push_where(&mut explained, search);
        let plan: Json<Value> = self.one(&mut explained, "estimate the items that match").await?;
        let plan = &plan.0[0]["Plan"];
        Ok(Expected {
            cost: plan["Total Cost"].as_f64().unwrap_or(f64::INFINITY),
            rows: plan["Plan Rows"].as_f64().unwrap_or_default() as i64,
        })
    }

    async fn count(&self, search: &Search) -> Result<i64> {
        let mut counted = QueryBuilder::new("select count(*) from items");
        push_where(&mut counted, search);
        self.one(&mut counted, "count the items that match").await
    }

    async fn count_of_collections(&self, collections: Option<&[String]>) -> Result<i64> {
        self.fold_changes().await?;
        sqlx::query_scalar(
            "select coalesce(sum(items), 0)::bigint from collections where $1::text[] is null or id = any($1)",
        )
        .bind(collections)
        .fetch_one(&self.pool)
        .await
        .map_err(Error::query("count the items of collections"))
    }
}
