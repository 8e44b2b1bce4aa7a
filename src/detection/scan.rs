//! Searches a whole raster, chip by chip, without ever holding more than a handful of chips.
//!
//! One thread reads, for a raster is not shared between threads; the others run the model. A short queue
//! between them bounds the memory. Answers are put in order before they are merged, so the number of threads
//! changes the time and nothing else.

use std::{
    panic::resume_unwind,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, sync_channel},
    },
    thread,
};

use super::{Candidate, Chip, Detector, Error, PixelBox, Result, chips, georeference, nms};
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
    /// IoU above which two boxes of a class are one thing.
    pub iou: f64,
    /// Part of a chip's side that it shares with its neighbour.
    pub overlap: f64,
    /// Threads that run the model; `None` takes what the machine, or its container, grants.
    pub threads: Option<usize>,
}

impl Default for DetectOptions {
    fn default() -> Self {
        Self { confidence: None, iou: 0.5, overlap: 0.2, threads: None }
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
    /// The box on the ground as a closed ring, counter-clockwise; `[x, y]` in the raster's coordinate system.
    pub ring: Vec<[f64; 2]>,
    /// The box on the raster: left, top, right, bottom, in its pixels.
    pub pixel_box: [f64; 4],
    /// Number of the chip that owns it, in reading order.
    pub chip: usize,
}

/// Finds everything on a raster, most confident first.
///
/// Runs at the model's GSD, or at the raster's own when the model has none. The same raster, model and options
/// give the same findings, whatever the number of threads.
///
/// # Errors
/// [`Error::Raster`] when the raster is not georeferenced or cannot be read, [`Error::Torch`] when the model
/// fails; the first one stops the search.
pub fn detect_raster(
    raster: &Raster,
    detector: &dyn Detector,
    options: &DetectOptions,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Vec<Finding>> {
    let transform = raster.geo_transform()?;
    let places: Vec<_> = chips::grid(raster.size(), chip_extent(raster, detector)?, options.overlap).collect();
    let candidates = search(raster, detector, options, &places, progress)?;
    let names = &detector.spec().names;
    let finding = |Candidate { found, chip, .. }: Candidate| Finding {
        class: names[found.class].clone(),
        confidence: found.confidence,
        ring: georeference::ring(&found, &transform),
        pixel_box: [found.left, found.top, found.right, found.bottom],
        chip,
    };
    Ok(nms::merge(candidates, options.iou).into_iter().map(finding).collect())
}

/// Returns how many raster pixels a chip covers, `[width, height]`.
fn chip_extent(raster: &Raster, detector: &dyn Detector) -> Result<[usize; 2]> {
    let spec = detector.spec();
    let Some(gsd_m) = spec.gsd_m else { return Ok(spec.image_size) };
    let ratio = gsd_m / ground_gsd_m(raster.crs()?, &raster.geo_transform()?, raster.size())?;
    if !ratio.is_finite() || (ratio - 1.0).abs() < SAME_GSD {
        return Ok(spec.image_size);
    }
    Ok(spec.image_size.map(|side| (side as f64 * ratio).round().max(1.0) as usize))
}

/// Reads the chips one by one and lets the workers search them; returns the boxes in the order of the chips.
fn search(
    raster: &Raster,
    detector: &dyn Detector,
    options: &DetectOptions,
    places: &[chips::ChipPlace],
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Vec<Candidate>> {
    let threads = options.threads.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from)).max(1);
    let confidence = options.confidence.unwrap_or(detector.spec().confidence);
    let (size, total) = (raster.size(), places.len());
    let done = AtomicUsize::new(0);
    let advance = || progress(Progress { done: done.fetch_add(1, Ordering::Relaxed) + 1, total });
    let (queue, jobs) = sync_channel::<Chip>(threads);
    let jobs = Arc::new(Mutex::new(jobs));
    let mut found: Vec<Candidate> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                let jobs = Arc::clone(&jobs);
                scope.spawn(move || -> Result<Vec<Candidate>> {
                    let mut found = Vec::new();
                    while let Some(chip) = next(&jobs) {
                        let boxes = detector.detect(std::slice::from_ref(&chip), confidence)?;
                        found.extend(boxes.into_iter().flatten().filter_map(|b| owned(b, &chip, size)));
                        advance();
                    }
                    Ok(found)
                })
            })
            .collect();
        // Each worker holds the queue's end; once the last one has failed, sending fails too.
        drop(jobs);
        for place in places {
            let picture = raster.read_rgba(place.window, detector.spec().image_size)?;
            let Some(chip) = Chip::of(*place, &picture) else {
                advance();
                continue;
            };
            if queue.send(chip).is_err() {
                break;
            }
        }
        drop(queue);
        let mut found = Vec::new();
        for worker in workers {
            found.append(&mut worker.join().unwrap_or_else(|panic| resume_unwind(panic))?);
        }
        Ok::<_, Error>(found)
    })?;
    found.sort_by_key(|candidate| candidate.chip);
    Ok(found)
}

fn next(jobs: &Mutex<Receiver<Chip>>) -> Option<Chip> {
    jobs.lock().expect("no worker panics while it waits").recv().ok()
}

/// Moves a box from the chip to the raster; nothing when another chip owns its centre.
fn owned(found: PixelBox, chip: &Chip, size: [usize; 2]) -> Option<Candidate> {
    let Window { x, y, width, height } = chip.place.window;
    let (across, down) = (width as f64 / chip.pixels.width as f64, height as f64 / chip.pixels.height as f64);
    let (x, y) = (x as f64, y as f64);
    let ends = |at: f64, border: f64, raster_goes_on: bool| raster_goes_on && (at - border).abs() <= BORDER_PX;
    let cut = ends(found.left, 0.0, x > 0.0)
        || ends(found.top, 0.0, y > 0.0)
        || ends(found.right, chip.pixels.width as f64, x + (width as f64) < size[0] as f64)
        || ends(found.bottom, chip.pixels.height as f64, y + (height as f64) < size[1] as f64);
    let on_raster = PixelBox {
        left: (x + found.left * across).min(size[0] as f64),
        right: (x + found.right * across).min(size[0] as f64),
        top: (y + found.top * down).min(size[1] as f64),
        bottom: (y + found.bottom * down).min(size[1] as f64),
        ..found
    };
    let is_ours = on_raster.area() > 0.0 && chip.place.owns(on_raster.center());
    is_ours.then_some(Candidate { found: on_raster, chip: chip.place.index, cut })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        detection::ModelSpec,
        raster::{CogOptions, CogWriter, Compression},
        spatial::{Crs, GeoTransform},
    };

    /// Finds white squares: the box around each run of white pixels that touch.
    struct WhiteSquares(ModelSpec);

    impl WhiteSquares {
        fn new(side: usize, gsd_m: Option<f64>) -> Self {
            Self(ModelSpec {
                names: vec!["square".to_owned()],
                image_size: [side, side],
                dynamic: false,
                stride: 1,
                gsd_m,
                confidence: 0.5,
                description: None,
                version: None,
                license: None,
            })
        }
    }

    impl Detector for WhiteSquares {
        fn spec(&self) -> &ModelSpec {
            &self.0
        }

        fn detect(&self, chips: &[Chip], _: f64) -> Result<Vec<Vec<PixelBox>>> {
            Ok(chips.iter().map(|chip| white_squares(&chip.pixels)).collect())
        }
    }

    fn white_squares(picture: &crate::raster::Rgb8) -> Vec<PixelBox> {
        let mut white: Vec<bool> = picture.data.chunks_exact(3).map(|p| p[0] > 200).collect();
        let (width, height) = (picture.width, picture.height);
        let mut boxes = Vec::new();
        while let Some(start) = white.iter().position(|&w| w) {
            let (mut edge, mut bounds) = (vec![start], [width, height, 0, 0]);
            white[start] = false;
            while let Some(at) = edge.pop() {
                let (x, y) = (at % width, at / width);
                bounds = [bounds[0].min(x), bounds[1].min(y), bounds[2].max(x + 1), bounds[3].max(y + 1)];
                let beside = [(x > 0, at.wrapping_sub(1)), (x + 1 < width, at + 1)];
                let across = [(y > 0, at.wrapping_sub(width)), (y + 1 < height, at + width)];
                for (_, next) in beside.into_iter().chain(across).filter(|(inside, _)| *inside) {
                    if std::mem::take(&mut white[next]) {
                        edge.push(next);
                    }
                }
            }
            let [left, top, right, bottom] = bounds.map(|side| side as f64);
            boxes.push(PixelBox { left, top, right, bottom, class: 0, confidence: 0.9 });
        }
        boxes
    }

    /// Writes a black raster of 600 × 400 pixels of 0.1 m with white boxes; returns it opened, with its folder.
    fn raster(boxes: &[[usize; 4]], empty_from: usize) -> (tempfile::TempDir, Raster) {
        let size = [600, 400];
        let mut rgb = vec![0; size[0] * size[1] * 3];
        for &[left, top, right, bottom] in boxes {
            for y in top..bottom {
                rgb[(y * size[0] + left) * 3..(y * size[0] + right) * 3].fill(255);
            }
        }
        let mask: Vec<u8> = (0..size[0] * size[1]).map(|i| if i % size[0] < empty_from { 255 } else { 0 }).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("squares.tif");
        let options = CogOptions { compression: Compression::Deflate, ..CogOptions::default() };
        let place = GeoTransform::north_up([155_000.0, 463_000.0], 0.1);
        let mut cog = CogWriter::create(&path, size, place, Crs::RD_NEW, options).unwrap();
        cog.write_rgb([0, 0], size, &rgb, &mask).unwrap();
        cog.finish().unwrap();
        let raster = Raster::open(&path).unwrap();
        (folder, raster)
    }

    fn boxes(findings: &[Finding]) -> Vec<[usize; 4]> {
        let mut boxes: Vec<_> = findings.iter().map(|f| f.pixel_box.map(|side| side.round() as usize)).collect();
        boxes.sort_unstable();
        boxes
    }

    #[test]
    fn everything_is_found_once_wherever_the_chips_meet() {
        let mut planted = vec![];
        for (i, left) in (0..580).step_by(33).enumerate() {
            for top in (i % 7..380).step_by(29) {
                planted.push([left, top, left + 8 + i % 5, top + 7]);
            }
        }
        let (_folder, raster) = raster(&planted, 600);
        planted.sort_unstable();
        let find = |side, threads| {
            let options = DetectOptions { threads: Some(threads), ..DetectOptions::default() };
            detect_raster(&raster, &WhiteSquares::new(side, None), &options, &|_| {}).unwrap()
        };
        for side in [64, 96, 157, 700] {
            assert_eq!(boxes(&find(side, 3)), planted, "chips of {side} pixels");
        }
        assert_eq!(find(96, 1), find(96, 4), "one order, whatever the threads");
    }

    #[test]
    fn something_longer_than_a_chip_is_one_finding() {
        let (_folder, raster) = raster(&[[20, 30, 420, 60]], 600);
        let found = detect_raster(&raster, &WhiteSquares::new(128, None), &DetectOptions::default(), &|_| {}).unwrap();
        assert_eq!(boxes(&found), [[20, 30, 420, 60]]);
        let ring = &found[0].ring;
        assert!((ring[0][0] - 155_002.0).abs() < 1e-6 && (ring[0][1] - 462_997.0).abs() < 1e-6, "{ring:?}");
    }

    #[test]
    fn a_model_sees_the_raster_at_its_own_gsd() {
        let planted = [[100, 100, 140, 130], [300, 200, 320, 260]];
        let (_folder, raster) = raster(&planted, 600);
        let gsd_m = ground_gsd_m(raster.crs().unwrap(), &raster.geo_transform().unwrap(), raster.size()).unwrap();
        assert!((gsd_m - 0.1).abs() < 1e-4);
        for gsd_m in [0.05, 0.2] {
            let found =
                detect_raster(&raster, &WhiteSquares::new(128, Some(gsd_m)), &DetectOptions::default(), &|_| {})
                    .unwrap();
            let found = boxes(&found);
            assert_eq!(found.len(), 2, "{found:?}");
            let off = found.iter().flatten().zip(planted.iter().flatten()).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(off <= Some(2), "at {gsd_m}: {found:?}");
        }
    }

    #[test]
    fn chips_without_data_are_counted_but_not_searched() {
        struct Counting(WhiteSquares, AtomicUsize);
        impl Detector for Counting {
            fn spec(&self) -> &ModelSpec {
                self.0.spec()
            }
            fn detect(&self, chips: &[Chip], confidence: f64) -> Result<Vec<Vec<PixelBox>>> {
                self.1.fetch_add(chips.len(), Ordering::Relaxed);
                self.0.detect(chips, confidence)
            }
        }
        let (_folder, raster) = raster(&[], 90);
        let detector = Counting(WhiteSquares::new(100, None), AtomicUsize::new(0));
        let last = Mutex::new((0, 0));
        let note = |p: Progress| {
            let mut last = last.lock().unwrap();
            *last = (last.0.max(p.done), p.total);
        };
        let options = DetectOptions { overlap: 0.0, ..DetectOptions::default() };
        assert!(detect_raster(&raster, &detector, &options, &note).unwrap().is_empty());
        assert_eq!(detector.1.into_inner(), 4, "only the first column of chips has data");
        assert_eq!(last.into_inner().unwrap(), (24, 24));
    }

    #[test]
    fn a_model_that_fails_stops_the_search() {
        struct Broken(ModelSpec);
        impl Detector for Broken {
            fn spec(&self) -> &ModelSpec {
                &self.0
            }
            fn detect(&self, _: &[Chip], _: f64) -> Result<Vec<Vec<PixelBox>>> {
                Err(Error::Torch { operation: "run", model: "broken".to_owned(), reason: "no".to_owned() })
            }
        }
        let (_folder, raster) = raster(&[], 600);
        let broken = Broken(WhiteSquares::new(64, None).0);
        let error = detect_raster(&raster, &broken, &DetectOptions::default(), &|_| {}).unwrap_err();
        assert!(error.to_string().contains("broken"), "{error}");
    }
}
