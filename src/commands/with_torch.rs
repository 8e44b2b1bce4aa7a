//! Becoming the program that runs models.
//!
//! polder is linked twice from one source. `polder` starts in 40 ms; `polder-torch` first loads libtorch, which
//! takes 0.2 s more and 107 MB. `make build` puts the second behind the first in one file, which stays the one that
//! people copy about; where cargo alone built them, they lie beside each other.

use std::{
    env,
    ffi::CStr,
    fs::File,
    io::{Read as _, Seek as _, SeekFrom, copy},
    os::{fd::AsRawFd as _, unix::process::CommandExt as _},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;
use rustix::fs::{MemfdFlags, memfd_create};

/// The name of the other program, as cargo knows it.
const NAME: &str = "polder-torch";
/// How the file ends when the other program is in it (`scripts/whole.sh`): its length in 20 digits, and this.
const MARK: &[u8] = b" polder-torch";
const DIGITS: usize = 20;
const LABEL: &CStr = c"polder-torch";

/// Goes on as the program with libtorch, from the start and with the same arguments. Returns when there is none.
///
/// # Errors
/// When it is there and does not start.
pub(super) fn become_it() -> anyhow::Result<()> {
    let own = env::current_exe().context("cannot find this program")?;
    #[cfg(target_os = "linux")]
    if let Some(inner) = unpacked(&own).with_context(|| format!("cannot read {}", own.display()))? {
        return Err(start(Path::new(&format!("/proc/self/fd/{}", inner.as_raw_fd()))));
    }
    let beside = beside(&own);
    if beside.exists() { Err(start(&beside)) } else { Ok(()) }
}

fn beside(own: &Path) -> PathBuf {
    own.with_file_name(NAME)
}

/// Takes the program out of the end of a file, into memory; nothing when it has none.
#[cfg(target_os = "linux")]
fn unpacked(file: &Path) -> anyhow::Result<Option<File>> {
    let mut file = File::open(file)?;
    let end = (DIGITS + MARK.len()) as u64;
    let whole = file.metadata()?.len();
    if whole < end {
        return Ok(None);
    }
    let mut tail = vec![0; DIGITS + MARK.len()];
    file.seek(SeekFrom::Start(whole - end))?;
    file.read_exact(&mut tail)?;
    let Some(length) = tail.strip_suffix(MARK) else { return Ok(None) };
    let length: u64 = std::str::from_utf8(length)?.parse()?;
    let start = (whole - end).checked_sub(length).context("it was cut off")?;
    file.seek(SeekFrom::Start(start))?;
    let mut inner = File::from(memfd_create(LABEL, MemfdFlags::CLOEXEC)?);
    copy(&mut file.take(length), &mut inner)?;
    Ok(Some(inner))
}

/// Replaces this process; returns only why it could not.
fn start(program: &Path) -> anyhow::Error {
    let error = Command::new(program).arg0("polder").args(env::args_os().skip(1)).exec();
    anyhow::Error::new(error).context("cannot start the program with libtorch")
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _};

    use super::*;

    #[test]
    fn a_program_is_taken_out_of_the_end_of_a_file_byte_for_byte() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("polder");
        fs::write(&path, b"the first program").unwrap();
        assert!(unpacked(&path).unwrap().is_none());
        let second: Vec<u8> = (0..100_000_u32).map(|i| (i % 251) as u8).collect();
        let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(&second).unwrap();
        write!(file, "{:020} polder-torch", second.len()).unwrap();
        let mut inner = unpacked(&path).unwrap().unwrap();
        inner.rewind().unwrap();
        let mut found = Vec::new();
        inner.read_to_end(&mut found).unwrap();
        assert_eq!(found, second);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[50_000..]).unwrap();
        assert!(unpacked(&path).unwrap_err().to_string().contains("cut off"));
    }
}
