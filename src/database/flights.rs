//! Which flights there are, counted from the items.

use chrono::{DateTime, Utc};
use sqlx::Row as _;

use super::{Database, Error, Result};

/// A flight and how far it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlightRow {
    pub project: String,
    pub flight: String,
    /// When its first photo was taken.
    pub first: Option<DateTime<Utc>>,
    pub photos: i64,
    pub orthophotos: i64,
    pub runs: i64,
    /// Detections of its latest run.
    pub detections: i64,
}

impl Database {
    /// Lists flights, the latest first, at most `limit`.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub async fn list_flights(&self, limit: i64) -> Result<Vec<FlightRow>> {
        let rows = sqlx::query(
            "select project, coalesce(flight, '') as flight, min(starts_at) as first,
                count(*) filter (where collection = 'drone-raw') as photos,
                count(*) filter (where collection = 'drone-ortho') as orthophotos,
                count(*) filter (where collection = 'ai-results') as runs,
                coalesce((
                    select r.detections
                    from detection_runs r
                    where r.project = items.project and r.flight = items.flight
                    order by r.created_at desc
                    limit 1
                ), 0) as detections
            from items
            where project is not null
            group by project, flight
            order by max(updated_at) desc, project, flight
            limit $1",
        )
        .bind(limit)
        .fetch_all(&self.pool)
        .await
        .map_err(Error::query("list flights"))?;
        let flight = |row: &sqlx::postgres::PgRow| FlightRow {
            project: row.get("project"),
            flight: row.get("flight"),
            first: row.get("first"),
            photos: row.get("photos"),
            orthophotos: row.get("orthophotos"),
            runs: row.get("runs"),
            detections: row.get("detections"),
        };
        Ok(rows.iter().map(flight).collect())
    }
}
