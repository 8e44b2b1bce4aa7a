//! `polder init`: the buckets.

use anyhow::Context as _;
use serde_json::json;

use super::{Outcome, Session, target};
use crate::{catalog::Role, storage::Storage};

/// Make the four buckets, versioned and closed; safe to repeat.
#[derive(clap::Args, Debug)]
pub(super) struct Args {}

pub(super) async fn run(_: Args, session: &Session) -> anyhow::Result<Outcome> {
    // The buckets do not need the database, so a missing one is no reason to fail.
    let storage = match target::configured_storage(&session.settings) {
        Some(storage) if session.settings.data.is_none() => storage,
        _ => target::locate(&session.settings, Role::Admin)?.1,
    };
    let states = Storage::connect(&storage)?.ensure_buckets().await.context("cannot make the buckets")?;
    for state in states {
        let made = if state.created { "made" } else { "there already" };
        let versions = if state.versioned {
            "keeps versions"
        } else {
            "the store keeps no versions: keys will carry the content's hash"
        };
        session.output.say(format!("{}: {made}, {versions}", state.bucket));
        session
            .output
            .event("bucket", json!({ "bucket": state.bucket, "created": state.created, "versioned": state.versioned }));
    }
    Ok(Outcome::Done)
}
