//! `polder up`: everything on one machine.
//!
//! In its data folder live a private PostGIS cluster, the embedded S3 store, the S3 keys (one file a role) and the
//! first admin token, all of mode 600. Listeners are bound before anything is started, so that a taken port
//! costs nothing; things stop in the order opposite to their start.

mod database;
mod folder;
mod keys;

use std::{fs, io, net::SocketAddr, path::Path};

use anyhow::Context as _;
use serde_json::json;
use tokio::{net::TcpListener, sync::watch};

use self::{
    database::Kept,
    folder::{lock, prepare_folder, write_private},
    keys::{embedded_credentials, embedded_settings, make_admin_token},
};
use super::{
    Outcome, Session,
    target::{Running, buckets, configured_storage, keys_file},
};
use crate::{
    api,
    catalog::Role,
    database::Database,
    storage::{
        Settings as StorageSettings, Storage,
        embedded::{Store, StoreOptions},
    },
};

/// Run everything on this machine: database, buckets, API and start page.
///
/// Needs PostgreSQL's and PostGIS' programs, but no server that runs already. Stops cleanly on Ctrl-C or SIGTERM.
/// With --json it prints `{"event":"ready","url":…,"s3_endpoint":…,"database_url":…}` once it can be used.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Address of the API and the start page
    #[arg(long, env = "POLDER_LISTEN", value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,

    /// Address of the embedded S3 store
    #[arg(long, env = "POLDER_S3_LISTEN", value_name = "ADDR", default_value = "127.0.0.1:9000")]
    s3_listen: SocketAddr,

    #[command(flatten)]
    api: super::serve::ApiArgs,
}

pub(super) async fn run(args: Args, session: &Session) -> anyhow::Result<Outcome> {
    let data = prepare_folder(&session.settings.data_folder())?;
    let _lock = lock(&data)?;
    let external_store = session.settings.s3_endpoint.is_some();
    let listener = bind(args.listen, "--listen").await?;
    let s3_listener = if external_store { None } else { Some(bind(args.s3_listen, "--s3-listen").await?) };
    // Ctrl-C counts from here on: whatever has been started is stopped again.
    let stop = stop_signal()?;

    session.output.say("starting the database …");
    let kept = Kept::start(&data, session.settings.database_url.as_deref(), session.output).await?;
    let started = serve(&args, session, &data, &kept.url, (listener, s3_listener), stop).await;
    let _ = fs::remove_file(Running::file(&data));
    kept.stop().await?;
    started?;
    session.output.say("stopped");
    session.output.event("stopped", json!({}));
    Ok(Outcome::Done)
}

async fn serve(
    args: &Args,
    session: &Session,
    data: &Path,
    database_url: &str,
    (listener, s3_listener): (TcpListener, Option<TcpListener>),
    stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let database = Database::connect(database_url).await.context("cannot reach the database")?;
    database.migrate().await.context("cannot bring the schema up to date")?;
    make_admin_token(&database, data).await?;

    let mut store_task = None;
    let (admin, viewer) = if let Some(listener) = s3_listener {
        let endpoint = format!("http://{}", listener.local_addr()?);
        let store = Store::open(StoreOptions {
            folder: data.join("objects"),
            credentials: embedded_credentials(data, &endpoint)?,
            buckets: buckets(&session.settings),
        })
        .await
        .context("cannot open the object store")?;
        let settings = |role| embedded_settings(session, data, &endpoint, role);
        let settings = (settings(Role::Admin)?, settings(Role::Viewer)?);
        store_task = Some(tokio::spawn(store.serve(listener, wait(stop.clone()))));
        settings
    } else {
        let missing = "an S3 endpoint is given but no keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
        let settings = configured_storage(&session.settings).context(missing)?;
        (settings.clone(), settings)
    };
    make_buckets(&admin, session).await?;

    let url = format!("http://{}", reachable(listener.local_addr()?));
    let running = Running {
        pid: std::process::id(),
        url: url.clone(),
        s3_endpoint: admin.endpoint.clone(),
        database_url: database_url.to_owned(),
    };
    let state = api::AppState::new(database, Storage::connect(&viewer)?, args.api.settings(&viewer));
    write_private(&Running::file(data), &serde_json::to_vec_pretty(&running)?)?;
    announce(session, data, &running);
    api::serve(listener, state, wait(stop)).await.context("the API stopped")?;
    if let Some(task) = store_task {
        task.await?.context("the object store stopped")?;
    }
    Ok(())
}

fn announce(session: &Session, data: &Path, running: &Running) {
    session.output.event("ready", running);
    let output = session.output;
    output.say(format!("polder is ready: {}", running.url));
    output.say(format!("  STAC API   {}/stac", running.url));
    if let Some(endpoint) = &running.s3_endpoint {
        output.say(format!("  S3         {endpoint}   (keys in {})", keys_file(data, Role::Admin).display()));
    }
    output.say(format!("  database   {}", mask_password(&running.database_url)));
    output.say(format!("  data       {}   (admin token in admin.token)", data.display()));
    output.say("Press Ctrl-C to stop.");
}

/// Hides the password of a URL that somebody configured.
fn mask_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    match rest.split_once('@') {
        Some((user, host)) if user.contains(':') => {
            format!("{scheme}://{}:***@{host}", user.split(':').next().unwrap_or_default())
        }
        _ => url.to_owned(),
    }
}

async fn make_buckets(admin: &StorageSettings, session: &Session) -> anyhow::Result<()> {
    let storage = Storage::connect(admin)?;
    let states = storage.ensure_buckets().await.context("cannot make the buckets")?;
    for state in states.iter().filter(|state| !state.versioned) {
        let bucket = &state.bucket;
        session
            .output
            .say(format!("warning: the store keeps no versions of {bucket}; keys will carry the content's hash"));
    }
    Ok(())
}

async fn bind(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            anyhow::anyhow!("{address} is taken by another program: stop it, or choose another address with {flag}")
        }
        _ => anyhow::anyhow!("cannot listen on {address} ({error}): choose another address with {flag}"),
    })
}

/// `0.0.0.0` is no address to open in a browser.
fn reachable(address: SocketAddr) -> SocketAddr {
    let mut address = address;
    if address.ip().is_unspecified() {
        address.set_ip([127, 0, 0, 1].into());
    }
    address
}

fn stop_signal() -> anyhow::Result<watch::Receiver<bool>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (sender, receiver) = watch::channel(false);
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        let _ = sender.send(true);
        // Keeps the channel open: a closed one would count as stopped as well, but loudly.
        std::future::pending::<()>().await;
    });
    Ok(receiver)
}

async fn wait(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stopped| *stopped).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configured_password_is_not_shown() {
        assert_eq!(mask_password("postgres://me:secret@db/polder"), "postgres://me:***@db/polder");
        assert_eq!(mask_password("postgres:///polder?host=/run"), "postgres:///polder?host=/run");
    }
}
