//! Who stitches, on the command line.

use anyhow::bail;
use tokio_util::sync::CancellationToken;

use crate::{config, odm, photogrammetry, pipeline};

/// Who stitches.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Who stitches")]
pub(super) struct EngineArgs {
    /// polder itself, or OpenDroneMap on a NodeODM or ClusterODM server
    #[arg(
        long,
        env = "POLDER_ENGINE",
        value_enum,
        default_value = "polder",
        hide_possible_values = true,
        value_name = "polder|odm"
    )]
    engine: Name,

    /// The server, as <http://host:3000>; its token goes in the variable `POLDER_ODM_TOKEN`
    #[arg(long, env = "POLDER_ODM_URL", value_name = "URL", required_if_eq("engine", "odm"), hide_env_values = true)]
    odm_url: Option<String>,

    /// An option of ODM, such as feature-quality=medium or split=400; may be repeated
    #[arg(long = "odm-option", value_name = "NAME=VALUE", value_parser = pair)]
    odm_options: Vec<(String, String)>,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Polder,
    Odm,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').unwrap_or((text, "true"));
    let name = name.trim_start_matches('-');
    if name.is_empty() { Err("write it as name=value".to_owned()) } else { Ok((name.to_owned(), value.to_owned())) }
}

impl EngineArgs {
    pub(super) fn is_own(&self) -> bool {
        self.engine == Name::Polder
    }

    /// Refuses what would have no effect.
    ///
    /// # Errors
    /// When there are options for ODM and polder is to stitch.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        match self.odm_options.first() {
            Some((name, _)) if self.is_own() => bail!("--odm-option {name} needs --engine odm"),
            _ => Ok(()),
        }
    }

    /// The engine for the pipeline. Within a runtime: a server hears of Ctrl-C.
    pub(super) fn engine(&self) -> pipeline::Engine {
        if self.is_own() { pipeline::Engine::Own } else { pipeline::Engine::Odm(self.settings()) }
    }

    /// Has the server stitch plain files; returns the report.
    pub(super) async fn stitch_files(
        &self,
        photos: &[photogrammetry::PhotoInput],
        options: &odm::Options,
        observer: &(dyn Fn(photogrammetry::Progress) + Send + Sync),
    ) -> anyhow::Result<serde_json::Value> {
        let server = odm::Server::connect(&self.settings()).await.map_err(pipeline::Error::from)?;
        let report = odm::stitch(&server, photos, options, observer).await.map_err(pipeline::Error::from)?;
        Ok(serde_json::to_value(&report)?)
    }

    fn settings(&self) -> odm::Settings {
        odm::Settings {
            url: self.odm_url.clone().unwrap_or_default(),
            token: config::odm_token().map(odm::Token::new),
            options: self.odm_options.clone(),
            stop: on_signals(),
        }
    }
}

/// Cancelled when somebody presses Ctrl-C or a cluster ends the step: the task on the server has to be cancelled then.
fn on_signals() -> CancellationToken {
    use tokio::signal::unix::{SignalKind, signal};
    let stop = CancellationToken::new();
    let to_stop = stop.clone();
    tokio::spawn(async move {
        let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        to_stop.cancel();
    });
    stop
}
