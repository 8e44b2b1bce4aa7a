//! `polder migrate`: the database schema.

use anyhow::Context as _;
use serde_json::json;

use super::{Outcome, Session, target};
use crate::{catalog::Role, database::Database};

/// Bring the database schema up to date; safe to repeat.
#[derive(clap::Args, Debug)]
pub(super) struct Args {}

pub(super) async fn run(_: Args, session: &Session) -> anyhow::Result<Outcome> {
    let url = match (&session.settings.database_url, &session.settings.data) {
        (Some(url), None) => url.clone(),
        _ => target::locate(&session.settings, Role::Viewer)?.0,
    };
    let database = Database::connect(&url).await.context("cannot reach the database")?;
    database.migrate().await.context("cannot bring the schema up to date")?;
    session.output.say("the schema is up to date");
    session.output.event("done", json!({}));
    Ok(Outcome::Done)
}
