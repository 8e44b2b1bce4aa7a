//! Opens what the server hands out: a zip archive with the orthophoto, the surface and figures.
//!
//! Reading an entry to its end checks its CRC, so that a result that was damaged on the way is not taken.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use serde_json::Value;
use zip::{ZipArchive, result::ZipError};

use super::{Error, Result};

const ORTHOPHOTO: &str = "odm_orthophoto/odm_orthophoto.tif";
const DSM: &str = "odm_dem/dsm.tif";
const STATISTICS: &str = "odm_report/stats.json";
const SHOTS: &str = "odm_report/shots.geojson";

/// The files that are asked of the server, so that it leaves point clouds and meshes out.
pub const OUTPUTS: [&str; 4] = [ORTHOPHOTO, DSM, STATISTICS, SHOTS];

/// What a result holds.
pub struct Returned {
    pub orthophoto: PathBuf,
    pub dsm: Option<PathBuf>,
    /// OpenSfM's statistics with those of ODM.
    pub statistics: Option<Value>,
    /// The cameras after the adjustment, as GeoJSON.
    pub shots: Option<Value>,
}

/// Takes what polder uses out of the archive, into a folder.
///
/// # Errors
/// [`Error::Download`] when the archive is damaged, [`Error::NoOrthophoto`] with what is in it instead, [`Error::File`].
pub fn unpack(task: &str, archive: &Path, folder: &Path) -> Result<Returned> {
    let damaged = |reason: String| Error::Download { task: task.to_owned(), reason };
    let file = File::open(archive).map_err(Error::file(archive))?;
    let mut zip = ZipArchive::new(file).map_err(|error| damaged(format!("it is no whole zip archive ({error})")))?;
    fs::create_dir_all(folder).map_err(Error::file(folder))?;
    let mut take = |name: &str| -> Result<Option<PathBuf>> {
        let mut entry = match zip.by_name(name) {
            Ok(entry) => entry,
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(error) => return Err(damaged(format!("{name}: {error}"))),
        };
        let path = folder.join(name.replace('/', "-"));
        let mut out = File::create(&path).map_err(Error::file(&path))?;
        io::copy(&mut entry, &mut out).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput => {
                damaged(format!("{name}: {error}"))
            }
            _ => Error::file(&path)(error),
        })?;
        Ok(Some(path))
    };
    let (orthophoto, dsm) = (take(ORTHOPHOTO)?, take(DSM)?);
    let (statistics, shots) = (take(STATISTICS)?, take(SHOTS)?);
    let [statistics, shots] = [statistics, shots].map(|path| path.as_deref().and_then(read_json));
    let Some(orthophoto) = orthophoto else {
        let names: Vec<&str> = zip.file_names().take(8).collect();
        let has = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
        return Err(Error::NoOrthophoto { task: task.to_owned(), has });
    };
    Ok(Returned { orthophoto, dsm, statistics, shots })
}

/// Figures that cannot be read are as if they were not there: the picture counts.
fn read_json(path: &Path) -> Option<Value> {
    let value = serde_json::from_slice(&fs::read(path).ok()?);
    value.inspect_err(|error| tracing::warn!("{} is no JSON: {error}", path.display())).ok()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

    use super::*;

    fn archive(folder: &Path, files: &[(&str, &[u8])]) -> PathBuf {
        let path = folder.join("all.zip");
        let mut zip = ZipWriter::new(File::create(&path).unwrap());
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        for (name, bytes) in files {
            zip.start_file(*name, options).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap();
        path
    }

    #[test]
    fn what_is_there_is_taken_and_what_is_not_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path =
            archive(folder.path(), &[(ORTHOPHOTO, b"pixels"), (SHOTS, b"{\"features\":[]}"), (STATISTICS, b"{")]);
        let returned = unpack("1", &path, &folder.path().join("out")).unwrap();
        assert_eq!(fs::read(returned.orthophoto).unwrap(), b"pixels");
        assert!(returned.dsm.is_none() && returned.statistics.is_none());
        assert_eq!(returned.shots.unwrap()["features"], serde_json::json!([]));
    }

    #[test]
    fn an_archive_without_orthophoto_says_what_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = archive(folder.path(), &[("log.json", b"{}")]);
        let error = unpack("1", &path, folder.path()).err().unwrap().to_string();
        assert!(error.contains("log.json"), "{error}");
    }

    #[test]
    fn a_damaged_archive_is_found_by_its_sums() {
        let folder = tempfile::tempdir().unwrap();
        let path = archive(folder.path(), &[(ORTHOPHOTO, b"pixels pixels pixels")]);
        let mut bytes = fs::read(&path).unwrap();
        let at = bytes.windows(6).position(|window| window == b"pixels").unwrap();
        bytes[at] = b'P';
        fs::write(&path, &bytes).unwrap();
        assert!(matches!(unpack("1", &path, folder.path()), Err(Error::Download { .. })));
        fs::write(&path, &bytes[..bytes.len() - 30]).unwrap();
        assert!(matches!(unpack("1", &path, folder.path()), Err(Error::Download { .. })));
    }
}
