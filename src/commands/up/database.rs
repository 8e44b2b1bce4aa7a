//! The database of `polder up`: a private cluster that is kept alive, or the one that was configured.

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use tokio::{sync::oneshot, task::JoinHandle};

use crate::{
    commands::output::Output,
    database::{Database, cluster::Cluster},
};

/// How often the server is looked at: a client that waits out one retry does not notice a restart.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often a restart is tried, half a minute in all: what is left of a killed server may hold its memory for a while.
const RESTARTS: u32 = 60;

/// The database while polder is up.
pub(super) struct Kept {
    pub url: String,
    /// Watches the private server; `None` when the database is somebody else's.
    keeper: Option<(JoinHandle<()>, oneshot::Sender<()>)>,
}

impl Kept {
    /// Starts the private cluster in `data`, unless a database is configured.
    pub async fn start(data: &Path, configured: Option<&str>, output: Output) -> anyhow::Result<Self> {
        if let Some(url) = configured {
            return Ok(Self { url: url.to_owned(), keeper: None });
        }
        let folder = data.to_owned();
        let cluster = tokio::task::spawn_blocking(move || Cluster::start(&folder)).await?;
        let cluster = cluster.context("cannot start the private database")?;
        Database::create_if_missing(&cluster.url("postgres"), "polder").await.context("cannot create the database")?;
        let url = cluster.url("polder");
        let (end, ended) = oneshot::channel();
        Ok(Self { url, keeper: Some((tokio::spawn(keep_alive(cluster, ended, output)), end)) })
    }

    /// Stops the private server and waits until it has ended.
    pub async fn stop(self) -> anyhow::Result<()> {
        if let Some((keeper, end)) = self.keeper {
            drop(end);
            keeper.await?;
        }
        Ok(())
    }
}

/// Starts the server again whenever it ended by itself (killed for memory, say), until `ended`; then stops it.
async fn keep_alive(mut cluster: Cluster, mut ended: oneshot::Receiver<()>, output: Output) {
    let mut failures = 0;
    loop {
        let is_over = tokio::time::timeout(LOOK_EVERY, &mut ended).await.is_ok();
        // Starting and stopping wait for a process.
        let looked = tokio::task::spawn_blocking(move || {
            let restarted = if is_over {
                cluster.stop();
                Ok(false)
            } else {
                cluster.revive()
            };
            (cluster, restarted)
        });
        let Ok((kept, restarted)) = looked.await else { return };
        cluster = kept;
        match restarted {
            _ if is_over => return,
            Ok(false) => {}
            Ok(true) => {
                failures = 0;
                output.say("warning: the private database had ended and was started again (see postgres.log)");
            }
            Err(error) => {
                failures += 1;
                tracing::error!(error = %error, "cannot start the private database again");
                if failures == RESTARTS {
                    output.say(format!("the private database cannot be started again: {error}"));
                    return;
                }
            }
        }
    }
}
