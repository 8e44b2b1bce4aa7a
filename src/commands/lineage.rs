//! `polder lineage`: which photos, which versions, which code.

use anyhow::bail;

use super::{Outcome, Session, flight::StepArgs};
use crate::{
    catalog::Role,
    pipeline::{Context, Step, trace},
};

/// Tell what something was made from: which photos, which versions, which code
///
/// polder lineage ai-results/RUN, or RUN#7 for its finding 7, muskrat@2.0.0 for a model, or the id of any item. Each line is
/// an item, what it was made from stands below it, with the exact version and SHA-256 of the object that was read. With
/// --verify every one of these objects is fetched and its checksum compared; the command fails when one is gone or another.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// COLLECTION/ID, ID, NAME@VERSION, or RUN#NUMBER
    #[arg(value_name = "ITEM")]
    item: String,

    /// Fetch every object and compare its SHA-256
    #[arg(long)]
    verify: bool,

    #[command(flatten)]
    step: StepArgs,
}

pub(super) async fn run(args: Args, session: &Session) -> anyhow::Result<Outcome> {
    let context = args.step.context(session, Role::Viewer).await?;
    tell(&context, &args.item, args.verify, session).await?;
    Ok(Outcome::Done)
}

/// Prints the steps; fails when an object cannot be trusted.
pub(super) async fn tell(context: &Context, item: &str, verify: bool, session: &Session) -> anyhow::Result<()> {
    let steps = trace(context, item, verify).await?;
    let mut faults = 0;
    for step in &steps {
        for line in lines(step, verify) {
            session.output.say(line);
        }
        session.output.event("step", step);
        faults += step.objects.iter().filter(|object| object.fault.is_some()).count();
    }
    if faults > 0 {
        bail!("{faults} objects of the lineage of {item} are gone or not what they were");
    }
    Ok(())
}

fn lines(step: &Step, verified: bool) -> Vec<String> {
    let indent = "  ".repeat(step.depth);
    let again = if step.told_before { " (see above)" } else { "" };
    let made = step.software.iter().map(|(name, version)| format!("{name} {version}")).collect::<Vec<_>>().join(", ");
    let made = if made.is_empty() { made } else { format!(" by {made}") };
    let mut lines = vec![format!("{indent}{}: {}{made}{again}", step.item, step.title)];
    for object in &step.objects {
        let version = object.version_id.as_deref().unwrap_or("-");
        let verdict = match &object.fault {
            Some(fault) => format!(" FAULT: {fault}"),
            None if verified => " ok".to_owned(),
            None => String::new(),
        };
        lines.push(format!("{indent}  {} version {version} SHA-256 {}{verdict}", object.uri, object.sha256));
    }
    lines
}
