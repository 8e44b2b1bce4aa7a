//! PostGIS: one file per table or aggregate. All SQL of polder lives here.
//!
//! [`Database`] is a pool of connections; its methods are questions, grouped by file. No value ever becomes part of a
//! statement's text: it is bound.

mod aggregate;
mod audit;
mod changes;
pub mod cluster;
mod collections;
mod create;
mod detections;
mod error;
mod filter;
mod flights;
mod items;
mod reviews;
mod search;
#[cfg(test)]
pub(crate) mod testing;
mod tokens;
mod upkeep;

use std::{sync::Arc, time::Duration};

use sqlx::{
    Connection as _, PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};

pub use aggregate::{Aggregate, Aggregated, Grouping, Groups, Measure, PathGrouping, PathOf, Step};
pub use audit::{AuditClose, AuditOpen, AuditRow, AuditState};
pub use changes::{Change, ComparedRun, Comparison, Place};
pub use collections::{CollectionRow, CollectionSearch};
pub use detections::{Detection, DetectionFilter, DetectionRow, RunRow, Sighting};
pub use error::{Error, Result};
pub use filter::{Filter, FilterError};
pub use flights::FlightRow;
pub use items::{FEW, Feed, ItemRow, NewItems, Written};
pub use reviews::{MissedRow, Review, ReviewRow};
pub use search::{Cursor, Matched, Page, Search, SortField, SortKey};
pub use tokens::Token;

use self::upkeep::Wanted;
use crate::catalog::Layer;

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// How each connection works.
const SESSION: [(&str, &str); 4] = [
    // A client that asks for more has left long before.
    ("statement_timeout", "30s"),
    // A statement whose client has gone is cancelled.
    ("client_connection_check_interval", "1s"),
    // It compiles for longer than our statements run.
    ("jit", "off"),
    ("timezone", "UTC"),
];

/// How connections for searches work beside that.
const SEARCHES: [(&str, &str); 4] = [
    // A plan made without the values would take a small box for half of the world, and no index on a property.
    ("plan_cache_mode", "force_custom_plan"),
    // What is searched is in memory or on a disk without arms: a page anywhere costs hardly more than the next one.
    ("random_page_cost", "1.1"),
    // Against that, an entry of an index is not as cheap as PostgreSQL assumes: a key of jsonb is compared by its parts.
    ("cpu_index_tuple_cost", "0.06"),
    // Starting workers takes longer than most searches, and there are other searches for the other cores.
    ("max_parallel_workers_per_gather", "0"),
];

/// Longest wait for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections of each of the two pools: PostgreSQL works best with few per core, and allows 100 in all by default.
const CONNECTIONS: u32 = 8;

/// A connection that was used so shortly before is taken to be alive, which spares a round trip for nearly each request.
/// PostgreSQL needs longer than this to come back from a crash, so none survives it unasked.
const FRESH: Duration = Duration::from_millis(250);

/// The database of polder. Cheap to clone; all clones share one pool.
#[derive(Clone, Debug)]
pub struct Database {
    /// For statements that have one good plan: an item by its name, a write. It is made once and kept.
    pool: PgPool,
    /// For searches, of which each wants a plan of its own.
    searches: PgPool,
    /// Properties that searches asked for, which may want an index.
    wanted: Arc<Wanted>,
}

/// Shortest beginning of a digest that names one: half of a SHA-256, or an MD5.
const NAMES: usize = 32;

/// Tells whether what somebody has seen is what is there. A shorter beginning than an `ETag` has names nothing.
pub fn is_version(digest: &str, seen: &str) -> bool {
    seen.len() >= NAMES && digest.starts_with(seen)
}

impl Database {
    /// Connects to `postgres://…`.
    ///
    /// # Errors
    /// [`Error::Connect`] when nobody answers there or the password is wrong.
    pub async fn connect(url: &str) -> Result<Self> {
        let options: PgConnectOptions = url.parse().map_err(|source| Error::Connect { source })?;
        let options = options.application_name("polder").options(SESSION);
        let pools = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .before_acquire(|connection, about| {
                Box::pin(async move { Ok(about.idle_for < FRESH || connection.ping().await.is_ok()) })
            });
        Self::open(options, pools).await.map_err(|source| Error::Connect { source })
    }

    async fn open(options: PgConnectOptions, pools: PgPoolOptions) -> sqlx::Result<Self> {
        let pool = pools.clone().connect_with(options.clone()).await?;
        let searches = pools.connect_lazy_with(options.options(SEARCHES));
        Ok(Self { pool, searches, wanted: Arc::default() })
    }

    /// Brings the schema up to date and describes the four collections in it. Running it twice changes nothing; two
    /// processes at once take turns.
    ///
    /// # Errors
    /// [`Error::Migrate`] when a migration fails, which then leaves no trace.
    pub async fn migrate(&self) -> Result<()> {
        // A connection of its own: a migration may take longer than a statement otherwise may.
        let options = self.pool.connect_options();
        let options = PgConnectOptions::clone(&options).options([("statement_timeout", "0")]);
        let mut connection =
            sqlx::PgConnection::connect_with(&options).await.map_err(|source| Error::Connect { source })?;
        MIGRATIONS.run(&mut connection).await.map_err(|source| Error::Migrate { source })?;
        connection.close().await.map_err(|source| Error::Connect { source })?;
        self.ensure_collections(Layer::ALL).await
    }

    /// Asks the database for a sign of life, and whether its schema is the one that this program knows.
    ///
    /// # Errors
    /// [`Error::Query`] when it gives none, or when `polder migrate` has not been run.
    pub async fn check(&self) -> Result<()> {
        let newest = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or_default();
        let found: bool =
            sqlx::query_scalar("select exists (select from _sqlx_migrations where version >= $1 and success)")
                .bind(newest)
                .fetch_one(&self.pool)
                .await
                .map_err(Error::query("check the database"))?;
        if found { Ok(()) } else { Err(Error::query("check the database")(sqlx::Error::RowNotFound)) }
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.pool.close().await;
        self.searches.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn migrating_twice_changes_nothing_and_the_collections_are_there() {
        testing::with_database(|database| async move {
            database.migrate().await.unwrap();
            database.check().await.unwrap();
            let ids: Vec<String> = database.list_collections().await.unwrap().into_iter().map(|row| row.id).collect();
            assert_eq!(ids, ["ai-models", "ai-results", "drone-ortho", "drone-raw"]);
        })
        .await;
    }

    #[tokio::test]
    async fn a_database_that_is_not_there_is_unavailable() {
        let error = Database::connect("postgres://127.0.0.1:1/polder").await.unwrap_err();
        assert!(error.is_unavailable(), "{error}");
    }
}
