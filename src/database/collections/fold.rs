//! Adding up what writes changed about the collections.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use futures::TryStreamExt as _;
use serde_json::Value;
use sqlx::{PgConnection, Row as _, postgres::PgRow};

use crate::{
    catalog::{Change, GivenCollection, ItemText, Stale, Summary, coverage, described},
    database::{Database, Error, Result},
    spatial::Bbox,
};

/// Changes that are added up at once: each is about a kilobyte.
const MOST_CHANGES: i64 = 5_000;

impl Database {
    /// Brings what is said of the collections up to what their items are. Costs next to nothing when nobody wrote.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub async fn fold_changes(&self) -> Result<()> {
        loop {
            let waiting: Option<String> = sqlx::query_scalar(
                "(select collection from collection_changes limit 1)
                union all (select id from collections where summary is null limit 1)
                limit 1",
            )
            .fetch_optional(&self.pool)
            .await
            .map_err(Error::query("look for changes"))?;
            let Some(collection) = waiting else { return Ok(()) };
            self.fold_collection(&collection).await?;
        }
    }

    async fn fold_collection(&self, id: &str) -> Result<()> {
        let mut transaction = self.pool.begin().await.map_err(Error::query("add up changes"))?;
        // Writers of items hold the row too, but only against its removal.
        let row = sqlx::query("select body, extent, summary from collections where id = $1 for no key update")
            .bind(id)
            .fetch_optional(&mut *transaction)
            .await
            .map_err(Error::query("add up changes"))?;
        let Some(row) = row else {
            forget_changes(&mut transaction, id).await?;
            return transaction.commit().await.map_err(Error::query("add up changes"));
        };
        let given = given(id, &row)?;
        let summary: Option<&str> = row.get("summary");
        let Some(summary) = summary else {
            drop(transaction);
            return self.recount(id).await;
        };
        let summary = sum(&mut transaction, id, serde_json::from_str(summary)?).await?;
        save(&mut transaction, &given, &summary).await?;
        transaction.commit().await.map_err(Error::query("add up changes"))
    }

    /// Counts a collection anew, item by item.
    async fn recount(&self, id: &str) -> Result<()> {
        let failed = || Error::query("count a collection anew");
        let mut transaction = self.pool.begin().await.map_err(failed())?;
        // One view of the table for all three statements: a change that it does not show is left for the next time.
        sqlx::query("set transaction isolation level repeatable read")
            .execute(&mut *transaction)
            .await
            .map_err(failed())?;
        sqlx::query("set local statement_timeout = 0").execute(&mut *transaction).await.map_err(failed())?;
        let row =
            sqlx::query("select body, extent from collections where id = $1 and summary is null for no key update")
                .bind(id)
                .fetch_optional(&mut *transaction)
                .await
                .map_err(failed());
        let row = match row {
            Ok(Some(row)) => row,
            // Somebody else was faster.
            Ok(None) => return Ok(()),
            Err(error) if error.is_overtaken() => return Ok(()),
            Err(error) => return Err(error),
        };
        let given = given(id, &row)?;
        forget_changes(&mut transaction, id).await?;
        let mut summary = Summary::default();
        let mut rows = sqlx::query(
            "select properties::text as properties, assets, starts_at, ends_at, st_xmin(geometry) as west,
                st_ymin(geometry) as south, st_xmax(geometry) as east, st_ymax(geometry) as north
            from items where collection = $1",
        )
        .bind(id)
        .fetch(&mut *transaction);
        while let Some(row) = rows.try_next().await.map_err(failed())? {
            let times: [DateTime<Utc>; 2] = [row.get("starts_at"), row.get("ends_at")];
            let text = ItemText { body: String::new(), links: String::new(), assets: row.get("assets") };
            summary.add(&Summary::of_stored(box_of(&row), times, row.get("properties"), &text)?);
        }
        drop(rows);
        save(&mut transaction, &given, &summary).await?;
        transaction.commit().await.map_err(failed())
    }
}

/// Reads what was given but for the links, which follow from nothing.
pub(super) fn given(id: &str, row: &PgRow) -> Result<GivenCollection> {
    Ok(GivenCollection {
        id: id.to_owned(),
        body: serde_json::from_str(row.get("body"))?,
        links: Vec::new(),
        extent: row.get::<Option<&str>, _>("extent").map(serde_json::from_str).transpose()?,
    })
}

/// Takes the changes of a collection off the table and adds them to its summary.
async fn sum(connection: &mut PgConnection, id: &str, mut summary: Summary) -> Result<Summary> {
    let changes: Vec<String> = sqlx::query_scalar(
        "delete from collection_changes
        where id in (select id from collection_changes where collection = $1 order by id limit $2)
        returning change",
    )
    .bind(id)
    .bind(MOST_CHANGES)
    .fetch_all(&mut *connection)
    .await
    .map_err(Error::query("add up changes"))?;
    let mut whole = Change::default();
    let mut stale = Stale::default();
    for change in &changes {
        let change: Change = serde_json::from_str(change)?;
        if change.removed.items == 0 {
            whole.added.add(&change.added);
        } else {
            // What came must be there before it can go.
            summary.add(&std::mem::take(&mut whole.added));
            let more = summary.apply(&change);
            stale.extent |= more.extent;
            stale.ranges.extend(more.ranges);
        }
    }
    summary.add(&whole.added);
    look_up(connection, id, &mut summary, &stale).await?;
    Ok(summary)
}

/// Asks the items for what a sum cannot tell.
async fn look_up(connection: &mut PgConnection, id: &str, summary: &mut Summary, stale: &Stale) -> Result<()> {
    if stale.extent {
        let row = sqlx::query(
            "select st_xmin(e) as west, st_ymin(e) as south, st_xmax(e) as east, st_ymax(e) as north, starts_at,
                greatest((select max(starts_at) from items where collection = $1),
                    (select max(ends_at) from items where collection = $1 and lasts)) as ends_at
            from (select st_extent(geometry) as e, min(starts_at) as starts_at from items where collection = $1) i",
        )
        .bind(id)
        .fetch_one(&mut *connection)
        .await
        .map_err(Error::query("look up an extent"))?;
        summary.bbox = box_of(&row).map(Bbox::to_array);
        summary.starts_at = row.get("starts_at");
        summary.ends_at = row.get("ends_at");
    }
    for name in &stale.ranges {
        let Some(property) = summary.properties.get_mut(name) else { continue };
        let (minimum, maximum): (Option<f64>, Option<f64>) = sqlx::query_as(
            "select min(n)::float8, max(n)::float8
            from items
            cross join lateral polder_number(properties -> $2) n
            where collection = $1 and properties ? $2",
        )
        .bind(id)
        .bind(name)
        .fetch_one(&mut *connection)
        .await
        .map_err(Error::query("look up a range"))?;
        (property.minimum, property.maximum) = (minimum, maximum);
    }
    Ok(())
}

/// Writes a collection's summary and what follows from it.
pub(super) async fn save(connection: &mut PgConnection, given: &GivenCollection, summary: &Summary) -> Result<()> {
    let served = Value::Object(described(given, summary)).to_string();
    let extent = &serde_json::from_str::<BTreeMap<String, Value>>(&served)?["extent"];
    let sides: Vec<f64> = match summary.bbox {
        Some(bbox) => bbox.to_vec(),
        None => extent["spatial"]["bbox"][0].as_array().into_iter().flatten().filter_map(Value::as_f64).collect(),
    };
    let (west, south, east, north) = match sides[..] {
        [west, south, east, north] | [west, south, _, east, north, _] => (west, south, east, north),
        _ => (-180.0, -90.0, 180.0, 90.0),
    };
    let covered = coverage(summary);
    let time = |at: usize| extent["temporal"]["interval"][0][at].as_str().and_then(|text| text.parse().ok());
    sqlx::query(
        "update collections
        set summary = $2, served = $3, content = $3::jsonb, items = $4, starts_at = $9, ends_at = $10,
            geometry = case when $5::float8 <= $7 then st_makeenvelope($5, $6, $7, $8, 4326)
                else st_collect(st_makeenvelope($5, $6, 180, $8, 4326), st_makeenvelope(-180, $6, $7, $8, 4326)) end
        where id = $1",
    )
    .bind(&given.id)
    .bind(serde_json::to_string(summary)?)
    .bind(served)
    .bind(summary.items)
    .bind(west)
    .bind(south)
    .bind(east)
    .bind(north)
    .bind(covered.first.or_else(|| time(0)))
    .bind(covered.last.or_else(|| time(1)))
    .execute(connection)
    .await
    .map_err(Error::query("describe a collection"))?;
    Ok(())
}

async fn forget_changes(connection: &mut PgConnection, id: &str) -> Result<()> {
    sqlx::query("delete from collection_changes where collection = $1")
        .bind(id)
        .execute(connection)
        .await
        .map_err(Error::query("forget changes"))?;
    Ok(())
}

fn box_of(row: &PgRow) -> Option<Bbox> {
    let side = |name| row.get::<Option<f64>, _>(name);
    match (side("west"), side("south"), side("east"), side("north")) {
        (Some(west), Some(south), Some(east), Some(north)) => Some(Bbox { west, south, east, north }),
        _ => None,
    }
}
