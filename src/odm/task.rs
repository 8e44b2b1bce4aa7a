//! One task on the server: brought there, waited for, fetched; found again after a crash, cancelled when polder is stopped.

use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Error, Result,
    kept::Kept,
    node::{Choice, Node, State, TaskInfo},
    shipment::Shipment,
};
use crate::photogrammetry::Progress;

/// Files uploaded at once: a link over which a few photos fit is filled by four.
const UPLOADS_IN_FLIGHT: usize = 4;
/// The pause between two looks at a task grows from the first to the second.
const FIRST_LOOK: Duration = Duration::from_millis(300);
const LAST_LOOK: Duration = Duration::from_secs(5);
/// A server may be restarted while it is at work: for so long it may be away, beyond the attempts of each call.
const AWAY_FOR: Duration = Duration::from_mins(10);
/// Attempts to fetch a result that breaks off, each from where the last one ended.
const DOWNLOADS: u32 = 5;
/// How much of the console a failure shows.
const LAST_LINES: usize = 8;
/// How long polder waits, when it is stopped, for the server to cancel.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(15);
/// The whole result; `outputs` has made it small.
const ASSET: &str = "all.zip";

/// What is to be done on the server.
pub struct Errand<'a> {
    pub node: &'a Node,
    pub shipment: &'a Shipment,
    pub choices: &'a [Choice],
    /// The files that are wanted of the result.
    pub outputs: &'a [&'a str],
    pub progress: &'a (dyn Fn(Progress) + Send + Sync),
    /// Says that polder is to stop.
    pub stop: &'a CancellationToken,
}

/// A result that is here.
pub struct Fetched {
    pub task: String,
    pub archive: PathBuf,
    /// Seconds of each part, by name; none for what was there.
    pub seconds: Vec<(&'static str, f64)>,
    /// Files that the server counts beyond those that were sent.
    pub extra_files: usize,
}

impl Errand<'_> {
    /// Has the server stitch, and fetches the result.
    ///
    /// # Errors
    /// [`Error::Stopped`] when polder is stopped: the task is cancelled on the server then. [`Error::Failed`] with ODM's
    /// last words; [`Error::TaskLost`], [`Error::Download`], and those of [`Node`].
    pub async fn run(&self, kept: &mut Kept) -> Result<Fetched> {
        let kept = Mutex::new(kept);
        let finished = tokio::select! {
            result = self.fetch(&kept) => Some(result),
            () = self.stop.cancelled() => None,
        };
        let Some(result) = finished else {
            let kept = kept.into_inner().unwrap_or_else(PoisonError::into_inner);
            return Err(self.cancel(kept).await);
        };
        result
    }

    async fn fetch(&self, kept: &Mutex<&mut Kept>) -> Result<Fetched> {
        let mut clock = Clock { started: Instant::now(), seconds: Vec::new() };
        let (archive, found) = with(kept, |kept| {
            let archive = kept.beside("zip");
            let found = kept.task().filter(|_| kept.is_downloaded() && archive.is_file()).map(str::to_owned);
            Ok((archive, found))
        })?;
        if let Some(task) = found {
            return Ok(Fetched { task, archive, seconds: Vec::new(), extra_files: 0 });
        }
        let task = self.bring(kept).await?;
        clock.lap("upload");
        let info = self.wait(&task).await?;
        clock.lap("odm");
        self.download(&task, &archive).await?;
        clock.lap("download");
        with(kept, Kept::downloaded)?;
        let extra_files = info.images.unwrap_or(0).saturating_sub(self.shipment.parcels.len());
        let mut seconds = clock.seconds;
        if let (Some(ms), Some(odm)) = (info.processing_ms, seconds.iter_mut().find(|(name, _)| *name == "odm")) {
            // The server's own figure is right also when polder came later.
            odm.1 = ms / 1000.0;
        }
        Ok(Fetched { task, archive, seconds, extra_files })
    }

    /// Sees to it that a task with all files is in the server's queue.
    async fn bring(&self, kept: &Mutex<&mut Kept>) -> Result<String> {
        let (task, is_committed) = with(kept, |kept| Ok((kept.task().map(str::to_owned), kept.is_committed())))?;
        if let Some(task) = task {
            let result = if is_committed { self.rejoin(&task).await } else { self.upload(&task, kept).await };
            match result {
                Ok(()) => return Ok(task),
                Err(Error::TaskLost { .. }) => {
                    tracing::info!("the server no longer knows task {task}: a new one begins");
                }
                Err(error) => return Err(error),
            }
        }
        // The id is kept before the server hears of it: a task that is there is known here.
        let id = Uuid::new_v4().to_string();
        with(kept, |kept| kept.begin(&id))?;
        let name = format!("polder, {} photos", self.shipment.parcels.len());
        let task = self.begin(&id, &name).await?;
        if task != id {
            with(kept, |kept| kept.begin(&task))?;
        }
        self.upload(&task, kept).await?;
        Ok(task)
    }

    /// A call whose answer was lost may have begun a task: it is begun under the same id again, or under another.
    async fn begin(&self, id: &str, name: &str) -> Result<String> {
        let begin = |id: String| async move { self.node.begin(&id, name, self.choices, self.outputs).await };
        match begin(id.to_owned()).await {
            Err(error) if error.is_passing() => {
                tokio::time::sleep(Duration::from_secs(1)).await;
                begin(Uuid::new_v4().to_string()).await
            }
            result => result,
        }
    }

    /// Goes on with a task that is in the server's hands; one that failed or was cancelled is restarted with its photos.
    async fn rejoin(&self, task: &str) -> Result<()> {
        let info = self.node.task(task).await?;
        if !matches!(info.state, State::Failed(_) | State::Cancelled) {
            return Ok(());
        }
        match self.node.restart(task).await {
            // Servers that cannot restart it say so in many ways; a new task can always be made.
            Err(Error::Refused { said, .. }) => {
                tracing::info!("task {task} cannot be restarted ({said}): a new one begins");
                Err(Error::TaskLost { url: self.node.url(), task: task.to_owned() })
            }
            result => result,
        }
    }

    /// Uploads what the server has not confirmed, and starts the task.
    async fn upload(&self, task: &str, kept: &Mutex<&mut Kept>) -> Result<()> {
        let total = self.shipment.parcels.len();
        let missing =
            with(kept, |kept| Ok(self.shipment.parcels.iter().filter(|p| !kept.has(&p.name)).collect::<Vec<_>>()))?;
        let mut done = total - missing.len();
        self.tell("upload", done as f64 / total as f64);
        let mut uploads = stream::iter(missing)
            .map(|parcel| async move {
                self.node.upload(task, parcel.content.clone(), &parcel.name).await?;
                with(kept, |kept| kept.received(&parcel.name))
            })
            .buffer_unordered(UPLOADS_IN_FLIGHT);
        loop {
            match uploads.try_next().await {
                Ok(None) => break,
                Ok(Some(())) => {
                    done += 1;
                    self.tell("upload", done as f64 / total as f64);
                }
                // It may have been committed by a polder that was killed before it could write that down.
                Err(Error::TaskLost { .. }) if self.node.task(task).await.is_ok() => break,
                Err(error) => return Err(error),
            }
        }
        drop(uploads);
        if self.node.task(task).await.is_err() {
            self.node.commit(task).await?;
        }
        with(kept, Kept::committed)
    }

    async fn wait(&self, task: &str) -> Result<TaskInfo> {
        let (mut pause, mut seen) = (FIRST_LOOK, Instant::now());
        loop {
            match self.node.task(task).await {
                Ok(info) => {
                    seen = Instant::now();
                    match &info.state {
                        State::Queued => self.tell("waiting for odm", 0.0),
                        State::Running => self.tell("odm", info.progress.unwrap_or(0.0)),
                        State::Completed => return Ok(info),
                        State::Failed(message) => return Err(self.failure(task, message.clone()).await),
                        State::Cancelled => {
                            return Err(Error::CancelledThere { url: self.node.url(), task: task.to_owned() });
                        }
                    }
                }
                Err(error) if error.is_passing() && seen.elapsed() < AWAY_FOR => {
                    tracing::warn!("waiting for the ODM server: {error}");
                }
                Err(error) => return Err(error),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 5 / 4).min(LAST_LOOK);
        }
    }

    async fn failure(&self, task: &str, message: String) -> Error {
        let lines = self.node.last_lines(task, 4 * LAST_LINES).await.unwrap_or_default();
        let advice = advice(&message, &lines);
        let tail = lines[lines.len().saturating_sub(LAST_LINES)..].join(" | ");
        let tail = if tail.is_empty() { "none".to_owned() } else { tail };
        Error::Failed { task: task.to_owned(), message, advice, tail }
    }

    async fn download(&self, task: &str, archive: &std::path::Path) -> Result<()> {
        let partial = archive.with_extension("zip.part");
        let tell = |done| self.tell("download", done);
        for attempt in 1.. {
            match self.node.download(task, ASSET, &partial, &tell).await {
                Ok(()) => break,
                Err(error)
                    if attempt < DOWNLOADS && (error.is_passing() || matches!(error, Error::Download { .. })) =>
                {
                    tracing::info!("fetching the result again: {error}");
                    tokio::time::sleep(Duration::from_millis(500) * 2_u32.pow(attempt)).await;
                }
                Err(error) => return Err(error),
            }
        }
        std::fs::rename(&partial, archive).map_err(Error::file(archive))
    }

    /// Takes the task off the server when polder is stopped. Its photos stay there, for the next attempt.
    async fn cancel(&self, kept: &Kept) -> Error {
        let Some(task) = kept.task().filter(|_| kept.is_committed()) else { return Error::StoppedEarly };
        match tokio::time::timeout(CANCEL_TIMEOUT, self.node.cancel(task)).await {
            Ok(Ok(())) => Error::Stopped { url: self.node.url(), task: task.to_owned() },
            Ok(Err(error)) => error,
            Err(_) => Error::Unreachable {
                url: self.node.url(),
                doing: format!("cancel task {task}, which goes on there"),
                reason: "no answer".to_owned(),
            },
        }
    }

    fn tell(&self, stage: &'static str, done: f64) {
        (self.progress)(Progress { stage, done });
    }
}

/// Works on what is kept, for no longer than it takes.
fn with<T>(kept: &Mutex<&mut Kept>, work: impl FnOnce(&mut Kept) -> Result<T>) -> Result<T> {
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    work(&mut kept)
}

struct Clock {
    started: Instant,
    seconds: Vec<(&'static str, f64)>,
}

impl Clock {
    fn lap(&mut self, name: &'static str) {
        self.seconds.push((name, self.started.elapsed().as_secs_f64()));
        self.started = Instant::now();
    }
}

/// Says what to do about a failure, from the words that ODM is known to use.
fn advice(message: &str, lines: &[String]) -> &'static str {
    let words = format!("{message}\n{}", lines.join("\n")).to_lowercase();
    let says = |patterns: &[&str]| patterns.iter().any(|pattern| words.contains(pattern));
    if says(&["not enough memory", "bad_alloc", "memoryerror", "exited with code 137", "out of memory"]) {
        "the server ran out of memory: give it more, or let it work in parts with --odm-option split=100 \
         --odm-option split-overlap=100, or look at fewer pixels with --odm-option feature-quality=medium"
    } else if says(&["no space left", "enospc"]) {
        "the server's disk is full: make room there and run the same command again"
    } else if says(&["not enough supported images", "not enough images", "need at least"]) {
        "ODM found too few photos: it needs at least 3 JPEG or TIFF photos of one flight"
    } else if says(&["gps", "georeferenc", "no exif"]) && says(&["no gps", "missing", "without", "cannot", "not found"])
    {
        "ODM could not tell where the photos are: give surveyed points with --gcp gcp_list.txt, or photos with GPS"
    } else if says(&[
        "enough overlap",
        "0 partial reconstructions",
        "reconstruction could not",
        "could not process this dataset",
    ]) {
        "the photos could not be joined: fly with at least 70 % overlap, leave blurred ones out, or look for more with \
         --odm-option min-num-features=20000; --engine polder may manage with less"
    } else if says(&["unsupported cpu", "illegal instruction"]) {
        "the server's processor lacks instructions that ODM needs: choose another server"
    } else {
        "the task's whole output is on the server's own page; --engine polder stitches without ODM"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_odm_says_becomes_what_to_do() {
        for (message, line, expected) in [
            ("Not enough memory", "Killed", "more, or let it work in parts"),
            ("Cannot process dataset", "[ERROR] Not enough supported images in /var/www/data/1/images", "at least 3"),
            ("Cannot process dataset", "Check that the images have enough overlap, that there are", "70 % overlap"),
            ("Cannot process dataset", "[WARNING] No GPS information found in the images", "--gcp"),
            ("Processing failed (2)", "Traceback (most recent call last)", "own page"),
        ] {
            let advice = advice(message, &[line.to_owned()]);
            assert!(advice.contains(expected), "{line}: {advice}");
        }
    }
}
