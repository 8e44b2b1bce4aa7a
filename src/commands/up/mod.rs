//! `polder up`: everything on one machine.
//!
//! In its data folder live a private PostGIS cluster, the embedded S3 store, the S3 keys (one file a role) and the
//! first admin token, all of mode 600. Listeners are bound before anything is started, so that a taken port
//! costs nothing; things stop in the order opposite to their start.

use std::{
    fs,
    io::{self, Read as _, Seek as _, Write as _},
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use serde_json::json;
use tokio::{net::TcpListener, sync::watch};

use super::{
    Outcome, Session,
    target::{Running, buckets, configured_storage, keys_file, read_env_file},
};
use crate::{
    api,
    catalog::Role,
    database::{Database, cluster::Cluster},
    storage::{
        Secret, Settings as StorageSettings, Storage,
        embedded::{Credential, Store, StoreOptions},
    },
};

/// The region that the embedded store signs for.
const EMBEDDED_REGION: &str = "us-east-1";

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
    let (cluster, database_url) = start_database(&data, session.settings.database_url.as_deref()).await?;
    let started = serve(&args, session, &data, &database_url, (listener, s3_listener), stop).await;
    let _ = fs::remove_file(Running::file(&data));
    if let Some(mut cluster) = cluster {
        // Stopping waits for a process.
        tokio::task::spawn_blocking(move || cluster.stop()).await?;
    }
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

fn prepare_folder(folder: &Path) -> anyhow::Result<PathBuf> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .and_then(|()| folder.canonicalize())
        .with_context(|| format!("cannot use the data folder {}", folder.display()))
}

/// Takes the folder for this process; the lock goes with it, however it ends.
fn lock(data: &Path) -> anyhow::Result<fs::File> {
    let path = data.join("up.lock");
    let open = || fs::OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(&path);
    let mut file = open().with_context(|| format!("cannot open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let _ = file.read_to_string(&mut pid);
            bail!(
                "another polder (process {}) runs on {}: stop it, or choose another folder with --data",
                pid.trim(),
                data.display()
            );
        }
        Err(fs::TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("cannot lock {}", path.display()));
        }
    }
    let mut write = || -> io::Result<()> {
        file.set_len(0)?;
        file.rewind()?;
        write!(file, "{}", std::process::id())
    };
    write().with_context(|| format!("cannot write {}", path.display()))?;
    Ok(file)
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

async fn start_database(data: &Path, configured: Option<&str>) -> anyhow::Result<(Option<Cluster>, String)> {
    if let Some(url) = configured {
        return Ok((None, url.to_owned()));
    }
    let folder = data.to_owned();
    let cluster = tokio::task::spawn_blocking(move || Cluster::start(&folder)).await?;
    let cluster = cluster.context("cannot start the private database")?;
    Database::create_if_missing(&cluster.url("postgres"), "polder").await.context("cannot create the database")?;
    let url = cluster.url("polder");
    Ok((Some(cluster), url))
}

/// The first admin token is made once; its hash is in the database, itself only in this file.
async fn make_admin_token(database: &Database, data: &Path) -> anyhow::Result<()> {
    let path = data.join("admin.token");
    let token = if let Ok(token) = fs::read_to_string(&path) {
        token.trim().to_owned()
    } else {
        let token = format!("polder_{}", random_hex());
        write_private(&path, format!("{token}\n").as_bytes())?;
        token
    };
    database.ensure_token("first admin", Role::Admin, &token).await.context("cannot keep the admin token")
}

/// Reads the keys of all roles, making those that are missing; writes where the store listens now beside them.
fn embedded_credentials(data: &Path, endpoint: &str) -> anyhow::Result<Vec<Credential>> {
    let roles = [Role::Viewer, Role::Uploader, Role::Pipeline, Role::Admin];
    roles.into_iter().map(|role| credential(data, role, endpoint)).collect()
}

fn credential(data: &Path, role: Role, endpoint: &str) -> anyhow::Result<Credential> {
    let path = keys_file(data, role);
    let kept = if path.exists() { read_env_file(&path)? } else { std::collections::BTreeMap::new() };
    let keep_or = |name: &str, fresh: String| kept.get(name).cloned().unwrap_or(fresh);
    let access_key_id = keep_or("AWS_ACCESS_KEY_ID", format!("POLDER{}", &random_hex()[..14].to_uppercase()));
    let secret = keep_or("AWS_SECRET_ACCESS_KEY", random_hex());
    let text = format!(
        "# S3 keys of polder's embedded store, role {role}. Keep this file to yourself.\n\
         AWS_ACCESS_KEY_ID={access_key_id}\nAWS_SECRET_ACCESS_KEY={secret}\nAWS_REGION={EMBEDDED_REGION}\n\
         AWS_DEFAULT_REGION={EMBEDDED_REGION}\nAWS_ENDPOINT_URL={endpoint}\nAWS_ENDPOINT_URL_S3={endpoint}\n"
    );
    write_private(&path, text.as_bytes())?;
    Ok(Credential { role, access_key_id, secret_access_key: Secret::new(secret) })
}

fn embedded_settings(session: &Session, data: &Path, endpoint: &str, role: Role) -> anyhow::Result<StorageSettings> {
    let keys = read_env_file(&keys_file(data, role))?;
    Ok(StorageSettings {
        endpoint: Some(endpoint.to_owned()),
        public_endpoint: session.settings.s3_public_endpoint.clone(),
        region: EMBEDDED_REGION.to_owned(),
        access_key_id: keys.get("AWS_ACCESS_KEY_ID").cloned(),
        secret_access_key: keys.get("AWS_SECRET_ACCESS_KEY").cloned().map(Secret::new),
        session_token: None,
        path_style: true,
        buckets: buckets(&session.settings),
    })
}

/// 256 bits of the operating system's randomness, in hexadecimal.
fn random_hex() -> String {
    let (a, b) = (uuid::Uuid::new_v4(), uuid::Uuid::new_v4());
    format!("{}{}", a.simple(), b.simple())
}

/// Writes a file of mode 600, whole or not at all.
fn write_private(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let fresh = path.with_extension("new");
    let write = || -> io::Result<()> {
        let _ = fs::remove_file(&fresh);
        let mut file = fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&fresh)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_polder_on_the_same_folder_is_told_about_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let _first = lock(folder.path()).unwrap();
        let error = lock(folder.path()).unwrap_err().to_string();
        assert!(error.contains(&std::process::id().to_string()), "{error}");
    }

    #[test]
    fn keys_are_made_once_and_are_readable_by_their_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let first = credential(folder.path(), Role::Viewer, "http://127.0.0.1:9000").unwrap();
        let again = credential(folder.path(), Role::Viewer, "http://127.0.0.1:9001").unwrap();
        assert_eq!(first.access_key_id, again.access_key_id);
        let path = keys_file(folder.path(), Role::Viewer);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read_env_file(&path).unwrap()["AWS_ENDPOINT_URL"], "http://127.0.0.1:9001");
    }

    #[test]
    fn a_configured_password_is_not_shown() {
        assert_eq!(mask_password("postgres://me:secret@db/polder"), "postgres://me:***@db/polder");
        assert_eq!(mask_password("postgres:///polder?host=/run"), "postgres:///polder?host=/run");
    }
}
