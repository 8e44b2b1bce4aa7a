//! The table `collections`.

use serde_json::{Map, Value};
use sqlx::Row as _;

use super::{Database, Error, Result};
use crate::{
    catalog::{Coverage, Layer, collection},
    spatial::Bbox,
};

/// A collection as it is kept, and what its items cover.
#[derive(Clone, Debug, PartialEq)]
pub struct CollectionRow {
    pub id: String,
    /// The collection's JSON but for `links` and `extent`.
    pub body: Map<String, Value>,
    pub coverage: Coverage,
    pub items: i64,
}

const COLLECTIONS: &str = "
    select c.id, c.body, e.items, e.starts_at, e.ends_at,
        st_xmin(e.box) as west, st_ymin(e.box) as south, st_xmax(e.box) as east, st_ymax(e.box) as north
    from collections c
    cross join lateral (
        select count(*) as items, min(starts_at) as starts_at, max(ends_at) as ends_at, st_extent(geometry) as box
        from items
        where collection = c.id
    ) e
    where $1::text is null or c.id = $1
    order by c.id";

impl Database {
    /// Writes a collection. The same one again changes nothing.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub async fn upsert_collection(&self, collection: &stac::Collection) -> Result<()> {
        let mut body = serde_json::to_value(collection)?;
        if let Value::Object(members) = &mut body {
            members.remove("links");
            members.remove("extent");
        }
        sqlx::query(
            "insert into collections (id, body) values ($1, $2)
            on conflict (id) do update set body = excluded.body, updated_at = now()
            where collections.body <> excluded.body",
        )
        .bind(&collection.id)
        .bind(body.to_string())
        .execute(&self.pool)
        .await
        .map_err(Error::query("write a collection"))?;
        Ok(())
    }

    /// Describes these layers as collections. Doing it again changes nothing.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub async fn ensure_collections(&self, layers: impl IntoIterator<Item = Layer>) -> Result<()> {
        for layer in layers {
            self.upsert_collection(&collection(layer, &Coverage::default())).await?;
        }
        Ok(())
    }

    /// Lists all collections by id.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub async fn list_collections(&self) -> Result<Vec<CollectionRow>> {
        self.collections(None).await
    }

    /// Returns one collection, or nothing when there is none of this id.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub async fn find_collection(&self, id: &str) -> Result<Option<CollectionRow>> {
        Ok(self.collections(Some(id)).await?.pop())
    }

    /// Tells whether there is a collection of this id.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub async fn has_collection(&self, id: &str) -> Result<bool> {
        sqlx::query_scalar("select exists (select from collections where id = $1)")
            .bind(id)
            .fetch_one(&self.pool)
            .await
            .map_err(Error::query("look for a collection"))
    }

    async fn collections(&self, id: Option<&str>) -> Result<Vec<CollectionRow>> {
        let rows = sqlx::query(COLLECTIONS)
            .bind(id)
            .fetch_all(&self.pool)
            .await
            .map_err(Error::query("read the collections"))?;
        rows.iter().map(collection_row).collect()
    }
}

fn collection_row(row: &sqlx::postgres::PgRow) -> Result<CollectionRow> {
    let side = |name| row.get::<Option<f64>, _>(name);
    let bbox = match (side("west"), side("south"), side("east"), side("north")) {
        (Some(west), Some(south), Some(east), Some(north)) => Some(Bbox { west, south, east, north }),
        _ => None,
    };
    Ok(CollectionRow {
        id: row.get("id"),
        body: serde_json::from_str(row.get("body"))?,
        coverage: Coverage { bbox, first: row.get("starts_at"), last: row.get("ends_at") },
        items: row.get("items"),
    })
}
