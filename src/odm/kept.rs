//! Remembers a task while it is on the server, so that a stitch that was killed goes on with it.
//!
//! A file of lines that only grows, named by what the task is made of: `task ID`, `has NAME` for each file that the server
//! has confirmed, `committed`, `downloaded`. A last line that was cut off is as if it was not there. The file is locked
//! while a polder is at work on it.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Error, Result};

/// How long results that nobody asks for are kept, as the stages of the own engine.
const KEPT_FOR: Duration = Duration::from_hours(14 * 24);

/// What is known about the task of one shipment.
pub struct Kept {
    file: File,
    path: PathBuf,
    task: Option<String>,
    there: BTreeSet<String>,
    committed: bool,
    downloaded: bool,
}

impl Kept {
    /// Opens what is known, nothing at first.
    ///
    /// # Errors
    /// [`Error::Busy`] when another process is at work on the same task; [`Error::File`].
    pub fn open(folder: &Path, key: &str) -> Result<Self> {
        fs::create_dir_all(folder).map_err(Error::file(folder))?;
        remove_old(folder);
        let path = folder.join(format!("{key}.task"));
        let open = File::options().read(true).append(true).create(true).open(&path);
        let mut file = open.map_err(Error::file(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(Error::Busy { path }),
            Err(fs::TryLockError::Error(error)) => return Err(Error::file(&path)(error)),
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(Error::file(&path))?;
        // Its age is that of the last time that somebody asked.
        let _ = file.set_modified(std::time::SystemTime::now());
        let mut kept = Self { file, path, task: None, there: BTreeSet::new(), committed: false, downloaded: false };
        // A line that was cut off is not added to.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        if whole < text.len() {
            kept.file.set_len(whole as u64).map_err(Error::file(&kept.path))?;
        }
        text[..whole].lines().for_each(|line| kept.read(line));
        Ok(kept)
    }

    fn read(&mut self, line: &str) {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("task", id) => {
                (self.task, self.committed, self.downloaded) = (Some(id.to_owned()), false, false);
                self.there.clear();
            }
            ("has", name) => drop(self.there.insert(name.to_owned())),
            ("committed", _) => self.committed = true,
            ("downloaded", _) => self.downloaded = true,
            _ => {}
        }
    }

    /// Where files of this task are kept: `{key}.zip`.
    pub fn beside(&self, extension: &str) -> PathBuf {
        self.path.with_extension(extension)
    }

    pub fn task(&self) -> Option<&str> {
        self.task.as_deref()
    }

    pub fn has(&self, name: &str) -> bool {
        self.there.contains(name)
    }

    pub const fn is_committed(&self) -> bool {
        self.committed
    }

    pub const fn is_downloaded(&self) -> bool {
        self.downloaded
    }

    /// Writes down that a new task begins; nothing is known of an earlier one then.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn begin(&mut self, task: &str) -> Result<()> {
        self.add(&format!("task {task}"))
    }

    /// Writes down that the server has confirmed a file.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn received(&mut self, name: &str) -> Result<()> {
        self.add(&format!("has {name}"))
    }

    /// Writes down that the server has all files and the task is in its queue.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn committed(&mut self) -> Result<()> {
        self.add("committed")
    }

    /// Writes down that the result is here.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn downloaded(&mut self) -> Result<()> {
        self.add("downloaded")
    }

    fn add(&mut self, line: &str) -> Result<()> {
        self.file.write_all(format!("{line}\n").as_bytes()).map_err(Error::file(&self.path))?;
        self.read(line);
        Ok(())
    }
}

fn remove_old(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let age = fs::metadata(&path).and_then(|about| about.modified()).ok().and_then(|at| at.elapsed().ok());
        if age.is_some_and(|age| age > KEPT_FOR) {
            let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_down_is_known_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut kept = Kept::open(folder.path(), "a").unwrap();
        assert_eq!(kept.task(), None);
        kept.begin("1-2").unwrap();
        kept.received("one two.jpg").unwrap();
        assert!(matches!(Kept::open(folder.path(), "a"), Err(Error::Busy { .. })));
        drop(kept);
        let mut kept = Kept::open(folder.path(), "a").unwrap();
        assert_eq!((kept.task(), kept.has("one two.jpg"), kept.is_committed()), (Some("1-2"), true, false));
        kept.committed().unwrap();
        kept.begin("3-4").unwrap();
        drop(kept);
        let kept = Kept::open(folder.path(), "a").unwrap();
        assert_eq!((kept.task(), kept.has("one two.jpg"), kept.is_committed()), (Some("3-4"), false, false));
        assert_eq!(Kept::open(folder.path(), "b").unwrap().task(), None);
    }

    #[test]
    fn a_line_that_was_cut_off_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.task"), "task 1\nhas one.jpg\nhas tw").unwrap();
        let mut kept = Kept::open(folder.path(), "a").unwrap();
        assert!(kept.has("one.jpg") && !kept.has("tw"));
        kept.received("three.jpg").unwrap();
        drop(kept);
        let text = fs::read_to_string(folder.path().join("a.task")).unwrap();
        assert_eq!(text, "task 1\nhas one.jpg\nhas three.jpg\n");
    }
}
