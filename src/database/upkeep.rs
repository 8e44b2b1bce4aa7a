//! What the database needs now and then, so that it stays quick: sums, statistics, and indexes on the properties that
//! people ask for.
//!
//! Which properties these are differs from catalog to catalog, and an index costs every write. So none is made
//! beforehand. A search notes the properties that it sorts or filters by; soon after, each of them gets an index, once
//! there are enough items to care. The index serves both: its key is the property, then the usual order.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use sqlx::{Connection as _, PgConnection, postgres::PgConnectOptions};
use tracing::{info, warn};

use super::{Database, Error, Result};

/// How often the sums are brought up to date when nobody reads them.
const PAUSE: Duration = Duration::from_secs(3);

/// Every how many pauses the statistics are looked at.
const STATISTICS: u32 = 5;

/// With fewer items, looking at all of them takes a few milliseconds.
const WORTH_AN_INDEX: i64 = 10_000;

/// Each index costs every write some microseconds.
const MOST_INDEXES: i64 = 24;

/// Longest name of a property that gets an index.
const LONGEST_NAME: usize = 100;

/// Any number; it keeps two processes from making the same index.
const LOCK: i64 = 7_340_912;

/// Properties that searches asked for.
#[derive(Debug, Default)]
pub(super) struct Wanted(Mutex<Names>);

#[derive(Debug, Default)]
struct Names {
    waiting: BTreeSet<String>,
    /// Those that have an index or will never get one.
    settled: BTreeSet<String>,
}

impl Wanted {
    /// Notes what a search sorts or filters by.
    pub fn note(&self, names: impl IntoIterator<Item = String>) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for name in names {
            // A stranger's made-up names must not fill the memory.
            let sound = name.len() <= LONGEST_NAME && inner.waiting.len() < MOST_INDEXES as usize;
            if sound && !inner.settled.contains(&name) {
                inner.waiting.insert(name);
            }
        }
    }

    fn waiting(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).waiting.iter().cloned().collect()
    }

    fn settle(&self, name: &str, done: bool) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.waiting.remove(name);
        if done {
            inner.settled.insert(name.to_owned());
        }
    }
}

impl Database {
    /// Keeps the database in shape for as long as it is polled. What fails is tried again later.
    pub async fn keep_up(&self) {
        for round in 0_u32.. {
            tokio::time::sleep(PAUSE).await;
            if let Err(error) = self.fold_changes().await {
                tracing::debug!("cannot add up changes: {error}");
                continue;
            }
            for name in self.wanted.waiting() {
                match self.index_property(&name).await {
                    Ok(done) => self.wanted.settle(&name, done),
                    Err(error) if error.is_unavailable() => break,
                    Err(error) => {
                        warn!("cannot make an index for {name:?}: {error}");
                        self.wanted.settle(&name, true);
                    }
                }
            }
            if round % STATISTICS == 0
                && let Err(error) = self.refresh_statistics().await
            {
                tracing::debug!("cannot refresh the statistics: {error}");
            }
        }
    }

    /// Makes the index of a property, unless it has one or is not worth it; tells whether that is settled.
    ///
    /// # Errors
    /// [`Error::Query`], for one when this role may not make indexes.
    pub async fn index_property(&self, name: &str) -> Result<bool> {
        let failed = || Error::query("make an index");
        let (items, known): (i64, bool) = sqlx::query_as(
            "select coalesce(sum(items), 0)::bigint, coalesce(bool_or(summary::jsonb -> 'properties' ? $1), false)
            from collections",
        )
        .bind(name)
        .fetch_one(&self.pool)
        .await
        .map_err(failed())?;
        if items < WORTH_AN_INDEX || !known {
            return Ok(false);
        }
        // A connection of its own: it takes as long as it takes.
        let options = PgConnectOptions::clone(&self.pool.connect_options()).options([("statement_timeout", "0")]);
        let mut connection = PgConnection::connect_with(&options).await.map_err(|source| Error::Connect { source })?;
        let free: bool = sqlx::query_scalar("select pg_try_advisory_lock($1)")
            .bind(LOCK)
            .fetch_one(&mut connection)
            .await
            .map_err(failed())?;
        if free {
            make_index(&mut connection, name).await.map_err(failed())?;
        }
        connection.close().await.map_err(failed())?;
        Ok(free)
    }

    /// Tells PostgreSQL to look at the items again when many have come: it would, but a minute later.
    async fn refresh_statistics(&self) -> Result<()> {
        let many: Option<bool> = sqlx::query_scalar(
            "select n_mod_since_analyze > 5000 + n_live_tup / 10 from pg_stat_user_tables where relname = 'items'",
        )
        .fetch_optional(&self.pool)
        .await
        .map_err(Error::query("look at the statistics"))?;
        if many == Some(true) {
            sqlx::query("analyze items").execute(&self.pool).await.map_err(Error::query("refresh the statistics"))?;
        }
        Ok(())
    }
}

async fn make_index(connection: &mut PgConnection, name: &str) -> sqlx::Result<()> {
    let hash = <sha2::Sha256 as sha2::Digest>::digest(name.as_bytes());
    let index = format!("items_by_{}", hex::encode(&hash[..8]));
    let valid: Option<bool> =
        sqlx::query_scalar("select indisvalid from pg_index where indexrelid = to_regclass($1)::oid")
            .bind(&index)
            .fetch_optional(&mut *connection)
            .await?;
    if valid == Some(true) {
        return Ok(());
    }
    let indexes: i64 = sqlx::query_scalar(
        "select count(*) from pg_indexes where tablename = 'items' and starts_with(indexname, 'items_by_')",
    )
    .fetch_one(&mut *connection)
    .await?;
    if indexes >= MOST_INDEXES {
        return Ok(());
    }
    if valid == Some(false) {
        // Somebody was killed while making it.
        let statement = format!("drop index concurrently {index}");
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut *connection).await?;
    }
    // An index cannot be made with bound values. The server itself writes the literal.
    let literal: String = sqlx::query_scalar("select quote_literal($1)").bind(name).fetch_one(&mut *connection).await?;
    let key = format!("polder_key(properties, {literal})");
    // Of all items, not only of those that have the property: PostgreSQL does not ask a partial index how often a value
    // is there, and statistics of their own on an expression (`create statistics`) cost each plan, also of searches for
    // something else, 0.07 ms apiece.
    let statement =
        format!("create index concurrently if not exists {index} on items ({key}, starts_at, collection, id)");
    sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut *connection).await?;
    sqlx::query("analyze items").execute(&mut *connection).await?;
    info!("made an index for the property {name:?}: searches ask for it");
    Ok(())
}
