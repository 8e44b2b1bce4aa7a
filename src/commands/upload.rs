//! `polder upload`: photos into the raw bucket and the catalog.

use std::path::PathBuf;

use serde_json::json;

use super::{
    Outcome, Session,
    flight::{FlightArgs, Stages, StepArgs},
};
use crate::{
    catalog::Role,
    pipeline::{self, FileOutcome, IngestReport, IngestRequest},
};

/// Put photos into the raw bucket and the catalog.
///
/// Takes JPEG and TIFF photos, also from folders below SRC. Every file gets an outcome: registered, unchanged (it was
/// there already), duplicate, or rejected with the reason. An upload that broke off goes on when it is repeated.
/// A georeferenced TIFF becomes an item with its own footprint and is not stitched.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Folder with photos, or one photo
    #[arg(value_name = "SRC")]
    source: PathBuf,

    #[command(flatten)]
    flight: FlightArgs,

    #[command(flatten)]
    step: StepArgs,

    /// Exit with 3 when a file was rejected
    #[arg(long)]
    fail_on_rejects: bool,
}

pub(super) async fn run(args: Args, session: &Session) -> anyhow::Result<Outcome> {
    // Whether there is anything to upload is known before anybody is asked.
    pipeline::find_photos(&args.source)?;
    let context = args.step.context(session, Role::Uploader).await?;
    let stages = Stages::new(session.output);
    let request =
        IngestRequest { source: args.source, project: args.flight.project.clone(), flight: args.flight.flight.clone() };
    let report = pipeline::ingest(&context, request, &|progress| stages.show(&progress)).await?;
    drop(stages);
    show(&report, session, &args.flight);
    anyhow::ensure!(
        report.registered + report.unchanged > 0,
        "none of the {} files could be used; the reasons are above",
        report.files.len()
    );
    Ok(if args.fail_on_rejects && report.rejected > 0 { Outcome::Rejects } else { Outcome::Done })
}

fn show(report: &IngestReport, session: &Session, flight: &FlightArgs) {
    let output = session.output;
    for file in &report.files {
        output.event("file", file);
        match &file.outcome {
            FileOutcome::Registered { warnings, .. } | FileOutcome::Unchanged { warnings, .. } => {
                for warning in warnings {
                    output.say(format!("{}: {}", file.file, warning.sentence()));
                }
            }
            FileOutcome::Duplicate { of } => output.say(format!("{}: the same photo as {of}, left out", file.file)),
            FileOutcome::Rejected { reason } => output.say(format!("{}: rejected, it {reason}", file.file)),
        }
    }
    let IngestReport { registered, unchanged, duplicates, rejected, .. } = report;
    output.say(format!(
        "{} · {}: {registered} registered, {unchanged} unchanged, {duplicates} duplicates, {rejected} rejected",
        flight.project, flight.flight
    ));
    output.event(
        "done",
        json!({ "project": flight.project, "flight": flight.flight, "registered": registered,
                "unchanged": unchanged, "duplicates": duplicates, "rejected": rejected }),
    );
}
