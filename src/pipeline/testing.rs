//! Use cases on a real PostGIS and a real embedded S3, with a detector that is easy to understand.

use std::future::Future;

use serde_json::json;

use super::Context;
use crate::{
    catalog::{
        COG, Grid, Layer, Orthophoto, Photo, PhotoName, Role, RunId, StoredItem, Upstream,
        examples::{orthophoto, photo, scheme},
    },
    database::testing::with_database,
    detection::{
        Chip, Criteria, Detector, Engine, ModelSpec, PixelBox, Result, Seen, Tried, add_config, own_model, read_spec,
        run_models_with,
    },
    raster::{CogOptions, CogWriter, Compression, Rgb8},
    spatial::{Crs, GeoTransform, Projection},
    storage::{ObjectKey, tests::Running},
};

/// Runs a test on a catalog and buckets of its own, both empty. Models find bright boxes ([`BrightBoxes`]).
pub(super) async fn with_context<F: Future<Output = ()>>(test: impl FnOnce(Context) -> F) {
    run_models_with(Engine {
        load: |archive, name| Ok(Box::new(BrightBoxes(read_spec(archive, name)?))),
        train: |_, _, _| unreachable!("no test of use cases trains"),
    });
    with_database(|database| async move {
        let store = Running::start().await;
        let storage = store.with_buckets().await;
        storage.check_buckets().await.unwrap();
        let work = tempfile::tempdir().unwrap();
        let actor = "tester".to_owned();
        let storage = {
            drop(storage);
            store.storage(Role::Admin)
        };
        test(Context { database, storage, scheme: scheme(), actor, work: work.path().to_owned() }).await;
        store.stop().await;
    })
    .await;
}

/// Returns an archive with other classes and a description of its own, made of polder's own model.
pub(super) fn archive(config: &serde_json::Value) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for name in ["net/data.pkl", "net/constants.pkl", "net/code/__torch__.py"] {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
    }
    let mut whole = json!({ "names": read_spec(own_model().bytes, "own").unwrap().names, "imgsz": [64, 64], "args": { "dynamic": true } });
    whole.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
    add_config(zip.finish().unwrap().into_inner(), &whole, "test").unwrap()
}

/// Finds boxes that are brighter than anything else: the first class where they are red, the second where they are not.
///
/// Its confidence is a tenth less than the brightness, 0 to 1.
pub(super) struct BrightBoxes(ModelSpec);

impl Detector for BrightBoxes {
    fn spec(&self) -> &ModelSpec {
        &self.0
    }

    fn detect(&self, chips: &[Chip], criteria: &Criteria) -> Result<Vec<Vec<Seen>>> {
        let found = |chip: &Chip| {
            let all = bright_boxes(&chip.pixels).into_iter();
            all.filter(|found| found.confidence >= criteria.confidence[found.class]).map(Seen::from).collect()
        };
        Ok(chips.iter().map(found).collect())
    }

    fn tried(&self) -> Tried {
        Tried { output_shape: vec![1, 6, 84], parameters: Some(7), framework_version: Some("2.13.0".into()) }
    }
}

fn bright_boxes(picture: &Rgb8) -> Vec<PixelBox> {
    let (width, height) = (picture.width, picture.height);
    let mut bright: Vec<bool> = picture.data.chunks_exact(3).map(|p| p[0] > 150).collect();
    let mut boxes = Vec::new();
    while let Some(start) = bright.iter().position(|&is| is) {
        let (mut edge, mut bounds) = (vec![start], [width, height, 0, 0]);
        bright[start] = false;
        while let Some(at) = edge.pop() {
            let (x, y) = (at % width, at / width);
            bounds = [bounds[0].min(x), bounds[1].min(y), bounds[2].max(x + 1), bounds[3].max(y + 1)];
            let beside = [(x > 0, at.wrapping_sub(1)), (x + 1 < width, at + 1)];
            let across = [(y > 0, at.wrapping_sub(width)), (y + 1 < height, at + width)];
            for (_, next) in beside.into_iter().chain(across).filter(|(inside, _)| *inside) {
                if std::mem::take(&mut bright[next]) {
                    edge.push(next);
                }
            }
        }
        let [left, top, right, bottom] = bounds.map(|side| side as f64);
        let [red, _, blue] =
            picture.pixel(usize::midpoint(bounds[0], bounds[2]), usize::midpoint(bounds[1], bounds[3]));
        let class = usize::from(blue > 150);
        boxes.push(PixelBox { left, top, right, bottom, class, confidence: f64::from(red) / 255.0 - 0.1 });
    }
    boxes
}

/// An orthophoto in the catalog.
pub(super) struct Ortho {
    pub(super) flight: &'static str,
    pub(super) crs: Crs,
    pub(super) transform: GeoTransform,
    pub(super) size: [usize; 2],
    /// Left, top, width, height, in pixels, and the colour.
    pub(super) boxes: Vec<([usize; 4], [u8; 3])>,
}

/// What [`BrightBoxes`] takes for the first class, and for the second.
pub(super) const RED: [u8; 3] = [255, 40, 40];
pub(super) const WHITE: [u8; 3] = [250, 250, 250];

/// Puts an orthophoto into bucket and catalog, dark but for its boxes; returns the id of its item.
pub(super) async fn put_ortho(context: &Context, ortho: &Ortho) -> String {
    let Ortho { flight, crs, transform, size, boxes } = ortho;
    let mut rgb: Vec<u8> = (0..size[0] * size[1] * 3).map(|i| 60 + (i % 7) as u8).collect();
    for ([left, top, width, height], colour) in boxes {
        for row in *top..top + height {
            for column in *left..left + width {
                let at = (row * size[0] + column) * 3;
                rgb[at..at + 3].copy_from_slice(colour);
            }
        }
    }
    let path = context.work.join(format!("{flight}.tif"));
    let options = CogOptions { compression: Compression::Deflate, ..CogOptions::default() };
    let mut cog = CogWriter::create(&path, *size, *transform, *crs, options).unwrap();
    cog.write_rgb([0, 0], *size, &rgb, &vec![255; size[0] * size[1]]).unwrap();
    cog.finish().unwrap();
    let run = RunId::of(flight);
    let key = ObjectKey::Orthophoto { project: "dijk-a".into(), flight: (*flight).into(), run: run.to_string() };
    let object = context.storage.put_file(Layer::Ortho, &key, &path, COG).await.unwrap();
    let mut outline = transform.outline(*size).to_vec();
    Projection::new(*crs, Crs::WGS84).unwrap().forward_many(&mut outline).unwrap();
    let grid = Grid { crs: *crs, transform: *transform, size: *size };
    let item = Orthophoto {
        project: "dijk-a".parse().unwrap(),
        flight: flight.parse().unwrap(),
        run,
        cog: object,
        grid,
        gsd_m: transform.pixel_size(),
        footprint: outline,
        photos: Vec::new(),
        dsm: None,
        report: None,
        report_page: None,
        thumbnail: None,
        cameras: None,
        ..orthophoto()
    };
    let stored = StoredItem::of(&item.item(&context.scheme), &context.own_buckets()).unwrap();
    context.database.upsert_item(&stored).await.unwrap();
    stored.id
}

/// Puts a photo of these bytes into bucket and catalog.
pub(super) async fn put_photo(context: &Context, name: &str, bytes: &'static [u8]) -> Upstream {
    let key = ObjectKey::Photo { project: "dijk-a".into(), flight: "one".into(), name: name.into() };
    let object = context.storage.put_bytes(Layer::Raw, &key, bytes.into(), "image/jpeg").await.unwrap();
    let photo =
        Photo { flight: "one".parse().unwrap(), name: PhotoName::for_file(name), object: object.clone(), ..photo() };
    let stored = StoredItem::of(&photo.item(&context.scheme), &context.own_buckets()).unwrap();
    context.database.upsert_item(&stored).await.unwrap();
    Upstream { layer: Layer::Raw, item_id: stored.id, object }
}
