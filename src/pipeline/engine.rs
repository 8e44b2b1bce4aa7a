//! Who stitches: polder's own engine, or OpenDroneMap on a server. Both leave the same files and the same item.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Observer, Progress, Result, StitchRequest, cameras::Cameras};
use crate::{
    odm,
    photogrammetry::{self, PhotoInput, Picture},
};

/// Raised whenever the own engine gives other pixels for the same photos, so that old runs are not taken for new ones.
const OWN: &str = "polder-photogrammetry-4";

/// Who is to stitch.
#[derive(Clone, Debug, Default)]
pub enum Engine {
    /// polder itself.
    #[default]
    Own,
    /// OpenDroneMap, behind NodeODM or ClusterODM.
    Odm(odm::Settings),
}

impl Engine {
    /// Asks a server who it is; the own engine is always ready.
    ///
    /// # Errors
    /// [`Error::Odm`](super::Error::Odm) when the server cannot be used.
    pub(super) async fn prepare(&self) -> Result<Ready> {
        Ok(match self {
            Self::Own => Ready::Own,
            Self::Odm(settings) => Ready::Odm(Box::new(odm::Server::connect(settings).await?)),
        })
    }
}

/// An engine that can begin.
pub(super) enum Ready {
    Own,
    Odm(Box<odm::Server>),
}

impl Ready {
    /// The engine among the parameters of a run: another engine, version or option is another run.
    pub(super) fn parameters(&self) -> Map<String, Value> {
        match self {
            Self::Own => Map::from_iter([("engine".to_owned(), json!(OWN))]),
            Self::Odm(server) => {
                let (name, version) = server.software();
                // In a fixed order: they name the run.
                let options: BTreeMap<String, Value> = server.own_options().into_iter().collect();
                let engine = ("engine".to_owned(), json!(format!("{name} {version}")));
                Map::from_iter([engine, ("odm_options".to_owned(), json!(options))])
            }
        }
    }

    /// The programs that shape the result, with their versions.
    pub(super) fn software(&self) -> BTreeMap<String, String> {
        let polder = ("polder".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        match self {
            Self::Own => BTreeMap::from([polder]),
            Self::Odm(server) => BTreeMap::from([polder, server.software()]),
        }
    }

    /// Stitches, and writes `ortho.tif`, `dsm.tif` and, where walls were looked for, `dtm.tif` in the folder `work`.
    ///
    /// # Errors
    /// Those of the engine.
    pub(super) async fn stitch(
        &self,
        request: &StitchRequest,
        inputs: Vec<PhotoInput>,
        work: &Path,
        kept: &Path,
        observer: Observer<'_>,
    ) -> Result<Report> {
        let read = |path: &PathBuf| photogrammetry::read_gcps(path, request.gcp_crs);
        let gcps = request.gcp_list.as_ref().map(read).transpose()?.unwrap_or_default();
        let (out, dsm, crs, gsd_m) = (work.join("ortho.tif"), Some(work.join("dsm.tif")), request.crs, request.gsd_m);
        match self {
            Self::Own => {
                let kept = Some(kept.join(super::STAGES));
                let (cog, fast) = (request.cog, request.fast);
                // A surface of tie points has nothing standing on it to take away.
                let dtm = (!fast).then(|| work.join("dtm.tif"));
                let options = photogrammetry::Options { out, dsm, dtm, fast, crs, gsd_m, gcps, kept, cog, stop: None };
                let mut report = own(inputs, options, observer).await?;
                report.title = format!("{} · {}", request.project, request.flight);
                Ok(Report::Own(Box::new(report)))
            }
            Self::Odm(server) => {
                let options = odm::Options { out, dsm, crs, gsd_m, gcps, work: kept.to_owned() };
                let tell =
                    |progress: photogrammetry::Progress| observer(Progress::share(progress.stage, progress.done));
                Ok(Report::Odm(Box::new(odm::stitch(server, &inputs, &options, &tell).await?)))
            }
        }
    }
}

/// The engine computes for minutes on its own threads; its progress comes back over a channel.
async fn own(
    inputs: Vec<PhotoInput>,
    options: photogrammetry::Options,
    observer: Observer<'_>,
) -> Result<photogrammetry::Report> {
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
    Ok(work.await??)
}

/// What an engine says about its work; stored as it is.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Report {
    Own(Box<photogrammetry::Report>),
    Odm(Box<odm::Report>),
}

impl Report {
    /// Photos that came in.
    pub(super) fn total(&self) -> usize {
        match self {
            Self::Own(report) => report.photos.total,
            Self::Odm(report) => report.photos.total,
        }
    }

    pub(super) fn used(&self) -> usize {
        match self {
            Self::Own(report) => report.photos.used,
            Self::Odm(report) => report.photos.used,
        }
    }

    /// Names of the photos that are not in the orthophoto.
    pub(super) fn rejected(&self) -> BTreeSet<&str> {
        match self {
            Self::Own(report) => report.photos.rejected.iter().map(|photo| photo.name.as_str()).collect(),
            Self::Odm(report) => report.photos.rejected.iter().map(|photo| photo.name.as_str()).collect(),
        }
    }

    /// The report as `report.json`.
    pub(super) fn to_json(&self) -> String {
        match self {
            Self::Own(report) => report.to_json(),
            Self::Odm(report) => serde_json::to_string_pretty(report).expect("a report has text keys"),
        }
    }

    /// The report as a page with a picture of the orthophoto; the own engine's alone.
    ///
    /// # Errors
    /// When the orthophoto cannot be read.
    pub(super) fn page(&self, orthophoto: &Path) -> Result<Option<String>> {
        Ok(match self {
            Self::Own(report) => Some(report.page(Some(&Picture::of(orthophoto)?))),
            Self::Odm(_) => None,
        })
    }

    /// Where the cameras were; the own engine's alone.
    pub(super) fn cameras(&self) -> Option<Cameras> {
        match self {
            Self::Own(report) => Some(Cameras::of(report)),
            Self::Odm(_) => None,
        }
    }

    pub(super) fn gsd_m(&self) -> f64 {
        match self {
            Self::Own(report) => report.gsd_m,
            Self::Odm(report) => report.gsd_m,
        }
    }

    pub(super) fn has_surface(&self) -> bool {
        match self {
            Self::Own(_) => true,
            Self::Odm(report) => report.has_surface,
        }
    }

    /// The figures worth searching for; those that the engine does not tell are left out.
    pub(super) fn figures(&self) -> Map<String, Value> {
        let report = serde_json::to_value(self).unwrap_or_default();
        let photos = [("photos_total", self.total()), ("photos_used", self.used())];
        let photos = photos.map(|(name, count)| (name.to_owned(), json!(count)));
        let others = ["reprojection_rmse_px", "height_above_ground_m", "verdict"];
        let others = others.map(|name| (name.to_owned(), report[name].clone()));
        photos.into_iter().chain(others).filter(|(_, value)| !value.is_null()).collect()
    }
}
