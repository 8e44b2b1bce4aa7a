//! Putting the findings of a run in the place of those it had.

use sha2::{Digest, Sha256};
use sqlx::{PgConnection, Postgres, Transaction};

use super::{Detection, RunRow, bulk, copy};
use crate::{
    catalog::StoredItem,
    database::{Database, Error, Result, items::write, reviews},
};

/// How often the item is written again because somebody else wrote the same one in between.
const TRIES: usize = 10;

impl Database {
    /// Puts the findings of a run in the place of those it had, all or none, and returns whether anything changed.
    ///
    /// The same findings again change nothing, so that reviews of them stay; others take over the reviews of those that
    /// they match, also from other runs over the same orthophoto. Numbers count from 0 in the order given.
    /// The run's item becomes visible with its findings, or neither does. Two that load one run take turns.
    ///
    /// # Errors
    /// [`Error::Query`], [`Error::UnknownCollection`]; the database is then as it was.
    pub async fn replace_detections(
        &self,
        run: &RunRow,
        detections: &[Detection],
        item: Option<&StoredItem>,
    ) -> Result<bool> {
        let digest = digest(run, detections);
        let mut transaction = self.pool.begin().await.map_err(Error::query("begin loading detections"))?;
        // A million findings take longer than a question may.
        execute(&mut transaction, "set local statement_timeout = 0").await?;
        let changed = match replace_run(&mut transaction, run, detections.len(), &digest).await? {
            Some(key) => {
                let table = bulk::table_for(&mut transaction, key, detections.len()).await?;
                copy_in(&mut transaction, &table, key, detections).await?;
                bulk::attach(&mut transaction, &table, key).await?;
                reviews::carry_over(&mut transaction, key).await?;
                true
            }
            None => false,
        };
        if let Some(item) = item {
            publish(&mut transaction, item).await?;
        }
        transaction.commit().await.map_err(Error::query("finish loading detections"))?;
        Ok(changed)
    }
}

pub(super) async fn execute(connection: &mut PgConnection, statement: &'static str) -> Result<()> {
    sqlx::query(statement).execute(connection).await.map_err(Error::query("load detections"))?;
    Ok(())
}

async fn publish(transaction: &mut Transaction<'_, Postgres>, item: &StoredItem) -> Result<()> {
    for _ in 0..TRIES {
        if write::upsert(transaction, &[item]).await?.is_some() {
            return Ok(());
        }
    }
    Err(Error::Contended)
}

/// Writes the run's row and empties the run; returns its key when there is anything to load.
async fn replace_run(
    transaction: &mut Transaction<'_, Postgres>,
    run: &RunRow,
    detections: usize,
    digest: &str,
) -> Result<Option<i32>> {
    let key: Option<i32> = sqlx::query_scalar(
        "insert into detection_runs
            (id, project, flight, orthophoto, model, model_version, starts_at, ends_at, detections, digest, photos,
            footprint)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, st_geomfromewkb($12))
        on conflict (id) do update
        set project = excluded.project, flight = excluded.flight, orthophoto = excluded.orthophoto,
            model = excluded.model, model_version = excluded.model_version, starts_at = excluded.starts_at,
            ends_at = excluded.ends_at, detections = excluded.detections, digest = excluded.digest,
            photos = excluded.photos, footprint = excluded.footprint
        where detection_runs.digest <> excluded.digest
        returning key",
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
    .bind(&run.photos)
    .bind((run.footprint.len() >= 4).then(|| copy::ewkb(&run.footprint)))
    .fetch_optional(&mut **transaction)
    .await
    .map_err(Error::query("write a detection run"))?;
    let Some(key) = key else { return Ok(None) };
    reviews::keep_reviews(transaction, key).await?;
    bulk::forget(transaction, key).await?;
    sqlx::query("delete from detections where run = $1")
        .bind(key)
        .execute(&mut **transaction)
        .await
        .map_err(Error::query("empty a detection run"))?;
    Ok(Some(key))
}

async fn copy_in(
    transaction: &mut Transaction<'_, Postgres>,
    table: &str,
    key: i32,
    detections: &[Detection],
) -> Result<()> {
    let failed = || Error::query("load detections");
    let mut copy = transaction.copy_in_raw(&copy::statement(table)).await.map_err(failed())?;
    // Chunks, so that a run of a million findings is never twice in memory.
    copy.send(copy::HEADER).await.map_err(failed())?;
    for (chunk, numbers) in detections.chunks(copy::CHUNK).zip((0..).step_by(copy::CHUNK)) {
        copy.send(copy::rows(key, numbers, chunk)).await.map_err(failed())?;
    }
    copy.send(copy::TRAILER).await.map_err(failed())?;
    copy.finish().await.map_err(failed())?;
    Ok(())
}

/// SHA-256 over everything that would be written.
fn digest(run: &RunRow, detections: &[Detection]) -> String {
    let mut hash = Sha256::new();
    let RunRow { id, project, flight, orthophoto, model, model_version, starts_at, ends_at, footprint, photos } = run;
    let texts = [id, project, flight, orthophoto, model, model_version, &starts_at.to_rfc3339(), &ends_at.to_rfc3339()];
    for text in texts.into_iter().chain(photos) {
        hash.update(text);
        hash.update([0]);
    }
    hash.update(copy::ewkb(footprint));
    for chunk in detections.chunks(copy::CHUNK) {
        hash.update(copy::rows(0, 0, chunk));
    }
    hex::encode(hash.finalize())
}
