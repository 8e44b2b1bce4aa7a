//! Writing items. Each write leaves, in the same transaction, what it changed about the collections.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, Row as _, postgres::PgRow};

use super::{ItemRow, Written};
use crate::{
    catalog::{Change, ItemText, StoredItem, Summary},
    database::{AuditOpen, Database, Error, Result, audit::sign, is_version},
    spatial::Bbox,
};

/// Items of one statement: its arrays are held in memory on both sides.
const BATCH: usize = 1000;

/// New items up to which [`Database::insert_items`] is faster than [`Database::insert_many`]: the end of a COPY waits up
/// to 40 ms for the delayed acknowledgement of what came before it (Nagle 1984, RFC 896, which sqlx leaves on).
pub const FEW: usize = 500;

/// How often a write starts again because somebody else wrote the same new items in between.
const TRIES: usize = 10;

// Arrays, so that one statement writes one item or a thousand. A shape that crosses itself is searched as what its
// author saw, one without an area as the line or the place that it is: PostGIS fails on the first and does not find the
// second otherwise, in a search of somebody who knows nothing of it.
const INSERT: &str = "
    insert into items (collection, id, geometry, starts_at, ends_at, properties, body, links, assets, digest)
    select collection, id, case when st_isvalid(g) then g else st_makevalid(g, 'method=structure keepcollapsed=true') end,
        starts_at, ends_at, properties::jsonb, body, links, assets, digest
    from (
        select *, st_geomfromewkb(shape) as g
        from unnest($1::text[], $2::text[], $3::bytea[], $4::timestamptz[], $5::timestamptz[], $6::text[], $7::text[],
            $8::text[], $9::text[], $10::text[])
            as i (collection, id, shape, starts_at, ends_at, properties, body, links, assets, digest)
        -- kept apart, so that each geometry is read once
        offset 0
    ) i";

// Same digest, same item: the row is left as it is, with its times.
const OR_UPDATE: &str = "
    on conflict (collection, id) do update
    set geometry = excluded.geometry, starts_at = excluded.starts_at, ends_at = excluded.ends_at,
        properties = excluded.properties, body = excluded.body, links = excluded.links, assets = excluded.assets,
        digest = excluded.digest, updated_at = now()
    where items.digest <> excluded.digest
    returning collection, id, xmax = 0 as inserted";

/// What a row was about, for taking it away from the summary of its collection.
const BEFORE: &str = "collection, id, digest, properties::text as properties, assets, starts_at, ends_at,
    st_xmin(geometry) as west, st_ymin(geometry) as south, st_xmax(geometry) as east, st_ymax(geometry) as north";

/// Items by collection and id: one order for all writers, so that two that write the same items wait for each other and
/// never deadlock.
type ByName<'a> = BTreeMap<(&'a str, &'a str), &'a StoredItem>;

/// What writes change, by collection.
pub(super) type Changes = BTreeMap<String, Change>;

impl Database {
    /// Writes a few new items, all or none. `by` leaves a line in the audit, which is there when the items are.
    ///
    /// # Errors
    /// [`Error::ItemExists`] when one of them is there already or comes twice, [`Error::UnknownCollection`],
    /// [`Error::Query`]; nothing is written then.
    pub async fn insert_items(&self, items: &[StoredItem], by: Option<&AuditOpen>) -> Result<()> {
        let mut items: Vec<&StoredItem> = items.iter().collect();
        items.sort_by_key(|item| (&item.collection, &item.id));
        // One statement is its own transaction, and one round trip.
        let mut connection = self.pool.acquire().await.map_err(Error::query("write items"))?;
        insert(&mut connection, &items, by).await
    }

    /// Writes an item, new or changed. The same item again changes nothing.
    ///
    /// # Errors
    /// As [`Database::upsert_items`].
    pub async fn upsert_item(&self, item: &StoredItem) -> Result<Written> {
        self.upsert_items(std::slice::from_ref(item), None).await
    }

    /// Writes many items, all or none. Of two with one id the later counts.
    ///
    /// # Errors
    /// [`Error::UnknownCollection`], [`Error::Query`]; nothing is written then.
    pub async fn upsert_items(&self, items: &[StoredItem], by: Option<&AuditOpen>) -> Result<Written> {
        let items: Vec<&StoredItem> = by_name(items).into_values().collect();
        for _ in 0..TRIES {
            match self.try_upsert(&items, by).await {
                Ok(Some(written)) => return Ok(written),
                // Another writer of several batches held what this one wanted, and the other way round.
                Err(error) if error.is_deadlock() => {}
                Ok(None) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::Contended)
    }

    async fn try_upsert(&self, items: &[&StoredItem], by: Option<&AuditOpen>) -> Result<Option<Written>> {
        let mut transaction = self.pool.begin().await.map_err(Error::query("write items"))?;
        let mut written = Written::default();
        for batch in items.chunks(BATCH) {
            match upsert(&mut transaction, batch).await? {
                Some(more) => written += more,
                None => return Ok(None),
            }
        }
        sign(&mut transaction, by, items.len()).await?;
        transaction.commit().await.map_err(Error::query("write items"))?;
        Ok(Some(written))
    }

    /// Writes a changed item in the place of the one that is there; `false` when none is.
    ///
    /// # Errors
    /// [`Error::ItemChanged`] when `expected` does not begin the digest of the one that is there, [`Error::Query`].
    pub async fn replace_item(
        &self,
        item: &StoredItem,
        expected: Option<&str>,
        by: Option<&AuditOpen>,
    ) -> Result<bool> {
        let mut transaction = self.pool.begin().await.map_err(Error::query("change an item"))?;
        if !is_there(&mut transaction, &item.collection, &item.id, expected).await? {
            return Ok(false);
        }
        upsert(&mut transaction, &[item]).await?;
        sign(&mut transaction, by, 1).await?;
        transaction.commit().await.map_err(Error::query("change an item"))?;
        Ok(true)
    }

    /// Writes some items, all or none, on condition that others, named with the digests that were read, are as they were.
    ///
    /// # Errors
    /// [`Error::ItemChanged`] when one of `seen` is gone or another by now, [`Error::Query`]; nothing is written then.
    pub async fn upsert_beside(
        &self,
        items: &[StoredItem],
        seen: &[ItemRow],
        by: Option<&AuditOpen>,
    ) -> Result<Written> {
        let mut transaction = self.pool.begin().await.map_err(Error::query("change items"))?;
        for row in seen {
            if !is_there(&mut transaction, &row.collection, &row.id, Some(&row.digest)).await? {
                return Err(Error::ItemChanged);
            }
        }
        let items: Vec<&StoredItem> = by_name(items).into_values().collect();
        let written = upsert(&mut transaction, &items).await?.ok_or(Error::ItemChanged)?;
        sign(&mut transaction, by, items.len()).await?;
        transaction.commit().await.map_err(Error::query("change items"))?;
        Ok(written)
    }

    /// Removes an item; `false` when there is none.
    ///
    /// # Errors
    /// [`Error::ItemChanged`] when `expected` does not begin the digest of the one that is there, [`Error::Query`].
    pub async fn delete_item(
        &self,
        collection: &str,
        id: &str,
        expected: Option<&str>,
        by: Option<&AuditOpen>,
    ) -> Result<bool> {
        let mut transaction = self.pool.begin().await.map_err(Error::query("remove an item"))?;
        if !is_there(&mut transaction, collection, id, expected).await? {
            return Ok(false);
        }
        let statement = format!("delete from items where collection = $1 and id = $2 returning {BEFORE}");
        let row = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(collection)
            .bind(id)
            .fetch_one(&mut *transaction)
            .await
            .map_err(Error::query("remove an item"))?;
        let mut changes = Changes::new();
        changes.entry(collection.to_owned()).or_default().removed = before(&row)?;
        note(&mut transaction, &changes).await?;
        sign(&mut transaction, by, 1).await?;
        transaction.commit().await.map_err(Error::query("remove an item"))?;
        Ok(true)
    }
}

fn by_name(items: &[StoredItem]) -> ByName<'_> {
    items.iter().map(|item| ((item.collection.as_str(), item.id.as_str()), item)).collect()
}

/// Locks an item's row and tells whether it is there, as expected.
async fn is_there(connection: &mut PgConnection, collection: &str, id: &str, expected: Option<&str>) -> Result<bool> {
    let digest: Option<String> =
        sqlx::query_scalar("select digest from items where collection = $1 and id = $2 for update")
            .bind(collection)
            .bind(id)
            .fetch_optional(connection)
            .await
            .map_err(Error::query("look for an item"))?;
    match (digest, expected) {
        (None, _) => Ok(false),
        (Some(digest), Some(expected)) if !is_version(&digest, expected) => Err(Error::ItemChanged),
        _ => Ok(true),
    }
}

/// Writes items, what they changed and who did it, in one round trip.
async fn insert(connection: &mut PgConnection, items: &[&StoredItem], by: Option<&AuditOpen>) -> Result<()> {
    let mut changes = Changes::new();
    for item in items {
        changes.entry(item.collection.clone()).or_default().added.add(&item.summary);
    }
    let (collections, texts) = columns(&changes)?;
    let statement = format!(
        "with written as ({INSERT} returning 1),
        noted as (
            insert into collection_changes (collection, change) select * from unnest($11::text[], $12::text[])
            returning 1
        )
        insert into audit (who, what, detail, state, closed_at, records_in, records_ok, records_rejected)
        select $13::text, $14::text, $15::text, 'done', now(), $16, $16, 0 where $13 is not null"
    );
    bound(sqlx::query(sqlx::AssertSqlSafe(statement)), items)
        .bind(collections)
        .bind(texts)
        .bind(by.map(|by| by.who.as_str()))
        .bind(by.map(|by| by.what.as_str()))
        .bind(by.and_then(|by| by.detail.as_deref()))
        .bind(items.len() as i64)
        .execute(connection)
        .await
        .map_err(refused)?;
    Ok(())
}

/// Writes a batch and what it changed; nothing when an item that was not there came from elsewhere meanwhile, so that
/// what it was is unknown.
pub(in crate::database) async fn upsert(
    connection: &mut PgConnection,
    items: &[&StoredItem],
) -> Result<Option<Written>> {
    let statement = format!(
        "select {BEFORE} from items
        where (collection, id) in (select * from unnest($1::text[], $2::text[]))
        order by collection, id
        for update"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
        .bind(column(items, |item| item.collection.as_str()))
        .bind(column(items, |item| item.id.as_str()))
        .fetch_all(&mut *connection)
        .await
        .map_err(Error::query("look for items"))?;
    let there: HashMap<(String, String), &PgRow> =
        rows.iter().map(|row| ((row.get("collection"), row.get("id")), row)).collect();
    let statement = format!("{INSERT} {OR_UPDATE}");
    let written =
        bound(sqlx::query(sqlx::AssertSqlSafe(statement)), items).fetch_all(&mut *connection).await.map_err(refused)?;
    let inserted = written.iter().filter(|row| row.get("inserted")).count();
    if inserted != items.len() - there.len() {
        return Ok(None);
    }
    let named: ByName = items.iter().map(|item| ((item.collection.as_str(), item.id.as_str()), *item)).collect();
    let mut changes = Changes::new();
    for row in &written {
        let name: (String, String) = (row.get("collection"), row.get("id"));
        let change = changes.entry(name.0.clone()).or_default();
        change.added.add(&named[&(name.0.as_str(), name.1.as_str())].summary);
        if let Some(row) = there.get(&name) {
            change.removed.add(&before(row)?);
        }
    }
    note(connection, &changes).await?;
    Ok(Some(Written { inserted, updated: written.len() - inserted, unchanged: items.len() - written.len() }))
}

/// Leaves changes for whoever reads the collections next.
pub(super) async fn note(connection: &mut PgConnection, changes: &Changes) -> Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    let (collections, texts) = columns(changes)?;
    sqlx::query("insert into collection_changes (collection, change) select * from unnest($1::text[], $2::text[])")
        .bind(collections)
        .bind(texts)
        .execute(connection)
        .await
        .map_err(Error::query("note what changed"))?;
    Ok(())
}

fn columns(changes: &Changes) -> Result<(Vec<&str>, Vec<String>)> {
    let texts = changes.values().map(serde_json::to_string).collect::<Result<_, _>>()?;
    Ok((changes.keys().map(String::as_str).collect(), texts))
}

fn before(row: &PgRow) -> Result<Summary> {
    let side = |name| row.get::<Option<f64>, _>(name);
    let bbox = match (side("west"), side("south"), side("east"), side("north")) {
        (Some(west), Some(south), Some(east), Some(north)) => Some(Bbox { west, south, east, north }),
        _ => None,
    };
    let times: [DateTime<Utc>; 2] = [row.get("starts_at"), row.get("ends_at")];
    let text = ItemText { body: String::new(), links: String::new(), assets: row.get("assets") };
    Ok(Summary::of_stored(bbox, times, row.get("properties"), &text)?)
}

fn bound<'q>(
    query: sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>,
    items: &'q [&StoredItem],
) -> sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments> {
    query
        .bind(column(items, |item| item.collection.as_str()))
        .bind(column(items, |item| item.id.as_str()))
        .bind(column(items, |item| item.geometry.as_ref().map(|shape| shape.ewkb.as_slice())))
        .bind(column(items, |item| item.starts_at))
        .bind(column(items, |item| item.ends_at))
        .bind(column(items, |item| item.properties.as_str()))
        .bind(column(items, |item| item.text.body.as_str()))
        .bind(column(items, |item| item.text.links.as_str()))
        .bind(column(items, |item| item.text.assets.as_str()))
        .bind(column(items, |item| item.digest.as_str()))
}

fn column<'a, T>(items: &[&'a StoredItem], value: impl Fn(&'a StoredItem) -> T) -> Vec<T> {
    items.iter().map(|item| value(item)).collect()
}

/// Says whose fault it is that items were not written.
pub(super) fn refused(error: sqlx::Error) -> Error {
    let names = (Error::constraint(&error), Error::key_of(&error), Error::missing_of(&error));
    match names {
        (Some("items_collection_known"), _, Some(collection)) => Error::UnknownCollection(collection),
        (Some("items_pkey"), Some((collection, id)), _) => Error::ItemExists(collection, id),
        _ => Error::query("write items")(error),
    }
}
