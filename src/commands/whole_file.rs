//! Writes a file that is there whole or not at all.

use std::{
    fs::{self, File},
    io::{BufWriter, Write as _},
    os::fd::AsRawFd as _,
    path::Path,
};

use anyhow::Context as _;
use rustix::fs::{AtFlags, CWD, linkat};

/// Writes to a file without a name, and gives it one when everything is written; what was there before is replaced.
///
/// A process that is stopped or killed before leaves nothing, not even a temporary file. A pipe or a device is written as it is.
pub(super) fn write_whole(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    if path.exists() && !path.is_file() {
        let mut out = BufWriter::new(File::options().write(true).open(path)?);
        write(&mut out)?;
        return Ok(out.flush()?);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut out = BufWriter::new(tempfile::tempfile_in(folder)?);
    write(&mut out)?;
    let file = out.into_inner().context("cannot write the rest")?;
    file.sync_all()?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = folder.join(format!(".{name}.{}", std::process::id()));
    // A link does not replace, a rename does.
    match linkat(CWD, format!("/proc/self/fd/{}", file.as_raw_fd()), CWD, &beside, AtFlags::SYMLINK_FOLLOW) {
        Ok(()) => Ok(fs::rename(&beside, path)?),
        // Where the system has no files without a name, `tempfile` took the name away: the bytes are copied.
        Err(_) => copied(file, folder, path),
    }
}

fn copied(mut file: File, folder: &Path, path: &Path) -> anyhow::Result<()> {
    use std::io::Seek as _;
    file.rewind()?;
    let mut named = tempfile::NamedTempFile::new_in(folder)?;
    std::io::copy(&mut file, &mut named)?;
    named.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_what_fails_leaves_the_old_one_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.geojson");
        write_whole(&path, |out| Ok(out.write_all(b"first")?)).unwrap();
        let failed = write_whole(&path, |out| {
            out.write_all(b"sec")?;
            anyhow::bail!("stopped")
        });
        assert!(failed.is_err());
        assert_eq!(fs::read(&path).unwrap(), b"first");
        write_whole(&path, |out| Ok(out.write_all(b"second")?)).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn a_folder_that_does_not_exist_is_an_error() {
        assert!(write_whole(Path::new("/nowhere/at/all"), |_| Ok(())).is_err());
    }
}
