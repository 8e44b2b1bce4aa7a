//! Finds the database and the buckets that a command works on.
//!
//! What is given explicitly wins. Otherwise a running `polder up` is found through its data folder, where it
//! has written where it listens (`up.json`) and the S3 keys, one file for each role.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

use super::Session;
use crate::{
    catalog::{Role, StorageScheme},
    config::{self, Settings},
    database::Database,
    storage::{Buckets, Secret, Settings as StorageSettings, Storage},
};

/// What a running `polder up` tells the commands beside it, in `DIR/up.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Running {
    pub(super) pid: u32,
    pub(super) url: String,
    pub(super) s3_endpoint: Option<String>,
    pub(super) database_url: String,
}

impl Running {
    pub(super) fn file(data: &Path) -> PathBuf {
        data.join("up.json")
    }

    /// Reads the file of a `polder up` that is alive.
    pub(super) fn find(data: &Path) -> Option<Self> {
        let running: Self = serde_json::from_slice(&fs::read(Self::file(data)).ok()?).ok()?;
        Path::new(&format!("/proc/{}", running.pid)).exists().then_some(running)
    }
}

/// The places that a command works on.
pub(super) struct Target {
    pub(super) database: Database,
    pub(super) storage: Storage,
    pub(super) scheme: StorageScheme,
}

impl Target {
    /// Connects with the rights of a role (which matter to the store of `polder up`; elsewhere the keys decide).
    pub(super) async fn connect(session: &Session, role: Role) -> anyhow::Result<Self> {
        let (database_url, storage) = locate(&session.settings, role)?;
        let database = Database::connect(&database_url).await.context("cannot reach the database")?;
        let scheme = scheme_of(&storage);
        let storage = Storage::connect(&storage)?;
        Ok(Self { database, storage, scheme })
    }
}

/// Connects to the database alone, which is all that some commands need.
pub(super) async fn database(session: &Session) -> anyhow::Result<Database> {
    let url = match (&session.settings.database_url, &session.settings.data) {
        (Some(url), None) => url.clone(),
        _ => locate(&session.settings, Role::Reviewer)?.0,
    };
    Database::connect(&url).await.context("cannot reach the database")
}

/// Returns how outsiders name the store.
pub(super) fn scheme_of(storage: &StorageSettings) -> StorageScheme {
    StorageScheme {
        endpoint: storage.public_endpoint.clone().or_else(|| storage.endpoint.clone()),
        region: storage.region.clone(),
        path_style: storage.path_style,
    }
}

/// Returns the names of the four buckets.
pub(super) fn buckets(settings: &Settings) -> Buckets {
    Buckets {
        raw: settings.bucket_raw.clone(),
        ortho: settings.bucket_ortho.clone(),
        results: settings.bucket_results.clone(),
        models: settings.bucket_models.clone(),
    }
}

/// Returns how to reach an S3 that was configured, or nothing when no keys for one are in the environment.
pub(super) fn configured_storage(settings: &Settings) -> Option<StorageSettings> {
    let keys = config::keys()?;
    Some(StorageSettings {
        endpoint: settings.endpoint(),
        public_endpoint: settings.s3_public_endpoint.clone(),
        region: settings.s3_region.clone(),
        access_key_id: Some(keys.access_key_id),
        secret_access_key: keys.secret_access_key.map(Secret::new),
        session_token: keys.session_token.map(Secret::new),
        path_style: !settings.s3_virtual_host,
        buckets: buckets(settings),
    })
}

/// Returns the database's URL and the storage settings.
pub(super) fn locate(settings: &Settings, role: Role) -> anyhow::Result<(String, StorageSettings)> {
    let data = settings.data_folder();
    let running = Running::find(&data);
    let configured = configured_storage(settings);
    // A data folder that was asked for by name wins over keys that happen to be in the environment.
    if let (Some(running), true) = (&running, settings.data.is_some() || configured.is_none()) {
        let storage = storage_of(running, &data, settings, role)?;
        let database = match (&settings.database_url, settings.data.is_some()) {
            (Some(url), false) => url.clone(),
            _ => running.database_url.clone(),
        };
        return Ok((database, storage));
    }
    match (&settings.database_url, configured) {
        (Some(url), Some(storage)) => Ok((url.clone(), storage)),
        (None, Some(storage)) if running.is_some() => {
            let running = running.expect("just looked at");
            Ok((running.database_url, storage))
        }
        (database, storage) => {
            let missing = match (database, storage) {
                (None, None) => "no database and no S3 keys are configured",
                (None, Some(_)) => "no database is configured",
                _ => "no S3 keys are configured",
            };
            bail!(
                "{missing}, and no `polder up` runs on {}: start `polder up`, name its folder with --data, \
                 or set DATABASE_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
                data.display()
            )
        }
    }
}

fn storage_of(running: &Running, data: &Path, settings: &Settings, role: Role) -> anyhow::Result<StorageSettings> {
    let file = keys_file(data, role);
    let keys = read_env_file(&file)?;
    let key = |name: &str| keys.get(name).cloned().with_context(|| format!("{} has no {name}", file.display()));
    Ok(StorageSettings {
        endpoint: running.s3_endpoint.clone(),
        public_endpoint: settings.s3_public_endpoint.clone(),
        region: key("AWS_REGION")?,
        access_key_id: Some(key("AWS_ACCESS_KEY_ID")?),
        secret_access_key: Some(Secret::new(key("AWS_SECRET_ACCESS_KEY")?)),
        session_token: None,
        path_style: true,
        buckets: buckets(settings),
    })
}

/// Returns the file with the S3 keys of a role; `s3.env` itself is the admin's.
pub(super) fn keys_file(data: &Path, role: Role) -> PathBuf {
    data.join(match role {
        Role::Admin => "s3.env",
        // Reviews are rows: who gives them reads the store and no more.
        Role::Viewer | Role::Reviewer => "s3-viewer.env",
        Role::Uploader => "s3-uploader.env",
        Role::Pipeline => "s3-pipeline.env",
    })
}

/// Reads `NAME=value` lines; a leading `export` and comments are allowed.
pub(super) fn read_env_file(path: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read the S3 keys in {}", path.display()))?;
    let pairs = text.lines().map(str::trim).filter(|line| !line.starts_with('#')).filter_map(|line| {
        let (name, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
        Some((name.trim().to_owned(), value.trim().to_owned()))
    });
    Ok(pairs.collect())
}
