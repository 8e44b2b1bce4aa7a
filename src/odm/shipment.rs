//! What goes to the server: the photos under names that ODM takes, and the surveyed points.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};
use sha2::{Digest as _, Sha256};

use super::{Error, Result, http::Content};
use crate::{
    photogrammetry::{Gcp, PhotoInput, Role},
    spatial::{Crs, Projection},
};

/// ODM takes any text file with this name for its control points.
const GCP_LIST: &str = "gcp_list.txt";
/// The multipart field of a file.
const FIELD: &str = "images";
/// Files with other endings are no photos to ODM.
const ENDINGS: [&str; 4] = ["jpg", "jpeg", "tif", "tiff"];

/// One file to upload.
#[derive(Clone)]
pub struct Parcel {
    /// Its name on the server.
    pub name: String,
    pub content: Content,
}

/// All of them.
pub struct Shipment {
    pub parcels: Vec<Parcel>,
    /// Names on the server to names of photos.
    photos: BTreeMap<String, String>,
    control: String,
}

impl Shipment {
    /// Names the photos for the server and writes the control points that they show.
    ///
    /// # Errors
    /// [`Error::File`] when a photo cannot be read; [`Error::Spatial`] when a point lies outside its UTM zone.
    pub fn of(photos: &[PhotoInput], gcps: &[Gcp]) -> Result<Self> {
        let mut taken = BTreeSet::from([GCP_LIST.to_owned()]);
        let mut parcels = Vec::new();
        let mut names = BTreeMap::new();
        for photo in photos {
            let name = server_name(photo, &mut taken).map_err(Error::file(&photo.path))?;
            names.insert(name.clone(), photo.name.clone());
            let content = Content::File { field: FIELD, name: name.clone(), path: photo.path.clone() };
            parcels.push(Parcel { name, content });
        }
        let control = control_list(gcps, &names)?;
        if !control.is_empty() {
            let name = GCP_LIST.to_owned();
            let content = Content::Text { field: FIELD, name: name.clone(), text: control.clone() };
            parcels.push(Parcel { name, content });
        }
        Ok(Self { parcels, photos: names, control })
    }

    /// The photo that the server knows under a name.
    pub fn photo(&self, name: &str) -> Option<&str> {
        self.photos.get(name).map(String::as_str)
    }

    /// A name for this shipment and whatever else the result depends on: a hash of all the bytes.
    ///
    /// # Errors
    /// [`Error::File`] when a photo cannot be read.
    pub fn key(&self, beside: &str) -> Result<String> {
        let digest = |parcel: &Parcel| match &parcel.content {
            Content::File { path, .. } => digest_of(path).map_err(Error::file(path)),
            _ => Ok([0; 32]),
        };
        let digests: Vec<[u8; 32]> = self.parcels.par_iter().map(digest).collect::<Result<_>>()?;
        let mut hash = Sha256::new();
        for (parcel, digest) in self.parcels.iter().zip(digests) {
            hash.update(parcel.name.as_bytes());
            hash.update(digest);
        }
        hash.update(self.control.as_bytes());
        hash.update(beside.as_bytes());
        Ok(hex::encode(&hash.finalize()[..16]))
    }
}

fn digest_of(path: &Path) -> io::Result<[u8; 32]> {
    let (mut file, mut hash, mut buffer) = (File::open(path)?, Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hash.finalize().into()),
            length => hash.update(&buffer[..length]),
        }
    }
}

/// A name without folders that no other photo has, of plain letters, with an ending that ODM knows.
fn server_name(photo: &PhotoInput, taken: &mut BTreeSet<String>) -> io::Result<String> {
    let plain = |text: &str| -> String {
        text.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' }).collect()
    };
    let last = photo.name.rsplit(['/', '\\']).next().unwrap_or(&photo.name);
    let ending = match Path::new(last).extension().and_then(|ending| ending.to_str()) {
        Some(ending) if ENDINGS.contains(&ending.to_ascii_lowercase().as_str()) => String::new(),
        _ => format!(".{}", ending_of(&photo.path)?),
    };
    // Two folders of one flight often hold photos of the same names.
    let candidates = [plain(last), plain(&photo.name)].into_iter().map(|name| name + &ending);
    let numbered = (2..).map(|number| format!("{number}_{}{ending}", plain(&photo.name)));
    let mut names = candidates.chain(numbered);
    let name = names.find(|name| taken.insert(name.to_ascii_lowercase())).expect("numbers do not end");
    Ok(name)
}

fn ending_of(path: &Path) -> io::Result<&'static str> {
    let mut start = [0; 2];
    File::open(path)?.read_exact(&mut start)?;
    Ok(if start == [0xff, 0xd8] { "jpg" } else { "tif" })
}

/// Writes `gcp_list.txt`, in metres of the UTM zone, under the names that the photos have on the server.
///
/// Check points are left out: ODM would adjust onto them. Empty when no photo shows a point.
fn control_list(gcps: &[Gcp], names: &BTreeMap<String, String>) -> Result<String> {
    let places = gcps.iter().filter(|gcp| gcp.role == Role::Control).filter_map(|gcp| Some((gcp, gcp.lonlat()?)));
    let Some((_, first)) = places.clone().next() else { return Ok(String::new()) };
    let last = |name: &str| name.rsplit(['/', '\\']).next().unwrap_or(name).to_ascii_lowercase();
    let served: BTreeMap<String, &String> = names.iter().map(|(server, photo)| (last(photo), server)).collect();
    let crs = Crs::utm_at(first);
    let to_utm = Projection::new(Crs::WGS84, crs)?;
    let mut lines = String::new();
    for (gcp, lonlat) in places {
        let [x, y] = to_utm.forward(lonlat)?;
        for (photo, [column, row]) in &gcp.marks {
            let Some(photo) = served.get(&last(photo)) else { continue };
            let name = gcp.name.replace(char::is_whitespace, "_");
            writeln!(lines, "{x:.4} {y:.4} {:.4} {column:.3} {row:.3} {photo} {name}", gcp.height_m)
                .expect("writing to a string cannot fail");
        }
    }
    Ok(if lines.is_empty() { lines } else { format!("{crs}\n{lines}") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raster::PhotoMetadata;

    fn photos(folder: &Path, names: &[&str]) -> Vec<PhotoInput> {
        let photo = |(index, name): (usize, &&str)| {
            let path = folder.join(index.to_string());
            std::fs::write(&path, [0xff, 0xd8, index as u8]).unwrap();
            PhotoInput { name: (*name).to_owned(), path, metadata: PhotoMetadata::default() }
        };
        names.iter().enumerate().map(photo).collect()
    }

    fn names(shipment: &Shipment) -> Vec<&str> {
        shipment.parcels.iter().map(|parcel| parcel.name.as_str()).collect()
    }

    #[test]
    fn every_photo_has_a_name_of_its_own_that_odm_takes() {
        let folder = tempfile::tempdir().unwrap();
        let photos = photos(folder.path(), &["a/DJI_1.JPG", "b/dji_1.jpg", "b/dji_1.jpg", "one two.tif", "dji-7"]);
        let shipment = Shipment::of(&photos, &[]).unwrap();
        assert_eq!(names(&shipment), ["DJI_1.JPG", "b_dji_1.jpg", "2_b_dji_1.jpg", "one_two.tif", "dji-7.jpg"]);
        assert_eq!(shipment.photo("b_dji_1.jpg"), Some("b/dji_1.jpg"));
        assert_eq!(shipment.photo("b_dji_1_.jpg"), None);
    }

    #[test]
    fn control_points_go_along_in_metres_and_check_points_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let photos = photos(folder.path(), &["a/one.jpg", "b/one.JPG"]);
        let point = |name: &str, role, photo: &str| Gcp {
            name: name.to_owned(),
            crs: Crs::WGS84,
            xy: [3.0, 52.0],
            height_m: 1.5,
            role,
            marks: vec![(photo.to_owned(), [10.0, 20.5]), ("elsewhere.jpg".to_owned(), [1.0, 1.0])],
        };
        let gcps = [point("p 1", Role::Control, "ONE.jpg"), point("p2", Role::Check, "one.jpg")];
        let shipment = Shipment::of(&photos[..1], &gcps).unwrap();
        assert_eq!(names(&shipment), ["one.jpg", GCP_LIST]);
        let lines: Vec<&str> = shipment.control.lines().collect();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert_eq!(lines[0], "EPSG:32631");
        // The central meridian of zone 31 has easting 500 km.
        assert!(
            lines[1].starts_with("500000.0000 57") && lines[1].ends_with(" 1.5000 10.000 20.500 one.jpg p_1"),
            "{lines:?}"
        );
    }

    #[test]
    fn other_bytes_or_options_are_another_shipment() {
        let folder = tempfile::tempdir().unwrap();
        let photos = photos(folder.path(), &["one.jpg", "two.jpg"]);
        let key = |photos: &[PhotoInput], beside: &str| Shipment::of(photos, &[]).unwrap().key(beside).unwrap();
        let first = key(&photos, "dsm");
        assert_eq!(first, key(&photos, "dsm"));
        assert_ne!(first, key(&photos, "no dsm"));
        std::fs::write(&photos[1].path, [0xff, 0xd8, 9]).unwrap();
        assert_ne!(first, key(&photos, "dsm"));
    }
}
