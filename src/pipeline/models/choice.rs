//! Which detector a run uses, and its weights, checked against their checksum.

use std::path::PathBuf;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::{About, ModelToPublish, find, publish_model};
use crate::{
    catalog::{ModelName, ObjectRef, Version},
    detection,
    pipeline::{Context, Error, Result, object_of},
};

/// Which detector to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelChoice {
    /// The one that comes with polder.
    Own,
    /// A file, which is registered under its name and a hash of its content.
    File(PathBuf),
    /// One in the registry; without a version the one in production, else the newest that is not retired.
    Registered { name: ModelName, version: Option<Version> },
}

impl ModelChoice {
    /// Reads what a user wrote: a file if it exists, else `NAME[@VERSION]`; nothing is polder's own.
    ///
    /// # Errors
    /// [`Error::Catalog`] when it is neither a file nor a name.
    pub fn parse(text: Option<&str>) -> Result<Self> {
        let Some(text) = text else { return Ok(Self::Own) };
        let path = PathBuf::from(text);
        if path.is_file() {
            return Ok(Self::File(path));
        }
        let has_ending = |ending| path.extension().is_some_and(|found| found.eq_ignore_ascii_case(ending));
        let looks_like_a_path = text.contains('/') || has_ending("torchscript") || has_ending("pt");
        if looks_like_a_path {
            return Err(Error::NoSource(path));
        }
        let (name, version) = find::name_and_version(text)?;
        Ok(Self::Registered { name, version })
    }
}

/// A model that is ready to run, with the item that describes it.
#[derive(Clone, Debug)]
pub(in crate::pipeline) struct Chosen {
    pub(in crate::pipeline) name: ModelName,
    pub(in crate::pipeline) version: Version,
    pub(in crate::pipeline) weights: Bytes,
    pub(in crate::pipeline) item_id: String,
    pub(in crate::pipeline) object: ObjectRef,
}

/// Finds the model in the registry, putting a file or polder's own there on first use.
///
/// Weights that come out of the bucket are checked against the SHA-256 in their item.
pub(in crate::pipeline) async fn choose(context: &Context, choice: &ModelChoice) -> Result<Chosen> {
    let model = match choice {
        ModelChoice::Own => {
            let own = detection::own_model();
            ModelToPublish {
                name: ModelName::new(own.name)?,
                version: Version::new(own.version)?,
                weights: Bytes::from_static(own.bytes),
                about: About { card: Some(own.card.to_owned()), ..About::default() },
            }
        }
        ModelChoice::File(path) => {
            let file = path.clone();
            let weights = Bytes::from(tokio::task::spawn_blocking(move || detection::read_model(&file)).await??);
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            let fit: String = stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
            let name = ModelName::new(fit.trim_matches('-').chars().take(60).collect::<String>())?;
            let version = Version::new(&hex::encode(Sha256::digest(&weights))[..12])?;
            ModelToPublish { name, version, weights, about: About::default() }
        }
        ModelChoice::Registered { name, version } => {
            let item = find::find_version(context, name, version.as_ref()).await?;
            let object = object_of(&item, "model")?;
            let version = find::version_of(&item)?;
            let weights = context.storage.read_bytes(&object).await?;
            return Ok(Chosen { name: name.clone(), version, weights, item_id: item.id, object });
        }
    };
    let (item_id, object) = publish_model(context, &model).await?;
    Ok(Chosen { name: model.name, version: model.version, weights: model.weights, item_id, object })
}
