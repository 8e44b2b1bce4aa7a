//! Writing collections.

use serde_json::{Map, Value, json};
use sqlx::{PgConnection, Row as _};

use super::fold::{given, save};
use crate::{
    catalog::{Coverage, GivenCollection, Layer, Summary, collection},
    database::{AuditOpen, Database, Error, Result, audit::sign, is_version},
};

impl Database {
    /// Writes a new collection.
    ///
    /// # Errors
    /// [`Error::CollectionExists`], [`Error::Query`].
    pub async fn insert_collection(&self, given: &GivenCollection, by: Option<&AuditOpen>) -> Result<()> {
        let mut transaction = self.pool.begin().await.map_err(Error::query("add a collection"))?;
        sqlx::query("insert into collections (id, body, links, extent, digest) values ($1, $2, $3, $4, $5)")
            .bind(&given.id)
            .bind(Value::Object(given.body.clone()).to_string())
            .bind(json!(given.links).to_string())
            .bind(given.extent.as_ref().map(Value::to_string))
            .bind(given.digest())
            .execute(&mut *transaction)
            .await
            .map_err(|error| match Error::constraint(&error) {
                Some("collections_pkey") => Error::CollectionExists(given.id.clone()),
                _ => Error::query("add a collection")(error),
            })?;
        save(&mut transaction, given, &Summary::default()).await?;
        sign(&mut transaction, by, 1).await?;
        transaction.commit().await.map_err(Error::query("add a collection"))
    }

    /// Writes a changed collection in the place of the one that is there; `false` when none is. The same one again
    /// changes nothing.
    ///
    /// # Errors
    /// [`Error::ItemChanged`] when `expected` does not begin the digest of the one that is there, [`Error::Query`].
    pub async fn replace_collection(
        &self,
        given: &GivenCollection,
        expected: Option<&str>,
        by: Option<&AuditOpen>,
    ) -> Result<bool> {
        self.fold_changes().await?;
        let mut transaction = self.pool.begin().await.map_err(Error::query("change a collection"))?;
        let Some(locked) = lock(&mut transaction, &given.id, expected).await? else { return Ok(false) };
        let given = &match &locked.served {
            Some(served) => given.clone().without_derived(&locked.given, served),
            None => given.clone(),
        };
        sqlx::query(
            "update collections
            set body = $2, links = $3, extent = $4, digest = $5, updated_at = now()
            where id = $1 and digest <> $5",
        )
        .bind(&given.id)
        .bind(Value::Object(given.body.clone()).to_string())
        .bind(json!(given.links).to_string())
        .bind(given.extent.as_ref().map(Value::to_string))
        .bind(given.digest())
        .execute(&mut *transaction)
        .await
        .map_err(Error::query("change a collection"))?;
        if let Some(summary) = locked.summary {
            save(&mut transaction, given, &summary).await?;
        }
        sign(&mut transaction, by, 1).await?;
        transaction.commit().await.map_err(Error::query("change a collection"))?;
        Ok(true)
    }

    /// Removes a collection with all its items, and returns how many they were; nothing when there is no such
    /// collection.
    ///
    /// # Errors
    /// [`Error::ItemChanged`] when `expected` does not begin the digest of the one that is there, [`Error::Query`].
    pub async fn delete_collection(
        &self,
        id: &str,
        expected: Option<&str>,
        by: Option<&AuditOpen>,
    ) -> Result<Option<u64>> {
        let failed = || Error::query("remove a collection");
        self.fold_changes().await?;
        let mut transaction = self.pool.begin().await.map_err(failed())?;
        if lock(&mut transaction, id, expected).await?.is_none() {
            return Ok(None);
        }
        // Against writers of its items: they wait, and then find it gone.
        sqlx::query("select from collections where id = $1 for update")
            .bind(id)
            .execute(&mut *transaction)
            .await
            .map_err(failed())?;
        let gone = sqlx::query("delete from items where collection = $1")
            .bind(id)
            .execute(&mut *transaction)
            .await
            .map_err(failed())?;
        for statement in
            ["delete from collection_changes where collection = $1", "delete from collections where id = $1"]
        {
            sqlx::query(statement).bind(id).execute(&mut *transaction).await.map_err(failed())?;
        }
        sign(&mut transaction, by, gone.rows_affected() as usize).await?;
        transaction.commit().await.map_err(failed())?;
        Ok(Some(gone.rows_affected()))
    }

    /// Makes sure that these layers are collections. One that is there stays as it is, for somebody may have described
    /// it better; only the words of a polder that did not know of that are renewed.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub async fn ensure_collections(&self, layers: impl IntoIterator<Item = Layer>) -> Result<()> {
        for layer in layers {
            let digest: Option<String> = sqlx::query_scalar("select digest from collections where id = $1")
                .bind(layer.collection())
                .fetch_optional(&self.pool)
                .await
                .map_err(Error::query("look for a collection"))?;
            let Value::Object(mut members) = serde_json::to_value(collection(layer, &Coverage::default()))? else {
                continue;
            };
            members.remove("links");
            members.remove("extent");
            let given = GivenCollection::of(members)?;
            match digest.as_deref() {
                Some("") => _ = self.replace_collection(&given, None, None).await?,
                Some(_) => {}
                None => match self.insert_collection(&given, None).await {
                    // Another process starts beside this one.
                    Ok(()) | Err(Error::CollectionExists(_)) => {}
                    Err(error) => return Err(error),
                },
            }
        }
        Ok(())
    }
}

/// A collection whose row is locked.
struct Locked {
    given: GivenCollection,
    /// Nothing yet when it must be counted; nor is there anything served then.
    summary: Option<Summary>,
    served: Option<Map<String, Value>>,
}

/// Locks a collection's row; nothing when it is not there.
async fn lock(connection: &mut PgConnection, id: &str, expected: Option<&str>) -> Result<Option<Locked>> {
    let row = sqlx::query(
        "select md5(digest || summary) as digest, summary, body, extent, served
        from collections
        where id = $1
        for no key update",
    )
    .bind(id)
    .fetch_optional(connection)
    .await
    .map_err(Error::query("look for a collection"))?;
    let Some(row) = row else { return Ok(None) };
    let digest: Option<&str> = row.get("digest");
    if let (Some(expected), Some(digest)) = (expected, digest)
        && !is_version(digest, expected)
    {
        return Err(Error::ItemChanged);
    }
    Ok(Some(Locked {
        given: given(id, &row)?,
        summary: row.get::<Option<&str>, _>("summary").map(serde_json::from_str).transpose()?,
        served: row.get::<Option<&str>, _>("served").map(serde_json::from_str).transpose()?,
    }))
}
