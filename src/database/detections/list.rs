//! Asking what was found where.

use sqlx::{Postgres, QueryBuilder, Row as _, postgres::PgRow};

use super::{DetectionFilter, DetectionRow};
use crate::{
    database::{Database, Error, Result},
    spatial::Bbox,
};

/// What a row is made of; `d` is a detection, `r` its run.
pub(in crate::database) const COLUMNS: &str = "
    r.id as run, d.number, coalesce(d.corrected_class, d.class) as class, d.class as model_class, d.confidence,
    st_asgeojson(coalesce(d.corrected_geometry, d.geometry), 9) as geometry,
    case when d.corrected_geometry is not null then st_asgeojson(d.geometry, 9) end as model_geometry,
    d.area_m2, d.chip, d.photo_pixels,
    (select array_agg(r.photos[p.place + 1] order by p.nth) from unnest(d.photos) with ordinality as p (place, nth))
        as photo_items,
    d.review, d.version, d.reviewed_by, d.reviewed_at, d.comment,
    r.project, r.flight, r.orthophoto, r.model, r.model_version, r.starts_at, r.ends_at";

impl Database {
    /// Lists detections by run and number.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub async fn list_detections(&self, filter: &DetectionFilter) -> Result<Vec<DetectionRow>> {
        let mut query = QueryBuilder::new("select");
        query.push(COLUMNS).push(" from detections d join detection_runs r on r.key = d.run where true");
        conditions(&mut query, filter);
        query.push(" order by r.id, d.number limit ").push_bind(filter.limit);
        let rows = query.build().fetch_all(&self.pool).await.map_err(Error::query("list detections"))?;
        Ok(rows.iter().map(detection_row).collect())
    }

    /// Returns one detection, if there is such a one.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub async fn find_detection(&self, run: &str, number: i32) -> Result<Option<DetectionRow>> {
        let mut query = QueryBuilder::new("select");
        query.push(COLUMNS).push(" from detections d join detection_runs r on r.key = d.run where r.id = ");
        query.push_bind(run).push(" and d.number = ").push_bind(number);
        let row = query.build().fetch_optional(&self.pool).await.map_err(Error::query("find a detection"))?;
        Ok(row.as_ref().map(detection_row))
    }

    /// Tells whether there is a run of this id.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub async fn has_run(&self, run: &str) -> Result<bool> {
        sqlx::query_scalar("select exists (select from detection_runs where id = $1)")
            .bind(run)
            .fetch_one(&self.pool)
            .await
            .map_err(Error::query("look for a detection run"))
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

/// Adds what a filter asks, but for its limit.
pub(in crate::database) fn conditions(query: &mut QueryBuilder<Postgres>, filter: &DetectionFilter) {
    if let Some(Bbox { west, south, east, north }) = filter.bbox {
        query.push(" and st_intersects(d.geometry, st_makeenvelope(");
        query.push_bind(west).push(", ").push_bind(south).push(", ").push_bind(east).push(", ").push_bind(north);
        query.push(", 4326))");
    }
    for (column, value) in [
        (" and r.id = ", &filter.run),
        (" and r.project = ", &filter.project),
        (" and r.flight = ", &filter.flight),
        (" and r.orthophoto = ", &filter.orthophoto),
        (" and r.model = ", &filter.model),
        (" and coalesce(d.corrected_class, d.class) = ", &filter.class),
        (" and d.review = ", &filter.review),
    ] {
        if let Some(value) = value {
            query.push(column).push_bind(value.clone());
        }
    }
    if let Some(confidence) = filter.confidence {
        query.push(" and d.confidence >= ").push_bind(confidence);
    }
    if let Some(since) = filter.since {
        query.push(" and r.ends_at >= ").push_bind(since);
    }
    if let Some((run, number)) = &filter.after {
        query.push(" and (r.id, d.number) > (").push_bind(run.clone()).push(", ").push_bind(*number).push(")");
    }
}

pub(in crate::database) fn detection_row(row: &PgRow) -> DetectionRow {
    let photos: Vec<String> = row.get::<Option<Vec<String>>, _>("photo_items").unwrap_or_default();
    let pixels: Vec<f32> = row.get::<Option<Vec<f32>>, _>("photo_pixels").unwrap_or_default();
    DetectionRow {
        run: row.get("run"),
        number: row.get("number"),
        class: row.get("class"),
        model_class: row.get("model_class"),
        confidence: row.get("confidence"),
        geometry: row.get("geometry"),
        model_geometry: row.get("model_geometry"),
        area_m2: row.get("area_m2"),
        chip: row.get("chip"),
        seen: photos.into_iter().zip(pixels.chunks_exact(2).map(|pixel| [pixel[0], pixel[1]])).collect(),
        review: row.get("review"),
        version: row.get("version"),
        reviewed_by: row.get("reviewed_by"),
        reviewed_at: row.get("reviewed_at"),
        comment: row.get("comment"),
        project: row.get("project"),
        flight: row.get("flight"),
        orthophoto: row.get("orthophoto"),
        model: row.get("model"),
        model_version: row.get("model_version"),
        starts_at: row.get("starts_at"),
        ends_at: row.get("ends_at"),
    }
}
