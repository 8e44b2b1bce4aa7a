//! One flight from photos to orthophoto, stage by stage.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use nalgebra::Vector3;
use serde_json::{Value, json};

use super::{
    blocks::{Placed, place, separate},
    bundle::Block,
    connect::{Workbench, find_keypoints, match_photos, settle_mirrors},
    error::{Error, Result},
    exposure::Exposure,
    gcp::{self, Gcp},
    heights::Heights,
    kept::{Kept, Key},
    mosaic::{Mosaic, Terrain},
    orient::{Oriented, no_geometry},
    orthorectify::{Grid, native_gsd_m, union, views_of},
    photos::{Flight, PhotoInput, median, sort_out, too_few},
    reduced::{Reduced, factor_for},
    report::{Findings, Report, StageReport, peak_memory_mb},
    shelf::Shelf,
    surface::{Sight, Surface},
    sweep::{Pyramid, Scene, ShelvedPyramid, sweep},
};
use crate::{raster::CogOptions, spatial::Crs};

/// What to make of the photos.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The orthophoto, a COG. Its folder must exist.
    pub out: PathBuf,
    /// Where to write the surface as a COG of heights, if at all.
    pub dsm: Option<PathBuf>,
    /// Where to write the bare ground as a COG of heights, if at all.
    pub dtm: Option<PathBuf>,
    /// Draws over the surface of the tie points alone: quicker, but roofs lean.
    pub fast: bool,
    /// The coordinate system of the orthophoto; the UTM zone of the flight by default.
    pub crs: Option<Crs>,
    /// Metres per pixel; the photos' median at nadir by default.
    pub gsd_m: Option<f64>,
    /// Surveyed points.
    pub gcps: Vec<Gcp>,
    /// A folder in which finished stages are kept; without one a stitch that breaks off starts from the beginning.
    pub kept: Option<PathBuf>,
    /// How the orthophoto is compressed.
    pub cog: CogOptions,
    /// Once true, the stitch ends with [`Error::Stopped`]: after the stage, in the mosaic after the tile.
    pub stop: Option<Arc<AtomicBool>>,
}

impl Options {
    fn go_on(&self) -> Result<()> {
        if self.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed)) { Err(Error::Stopped) } else { Ok(()) }
    }

    /// Refuses, before any work, files that cannot be written.
    fn check_outputs(&self) -> Result<()> {
        let outputs: Vec<&PathBuf> = std::iter::once(&self.out).chain(&self.dsm).chain(&self.dtm).collect();
        for (index, &path) in outputs.iter().enumerate() {
            if outputs[..index].contains(&path) {
                return Err(Error::SameOutput { path: path.clone() });
            }
            if path.parent().is_some_and(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
                return Err(Error::NoOutputFolder { path: path.clone() });
            }
        }
        Ok(())
    }

    /// What was asked for, for the report: paths without their folders, points by their number.
    fn described(&self) -> Value {
        let file = |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned());
        json!({
            "out": file(&self.out),
            "dsm": self.dsm.as_ref().and_then(file),
            "dtm": self.dtm.as_ref().and_then(file),
            "fast": self.fast,
            "crs": self.crs.map(|crs| crs.to_string()),
            "gsd_m": self.gsd_m,
            "compression": self.cog.compression.to_string(),
            "surveyed_points": self.gcps.len(),
        })
    }

    /// The orthophoto's name without its extension.
    fn title(&self) -> String {
        self.out.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
    }
}

/// How far a stage has come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    pub stage: &'static str,
    /// The share done, 0 to 1.
    pub done: f64,
}

/// Stitches the photos of a flight into an orthophoto at [`Options::out`] and says how good it is.
///
/// `progress` is called from several threads. The same photos and options give the same pixels.
///
/// # Errors
/// [`Error::NoPhotos`], [`Error::NoPosition`], [`Error::TooFewPhotos`] and [`Error::NoOverlap`] when the photos cannot make an
/// orthophoto; [`Error::GcpElsewhere`], [`Error::TooFewGcps`] for wrong surveyed points; [`Error::NoOutputFolder`],
/// [`Error::SameOutput`], [`Error::TooLarge`], [`Error::Raster`] when it cannot be written; [`Error::Stopped`]. Nothing half-written is left.
pub fn stitch(photos: &[PhotoInput], options: &Options, progress: &(dyn Fn(Progress) + Sync)) -> Result<Report> {
    options.check_outputs()?;
    let kept = Kept::open(options.kept.as_deref());
    let mut stages = Stages { done: Vec::new(), progress, kept: &kept };
    let total = photos.len();

    let mut flight = sort_out(photos, gcp::middle(&options.gcps))?;
    let (gcps, strange) = gcp::vet(&options.gcps, photos, &flight)?;
    let shelf = Shelf::in_one_of(options.kept.as_deref().into_iter().chain(options.out.parent()));
    let bench = Workbench { kept: &kept, shelf: &shelf, factor: factor_for(&flight), pyramids: !options.fast };
    let (mut keypoints, mut keys) = stages.run("keypoints", |tell| find_keypoints(&mut flight, &bench, tell));
    check_enough(&flight, total)?;
    options.go_on()?;
    let pairs = stages.run("matching", |tell| {
        let pairs = match_photos(&flight, &keypoints, &keys, &kept, tell)?;
        settle_mirrors(&mut flight, &mut keypoints, &mut keys, pairs, &bench, tell)
    })?;
    let flight_notes = std::mem::take(&mut flight.notes);
    let (parts, alone) = separate(flight, &keypoints, &pairs, total)?;

    options.go_on()?;
    let Placed { mut flight, oriented, blocks } = stages.run("adjustment", |_| place(parts, &keys, &gcps, &kept))?;
    let Oriented { block, surveyed, mut notes, .. } = oriented;
    notes.extend(flight_notes);
    notes.extend(strange);
    flight.rejected.extend(alone);
    check_enough(&flight, total)?;

    options.go_on()?;
    let mut ground = stages.run("surface", |_| Ground::of(&block))?;
    if !options.fast {
        let made_of = Key::of(&(&block, &keys));
        ground.surface =
            stages.run("sweep", |tell| kept.get("sweep", &made_of, || ground.sweep(&flight, &block, tell)))?;
    }
    options.go_on()?;
    let views = views_of(&block, ground.height_m);
    let (reduced, exposure) = stages.run("exposure", |tell| {
        let reduced = Reduced::of(&flight, bench.factor, &shelf, tell)?;
        let exposure = Exposure::estimate(&block, &views, &ground.surface, &reduced)?;
        Ok::<_, Error>((reduced, exposure))
    })?;
    options.go_on()?;
    let gsd_m = options.gsd_m.unwrap_or(ground.gsd_m);
    let crs = options.crs.unwrap_or_else(|| Crs::utm_at([flight.origin[0], flight.origin[1]]));
    let extent = union(views.iter().map(|view| view.extent));
    let grid = Grid::covering(&flight, extent, ground.height_m, crs, gsd_m)?;
    let mosaic = Mosaic {
        terrain: Terrain {
            flight: &flight,
            views: &views,
            sharpness: reduced.relative_sharpness(),
            surface: &ground.surface,
            bare: ground.surface.bare(),
            sight: Sight::over(&ground.surface),
            grid,
            gsd_m,
            ground_m: ground.height_m,
        },
        exposure: &exposure,
        reduced: &reduced,
        native_gsd_m: ground.gsd_m,
    };
    let drawn = stages.run("mosaic", |tell| {
        let tell = |done| {
            tell(done);
            options.go_on()
        };
        mosaic.write(&options.out, options.cog, &tell)
    })?;
    let heights = Heights::of(&flight, &surveyed, crs);
    if options.dsm.is_some() || options.dtm.is_some() {
        notes.extend(heights.note(crs));
    }
    let cells = Grid::covering(&flight, extent, ground.height_m, crs, ground.surface.cell_m())?;
    if let Some(path) = &options.dsm {
        stages.run("dsm", |_| mosaic.write_heights(&ground.surface, &heights, path, &cells))?;
    }
    if let Some(path) = &options.dtm {
        stages.run("dtm", |_| mosaic.write_heights(&ground.surface.ground(), &heights, path, &cells))?;
    }

    let findings = Findings {
        inputs: photos,
        flight: &flight,
        block: &block,
        surveyed: &surveyed,
        views: &views,
        surface: &ground.surface,
        exposure: &exposure,
        grid,
        heights,
        ground_m: ground.height_m,
        gsd_m,
        flying_height_m: ground.flying_height_m,
        covered_pixels: drawn.covered_pixels,
        blocks,
        notes,
        stages: stages.done,
        options: options.described(),
        title: options.title(),
    };
    Ok(findings.report())
}

/// Times the stages and passes their progress on.
struct Stages<'a> {
    done: Vec<StageReport>,
    progress: &'a (dyn Fn(Progress) + Sync),
    kept: &'a Kept,
}

impl Stages<'_> {
    fn run<T>(&mut self, stage: &'static str, work: impl FnOnce(&(dyn Fn(f64) + Sync)) -> T) -> T {
        let start = Instant::now();
        let progress = self.progress;
        progress(Progress { stage, done: 0.0 });
        let result = work(&|done| progress(Progress { stage, done }));
        progress(Progress { stage, done: 1.0 });
        let seconds = start.elapsed().as_secs_f64();
        let kept = self.kept.all_found();
        self.done.push(StageReport { name: stage, seconds, peak_memory_mb: peak_memory_mb(), kept });
        result
    }
}

fn check_enough(flight: &Flight, total: usize) -> Result<()> {
    if flight.photos.len() < 3 {
        return Err(too_few(flight.photos.len(), total, &flight.rejected));
    }
    Ok(())
}

/// The surface under a block and what follows from it.
struct Ground {
    surface: Surface,
    /// The middle height of the ground in the local frame.
    height_m: f64,
    flying_height_m: f64,
    gsd_m: f64,
}

impl Ground {
    fn of(block: &Block) -> Result<Self> {
        let failed = || no_geometry(block.photos.len(), "its tie points make no surface");
        let points: Vec<Vector3<f64>> = block.points.iter().map(|point| point.position).collect();
        let tie_height = median(points.iter().map(|p| p.z)).ok_or_else(failed)?;
        let camera_height = median(block.photos.iter().map(|photo| photo.exterior.centre.z)).ok_or_else(failed)?;
        let flying_height_m = camera_height - tie_height;
        let gsd_m = native_gsd_m(block, tie_height).filter(|gsd| *gsd > 0.0).ok_or_else(failed)?;
        let extent = union(views_of(block, tie_height).iter().map(|view| view.extent));
        let surface = Surface::from_points(&points, extent, flying_height_m, gsd_m).ok_or_else(failed)?;
        Ok(Self { height_m: tie_height, surface, flying_height_m, gsd_m })
    }

    /// The surface with everything that stands on the ground, in place of that of the tie points.
    fn sweep(&self, flight: &Flight, block: &Block, tell: &(dyn Fn(f64) + Sync)) -> Result<Surface> {
        let views = views_of(block, self.height_m);
        let points: Vec<Vector3<f64>> = block.points.iter().map(|point| point.position).collect();
        let scene = Scene {
            views: &views,
            read: &|photo| {
                let photo = &flight.photos[photo];
                let aside = photo.aside.pyramid.as_ref();
                aside.map_or_else(|| Ok(Pyramid::of(&photo.read()?)), ShelvedPyramid::take_down)
            },
            base: &self.surface,
            points: &points,
            flying_height_m: self.flying_height_m,
            gsd_m: self.gsd_m,
        };
        let extent = union(views.iter().map(|view| view.extent));
        sweep(&scene, extent, tell)
    }
}
