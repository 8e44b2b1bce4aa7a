//! Adding, changing and removing one item.

use super::{EditError, Editor};
use crate::{
    catalog::{Hrefs, Incoming, Patch, StoredItem},
    database::is_version,
};

/// How often a patch starts again because the item changed meanwhile.
const TRIES: usize = 10;

impl Editor {
    /// Adds an item to a collection.
    ///
    /// # Errors
    /// [`EditError::Catalog`] with every fault of the item, [`EditError::Database`] when there is one of this name or
    /// no such collection.
    pub async fn add_item(&self, collection: &str, json: &str) -> Result<StoredItem, EditError> {
        let item = self.incoming(collection, None, json, None)?;
        let by = self.signed("add item", &format!("{collection}/{}", item.id));
        self.database.insert_items(std::slice::from_ref(&item), Some(&by)).await?;
        Ok(item)
    }

    /// Writes an item in the place of the one of this id; nothing when there is none. `expected` begins the digest of
    /// the one that is to be replaced.
    ///
    /// # Errors
    /// As [`Editor::add_item`]; [`database::Error::ItemChanged`](crate::database::Error::ItemChanged) when another one
    /// is there than expected.
    pub async fn replace_item(
        &self,
        collection: &str,
        id: &str,
        json: &str,
        expected: Option<&str>,
    ) -> Result<Option<StoredItem>, EditError> {
        let Some(existing) = self.stored_json(collection, id).await? else { return Ok(None) };
        let item = self.incoming(collection, Some(id), json, Some(&existing))?;
        let by = self.signed("replace item", &format!("{collection}/{id}"));
        let replaced = self.database.replace_item(&item, expected, Some(&by)).await?;
        Ok(replaced.then_some(item))
    }

    /// Changes parts of an item; nothing when there is none of this id.
    ///
    /// The patch is meant for the item as the API gives it by default.
    ///
    /// # Errors
    /// As [`Editor::replace_item`], and [`EditError::Catalog`] when the patch does not fit the item.
    pub async fn patch_item(
        &self,
        collection: &str,
        id: &str,
        patch: &Patch,
        expected: Option<&str>,
    ) -> Result<Option<StoredItem>, EditError> {
        for _ in 0..TRIES {
            let Some(row) = self.database.find_item(collection, id).await? else { return Ok(None) };
            if expected.is_some_and(|expected| !is_version(&row.digest, expected)) {
                return Err(crate::database::Error::ItemChanged.into());
            }
            let mut json = String::new();
            row.text.write(&mut json, [collection, id], &self.base, Hrefs::Https);
            let patched = patch.apply(&json)?;
            match self.replace_item(collection, id, &patched, Some(&row.digest)).await {
                // Somebody else changed it since it was read: unless the client minds, the patch is for that one too.
                Err(EditError::Database(crate::database::Error::ItemChanged)) if expected.is_none() => {}
                answer => return answer,
            }
        }
        Err(crate::database::Error::Contended.into())
    }

    /// Removes an item; `false` when there is none of this id.
    ///
    /// # Errors
    /// [`EditError::Database`].
    pub async fn remove_item(&self, collection: &str, id: &str, expected: Option<&str>) -> Result<bool, EditError> {
        let by = self.signed("remove item", &format!("{collection}/{id}"));
        Ok(self.database.delete_item(collection, id, expected, Some(&by)).await?)
    }

    pub(super) fn incoming(
        &self,
        collection: &str,
        id: Option<&str>,
        json: &str,
        existing: Option<&str>,
    ) -> Result<StoredItem, EditError> {
        let incoming = Incoming { base: &self.base, collection: Some(collection), id, existing };
        Ok(incoming.item(json, &self.buckets())?)
    }

    /// Returns an item's JSON as it is stored.
    async fn stored_json(&self, collection: &str, id: &str) -> Result<Option<String>, EditError> {
        let Some(row) = self.database.find_item(collection, id).await? else { return Ok(None) };
        let mut json = String::new();
        row.text.write(&mut json, [collection, id], "", Hrefs::Stored);
        Ok(Some(json))
    }
}
