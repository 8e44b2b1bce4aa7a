//! `polder changes`: what changed between two flights.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, bail};
use serde_json::json;

use super::{Outcome, Session, target};
use crate::{
    config,
    pipeline::{CompareOptions, compare_runs},
};

/// Say what changed between two flights: new, gone, persisting and moved.
///
/// Two detection runs (items of ai-results) over the same place are held against each other, class by class; what people
/// rejected does not count, what they corrected counts as corrected. The shift between the two orthophotos is found in
/// the findings themselves. Of a place that the other orthophoto does not show nothing is said. The result is kept and
/// served under /api/changes.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Id of the earlier run
    before: String,

    /// Id of the later run
    after: String,

    /// The largest shift that one orthophoto may have against the other, metres
    #[arg(long, value_name = "M", default_value_t = 5.0)]
    registration: f64,

    /// How far a thing may go and be the same, metres
    #[arg(long, value_name = "M", default_value_t = 3.0)]
    moved: f64,

    /// Findings below do not count
    #[arg(long, value_name = "C", default_value_t = 0.0)]
    confidence: f64,

    /// Write the changes to this file, as `GeoJSON`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) async fn run(args: Args, session: &Session) -> anyhow::Result<Outcome> {
    let Args { before, after, registration, moved, confidence, out } = args;
    let options = CompareOptions { registration_m: registration, moved_m: moved, confidence };
    let database = target::database(session).await?;
    let compared = compare_runs(&database, &config::user(), [&before, &after], options).await?;
    let Some((comparison, reused)) = compared else {
        bail!("one of {before} and {after} is no detection run: `polder detect` prints the id of what it made");
    };
    if let Some(out) = &out {
        fs::write(out, comparison.to_string()).with_context(|| format!("cannot write {}", out.display()))?;
    }
    let counts = &comparison["counts"];
    let shift = &comparison["shift_m"];
    session.output.say(format!(
        "{} new, {} gone, {} persisting, {} moved",
        counts["new"], counts["gone"], counts["persisting"], counts["moved"]
    ));
    session.output.say(format!(
        "the later orthophoto lies {:.2} m east and {:.2} m north of the earlier one, by {} pairs",
        shift[0].as_f64().unwrap_or_default(),
        shift[1].as_f64().unwrap_or_default(),
        comparison["shift_pairs"]
    ));
    let fields = json!({
        "before": before, "after": after, "reused": reused, "counts": counts, "shift_m": shift,
        "shift_pairs": comparison["shift_pairs"], "residual_m": comparison["residual_m"],
        "outside": comparison["outside"], "out": out,
    });
    session.output.event("done", fields);
    Ok(Outcome::Done)
}
