//! The index: which version of which key holds which blobs. One transactional file; what it says is what is.
//!
//! A version becomes visible when its row is committed and not before. Whatever depends on what is there now
//! (conditions on a write, the end of a multipart upload) is decided inside the transaction that changes it, and
//! only one of these runs at a time. Blobs are counted: a copy names the blobs of its source, and a blob goes when
//! the last row that names it has gone, row first and file later.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use redb::{Database, ReadTransaction, ReadableDatabase as _, ReadableTable, Table, TableDefinition, WriteTransaction};
use s3s::{S3Result, s3_error};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{sync::Mutex, task};

use super::{
    Error, Result,
    blobs::{Blobs, Segment},
    listing::After,
    rows::{Bucket, Content, NULL, Part, Upload, Version, Versioning, now_ms},
};

/// A row, as JSON.
type Json = &'static [u8];
/// Bucket, key and rank: of two versions of a key the newer has the lower rank, so that it comes first.
pub(super) type VersionKey = (&'static str, &'static [u8], u64);
/// Bucket, key and the id of an upload.
pub(super) type UploadKey = (&'static str, &'static [u8], &'static str);

const BUCKETS: TableDefinition<&str, Json> = TableDefinition::new("buckets");
const VERSIONS: TableDefinition<VersionKey, Json> = TableDefinition::new("versions");
/// The rank of each version, by bucket, key and version id.
const RANKS: TableDefinition<(&str, &[u8], &str), u64> = TableDefinition::new("ranks");
const UPLOADS: TableDefinition<UploadKey, Json> = TableDefinition::new("uploads");
const PARTS: TableDefinition<(&str, u32), Json> = TableDefinition::new("parts");
/// How many rows name each blob.
const BLOBS: TableDefinition<&str, u64> = TableDefinition::new("blobs");
const COUNTERS: TableDefinition<&str, u64> = TableDefinition::new("counters");

/// The counter of all versions ever made.
const SEQUENCE: &str = "sequence";

/// The memory that the index may use to remember pages.
const CACHE_BYTES: usize = 32 << 20;

/// The open index.
#[derive(Clone)]
pub(super) struct Index {
    path: PathBuf,
    /// `None` only while, or after, opening it again has failed.
    database: Arc<RwLock<Option<Database>>>,
    /// A write failed, as on a full disk: the database refuses to go on until it is opened again.
    has_failed: Arc<AtomicBool>,
    /// Writers wait here, in order, rather than each in a thread of its own.
    turn: Arc<Mutex<()>>,
    blobs: Blobs,
}

impl Index {
    /// Opens the index in a file, making it on first use. After a crash it is as after the last commit.
    pub fn open(path: &Path, blobs: Blobs) -> Result<Self> {
        let database = Arc::new(RwLock::new(Some(open_database(path)?)));
        Ok(Self { path: path.to_owned(), database, has_failed: Arc::default(), turn: Arc::default(), blobs })
    }

    /// Opens the database again after a failed write, once there is room.
    fn reopen(&self) -> Result<()> {
        self.blobs.check_space(0)?;
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        // The old one holds the lock on the file.
        *database = None;
        *database = Some(open_database(&self.path)?);
        self.has_failed.store(false, Ordering::Release);
        tracing::info!("the index of the store was opened again after a failed write");
        Ok(())
    }

    fn with_database<T>(&self, work: impl FnOnce(&Database) -> Result<T>) -> Result<T> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        work(database.as_ref().ok_or(Error::Index(redb::Error::PreviousIo))?)
    }

    /// Answers a question from one consistent state.
    pub async fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Reader) -> Result<T> + Send + 'static,
    ) -> S3Result<T> {
        let index = self.clone();
        let reading = move || index.with_database(|database| question(&Reader(database.begin_read()?)));
        Ok(task::spawn_blocking(reading).await.expect("a question does not panic")?)
    }

    /// Makes a change. It is on the disk when this returns, or, on an error, has not happened at all.
    pub async fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Writer<'_>) -> Result<T> + Send + 'static,
    ) -> S3Result<T> {
        let turn = self.turn.clone().lock_owned().await;
        let index = self.clone();
        let writing = move || {
            // Held by the thread, not by the request: a client that hangs up does not let the next one in early.
            let _turn = turn;
            if index.has_failed.load(Ordering::Acquire) {
                index.reopen()?;
            }
            let result = index.with_database(|database| index.change(database, change));
            if matches!(result, Err(Error::Index(_))) {
                index.has_failed.store(true, Ordering::Release);
            }
            result
        };
        Ok(task::spawn_blocking(writing).await.expect("a change does not panic")?)
    }

    fn change<T>(&self, database: &Database, change: impl FnOnce(&mut Writer<'_>) -> Result<T>) -> Result<T> {
        let transaction = database.begin_write()?;
        let (answer, released) = {
            let mut writer = Writer::open(&transaction)?;
            let answer = change(&mut writer);
            (answer, writer.released)
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                transaction.abort()?;
                return Err(error);
            }
        };
        transaction.commit()?;
        for blob in released {
            self.blobs.remove(&blob);
        }
        Ok(answer)
    }

    /// Returns the versions whose blobs are not on the disk as they should be, by their names.
    pub fn missing_blobs(&self) -> Result<Vec<String>> {
        self.with_database(|database| {
            let mut missing = Vec::new();
            for row in Reader(database.begin_read()?).versions()?.iter()? {
                let (name, row) = row?;
                let (bucket, key, _) = name.value();
                let version: Version = parse(row.value())?;
                let segments = version.content.iter().flat_map(|content| &content.segments);
                if segments.into_iter().any(|segment| !self.blobs.is_whole(segment)) {
                    missing.push(format!("s3://{bucket}/{} version {}", String::from_utf8_lossy(key), version.id));
                }
            }
            Ok(missing)
        })
    }

    /// Says whether any row names a blob.
    pub fn names_blob(&self, blob: &str) -> Result<bool> {
        self.with_database(|database| Ok(database.begin_read()?.open_table(BLOBS)?.get(blob)?.is_some()))
    }
}

fn open_database(path: &Path) -> Result<Database> {
    let database = Database::builder().set_cache_size(CACHE_BYTES).create(path)?;
    // Makes the tables that are missing, for readers cannot.
    let transaction = database.begin_write()?;
    Writer::open(&transaction)?;
    transaction.commit()?;
    Ok(database)
}

/// One consistent state of the index.
pub(super) struct Reader(ReadTransaction);

impl Reader {
    pub fn buckets(&self) -> Result<Vec<(String, Bucket)>> {
        let table = self.0.open_table(BUCKETS)?;
        let rows = table.iter()?.map(|row| {
            let (name, row) = row?;
            Ok((name.value().to_owned(), parse(row.value())?))
        });
        rows.collect()
    }

    pub fn bucket(&self, name: &str) -> Result<Bucket> {
        find_bucket(&self.0.open_table(BUCKETS)?, name)
    }

    pub fn versions(&self) -> Result<impl ReadableTable<VersionKey, Json> + use<>> {
        Ok(self.0.open_table(VERSIONS)?)
    }

    /// Returns unfinished uploads after a key and an id, in that order; without an id after the whole key.
    pub fn list_uploads(
        &self,
        bucket: &str,
        prefix: &str,
        (key, id): &(String, String),
        limit: usize,
    ) -> Result<Vec<(String, String, Upload)>> {
        self.bucket(bucket)?;
        let table = self.0.open_table(UPLOADS)?;
        let mut found = Vec::new();
        for row in table.range((bucket, key.as_bytes().max(prefix.as_bytes()), "")..)? {
            let (name, row) = row?;
            let (row_bucket, row_key, row_id) = name.value();
            if row_bucket != bucket || !row_key.starts_with(prefix.as_bytes()) || found.len() == limit {
                break;
            }
            let is_seen = row_key == key.as_bytes() && (id.is_empty() || row_id <= id.as_str());
            if key.is_empty() || !is_seen {
                let row_key = String::from_utf8_lossy(row_key).into_owned();
                found.push((row_key, row_id.to_owned(), parse(row.value())?));
            }
        }
        Ok(found)
    }

    /// Returns the named version, or the newest.
    pub fn find(&self, bucket: &str, key: &str, id: Option<&str>) -> Result<Option<Version>> {
        let versions = self.0.open_table(VERSIONS)?;
        let Some(id) = id else { return Ok(newest(&versions, bucket, key)?.map(|(_, version)| version)) };
        let Some(rank) = self.0.open_table(RANKS)?.get((bucket, key.as_bytes(), id))? else { return Ok(None) };
        versions.get((bucket, key.as_bytes(), rank.value()))?.map(|row| parse(row.value())).transpose()
    }

    /// Returns the place in a listing right after a version; the place before its key when it is gone.
    pub fn place_after(&self, bucket: &str, key: String, id: &str) -> Result<After> {
        let rank = self.0.open_table(RANKS)?.get((bucket, key.as_bytes(), id))?.map(|rank| rank.value());
        Ok(match rank {
            Some(rank) => After::Version(key, rank),
            None => After::KeyAgain(key),
        })
    }

    pub fn upload(&self, bucket: &str, key: &str, id: &str) -> Result<Upload> {
        find_upload(&self.0.open_table(UPLOADS)?, bucket, key, id)
    }

    pub fn parts(&self, upload: &str) -> Result<Vec<(u32, Part)>> {
        list_parts(&self.0.open_table(PARTS)?, upload)
    }
}

/// The index while it is being changed.
pub(super) struct Writer<'t> {
    buckets: Table<'t, &'static str, Json>,
    versions: Table<'t, VersionKey, Json>,
    ranks: Table<'t, (&'static str, &'static [u8], &'static str), u64>,
    uploads: Table<'t, UploadKey, Json>,
    parts: Table<'t, (&'static str, u32), Json>,
    blobs: Table<'t, &'static str, u64>,
    counters: Table<'t, &'static str, u64>,
    /// Blobs that no row names any more; their files go after the commit.
    released: Vec<String>,
}

impl<'t> Writer<'t> {
    fn open(transaction: &'t WriteTransaction) -> Result<Self> {
        Ok(Self {
            buckets: transaction.open_table(BUCKETS)?,
            versions: transaction.open_table(VERSIONS)?,
            ranks: transaction.open_table(RANKS)?,
            uploads: transaction.open_table(UPLOADS)?,
            parts: transaction.open_table(PARTS)?,
            blobs: transaction.open_table(BLOBS)?,
            counters: transaction.open_table(COUNTERS)?,
            released: Vec::new(),
        })
    }

    pub fn bucket(&self, name: &str) -> Result<Bucket> {
        find_bucket(&self.buckets, name)
    }

    pub fn put_bucket(&mut self, name: &str, bucket: &Bucket) -> Result<()> {
        self.buckets.insert(name, json(bucket)?.as_slice())?;
        Ok(())
    }

    /// Removes a bucket that holds nothing, not even old versions.
    pub fn delete_bucket(&mut self, name: &str) -> Result<()> {
        self.bucket(name)?;
        let holds_versions = self.versions.range((name, [].as_slice(), 0)..)?.next().transpose()?;
        if holds_versions.is_some_and(|(row, _)| row.value().0 == name) {
            return Err(s3_error!(BucketNotEmpty, "the bucket holds objects or old versions").into());
        }
        let uploads = self.uploads.range((name, [].as_slice(), "")..)?;
        let uploads = uploads.map_while(|row| match row {
            Ok((row, _)) if row.value().0 == name => Some(Ok((row.value().1.to_vec(), row.value().2.to_owned()))),
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        });
        for (key, id) in uploads.collect::<std::result::Result<Vec<_>, _>>()? {
            self.delete_upload(name, &key, &id, &[])?;
        }
        self.buckets.remove(name)?;
        Ok(())
    }

    pub fn newest(&self, bucket: &str, key: &str) -> Result<Option<(u64, Version)>> {
        newest(&self.versions, bucket, key)
    }

    pub fn find(&self, bucket: &str, key: &str, id: &str) -> Result<Option<(u64, Version)>> {
        let Some(rank) = self.ranks.get((bucket, key.as_bytes(), id))?.map(|rank| rank.value()) else {
            return Ok(None);
        };
        let row = self.versions.get((bucket, key.as_bytes(), rank))?;
        row.map(|row| Ok((rank, parse(row.value())?))).transpose()
    }

    /// Adds the newest version of a key: content, or a delete marker. Returns it with its id.
    ///
    /// Where versions are off or suspended it takes the place of the null version.
    pub fn add_version(&mut self, bucket: &str, key: &str, content: Option<Content>) -> Result<(Versioning, Version)> {
        let versioning = self.bucket(bucket)?.versioning;
        let id = match versioning {
            Versioning::Enabled => uuid::Uuid::now_v7().simple().to_string(),
            Versioning::Off | Versioning::Suspended => NULL.to_owned(),
        };
        // Hold before release: a copy onto itself keeps its blobs.
        for segment in content.iter().flat_map(|content| &content.segments) {
            self.hold(segment)?;
        }
        if let Some((rank, old)) = self.find(bucket, key, &id)? {
            self.remove_version(bucket, key, rank, &old)?;
        }
        let sequence = self.counters.get(SEQUENCE)?.map_or(0, |last| last.value()) + 1;
        self.counters.insert(SEQUENCE, sequence)?;
        let version = Version { id, modified_ms: now_ms(), content };
        let rank = u64::MAX - sequence;
        self.versions.insert((bucket, key.as_bytes(), rank), json(&version)?.as_slice())?;
        self.ranks.insert((bucket, key.as_bytes(), version.id.as_str()), rank)?;
        Ok((versioning, version))
    }

    pub fn remove_version(&mut self, bucket: &str, key: &str, rank: u64, version: &Version) -> Result<()> {
        self.versions.remove((bucket, key.as_bytes(), rank))?;
        self.ranks.remove((bucket, key.as_bytes(), version.id.as_str()))?;
        for segment in version.content.iter().flat_map(|content| &content.segments) {
            self.release(segment)?;
        }
        Ok(())
    }

    pub fn upload(&self, bucket: &str, key: &str, id: &str) -> Result<Upload> {
        find_upload(&self.uploads, bucket, key, id)
    }

    pub fn put_upload(&mut self, bucket: &str, key: &str, id: &str, upload: &Upload) -> Result<()> {
        self.bucket(bucket)?;
        self.uploads.insert((bucket, key.as_bytes(), id), json(upload)?.as_slice())?;
        Ok(())
    }

    pub fn parts(&self, upload: &str) -> Result<Vec<(u32, Part)>> {
        list_parts(&self.parts, upload)
    }

    /// Adds a part, in the place of an earlier one of the same number.
    pub fn put_part(&mut self, upload: &str, number: u32, part: &Part) -> Result<()> {
        self.hold(&part.segment)?;
        let old = self.parts.insert((upload, number), json(part)?.as_slice())?.map(|old| parse::<Part>(old.value()));
        match old.transpose()? {
            Some(old) => self.release(&old.segment),
            None => Ok(()),
        }
    }

    /// Removes an upload and its parts. Blobs that a version names by now stay.
    pub fn delete_upload(&mut self, bucket: &str, key: &[u8], id: &str, parts: &[(u32, Part)]) -> Result<()> {
        let all;
        let parts = if parts.is_empty() {
            all = self.parts(id)?;
            &all
        } else {
            parts
        };
        for (number, part) in parts {
            self.parts.remove((id, *number))?;
            self.release(&part.segment)?;
        }
        self.uploads.remove((bucket, key, id))?;
        Ok(())
    }

    fn hold(&mut self, segment: &Segment) -> Result<()> {
        let count = self.blobs.get(segment.blob.as_str())?.map_or(0, |count| count.value());
        self.blobs.insert(segment.blob.as_str(), count + 1)?;
        Ok(())
    }

    fn release(&mut self, segment: &Segment) -> Result<()> {
        let count = self.blobs.get(segment.blob.as_str())?.map_or(0, |count| count.value());
        if count > 1 {
            self.blobs.insert(segment.blob.as_str(), count - 1)?;
        } else {
            self.blobs.remove(segment.blob.as_str())?;
            self.released.push(segment.blob.clone());
        }
        Ok(())
    }
}

fn find_bucket(table: &impl ReadableTable<&'static str, Json>, name: &str) -> Result<Bucket> {
    match table.get(name)? {
        Some(row) => parse(row.value()),
        None => Err(s3_error!(NoSuchBucket, "there is no bucket {name}").into()),
    }
}

fn find_upload(table: &impl ReadableTable<UploadKey, Json>, bucket: &str, key: &str, id: &str) -> Result<Upload> {
    match table.get((bucket, key.as_bytes(), id))? {
        Some(row) => parse(row.value()),
        None => Err(s3_error!(NoSuchUpload, "there is no such upload; it may be finished or aborted").into()),
    }
}

fn newest(table: &impl ReadableTable<VersionKey, Json>, bucket: &str, key: &str) -> Result<Option<(u64, Version)>> {
    let key = key.as_bytes();
    let mut rows = table.range((bucket, key, 0)..=(bucket, key, u64::MAX))?;
    rows.next().transpose()?.map(|(name, row)| Ok((name.value().2, parse(row.value())?))).transpose()
}

fn list_parts(table: &impl ReadableTable<(&'static str, u32), Json>, upload: &str) -> Result<Vec<(u32, Part)>> {
    let rows = table.range((upload, 0)..=(upload, u32::MAX))?.map(|row| {
        let (name, row) = row?;
        Ok((name.value().1, parse(row.value())?))
    });
    rows.collect()
}

/// Reads a row.
pub(super) fn parse<T: DeserializeOwned>(row: &[u8]) -> Result<T> {
    Ok(serde_json::from_slice(row)?)
}

fn json<T: Serialize>(row: &T) -> Result<Vec<u8>> {
    Ok(serde_json::to_vec(row)?)
}
