//! The photos of a flight become one orthophoto.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use chrono::Utc;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Map, Value, json};
use stac::Item;

use super::{
    Context, Error, Observer, Progress, Result,
    audit::{Subject, Tally, audited, path_of},
    lineage::{moment, object_of, span, upstream},
};
use crate::{
    catalog::{COG, Flight, Grid, Layer, Orthophoto, Processing, Project, RunId, StoredItem, Upstream},
    photogrammetry::{self, PhotoInput, Picture, Report},
    raster::{self, Raster},
    spatial::Crs,
    storage::ObjectKey,
};

/// Raised whenever the engine gives other pixels for the same photos, so that old runs are not taken for new ones.
const ENGINE: &str = "polder-photogrammetry-1";

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
    /// Ground control points: ODM's `gcp_list.txt`, a CSV table or `GeoJSON`.
    pub gcp_list: Option<PathBuf>,
    /// Their coordinate system when the file names none.
    pub gcp_crs: Option<Crs>,
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

/// Stitches a flight and publishes the orthophoto with its surface model, report (as JSON and as a page) and thumbnail.
///
/// # Errors
/// [`Error::UnknownFlight`], [`Error::Photogrammetry`] (which says what to do), [`Error::Storage`], [`Error::Database`];
/// nothing is published then.
pub async fn stitch(context: &Context, request: &StitchRequest, observer: Observer<'_>) -> Result<StitchSummary> {
    let photos = photo_items(context, request).await?;
    let control = match &request.gcp_list {
        Some(path) => {
            let bytes = tokio::fs::read(path).await.map_err(|source| Error::Read { path: path.clone(), source })?;
            String::from_utf8_lossy(&bytes).into_owned()
        }
        None => String::new(),
    };
    let run = run_of(&photos, request, &control)?;
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
        let report = compute(context, request, inputs, work.path(), observer).await?;
        let version_id = publish(context, request, &run, &photos, &report, work.path()).await?;
        let tally = Tally { version_id, records_in: report.photos.total, records_ok: report.photos.used };
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

fn parameters(request: &StitchRequest, control: &str) -> Value {
    use sha2::{Digest as _, Sha256};
    json!({
        "engine": ENGINE,
        "crs": request.crs.map(|crs| crs.to_string()),
        "gsd_m": request.gsd_m,
        "gcp_crs": request.gcp_crs.map(|crs| crs.to_string()),
        "gcp_list_sha256": (!control.is_empty()).then(|| hex::encode(Sha256::digest(control))),
    })
}

fn run_of(photos: &[Item], request: &StitchRequest, control: &str) -> Result<RunId> {
    use std::fmt::Write as _;
    let mut text = parameters(request, control).to_string();
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

async fn compute(
    context: &Context,
    request: &StitchRequest,
    inputs: Vec<PhotoInput>,
    work: &Path,
    observer: Observer<'_>,
) -> Result<Report> {
    let read = |path: &PathBuf| photogrammetry::read_gcps(path, request.gcp_crs);
    let gcps = request.gcp_list.as_ref().map(read).transpose()?.unwrap_or_default();
    let (out, dsm) = (work.join("ortho.tif"), Some(work.join("dsm.tif")));
    // Beside the run's own folder, which goes when it is published: another run may differ in its GSD alone.
    let kept = context.work.join(STAGES);
    let options = photogrammetry::Options { out, dsm, crs: request.crs, gsd_m: request.gsd_m, gcps, kept: Some(kept) };
    // The engine computes for minutes on its own threads; its progress comes back over a channel.
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let work = tokio::task::spawn_blocking(move || {
        let report = move |progress: photogrammetry::Progress| {
            let _ = sender.send(progress);
        };
        photogrammetry::stitch(&inputs, &options, &report)
    });
    while let Some(progress) = receiver.recv().await {
        observer(Progress::share(progress.stage, progress.done));
    }
    let mut report = work.await??;
    report.title = format!("{} · {}", request.project, request.flight);
    Ok(report)
}

/// Puts the files, then the item; returns the version of the orthophoto.
async fn publish(
    context: &Context,
    request: &StitchRequest,
    run: &RunId,
    photos: &[Item],
    report: &Report,
    work: &Path,
) -> Result<Option<String>> {
    let (project, flight) = (request.project.clone(), request.flight.clone());
    let (ortho, dsm) = (work.join("ortho.tif"), work.join("dsm.tif"));
    let picture = ortho.clone();
    let shown = report.clone();
    let Looked { grid, footprint, thumbnail, page } =
        tokio::task::spawn_blocking(move || look_at(&picture, &shown)).await??;
    let dsm_file = dsm.clone();
    let dsm_grid = tokio::task::spawn_blocking(move || grid_of(&Raster::open(dsm_file)?)).await??;

    let (storage, keys) = (&context.storage, Keys::of(request, run));
    let cog = storage.put_file(Layer::Ortho, &keys.orthophoto, &ortho, COG).await?;
    let dsm = storage.put_file(Layer::Ortho, &keys.dsm, &dsm, COG).await?;
    let json = report.to_json();
    let report_object = storage.put_bytes(Layer::Ortho, &keys.report, json.into(), "application/json").await?;
    let report_page = storage.put_bytes(Layer::Ortho, &keys.report_page, page.into(), "text/html").await?;
    let thumbnail = storage.put_bytes(Layer::Ortho, &keys.thumbnail, thumbnail.into(), "image/jpeg").await?;

    let version_id = cog.version_id.clone();
    let item = Orthophoto {
        project,
        flight,
        run: run.clone(),
        cog,
        grid,
        gsd_m: report.gsd_m,
        footprint,
        taken: moment(span(photos).unwrap_or_else(|| (Utc::now(), Utc::now()))),
        dsm: Some((dsm, dsm_grid)),
        report: Some(report_object),
        report_page: Some(report_page),
        thumbnail: Some(thumbnail),
        photos: used_photos(photos, report)?,
        figures: figures(report),
        processing: processing(request, report),
    };
    let item = StoredItem::of(&item.item(&context.scheme), &context.own_buckets())?;
    context.database.upsert_item(&item).await?;
    Ok(version_id)
}

/// Where the files of a run go.
struct Keys {
    orthophoto: ObjectKey,
    dsm: ObjectKey,
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
            report: key(|(project, flight, run)| ObjectKey::Report { project, flight, run }),
            report_page: key(|(project, flight, run)| ObjectKey::ReportPage { project, flight, run }),
            thumbnail: key(|(project, flight, run)| ObjectKey::Thumbnail { project, flight, run }),
        }
    }
}

fn used_photos(photos: &[Item], report: &Report) -> Result<Vec<Upstream>> {
    let rejected: BTreeSet<&str> = report.photos.rejected.iter().map(|photo| photo.name.as_str()).collect();
    let used = |item: &&Item| !rejected.contains(item.id.splitn(3, '.').nth(2).unwrap_or_default());
    photos.iter().filter(used).map(|item| upstream(Layer::Raw, item, "photo")).collect()
}

fn figures(report: &Report) -> Map<String, Value> {
    let figures = json!({
        "photos_total": report.photos.total,
        "photos_used": report.photos.used,
        "reprojection_rmse_px": report.reprojection_rmse_px,
        "height_above_ground_m": report.height_above_ground_m,
        "verdict": report.verdict,
    });
    match figures {
        Value::Object(figures) => figures,
        _ => Map::new(),
    }
}

fn processing(request: &StitchRequest, report: &Report) -> Processing {
    let control = request.gcp_list.as_ref().and_then(|path| fs::read(path).ok()).unwrap_or_default();
    let control = String::from_utf8_lossy(&control);
    Processing {
        software: BTreeMap::from([("polder".to_owned(), env!("CARGO_PKG_VERSION").to_owned())]),
        lineage: format!("{} photos stitched into one orthophoto", report.photos.used),
        parameters: parameters(request, &control),
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
    /// The report as HTML, with a picture of the orthophoto.
    page: String,
}

fn look_at(path: &Path, report: &Report) -> Result<Looked> {
    let raster = Raster::open(path)?;
    let grid = grid_of(&raster)?;
    let overview = raster.overview(THUMBNAIL_SIDE)?;
    let footprint = super::footprint::covered_ground(&overview, &grid)?;
    let page = report.page(Some(&Picture::of(path)?));
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
