//! An orthophoto becomes findings: rows in PostGIS, GeoJSON and a picture in the bucket, an item in the catalog.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use chrono::Utc;
use serde_json::json;
use stac::Item;

use super::{
    Context, Error, Observer, Progress, Result,
    audit::{Subject, Tally, audited, path_of},
    cameras::Cameras,
    lineage::{moment, object_of, span, text, upstream},
    models::{self, Chosen, ModelChoice},
    sightings::Photos,
};
use crate::{
    catalog::{DetectionRun, Flight, Layer, Processing, Project, RunId, StoredItem, Upstream},
    database::{Detection, RunRow},
    detection::{self, DetectOptions, Finding},
    raster::Raster,
    spatial::{Crs, LocalFrame, Projection},
    storage::ObjectKey,
};

/// Raised whenever the same model gives other findings on the same orthophoto.
const ENGINE: &str = "polder-detection-2";

/// Where to search, and with what.
#[derive(Clone, Debug)]
pub struct DetectRequest {
    /// Id of an item in `drone-ortho`.
    pub orthophoto: String,
    pub model: ModelChoice,
    /// `None` takes the model's own threshold.
    pub confidence: Option<f64>,
    /// The same for single classes, by name.
    pub class_confidence: BTreeMap<String, f64>,
}

/// What a search ended with.
#[derive(Clone, Debug)]
pub struct DetectionSummary {
    pub item: String,
    /// Whether the very same run had been published before.
    pub reused: bool,
    /// How many findings there are of each class of the model.
    pub counts: BTreeMap<String, usize>,
}

/// Searches an orthophoto and publishes what was found, also when it is nothing.
///
/// # Errors
/// [`Error::UnknownOrthophoto`], [`Error::UnknownModel`], [`Error::Detection`] when the file is no model,
/// [`Error::Storage`], [`Error::Database`]; nothing of the run is visible then.
pub async fn detect(context: &Context, request: &DetectRequest, observer: Observer<'_>) -> Result<DetectionSummary> {
    let row = context.database.find_item(Layer::Ortho.collection(), &request.orthophoto).await?;
    let orthophoto = row.ok_or_else(|| Error::UnknownOrthophoto(request.orthophoto.clone()))?.item()?;
    let model = models::choose(context, &request.model).await?;
    let cog = upstream(Layer::Ortho, &orthophoto, "ortho")?;
    let mut parameters = json!({ "engine": ENGINE, "confidence": request.confidence });
    if !request.class_confidence.is_empty() {
        parameters["class_confidence"] = json!(request.class_confidence);
    }
    let run = RunId::of(&format!("{parameters}\n{}\n{}", cog.object.sha256, model.object.sha256));
    let id = DetectionRun::id_of(&orthophoto.id, &model.name, &model.version, &run);
    if let Some(row) = context.database.find_item(Layer::Results.collection(), &id).await? {
        return Ok(DetectionSummary { counts: counts_of(&row.item()?), item: id, reused: true });
    }
    let job = Job { context, orthophoto: &orthophoto, cog, model, run, id: id.clone(), parameters };
    let key = job.key("geojson")?;
    let subject = Subject {
        what: "detect",
        bucket: context.storage.bucket(Layer::Results).to_owned(),
        key: Some(path_of(&key)?),
        detail: id.clone(),
    };
    let work = context.work.join(&id);
    let counts = audited(context, subject, async {
        fs::create_dir_all(&work).map_err(|source| Error::Work { path: work.clone(), source })?;
        let found = job.search(request, &work, observer).await?;
        let counts = found.counts.clone();
        let version_id = job.publish(found).await?;
        let records = counts.values().sum();
        Ok((counts, Tally { version_id, records_in: records, records_ok: records }))
    })
    .await?;
    if let Err(error) = fs::remove_dir_all(&work) {
        tracing::warn!("cannot remove the work folder {}: {error}", work.display());
    }
    Ok(DetectionSummary { item: id, reused: false, counts })
}

fn counts_of(item: &Item) -> BTreeMap<String, usize> {
    let classes = item.properties.additional_fields.get("polder:classes");
    classes.and_then(|classes| serde_json::from_value(classes.clone()).ok()).unwrap_or_default()
}

/// One run over one orthophoto.
struct Job<'a> {
    context: &'a Context,
    orthophoto: &'a Item,
    cog: Upstream,
    model: Chosen,
    run: RunId,
    id: String,
    parameters: serde_json::Value,
}

/// What a search gives, ready to be published.
struct Found {
    rows: Vec<Detection>,
    /// The names of the photos that the rows count.
    photos: Vec<String>,
    counts: BTreeMap<String, usize>,
    geojson: Vec<u8>,
    annotated: Vec<u8>,
    confidence: f64,
}

impl Job<'_> {
    fn key(&self, what: &str) -> Result<ObjectKey> {
        let (project, flight) = self.place()?;
        let (project, flight, run) = (project.to_string(), flight.to_string(), self.run.to_string());
        Ok(match what {
            "geojson" => ObjectKey::Detections { project, flight, run },
            _ => ObjectKey::AnnotatedJpeg { project, flight, run },
        })
    }

    fn place(&self) -> Result<(Project, Flight)> {
        let property = |name: &str| {
            let damaged =
                || Error::DamagedItem { item: self.orthophoto.id.clone(), reason: format!("it has no {name}") };
            text(self.orthophoto, name).ok_or_else(damaged)
        };
        Ok((Project::new(property("polder:project")?)?, Flight::new(property("polder:flight")?)?))
    }

    async fn search(&self, request: &DetectRequest, work: &Path, observer: Observer<'_>) -> Result<Found> {
        let path = work.join("ortho.tif");
        self.context.storage.download(&self.cog.object, &path).await?;
        let poses = self.poses(work).await?;
        let (weights, name) = (self.model.weights.clone(), self.model.item_id.clone());
        let options = DetectOptions {
            confidence: request.confidence,
            class_confidence: request.class_confidence.clone(),
            ..DetectOptions::default()
        };
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        let work = tokio::task::spawn_blocking(move || {
            let report = move |progress: detection::Progress| {
                let _ = sender.send(progress);
            };
            find(&path, &weights, &name, &options, poses, &report)
        });
        while let Some(progress) = receiver.recv().await {
            let (done, total) = (progress.done as u64, progress.total as u64);
            observer(Progress { stage: "searching".to_owned(), done, total });
        }
        work.await?
    }

    /// Fetches where the cameras were, and the surface, as far as the orthophoto has them.
    async fn poses(&self, work: &Path) -> Result<Option<Poses>> {
        if !self.orthophoto.assets.contains_key("cameras") {
            return Ok(None);
        }
        let storage = &self.context.storage;
        let json = storage.read_bytes(&object_of(self.orthophoto, "cameras")?).await?;
        let damaged = |reason| Error::DamagedItem {
            item: self.orthophoto.id.clone(),
            reason: format!("its cameras cannot be read: {reason}"),
        };
        let cameras = Cameras::read(&json).map_err(damaged)?;
        let surface = if self.orthophoto.assets.contains_key("dsm") {
            let path = work.join("dsm.tif");
            storage.download(&object_of(self.orthophoto, "dsm")?, &path).await?;
            Some(path)
        } else {
            None
        };
        Ok(Some(Poses { cameras, surface }))
    }

    /// Puts the files, then the rows and the item at once; returns the version of the GeoJSON.
    async fn publish(&self, found: Found) -> Result<Option<String>> {
        let Context { database, storage, .. } = self.context;
        let (project, flight) = self.place()?;
        let geojson = self.key("geojson")?;
        let detections =
            storage.put_bytes(Layer::Results, &geojson, found.geojson.into(), "application/geo+json").await?;
        let annotated =
            storage.put_bytes(Layer::Results, &self.key("jpeg")?, found.annotated.into(), "image/jpeg").await?;
        let version_id = detections.version_id.clone();
        let (starts_at, ends_at) = span([self.orthophoto]).unwrap_or_else(|| (Utc::now(), Utc::now()));
        let row = RunRow {
            id: self.id.clone(),
            project: project.to_string(),
            flight: flight.to_string(),
            orthophoto: self.orthophoto.id.clone(),
            model: self.model.name.to_string(),
            model_version: self.model.version.to_string(),
            starts_at,
            ends_at,
            footprint: footprint_of(self.orthophoto)?,
            photos: found.photos.iter().map(|name| format!("{project}.{flight}.{name}")).collect(),
        };
        let run = DetectionRun {
            project,
            flight,
            orthophoto: self.cog.clone(),
            model: Upstream {
                layer: Layer::Models,
                item_id: self.model.item_id.clone(),
                object: self.model.object.clone(),
            },
            model_name: self.model.name.clone(),
            model_version: self.model.version.clone(),
            run: self.run.clone(),
            footprint: footprint_of(self.orthophoto)?,
            taken: moment((starts_at, ends_at)),
            detections,
            annotated: Some(annotated),
            counts: found.counts,
            confidence: found.confidence,
            processing: Processing {
                software: BTreeMap::from([("polder".to_owned(), env!("CARGO_PKG_VERSION").to_owned())]),
                lineage: format!("{} searched with {}", self.orthophoto.id, self.model.item_id),
                parameters: self.parameters.clone(),
                finished_at: Some(Utc::now()),
            },
        };
        let item = StoredItem::of(&run.item(&self.context.scheme), &self.context.own_buckets())?;
        database.replace_detections(&row, &found.rows, Some(&item)).await?;
        Ok(version_id)
    }
}

/// The covered ground of the orthophoto, as its item says it.
fn footprint_of(item: &Item) -> Result<Vec<[f64; 2]>> {
    let geometry = serde_json::to_value(&item.geometry).unwrap_or_default();
    let ring = serde_json::from_value::<Vec<[f64; 2]>>(geometry["coordinates"][0].clone());
    ring.map_err(|_| Error::DamagedItem { item: item.id.clone(), reason: "its geometry is no polygon".to_owned() })
}

/// What tells which photo shows what.
struct Poses {
    cameras: Cameras,
    surface: Option<PathBuf>,
}

fn find(
    path: &Path,
    weights: &[u8],
    name: &str,
    options: &DetectOptions,
    poses: Option<Poses>,
    report: &(dyn Fn(detection::Progress) + Sync),
) -> Result<Found> {
    let raster = Raster::open(path)?;
    let detector = detection::load(weights, name)?;
    let findings = detection::detect_raster(&raster, detector.as_ref(), options, report)?;
    let crs = raster.crs()?;
    let mut geojson = Vec::new();
    detection::write_geojson(&mut geojson, &findings, crs)?;
    let mut counts: BTreeMap<String, usize> = detector.spec().names.iter().map(|name| (name.clone(), 0)).collect();
    for finding in &findings {
        *counts.entry(finding.class.clone()).or_default() += 1;
    }
    let photos = poses.map(|poses| Photos::new(poses.cameras, poses.surface.as_deref())).transpose()?;
    let to_lonlat = Projection::new(crs, Crs::WGS84)?;
    let rows = findings.iter().map(|finding| row(finding, &to_lonlat, photos.as_ref())).collect::<Result<_>>()?;
    let photos = photos.iter().flat_map(Photos::names).map(str::to_owned).collect();
    let annotated = detection::annotate(&raster, &findings)?;
    let confidence = options.confidence.unwrap_or(detector.spec().confidence);
    Ok(Found { rows, photos, counts, geojson, annotated, confidence })
}

fn row(finding: &Finding, to_lonlat: &Projection, photos: Option<&Photos>) -> Result<Detection> {
    let ring = detection::lonlat_ring(finding, to_lonlat)?;
    Ok(Detection {
        class: finding.class.clone(),
        confidence: finding.confidence,
        area_m2: Some(area_m2(&ring)),
        chip: i32::try_from(finding.chip).ok(),
        seen: match photos {
            Some(photos) => photos.best(middle(&ring))?,
            None => Vec::new(),
        },
        ring,
    })
}

/// The mean of the corners of a closed ring.
fn middle(ring: &[[f64; 2]]) -> [f64; 2] {
    let corners = &ring[..ring.len().saturating_sub(1).max(1)];
    let sum = corners.iter().fold([0.0, 0.0], |sum, corner| [sum[0] + corner[0], sum[1] + corner[1]]);
    sum.map(|sum| sum / corners.len() as f64)
}

/// The area of a small closed ring of longitude and latitude on the ground, whatever system the raster is in.
fn area_m2(ring: &[[f64; 2]]) -> f64 {
    let Some([lon, lat]) = ring.first() else { return 0.0 };
    let frame = LocalFrame::at([*lon, *lat, 0.0]);
    let corners: Vec<[f64; 3]> = ring.iter().map(|[lon, lat]| frame.to_enu([*lon, *lat, 0.0])).collect();
    corners.windows(2).map(|pair| pair[0][0] * pair[1][1] - pair[1][0] * pair[0][1]).sum::<f64>().abs() / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_area_is_that_of_the_ground() {
        // 100 m × 50 m at 52° north, made in a frame at its middle.
        let frame = LocalFrame::at([5.1, 52.0, 0.0]);
        let corners = [[-50.0, -25.0], [50.0, -25.0], [50.0, 25.0], [-50.0, 25.0], [-50.0, -25.0]];
        let ring: Vec<[f64; 2]> =
            corners.map(|[east, north]| frame.to_lonlat([east, north, 0.0])).map(|[lon, lat, _]| [lon, lat]).to_vec();
        assert!((area_m2(&ring) - 5000.0).abs() < 0.01, "{}", area_m2(&ring));
        assert!((middle(&ring)[0] - 5.1).abs() < 1e-8 && (middle(&ring)[1] - 52.0).abs() < 1e-8);
    }
}
