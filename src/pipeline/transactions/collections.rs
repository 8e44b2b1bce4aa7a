//! Adding, changing and removing collections.

use serde_json::{Map, Value};

use super::{EditError, Editor};
use crate::{
    catalog::{GivenCollection, Incoming, Layer, Patch},
    database::{Error, is_version},
};

/// How often a patch starts again because the collection changed meanwhile.
const TRIES: usize = 10;

impl Editor {
    /// Adds a collection.
    ///
    /// # Errors
    /// [`EditError::Catalog`] with every fault, [`EditError::Database`] when there is one of this name.
    pub async fn add_collection(&self, json: &str) -> Result<GivenCollection, EditError> {
        let given = self.incoming_collection(None, json)?;
        self.database.insert_collection(&given, Some(&self.signed("add collection", &given.id))).await?;
        Ok(given)
    }

    /// Writes a collection in the place of the one of this id; `false` when there is none.
    ///
    /// # Errors
    /// As [`Editor::add_collection`]; [`Error::ItemChanged`] when another one is there than expected.
    pub async fn replace_collection(&self, id: &str, json: &str, expected: Option<&str>) -> Result<bool, EditError> {
        let given = self.incoming_collection(Some(id), json)?;
        let by = self.signed("replace collection", id);
        Ok(self.database.replace_collection(&given, expected, Some(&by)).await?)
    }

    /// Changes parts of a collection; `false` when there is none of this id.
    ///
    /// # Errors
    /// As [`Editor::replace_collection`], and [`EditError::Catalog`] when the patch does not fit the collection.
    pub async fn patch_collection(&self, id: &str, patch: &Patch, expected: Option<&str>) -> Result<bool, EditError> {
        for _ in 0..TRIES {
            let Some(row) = self.database.find_collection(id).await? else { return Ok(false) };
            if expected.is_some_and(|expected| !is_version(&row.digest, expected)) {
                return Err(Error::ItemChanged.into());
            }
            let mut members: Map<String, Value> = row.body;
            members.insert("links".to_owned(), row.links.into());
            let patched = patch.apply(&Value::Object(members).to_string())?;
            match self.replace_collection(id, &patched, Some(&row.digest)).await {
                Err(EditError::Database(Error::ItemChanged)) if expected.is_none() => {}
                answer => return answer,
            }
        }
        Err(Error::Contended.into())
    }

    /// Removes a collection and all its items, and returns how many they were; nothing when there is none of this id.
    ///
    /// # Errors
    /// [`EditError::Layer`] for the collections that polder writes into, [`EditError::Database`].
    pub async fn remove_collection(&self, id: &str, expected: Option<&str>) -> Result<Option<u64>, EditError> {
        if Layer::from_collection(id).is_some() {
            return Err(EditError::Layer(id.to_owned()));
        }
        Ok(self.database.delete_collection(id, expected, Some(&self.signed("remove collection", id))).await?)
    }

    fn incoming_collection(&self, id: Option<&str>, json: &str) -> Result<GivenCollection, EditError> {
        Ok(Incoming { base: &self.base, id, ..Incoming::default() }.collection(json)?)
    }
}
