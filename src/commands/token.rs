//! `polder token`: who may call the API.

use anyhow::{Context as _, bail};
use serde_json::json;

use super::{Outcome, Session, target};
use crate::{
    catalog::Role,
    database::{Database, Filter},
};

/// Make, narrow, list and revoke the tokens of the API.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Make a token and print its secret, which cannot be had again
    Create(Create),
    /// List the tokens that are valid
    List,
    /// Revoke all tokens of a name, at once
    Revoke(Revoke),
}

#[derive(clap::Args, Debug)]
struct Create {
    /// Whom it is for; it stands in the audit
    name: String,

    /// What it may do: viewer reads, reviewer judges detections, uploader adds photos, pipeline writes results, admin does everything
    #[arg(long, value_name = "ROLE", default_value = "viewer")]
    role: Role,

    /// Show it only the items that this filter (CQL2) lets through, as "polder:project" = 'dijk-a'; it writes nothing then
    #[arg(long, value_name = "CQL2")]
    filter: Option<String>,
}

#[derive(clap::Args, Debug)]
struct Revoke {
    /// Name of the tokens
    name: String,
}

pub(super) async fn run(args: Args, session: &Session) -> anyhow::Result<Outcome> {
    let url = match (&session.settings.database_url, &session.settings.data) {
        (Some(url), None) => url.clone(),
        _ => target::locate(&session.settings, Role::Admin)?.0,
    };
    let database = Database::connect(&url).await.context("cannot reach the database")?;
    match args.command {
        Command::Create(create) => make(&database, create, session).await?,
        Command::List => list(&database, session).await?,
        Command::Revoke(revoke) => {
            let revoked = database.revoke_tokens(&revoke.name).await?;
            if revoked == 0 {
                bail!("there is no valid token named {:?}: `polder token list` shows them", revoke.name);
            }
            session.output.say(format!("revoked {revoked} token(s) named {}", revoke.name));
            session.output.event("revoked", json!({ "name": revoke.name, "tokens": revoked }));
        }
    }
    Ok(Outcome::Done)
}

async fn make(database: &Database, create: Create, session: &Session) -> anyhow::Result<()> {
    let filter = create.filter.as_deref().map(Filter::parse_text).transpose().context("cannot read the filter")?;
    let secret = database.create_token(&create.name, create.role, filter.as_ref()).await?;
    // The one thing on stdout, so that it can go into a file or a secret store as it is.
    session.output.say(&secret);
    session.output.event("created", json!({ "name": create.name, "role": create.role, "token": secret }));
    Ok(())
}

async fn list(database: &Database, session: &Session) -> anyhow::Result<()> {
    for token in database.list_tokens().await? {
        let filter = token.filter.map(|filter| filter.to_text());
        let sees = filter.as_ref().map_or(String::new(), |filter| format!("  sees {filter}"));
        session.output.say(format!("{:10} {}{sees}", token.role.as_str(), token.name));
        session.output.event("token", json!({ "name": token.name, "role": token.role, "filter": filter }));
    }
    Ok(())
}
