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
    photo::{Light, Studio},
    profile::{Conditions, Profile},
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
    /// What makes it harder than a standard flight; nothing does when empty.
    pub profiles: Vec<Profile>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            out: PathBuf::from("flight"),
            seed: 1,
            photos: 24,
            width: 1600,
            height: 1200,
            gsd_m: 0.03,
            gps: Gps::Standard,
            profiles: Vec::new(),
        }
    }
}

/// What was made.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    pub seed: u64,
    pub gps: Gps,
    pub profiles: Vec<Profile>,
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
const JPEG_QUALITY: u8 = 90;
/// Eight bytes each: 4 GB.
const MOST_POINTS: f64 = 5e8;

/// Makes the photos of a flight, and the truth beside them.
///
/// Takes a little over a CPU-second for a photo of two megapixels and twelve for the land under 24 of them (44 in
/// all, and 320 MB); the land takes eight bytes for each square of three quarters of the GSD.
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
    let plan = Plan::of(options)?;
    let folders = make_folders(&options.out)?;
    claim(&folders, &plan)?;

    let frame = frame(&plan, options.gsd_m * CELL_SHARE);
    if frame.width as f64 * frame.height as f64 > MOST_POINTS {
        return Err(Error::Options(
            "the land under it would need over 4 GB: take fewer photos or a coarser GSD".to_owned(),
        ));
    }
    let canvas = Canvas::of(&plan.landscape, frame);
    let light = Light { seed: options.seed as u32, falloff: plan.conditions.falloff, sun: plan.landscape.sun() };
    let studios: Vec<Studio<'_>> = plan.cameras.iter().map(|camera| Studio::new(&canvas, camera, light)).collect();
    for (index, shot) in plan.shots.iter().enumerate() {
        let jpeg = encode_jpeg(&studios[shot.camera].photograph(shot, index as u32), JPEG_QUALITY)?;
        write_whole(&folders.images.join(&shot.name), &exif::annotate(&jpeg, shot, &plan.cameras[shot.camera])?)?;
        photo_done(index + 1);
    }
    let gcp_list = options.out.join("gcp_list.txt");
    let scene = truth::Scene { plan: &plan, canvas: &canvas, studios: &studios };
    let counts = truth::write(&scene, &folders.truth, &gcp_list)?;
    let count = |class: &str| plan.landscape.objects().iter().filter(|object| object.class == class).count();
    Ok(Summary {
        seed: options.seed,
        gps: options.gps,
        profiles: options.profiles.clone(),
        photos: plan.shots.len(),
        gsd_m: options.gsd_m,
        height_above_ground_m: plan.layout.height_m,
        crs: plan.site.crs.to_string(),
        objects: CLASSES.iter().map(|class| ((*class).to_owned(), count(class))).collect(),
        gcps: counts.gcps,
        check_points: counts.check_points,
        images: folders.images,
        truth: folders.truth,
        gcp_list,
        elapsed_s: started.elapsed().as_secs_f64(),
    })
}

/// Everything that is decided before the first pixel.
pub(crate) struct Plan {
    pub seed: u64,
    pub gps: Gps,
    pub profiles: Vec<Profile>,
    pub gsd_m: f64,
    pub conditions: Conditions,
    /// The first is the one that the flight was planned for.
    pub cameras: Vec<Camera>,
    pub layout: Layout,
    pub landscape: Landscape,
    pub site: Site,
    pub shots: Vec<Shot>,
}

impl Plan {
    fn of(options: &Options) -> Result<Self> {
        let (seed, size) = (options.seed, [options.width, options.height]);
        let conditions = Conditions::of(seed, &options.profiles);
        let mut cameras = vec![Camera::of(seed, size[0], size[1])];
        if conditions.two_cameras {
            cameras.push(Camera::wider(seed, size[0], size[1]));
        }
        for camera in &mut cameras {
            camera.readout_s = conditions.readout_s;
        }
        let layout = Layout::of(options.photos, &cameras[0], options.gsd_m, conditions.overlap);
        let landscape = Landscape::of(seed, layout.well_seen_m(), conditions.pond);
        let site = Site::new()?;
        let shots = flight::fly(seed, &landscape, &layout, options.gps, &conditions, &site);
        Ok(Self {
            seed,
            gps: options.gps,
            profiles: options.profiles.clone(),
            gsd_m: options.gsd_m,
            conditions,
            cameras,
            layout,
            landscape,
            site,
            shots,
        })
    }
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

fn make_folders(out: &Path) -> Result<Folders> {
    let folders = Folders { images: out.join("images"), truth: out.join("truth") };
    for folder in [&folders.images, &folders.truth] {
        fs::create_dir_all(folder).map_err(|source| Error::Write { path: folder.clone(), source })?;
    }
    Ok(folders)
}

/// Writes the cameras first: they say which flight the folder belongs to, and no other may be written into it.
fn claim(folders: &Folders, plan: &Plan) -> Result<()> {
    let in_use = |example: String| Error::FolderInUse { folder: folders.images.clone(), example };
    let entries =
        fs::read_dir(&folders.images).map_err(|source| Error::Write { path: folders.images.clone(), source })?;
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && !plan.shots.iter().any(|shot| shot.name == name) {
            return Err(in_use(name));
        }
    }
    let path = folders.truth.join("cameras.json");
    let cameras = truth::cameras(plan)?;
    match fs::read(&path) {
        Ok(there) if there != cameras.as_bytes() => Err(in_use("the cameras in truth/ are others".to_owned())),
        Ok(_) => Ok(()),
        Err(_) => write_whole(&path, cameras.as_bytes()),
    }
}

/// Returns the canvas that all photos together see, along the dike.
fn frame(plan: &Plan, cell: f64) -> Frame {
    /// Below every ditch, and a little to spare at the sides.
    const DEEPEST_M: f64 = -2.0;
    const SPARE_M: f64 = 0.5;
    let axis = plan.landscape.axis();
    let (w, h) = (plan.cameras[0].width as f64, plan.cameras[0].height as f64);
    let border = [[0.0, 0.0], [w / 2.0, 0.0], [w, 0.0], [w, h / 2.0], [w, h], [w / 2.0, h], [0.0, h], [0.0, h / 2.0]];
    let (mut low, mut high) = ([f64::MAX; 2], [f64::MIN; 2]);
    for shot in &plan.shots {
        let camera = &plan.cameras[shot.camera];
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raster::{Raster, Window, read_metadata, read_photo};

    fn small(out: &Path, seed: u64) -> Options {
        Options {
            out: out.to_owned(),
            seed,
            photos: 6,
            width: 240,
            height: 180,
            gsd_m: 0.08,
            gps: Gps::Rtk,
            profiles: Vec::new(),
        }
    }

    fn digest(folder: &Path) -> BTreeMap<String, Vec<u8>> {
        let read =
            |entry: fs::DirEntry| (entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path()).unwrap());
        fs::read_dir(folder).unwrap().map(|entry| read(entry.unwrap())).collect()
    }

    #[test]
    fn the_same_options_give_the_same_files_on_any_number_of_threads() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        simulate(&small(a.path(), 4)).unwrap();
        let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        one.install(|| simulate(&small(b.path(), 4))).unwrap();
        for folder in ["images", "truth"] {
            assert!(digest(&a.path().join(folder)) == digest(&b.path().join(folder)), "{folder} differ");
        }
        assert_eq!(digest(&a.path().join("images")).len(), 6);
    }

    #[test]
    fn a_folder_keeps_the_flight_it_has() {
        let folder = tempfile::tempdir().unwrap();
        simulate(&small(folder.path(), 4)).unwrap();
        simulate(&small(folder.path(), 4)).unwrap();
        assert!(matches!(simulate(&small(folder.path(), 5)), Err(Error::FolderInUse { .. })));
        let fewer = Options { photos: 3, ..small(folder.path(), 4) };
        assert!(matches!(simulate(&fewer), Err(Error::FolderInUse { .. })));
    }

    /// A target looks the same when it is turned by half a turn about its middle.
    #[test]
    fn gcps_are_where_the_photos_show_them() {
        shows_gcps_where_it_says(Vec::new());
    }

    /// Three pixels of flight pass during the readout: whoever took one pose for all rows would be off by half of them.
    #[test]
    fn gcps_are_where_a_rolling_shutter_shows_them() {
        shows_gcps_where_it_says(vec![Profile::RollingShutter]);
    }

    fn shows_gcps_where_it_says(profiles: Vec<Profile>) {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { width: 640, height: 480, gsd_m: 0.03, photos: 9, profiles, ..small(folder.path(), 2) };
        let summary = simulate(&options).unwrap();
        let list = fs::read_to_string(&summary.gcp_list).unwrap();
        assert_eq!(list.lines().next(), Some("EPSG:32631"));
        let mut errors = Vec::new();
        for line in list.lines().skip(1) {
            let fields: Vec<&str> = line.split(' ').collect();
            let [px, py] = [3, 4].map(|i| fields[i].parse::<f64>().unwrap());
            let photo = read_photo(&summary.images.join(fields[5])).unwrap();
            errors.push(centre_of_symmetry(&photo, [px, py]).map(f64::abs));
        }
        assert!(errors.len() >= 3, "{list}");
        for axis in 0..2 {
            let mean = errors.iter().map(|error| error[axis]).sum::<f64>() / errors.len() as f64;
            assert!(mean < 0.3, "{errors:?}");
        }
    }

    /// Returns the offset, in quarters of a pixel up to two, about which a photo is most symmetric.
    fn centre_of_symmetry(photo: &crate::raster::Rgb8, [px, py]: [f64; 2]) -> [f64; 2] {
        let luma = |x: f64, y: f64| {
            let (x, y) = (x - 0.5, y - 0.5);
            let (u, v) = (x.fract(), y.fract());
            let at = |dx: usize, dy: usize| {
                photo.pixel(x as usize + dx, y as usize + dy).iter().map(|&c| f64::from(c)).sum::<f64>()
            };
            (at(0, 0) * (1.0 - u) + at(1, 0) * u) * (1.0 - v) + (at(0, 1) * (1.0 - u) + at(1, 1) * u) * v
        };
        let asymmetry = |[cx, cy]: [f64; 2]| {
            let offsets = (0..169).map(|i| (f64::from(i % 13) - 6.0, f64::from(i / 13) - 6.0));
            offsets.map(|(x, y)| (luma(cx + x, cy + y) - luma(cx - x, cy - y)).powi(2)).sum::<f64>()
        };
        let tries = (0..289).map(|i| [f64::from(i % 17) / 4.0 - 2.0, f64::from(i / 17) / 4.0 - 2.0]);
        tries.min_by(|a, b| asymmetry([px + a[0], py + a[1]]).total_cmp(&asymmetry([px + b[0], py + b[1]]))).unwrap()
    }

    #[test]
    fn the_truth_says_what_was_flown() {
        let folder = tempfile::tempdir().unwrap();
        let profiles = vec![Profile::RollingShutter, Profile::TwoCameras];
        let summary = simulate(&Options { profiles, ..small(folder.path(), 3) }).unwrap();
        let text = fs::read_to_string(summary.truth.join("cameras.json")).unwrap();
        let cameras: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(cameras["about"]["profiles"], serde_json::json!(["rolling-shutter", "two-cameras"]));
        let readout = cameras["cameras"][1]["readout_s"].as_f64().unwrap();
        assert!((0.02..0.03).contains(&readout) && cameras["camera"]["readout_s"].as_f64() == Some(readout));
        let second = cameras["photos"].as_array().unwrap().iter().find(|photo| photo["camera"] == 1).unwrap();
        assert!(second["motion"]["velocity_enu_mps"][0].is_f64(), "{second}");
        let photo = read_metadata(&summary.images.join(second["name"].as_str().unwrap())).unwrap();
        assert_eq!(photo.model.as_deref(), Some("POLDER-SIM-W"));
    }

    /// Over the wide pond two photos of one flight agree on no wave, only on where the sun is; the truth is calm.
    #[test]
    fn open_water_looks_different_in_each_photo_and_calm_in_the_truth() {
        let landscape = Landscape::of(3, [60.0, 60.0], true);
        let canvas_of = |centre: [f64; 2]| {
            let frame = Frame {
                origin: [centre[0] - 6.0, centre[1] + 6.0],
                axis: [1.0, 0.0],
                cell: 0.06,
                width: 200,
                height: 200,
            };
            Canvas::of(&landscape, frame)
        };
        let centre = landscape.pond_centre();
        let canvas = canvas_of(centre);
        let camera = Camera::of(3, 120, 90);
        let light = Light { seed: 3, falloff: 0.0, sun: landscape.sun() };
        let studio = Studio::new(&canvas, &camera, light);
        let pose = crate::simulation::camera::TruePose {
            enu: [centre[0], centre[1], 5.0],
            yaw_deg: 0.0,
            pitch_deg: -90.0,
            roll_deg: 0.0,
        };
        let options = Options { gps: Gps::Rtk, ..small(Path::new("nowhere"), 3) };
        let shot = Shot { pose, gain: [1.0; 3], ..Plan::of(&options).unwrap().shots[0].clone() };
        let (one, other) = (studio.photograph(&shot, 1), studio.photograph(&shot, 2));
        let deviation = |photo: &crate::raster::Rgb8| {
            let green: Vec<f64> = photo.data.chunks_exact(3).map(|pixel| f64::from(pixel[1])).collect();
            let mean = green.iter().sum::<f64>() / green.len() as f64;
            (mean, green.into_iter().map(|v| v - mean).collect::<Vec<f64>>())
        };
        let ((mean, a), (_, b)) = (deviation(&one), deviation(&other));
        let product = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
        let correlation = product(&a, &b) / (product(&a, &a) * product(&b, &b)).sqrt();
        assert!(correlation.abs() < 0.2 && mean > 20.0, "{correlation} {mean}");
        let calm = canvas.colour([100.0, 100.0]).unwrap();
        let near = canvas.colour([60.0, 130.0]).unwrap();
        assert!((calm[1] - near[1]).abs() < 2.0, "{calm:?} {near:?}");
    }

    #[test]
    fn photos_and_truth_say_what_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let summary = simulate(&small(folder.path(), 3)).unwrap();
        let photo = read_metadata(&summary.images.join("DJI_0001.JPG")).unwrap();
        assert_eq!((photo.width, photo.height, photo.rtk_flag), (240, 180, Some(50)));
        let ortho = Raster::open(summary.truth.join("ortho.tif")).unwrap();
        assert_eq!(ortho.crs().unwrap().epsg(), 32631);
        assert!((ortho.geo_transform().unwrap().pixel_size() - 0.08).abs() < 1e-9);
        let [w, h] = ortho.size();
        let middle =
            ortho.read_rgba(Window { x: w as isize / 2, y: h as isize / 2, width: 4, height: 4 }, [4, 4]).unwrap();
        assert!(middle.data.chunks_exact(4).all(|pixel| pixel[3] == 255));
        for name in ["cameras.json", "objects.geojson", "scenery.geojson"] {
            let text = fs::read_to_string(summary.truth.join(name)).unwrap();
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert!(value["about"]["crs"].as_str().unwrap().starts_with("EPSG:4326"), "{name}");
        }
    }

    #[test]
    fn a_flight_that_cannot_be_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for wrong in [
            Options { photos: 0, ..small(folder.path(), 1) },
            Options { gsd_m: f64::NAN, ..small(folder.path(), 1) },
            Options { width: 10, ..small(folder.path(), 1) },
        ] {
            assert!(matches!(simulate(&wrong), Err(Error::Options(_))));
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
