//! Running a statement that may take long, and ending it when nobody waits for it any more.

use sqlx::{
    Decode, Postgres, QueryBuilder, Type,
    pool::PoolConnection,
    postgres::{PgConnection, PgRow},
};

use crate::database::{Database, Error, Result};

/// A connection that is closed, and not given back, when its user stops waiting in the middle of a statement.
///
/// PostgreSQL looks every so often whether the client is still there (`client_connection_check_interval`) and cancels
/// the statement if not. A connection that went back to the pool would go on working for nobody.
struct Waiting(Option<PoolConnection<Postgres>>);

impl Waiting {
    fn connection(&mut self) -> &mut PgConnection {
        self.0.as_mut().expect("it is taken at the end only")
    }

    fn done(mut self) {
        self.0.take();
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(connection.detach());
        }
    }
}

impl Database {
    /// Returns all rows of a statement.
    pub(in crate::database) async fn all(
        &self,
        query: &mut QueryBuilder<Postgres>,
        operation: &'static str,
    ) -> Result<Vec<PgRow>> {
        let mut waiting = self.waiting(operation).await?;
        let rows = query.build().fetch_all(waiting.connection()).await;
        waiting.done();
        rows.map_err(Error::query(operation))
    }

    /// Returns the one value that a statement gives.
    pub(in crate::database) async fn one<T>(
        &self,
        query: &mut QueryBuilder<Postgres>,
        operation: &'static str,
    ) -> Result<T>
    where
        T: Send + Unpin + for<'r> Decode<'r, Postgres> + Type<Postgres>,
    {
        let mut waiting = self.waiting(operation).await?;
        let value = query.build_query_scalar().fetch_one(waiting.connection()).await;
        waiting.done();
        value.map_err(Error::query(operation))
    }

    async fn waiting(&self, operation: &'static str) -> Result<Waiting> {
        Ok(Waiting(Some(self.searches.acquire().await.map_err(Error::query(operation))?)))
    }
}
