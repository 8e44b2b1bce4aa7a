//! The arguments and the progress that the steps over a flight share.

use std::sync::Mutex;

use anyhow::Context as _;
use indicatif::ProgressBar;

use super::{Session, output::Output, target::Target};
use crate::{
    catalog::{Flight, Project, Role},
    config,
    pipeline::{Context, Progress},
};

/// Which flight.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct FlightArgs {
    /// The area under care, as dijk-a
    #[arg(long, env = "POLDER_PROJECT", value_name = "NAME")]
    pub(super) project: Project,

    /// The flight over it, as flight-2025
    #[arg(long, env = "POLDER_FLIGHT", value_name = "NAME")]
    pub(super) flight: Flight,
}

/// Where a step keeps its files, and where it leaves its result.
#[derive(clap::Args, Clone, Debug, Default)]
pub(super) struct StepArgs {
    /// Folder for files in the making; an attempt that broke off goes on there [default: ~/.cache/polder/work]
    #[arg(long, env = "POLDER_WORK_DIR", value_name = "DIR")]
    work_dir: Option<std::path::PathBuf>,

    /// Write the id of the published item to this file, and nothing else (for pipelines)
    #[arg(long, value_name = "FILE")]
    result: Option<std::path::PathBuf>,
}

impl StepArgs {
    /// Connects, and returns what a use case works with.
    pub(super) async fn context(&self, session: &Session, role: Role) -> anyhow::Result<Context> {
        let target = Target::connect(session, role).await?;
        Ok(Context {
            database: target.database,
            storage: target.storage,
            scheme: target.scheme,
            actor: config::user(),
            work: self.work_folder(),
        })
    }

    /// Where files are kept while a step works.
    pub(super) fn work_folder(&self) -> std::path::PathBuf {
        self.work_dir.clone().unwrap_or_else(config::work_folder)
    }

    pub(super) fn write_result(&self, item: &str) -> anyhow::Result<()> {
        let Some(path) = &self.result else { return Ok(()) };
        std::fs::write(path, item).with_context(|| format!("cannot write the result to {}", path.display()))
    }
}

/// Shows the stages of a step on stderr, one bar after the other.
pub(super) struct Stages {
    output: Output,
    current: Mutex<Option<(String, ProgressBar)>>,
}

impl Stages {
    pub(super) const fn new(output: Output) -> Self {
        Self { output, current: Mutex::new(None) }
    }

    pub(super) fn show(&self, progress: &Progress) {
        let mut current = self.current.lock().expect("no holder of this lock panics");
        if current.as_ref().is_none_or(|(stage, _)| *stage != progress.stage) {
            if let Some((_, bar)) = current.take() {
                bar.finish();
            }
            *current = Some((progress.stage.clone(), self.output.progress(progress.total, &progress.stage)));
        }
        if let Some((_, bar)) = current.as_ref() {
            bar.set_length(progress.total);
            // Work is done in parallel, so numbers may come out of order.
            bar.set_position(bar.position().max(progress.done));
        }
    }
}

impl Drop for Stages {
    fn drop(&mut self) {
        if let Ok(mut current) = self.current.lock()
            && let Some((_, bar)) = current.take()
        {
            bar.finish_and_clear();
        }
    }
}
