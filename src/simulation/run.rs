//! Simulates a whole flight into a folder.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use serde::Serialize;

use super::{
    CLASSES, Error, Landscape, Result,
    camera::Camera,
    canvas::{Canvas, Frame},
    exif,
    flight::{self, Layout, Shot},
    photo::Studio,
    site::Site,
    truth,
};
use crate::raster::encode_jpeg;

/// How well the drone knows where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Gps {
    /// A position that wanders by 1.2 m, and altitudes with one unknown offset.
    Standard,
    /// Two centimetres, said so in the XMP.
    Rtk,
}

/// What to simulate.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder for `images/`, `truth/` and `gcp_list.txt`; made when missing.
    pub out: PathBuf,
    pub seed: u64,
    pub photos: usize,
    /// Size of a photo in pixels.
    pub width: usize,
    pub height: usize,
    /// Ground sampling distance on the land, in metres; it sets the flying height.
    pub gsd_m: f64,
    pub gps: Gps,
}

impl Default for Options {
    fn default() -> Self {
        Self { out: PathBuf::from("flight"), seed: 1, photos: 24, width: 1600, height: 1200, gsd_m: 0.03, gps: Gps::Standard }
    }
}

/// What was made.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    pub seed: u64,
    pub gps: Gps,
    pub photos: usize,
    pub gsd_m: f64,
    pub height_above_ground_m: f64,
    /// Coordinate system of the truth, `EPSG:32631`.
    pub crs: String,
    /// Planted objects of each class.
    pub objects: BTreeMap<String, usize>,
    pub gcps: usize,
    pub check_points: usize,
    pub images: PathBuf,
    pub truth: PathBuf,
    pub gcp_list: PathBuf,
    /// Wall time.
    pub elapsed_s: f64,
}

/// Points of the canvas for each pixel on the ground.
const CELL_SHARE: f64 = 0.75;
/// Eight bytes each: 4 GB.
const MOST_POINTS: f64 = 5e8;

/// Makes the photos of a flight, and the truth beside them.
///
/// Takes about half a CPU-second for a photo of two megapixels and ten for the land under 24 of them; eight
/// bytes of memory for each square of three quarters of the GSD.
///
/// # Errors
/// [`Error::Options`] for a flight that cannot be, [`Error::FolderInUse`] when the folder holds other photos,
/// [`Error::Write`] when the disk is full. Photos that were written by then stay; running it again completes them.
pub fn simulate(options: &Options) -> Result<Summary> {
    simulate_with_progress(options, &|_| {})
}

/// Does what [`simulate`] does and calls `photo_done` after each photo with the number done.
///
/// # Errors
/// As [`simulate`].
pub fn simulate_with_progress(options: &Options, photo_done: &dyn Fn(usize)) -> Result<Summary> {
    check(options)?;
    let started = Instant::now();
    let camera = Camera::of(options.seed, options.width, options.height);
    let layout = Layout::of(options.photos, &camera, options.gsd_m);
    let landscape = Landscape::new(options.seed, layout.well_seen_m());
    let site = Site::new()?;
    let shots = flight::fly(options.seed, &landscape, &layout, options.gps, &site);
    let folders = make_folders(&options.out, &shots)?;

    let frame = frame(&landscape, &camera, &shots, options.gsd_m * CELL_SHARE);
    if frame.width as f64 * frame.height as f64 > MOST_POINTS {
        return Err(Error::Options("the land under it would need over 4 GB: take fewer photos or a coarser GSD".to_owned()));
    }
    let canvas = Canvas::of(&landscape, frame);
    let studio = Studio::new(&canvas, &camera, options.seed);
    for (index, shot) in shots.iter().enumerate() {
        let jpeg = encode_jpeg(&studio.photograph(shot, index as u32), 90)?;
        write_whole(&folders.images.join(&shot.name), &exif::annotate(&jpeg, shot, &camera)?)?;
        photo_done(index + 1);
    }
    let scene = truth::Scene {
        seed: options.seed,
        gps: options.gps,
        gsd_m: options.gsd_m,
        layout: &layout,
        landscape: &landscape,
        camera: &camera,
        shots: &shots,
        site: &site,
        canvas: &canvas,
        studio: &studio,
    };
    let gcp_list = options.out.join("gcp_list.txt");
    let counts = truth::write(&scene, &folders.truth, &gcp_list)?;
    let count = |class: &&str| landscape.objects().iter().filter(|object| object.class == *class).count();
    Ok(Summary {
        seed: options.seed,
        gps: options.gps,
        photos: shots.len(),
        gsd_m: options.gsd_m,
        height_above_ground_m: layout.height_m,
        crs: site.crs.to_string(),
        objects: CLASSES.iter().map(|class| ((*class).to_owned(), count(class))).collect(),
        gcps: counts.gcps,
        check_points: counts.check_points,
        images: folders.images,
        truth: folders.truth,
        gcp_list,
        elapsed_s: started.elapsed().as_secs_f64(),
    })
}

fn check(options: &Options) -> Result<()> {
    let refuse = |reason: &str| Err(Error::Options(reason.to_owned()));
    if !(1..=2000).contains(&options.photos) {
        return refuse("take 1 to 2000 photos");
    }
    if !(64..=12_000).contains(&options.width) || !(64..=12_000).contains(&options.height) {
        return refuse("photos are 64 to 12000 pixels wide and high");
    }
    if !(0.005..=0.25).contains(&options.gsd_m) {
        return refuse("the ground sampling distance is 0.005 to 0.25 metres");
    }
    Ok(())
}

struct Folders {
    images: PathBuf,
    truth: PathBuf,
}

fn make_folders(out: &Path, shots: &[Shot]) -> Result<Folders> {
    let folders = Folders { images: out.join("images"), truth: out.join("truth") };
    for folder in [&folders.images, &folders.truth] {
        fs::create_dir_all(folder).map_err(|source| Error::Write { path: folder.clone(), source })?;
    }
    let entries = fs::read_dir(&folders.images).map_err(|source| Error::Write { path: folders.images.clone(), source })?;
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && !shots.iter().any(|shot| shot.name == name) {
            return Err(Error::FolderInUse { folder: folders.images, example: name });
        }
    }
    Ok(folders)
}

/// Returns the canvas that all photos together see, along the dike.
fn frame(landscape: &Landscape, camera: &Camera, shots: &[Shot], cell: f64) -> Frame {
    /// Below every ditch, and a little to spare at the sides.
    const DEEPEST_M: f64 = -2.0;
    const SPARE_M: f64 = 0.5;
    let axis = landscape.axis();
    let (w, h) = (camera.width as f64, camera.height as f64);
    let border = [[0.0, 0.0], [w / 2.0, 0.0], [w, 0.0], [w, h / 2.0], [w, h], [w / 2.0, h], [0.0, h], [0.0, h / 2.0]];
    let (mut low, mut high) = ([f64::MAX; 2], [f64::MIN; 2]);
    for shot in shots {
        let [right, down, forward] = shot.pose.axes();
        for [u, v] in border.map(|pixel| camera.ray(pixel)) {
            let ray: [f64; 3] = std::array::from_fn(|i| right[i] * u + down[i] * v + forward[i]);
            let length = (shot.pose.enu[2] - DEEPEST_M) / -ray[2];
            let (e, n) = (shot.pose.enu[0] + ray[0] * length, shot.pose.enu[1] + ray[1] * length);
            for (i, at) in [e * axis[0] + n * axis[1], n * axis[0] - e * axis[1]].into_iter().enumerate() {
                low[i] = low[i].min(at - SPARE_M);
                high[i] = high[i].max(at + SPARE_M);
            }
        }
    }
    let points = |i: usize| ((high[i] - low[i]) / cell).ceil() as usize + 1;
    let (along, across) = (low[0], high[1]);
    let origin = [along * axis[0] - across * axis[1], along * axis[1] + across * axis[0]];
    Frame { origin, axis, cell, width: points(0), height: points(1) }
}

/// Writes a file so that it is there whole or not at all.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let partial = path.with_file_name(format!(".{name}.partial"));
    fs::write(&partial, bytes)
        .and_then(|()| fs::rename(&partial, path))
        .inspect_err(|_| drop(fs::remove_file(&partial)))
        .map_err(|source| Error::Write { path: path.to_owned(), source })
}
