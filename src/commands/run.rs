//! `polder run`: the whole river for one flight.

use serde_json::json;

use super::{
    Outcome, Session,
    detect::{DetectArgs, counted},
    flight::{FlightArgs, Stages, StepArgs},
    stitch::{StitchArgs, request, show},
};
use crate::{
    catalog::Role,
    pipeline::{self, ModelChoice},
};

/// Stitch a flight, search it, publish the results.
///
/// Each step that has been done before, with the same photos, options and model, is left as it is: a run that broke off
/// goes on when it is repeated.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    flight: FlightArgs,

    #[command(flatten)]
    stitch: StitchArgs,

    #[command(flatten)]
    detect: DetectArgs,

    #[command(flatten)]
    step: StepArgs,
}

pub(super) async fn run(args: Args, session: &Session) -> anyhow::Result<Outcome> {
    args.stitch.check()?;
    let model = ModelChoice::parse(args.detect.model.as_deref())?;
    let context = args.step.context(session, Role::Pipeline).await?;
    let stages = Stages::new(session.output);
    let observer = |progress: pipeline::Progress| stages.show(&progress);
    let request = request(args.flight.project, args.flight.flight, &args.stitch);
    let stitched = pipeline::stitch(&context, &request, &observer).await?;
    session
        .output
        .event("stitched", json!({ "item": stitched.item, "reused": stitched.reused, "report": stitched.report }));
    show(&stitched.report, session);
    let again = if stitched.reused { " (published before, unchanged)" } else { "" };
    session.output.say(format!("orthophoto {}{again}", stitched.item));

    let request = args.detect.request(stitched.item.clone(), model);
    let found = pipeline::detect(&context, &request, &observer).await?;
    drop(stages);
    args.step.write_result(&found.item)?;
    session.output.say(format!("detections {}: {}", found.item, counted(&found.counts)));
    let fields = json!({ "orthophoto": stitched.item, "item": found.item, "reused": stitched.reused && found.reused, "counts": found.counts });
    session.output.event("done", fields);
    Ok(Outcome::Done)
}
