//! The photos of a flight become one orthophoto.

use std::{
    fs,
    path::{Path, PathBuf},
};

use chrono::Utc;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};
use stac::Item;

use super::{
    Context, Error, Observer, Progress, Result,
    audit::{Subject, Tally, audited, path_of},
    engine::{Engine, Ready, Report},
    lineage::{moment, object_of, span, upstream},
};
use crate::{
    catalog::{COG, Flight, Grid, Layer, ObjectRef, Orthophoto, Processing, Project, RunId, StoredItem, Upstream},
    photogrammetry::PhotoInput,
    raster::{self, CogOptions, Raster},
    spatial::Crs,
    storage::ObjectKey,
};

/// Photos fetched at once.
const DOWNLOADS_IN_FLIGHT: usize = 4;

/// Longer side of the thumbnail, in pixels.
const THUMBNAIL_SIDE: usize = 1024;

/// Which flight to stitch, and how.
#[derive(Clone, Debug)]
pub struct StitchRequest {
    pub project: Project,
    pub flight: Flight,
    pub crs: Option<Crs>,
    pub gsd_m: Option<f64>,
    pub cog: CogOptions,
    /// Draw over the surface of the tie points alone.
    pub fast: bool,
    /// Ground control points: ODM's `gcp_list.txt`, a CSV table or `GeoJSON`.
    pub gcp_list: Option<PathBuf>,
    /// Their coordinate system when the file names none.
    pub gcp_crs: Option<Crs>,
    pub engine: Engine,
}

/// What stitching ended with.
#[derive(Clone, Debug)]
pub struct StitchSummary {
    pub item: String,
    /// Whether the very same run had been published before.
    pub reused: bool,
    /// The engine's report, as it is stored.
    pub report: Value,
}

/// The folder, in that of the work, where finished stages are kept.
pub const STAGES: &str = "stages";

/// Stitches a flight and publishes the orthophoto with its surface and terrain models, report (as JSON and as a page)
/// and thumbnail.
///
/// # Errors
/// [`Error::UnknownFlight`], [`Error::Photogrammetry`] and [`Error::Odm`] (which say what to do), [`Error::Storage`],
/// [`Error::Database`]; nothing is published then.
pub async fn stitch(context: &Context, request: &StitchRequest, observer: Observer<'_>) -> Result<StitchSummary> {
    let photos = photo_items(context, request).await?;
    let control = match &request.gcp_list {
        Some(path) => {
            let bytes = tokio::fs::read(path).await.map_err(|source| Error::Read { path: path.clone(), source })?;
            String::from_utf8_lossy(&bytes).into_owned()
        }
        None => String::new(),
    };
    let engine = request.engine.prepare().await?;
    let parameters = parameters(&engine, request, &control);
    let run = run_of(&photos, &parameters)?;
    let id = Orthophoto::id_of(&request.project, &request.flight, &run);
    if let Some(row) = context.database.find_item(Layer::Ortho.collection(), &id).await? {
        let report = context.storage.read_bytes(&object_of(&row.item()?, "report")?).await?;
        let report = serde_json::from_slice(&report).unwrap_or(Value::Null);
        return Ok(StitchSummary { item: id, reused: true, report });
    }
    let subject = Subject {
        what: "stitch",
        bucket: context.storage.bucket(Layer::Ortho).to_owned(),
        key: Some(path_of(&Keys::of(request, &run).orthophoto)?),
        detail: id.clone(),
    };
    let work = WorkFolder::make(&context.work, &id)?;
    let report = audited(context, subject, async {
        let inputs = download(context, &photos, work.path(), observer).await?;
        // Beside the run's own folder, which goes when it is published: another run may differ in its GSD alone.
        let report = engine.stitch(request, inputs, work.path(), &context.work, observer).await?;
        let processing = processing(&engine, parameters, &report);
        let version_id = publish(context, request, &run, &photos, &report, processing, work.path()).await?;
        let tally = Tally { version_id, records_in: report.total(), records_ok: report.used() };
        Ok((report, tally))
    })
    .await?;
    work.remove();
    Ok(StitchSummary { item: id, reused: false, report: serde_json::to_value(&report).unwrap_or(Value::Null) })
}

/// The photos of the flight that are to be stitched, by id.
async fn photo_items(context: &Context, request: &StitchRequest) -> Result<Vec<Item>> {
    let rows = context.database.list_flight_items(Layer::Raw, &request.project, &request.flight).await?;
    let items = rows.iter().map(|row| Ok(row.item()?)).collect::<Result<Vec<_>>>()?;
    let to_stitch = |item: &Item| item.properties.additional_fields.get("polder:stitch") != Some(&Value::Bool(false));
    let photos: Vec<Item> = items.into_iter().filter(to_stitch).collect();
    if photos.is_empty() {
        let (project, flight) = (request.project.to_string(), request.flight.to_string());
        return Err(Error::UnknownFlight { project, flight });
    }
    Ok(photos)
}

fn parameters(engine: &Ready, request: &StitchRequest, control: &str) -> Value {
    use sha2::{Digest as _, Sha256};
    let mut parameters = engine.parameters();
    parameters.insert("crs".to_owned(), json!(request.crs.map(|crs| crs.to_string())));
    parameters.insert("gsd_m".to_owned(), json!(request.gsd_m));
    parameters.insert("compression".to_owned(), json!(request.cog.compression.to_string()));
    parameters.insert("fast".to_owned(), json!(request.fast));
    parameters.insert("gcp_crs".to_owned(), json!(request.gcp_crs.map(|crs| crs.to_string())));
    let control = (!control.is_empty()).then(|| hex::encode(Sha256::digest(control)));
    parameters.insert("gcp_list_sha256".to_owned(), json!(control));
    parameters.into()
}

fn run_of(photos: &[Item], parameters: &Value) -> Result<RunId> {
    use std::fmt::Write as _;
    let mut text = parameters.to_string();
    for photo in photos {
        write!(text, "\n{} {}", photo.id, object_of(photo, "photo")?.sha256).expect("writing to a string cannot fail");
    }
    Ok(RunId::of(&text))
}

/// Fetches the photos, a few at a time; what an earlier attempt has fetched whole is kept.
async fn download(context: &Context, photos: &[Item], work: &Path, observer: Observer<'_>) -> Result<Vec<PhotoInput>> {
    let folder = work.join("photos");
    fs::create_dir_all(&folder).map_err(|source| Error::Work { path: folder.clone(), source })?;
    let total = photos.len() as u64;
    let prefix = |item: &Item| -> String { item.id.splitn(3, '.').nth(2).unwrap_or(&item.id).to_owned() };
    let fetched = stream::iter(photos.iter().enumerate())
        .map(|(index, item)| {
            let name = prefix(item);
            let path = folder.join(&name);
            async move {
                observer(Progress { stage: "fetching photos".to_owned(), done: index as u64, total });
                context.storage.download(&object_of(item, "photo")?, &path).await?;
                Ok::<_, Error>((name, path))
            }
        })
        .buffered(DOWNLOADS_IN_FLIGHT)
        .try_collect::<Vec<_>>()
        .await?;
    let read = |(name, path): (String, PathBuf)| {
        let metadata = raster::read_metadata(&path)?;
        Ok(PhotoInput { name, path, metadata })
    };
    tokio::task::spawn_blocking(move || fetched.into_iter().map(read).collect()).await?
}

/// Puts the files, then the item; returns the version of the orthophoto.
async fn publish(
    context: &Context,
    request: &StitchRequest,
    run: &RunId,
    photos: &[Item],
    report: &Report,
    processing: Processing,
    work: &Path,
) -> Result<Option<String>> {
    let (project, flight) = (request.project.clone(), request.flight.clone());
    let (ortho, dsm) = (work.join("ortho.tif"), work.join("dsm.tif"));
    let picture = ortho.clone();
    let shown = report.clone();
    let Looked { grid, footprint, thumbnail, page } =
        tokio::task::spawn_blocking(move || look_at(&picture, &shown)).await??;

    let (storage, keys) = (&context.storage, Keys::of(request, run));
    let cog = storage.put_file(Layer::Ortho, &keys.orthophoto, &ortho, COG).await?;
    let dsm = if report.has_surface() { Some(put_heights(context, &keys.dsm, dsm).await?) } else { None };
    let dtm = work.join("dtm.tif");
    let dtm = if dtm.is_file() { Some(put_heights(context, &keys.dtm, dtm).await?) } else { None };
    let cameras = match report.cameras() {
        Some(cameras) => {
            let json = serde_json::to_vec(&cameras).expect("cameras have text keys");
            Some(storage.put_bytes(Layer::Ortho, &keys.cameras, json.into(), "application/json").await?)
        }
        None => None,
    };
    let json = report.to_json();
    let report_object = storage.put_bytes(Layer::Ortho, &keys.report, json.into(), "application/json").await?;
    let report_page = match page {
        Some(page) => Some(storage.put_bytes(Layer::Ortho, &keys.report_page, page.into(), "text/html").await?),
        None => None,
    };
    let thumbnail = storage.put_bytes(Layer::Ortho, &keys.thumbnail, thumbnail.into(), "image/jpeg").await?;

    let version_id = cog.version_id.clone();
    let item = Orthophoto {
        project,
        flight,
        run: run.clone(),
        cog,
        grid,
        gsd_m: report.gsd_m(),
        footprint,
        taken: moment(span(photos).unwrap_or_else(|| (Utc::now(), Utc::now()))),
        dsm,
        dtm,
        cameras,
        report: Some(report_object),
        report_page,
        thumbnail: Some(thumbnail),
        photos: used_photos(photos, report)?,
        figures: report.figures(),
        processing,
    };
    let item = StoredItem::of(&item.item(&context.scheme), &context.own_buckets())?;
    context.database.upsert_item(&item).await?;
    Ok(version_id)
}

async fn put_heights(context: &Context, key: &ObjectKey, path: PathBuf) -> Result<(ObjectRef, Grid)> {
    let object = context.storage.put_file(Layer::Ortho, key, &path, COG).await?;
    Ok((object, tokio::task::spawn_blocking(move || grid_of(&Raster::open(path)?)).await??))
}

/// Where the files of a run go.
struct Keys {
    orthophoto: ObjectKey,
    dsm: ObjectKey,
    dtm: ObjectKey,
    cameras: ObjectKey,
    report: ObjectKey,
    report_page: ObjectKey,
    thumbnail: ObjectKey,
}

impl Keys {
    fn of(request: &StitchRequest, run: &RunId) -> Self {
        let place = || (request.project.to_string(), request.flight.to_string(), run.to_string());
        let key = |make: fn((String, String, String)) -> ObjectKey| make(place());
        Self {
            orthophoto: key(|(project, flight, run)| ObjectKey::Orthophoto { project, flight, run }),
            dsm: key(|(project, flight, run)| ObjectKey::Dsm { project, flight, run }),
            dtm: key(|(project, flight, run)| ObjectKey::Dtm { project, flight, run }),
            cameras: key(|(project, flight, run)| ObjectKey::Cameras { project, flight, run }),
            report: key(|(project, flight, run)| ObjectKey::Report { project, flight, run }),
            report_page: key(|(project, flight, run)| ObjectKey::ReportPage { project, flight, run }),
            thumbnail: key(|(project, flight, run)| ObjectKey::Thumbnail { project, flight, run }),
        }
    }
}

fn used_photos(photos: &[Item], report: &Report) -> Result<Vec<Upstream>> {
    let rejected = report.rejected();
    let used = |item: &&Item| !rejected.contains(item.id.splitn(3, '.').nth(2).unwrap_or_default());
    photos.iter().filter(used).map(|item| upstream(Layer::Raw, item, "photo")).collect()
}

fn processing(engine: &Ready, parameters: Value, report: &Report) -> Processing {
    Processing {
        software: engine.software(),
        lineage: format!("{} photos stitched into one orthophoto", report.used()),
        parameters,
        finished_at: Some(Utc::now()),
    }
}

fn grid_of(raster: &Raster) -> Result<Grid> {
    Ok(Grid { crs: raster.crs()?, transform: raster.geo_transform()?, size: raster.size() })
}

/// What is made by looking at the finished orthophoto.
struct Looked {
    grid: Grid,
    footprint: Vec<[f64; 2]>,
    /// A JPEG.
    thumbnail: Vec<u8>,
    /// The report as HTML, with a picture of the orthophoto; the own engine's alone.
    page: Option<String>,
}

fn look_at(path: &Path, report: &Report) -> Result<Looked> {
    let raster = Raster::open(path)?;
    let grid = grid_of(&raster)?;
    let overview = raster.overview(THUMBNAIL_SIDE)?;
    let footprint = super::footprint::covered_ground(&overview, &grid)?;
    let page = report.page(path)?;
    Ok(Looked { grid, footprint, thumbnail: raster::encode_jpeg(&overview.to_rgb(), 85)?, page })
}

/// A folder for one run, which stays when the run breaks off, so that the next attempt need not fetch again.
struct WorkFolder(PathBuf);

impl WorkFolder {
    fn make(parent: &Path, run: &str) -> Result<Self> {
        let path = parent.join(run);
        fs::create_dir_all(&path).map_err(|source| Error::Work { path: path.clone(), source })?;
        Ok(Self(path))
    }

    fn path(&self) -> &Path {
        &self.0
    }

    fn remove(self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!("cannot remove the work folder {}: {error}", self.0.display());
        }
    }
}
