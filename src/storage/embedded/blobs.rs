//! The content of objects: one file per blob, under a random name.
//!
//! A blob is complete and on the disk before its name is known to anybody: it is written to `tmp/`, synced,
//! renamed onto its shelf `blobs/xy/`, and the shelf is synced. What has no row in the index after that is litter, which
//! the sweep at start-up removes.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use md5::{Digest as _, Md5};
use s3s::{S3Error, S3Result, StdError, checksum::ChecksumHasher, dto::Checksum, s3_error};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};

use super::{
    Error, Result,
    answer::{body_error, full, internal},
};

/// Space that is left alone, so that the index can always be written: it has no way to take back half a commit.
const RESERVED_BYTES: u64 = 64 << 20;

/// An upload that sends nothing for this long is given up.
const IDLE_TIMEOUT: Duration = Duration::from_mins(1);

/// How a blob is read: big enough to keep a disk busy, small enough for many readers at once.
const READ_BYTES: usize = 256 << 10;

/// Litter younger than this may belong to an upload on its way.
const LITTER_AGE: Duration = Duration::from_hours(1);

/// One piece of an object's content: a whole blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Segment {
    pub blob: String,
    pub size: u64,
}

/// A blob that was written just now. It is on the disk, and is removed again unless a row comes to name it.
pub(super) struct Written {
    pub segment: Segment,
    pub md5: [u8; 16],
    pub checksum: Checksum,
    keeper: Option<Blobs>,
}

impl Written {
    /// Leaves the blob to the row that names it.
    pub fn keep(mut self) {
        self.keeper = None;
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        if let Some(blobs) = &self.keeper {
            blobs.remove(&self.segment.blob);
        }
    }
}

/// The folder with the blobs.
#[derive(Clone, Debug)]
pub(super) struct Blobs {
    blobs: PathBuf,
    tmp: PathBuf,
}

impl Blobs {
    /// Makes the folders that are missing, and empties `tmp/`: nobody is writing there yet.
    pub fn open(folder: &Path) -> Result<Self> {
        let (blobs, tmp) = (folder.join("blobs"), folder.join("tmp"));
        // All 256 shelves at once, so that a write never has to make one.
        let shelves = (0..=u8::MAX).map(|shelf| blobs.join(format!("{shelf:02x}")));
        for path in shelves.chain([tmp.clone()]) {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(Error::file("make", &path))?;
        }
        for entry in fs::read_dir(&tmp).map_err(Error::file("read", &tmp))? {
            let path = entry.map_err(Error::file("read", &tmp))?.path();
            fs::remove_file(&path).map_err(Error::file("remove", &path))?;
        }
        for path in [folder, &blobs] {
            sync_folder(path).map_err(Error::file("sync", path))?;
        }
        Ok(Self { blobs, tmp })
    }

    fn path(&self, blob: &str) -> PathBuf {
        self.blobs.join(&blob[..2]).join(blob)
    }

    /// Refuses content that would leave too little space for the index.
    pub fn check_space(&self, size: u64) -> S3Result<()> {
        let stat = rustix::fs::statvfs(&self.tmp).map_err(|errno| internal("look at the disk", &errno))?;
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        if free < size.saturating_add(RESERVED_BYTES) { Err(full()) } else { Ok(()) }
    }

    /// Writes a stream into a new blob and returns when it is safely on the disk.
    ///
    /// `size` is what the client promised. Whatever fails, nothing is left.
    pub async fn write<S>(&self, mut body: S, size: Option<u64>, mut hasher: ChecksumHasher) -> S3Result<Written>
    where
        S: Stream<Item = Result<Bytes, StdError>> + Unpin,
    {
        self.check_space(size.unwrap_or(0))?;
        // v4 rather than v7: the shelf is chosen by the first digits.
        let blob = uuid::Uuid::new_v4().simple().to_string();
        let temporary = Temporary(self.tmp.join(&blob));
        let mut file = tokio::fs::File::create_new(&temporary.0).await.map_err(write_error)?;
        let mut md5 = Md5::new();
        let (mut written, mut unchecked) = (0, 0);
        loop {
            let next = tokio::time::timeout(IDLE_TIMEOUT, body.next()).await;
            let next = next.map_err(|_| s3_error!(RequestTimeout, "no data came for a minute"))?;
            let Some(bytes) = next.transpose().map_err(body_error)? else { break };
            md5.update(&bytes);
            hasher.update(&bytes);
            file.write_all(&bytes).await.map_err(write_error)?;
            written += bytes.len() as u64;
            unchecked += bytes.len() as u64;
            if unchecked > RESERVED_BYTES / 4 {
                // Others write too, and the size may not have been promised.
                self.check_space(0)?;
                unchecked = 0;
            }
        }
        if size.is_some_and(|size| size != written) {
            return Err(s3_error!(IncompleteBody, "fewer or more bytes came than were promised"));
        }
        file.flush().await.map_err(write_error)?;
        file.sync_data().await.map_err(write_error)?;
        self.publish(&blob, temporary).await?;
        let segment = Segment { blob, size: written };
        Ok(Written { segment, md5: md5.finalize().into(), checksum: hasher.finalize(), keeper: Some(self.clone()) })
    }

    async fn publish(&self, blob: &str, temporary: Temporary) -> S3Result<()> {
        let path = self.path(blob);
        let publish = move || {
            let shelf = path.parent().expect("a blob lies on a shelf");
            fs::rename(&temporary.0, &path)?;
            sync_folder(shelf)
        };
        tokio::task::spawn_blocking(publish).await.expect("a rename does not panic").map_err(write_error)
    }

    /// Returns a part of an object's content as a stream.
    ///
    /// The first blob is opened at once, so that a missing one is an error and not a broken answer.
    pub async fn read(
        &self,
        segments: &[Segment],
        range: std::ops::Range<u64>,
    ) -> S3Result<impl Stream<Item = io::Result<Bytes>> + Send + Sync + 'static> {
        let mut pieces = Vec::new();
        let mut start = 0;
        for segment in segments {
            let end = start + segment.size;
            let (from, to) = (range.start.max(start), range.end.min(end));
            if from < to {
                pieces.push((self.path(&segment.blob), from - start, to - from));
            }
            start = end;
        }
        let mut pieces = pieces.into_iter();
        let first = match pieces.next() {
            Some(piece) => Some(open_piece(piece).await.map_err(|error| internal("read a blob", &error))?),
            None => None,
        };
        let later = futures::stream::iter(pieces).then(open_piece);
        let readers = futures::stream::iter(first.map(Ok)).chain(later);
        let streams = readers.map_ok(|file| tokio_util::io::ReaderStream::with_capacity(file, READ_BYTES));
        Ok(streams.try_flatten())
    }

    /// Removes a blob that no row names any more. One that is gone already is fine.
    pub fn remove(&self, blob: &str) {
        let path = self.path(blob);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!("cannot remove {}: {error}; the next start will", path.display());
            }
            _ => {}
        }
    }

    /// Says whether a blob is on the disk with the size that its row has.
    pub fn is_whole(&self, segment: &Segment) -> bool {
        fs::metadata(self.path(&segment.blob)).is_ok_and(|file| file.len() == segment.size)
    }

    /// Removes blobs that no row names and that are older than an hour; returns how many.
    pub fn sweep(&self, is_named: impl Fn(&str) -> Result<bool>, now: SystemTime) -> Result<usize> {
        let mut removed = 0;
        for folder in fs::read_dir(&self.blobs).map_err(Error::file("read", &self.blobs))? {
            let folder = folder.map_err(Error::file("read", &self.blobs))?.path();
            for file in fs::read_dir(&folder).map_err(Error::file("read", &folder))? {
                let file = file.map_err(Error::file("read", &folder))?;
                let modified =
                    file.metadata().and_then(|data| data.modified()).map_err(Error::file("read", &file.path()))?;
                let is_old = now.duration_since(modified).is_ok_and(|age| age > LITTER_AGE);
                let name = file.file_name();
                if is_old && !name.to_str().map_or(Ok(false), &is_named)? {
                    fs::remove_file(file.path()).map_err(Error::file("remove", &file.path()))?;
                    removed += 1;
                }
            }
        }
        Ok(removed)
    }
}

async fn open_piece((path, from, size): (PathBuf, u64, u64)) -> io::Result<tokio::io::Take<tokio::fs::File>> {
    let mut file = tokio::fs::File::open(path).await?;
    if from > 0 {
        file.seek(io::SeekFrom::Start(from)).await?;
    }
    Ok(file.take(size))
}

/// A file that is removed again unless it was renamed.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // Gone is what it should be after the rename; what cannot be removed is removed by the next start.
        let _ = fs::remove_file(&self.0);
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` hands it over")]
fn write_error(error: io::Error) -> S3Error {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => full(),
        _ => internal("write a blob", &error),
    }
}
