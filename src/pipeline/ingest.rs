//! Photos become objects in the raw bucket and items in the catalog.
//!
//! The object is put first and the item last, each of them only if it is not there already: an upload that was cut
//! off goes on where it was, and a photo that was uploaded before costs one question.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
};

use chrono::{DateTime, Utc};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;

use super::{
    Context, Error, Observer, Progress, Result, Warning,
    audit::{Subject, Tally, audited, path_of},
    examine::{Examined, Refused, examine, find_photos},
};
use crate::{
    catalog::{Attitude, Camera, Flight, Grid, Layer, Photo, PhotoName, Project, StoredItem, Taken},
    raster::PhotoMetadata,
    spatial::{self, Crs, Projection, ground_gsd_m},
    storage::ObjectKey,
};

/// Photos sent at once; each has a few parts in flight.
const PHOTOS_IN_FLIGHT: usize = 4;

/// Lower than this a drone stands on the ground, and its photo has no footprint.
const LOWEST_FLIGHT_M: f64 = 1.0;

/// What to upload, and as what.
#[derive(Clone, Debug)]
pub struct IngestRequest {
    /// A folder, or one file.
    pub source: PathBuf,
    pub project: Project,
    pub flight: Flight,
}

/// What became of every file.
#[derive(Clone, Debug, Serialize)]
pub struct IngestReport {
    pub registered: usize,
    pub unchanged: usize,
    pub duplicates: usize,
    pub rejected: usize,
    pub files: Vec<FileReport>,
}

/// What became of one file.
#[derive(Clone, Debug, Serialize)]
pub struct FileReport {
    pub file: String,
    #[serde(flatten)]
    pub outcome: FileOutcome,
}

/// What became of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum FileOutcome {
    /// It is in the bucket and in the catalog now.
    Registered { item: String, warnings: Vec<Warning> },
    /// It was there already, the same to the byte.
    Unchanged { item: String, warnings: Vec<Warning> },
    /// Another file of this upload has the same content; only that one was taken.
    Duplicate { of: String },
    /// It cannot be used.
    Rejected { reason: String },
}

/// Uploads photos and publishes their items.
///
/// # Errors
/// [`Error::NoSource`], [`Error::NoPhotos`]; [`Error::Storage`] or [`Error::Database`] when either is gone, after which
/// what was uploaded stays and the same call goes on. A file that cannot be used is a line in the report.
pub async fn ingest(context: &Context, request: IngestRequest, observer: Observer<'_>) -> Result<IngestReport> {
    let files = find_photos(&request.source)?;
    let now = Utc::now();
    observer(Progress { stage: "looking at the photos".to_owned(), done: 0, total: files.len() as u64 });
    let (photos, refused) = tokio::task::spawn_blocking(move || examine(&files, now)).await?;
    let span = flight_span(&photos);
    let (photos, duplicates) = set_duplicates_apart(photos);

    let (done, total) = (AtomicU64::new(0), photos.len() as u64);
    let mut reports: Vec<FileReport> = stream::iter(photos)
        .map(|photo| {
            let (done, request) = (&done, &request);
            async move {
                let report = register(context, request, photo, span).await?;
                let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                observer(Progress { stage: "uploading".to_owned(), done, total });
                Ok::<_, Error>(report)
            }
        })
        .buffer_unordered(PHOTOS_IN_FLIGHT)
        .try_collect()
        .await?;
    reports.extend(duplicates);
    reports.extend(refused.into_iter().map(|Refused { file_name, reason }| FileReport {
        file: file_name,
        outcome: FileOutcome::Rejected { reason },
    }));
    reports.sort_by(|a, b| a.file.cmp(&b.file));
    Ok(summary(reports))
}

fn summary(files: Vec<FileReport>) -> IngestReport {
    let count = |is: fn(&FileOutcome) -> bool| files.iter().filter(|file| is(&file.outcome)).count();
    IngestReport {
        registered: count(|o| matches!(o, FileOutcome::Registered { .. })),
        unchanged: count(|o| matches!(o, FileOutcome::Unchanged { .. })),
        duplicates: count(|o| matches!(o, FileOutcome::Duplicate { .. })),
        rejected: count(|o| matches!(o, FileOutcome::Rejected { .. })),
        files,
    }
}

/// The first file of a content, in the order of names, stands for it.
fn set_duplicates_apart(photos: Vec<Examined>) -> (Vec<Examined>, Vec<FileReport>) {
    let mut first = BTreeMap::<String, String>::new();
    let (mut kept, mut duplicates) = (Vec::new(), Vec::new());
    for photo in photos {
        if let Some(of) = first.get(&photo.sha256) {
            let outcome = FileOutcome::Duplicate { of: of.clone() };
            duplicates.push(FileReport { file: photo.file_name, outcome });
        } else {
            first.insert(photo.sha256.clone(), photo.file_name.clone());
            kept.push(photo);
        }
    }
    (kept, duplicates)
}

fn flight_span(photos: &[Examined]) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let times = || photos.iter().filter_map(|photo| photo.taken_at);
    times().min().zip(times().max())
}

async fn register(
    context: &Context,
    request: &IngestRequest,
    photo: Examined,
    span: Option<(DateTime<Utc>, DateTime<Utc>)>,
) -> Result<FileReport> {
    let name = PhotoName::for_file(&photo.file_name);
    let key = ObjectKey::Photo {
        project: request.project.to_string(),
        flight: request.flight.to_string(),
        name: name.to_string(),
    };
    let subject = Subject {
        what: "upload",
        bucket: context.storage.bucket(Layer::Raw).to_owned(),
        key: Some(path_of(&key)?),
        detail: format!("{} · {}", request.project, request.flight),
    };
    audited(context, subject, async {
        let object = context.storage.put_file(Layer::Raw, &key, &photo.path, photo.content_type).await?;
        let tally = Tally { version_id: object.version_id.clone(), records_in: 1, records_ok: 1 };
        let stored_at = context.storage.stored_at(&object).await?;
        let item = describe(request, &photo, &name, object, stored_at, span)?.item(&context.scheme);
        let written = context.database.upsert_item(&StoredItem::of(&item, &context.own_buckets())?).await?;
        let (item, warnings) = (item.id, photo.warnings);
        let outcome = match written.unchanged {
            0 => FileOutcome::Registered { item, warnings },
            _ => FileOutcome::Unchanged { item, warnings },
        };
        Ok((FileReport { file: photo.file_name, outcome }, tally))
    })
    .await
}

fn describe(
    request: &IngestRequest,
    photo: &Examined,
    name: &PhotoName,
    object: crate::catalog::ObjectRef,
    stored_at: Option<DateTime<Utc>>,
    span: Option<(DateTime<Utc>, DateTime<Utc>)>,
) -> Result<Photo> {
    let m = &photo.metadata;
    let taken = match (photo.taken_at, span, stored_at) {
        (Some(at), _, _) => Taken::At(at),
        (None, Some((first, last)), _) => Taken::DuringFlight(first, last),
        (None, None, stored_at) => Taken::Before(stored_at.unwrap_or_else(Utc::now)),
    };
    let (footprint, gsd_m) = match &photo.grid {
        Some(grid) => (Some(outline(grid)?), Some(ground_gsd_m(grid.crs, &grid.transform, grid.size)?)),
        None => (footprint(m), gsd_m(m)),
    };
    Ok(Photo {
        project: request.project.clone(),
        flight: request.flight.clone(),
        name: name.clone(),
        file_name: (name.as_str() != photo.file_name).then(|| photo.file_name.clone()),
        object,
        stored_at,
        taken,
        size: (m.width > 0).then_some([m.width, m.height]),
        camera: Camera { make: m.make.clone(), model: m.model.clone(), serial: m.serial.clone() },
        lonlat: m.lonlat,
        absolute_altitude_m: m.absolute_altitude_m,
        relative_altitude_m: m.relative_altitude_m,
        attitude: attitude(m),
        gsd_m,
        footprint,
        cloud_cover: m.cloud_cover,
        grid: photo.grid,
    })
}

/// The gimbal's attitude; a camera without gimbal data is taken to look straight down along the aircraft.
fn attitude(m: &PhotoMetadata) -> Option<Attitude> {
    if let Some(gimbal) = m.gimbal {
        return Some(Attitude { yaw_deg: gimbal.yaw_deg, pitch_deg: gimbal.pitch_deg, roll_deg: gimbal.roll_deg });
    }
    m.aircraft.map(|aircraft| Attitude { yaw_deg: aircraft.yaw_deg, pitch_deg: -90.0, roll_deg: 0.0 })
}

fn height_m(m: &PhotoMetadata) -> Option<f64> {
    m.relative_altitude_m.filter(|height| *height > LOWEST_FLIGHT_M)
}

fn gsd_m(m: &PhotoMetadata) -> Option<f64> {
    Some(spatial::gsd_m(m.focal_px?, height_m(m)?))
}

fn footprint(m: &PhotoMetadata) -> Option<Vec<[f64; 2]>> {
    let attitude = attitude(m)?;
    let camera = spatial::Camera { width: m.width, height: m.height, focal_px: m.focal_px? };
    // DJI's gimbal writes a roll of 180° beside a pitch of -90° when it has turned over its pole: straight down all the same.
    let roll_deg = if attitude.roll_deg.abs() > 90.0 { 0.0 } else { attitude.roll_deg };
    let pose = spatial::Pose {
        lonlat: m.lonlat?,
        height_above_ground_m: height_m(m)?,
        yaw_deg: attitude.yaw_deg,
        pitch_deg: attitude.pitch_deg,
        roll_deg,
    };
    spatial::footprint(&camera, &pose)
}

/// Returns the outline of a raster as a closed ring of longitude and latitude.
pub(super) fn outline(grid: &Grid) -> Result<Vec<[f64; 2]>> {
    let mut ring = grid.transform.outline(grid.size).to_vec();
    Projection::new(grid.crs, Crs::WGS84)?.forward_many(&mut ring)?;
    Ok(ring)
}
