//! `polder review`: what people say about detections.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::{Outcome, Session, target};
use crate::{
    catalog::{ReviewAction, parse_time, review_figures},
    config,
    database::{DetectionFilter, DetectionRow},
    pipeline::{Reviewer, TakenOver, Verdict},
};

/// Look at detections, accept, reject and correct them, and see what that says about the model.
///
/// A detection is named RUN/NUMBER, as `polder review list` prints it. Everything that is said is kept with who and when
/// (`polder review history`); what a later run over the same orthophoto finds again takes the review over.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// List detections; with --out as `GeoJSON`, to be changed in QGIS and imported again
    List(List),
    /// It is what the model says
    Accept(Say),
    /// It is nothing of the kind
    Reject(Say),
    /// It is there, but of another class or shape
    Correct(Correct),
    /// Remark something, which decides nothing
    Comment(Say),
    /// Let it be looked at again; corrections are taken back
    Reopen(Say),
    /// Show what was said about a detection
    History {
        /// The detection, as RUN/NUMBER
        detection: Name,
    },
    /// Note something that is there and that a run did not find: without these nobody knows the recall
    Missed(Missed),
    /// Take over a `GeoJSON` file that `list --out` wrote and somebody changed: review, class, comment, shape
    Import(Import),
    /// Precision, recall, calibration and a threshold to try, class by class
    Stats(Which),
}

/// Which detections.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct Which {
    /// Of this detection run (an item of ai-results)
    #[arg(long, value_name = "ID")]
    run: Option<String>,

    #[arg(long, value_name = "NAME")]
    project: Option<String>,

    #[arg(long, value_name = "NAME")]
    flight: Option<String>,

    /// Of this model, by its name
    #[arg(long, value_name = "NAME")]
    model: Option<String>,

    /// Of this class, as it is now
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,

    /// The least confidence
    #[arg(long, value_name = "C")]
    confidence: Option<f64>,

    /// What people said: open, accepted or rejected
    #[arg(long, value_name = "STATE", value_parser = ["open", "accepted", "rejected"])]
    review: Option<String>,

    /// Of photos taken at this time (RFC 3339) or later
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
}

#[derive(clap::Args, Debug)]
struct List {
    #[command(flatten)]
    which: Which,

    /// Write them to this file, as `GeoJSON`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(clap::Args, Debug)]
struct Say {
    /// The detection, as RUN/NUMBER
    detection: Name,

    /// Why
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,

    /// Only if nobody has said anything since this version (as list shows it)
    #[arg(long, value_name = "N")]
    if_version: Option<i32>,
}

#[derive(clap::Args, Debug)]
struct Correct {
    #[command(flatten)]
    say: Say,

    /// What it is instead
    #[arg(long, value_name = "CLASS", required_unless_present = "geometry")]
    class: Option<String>,

    /// What it covers instead: a file with a `GeoJSON` polygon (WGS 84), or a feature that has one
    #[arg(long, value_name = "FILE")]
    geometry: Option<PathBuf>,
}

#[derive(clap::Args, Debug)]
struct Missed {
    /// Id of the run that did not find it
    run: String,

    /// What it is
    #[arg(long, value_name = "CLASS")]
    class: String,

    /// A file with a `GeoJSON` polygon (WGS 84), or a feature that has one
    #[arg(long, value_name = "FILE")]
    geometry: PathBuf,

    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
}

#[derive(clap::Args, Debug)]
struct Import {
    /// The `GeoJSON` file
    file: PathBuf,

    /// End with exit code 3 when a feature was left out
    #[arg(long)]
    fail_on_rejects: bool,
}

/// RUN/NUMBER.
#[derive(Clone, Debug)]
struct Name {
    run: String,
    number: i32,
}

impl std::str::FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.rsplit_once('/').and_then(|(run, number)| Some((run, number.parse().ok()?)));
        let (run, number) = parts.ok_or("write RUN/NUMBER, as `polder review list` does")?;
        Ok(Self { run: run.to_owned(), number })
    }
}

/// Detections that are read at once.
const PAGE: i64 = 1000;

pub(super) async fn run(args: Args, session: &Session) -> anyhow::Result<Outcome> {
    let database = target::database(session).await?;
    let reviewer = Reviewer { database, actor: config::user() };
    match args.command {
        Command::List(list) => show(&reviewer, &list, session).await?,
        Command::Accept(say) => speak(&reviewer, say, ReviewAction::Accept, session).await?,
        Command::Reject(say) => speak(&reviewer, say, ReviewAction::Reject, session).await?,
        Command::Comment(say) => speak(&reviewer, say, ReviewAction::Comment, session).await?,
        Command::Reopen(say) => speak(&reviewer, say, ReviewAction::Reopen, session).await?,
        Command::Correct(correct) => {
            let geometry = correct.geometry.as_deref().map(polygon_in).transpose()?;
            let action = Some(ReviewAction::Correct);
            let verdict = Verdict { action, class: correct.class, geometry, comment: correct.say.comment.clone() };
            review(&reviewer, &correct.say, &verdict, session).await?;
        }
        Command::History { detection } => history(&reviewer, &detection, session).await?,
        Command::Missed(missed) => {
            let geometry = polygon_in(&missed.geometry)?;
            let comment = missed.comment.as_deref();
            if !reviewer.note_missed(&missed.run, &missed.class, &geometry, comment).await? {
                bail!("there is no detection run {}: `polder detect` prints the id of what it made", missed.run);
            }
            session.output.say(format!("noted: {} was missed by {}", missed.class, missed.run));
            session.output.event("missed", json!({ "run": missed.run, "class": missed.class }));
        }
        Command::Import(import) => return take(&reviewer, &import, session).await,
        Command::Stats(which) => stats(&reviewer, &which, session).await?,
    }
    Ok(Outcome::Done)
}

impl Which {
    pub(super) fn filter(&self) -> anyhow::Result<DetectionFilter> {
        Ok(DetectionFilter {
            run: self.run.clone(),
            project: self.project.clone(),
            flight: self.flight.clone(),
            model: self.model.clone(),
            class: self.class.clone(),
            confidence: self.confidence,
            review: self.review.clone(),
            since: self.since.as_deref().map(parse_time).transpose().context("cannot read --since")?,
            ..DetectionFilter::default()
        })
    }
}

async fn show(reviewer: &Reviewer, list: &List, session: &Session) -> anyhow::Result<()> {
    let mut filter = DetectionFilter { limit: PAGE, ..list.which.filter()? };
    let mut features: Vec<Value> = Vec::new();
    loop {
        let rows = reviewer.database.list_detections(&filter).await?;
        for row in &rows {
            if list.out.is_some() {
                features.push(row.feature());
            } else {
                session.output.say(line(row));
                session.output.event("detection", row.feature());
            }
        }
        let Some(last) = rows.last().filter(|_| rows.len() as i64 == PAGE) else { break };
        filter.after = Some((last.run.clone(), last.number));
    }
    if let Some(out) = &list.out {
        let count = features.len();
        let text = json!({ "type": "FeatureCollection", "features": features }).to_string();
        fs::write(out, text).with_context(|| format!("cannot write {}", out.display()))?;
        session.output.say(format!("{count} detections in {}", out.display()));
        session.output.event("done", json!({ "out": out, "detections": count }));
    }
    Ok(())
}

fn line(row: &DetectionRow) -> String {
    let who = row.reviewed_by.as_ref().map(|who| format!(" by {who}")).unwrap_or_default();
    let share = row.confidence * 100.0;
    format!("{:9} {share:3.0} %  {}  {}/{}  version {}{who}", row.review, row.class, row.run, row.number, row.version)
}

async fn speak(reviewer: &Reviewer, say: Say, action: ReviewAction, session: &Session) -> anyhow::Result<()> {
    let verdict = Verdict { action: Some(action), comment: say.comment.clone(), ..Verdict::default() };
    review(reviewer, &say, &verdict, session).await
}

async fn review(reviewer: &Reviewer, say: &Say, verdict: &Verdict, session: &Session) -> anyhow::Result<()> {
    let Name { run, number } = &say.detection;
    let version = reviewer.review(run, *number, verdict, say.if_version).await?;
    let Some(version) = version else {
        bail!("there is no detection {run}/{number}: `polder review list` prints their names");
    };
    let action = verdict.action.map_or("", ReviewAction::as_str);
    session.output.say(format!("{action} {run}/{number}, version {version} now"));
    session.output.event("reviewed", json!({ "run": run, "number": number, "action": action, "version": version }));
    Ok(())
}

async fn history(reviewer: &Reviewer, name: &Name, session: &Session) -> anyhow::Result<()> {
    let Name { run, number } = name;
    for row in reviewer.database.list_reviews(run, *number).await? {
        let comment = row.comment.as_ref().map(|comment| format!(": {comment}")).unwrap_or_default();
        let class = row.class.as_ref().map(|class| format!(" to {class}")).unwrap_or_default();
        let when = row.said_at.format("%Y-%m-%d %H:%M");
        session.output.say(format!("{} {when} {} {}{class}{comment}", row.version, row.who, row.action));
        session.output.event("review", row.to_json());
    }
    Ok(())
}

async fn take(reviewer: &Reviewer, import: &Import, session: &Session) -> anyhow::Result<Outcome> {
    let file = json_in(&import.file)?;
    let features = file["features"].as_array().filter(|_| file["type"] == "FeatureCollection");
    let features = features.with_context(|| format!("{} is no GeoJSON FeatureCollection", import.file.display()))?;
    let (mut reviewed, mut unchanged, mut rejected) = (0, 0, 0);
    for (index, feature) in features.iter().enumerate() {
        match reviewer.import(feature).await? {
            TakenOver::Reviewed => reviewed += 1,
            TakenOver::Unchanged => unchanged += 1,
            TakenOver::Rejected(reason) => {
                rejected += 1;
                session.output.say(format!("feature {index} left out: {reason}"));
                session.output.event("rejected", json!({ "feature": index, "reason": reason }));
            }
        }
    }
    session.output.say(format!("{reviewed} reviewed, {unchanged} unchanged, {rejected} left out"));
    session.output.event("done", json!({ "reviewed": reviewed, "unchanged": unchanged, "rejected": rejected }));
    Ok(if rejected > 0 && import.fail_on_rejects { Outcome::Rejects } else { Outcome::Done })
}

async fn stats(reviewer: &Reviewer, which: &Which, session: &Session) -> anyhow::Result<()> {
    let (judged, rest) = reviewer.database.judged(&which.filter()?).await?;
    let percent = |share: Option<f64>| share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", share * 100.0));
    for figures in review_figures(&judged, &rest) {
        session.output.say(format!(
            "{}: {} reviewed, {} right, {} open, {} missed; precision {}, recall {}",
            figures.class,
            figures.reviewed,
            figures.right,
            figures.open,
            figures.missed,
            percent(figures.precision),
            percent(figures.recall),
        ));
        if let Some(best) = figures.suggestion {
            session.output.say(format!(
                "  try --confidence {:.3}: precision {}, recall {}",
                best.confidence,
                percent(Some(best.precision)),
                percent(Some(best.recall)),
            ));
        }
        session.output.event("class", figures);
    }
    Ok(())
}

fn json_in(path: &Path) -> anyhow::Result<Value> {
    let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} is no JSON", path.display()))
}

fn polygon_in(path: &Path) -> anyhow::Result<Value> {
    let mut json = json_in(path)?;
    Ok(if json["type"] == "Feature" { json["geometry"].take() } else { json })
}
