//! The tables `detection_reviews` and `missed_findings`: what people say about detections.

mod carry;
mod figures;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::{Row as _, postgres::PgRow};

use super::{AuditOpen, Database, Error, Result, audit::sign, detections};
use crate::catalog::ReviewAction;

pub(super) use carry::{carry_over, keep_reviews};

/// What somebody says about one detection.
#[derive(Clone, Debug, PartialEq)]
pub struct Review {
    pub who: String,
    pub action: ReviewAction,
    /// What it is instead; with [`ReviewAction::Correct`].
    pub class: Option<String>,
    /// What it covers instead: lon, lat, WGS 84; closed. With [`ReviewAction::Correct`].
    pub ring: Option<Vec<[f64; 2]>>,
    pub comment: Option<String>,
}

/// One row of the history of a detection.
#[derive(Clone, Debug, PartialEq)]
pub struct ReviewRow {
    pub version: i32,
    pub said_at: DateTime<Utc>,
    pub who: String,
    /// As [`ReviewAction`] writes it, or `carry`.
    pub action: String,
    pub class: Option<String>,
    /// `GeoJSON`.
    pub geometry: Option<String>,
    pub comment: Option<String>,
    /// Run and number of the detection of which it was said first.
    pub carried_from: Option<(String, i32)>,
}

/// Something that is there and that a run did not find.
#[derive(Clone, Debug, PartialEq)]
pub struct MissedRow {
    pub id: i64,
    pub run: String,
    pub class: String,
    /// `GeoJSON`.
    pub geometry: String,
    pub said_at: DateTime<Utc>,
    pub who: String,
    pub comment: Option<String>,
}

impl Database {
    /// Writes a review and returns the version that the detection has now; nothing when there is no such detection.
    ///
    /// A correction accepts the detection; what it does not name stays as it was corrected before. Reopening takes
    /// corrections back.
    ///
    /// # Errors
    /// [`Error::ItemChanged`] when the detection is not of the version `expected`, [`Error::Query`].
    pub async fn review(&self, run: &str, number: i32, review: &Review, expected: Option<i32>) -> Result<Option<i32>> {
        let failed = || Error::query("write a review");
        let mut transaction = self.pool.begin().await.map_err(failed())?;
        let row = sqlx::query(
            "select d.run, d.version from detections d join detection_runs r on r.key = d.run
            where r.id = $1 and d.number = $2
            for update of d",
        )
        .bind(run)
        .bind(number)
        .fetch_optional(&mut *transaction)
        .await
        .map_err(failed())?;
        let Some(row) = row else { return Ok(None) };
        let (key, version): (i32, i32) = (row.get("run"), row.get("version"));
        if expected.is_some_and(|expected| expected != version) {
            return Err(Error::ItemChanged);
        }
        sqlx::query(
            "with said as (
                insert into detection_reviews (run, number, version, who, action, class, geometry, comment)
                values ($1, $2, $3, $4, $5, $6, st_geomfromewkb($7), $8)
                returning *
            )
            update detections d
            set version = said.version, reviewed_by = said.who, reviewed_at = said.said_at,
                review = case said.action
                    when 'accept' then 'accepted' when 'correct' then 'accepted'
                    when 'reject' then 'rejected' when 'reopen' then 'open' else d.review end,
                corrected_class = case said.action
                    when 'correct' then coalesce(said.class, d.corrected_class) when 'reopen' then null
                    else d.corrected_class end,
                corrected_geometry = case said.action
                    when 'correct' then coalesce(said.geometry, d.corrected_geometry) when 'reopen' then null
                    else d.corrected_geometry end,
                comment = coalesce(said.comment, d.comment)
            from said
            where d.run = $1 and d.number = $2",
        )
        .bind(key)
        .bind(number)
        .bind(version + 1)
        .bind(&review.who)
        .bind(review.action.as_str())
        .bind(&review.class)
        .bind(review.ring.as_deref().map(detections::ewkb))
        .bind(&review.comment)
        .execute(&mut *transaction)
        .await
        .map_err(failed())?;
        let audit = AuditOpen {
            who: review.who.clone(),
            what: format!("{} detection", review.action),
            detail: Some(format!("{run}/{number}")),
            ..AuditOpen::default()
        };
        sign(&mut transaction, Some(&audit), 1).await?;
        transaction.commit().await.map_err(failed())?;
        Ok(Some(version + 1))
    }

    /// Lists what was said about a detection, oldest first.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub async fn list_reviews(&self, run: &str, number: i32) -> Result<Vec<ReviewRow>> {
        let rows = sqlx::query(
            "select v.*, st_asgeojson(v.geometry, 9) as shape
            from detection_reviews v join detection_runs r on r.key = v.run
            where r.id = $1 and v.number = $2 and v.superseded_at is null
            order by v.version",
        )
        .bind(run)
        .bind(number)
        .fetch_all(&self.pool)
        .await
        .map_err(Error::query("list reviews"))?;
        Ok(rows.iter().map(review_row).collect())
    }

    /// Notes something that a run did not find; `false` when there is no such run. The same again changes nothing.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub async fn add_missed(
        &self,
        run: &str,
        class: &str,
        ring: &[[f64; 2]],
        who: &str,
        comment: Option<&str>,
    ) -> Result<bool> {
        let failed = || Error::query("note a missed finding");
        let mut transaction = self.pool.begin().await.map_err(failed())?;
        let key: Option<i32> = sqlx::query_scalar("select key from detection_runs where id = $1")
            .bind(run)
            .fetch_optional(&mut *transaction)
            .await
            .map_err(failed())?;
        let Some(key) = key else { return Ok(false) };
        sqlx::query(
            "insert into missed_findings (run, class, geometry, who, comment)
            values ($1, $2, st_geomfromewkb($3), $4, $5)
            on conflict on constraint missed_findings_once do nothing",
        )
        .bind(key)
        .bind(class)
        .bind(detections::ewkb(ring))
        .bind(who)
        .bind(comment)
        .execute(&mut *transaction)
        .await
        .map_err(failed())?;
        let what = "note a missed finding".to_owned();
        let audit = AuditOpen { who: who.to_owned(), what, detail: Some(run.to_owned()), ..AuditOpen::default() };
        sign(&mut transaction, Some(&audit), 1).await?;
        transaction.commit().await.map_err(failed())?;
        Ok(true)
    }

    /// Lists what a run did not find, as far as people noted it.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub async fn list_missed(&self, run: &str) -> Result<Vec<MissedRow>> {
        let rows = sqlx::query(
            "select m.*, r.id as run_id, st_asgeojson(m.geometry, 9) as shape
            from missed_findings m join detection_runs r on r.key = m.run
            where r.id = $1
            order by m.id",
        )
        .bind(run)
        .fetch_all(&self.pool)
        .await
        .map_err(Error::query("list missed findings"))?;
        let missed = |row: &PgRow| MissedRow {
            id: row.get("id"),
            run: row.get("run_id"),
            class: row.get("class"),
            geometry: row.get("shape"),
            said_at: row.get("said_at"),
            who: row.get("who"),
            comment: row.get("comment"),
        };
        Ok(rows.iter().map(missed).collect())
    }
}

fn review_row(row: &PgRow) -> ReviewRow {
    ReviewRow {
        version: row.get("version"),
        said_at: row.get("said_at"),
        who: row.get("who"),
        action: row.get("action"),
        class: row.get("class"),
        geometry: row.get("shape"),
        comment: row.get("comment"),
        carried_from: row.get::<Option<String>, _>("from_run").zip(row.get("from_number")),
    }
}

impl ReviewRow {
    /// Returns it as JSON.
    pub fn to_json(&self) -> Value {
        let carried = self.carried_from.as_ref().map(|(run, number)| json!({ "run": run, "number": number }));
        json!({
            "version": self.version,
            "said_at": self.said_at,
            "who": self.who,
            "action": self.action,
            "class": self.class,
            "geometry": self.geometry.as_deref().map(shape),
            "comment": self.comment,
            "carried_from": carried,
        })
    }
}

impl MissedRow {
    /// Returns it as a `GeoJSON` feature.
    pub fn feature(&self) -> Value {
        json!({
            "type": "Feature",
            "id": self.id,
            "geometry": shape(&self.geometry),
            "properties": {
                "run": self.run,
                "class": self.class,
                "said_at": self.said_at,
                "who": self.who,
                "comment": self.comment,
            },
        })
    }
}

fn shape(geojson: &str) -> Value {
    serde_json::from_str(geojson).unwrap_or_default()
}
