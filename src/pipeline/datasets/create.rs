//! Freezes pictures and labels as a data set.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use chrono::Utc;
use sha2::{Digest as _, Sha256};
use stac::Item;

use super::{
    Imported,
    cut::{Cut, cut, lonlat_bounds},
    labels::{Known, ToPixel, of_geojson, on_chip, reviewed, touches},
};
use crate::{
    catalog::{
        self, Dataset, DatasetName, Image, Label, Labels, Layer, Manifest, ObjectRef, Pinned, Split, SplitRule,
        StoredItem, Upstream,
    },
    pipeline::{
        Context, Error, Observer, Progress, Result,
        audit::{Subject, Tally, audited},
        lineage::upstream,
    },
    raster::{self, Raster},
    spatial::{Bbox, Cells, ground_gsd_m},
    storage::ObjectKey,
};

/// What to freeze.
#[derive(Clone, Debug)]
pub struct DatasetRequest {
    pub name: DatasetName,
    pub labels: LabelSource,
    /// Longest side of a chip in pixels.
    pub chip_px: usize,
    /// GSD of the chips; nothing takes the coarsest of the orthophotos.
    pub gsd_m: Option<f64>,
    pub rule: SplitRule,
    /// Chips that show nothing, for each that shows something.
    pub background: f64,
}

/// Where pictures and labels come from.
#[derive(Clone, Debug)]
pub enum LabelSource {
    /// Orthophotos in the catalog, by id, with the reviewed findings on them.
    Reviews { orthophotos: Vec<String> },
    /// One orthophoto with a file of outlines, of which a property names the class.
    GeoJson { orthophoto: String, file: PathBuf, property: String },
    /// Pictures with labels from elsewhere.
    Imported(Imported),
}

/// What became of it.
#[derive(Clone, Debug)]
pub struct Created {
    pub item: String,
    pub name: DatasetName,
    pub sha256: String,
    /// The very same data set was there.
    pub reused: bool,
    /// Pictures by split.
    pub images: BTreeMap<String, usize>,
    /// Chips that were left out because a finding on them waits for its review.
    pub waiting: usize,
}

/// What goes into a manifest, as it comes together.
#[derive(Default)]
struct Draft {
    sources: Vec<Pinned>,
    images: Vec<Image>,
    labels: Labels,
    made_from: Vec<Upstream>,
    bbox: Option<Bbox>,
    waiting: usize,
}

/// Freezes a data set: nothing of it changes any more, and the same request on the same data gives the same one.
///
/// Pictures from elsewhere go into the bucket first, then labels, manifest and item: what breaks off half-way is
/// invisible, and the same command goes on with it.
///
/// # Errors
/// [`Error::NothingLabelled`] when no chip shows an object, [`Error::UnknownOrthophoto`], [`Error::Labels`],
/// [`Error::Raster`], [`Error::Storage`], [`Error::Database`].
pub async fn create_dataset(context: &Context, request: &DatasetRequest, observer: Observer<'_>) -> Result<Created> {
    let subject = Subject {
        what: "dataset",
        bucket: context.storage.bucket(Layer::Models).to_owned(),
        key: None,
        detail: request.name.to_string(),
    };
    audited(context, subject, async {
        let (classes, gsd_m, draft) = match &request.labels {
            LabelSource::Imported(imported) => {
                let draft = of_pictures(context, request, imported, observer).await?;
                (imported.classes.clone(), request.gsd_m, draft)
            }
            _ => of_orthophotos(context, request, observer).await?,
        };
        if draft.labels.images.values().all(Vec::is_empty) {
            return Err(Error::NothingLabelled { name: request.name.to_string(), waiting: draft.waiting });
        }
        let created = publish(context, request, classes, gsd_m, draft).await?;
        let images = created.images.values().sum();
        Ok((created, Tally { version_id: None, records_in: images, records_ok: images }))
    })
    .await
}

/// An orthophoto, fetched in its exact version.
struct Fetched {
    item: Item,
    cog: Upstream,
    path: PathBuf,
    known: Known,
    gsd_m: f64,
}

async fn of_orthophotos(
    context: &Context,
    request: &DatasetRequest,
    observer: Observer<'_>,
) -> Result<(Vec<String>, Option<f64>, Draft)> {
    let ids = match &request.labels {
        LabelSource::Reviews { orthophotos } => orthophotos.clone(),
        LabelSource::GeoJson { orthophoto, .. } => vec![orthophoto.clone()],
        LabelSource::Imported(_) => Vec::new(),
    };
    let mut fetched = Vec::with_capacity(ids.len());
    for id in &ids {
        fetched.push(fetch(context, request, id).await?);
    }
    let classes: BTreeSet<&str> =
        fetched.iter().flat_map(|one| &one.known.objects).map(|object| object.class.as_str()).collect();
    let classes: Vec<String> = classes.into_iter().map(str::to_owned).collect();
    let coarsest = fetched.iter().map(|one| one.gsd_m).fold(0.0, f64::max);
    // A tenth of a millimetre: the figure is written into models and compared.
    let gsd_m = request.gsd_m.unwrap_or((coarsest * 1e4).round() / 1e4);
    let total = fetched.len() as u64;
    let mut draft = Draft::default();
    for (done, one) in fetched.into_iter().enumerate() {
        observer(Progress { stage: "cutting chips".to_owned(), done: done as u64, total });
        for run in &one.known.runs {
            if let Some(row) = context.database.find_item(Layer::Results.collection(), run).await? {
                draft.made_from.push(upstream(Layer::Results, &row.item()?, "detections")?);
            }
        }
        let (names, asked) = (classes.clone(), request.clone());
        let cuts = tokio::task::spawn_blocking(move || chips(one, &names, &asked, gsd_m)).await??;
        draft.add(cuts);
    }
    Ok((classes, Some(gsd_m), draft))
}

async fn fetch(context: &Context, request: &DatasetRequest, id: &str) -> Result<Fetched> {
    let row = context.database.find_item(Layer::Ortho.collection(), id).await?;
    let item = row.ok_or_else(|| Error::UnknownOrthophoto(id.to_owned()))?.item()?;
    let cog = upstream(Layer::Ortho, &item, "ortho")?;
    let path = super::look::fetched(context, &cog.object).await?;
    let opened = path.clone();
    let place = move || -> Result<_> {
        let raster = Raster::open(&opened)?;
        let (crs, transform) = (raster.crs()?, raster.geo_transform()?);
        Ok((crs, transform, ground_gsd_m(crs, &transform, raster.size())?))
    };
    let (crs, transform, gsd_m) = tokio::task::spawn_blocking(place).await??;
    let to_pixel = ToPixel::of(crs, transform)?;
    let known = match &request.labels {
        LabelSource::GeoJson { file, property, .. } => {
            let json = fs::read_to_string(file).map_err(|source| Error::Read { path: file.clone(), source })?;
            of_geojson(&file.display().to_string(), &json, property, &to_pixel)?
        }
        _ => reviewed(&context.database, id, &to_pixel).await?,
    };
    Ok(Fetched { item, cog, path, known, gsd_m })
}

/// What one orthophoto gives.
struct Chips {
    source: Pinned,
    cog: Upstream,
    bbox: Bbox,
    /// With their labels.
    pictures: Vec<(Image, Vec<Label>)>,
    waiting: usize,
}

fn chips(one: Fetched, classes: &[String], request: &DatasetRequest, gsd_m: f64) -> Result<Chips> {
    let raster = Raster::open(&one.path)?;
    let bbox = lonlat_bounds(raster.crs()?, &raster.geo_transform()?, raster.size())?;
    let rule = request.rule;
    let (mut chips, mut empty, mut waiting) = (Vec::new(), Vec::new(), 0);
    for Cut { window, size, cell } in cut(&raster, Cells::new(rule.cell_m), request.chip_px, gsd_m)? {
        let place = format!("{} m: {}/{}", rule.cell_m, cell.row, cell.column);
        let name = format!("{}_{}_{}", one.item.id, window[0], window[1]);
        let image = Image { name, source: 0, window: Some(window), size, split: rule.split(&place), place };
        let labels = on_chip(&one.known.objects, classes, window, size);
        let is_false_find = one.known.false_finds.iter().any(|found| touches(*found, window));
        if one.known.open.iter().any(|found| touches(*found, window)) {
            waiting += 1;
        } else if labels.is_empty() && !is_false_find {
            empty.push(image);
        } else {
            chips.push((image, labels));
        }
    }
    // Those of which the hash comes first: the same ones every time, and spread over the ground.
    let wanted = (chips.len() as f64 * request.background).ceil() as usize;
    empty.sort_by_key(|image| Sha256::digest(format!("{}\n{}", rule.seed, image.name)));
    chips.extend(empty.into_iter().take(wanted).map(|image| (image, Vec::new())));
    let source = Pinned::of(&one.cog.object, Some(format!("{}/{}", Layer::Ortho.collection(), one.item.id)));
    Ok(Chips { source, cog: one.cog, bbox, pictures: chips, waiting })
}

impl Draft {
    fn add(&mut self, Chips { source, cog, bbox, pictures, waiting }: Chips) {
        self.waiting += waiting;
        if pictures.is_empty() {
            return;
        }
        let number = self.sources.len();
        self.sources.push(source);
        self.made_from.push(cog);
        self.bbox = Some(self.bbox.map_or(bbox, |all| all.union(bbox)));
        for (image, labels) in pictures {
            self.labels.images.insert(image.name.clone(), labels);
            self.images.push(Image { source: number, ..image });
        }
    }
}

/// Puts pictures from elsewhere into the bucket, each once, and places them by what their files say.
async fn of_pictures(
    context: &Context,
    request: &DatasetRequest,
    imported: &Imported,
    observer: Observer<'_>,
) -> Result<Draft> {
    let (cells, rule) = (Cells::new(request.rule.cell_m), request.rule);
    let total = imported.pictures.len() as u64;
    let mut draft = Draft::default();
    let mut seen = BTreeSet::new();
    for (done, (path, labels)) in imported.pictures.iter().enumerate() {
        observer(Progress { stage: "storing pictures".to_owned(), done: done as u64, total });
        let bytes = tokio::fs::read(path).await.map_err(|source| Error::Read { path: path.clone(), source })?;
        let sha256 = hex::encode(Sha256::digest(&bytes));
        if !seen.insert(sha256.clone()) {
            return Err(Error::Labels {
                file: path.display().to_string(),
                reason: "another picture has the same content: one thing cannot be in two splits, leave one out".into(),
            });
        }
        let metadata = raster::parse_metadata(&bytes)?;
        let size = {
            let picture = raster::decode_photo(&bytes)?;
            [picture.width, picture.height]
        };
        let place = metadata.lonlat.map_or_else(
            || format!("picture {}", &sha256[..16]),
            |lonlat| {
                let cell = cells.at(lonlat);
                format!("{} m: {}/{}", rule.cell_m, cell.row, cell.column)
            },
        );
        if let Some(bbox) = metadata.lonlat.and_then(|lonlat| Bbox::of([lonlat])) {
            draft.bbox = Some(draft.bbox.map_or(bbox, |all| all.union(bbox)));
        }
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        let media_type = if extension.starts_with("tif") { "image/tiff" } else { "image/jpeg" };
        let key = ObjectKey::DatasetImage { sha256: sha256.clone(), extension };
        let object = context.storage.put_bytes(Layer::Models, &key, bytes.into(), media_type).await?;
        let stem: String = path.file_stem().unwrap_or_default().to_string_lossy().chars().map(plain).collect();
        let name = format!("{stem}_{}", &sha256[..8]);
        let onto = |label: &super::ImportedLabel| {
            let scale = if label.is_relative { size.map(|length| length as f64) } else { [1.0; 2] };
            let point = |[x, y]: &[f64; 2]| [x * scale[0], y * scale[1]].map(|at| (at * 100.0).round() / 100.0);
            Label { class: label.class, ring: label.ring.iter().map(point).collect(), from: None }
        };
        draft.labels.images.insert(name.clone(), labels.iter().map(onto).collect());
        let source = draft.sources.len();
        draft.sources.push(Pinned::of(&object, None));
        draft.images.push(Image { name, source, window: None, size, split: rule.split(&place), place });
    }
    Ok(draft)
}

const fn plain(c: char) -> char {
    if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '_' }
}

/// Puts labels, manifest and item, in this order.
async fn publish(
    context: &Context,
    request: &DatasetRequest,
    classes: Vec<String>,
    gsd_m: Option<f64>,
    draft: Draft,
) -> Result<Created> {
    let put = async |key: fn(String, String) -> ObjectKey, json: Vec<u8>| -> Result<ObjectRef> {
        let key = key(request.name.to_string(), hex::encode(Sha256::digest(&json)));
        Ok(context.storage.put_bytes(Layer::Models, &key, json.into(), "application/json").await?)
    };
    let json = serde_json::to_vec(&draft.labels).map_err(catalog::Error::from)?;
    let labels_object = put(|name, sha256| ObjectKey::DatasetLabels { name, sha256 }, json).await?;
    let name = request.name.clone();
    let labels = Pinned::of(&labels_object, None);
    let manifest = Manifest::new(name, classes, gsd_m, request.rule, draft.sources, labels, draft.images);
    let object = put(|name, sha256| ObjectKey::DatasetManifest { name, sha256 }, manifest.to_json()?).await?;
    let dataset = Dataset {
        manifest,
        labels: draft.labels,
        object,
        labels_object,
        created: Utc::now(),
        bbox: draft.bbox,
        made_from: draft.made_from,
    };
    let item = dataset.item_id();
    let reused = context.database.find_item(Layer::Models.collection(), &item).await?.is_some();
    if !reused {
        let stored = StoredItem::of(&dataset.item(&context.scheme), &context.own_buckets())?;
        context.database.upsert_item(&stored).await?;
    }
    let images = Split::ALL.map(|split| (split.to_string(), dataset.manifest.of_split(split).count()));
    Ok(Created {
        item,
        name: dataset.manifest.name,
        sha256: dataset.object.sha256,
        reused,
        images: images.into(),
        waiting: draft.waiting,
    })
}
