//! Reviews go on to the findings of a later run over the same orthophoto.
//!
//! A finding that is open takes the review of the one that it matches best: of the same class, as the model or as a
//! person had it, with an IoU of at least a half. Each review goes to one finding. IoU is a ratio of areas, which does
//! not change when degrees are stretched to metres, so it is computed in degrees.

use sqlx::{Postgres, Transaction};

use crate::database::{Error, Result};

/// Sets aside what was said of a run's findings, which are about to be replaced.
pub(in crate::database) async fn keep_reviews(transaction: &mut Transaction<'_, Postgres>, run: i32) -> Result<()> {
    let failed = || Error::query("keep the reviews of a run");
    sqlx::query(
        "create temporary table replaced on commit drop as
        select number, class, geometry, review, reviewed_by, reviewed_at, corrected_class, corrected_geometry, comment
        from detections where run = $1 and review <> 'open'",
    )
    .bind(run)
    .execute(&mut **transaction)
    .await
    .map_err(failed())?;
    sqlx::query("update detection_reviews set superseded_at = now() where run = $1 and superseded_at is null")
        .bind(run)
        .execute(&mut **transaction)
        .await
        .map_err(failed())?;
    Ok(())
}

/// Gives the new findings of a run the reviews that were set aside, and those of other runs over its orthophoto.
pub(in crate::database) async fn carry_over(transaction: &mut Transaction<'_, Postgres>, run: i32) -> Result<u64> {
    let done = sqlx::query(
        "with this as (
            select key, id, orthophoto from detection_runs where key = $1
        ),
        told as (
            select this.id as run, o.number as from_number, o.class, o.geometry, o.review, o.reviewed_by, o.reviewed_at,
                o.corrected_class, o.corrected_geometry, o.comment
            from replaced o, this
            union all
            select r.id, o.number, o.class, o.geometry, o.review, o.reviewed_by, o.reviewed_at,
                o.corrected_class, o.corrected_geometry, o.comment
            from this
            join detection_runs r on r.orthophoto = this.orthophoto and r.key <> this.key
            join detections o on o.run = r.key and o.review <> 'open'
        ),
        matched as (
            select n.number, n.class as new_class, told.run, told.from_number, told.review, told.reviewed_by, told.reviewed_at,
                told.corrected_class, told.corrected_geometry, told.comment,
                st_area(st_intersection(n.geometry, told.geometry)) / st_area(st_union(n.geometry, told.geometry)) as iou
            from told
            join detections n on n.run = $1 and n.geometry && told.geometry
                and n.class in (told.class, told.corrected_class)
            where st_isvalid(n.geometry) and st_isvalid(told.geometry)
        ),
        -- the latest word on a finding, and of those the one that fits best
        chosen as (
            select distinct on (number) * from (
                select distinct on (run, from_number) * from matched where iou >= 0.5
                order by run, from_number, iou desc, number
            ) one_each
            order by number, reviewed_at desc, iou desc, run
        ),
        said as (
            insert into detection_reviews
                (run, number, version, who, said_at, action, class, geometry, comment, from_run, from_number)
            select $1, number, 1, coalesce(reviewed_by, 'unknown'), coalesce(reviewed_at, now()), 'carry',
                nullif(corrected_class, new_class), corrected_geometry, comment, run, from_number
            from chosen
        )
        update detections d
        set review = chosen.review, version = 1, reviewed_by = chosen.reviewed_by, reviewed_at = chosen.reviewed_at,
            corrected_class = nullif(chosen.corrected_class, chosen.new_class),
            corrected_geometry = chosen.corrected_geometry, comment = chosen.comment
        from chosen
        where d.run = $1 and d.number = chosen.number",
    )
    .bind(run)
    .execute(&mut **transaction)
    .await
    .map_err(Error::query("carry reviews over"))?;
    Ok(done.rows_affected())
}
