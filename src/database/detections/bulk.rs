//! A run with very many findings gets a table of its own.
//!
//! Its indexes are made when its rows are there, which is four times as fast as filling them row by row; then the table
//! is attached to `detections`, as one more of its partitions. Names of tables are made here, of a number.

use sqlx::{Postgres, Row as _, Transaction};

use crate::database::{Error, Result};

/// From here on the table pays: below, attaching costs more than it saves.
#[cfg(not(test))]
pub(super) const MANY: usize = 50_000;
#[cfg(test)]
pub(super) const MANY: usize = 5_000;

/// Where small runs are.
const SHARED: &str = "detections";

fn name(key: i32) -> String {
    format!("detections_run_{key}")
}

/// Returns the table into which so many findings of a run are to be copied; makes it when it is one of its own.
pub(super) async fn table_for(
    transaction: &mut Transaction<'_, Postgres>,
    key: i32,
    findings: usize,
) -> Result<String> {
    if findings < MANY {
        return Ok(SHARED.to_owned());
    }
    let table = name(key);
    run(transaction, format!("create table {table} (like detections including defaults including constraints)"))
        .await?;
    Ok(table)
}

/// Indexes a run's own table and makes it part of the whole.
pub(super) async fn attach(transaction: &mut Transaction<'_, Postgres>, table: &str, key: i32) -> Result<()> {
    if table == SHARED {
        return Ok(());
    }
    run(transaction, "set local maintenance_work_mem = '256MB'".to_owned()).await?;
    run(transaction, format!("alter table {table} add primary key (run, number)")).await?;
    run(transaction, format!("create index on {table} using gist (geometry)")).await?;
    run(transaction, format!("create index on {table} (run, review) where review <> 'open'")).await?;
    // Without statistics the first questions would be planned as for an empty table.
    run(transaction, format!("analyze {table}")).await?;
    run(transaction, format!("alter table detections attach partition {table} for values in ({key})")).await
}

/// Drops a run's own table, if it has one.
pub(super) async fn forget(transaction: &mut Transaction<'_, Postgres>, key: i32) -> Result<()> {
    let row = sqlx::query("select to_regclass($1) is not null as there")
        .bind(name(key))
        .fetch_one(&mut **transaction)
        .await
        .map_err(Error::query("look for a run's own table"))?;
    if row.get("there") { run(transaction, format!("drop table {}", name(key))).await } else { Ok(()) }
}

async fn run(transaction: &mut Transaction<'_, Postgres>, statement: String) -> Result<()> {
    sqlx::query(sqlx::AssertSqlSafe(statement))
        .execute(&mut **transaction)
        .await
        .map_err(Error::query("load detections"))?;
    Ok(())
}
