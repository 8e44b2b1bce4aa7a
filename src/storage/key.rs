//! The name of every object that polder writes. No other module builds a key.
//!
//! A key is made of parts that people choose (project, flight, photo name) and parts that polder chooses (run,
//! extension). [`ObjectKey::path`] checks the former: a part is never empty, never has a slash or a control
//! character and is never `.` or `..`, so no part can reach out of its folder, in S3 or in a copy on a disk.

use std::fmt;

use crate::catalog::Layer;

/// The longest part of a key, in bytes: what file systems allow, so that a bucket can be copied to a disk.
const LONGEST_PART: usize = 255;

/// How many hexadecimal digits of the SHA-256 go into a key where the store keeps no versions: 64 bits, so that
/// two contents of one name never meet.
const HASH_DIGITS: usize = 16;

/// One object, by what it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ObjectKey {
    /// A photo as the camera wrote it, under the name that the camera gave.
    Photo { project: String, flight: String, name: String },
    /// The orthophoto of a flight, a COG.
    Orthophoto { project: String, flight: String, run: String },
    /// The surface model made with the orthophoto.
    Dsm { project: String, flight: String, run: String },
    /// The terrain model: the surface without what stands on it.
    Dtm { project: String, flight: String, run: String },
    /// Where the cameras were, so that a place on the ground is found in the photos.
    Cameras { project: String, flight: String, run: String },
    /// What the stitcher has to say about its work.
    Report { project: String, flight: String, run: String },
    /// The same as a page for people.
    ReportPage { project: String, flight: String, run: String },
    /// A small picture of the orthophoto.
    Thumbnail { project: String, flight: String, run: String },
    /// The findings of one detection run, as GeoJSON.
    Detections { project: String, flight: String, run: String },
    /// A picture of the orthophoto with the findings drawn on it.
    AnnotatedJpeg { project: String, flight: String, run: String },
    /// The weights of one version of a detector.
    Model { name: String, version: String },
    /// The card of one version of a detector: classes, training data, licence.
    ModelCard { name: String, version: String },
    /// What else belongs to one version of a detector: figures, curves.
    ModelFile { name: String, version: String, file: String },
    /// The manifest of a data set, named by its own SHA-256.
    DatasetManifest { name: String, sha256: String },
    /// The labels of a data set, likewise.
    DatasetLabels { name: String, sha256: String },
    /// A picture that came with labels from elsewhere, likewise; data sets share them.
    DatasetImage { sha256: String, extension: String },
}

/// Why a key cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot use {part:?} as a {what}: {reason}")]
pub struct KeyError {
    /// What the part names, as `project`.
    pub what: &'static str,
    /// The part itself.
    pub part: String,
    pub reason: &'static str,
}

impl ObjectKey {
    /// Returns the layer whose bucket this object belongs in.
    pub const fn layer(&self) -> Layer {
        match self {
            Self::Photo { .. } => Layer::Raw,
            Self::Orthophoto { .. }
            | Self::Dsm { .. }
            | Self::Dtm { .. }
            | Self::Cameras { .. }
            | Self::Report { .. }
            | Self::ReportPage { .. }
            | Self::Thumbnail { .. } => Layer::Ortho,
            Self::Detections { .. } | Self::AnnotatedJpeg { .. } => Layer::Results,
            Self::Model { .. }
            | Self::ModelCard { .. }
            | Self::ModelFile { .. }
            | Self::DatasetManifest { .. }
            | Self::DatasetLabels { .. }
            | Self::DatasetImage { .. } => Layer::Models,
        }
    }

    /// Returns the key, as `projects/dijk-a/flight-2025/image_001.tiff`.
    ///
    /// # Errors
    /// [`KeyError`] names the part that cannot be used. Projects, flights, runs, models and versions are letters,
    /// digits, `-`, `_` and `.`; a photo's name may have any printable character but `/`.
    pub fn path(&self) -> Result<String, KeyError> {
        match self {
            Self::Photo { project, flight, name } => {
                Ok(format!("{}{}", flight_prefix(project, flight)?, photo_name(name)?))
            }
            Self::Orthophoto { project, flight, run } => in_flight(project, flight, "ortho", run, "tif"),
            Self::Dsm { project, flight, run } => in_flight(project, flight, "ortho", run, "dsm.tif"),
            Self::Dtm { project, flight, run } => in_flight(project, flight, "ortho", run, "dtm.tif"),
            Self::Cameras { project, flight, run } => in_flight(project, flight, "ortho", run, "cameras.json"),
            Self::Report { project, flight, run } => in_flight(project, flight, "ortho", run, "report.json"),
            Self::ReportPage { project, flight, run } => in_flight(project, flight, "ortho", run, "report.html"),
            Self::Thumbnail { project, flight, run } => in_flight(project, flight, "ortho", run, "thumbnail.jpg"),
            Self::Detections { project, flight, run } => in_flight(project, flight, "detections", run, "geojson"),
            Self::AnnotatedJpeg { project, flight, run } => in_flight(project, flight, "detections", run, "jpg"),
            Self::Model { name, version } => in_model(name, version, "torchscript"),
            Self::ModelCard { name, version } => in_model(name, version, "md"),
            Self::ModelFile { name, version, file } => Ok(format!(
                "models/{}/{}/files/{}",
                plain("model name", name)?,
                plain("model version", version)?,
                plain("file name", file)?
            )),
            Self::DatasetManifest { name, sha256 } => in_dataset(name, "manifest", sha256),
            Self::DatasetLabels { name, sha256 } => in_dataset(name, "labels", sha256),
            Self::DatasetImage { sha256, extension } => {
                let (hash, extension) = (plain("hash", sha256)?, plain("extension", extension)?);
                Ok(format!("datasets/images/{}/{hash}.{extension}", &hash[..hash.len().min(2)]))
            }
        }
    }

    /// Returns the key with the start of the content's SHA-256 in front of the last extension.
    ///
    /// This is the key in a store that keeps no versions: another content gets another key, so that what a
    /// data set has pinned is never overwritten.
    ///
    /// # Errors
    /// As [`ObjectKey::path`].
    pub fn path_with_content(&self, sha256: &str) -> Result<String, KeyError> {
        let path = self.path()?;
        let hash = &sha256[..HASH_DIGITS.min(sha256.len())];
        let name = path.rfind('/').map_or(0, |slash| slash + 1);
        Ok(match path[name..].rfind('.').filter(|dot| *dot > 0) {
            Some(dot) => format!("{}.{hash}{}", &path[..name + dot], &path[name + dot..]),
            None => format!("{path}.{hash}"),
        })
    }
}

/// Returns the prefix of all keys of a flight, with the slash that ends it.
///
/// # Errors
/// [`KeyError`] when the project or the flight cannot be part of a key.
pub fn flight_prefix(project: &str, flight: &str) -> Result<String, KeyError> {
    Ok(format!("projects/{}/{}/", plain("project", project)?, plain("flight", flight)?))
}

fn in_flight(project: &str, flight: &str, kind: &str, run: &str, extension: &str) -> Result<String, KeyError> {
    Ok(format!("{}{kind}-{}.{extension}", flight_prefix(project, flight)?, plain("run", run)?))
}

fn in_model(name: &str, version: &str, extension: &str) -> Result<String, KeyError> {
    let name = plain("model name", name)?;
    Ok(format!("models/{name}/{}/{name}.{extension}", plain("model version", version)?))
}

fn in_dataset(name: &str, kind: &str, sha256: &str) -> Result<String, KeyError> {
    let hash = plain("hash", sha256)?;
    Ok(format!("datasets/sets/{}/{kind}-{}.json", plain("data set name", name)?, &hash[..hash.len().min(HASH_DIGITS)]))
}

fn plain<'a>(what: &'static str, part: &'a str) -> Result<&'a str, KeyError> {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !part.chars().all(allowed) {
        return Err(KeyError { what, part: part.to_owned(), reason: "use letters, digits, '-', '_' and '.'" });
    }
    checked(what, part)
}

fn photo_name(part: &str) -> Result<&str, KeyError> {
    if part.contains(|c: char| c == '/' || c.is_control()) {
        let reason = "it has a slash or a control character";
        return Err(KeyError { what: "photo name", part: part.to_owned(), reason });
    }
    checked("photo name", part)
}

fn checked<'a>(what: &'static str, part: &'a str) -> Result<&'a str, KeyError> {
    let reason = match part {
        "" => "it is empty",
        "." | ".." => "it names a folder",
        _ if part.len() > LONGEST_PART => "it is longer than 255 bytes",
        _ => return Ok(part),
    };
    Err(KeyError { what, part: part.to_owned(), reason })
}

impl fmt::Display for ObjectKey {
    /// Writes the key, or what is wrong with it; for messages only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path() {
            Ok(path) => f.write_str(&path),
            Err(error) => write!(f, "({error})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn photo(name: &str) -> ObjectKey {
        ObjectKey::Photo { project: "dijk-a".into(), flight: "flight-2025".into(), name: name.into() }
    }

    #[test]
    fn uses_the_layout_that_drone_tooling_knows() {
        assert_eq!(photo("image_001.tiff").path().unwrap(), "projects/dijk-a/flight-2025/image_001.tiff");
    }

    #[test]
    fn names_everything_that_a_run_leaves() {
        let (project, flight, run) = ("p".to_owned(), "f".to_owned(), "r1".to_owned());
        let keys = [
            ObjectKey::Orthophoto { project: project.clone(), flight: flight.clone(), run: run.clone() },
            ObjectKey::Dsm { project: project.clone(), flight: flight.clone(), run: run.clone() },
            ObjectKey::Dtm { project: project.clone(), flight: flight.clone(), run: run.clone() },
            ObjectKey::Cameras { project: project.clone(), flight: flight.clone(), run: run.clone() },
            ObjectKey::Report { project: project.clone(), flight: flight.clone(), run: run.clone() },
            ObjectKey::ReportPage { project: project.clone(), flight: flight.clone(), run: run.clone() },
            ObjectKey::Thumbnail { project: project.clone(), flight: flight.clone(), run: run.clone() },
            ObjectKey::Detections { project: project.clone(), flight: flight.clone(), run: run.clone() },
            ObjectKey::AnnotatedJpeg { project, flight, run },
            ObjectKey::Model { name: "tiny".into(), version: "1.0".into() },
            ObjectKey::ModelCard { name: "tiny".into(), version: "1.0".into() },
            ObjectKey::ModelFile { name: "tiny".into(), version: "1.0".into(), file: "pr.svg".into() },
            ObjectKey::DatasetManifest { name: "dijk".into(), sha256: "0123456789abcdef01".into() },
            ObjectKey::DatasetLabels { name: "dijk".into(), sha256: "0123456789abcdef01".into() },
            ObjectKey::DatasetImage { sha256: "0123".into(), extension: "jpg".into() },
        ];
        let paths: Vec<_> = keys.iter().map(|key| key.path().unwrap()).collect();
        assert_eq!(
            paths,
            [
                "projects/p/f/ortho-r1.tif",
                "projects/p/f/ortho-r1.dsm.tif",
                "projects/p/f/ortho-r1.dtm.tif",
                "projects/p/f/ortho-r1.cameras.json",
                "projects/p/f/ortho-r1.report.json",
                "projects/p/f/ortho-r1.report.html",
                "projects/p/f/ortho-r1.thumbnail.jpg",
                "projects/p/f/detections-r1.geojson",
                "projects/p/f/detections-r1.jpg",
                "models/tiny/1.0/tiny.torchscript",
                "models/tiny/1.0/tiny.md",
                "models/tiny/1.0/files/pr.svg",
                "datasets/sets/dijk/manifest-0123456789abcdef.json",
                "datasets/sets/dijk/labels-0123456789abcdef.json",
                "datasets/images/01/0123.jpg",
            ]
        );
    }

    #[test]
    fn takes_the_names_that_cameras_and_people_give() {
        for name in ["DJI 0001 (2).JPG", "één+twee.jpg", "100%20.tif", "😀.jpg", "a#b?c&d.jpg"] {
            assert_eq!(photo(name).path().unwrap(), format!("projects/dijk-a/flight-2025/{name}"));
        }
    }

    #[test]
    fn refuses_names_that_reach_out_of_their_folder() {
        for name in ["", ".", "..", "a/b.jpg", "a\u{0}.jpg", "a\n.jpg", &"x".repeat(256)] {
            assert!(photo(name).path().is_err(), "{name:?} was taken");
        }
        for project in ["", "..", "dijk a", "a/b", "a\\b", "a%2fb"] {
            let error = flight_prefix(project, "f").unwrap_err();
            assert_eq!(error.what, "project");
        }
    }

    #[test]
    fn puts_the_hash_before_the_last_extension() {
        let sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        let path = |name: &str| photo(name).path_with_content(sha256).unwrap();
        assert_eq!(path("a.b.jpg"), "projects/dijk-a/flight-2025/a.b.0123456789abcdef.jpg");
        assert_eq!(path("noextension"), "projects/dijk-a/flight-2025/noextension.0123456789abcdef");
        assert_eq!(path(".hidden"), "projects/dijk-a/flight-2025/.hidden.0123456789abcdef");
    }

    proptest! {
        #[test]
        fn a_key_has_exactly_the_folders_of_its_layout(project in ".{0,12}", flight in ".{0,12}", name in ".{0,12}") {
            let key = ObjectKey::Photo { project: project.clone(), flight: flight.clone(), name: name.clone() };
            if let Ok(path) = key.path() {
                prop_assert_eq!(path.split('/').collect::<Vec<_>>(), vec!["projects", &project, &flight, &name]);
                prop_assert!(path.split('/').all(|part| !part.is_empty() && part != "." && part != ".."));
            }
        }
    }
}
