//! The tables `comparisons` and `changes`: what changed between two runs.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::{Row as _, postgres::PgRow};

use super::{AuditOpen, Database, Error, Result, audit::sign, detections};

/// What two runs are compared by.
#[derive(Clone, Debug, PartialEq)]
pub struct ComparedRun {
    pub key: i32,
    /// Changes when its findings or what people say of them do.
    pub digest: String,
    /// What its orthophoto covers: lon, lat, WGS 84. Empty when nobody knows.
    pub footprint: Vec<[f64; 2]>,
    pub ends_at: DateTime<Utc>,
    pub places: Vec<Place>,
}

/// A finding that nobody rejected.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    pub number: i32,
    pub class: String,
    /// Lon, lat, WGS 84; closed.
    pub ring: Vec<[f64; 2]>,
}

/// Two runs held against each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    pub shift_m: [f64; 2],
    pub shift_pairs: i32,
    pub residual_m: Option<f64>,
    pub outside_before: i32,
    pub outside_after: i32,
    pub changes: Vec<Change>,
}

/// One finding of two flights, or of one of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// `new`, `gone`, `persisting` or `moved`.
    pub kind: &'static str,
    pub class: String,
    pub before: Option<i32>,
    pub after: Option<i32>,
    pub distance_m: Option<f64>,
    pub iou: Option<f64>,
    /// The later one, or the earlier one where there is no later.
    pub ring: Vec<[f64; 2]>,
}

impl Database {
    /// Returns what a run is compared by; nothing when there is no such run.
    ///
    /// # Errors
    /// [`Error::Query`], [`Error::StoredJson`].
    pub async fn compared_run(&self, run: &str, confidence: f64) -> Result<Option<ComparedRun>> {
        let failed = || Error::query("read a run to compare");
        let row = sqlx::query(
            "select r.key, r.ends_at, st_asgeojson(r.footprint, 9) as footprint,
                r.digest || coalesce((select md5(string_agg(d.number || ':' || d.version, ',' order by d.number))
                    from detections d where d.run = r.key and d.version > 0), '') as digest
            from detection_runs r where r.id = $1",
        )
        .bind(run)
        .fetch_optional(&self.pool)
        .await
        .map_err(failed())?;
        let Some(row) = row else { return Ok(None) };
        let key: i32 = row.get("key");
        let places = sqlx::query(
            "select number, coalesce(corrected_class, class) as class,
                st_asgeojson(coalesce(corrected_geometry, geometry), 9) as shape
            from detections
            where run = $1 and review <> 'rejected' and confidence >= $2
            order by number",
        )
        .bind(key)
        .bind(confidence)
        .fetch_all(&self.pool)
        .await
        .map_err(failed())?;
        let place = |row: &PgRow| {
            Ok(Place { number: row.get("number"), class: row.get("class"), ring: ring(row.get("shape"))? })
        };
        let footprint = row.get::<Option<&str>, _>("footprint").map(ring).transpose()?.unwrap_or_default();
        let places = places.iter().map(place).collect::<Result<_>>()?;
        Ok(Some(ComparedRun { key, digest: row.get("digest"), footprint, ends_at: row.get("ends_at"), places }))
    }

    /// Keeps a comparison in the place of the one of the same two runs, all or nothing.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub async fn replace_comparison(
        &self,
        runs: [&ComparedRun; 2],
        digest: &str,
        comparison: &Comparison,
        by: &AuditOpen,
    ) -> Result<()> {
        let failed = || Error::query("keep a comparison");
        let [before, after] = runs.map(|run| run.key);
        let mut transaction = self.pool.begin().await.map_err(failed())?;
        sqlx::query(
            "insert into comparisons (before, after, digest, shift_east_m, shift_north_m, shift_pairs, residual_m,
                outside_before, outside_after, who)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
            on conflict (before, after) do update
            set digest = excluded.digest, shift_east_m = excluded.shift_east_m, shift_north_m = excluded.shift_north_m,
                shift_pairs = excluded.shift_pairs, residual_m = excluded.residual_m, who = excluded.who,
                outside_before = excluded.outside_before, outside_after = excluded.outside_after, compared_at = now()",
        )
        .bind(before)
        .bind(after)
        .bind(digest)
        .bind(comparison.shift_m[0])
        .bind(comparison.shift_m[1])
        .bind(comparison.shift_pairs)
        .bind(comparison.residual_m)
        .bind(comparison.outside_before)
        .bind(comparison.outside_after)
        .bind(&by.who)
        .execute(&mut *transaction)
        .await
        .map_err(failed())?;
        sqlx::query("delete from changes where before = $1 and after = $2")
            .bind(before)
            .bind(after)
            .execute(&mut *transaction)
            .await
            .map_err(failed())?;
        let changes = &comparison.changes;
        sqlx::query(
            "insert into changes (before, after, number, kind, class, before_number, after_number, distance_m, iou, geometry)
            select $1, $2, n - 1, kind, class, one, two, distance, iou, st_geomfromewkb(shape)
            from unnest($3::text[], $4::text[], $5::integer[], $6::integer[], $7::float8[], $8::float8[], $9::bytea[])
                with ordinality as c (kind, class, one, two, distance, iou, shape, n)",
        )
        .bind(before)
        .bind(after)
        .bind(changes.iter().map(|change| change.kind).collect::<Vec<_>>())
        .bind(changes.iter().map(|change| change.class.as_str()).collect::<Vec<_>>())
        .bind(changes.iter().map(|change| change.before).collect::<Vec<_>>())
        .bind(changes.iter().map(|change| change.after).collect::<Vec<_>>())
        .bind(changes.iter().map(|change| change.distance_m).collect::<Vec<_>>())
        .bind(changes.iter().map(|change| change.iou).collect::<Vec<_>>())
        .bind(changes.iter().map(|change| detections::ewkb(&change.ring)).collect::<Vec<_>>())
        .execute(&mut *transaction)
        .await
        .map_err(failed())?;
        sign(&mut transaction, Some(by), changes.len()).await?;
        transaction.commit().await.map_err(failed())
    }

    /// Returns a comparison as `GeoJSON`, with its figures and a feature for each change; nothing when the two were never
    /// compared.
    ///
    /// # Errors
    /// [`Error::Query`], [`Error::StoredJson`].
    pub async fn find_comparison(&self, before: &str, after: &str) -> Result<Option<(String, Value)>> {
        let failed = || Error::query("read a comparison");
        let row = sqlx::query(
            "select c.*, b.ends_at as was, a.ends_at as is_now
            from comparisons c join detection_runs b on b.key = c.before join detection_runs a on a.key = c.after
            where b.id = $1 and a.id = $2",
        )
        .bind(before)
        .bind(after)
        .fetch_optional(&self.pool)
        .await
        .map_err(failed())?;
        let Some(row) = row else { return Ok(None) };
        let rows = sqlx::query(
            "select *, st_asgeojson(geometry, 9) as shape from changes where before = $1 and after = $2 order by number",
        )
        .bind(row.get::<i32, _>("before"))
        .bind(row.get::<i32, _>("after"))
        .fetch_all(&self.pool)
        .await
        .map_err(failed())?;
        let features = rows.iter().map(feature).collect::<Result<Vec<_>>>()?;
        let count = |kind: &str| features.iter().filter(|feature| feature["properties"]["kind"] == kind).count();
        let kinds = ["new", "gone", "persisting", "moved"];
        let counts: serde_json::Map<String, Value> =
            kinds.iter().map(|kind| ((*kind).to_owned(), count(kind).into())).collect();
        let whole = json!({
            "type": "FeatureCollection",
            "before": { "run": before, "until": row.get::<DateTime<Utc>, _>("was") },
            "after": { "run": after, "until": row.get::<DateTime<Utc>, _>("is_now") },
            "counts": counts,
            "shift_m": [row.get::<f64, _>("shift_east_m"), row.get::<f64, _>("shift_north_m")],
            "shift_pairs": row.get::<i32, _>("shift_pairs"),
            "residual_m": row.get::<Option<f64>, _>("residual_m"),
            "outside": { "before": row.get::<i32, _>("outside_before"), "after": row.get::<i32, _>("outside_after") },
            "compared_by": row.get::<&str, _>("who"),
            "compared_at": row.get::<DateTime<Utc>, _>("compared_at"),
            "features": features,
        });
        Ok(Some((row.get("digest"), whole)))
    }
}

fn feature(row: &PgRow) -> Result<Value> {
    let geometry: Value = serde_json::from_str(row.get("shape"))?;
    Ok(json!({
        "type": "Feature",
        "id": row.get::<i32, _>("number"),
        "geometry": geometry,
        "properties": {
            "kind": row.get::<&str, _>("kind"),
            "class": row.get::<&str, _>("class"),
            "before": row.get::<Option<i32>, _>("before_number"),
            "after": row.get::<Option<i32>, _>("after_number"),
            "distance_m": row.get::<Option<f64>, _>("distance_m"),
            "iou": row.get::<Option<f64>, _>("iou"),
        },
    }))
}

fn ring(geojson: &str) -> Result<Vec<[f64; 2]>> {
    let mut value: Value = serde_json::from_str(geojson)?;
    Ok(serde_json::from_value(value["coordinates"][0].take())?)
}
