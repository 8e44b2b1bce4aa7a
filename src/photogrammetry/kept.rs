//! What the stages have made, kept in a folder: a stitch that was killed goes on where it was, and one with other options
//! starts where they first matter.
//!
//! A file is named by what its content was made of: the bytes of the photos, what the metadata says, the options, and the
//! program itself. So nothing is ever stale; what nobody has asked for in two weeks goes. The folder is a convenience:
//! when it cannot be written, stages are simply done again.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, SystemTime},
};

use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};

/// How long what nobody asks for is kept.
const KEPT_FOR: Duration = Duration::from_hours(14 * 24);
/// A digest at the end of each file says that it is whole.
const DIGEST: usize = 32;

/// What something was made of, in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Key([u8; DIGEST]);

impl Key {
    /// The key of something that other things are made of.
    pub fn of(made_of: &impl Serialize) -> Self {
        Self(Sha256::digest(bytes_of(made_of)).into())
    }

    /// The key of a file's bytes.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of_file(path: &Path) -> io::Result<Self> {
        let (mut file, mut hash) = (BufReader::with_capacity(1 << 16, File::open(path)?), Sha256::new());
        loop {
            let bytes = file.fill_buf()?;
            if bytes.is_empty() {
                return Ok(Self(hash.finalize().into()));
            }
            hash.update(bytes);
            let length = bytes.len();
            file.consume(length);
        }
    }
}

/// The folder, or none: then everything is made anew.
pub struct Kept {
    folder: Option<PathBuf>,
    /// Another build may compute something else.
    program: Option<Key>,
    made: AtomicUsize,
    found: AtomicUsize,
}

impl Kept {
    /// Opens a folder, which is made when it is not there, and removes from it what is old.
    pub fn open(folder: Option<&Path>) -> Self {
        let folder = folder.filter(|folder| match fs::create_dir_all(folder) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!("stages cannot be kept in {}: {error}", folder.display());
                false
            }
        });
        folder.into_iter().for_each(remove_old);
        let program = folder.and_then(|_| program_key());
        // What an unknown program has made is of no use to another.
        let folder = folder.filter(|_| program.is_some());
        let none = || AtomicUsize::new(0);
        Self { folder: folder.map(Path::to_owned), program, made: none(), found: none() }
    }

    /// Tells whether anything is kept at all, so that keys are worth making.
    pub const fn is_open(&self) -> bool {
        self.folder.is_some()
    }

    /// Returns what was kept of the same stage and parts, or makes it and keeps it; failures are not kept.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn get<T: Serialize + DeserializeOwned, E>(
        &self,
        stage: &str,
        made_of: &impl Serialize,
        make: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let Some(folder) = &self.folder else { return make() };
        let Key(key) = Key::of(&(stage, &self.program, made_of));
        let path = folder.join(format!("{stage}-{}", hex::encode(&key[..16])));
        if let Some(value) = read(&path) {
            self.found.fetch_add(1, Ordering::Relaxed);
            return Ok(value);
        }
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let value = make()?;
        // Of two photos with the same bytes each is written beside, and the later one takes the name.
        let half = path.with_extension(format!("half-{}-{number}", std::process::id()));
        if let Err(error) = write(&path, &half, &value) {
            tracing::warn!("cannot keep {}: {error}", path.display());
        }
        Ok(value)
    }

    /// Tells whether all that was asked for since the last call was there already.
    pub fn all_found(&self) -> bool {
        let (made, found) = (self.made.swap(0, Ordering::Relaxed), self.found.swap(0, Ordering::Relaxed));
        made == 0 && found > 0
    }
}

/// The key of the running program, which may lie in memory alone.
fn program_key() -> Option<Key> {
    let own = || Key::of_file(&std::env::current_exe()?);
    Key::of_file(Path::new("/proc/self/exe")).or_else(|_| own()).ok()
}

fn bytes_of(value: &impl Serialize) -> Vec<u8> {
    postcard::to_stdvec(value).expect("values of stages have lengths that are known, and go into memory")
}

fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let bytes = fs::read(path).ok()?;
    let (content, digest) = bytes.split_at_checked(bytes.len().checked_sub(DIGEST)?)?;
    if Sha256::digest(content)[..] != *digest {
        tracing::warn!("{} is damaged and made again", path.display());
        return None;
    }
    let value = postcard::from_bytes(content).ok()?;
    // It is in use: that keeps it for another while.
    if let Ok(file) = File::options().append(true).open(path) {
        let _ = file.set_modified(SystemTime::now());
    }
    Some(value)
}

/// Writes beside and renames, so that a killed process leaves no half file under a name.
fn write(path: &Path, half: &Path, value: &impl Serialize) -> io::Result<()> {
    let content = bytes_of(value);
    let written = File::create(half).and_then(|mut file| {
        file.write_all(&content)?;
        file.write_all(&Sha256::digest(&content))
    });
    let written = written.and_then(|()| fs::rename(half, path));
    if written.is_err() {
        let _ = fs::remove_file(half);
    }
    written
}

fn remove_old(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let age = entry.metadata().and_then(|about| about.modified()).ok().and_then(|at| at.elapsed().ok());
        if age.is_some_and(|age| age > KEPT_FOR) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn counted<'a>(kept: &Kept, calls: &'a AtomicUsize, of: &'a [u32]) -> Vec<u32> {
        let make = || {
            calls.fetch_add(1, Ordering::Relaxed);
            Ok::<_, Infallible>(of.iter().map(|n| n * 2).collect())
        };
        kept.get("numbers", &of, make).unwrap()
    }

    #[test]
    fn what_was_made_is_found_again_and_other_parts_make_another() {
        let folder = tempfile::tempdir().unwrap();
        let calls = AtomicUsize::new(0);
        for expected in [1, 1] {
            let kept = Kept::open(Some(folder.path()));
            assert_eq!(counted(&kept, &calls, &[1, 2]), [2, 4]);
            assert_eq!(calls.load(Ordering::Relaxed), expected);
        }
        let kept = Kept::open(Some(folder.path()));
        assert_eq!(counted(&kept, &calls, &[1, 3]), [2, 6]);
        assert!(!kept.all_found());
        assert_eq!(counted(&kept, &calls, &[1, 2]), [2, 4]);
        assert!(kept.all_found());
        assert_eq!(calls.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_torn_file_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let (kept, calls) = (Kept::open(Some(folder.path())), AtomicUsize::new(0));
        counted(&kept, &calls, &[1, 2]);
        let path = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
        for length in [0, 5, fs::metadata(&path).unwrap().len() - 1] {
            File::options().write(true).open(&path).unwrap().set_len(length).unwrap();
            assert_eq!(counted(&kept, &calls, &[1, 2]), [2, 4]);
        }
        assert_eq!(calls.load(Ordering::Relaxed), 4);
    }

    #[test]
    fn old_files_go_and_failures_are_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let old = folder.path().join("numbers-0");
        File::create(&old).unwrap().set_modified(SystemTime::now() - 2 * KEPT_FOR).unwrap();
        let kept = Kept::open(Some(folder.path()));
        assert_eq!(kept.get("numbers", &1, || Err::<u32, _>("no")), Err("no"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn without_a_folder_everything_is_made() {
        let (kept, calls) = (Kept::open(None), AtomicUsize::new(0));
        counted(&kept, &calls, &[1]);
        counted(&kept, &calls, &[1]);
        assert_eq!((calls.load(Ordering::Relaxed), kept.all_found()), (2, false));
    }
}
