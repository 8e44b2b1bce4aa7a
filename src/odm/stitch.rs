//! One flight from photos to orthophoto, by a server.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use tokio_util::sync::CancellationToken;

use super::{
    Error, Report, Result, Token,
    address::Address,
    agreement::{self, Shot},
    archive::{self, Returned},
    choices::{self, Wanted},
    kept::Kept,
    node::{Choice, Node, NodeInfo, OptionSpec},
    regrid,
    report::{Findings, OdmReport, StageReport, as_object},
    shipment::Shipment,
    task::{Errand, Fetched},
};
use crate::{
    photogrammetry::{self, Gcp, PhotoInput, Progress},
    raster::{HeightRaster, Raster, Window},
    spatial::{Crs, Projection, ground_gsd_m},
};

/// The folder, in that of the work, where tasks and their results are kept.
const FOLDER: &str = "odm";
/// Longer side of the overview on which photos are looked for, in pixels.
const OVERVIEW_SIDE: usize = 1024;

/// Which server, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `http://host:3000`; without the token.
    pub url: String,
    pub token: Option<Token>,
    /// Options of ODM by name, beside those that follow from [`Options`].
    pub options: Vec<(String, String)>,
    /// Cancelled when polder is to stop: the task is cancelled on the server then.
    pub stop: CancellationToken,
}

/// What to make of the photos.
#[derive(Clone, Debug)]
pub struct Options {
    /// The orthophoto, a COG. Its folder must exist.
    pub out: PathBuf,
    /// Where to write the surface as a COG of heights, if at all.
    pub dsm: Option<PathBuf>,
    /// The coordinate system of the orthophoto; the UTM zone that ODM has chosen by default.
    pub crs: Option<Crs>,
    /// Metres per pixel; the photos' own by default.
    pub gsd_m: Option<f64>,
    /// Surveyed points.
    pub gcps: Vec<Gcp>,
    /// The folder for files in the making.
    pub work: PathBuf,
}

/// A server that has been asked who it is and has all options that are needed.
#[derive(Clone)]
pub struct Server {
    node: Node,
    info: NodeInfo,
    specs: Vec<OptionSpec>,
    own: Vec<Choice>,
    stop: CancellationToken,
}

impl Server {
    /// Asks the server who it is, and checks the options.
    ///
    /// # Errors
    /// [`Error::Address`], [`Error::SecretInAddress`], [`Error::Unreachable`], [`Error::Unauthorized`], [`Error::NotOdm`],
    /// [`Error::UnknownOption`], [`Error::OptionValue`].
    pub async fn connect(settings: &Settings) -> Result<Self> {
        let node = Node::new(Address::parse(&settings.url, settings.token.clone())?)?;
        let ask = async {
            let info = node.info().await?;
            let specs = node.options().await?;
            Ok::<_, Error>((info, specs))
        };
        let (info, specs) = tokio::select! {
            answer = ask => answer?,
            () = settings.stop.cancelled() => return Err(Error::StoppedEarly),
        };
        let own = choices::check(&node.url(), &specs, &settings.options)?;
        Ok(Self { node, info, specs, own, stop: settings.stop.clone() })
    }

    /// Returns the name and version of the engine behind the server.
    pub fn software(&self) -> (String, String) {
        let engine = self.info.engine.as_deref().unwrap_or("odm");
        let name = if engine.eq_ignore_ascii_case("odm") { "ODM".to_owned() } else { engine.to_owned() };
        (name, self.info.engine_version.clone().unwrap_or_else(|| "unknown".to_owned()))
    }

    /// Returns the user's own options of ODM, for whoever names results by what they are made of.
    pub fn own_options(&self) -> serde_json::Map<String, serde_json::Value> {
        as_object(&self.own)
    }
}

/// Has a server stitch the photos of a flight into an orthophoto at [`Options::out`], and says how good it is.
///
/// A stitch that broke off goes on where it was: see [`super`]. The result stays in the work folder, so that another
/// coordinate system asks nothing of the server.
///
/// # Errors
/// [`Error::Photogrammetry`] for photos that no engine can stitch; [`Error::TooManyPhotos`], and what `task.rs` and
/// `archive.rs` say can go wrong on the server; [`Error::NotGeoreferenced`], [`Error::Raster`] for what came back.
pub async fn stitch(
    server: &Server,
    photos: &[PhotoInput],
    options: &Options,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Report> {
    check(server, photos, options)?;
    let wanted = Wanted { gsd_m: options.gsd_m, dsm: options.dsm.is_some() };
    let choices = choices::choose(&server.node.url(), &server.specs, &server.own, wanted, photos)?;
    let (name, version) = server.software();
    let beside = format!("{} {name} {version} {:?}", server.node.url(), as_object(&choices));
    let (inputs, gcps, folder) = (photos.to_vec(), options.gcps.clone(), options.work.join(FOLDER));
    let (shipment, doubts, mut kept) = tokio::task::spawn_blocking(move || {
        let (gcps, doubts) =
            if gcps.is_empty() { (Vec::new(), Vec::new()) } else { photogrammetry::vet_for(&inputs, &gcps)? };
        let shipment = Shipment::of(&inputs, &gcps)?;
        let kept = Kept::open(&folder, &shipment.key(&beside)?)?;
        Ok::<_, Error>((shipment, doubts, kept))
    })
    .await??;

    let errand = Errand {
        node: &server.node,
        shipment: &shipment,
        choices: &choices,
        outputs: &archive::OUTPUTS,
        progress,
        stop: &server.stop,
    };
    let fetched = errand.run(&mut kept).await?;
    let (task, archive, folder) = (fetched.task.clone(), fetched.archive.clone(), kept.beside("files"));
    let into = folder.clone();
    let unpacked = tokio::task::spawn_blocking(move || archive::unpack(&task, &archive, &into)).await?;
    let returned = match unpacked {
        Ok(returned) => returned,
        Err(error) => {
            // It is of no use to the next attempt, which asks the server again.
            let _ = std::fs::remove_file(&fetched.archive);
            return Err(error);
        }
    };
    if !fetched.seconds.is_empty()
        && let Err(error) = server.node.remove(&fetched.task).await
    {
        tracing::warn!("task {} stays on the ODM server: {error}", fetched.task);
    }

    let work = Work {
        photos: photos.to_vec(),
        options: options.clone(),
        shipment,
        returned,
        fetched,
        software: format!("{name} {version}"),
        server: format!("{}, API {}", server.node.url(), server.info.version),
        choices,
        notes: doubts,
    };
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let made = tokio::task::spawn_blocking(move || {
        work.finish(&|progress| {
            let _ = sender.send(progress);
        })
    });
    while let Some(told) = receiver.recv().await {
        progress(told);
    }
    let report = made.await?;
    let _ = std::fs::remove_dir_all(&folder);
    report
}

/// Refuses what the own engine refuses too, before anything is uploaded.
fn check(server: &Server, photos: &[PhotoInput], options: &Options) -> Result<()> {
    for path in std::iter::once(&options.out).chain(&options.dsm) {
        if path.parent().is_some_and(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
            return Err(photogrammetry::Error::NoOutputFolder { path: path.clone() }.into());
        }
    }
    let total = photos.len();
    if total == 0 {
        return Err(photogrammetry::Error::NoPhotos.into());
    }
    if total < 3 {
        let reasons = "no more were given".to_owned();
        return Err(photogrammetry::Error::TooFewPhotos { usable: total, total, reasons }.into());
    }
    if options.gcps.is_empty() && photos.iter().all(|photo| photo.metadata.lonlat.is_none()) {
        return Err(photogrammetry::Error::NoPosition { total }.into());
    }
    match server.info.max_images {
        Some(most) if most < total => Err(Error::TooManyPhotos { url: server.node.url(), photos: total, most }),
        _ => Ok(()),
    }
}

/// What is left to do once the result is here.
struct Work {
    photos: Vec<PhotoInput>,
    options: Options,
    shipment: Shipment,
    returned: Returned,
    fetched: Fetched,
    software: String,
    server: String,
    choices: Vec<Choice>,
    notes: Vec<String>,
}

impl Work {
    fn finish(mut self, progress: &dyn Fn(Progress)) -> Result<Report> {
        let start = Instant::now();
        let mut notes = std::mem::take(&mut self.notes);
        let options = &self.options;
        let tell = |done| progress(Progress { stage: "orthophoto", done });
        let (place, covered_pixels) =
            regrid::orthophoto(&self.returned.orthophoto, &options.out, options.crs, options.gsd_m, &tell)?;
        let surface = self.returned.dsm.as_deref().filter(|_| options.dsm.is_some());
        if let (Some(from), Some(out)) = (surface, &options.dsm) {
            regrid::surface(from, out, options.crs)?;
        } else if options.dsm.is_some() {
            notes.push("ODM gave no surface (DSM) though it was asked for: it found too few points".to_owned());
        }
        let shots = self.returned.shots.as_ref().map(|shots| agreement::read_shots(shots, &self.shipment));
        let (shots, twice) = shots.map_or((None, Vec::new()), |(shots, twice)| (Some(shots), twice));
        if !twice.is_empty() || self.fetched.extra_files > 0 {
            let count = twice.len().max(self.fetched.extra_files);
            notes.push(format!(
                "{count} photos may be in it twice, because their upload broke off: {}",
                twice.join(", ")
            ));
        }
        let compared = shots.as_deref().and_then(|shots| agreement::compare(&self.photos, shots));
        let overview = Raster::open(&options.out)?.overview(OVERVIEW_SIDE)?;
        let findings = Findings {
            photos: &self.photos,
            statistics: self.returned.statistics.as_ref(),
            shots: shots.as_deref(),
            compared: compared.as_ref(),
            over: agreement::share_over(&self.photos, &place, &overview)?,
            place,
            covered_pixels,
            gsd_m: ground_gsd_m(place.crs, &place.transform, place.size)?,
            heights_m: match (surface, &shots) {
                (Some(surface), Some(shots)) => heights_over(surface, shots)?,
                _ => Vec::new(),
            },
            has_control: self.shipment.parcels.len() > self.photos.len(),
            has_surface: surface.is_some(),
        };
        let mut stages: Vec<StageReport> =
            self.fetched.seconds.iter().map(|(name, seconds)| stage(name, *seconds, false)).collect();
        if stages.is_empty() {
            stages.push(stage("odm", 0.0, true));
        }
        stages.push(stage("orthophoto", start.elapsed().as_secs_f64(), false));
        let gcp_errors = self.returned.statistics.as_ref().map(|all| all["gcp_errors"].clone());
        let odm = OdmReport {
            server: self.server.clone(),
            task: self.fetched.task.clone(),
            options: as_object(&self.choices),
            gcp_errors: gcp_errors.filter(|errors| errors.as_object().is_some_and(|errors| !errors.is_empty())),
        };
        Ok(findings.report(self.software.clone(), stages, odm, notes))
    }
}

fn stage(name: &str, seconds: f64, kept: bool) -> StageReport {
    StageReport { name: name.to_owned(), seconds, peak_memory_mb: None, kept }
}

/// How high each camera is over the surface under it; those that see none are left out.
fn heights_over(surface: &Path, shots: &[Shot]) -> Result<Vec<f64>> {
    let raster = HeightRaster::open(surface)?;
    let to_crs = Projection::new(Crs::WGS84, raster.crs())?;
    let mut heights = Vec::new();
    for shot in shots.iter().filter(|shot| shot.place[2].is_finite()) {
        let [x, y] = raster.geo_transform().ground_to_pixel(to_crs.forward([shot.place[0], shot.place[1]])?)?;
        let at = Window { x: x.floor() as isize, y: y.floor() as isize, width: 1, height: 1 };
        let ground = f64::from(raster.read(at)?[0]);
        if ground.is_finite() {
            heights.push(shot.place[2] - ground);
        }
    }
    Ok(heights)
}
