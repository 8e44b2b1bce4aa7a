//! One flight from photos to orthophoto, stage by stage.

use std::{path::PathBuf, time::Instant};

use nalgebra::Vector3;
use rayon::prelude::*;

use super::{
    adjust::{Sightings, adjust_again, adjust_from_start, first_block, reprojection_rmse_px, sightings_per_photo},
    bundle::Block,
    error::{Error, Result},
    exposure::Exposure,
    gcp::{self, Gcp, Role, Surveyed},
    keypoints::{KeypointOptions, Keypoints, detect_keypoints},
    matching::{PairMatches, match_pair},
    mosaic::Mosaic,
    orthorectify::{Grid, native_gsd_m, union, views_of},
    pairs::choose_pairs,
    photos::{Flight, Photo, PhotoInput, median, sort_out, too_few},
    report::{self, Report, StageReport, peak_memory_mb},
    start::estimate_start,
    surface::Surface,
    tracks::{build_tracks, largest_block},
};
use crate::{raster::read_photo, spatial::Crs};

/// What to make of the photos.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The orthophoto, a COG. Its folder must exist.
    pub out: PathBuf,
    /// Where to write the surface as a COG of heights, if at all.
    pub dsm: Option<PathBuf>,
    /// The coordinate system of the orthophoto; the UTM zone of the flight by default.
    pub crs: Option<Crs>,
    /// Metres per pixel; the photos' median at nadir by default.
    pub gsd_m: Option<f64>,
    /// Surveyed points.
    pub gcps: Vec<Gcp>,
}

/// How far a stage has come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    pub stage: &'static str,
    /// The share done, 0 to 1.
    pub done: f64,
}

/// A photo with fewer keypoints shows nothing to hold on to: water, snow, blur.
const FEWEST_KEYPOINTS: usize = 100;
/// A photo with fewer tie points after the adjustment has no sure place.
const FEWEST_TIE_POINTS: usize = 25;
/// Memory for keypoint pyramids, which bounds how many photos are looked at side by side.
const PYRAMID_BYTES: usize = 700 << 20;

/// Stitches the photos of a flight into an orthophoto at [`Options::out`] and says how good it is.
///
/// `progress` is called from several threads. The same photos and options give the same pixels.
///
/// # Errors
/// [`Error::NoPhotos`], [`Error::NoPosition`], [`Error::TooFewPhotos`] and [`Error::NoOverlap`] when the photos cannot make an
/// orthophoto; [`Error::GcpFarAway`], [`Error::TooFewGcps`] for wrong surveyed points; [`Error::NoOutputFolder`],
/// [`Error::TooLarge`], [`Error::Raster`] when it cannot be written. Nothing half-written is left.
pub fn stitch(photos: &[PhotoInput], options: &Options, progress: &(dyn Fn(Progress) + Sync)) -> Result<Report> {
    for path in std::iter::once(&options.out).chain(&options.dsm) {
        if path.parent().is_some_and(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
            return Err(Error::NoOutputFolder { path: path.clone() });
        }
    }
    let mut stages = Stages { done: Vec::new(), progress };
    let total = photos.len();

    let mut flight = sort_out(photos, gcp::middle(&options.gcps))?;
    let mut keypoints = stages.run("keypoints", |tell| find_keypoints(&mut flight, tell));
    check_enough(&flight, total)?;
    let mut pairs = stages.run("matching", |tell| match_photos(&flight, &keypoints, tell));
    keep_largest_block(&mut flight, &mut keypoints, &mut pairs, total)?;

    let mut notes = Vec::new();
    let (mut block, surveyed) =
        stages.run("adjustment", |_| adjust(&mut flight, &mut keypoints, &mut pairs, &options.gcps, &mut notes))?;
    check_enough(&flight, total)?;

    let ground = stages.run("surface", |_| Ground::of(&block))?;
    let exposure = stages.run("exposure", |_| Exposure::estimate(&block));
    let gsd_m = options.gsd_m.unwrap_or(ground.gsd_m);
    let crs = options.crs.unwrap_or_else(|| Crs::utm_at([flight.origin[0], flight.origin[1]]));
    let views = views_of(&block, ground.height_m);
    let extent = union(views.iter().map(|view| view.extent));
    let grid = Grid::covering(&flight, extent, ground.height_m, crs, gsd_m)?;
    let mosaic = Mosaic {
        flight: &flight,
        views: &views,
        surface: &ground.surface,
        exposure: &exposure,
        grid,
        ground_m: ground.height_m,
    };
    let drawn = stages.run("mosaic", |tell| mosaic.write(&options.out, tell))?;
    if let Some(path) = &options.dsm {
        let coarse = Grid::covering(&flight, extent, ground.height_m, crs, ground.surface.cell_m())?;
        stages.run("dsm", |_| mosaic.write_dsm(path, &coarse))?;
    }

    let control_points = report::survey_residuals(&block, &surveyed, Role::Control);
    let check_points = report::survey_residuals(&block, &surveyed, Role::Check);
    let cameras = report::camera_reports(&flight, &block);
    let gps = report::compare_with_gps(&flight, &block);
    let gps_sigma_m = median(flight.photos.iter().filter_map(|p| p.gps).map(|g| g.sigma_horizontal_m)).unwrap_or(0.0);
    notes.extend(report::camera_notes(&cameras));
    let mut rejected = flight.rejected.clone();
    rejected.sort_by(|a, b| a.name.cmp(&b.name));
    let counts = report::PhotoCounts { total, used: flight.photos.len(), rejected };
    block.points.retain(|point| point.survey.is_none());
    Ok(Report {
        verdict: report::verdict(gps.as_ref(), &cameras, &counts, &control_points, gps_sigma_m),
        notes,
        photos: counts,
        reprojection_rmse_px: reprojection_rmse_px(&block),
        gsd_m,
        height_above_ground_m: ground.flying_height_m,
        tie_points: block.points.len(),
        sightings: block.points.iter().map(|point| point.sightings.len()).sum(),
        crs: crs.to_string(),
        size_px: grid.size,
        covered_pixels: drawn.covered_pixels,
        gps,
        cameras,
        control_points,
        check_points,
        per_photo: report::photo_reports(&flight, &block, &exposure, ground.height_m),
        stages: stages.done,
        software: concat!("polder ", env!("CARGO_PKG_VERSION")).to_owned(),
    })
}

/// Times the stages and passes their progress on.
struct Stages<'a> {
    done: Vec<StageReport>,
    progress: &'a (dyn Fn(Progress) + Sync),
}

impl Stages<'_> {
    fn run<T>(&mut self, stage: &'static str, work: impl FnOnce(&(dyn Fn(f64) + Sync)) -> T) -> T {
        let start = Instant::now();
        let progress = self.progress;
        progress(Progress { stage, done: 0.0 });
        let result = work(&|done| progress(Progress { stage, done }));
        progress(Progress { stage, done: 1.0 });
        let seconds = start.elapsed().as_secs_f64();
        self.done.push(StageReport { name: stage, seconds, peak_memory_mb: peak_memory_mb() });
        result
    }
}

fn check_enough(flight: &Flight, total: usize) -> Result<()> {
    if flight.photos.len() < 3 {
        return Err(too_few(flight.photos.len(), total, &flight.rejected));
    }
    Ok(())
}

/// Detects the keypoints of all photos; those that do not decode or show nothing are rejected.
fn find_keypoints(flight: &mut Flight, tell: &(dyn Fn(f64) + Sync)) -> Vec<Keypoints> {
    let options = KeypointOptions::default();
    let finished = std::sync::atomic::AtomicUsize::new(0);
    let find = |photo: &Photo| {
        let found = keypoints_of(photo, flight, &options);
        let count = finished.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        tell(count as f64 / flight.photos.len() as f64);
        found
    };
    let threads = side_by_side(flight);
    let found: Vec<Result<Keypoints, String>> = match rayon::ThreadPoolBuilder::new().num_threads(threads).build() {
        Ok(pool) => pool.install(|| flight.photos.par_iter().map(find).collect()),
        Err(_) => flight.photos.iter().map(find).collect(),
    };
    let keep: Vec<bool> = found.iter().map(Result::is_ok).collect();
    let faults: std::collections::HashMap<String, String> = flight
        .photos
        .iter()
        .zip(&found)
        .filter_map(|(photo, result)| Some((photo.name.clone(), result.as_ref().err()?.clone())))
        .collect();
    flight.keep(&keep, |photo| faults[&photo.name].clone());
    found.into_iter().flatten().collect()
}

/// How many pyramids fit the memory at once.
fn side_by_side(flight: &Flight) -> usize {
    let pixels = flight.cameras.iter().map(|c| (c.prior.width_px * c.prior.height_px) as usize).max().unwrap_or(1);
    // Eight single-precision images of four times the pixels of a photo that is no longer than the limit.
    let one = 8 * 4 * 4 * pixels.min(4 << 20);
    (PYRAMID_BYTES / one).clamp(1, rayon::current_num_threads())
}

fn keypoints_of(photo: &Photo, flight: &Flight, options: &KeypointOptions) -> Result<Keypoints, String> {
    let picture = read_photo(&photo.path).map_err(|error| error.to_string())?;
    let camera = &flight.cameras[photo.camera].prior;
    if (picture.width as f64, picture.height as f64) != (camera.width_px, camera.height_px) {
        return Err(format!(
            "it has {} × {} pixels but its metadata says {} × {}",
            picture.width, picture.height, camera.width_px, camera.height_px
        ));
    }
    let keypoints = detect_keypoints(&picture, options);
    if keypoints.points.len() < FEWEST_KEYPOINTS {
        return Err(format!(
            "only {} keypoints were found: it is blurred, or shows water or snow",
            keypoints.points.len()
        ));
    }
    Ok(keypoints)
}

fn match_photos(flight: &Flight, keypoints: &[Keypoints], tell: &(dyn Fn(f64) + Sync)) -> Vec<PairMatches> {
    let pairs = choose_pairs(flight);
    let finished = std::sync::atomic::AtomicUsize::new(0);
    let longest = |photo: usize| {
        let camera = &flight.cameras[flight.photos[photo].camera].prior;
        camera.width_px.max(camera.height_px)
    };
    let matched: Vec<PairMatches> = pairs
        .par_iter()
        .map(|&(i, j)| {
            let pair = match_pair(i, j, &keypoints[i], &keypoints[j], longest(i).max(longest(j)));
            let count = finished.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
            tell(count as f64 / pairs.len() as f64);
            pair
        })
        .collect();
    matched.into_iter().filter(|pair| !pair.matches.is_empty()).collect()
}

/// Rejects the photos that matching does not connect with most others.
fn keep_largest_block(
    flight: &mut Flight,
    keypoints: &mut Vec<Keypoints>,
    pairs: &mut Vec<PairMatches>,
    total: usize,
) -> Result<()> {
    let keep = largest_block(flight.photos.len(), pairs);
    let largest = keep.iter().filter(|kept| **kept).count();
    if largest < 3 {
        return Err(Error::NoOverlap { total, largest });
    }
    let places: Vec<_> =
        flight.photos.iter().zip(&keep).filter(|(_, kept)| **kept).filter_map(|(photo, _)| photo.gps_xy()).collect();
    drop_photos(flight, keypoints, pairs, &keep, |photo| {
        let nearest =
            photo.gps_xy().and_then(|own| places.iter().map(|other| (other - own).norm()).min_by(f64::total_cmp));
        match nearest {
            Some(distance) if distance > 1000.0 => {
                format!("it shows no ground of the other photos: the nearest is {:.1} km away", distance / 1000.0)
            }
            Some(distance) => {
                format!("no matches connect it with the other photos, the nearest of which is {distance:.0} m away")
            }
            None => "no matches connect it with the other photos".to_owned(),
        }
    });
    Ok(())
}

/// Drops photos with their keypoints and pairs, and renumbers the rest.
fn drop_photos(
    flight: &mut Flight,
    keypoints: &mut Vec<Keypoints>,
    pairs: &mut Vec<PairMatches>,
    keep: &[bool],
    reason: impl Fn(&Photo) -> String,
) {
    flight.keep(keep, reason);
    let mut kept = keep.iter();
    keypoints.retain(|_| kept.next().copied().unwrap_or(true));
    let mut renumbered = Vec::with_capacity(keep.len());
    let mut next = 0;
    for kept in keep {
        renumbered.push(kept.then_some(next));
        next += usize::from(*kept);
    }
    pairs.retain_mut(|pair| match (renumbered[pair.first], renumbered[pair.second]) {
        (Some(first), Some(second)) => {
            (pair.first, pair.second) = (first, second);
            true
        }
        _ => false,
    });
}

/// Adjusts the block onto GPS and surveyed points; photos that end with too few tie points are rejected.
fn adjust(
    flight: &mut Flight,
    keypoints: &mut Vec<Keypoints>,
    pairs: &mut Vec<PairMatches>,
    gcps: &[Gcp],
    notes: &mut Vec<String>,
) -> Result<(Block, Vec<Surveyed>)> {
    loop {
        let photos = flight.photos.len();
        let start = estimate_start(flight, keypoints, pairs)
            .ok_or_else(|| no_geometry(photos, "the matches do not fix where each photo is"))?;
        let counts: Vec<usize> = keypoints.iter().map(|k| k.points.len()).collect();
        let sightings = Sightings::new(&build_tracks(&counts, pairs), keypoints);
        let mut block = first_block(flight, &start);
        adjust_from_start(&mut block, &sightings);

        let seen = sightings_per_photo(&block);
        let keep: Vec<bool> = seen.iter().map(|count| *count >= FEWEST_TIE_POINTS).collect();
        if keep.contains(&false) {
            drop_photos(flight, keypoints, pairs, &keep, |_| {
                format!("fewer than {FEWEST_TIE_POINTS} of its points fit the other photos")
            });
            if flight.photos.len() < 3 {
                return Err(no_geometry(photos, "fewer than three photos agree with each other"));
            }
            continue;
        }
        if start.wrong_headings > 0 {
            notes
                .push(format!("the heading of {} photos was wrong and taken from their matches", start.wrong_headings));
        }
        if !start.heights_agree {
            notes.push("the relative altitudes disagree with GPS and the focal length and were not used".to_owned());
        }
        let surveyed = pull_onto_survey(flight, &mut block, &sightings, gcps, notes)?;
        return Ok((block, surveyed));
    }
}

fn no_geometry(photos: usize, detail: &str) -> Error {
    Error::NoGeometry { photos, detail: detail.to_owned() }
}

fn pull_onto_survey(
    flight: &Flight,
    block: &mut Block,
    sightings: &Sightings,
    gcps: &[Gcp],
    notes: &mut Vec<String>,
) -> Result<Vec<Surveyed>> {
    let surveyed = gcp::locate(gcps, flight)?;
    let control = gcp::control_points(&surveyed);
    let has_gps = flight.photos.iter().any(|photo| photo.gps.is_some());
    if !has_gps && control.len() < 3 {
        return Err(Error::TooFewGcps { usable: control.len(), total: gcps.len() });
    }
    let unused = gcps.len() - surveyed.iter().filter(|point| point.marks.len() > 1).count();
    if unused > 0 {
        notes.push(format!("{unused} surveyed points are marked in fewer than two of the used photos"));
    }
    if control.is_empty() {
        return Ok(surveyed);
    }
    gcp::pull_onto(block, &surveyed);
    if !has_gps {
        // The positions that held the floating block have no meaning any more.
        block.photos.iter_mut().for_each(|photo| photo.position = None);
    }
    adjust_again(block, sightings, &control);
    Ok(surveyed)
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::photogrammetry::photos::Rejected;

    #[test]
    fn dropped_photos_leave_no_pair_behind() {
        let mut pairs = vec![
            PairMatches { first: 0, second: 1, matches: vec![[0, 0]] },
            PairMatches { first: 1, second: 2, matches: vec![[0, 0]] },
            PairMatches { first: 2, second: 3, matches: vec![[0, 0]] },
        ];
        let mut flight = Flight {
            frame: crate::spatial::LocalFrame::at([5.0, 52.0, 0.0]),
            origin: [5.0, 52.0, 0.0],
            photos: ["a", "b", "c", "d"].map(photo).to_vec(),
            cameras: Vec::new(),
            sorties: 1,
            rejected: Vec::new(),
        };
        let mut keypoints = vec![Keypoints::default(); 4];
        drop_photos(&mut flight, &mut keypoints, &mut pairs, &[true, false, true, true], |_| "blurred".to_owned());
        assert_eq!(flight.rejected, [Rejected { name: "b".to_owned(), reason: "blurred".to_owned() }]);
        assert_eq!((keypoints.len(), pairs.len(), pairs[0].first, pairs[0].second), (3, 1, 1, 2));
    }

    fn photo(name: &str) -> Photo {
        Photo {
            name: name.to_owned(),
            path: PathBuf::from(name),
            camera: 0,
            sortie: 0,
            gps: None,
            attitude: None,
            relative_altitude_m: None,
        }
    }
}
