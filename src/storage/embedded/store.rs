//! The store as a whole: a folder with an index and blobs, opened by one process.

use std::{
    fs,
    io::{Read as _, Seek as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use super::{Error, Result, access::Access, blobs::Blobs, index::Index};
use crate::{
    catalog::Role,
    storage::{Buckets, Secret},
};

/// What a store is opened with.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Where everything is kept; made with mode 700 when missing.
    pub folder: PathBuf,
    pub credentials: Vec<Credential>,
    /// The names of the layers' buckets, which decide what each role may write.
    pub buckets: Buckets,
}

/// An access key and what its owner may do.
#[derive(Clone, Debug)]
pub struct Credential {
    pub role: Role,
    pub access_key_id: String,
    pub secret_access_key: Secret,
}

/// An open store. Cheap to clone; the folder is free again when the last clone is dropped.
#[derive(Clone)]
pub struct Store {
    pub(super) index: Index,
    pub(super) blobs: Blobs,
    pub(super) access: Arc<Access>,
    missing: Arc<Vec<String>>,
    _lock: Arc<fs::File>,
}

impl Store {
    /// Opens a store, making its folder on first use. What a crash left behind is cleaned up.
    ///
    /// # Errors
    /// [`Error::InUse`] when another process has it open, [`Error::File`] when the folder cannot be used,
    /// [`Error::Index`] when the index is damaged, [`Error::Credentials`] when two credentials have one key id.
    pub async fn open(options: StoreOptions) -> Result<Self> {
        let opening = tokio::task::spawn_blocking(move || Self::open_now(options)).await;
        opening.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }

    fn open_now(options: StoreOptions) -> Result<Self> {
        let folder = &options.folder;
        let access = Arc::new(Access::new(options.credentials, options.buckets)?);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(Error::file("make", folder))?;
        let lock = Arc::new(lock(folder)?);
        let blobs = Blobs::open(folder)?;
        let index = Index::open(&folder.join("index.redb"), blobs.clone())?;
        let litter = blobs.sweep(|blob| index.names_blob(blob), SystemTime::now())?;
        if litter > 0 {
            tracing::info!(blobs = litter, "removed {litter} blobs of writes that were never finished");
        }
        let missing = index.missing_blobs()?;
        for object in &missing {
            tracing::error!("the store has lost the content of {object}");
        }
        Ok(Self { index, blobs, access, missing: Arc::new(missing), _lock: lock })
    }

    /// Returns the versions whose content was not on the disk when the store was opened, each by its name.
    ///
    /// They stay listed: what is lost should be seen.
    pub fn missing(&self) -> &[String] {
        &self.missing
    }
}

/// Takes the folder for this process, or says which one has it.
fn lock(folder: &Path) -> Result<fs::File> {
    let path = folder.join("lock");
    let mut options = fs::OpenOptions::new();
    let options = options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let mut file = options.open(&path).map_err(Error::file("open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let is_known = file.read_to_string(&mut pid).is_ok() && !pid.trim().is_empty();
            let pid = if is_known { pid.trim().to_owned() } else { "(unknown)".to_owned() };
            return Err(Error::InUse { folder: folder.to_owned(), pid });
        }
        Err(fs::TryLockError::Error(source)) => return Err(Error::File { operation: "lock", path, source }),
    }
    let note = |file: &mut fs::File| {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    note(&mut file).map_err(Error::file("write", &path))?;
    Ok(file)
}
