//! The tables `detection_runs` and `detections`: loading a run, and asking what was found where.

mod copy;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use sqlx::{Postgres, QueryBuilder, Row as _, Transaction};

use super::{Database, Error, Result};
use crate::spatial::Bbox;

/// One detection run, as it is about to be loaded.
#[derive(Clone, Debug, PartialEq)]
pub struct RunRow {
    /// The id of its item in `ai-results`.
    pub id: String,
    pub project: String,
    pub flight: String,
    /// The id of the searched item in `drone-ortho`.
    pub orthophoto: String,
    pub model: String,
    pub model_version: String,
    /// When the photos were taken.
    pub starts_at: DateTime<Utc>,
    pub ends_at: DateTime<Utc>,
}

/// One finding.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    pub class: String,
    /// In [0, 1].
    pub confidence: f64,
    /// Lon, lat, WGS 84; closed.
    pub ring: Vec<[f64; 2]>,
}

/// A finding as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct DetectionRow {
    pub run: String,
    pub number: i32,
    pub class: String,
    pub confidence: f64,
    pub review: String,
    /// A `GeoJSON` polygon.
    pub geometry: String,
    pub orthophoto: String,
    pub model: String,
    pub model_version: String,
    pub starts_at: DateTime<Utc>,
    pub ends_at: DateTime<Utc>,
}

/// A question about detections. What is `None` is not asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DetectionFilter {
    pub bbox: Option<Bbox>,
    pub run: Option<String>,
    pub orthophoto: Option<String>,
    pub class: Option<String>,
    pub confidence: Option<f64>,
    pub limit: i64,
    /// Run and number of the last one of the page before.
    pub after: Option<(String, i32)>,
}

impl Database {
    /// Puts the findings of a run in the place of those it had, all or none, and returns whether anything changed.
    ///
    /// The same findings again change nothing, so that reviews of them stay. Numbers count from 0 in the order given.
    ///
    /// # Errors
    /// [`Error::Query`]; the database is then as it was.
    pub async fn replace_detections(&self, run: &RunRow, detections: &[Detection]) -> Result<bool> {
        let digest = digest(run, detections);
        let mut transaction = self.pool.begin().await.map_err(Error::query("begin loading detections"))?;
        if !replace_run(&mut transaction, run, detections.len(), &digest).await? {
            return Ok(false);
        }
        let mut copy = transaction
            .copy_in_raw("copy detections (run, number, class, confidence, geometry) from stdin (format binary)")
            .await
            .map_err(Error::query("load detections"))?;
        // Chunks, so that a run of a million findings is never twice in memory.
        copy.send(copy::HEADER).await.map_err(Error::query("load detections"))?;
        for (chunk, numbers) in detections.chunks(copy::CHUNK).zip((0..).step_by(copy::CHUNK)) {
            copy.send(copy::rows(&run.id, numbers, chunk)).await.map_err(Error::query("load detections"))?;
        }
        copy.send(copy::TRAILER).await.map_err(Error::query("load detections"))?;
        copy.finish().await.map_err(Error::query("load detections"))?;
        transaction.commit().await.map_err(Error::query("finish loading detections"))?;
        Ok(true)
    }

    /// Lists detections by run and number.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub async fn list_detections(&self, filter: &DetectionFilter) -> Result<Vec<DetectionRow>> {
        let mut query = QueryBuilder::new(
            "select d.run, d.number, d.class, d.confidence, d.review, st_asgeojson(d.geometry, 9) as geometry,
                r.orthophoto, r.model, r.model_version, r.starts_at, r.ends_at
            from detections d
            join detection_runs r on r.id = d.run
            where true",
        );
        conditions(&mut query, filter);
        query.push(" order by d.run, d.number limit ").push_bind(filter.limit);
        let rows = query.build().fetch_all(&self.pool).await.map_err(Error::query("list detections"))?;
        Ok(rows.iter().map(detection_row).collect())
    }

    /// Counts all detections.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub async fn count_detections(&self) -> Result<i64> {
        sqlx::query_scalar("select coalesce(sum(detections), 0)::bigint from detection_runs")
            .fetch_one(&self.pool)
            .await
            .map_err(Error::query("count detections"))
    }
}

/// Writes the run's row and empties the run; says whether there is anything to load.
async fn replace_run(
    transaction: &mut Transaction<'_, Postgres>,
    run: &RunRow,
    detections: usize,
    digest: &str,
) -> Result<bool> {
    let changed = sqlx::query(
        "insert into detection_runs
            (id, project, flight, orthophoto, model, model_version, starts_at, ends_at, detections, digest)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        on conflict (id) do update
        set project = excluded.project, flight = excluded.flight, orthophoto = excluded.orthophoto,
            model = excluded.model, model_version = excluded.model_version, starts_at = excluded.starts_at,
            ends_at = excluded.ends_at, detections = excluded.detections, digest = excluded.digest
        where detection_runs.digest <> excluded.digest",
    )
    .bind(&run.id)
    .bind(&run.project)
    .bind(&run.flight)
    .bind(&run.orthophoto)
    .bind(&run.model)
    .bind(&run.model_version)
    .bind(run.starts_at)
    .bind(run.ends_at)
    .bind(detections as i64)
    .bind(digest)
    .execute(&mut **transaction)
    .await
    .map_err(Error::query("write a detection run"))?;
    if changed.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query("delete from detections where run = $1")
        .bind(&run.id)
        .execute(&mut **transaction)
        .await
        .map_err(Error::query("empty a detection run"))?;
    Ok(true)
}

fn conditions(query: &mut QueryBuilder<Postgres>, filter: &DetectionFilter) {
    if let Some(Bbox { west, south, east, north }) = filter.bbox {
        query.push(" and st_intersects(d.geometry, st_makeenvelope(");
        query.push_bind(west).push(", ").push_bind(south).push(", ").push_bind(east).push(", ").push_bind(north);
        query.push(", 4326))");
    }
    for (column, value) in [
        (" and d.run = ", &filter.run),
        (" and r.orthophoto = ", &filter.orthophoto),
        (" and d.class = ", &filter.class),
    ] {
        if let Some(value) = value {
            query.push(column).push_bind(value.clone());
        }
    }
    if let Some(confidence) = filter.confidence {
        query.push(" and d.confidence >= ").push_bind(confidence);
    }
    if let Some((run, number)) = &filter.after {
        query.push(" and (d.run, d.number) > (").push_bind(run.clone()).push(", ").push_bind(*number).push(")");
    }
}

fn detection_row(row: &sqlx::postgres::PgRow) -> DetectionRow {
    DetectionRow {
        run: row.get("run"),
        number: row.get("number"),
        class: row.get("class"),
        confidence: row.get("confidence"),
        review: row.get("review"),
        geometry: row.get("geometry"),
        orthophoto: row.get("orthophoto"),
        model: row.get("model"),
        model_version: row.get("model_version"),
        starts_at: row.get("starts_at"),
        ends_at: row.get("ends_at"),
    }
}

/// SHA-256 over everything that would be written.
fn digest(run: &RunRow, detections: &[Detection]) -> String {
    let mut hash = Sha256::new();
    let RunRow { id, project, flight, orthophoto, model, model_version, starts_at, ends_at } = run;
    for text in [id, project, flight, orthophoto, model, model_version, &starts_at.to_rfc3339(), &ends_at.to_rfc3339()]
    {
        hash.update(text);
        hash.update([0]);
    }
    for chunk in detections.chunks(copy::CHUNK) {
        hash.update(copy::rows("", 0, chunk));
    }
    hex::encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{catalog::examples::noon, database::testing::with_database};

    fn run() -> RunRow {
        RunRow {
            id: "run-1".into(),
            project: "dijk-a".into(),
            flight: "flight-2025".into(),
            orthophoto: "ortho-1".into(),
            model: "dijkoog".into(),
            model_version: "0.1.0".into(),
            starts_at: noon(),
            ends_at: noon(),
        }
    }

    fn found(lon: f64, class: &str) -> Detection {
        let ring = vec![[lon, 52.0], [lon + 1e-5, 52.0], [lon + 1e-5, 52.00001], [lon, 52.00001], [lon, 52.0]];
        Detection { class: class.into(), confidence: 0.75, ring }
    }

    async fn all(database: &Database) -> Vec<DetectionRow> {
        database.list_detections(&DetectionFilter { limit: 100_000, ..DetectionFilter::default() }).await.unwrap()
    }

    #[tokio::test]
    async fn findings_come_back_as_they_were_loaded() {
        with_database(|database| async move {
            let given = [found(5.1, "Muskusrat klem"), found(5.2, "Beschadiging oever")];
            assert!(database.replace_detections(&run(), &given).await.unwrap());
            let rows = all(&database).await;
            assert_eq!(
                rows.iter().map(|row| (row.number, row.class.as_str())).collect::<Vec<_>>(),
                [(0, "Muskusrat klem"), (1, "Beschadiging oever")]
            );
            let geometry: serde_json::Value = serde_json::from_str(&rows[0].geometry).unwrap();
            let ring: Vec<[f64; 2]> = serde_json::from_value(geometry["coordinates"][0].clone()).unwrap();
            let apart = ring.iter().flatten().zip(given[0].ring.iter().flatten()).map(|(a, b)| (a - b).abs());
            assert!(apart.fold(0.0, f64::max) < 1e-9, "{ring:?}");
            assert_eq!((rows[0].confidence, rows[0].review.as_str()), (0.75, "open"));
            assert_eq!(database.count_detections().await.unwrap(), 2);
        })
        .await;
    }

    #[tokio::test]
    async fn a_run_that_finds_the_same_again_keeps_the_reviews_and_another_result_replaces_it() {
        with_database(|database| async move {
            database.replace_detections(&run(), &[found(5.1, "a"), found(5.2, "a")]).await.unwrap();
            sqlx::query("update detections set review = 'accepted'").execute(&database.pool).await.unwrap();
            assert!(!database.replace_detections(&run(), &[found(5.1, "a"), found(5.2, "a")]).await.unwrap());
            assert!(all(&database).await.iter().all(|row| row.review == "accepted"));
            assert!(database.replace_detections(&run(), &[found(5.3, "a")]).await.unwrap());
            assert_eq!(all(&database).await.len(), 1);
        })
        .await;
    }

    #[tokio::test]
    async fn a_run_is_loaded_whole_or_not_at_all() {
        with_database(|database| async move {
            database.replace_detections(&run(), &[found(5.1, "a")]).await.unwrap();
            let mut wrong = found(5.2, "a");
            wrong.confidence = 1.5;
            assert!(database.replace_detections(&run(), &[found(5.3, "a"), wrong]).await.is_err());
            let rows = all(&database).await;
            assert_eq!(rows.len(), 1);
            assert!(rows[0].geometry.contains("5.1"));
        })
        .await;
    }

    #[tokio::test]
    async fn many_findings_are_loaded_in_chunks_and_none_is_a_run_too() {
        with_database(|database| async move {
            let many: Vec<Detection> = (0..10_000).map(|i| found(f64::from(i) * 1e-3, "a")).collect();
            database.replace_detections(&run(), &many).await.unwrap();
            let rows = all(&database).await;
            assert_eq!((rows.len(), rows[9_999].number), (10_000, 9_999));
            database.replace_detections(&run(), &[]).await.unwrap();
            assert!(all(&database).await.is_empty());
        })
        .await;
    }

    #[tokio::test]
    async fn findings_are_found_by_place_class_and_confidence() {
        with_database(|database| async move {
            database.replace_detections(&run(), &[found(5.1, "a"), found(5.2, "b")]).await.unwrap();
            let filter = |filter: DetectionFilter| {
                let database = &database;
                async move {
                    let rows = database.list_detections(&DetectionFilter { limit: 10, ..filter }).await.unwrap();
                    rows.iter().map(|row| row.number).collect::<Vec<_>>()
                }
            };
            let bbox = Some(Bbox { west: 5.15, south: 51.0, east: 5.25, north: 53.0 });
            assert_eq!(filter(DetectionFilter { bbox, ..Default::default() }).await, [1]);
            assert_eq!(filter(DetectionFilter { class: Some("a".into()), ..Default::default() }).await, [0]);
            assert!(filter(DetectionFilter { confidence: Some(0.8), ..Default::default() }).await.is_empty());
            assert_eq!(filter(DetectionFilter { after: Some(("run-1".into(), 0)), ..Default::default() }).await, [1]);
        })
        .await;
    }
}
