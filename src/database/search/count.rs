//! How many items a search finds: exactly when that is cheap, else about.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{QueryBuilder, types::Json};

use super::{Search, conditions::push_where};
use crate::database::{Database, Error, Result};

/// Cost, in PostgreSQL's unit, up to which counting is no trouble: some five milliseconds.
const CHEAP: f64 = 1_500.0;

/// A number of items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Matched {
    Exactly(i64),
    /// What PostgreSQL expects from its statistics.
    About(i64),
}

impl Database {
    /// Tells how many items a search finds, on all its pages together.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub async fn count_items(&self, search: &Search) -> Result<Matched> {
        if search.is_whole_collections() {
            return Ok(Matched::Exactly(self.count_of_collections(search.collections.as_deref()).await?));
        }
        let mut explained = QueryBuilder::new("explain (format json) select from items");
        push_where(&mut explained, search);
        let plan: Json<Value> = self.one(&mut explained, "estimate the items that match").await?;
        let plan = &plan.0[0]["Plan"];
        if plan["Total Cost"].as_f64().is_none_or(|cost| cost > CHEAP) {
            return Ok(Matched::About(plan["Plan Rows"].as_f64().unwrap_or_default() as i64));
        }
        let mut counted = QueryBuilder::new("select count(*) from items");
        push_where(&mut counted, search);
        Ok(Matched::Exactly(self.one(&mut counted, "count the items that match").await?))
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
