//! The table `audit`: a row is opened before the work and closed after it.

use chrono::{DateTime, Utc};
use sqlx::{Row as _, postgres::PgRow};

use super::{Database, Error, Result};

/// What is about to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditOpen {
    /// The token's name, or the account on this machine.
    pub who: String,
    /// The step, as `upload` or `stitch`.
    pub what: String,
    pub bucket: Option<String>,
    pub key: Option<String>,
    /// For people: which flight.
    pub detail: Option<String>,
}

/// How it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditClose {
    pub state: AuditState,
    pub version_id: Option<String>,
    pub records_in: i64,
    pub records_ok: i64,
    pub records_rejected: i64,
    /// For people: why it failed. What the row said before stays when this is `None`.
    pub detail: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditState {
    /// Begun and not ended: at work, or dead.
    Running,
    Done,
    Failed,
}

/// One row of the trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    pub id: i64,
    pub opened_at: DateTime<Utc>,
    pub closed_at: Option<DateTime<Utc>>,
    pub who: String,
    pub what: String,
    pub bucket: Option<String>,
    pub key: Option<String>,
    pub version_id: Option<String>,
    pub records_in: Option<i64>,
    pub records_ok: Option<i64>,
    pub records_rejected: Option<i64>,
    pub state: AuditState,
    pub detail: Option<String>,
}

impl AuditState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

/// Writes a row about work that is done when this transaction is, and not otherwise.
pub(super) async fn sign(connection: &mut sqlx::PgConnection, by: Option<&AuditOpen>, records: usize) -> Result<()> {
    let Some(by) = by else { return Ok(()) };
    sqlx::query(
        "insert into audit (who, what, bucket, key, detail, state, closed_at, records_in, records_ok, records_rejected)
        values ($1, $2, $3, $4, $5, 'done', now(), $6, $6, 0)",
    )
    .bind(&by.who)
    .bind(&by.what)
    .bind(&by.bucket)
    .bind(&by.key)
    .bind(&by.detail)
    .bind(records as i64)
    .execute(connection)
    .await
    .map_err(Error::query("write an audit row"))?;
    Ok(())
}

impl Database {
    /// Opens a row, as `running`, and returns its id.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub async fn open_audit(&self, open: &AuditOpen) -> Result<i64> {
        sqlx::query_scalar(
            "insert into audit (who, what, bucket, key, detail) values ($1, $2, $3, $4, $5) returning id",
        )
        .bind(&open.who)
        .bind(&open.what)
        .bind(&open.bucket)
        .bind(&open.key)
        .bind(&open.detail)
        .fetch_one(&self.pool)
        .await
        .map_err(Error::query("open an audit row"))
    }

    /// Closes a row that is running; one that is closed stays as it is.
    ///
    /// # Errors
    /// [`Error::Query`], also when `close.state` is [`AuditState::Running`].
    pub async fn close_audit(&self, id: i64, close: &AuditClose) -> Result<()> {
        sqlx::query(
            "update audit
            set state = $2, closed_at = now(), version_id = $3, records_in = $4, records_ok = $5,
                records_rejected = $6, detail = coalesce($7, detail)
            where id = $1 and state = 'running'",
        )
        .bind(id)
        .bind(close.state.as_str())
        .bind(&close.version_id)
        .bind(close.records_in)
        .bind(close.records_ok)
        .bind(close.records_rejected)
        .bind(&close.detail)
        .execute(&self.pool)
        .await
        .map_err(Error::query("close an audit row"))?;
        Ok(())
    }

    /// Lists the rows that were opened and never closed, oldest first.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub async fn list_running_audits(&self) -> Result<Vec<AuditRow>> {
        let rows = sqlx::query("select * from audit where state = 'running' order by opened_at, id limit 1000")
            .fetch_all(&self.pool)
            .await
            .map_err(Error::query("list running audit rows"))?;
        Ok(rows.iter().map(audit_row).collect())
    }

    /// Lists the latest rows, newest first.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub async fn list_audits(&self, limit: i64) -> Result<Vec<AuditRow>> {
        let rows = sqlx::query("select * from audit order by opened_at desc, id desc limit $1")
            .bind(limit)
            .fetch_all(&self.pool)
            .await
            .map_err(Error::query("list audit rows"))?;
        Ok(rows.iter().map(audit_row).collect())
    }
}

fn audit_row(row: &PgRow) -> AuditRow {
    let state = match row.get("state") {
        "done" => AuditState::Done,
        "failed" => AuditState::Failed,
        _ => AuditState::Running,
    };
    AuditRow {
        id: row.get("id"),
        opened_at: row.get("opened_at"),
        closed_at: row.get("closed_at"),
        who: row.get("who"),
        what: row.get("what"),
        bucket: row.get("bucket"),
        key: row.get("key"),
        version_id: row.get("version_id"),
        records_in: row.get("records_in"),
        records_ok: row.get("records_ok"),
        records_rejected: row.get("records_rejected"),
        state,
        detail: row.get("detail"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::testing::with_database;

    #[tokio::test]
    async fn a_row_that_was_never_closed_can_be_found() {
        with_database(|database| async move {
            let open = AuditOpen { who: "root".into(), what: "stitch".into(), ..AuditOpen::default() };
            let dead = database.open_audit(&open).await.unwrap();
            let fine = database.open_audit(&open).await.unwrap();
            let close = AuditClose {
                state: AuditState::Done,
                version_id: Some("v1".into()),
                records_in: 18,
                records_ok: 17,
                records_rejected: 1,
                detail: None,
            };
            database.close_audit(fine, &close).await.unwrap();
            let running: Vec<i64> = database.list_running_audits().await.unwrap().iter().map(|row| row.id).collect();
            assert_eq!(running, [dead]);
            let newest = database.list_audits(1).await.unwrap().remove(0);
            assert_eq!((newest.id, newest.state, newest.records_ok), (fine, AuditState::Done, Some(17)));
        })
        .await;
    }

    #[tokio::test]
    async fn a_row_is_closed_once() {
        with_database(|database| async move {
            let id = database.open_audit(&AuditOpen::default()).await.unwrap();
            let close = |state| AuditClose {
                state,
                version_id: None,
                records_in: 0,
                records_ok: 0,
                records_rejected: 0,
                detail: None,
            };
            assert!(database.close_audit(id, &close(AuditState::Running)).await.is_err());
            database.close_audit(id, &close(AuditState::Failed)).await.unwrap();
            database.close_audit(id, &close(AuditState::Done)).await.unwrap();
            assert_eq!(database.list_audits(1).await.unwrap()[0].state, AuditState::Failed);
        })
        .await;
    }
}
