//! Searches a whole raster, chip by chip, without ever holding more than a handful of chips.
//!
//! One thread reads, for a raster is not shared between threads; the others run the model. A short queue
//! between them bounds the memory. Whatever order the answers come in, merging gives the same, so the number of threads
//! changes the time and nothing else.

use std::{
    collections::BTreeMap,
    panic::resume_unwind,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, sync_channel},
    },
    thread,
};

use super::{
    Chip, ChipPlace, Criteria, Detector, Error, ModelSpec, Outline, PixelBox, Result, Seen, chips, georeference,
    nms::{Candidate, Merger},
};
use crate::{
    raster::{Raster, Window},
    spatial::ground_gsd_m,
};

/// A difference between the model's GSD and the raster's that is not worth resampling for; networks are
/// trained over a wider range, and resampling blurs.
const SAME_GSD: f64 = 0.02;

/// A box that ends this close to its chip's border may go on beyond it; in pixels of the chip.
const BORDER_PX: f64 = 2.0;

/// How to search.
#[derive(Clone, Debug)]
pub struct DetectOptions {
    /// Confidence from which a box counts; `None` takes the model's own.
    pub confidence: Option<f64>,
    /// The same for single classes, by name; the others take `confidence`.
    pub class_confidence: BTreeMap<String, f64>,
    /// IoU above which two boxes of a class are one thing.
    pub iou: f64,
    /// Part of a chip's side that it shares with its neighbour, at least.
    pub overlap: f64,
    /// GSD that the model wants, in metres; `None` takes the model's own.
    pub gsd_m: Option<f64>,
    /// Threads that run the model; `None` takes what the machine, or its container, grants.
    pub threads: Option<usize>,
}

impl Default for DetectOptions {
    fn default() -> Self {
        Self { confidence: None, class_confidence: BTreeMap::new(), iou: 0.5, overlap: 0.2, gsd_m: None, threads: None }
    }
}

impl DetectOptions {
    /// Returns the confidence from which a box of each class counts, in the order of the model's classes.
    ///
    /// What the caller asks for one class comes first, then what he asks for all, then what the model says of the class,
    /// then what it says of all.
    ///
    /// # Errors
    /// [`Error::NoSuchClass`] when the model does not have a class that was named.
    pub fn confidences(&self, spec: &ModelSpec) -> Result<Vec<f64>> {
        if let Some(class) = self.class_confidence.keys().find(|class| !spec.names.contains(class)) {
            return Err(Error::NoSuchClass { class: class.clone(), names: spec.names.clone() });
        }
        let own = |name: &String| spec.class_confidence.get(name).copied().unwrap_or(spec.confidence);
        let asked = |name: &String| self.class_confidence.get(name).copied().or(self.confidence);
        Ok(spec.names.iter().map(|name| asked(name).unwrap_or_else(|| own(name))).collect())
    }
}

/// How far a search has come.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Chips searched, or skipped because they have no data.
    pub done: usize,
    /// Chips of the whole raster.
    pub total: usize,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The model's name for it, verbatim.
    pub class: String,
    /// In [0, 1].
    pub confidence: f64,
    /// Its outline on the ground as a closed ring, counter-clockwise; `[x, y]` in the raster's coordinate system. Five points
    /// for a box, turned or not, any number for a segment.
    pub ring: Vec<[f64; 2]>,
    /// The box around it on the raster: left, top, right, bottom, in its pixels.
    pub pixel_box: [f64; 4],
    /// Number of the chip that owns it, in reading order.
    pub chip: usize,
}

/// Finds everything on a raster, most confident first.
///
/// Runs at the model's GSD, or at the raster's own when the model has none. The same raster, model and options
/// give the same findings, whatever the number of threads. Memory: what GDAL keeps decoded, two chips for each thread, and
/// a hundred bytes for each finding.
///
/// # Errors
/// [`Error::Raster`] when the raster is not georeferenced or cannot be read, [`Error::Torch`] and
/// [`Error::NotANumber`] when the model fails; the first one stops the search.
pub fn detect_raster(
    raster: &Raster,
    detector: &dyn Detector,
    options: &DetectOptions,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Vec<Finding>> {
    let transform = raster.geo_transform()?;
    let spec = detector.spec();
    let extent = chip_extent(raster, spec, options.gsd_m)?;
    let overlap = chips::whole_cells(options.overlap, spec.image_size[0].min(spec.image_size[1]), spec.stride);
    let places: Vec<_> = chips::grid(raster.size(), extent, overlap).collect();
    let criteria = Criteria { confidence: options.confidences(spec)?, iou: options.iou };
    let search = Search { raster, detector, criteria, progress };
    let threads = options.threads.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from)).max(1);
    let finding = |Candidate { seen, chip, .. }: Candidate| Finding {
        class: spec.names[seen.found.class].clone(),
        confidence: seen.found.confidence,
        ring: georeference::ring(&seen, &transform),
        pixel_box: [seen.found.left, seen.found.top, seen.found.right, seen.found.bottom],
        chip,
    };
    Ok(search.run(&places, threads)?.into_iter().map(finding).collect())
}

/// Returns how many raster pixels a chip covers, `[width, height]`.
fn chip_extent(raster: &Raster, spec: &ModelSpec, asked: Option<f64>) -> Result<[usize; 2]> {
    // A raster that does not say where it is is refused before it is searched, not when the findings are written.
    let crs = raster.crs()?;
    let Some(gsd_m) = asked.or(spec.gsd_m) else { return Ok(spec.image_size) };
    let ratio = gsd_m / ground_gsd_m(crs, &raster.geo_transform()?, raster.size())?;
    if !ratio.is_finite() || (ratio - 1.0).abs() < SAME_GSD {
        return Ok(spec.image_size);
    }
    Ok(spec.image_size.map(|side| (side as f64 * ratio).round().max(1.0) as usize))
}

/// One search: what is looked at, with what, and for what.
struct Search<'a> {
    raster: &'a Raster,
    detector: &'a dyn Detector,
    criteria: Criteria,
    progress: &'a (dyn Fn(Progress) + Sync),
}

impl Search<'_> {
    /// Reads the chips one after the other while the workers search them; the front settles what no chip can change any more.
    fn run(&self, places: &[ChipPlace], threads: usize) -> Result<Vec<Candidate>> {
        let (detector, criteria, size) = (self.detector, &self.criteria, self.raster.size());
        let front = Mutex::new(Front::new(places, self.criteria.iou));
        let (total, done) = (places.len(), AtomicUsize::new(0));
        let advance = |chip: usize, found: Vec<Candidate>| {
            front.lock().expect("no worker panics while it settles").finish_chip(chip, found);
            (self.progress)(Progress { done: done.fetch_add(1, Ordering::Relaxed) + 1, total });
        };
        let advance = &advance;
        let batch = detector.batch().max(1);
        let (queue, jobs) = sync_channel::<Vec<Chip>>(threads);
        let jobs = Arc::new(Mutex::new(jobs));
        thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|_| {
                    let jobs = Arc::clone(&jobs);
                    scope.spawn(move || -> Result<()> {
                        while let Some(chips) = next(&jobs) {
                            for (chip, seen) in chips.iter().zip(detector.detect(&chips, criteria)?) {
                                let found = seen.into_iter().filter_map(|seen| owned(seen, chip, size)).collect();
                                advance(chip.place.index, found);
                            }
                        }
                        Ok(())
                    })
                })
                .collect();
            // Each worker holds the queue's end; once the last one has failed, sending fails too.
            drop(jobs);
            let mut waiting = Vec::with_capacity(batch);
            for place in places {
                let picture = self.raster.read_rgba(place.window, detector.spec().image_size)?;
                match Chip::of(*place, &picture) {
                    Some(chip) => waiting.push(chip),
                    None => advance(place.index, vec![]),
                }
                if waiting.len() == batch && queue.send(std::mem::take(&mut waiting)).is_err() {
                    break;
                }
            }
            if !waiting.is_empty() {
                // Whether somebody still listens is told by the workers themselves, below.
                let _ = queue.send(waiting);
            }
            drop(queue);
            workers.into_iter().try_for_each(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic)))?;
            Ok::<_, Error>(())
        })?;
        Ok(front.into_inner().expect("no worker panics while it settles").merger.finish())
    }
}

/// How far down the raster everything has been searched.
struct Front {
    merger: Merger,
    /// For each row of chips: which is its last chip plus one, and where it starts on the raster.
    rows: Vec<(usize, f64)>,
    /// For each row of chips: how many are not searched yet, and what the others found.
    unsettled: Vec<(usize, Vec<Candidate>)>,
    next: usize,
}

impl Front {
    fn new(places: &[ChipPlace], iou: f64) -> Self {
        let rows: Vec<&[ChipPlace]> = places.chunk_by(|a, b| a.window.y == b.window.y).collect();
        let end = |row: &[ChipPlace]| row.last().map_or(0, |place| place.index + 1);
        Self {
            merger: Merger::new(iou),
            rows: rows.iter().map(|row| (end(row), row[0].window.y as f64)).collect(),
            unsettled: rows.iter().map(|row| (row.len(), vec![])).collect(),
            next: 0,
        }
    }

    fn finish_chip(&mut self, chip: usize, mut found: Vec<Candidate>) {
        let row = self.rows.partition_point(|(end, _)| *end <= chip);
        self.unsettled[row].0 -= 1;
        self.unsettled[row].1.append(&mut found);
        while self.unsettled.get(self.next).is_some_and(|(left, _)| *left == 0) {
            self.merger.add(std::mem::take(&mut self.unsettled[self.next].1));
            self.next += 1;
            // Boxes end at the border of their chip, so no later one reaches above the next row of chips.
            self.merger.settle_above(self.rows.get(self.next).map_or(f64::INFINITY, |(_, top)| *top));
        }
    }
}

fn next(jobs: &Mutex<Receiver<Vec<Chip>>>) -> Option<Vec<Chip>> {
    jobs.lock().expect("no worker panics while it waits").recv().ok()
}

/// Moves what was seen from the chip to the raster; nothing when another chip owns its centre.
fn owned(seen: Seen, chip: &Chip, size: [usize; 2]) -> Option<Candidate> {
    let Window { x, y, width, height } = chip.place.window;
    let (across, down) = (width as f64 / chip.pixels.width as f64, height as f64 / chip.pixels.height as f64);
    let (x, y) = (x as f64, y as f64);
    let found = seen.found;
    let cut = x > 0.0 && found.left <= BORDER_PX
        || y > 0.0 && found.top <= BORDER_PX
        || x + (width as f64) < size[0] as f64 && found.right >= chip.pixels.width as f64 - BORDER_PX
        || y + (height as f64) < size[1] as f64 && found.bottom >= chip.pixels.height as f64 - BORDER_PX;
    let to_raster = |[column, row]: [f64; 2]| [x + column * across, y + row * down];
    let within = |[x, y]: [f64; 2]| [x.clamp(0.0, size[0] as f64), y.clamp(0.0, size[1] as f64)];
    let [left, top] = within(to_raster([found.left, found.top]));
    let [right, bottom] = within(to_raster([found.right, found.bottom]));
    let outline = match seen.outline {
        Outline::Box => Outline::Box,
        Outline::Rotated(corners) => Outline::Rotated(Box::new(corners.map(to_raster))),
        Outline::Polygon(corners) => Outline::Polygon(corners.iter().map(|at| within(to_raster(*at))).collect()),
    };
    let seen = Seen { found: PixelBox { left, top, right, bottom, ..found }, outline };
    let is_ours = seen.found.area() > 0.0 && chip.place.owns(seen.center());
    is_ours.then_some(Candidate { seen, chip: chip.place.index, cut })
}

#[cfg(test)]
mod tests;
