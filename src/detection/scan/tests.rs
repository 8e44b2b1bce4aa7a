use super::*;
use crate::{
    detection::{ModelSpec, PixelBox, Task},
    raster::{CogOptions, CogWriter, Compression},
    spatial::{Crs, GeoTransform},
};

/// Finds white squares: the box around each run of white pixels that touch.
struct WhiteSquares(ModelSpec);

impl WhiteSquares {
    fn new(side: usize, gsd_m: Option<f64>) -> Self {
        Self(ModelSpec {
            names: vec!["square".to_owned()],
            task: Some(Task::Detect),
            image_size: [side, side],
            dynamic: false,
            stride: 1,
            gsd_m,
            confidence: 0.5,
            class_confidence: BTreeMap::new(),
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

    fn detect(&self, chips: &[Chip], _: &Criteria) -> Result<Vec<Vec<Seen>>> {
        Ok(chips.iter().map(|chip| white_squares(&chip.pixels).into_iter().map(Seen::from).collect()).collect())
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
            detect_raster(&raster, &WhiteSquares::new(128, Some(gsd_m)), &DetectOptions::default(), &|_| {}).unwrap();
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
        fn detect(&self, chips: &[Chip], criteria: &Criteria) -> Result<Vec<Vec<Seen>>> {
            self.1.fetch_add(chips.len(), Ordering::Relaxed);
            self.0.detect(chips, criteria)
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
        fn detect(&self, _: &[Chip], _: &Criteria) -> Result<Vec<Vec<Seen>>> {
            Err(Error::Torch { operation: "run", model: "broken".to_owned(), reason: "no".to_owned() })
        }
    }
    let (_folder, raster) = raster(&[], 600);
    let broken = Broken(WhiteSquares::new(64, None).0);
    let error = detect_raster(&raster, &broken, &DetectOptions::default(), &|_| {}).unwrap_err();
    assert!(error.to_string().contains("broken"), "{error}");
}
