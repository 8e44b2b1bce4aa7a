//! The table `items`: writing items, and reading one.

mod copy;
pub(super) mod write;

pub use copy::{Feed, NewItems};
pub use write::FEW;

use chrono::{DateTime, Utc};
use sqlx::{Row as _, postgres::PgRow};

use super::{Database, Error, Result};
use crate::catalog::{Flight, Hrefs, ItemText, Layer, ModelName, Project};

/// An item as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct ItemRow {
    pub collection: String,
    pub id: String,
    pub starts_at: DateTime<Utc>,
    pub text: ItemText,
    pub digest: String,
}

/// What writing items changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    pub inserted: usize,
    pub updated: usize,
    pub unchanged: usize,
}

pub(super) const COLUMNS: &str = "collection, id, starts_at, body, links, assets, digest";
/// The same, with the number of all rows, also of those that a limit cuts off.
pub(super) const COUNTED_COLUMNS: &str =
    "collection, id, starts_at, body, links, assets, digest, count(*) over () as matched";

impl Database {
    /// Returns an item, or nothing when there is none of this id.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub async fn find_item(&self, collection: &str, id: &str) -> Result<Option<ItemRow>> {
        let row = sqlx::query(
            "select collection, id, starts_at, body, links, assets, digest
            from items
            where collection = $1 and id = $2",
        )
        .bind(collection)
        .bind(id)
        .fetch_optional(&self.pool)
        .await
        .map_err(Error::query("read an item"))?;
        Ok(row.as_ref().map(item_row))
    }

    /// Lists the items that a flight has in a layer, by id.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub async fn list_flight_items(&self, layer: Layer, project: &Project, flight: &Flight) -> Result<Vec<ItemRow>> {
        let rows = sqlx::query(
            "select collection, id, starts_at, body, links, assets, digest
            from items
            where project = $1 and flight = $2 and collection = $3
            order by id",
        )
        .bind(project.as_str())
        .bind(flight.as_str())
        .bind(layer.collection())
        .fetch_all(&self.pool)
        .await
        .map_err(Error::query("list the items of a flight"))?;
        Ok(rows.iter().map(item_row).collect())
    }

    /// Lists the versions of a model, by id.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub async fn list_model_versions(&self, name: &ModelName) -> Result<Vec<ItemRow>> {
        let rows = sqlx::query(
            "select collection, id, starts_at, body, links, assets, digest
            from items
            where collection = $1 and starts_with(id, $2)
            order by id",
        )
        .bind(Layer::Models.collection())
        .bind(format!("{name}."))
        .fetch_all(&self.pool)
        .await
        .map_err(Error::query("list the versions of a model"))?;
        Ok(rows.iter().map(item_row).collect())
    }

    /// Lists the items of a layer that have a text property of this value, by id.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub async fn list_items_with(&self, layer: Layer, property: &str, value: &str) -> Result<Vec<ItemRow>> {
        let rows = sqlx::query(
            "select collection, id, starts_at, body, links, assets, digest
            from items
            where collection = $1 and properties ->> $2 = $3
            order by id",
        )
        .bind(layer.collection())
        .bind(property)
        .bind(value)
        .fetch_all(&self.pool)
        .await
        .map_err(Error::query("list items by a property"))?;
        Ok(rows.iter().map(item_row).collect())
    }

    /// Returns the item of a layer that was written last, of one flight or of all.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub async fn find_latest_item(&self, layer: Layer, of: Option<(&Project, &Flight)>) -> Result<Option<ItemRow>> {
        let row = sqlx::query(
            "select collection, id, starts_at, body, links, assets, digest
            from items
            where collection = $1 and ($2::text is null or project = $2 and flight = $3)
            order by updated_at desc, id desc
            limit 1",
        )
        .bind(layer.collection())
        .bind(of.map(|(project, _)| project.as_str()))
        .bind(of.map(|(_, flight)| flight.as_str()))
        .fetch_optional(&self.pool)
        .await
        .map_err(Error::query("look for the latest item"))?;
        Ok(row.as_ref().map(item_row))
    }
}

impl ItemRow {
    /// Returns the item as it was given, as a value to compute with.
    ///
    /// # Errors
    /// [`Error::StoredJson`] when somebody changed the row by hand.
    pub fn item(&self) -> Result<stac::Item> {
        let mut json = String::new();
        self.text.write(&mut json, [&self.collection, &self.id], "", Hrefs::Stored);
        Ok(serde_json::from_str(&json)?)
    }
}

/// Reads a row that begins with [`COLUMNS`]: by number, for a page has thousands of values.
pub(super) fn item_row(row: &PgRow) -> ItemRow {
    ItemRow {
        collection: row.get(0),
        id: row.get(1),
        starts_at: row.get(2),
        text: ItemText { body: row.get(3), links: row.get(4), assets: row.get(5) },
        digest: row.get(6),
    }
}

impl std::ops::AddAssign for Written {
    fn add_assign(&mut self, other: Self) {
        self.inserted += other.inserted;
        self.updated += other.updated;
        self.unchanged += other.unchanged;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        catalog::{
            Photo, PhotoName, StoredItem,
            examples::{orthophoto, photo, scheme},
        },
        database::testing::with_database,
    };

    fn stored(photo: &Photo) -> StoredItem {
        StoredItem::of(&photo.item(&scheme()), &["drone-raw"]).unwrap()
    }

    #[tokio::test]
    async fn an_item_comes_back_as_it_was_given() {
        with_database(|database| async move {
            let given = photo().item(&scheme());
            let written = database.upsert_item(&stored(&photo())).await.unwrap();
            assert_eq!(written, Written { inserted: 1, ..Written::default() });
            let row = database.find_item("drone-raw", &given.id).await.unwrap().unwrap();
            assert_eq!(row.item().unwrap(), given);
            assert!(database.find_item("drone-raw", "nobody").await.unwrap().is_none());
        })
        .await;
    }

    #[tokio::test]
    async fn writing_the_same_item_again_changes_nothing_not_even_its_times() {
        with_database(|database| async move {
            let times = "select created_at, updated_at from items";
            let read = || async {
                let row = sqlx::query(times).fetch_one(&database.pool).await.unwrap();
                (row.get::<DateTime<Utc>, _>(0), row.get::<DateTime<Utc>, _>(1))
            };
            database.upsert_item(&stored(&photo())).await.unwrap();
            let before = read().await;
            let again = database.upsert_item(&stored(&photo())).await.unwrap();
            assert_eq!((again, read().await), (Written { unchanged: 1, ..Written::default() }, before));
            let other = Photo { gsd_m: Some(0.03), ..photo() };
            let changed = database.upsert_item(&stored(&other)).await.unwrap();
            assert_eq!(changed, Written { updated: 1, ..Written::default() });
            assert!(read().await.1 > before.1);
        })
        .await;
    }

    #[tokio::test]
    async fn a_photo_without_a_place_is_kept_too() {
        with_database(|database| async move {
            let lost = Photo { footprint: None, lonlat: None, ..photo() };
            database.upsert_item(&stored(&lost)).await.unwrap();
            let row = database.find_item("drone-raw", &lost.item_id()).await.unwrap().unwrap();
            assert!(row.item().unwrap().geometry.is_none());
        })
        .await;
    }

    #[tokio::test]
    async fn many_items_are_written_or_none() {
        with_database(|database| async move {
            let named = |name: String| stored(&Photo { name: PhotoName::for_file(&name), ..photo() });
            let mut items: Vec<StoredItem> = (0..500).map(|i| named(format!("{i}.jpg"))).collect();
            items.push(StoredItem { collection: "nobody".into(), ..items[0].clone() });
            let refused = database.upsert_items(&items, None).await.unwrap_err();
            assert!(matches!(refused, Error::UnknownCollection(ref name) if name == "nobody"), "{refused}");
            let flight = (photo().project, photo().flight);
            assert!(database.list_flight_items(Layer::Raw, &flight.0, &flight.1).await.unwrap().is_empty());
            items.pop();
            items.push(items[0].clone());
            assert_eq!(database.upsert_items(&items, None).await.unwrap().inserted, 500);
            assert_eq!(database.list_flight_items(Layer::Raw, &flight.0, &flight.1).await.unwrap().len(), 500);
        })
        .await;
    }

    #[tokio::test]
    async fn the_latest_orthophoto_of_a_flight_is_found() {
        with_database(|database| async move {
            let ortho = orthophoto();
            let item = StoredItem::of(&ortho.item(&scheme()), &["drone-ortho"]).unwrap();
            database.upsert_item(&item).await.unwrap();
            let of = Some((&ortho.project, &ortho.flight));
            let found = database.find_latest_item(Layer::Ortho, of).await.unwrap().unwrap();
            assert_eq!(found.id, ortho.item_id());
            let other = "elsewhere".parse().unwrap();
            assert!(database.find_latest_item(Layer::Ortho, Some((&other, &ortho.flight))).await.unwrap().is_none());
        })
        .await;
    }
}
