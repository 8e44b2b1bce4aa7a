//! What a stitch will need again but not now, put aside on the disk: keypoints, small copies, grey pictures.
//!
//! So memory holds what is being worked on, and not something of every photo. The shelf is one file without a name: when the
//! stitch ends, however it ends, the file is gone. What the system has room for it keeps in memory by itself.
//!
//! Invariant: what is taken down is what was put up. A disk that is full costs memory in place of disk, never a flight.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::error::{Error, Result};

/// A file that is filled from its beginning, by many threads at once.
#[derive(Debug, Default)]
pub struct Shelf {
    file: Option<File>,
    end: AtomicU64,
}

/// Bytes on a shelf. A copy of this is another way to the same bytes.
#[derive(Clone, Debug)]
pub struct Shelved(Place);

#[derive(Clone, Debug)]
enum Place {
    Disk { shelf: Arc<Shelf>, from: u64, length: usize },
    Memory(Arc<Vec<u8>>),
}

impl Shelf {
    /// A shelf on the disk of the first folder that can be written; in memory when none can.
    pub fn in_one_of<'a>(folders: impl IntoIterator<Item = &'a Path>) -> Arc<Self> {
        let current = |folder: &'a Path| if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let file = folders.into_iter().find_map(|folder| tempfile::tempfile_in(current(folder)).ok());
        if file.is_none() {
            tracing::warn!("nothing can be put aside on the disk, so memory grows with the number of photos");
        }
        Arc::new(Self { file, end: AtomicU64::new(0) })
    }

    /// Puts bytes up, or keeps them in memory when the disk does not take them.
    pub fn put(self: &Arc<Self>, bytes: Vec<u8>) -> Shelved {
        self.put_if_there_is_room(&bytes).unwrap_or_else(|| Shelved(Place::Memory(Arc::new(bytes))))
    }

    /// The same for what can be made again: `None` when the disk does not take it.
    pub fn put_if_there_is_room(self: &Arc<Self>, bytes: &[u8]) -> Option<Shelved> {
        let from = self.end.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.file.as_ref()?.write_all_at(bytes, from).ok()?;
        Some(Shelved(Place::Disk { shelf: Arc::clone(self), from, length: bytes.len() }))
    }
}

impl Shelved {
    /// The bytes, read again.
    ///
    /// # Errors
    /// [`Error::Shelf`] when the disk does not give back what it took.
    pub fn take_down(&self) -> Result<Vec<u8>> {
        match &self.0 {
            Place::Memory(bytes) => Ok(bytes.to_vec()),
            Place::Disk { shelf, from, length } => {
                let mut bytes = vec![0; *length];
                let file =
                    shelf.file.as_ref().ok_or_else(|| Error::Shelf { source: io::ErrorKind::NotFound.into() })?;
                file.read_exact_at(&mut bytes, *from).map_err(|source| Error::Shelf { source })?;
                Ok(bytes)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_found_again_whichever_thread_put_it_up_and_no_file_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::in_one_of([folder.path()]);
        let bytes = |number: u8| vec![number; 1000 + 37 * usize::from(number)];
        let shelved: Vec<Shelved> = std::thread::scope(|threads| {
            let put = |number| {
                threads.spawn({
                    let shelf = &shelf;
                    move || shelf.put(bytes(number))
                })
            };
            let running: Vec<_> = (0..20).map(put).collect();
            running.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        for (number, shelved) in shelved.iter().enumerate() {
            assert!(matches!(shelved.0, Place::Disk { .. }));
            assert_eq!(shelved.take_down().unwrap(), bytes(number as u8));
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn without_a_disk_memory_takes_what_cannot_be_made_again() {
        let shelf = Shelf::in_one_of([Path::new("/there/is/no/such/folder")]);
        assert!(shelf.put_if_there_is_room(&[1, 2]).is_none());
        assert_eq!(shelf.put(vec![1, 2, 3]).take_down().unwrap(), [1, 2, 3]);
    }

    #[test]
    fn the_second_folder_serves_when_the_first_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::in_one_of([Path::new("/there/is/no/such/folder"), folder.path()]);
        assert_eq!(shelf.put_if_there_is_room(&[7; 9]).unwrap().take_down().unwrap(), [7; 9]);
    }
}
