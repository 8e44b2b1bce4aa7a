//! What reviews say about a model, in rows that can be counted.

use sqlx::{QueryBuilder, Row as _};

use crate::{
    catalog::{Judged, Unjudged},
    database::{Database, DetectionFilter, Error, Result, detections::conditions},
};

impl Database {
    /// Returns every finding that was accepted or rejected, and how many of each class are open or were missed.
    ///
    /// Of the filter, `review`, `class`, `limit` and `after` do not count.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub async fn judged(&self, filter: &DetectionFilter) -> Result<(Vec<Judged>, Vec<Unjudged>)> {
        let filter = DetectionFilter { review: None, class: None, after: None, ..filter.clone() };
        let failed = || Error::query("count reviews");
        let mut query = QueryBuilder::new(
            "select d.class, coalesce(d.corrected_class, d.class) as truly, d.confidence, d.review = 'accepted' as accepted
            from detections d join detection_runs r on r.key = d.run
            where d.review <> 'open'",
        );
        conditions(&mut query, &filter);
        let rows = query.build().fetch_all(&self.pool).await.map_err(failed())?;
        let judged = |row: &sqlx::postgres::PgRow| Judged {
            class: row.get("class"),
            truly: row.get::<bool, _>("accepted").then(|| row.get("truly")),
            confidence: row.get("confidence"),
        };
        let judged = rows.iter().map(judged).collect();
        let mut query = QueryBuilder::new(
            "select d.class, count(*) as open, 0::bigint as missed
            from detections d join detection_runs r on r.key = d.run
            where d.review = 'open'",
        );
        conditions(&mut query, &filter);
        query.push(
            " group by d.class
            union all
            select d.class, 0, count(*) from missed_findings d join detection_runs r on r.key = d.run
            where true",
        );
        conditions(&mut query, &DetectionFilter { confidence: None, ..filter });
        query.push(" group by d.class");
        let rows = query.build().fetch_all(&self.pool).await.map_err(failed())?;
        let rest = |row: &sqlx::postgres::PgRow| Unjudged {
            class: row.get("class"),
            open: row.get("open"),
            missed: row.get("missed"),
        };
        Ok((judged, rows.iter().map(rest).collect()))
    }
}
