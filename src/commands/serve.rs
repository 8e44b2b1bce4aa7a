//! `polder serve`: the API alone.

use std::net::SocketAddr;

use anyhow::Context as _;
use serde_json::json;
use tokio::net::TcpListener;

use super::{Outcome, Session, target};
use crate::{
    api,
    catalog::Role,
    database::Database,
    storage::{Settings as StorageSettings, Storage},
};

/// How the API answers.
#[derive(clap::Args, Debug)]
pub(super) struct ApiArgs {
    /// Address under which others reach the API, as <https://polder.example.org>; without it the request's own host is used
    #[arg(long, env = "POLDER_BASE_URL", value_name = "URL")]
    base_url: Option<String>,

    /// Ask for a token for reading too
    #[arg(long, env = "POLDER_CLOSED_READING")]
    closed_reading: bool,

    /// Which href assets have by default: https (served by polder, works everywhere) or s3
    #[arg(long, env = "POLDER_HREFS", value_name = "KIND", default_value = "https")]
    hrefs: api::Hrefs,
}

impl ApiArgs {
    pub(super) fn settings(&self, storage: &StorageSettings) -> api::Settings {
        api::Settings {
            base_url: self.base_url.clone(),
            open_reading: !self.closed_reading,
            hrefs: self.hrefs,
            redirect_assets: storage.public_endpoint.is_some(),
        }
    }
}

/// Run the API alone, against a configured database and S3.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Address to listen on
    #[arg(long, env = "POLDER_LISTEN", value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,

    #[command(flatten)]
    api: ApiArgs,
}

pub(super) async fn run(args: Args, session: &Session) -> anyhow::Result<Outcome> {
    let (database_url, storage) = target::locate(&session.settings, Role::Viewer)?;
    let listener = TcpListener::bind(args.listen).await;
    let listener =
        listener.with_context(|| format!("cannot listen on {}: choose another with --listen", args.listen))?;
    let database = Database::connect(&database_url).await.context("cannot reach the database")?;
    let settings = args.api.settings(&storage);
    let state = api::AppState::new(database, Storage::connect(&storage)?, settings);
    let url = format!("http://{}", listener.local_addr()?);
    session.output.event("ready", json!({ "url": url }));
    session.output.say(format!("polder serves {url}"));
    api::serve(listener, state, stopped()).await.context("the API stopped")?;
    Ok(Outcome::Done)
}

async fn stopped() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).expect("the runtime handles signals");
    tokio::select! { _ = tokio::signal::ctrl_c() => {}, _ = terminate.recv() => {} }
}
