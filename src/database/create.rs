//! Makes a database in a cluster of polder's own.

use sqlx::{Connection as _, PgConnection, postgres::PgConnectOptions};

use super::{Database, Error, Result};

impl Database {
    /// Makes an empty database if there is none of this name. `url` is that of another database in the cluster.
    ///
    /// # Errors
    /// [`Error::Connect`], and [`Error::Query`] when the user may not make databases.
    pub async fn create_if_missing(url: &str, name: &str) -> Result<()> {
        let connect = |source| Error::Connect { source };
        let options: PgConnectOptions = url.parse().map_err(connect)?;
        let mut connection = PgConnection::connect_with(&options).await.map_err(connect)?;
        let exists: bool = sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
            .bind(name)
            .fetch_one(&mut connection)
            .await
            .map_err(Error::query("look for the database"))?;
        if !exists {
            // A name cannot be a parameter; quoted as PostgreSQL quotes identifiers.
            let statement = format!("create database \"{}\"", name.replace('"', "\"\""));
            sqlx::query(sqlx::AssertSqlSafe(statement))
                .execute(&mut connection)
                .await
                .map_err(Error::query("create the database"))?;
        }
        connection.close().await.map_err(connect)
    }
}
