//! One file per subcommand. A command reads its settings, calls one use case, and says what happened.
//!
//! Exit codes: 0 done, 1 failed, 2 used wrongly, 3 done with rejects when `--fail-on-rejects` asks for it.
//! Results go to stdout (with `--json` one object a line), everything else to stderr.

mod changes;
#[cfg(feature = "gdal")]
mod engine;
#[cfg(feature = "gdal")]
mod export;
#[cfg(feature = "gdal")]
mod flight;
mod init;
mod memory;
mod migrate;
#[cfg_attr(not(feature = "gdal"), expect(dead_code, reason = "progress is of commands that touch rasters"))]
mod output;
mod review;
mod serve;
#[cfg_attr(not(feature = "gdal"), expect(dead_code, reason = "commands that touch rasters write to the catalog"))]
mod target;
mod token;
mod up;

#[cfg(feature = "gdal")]
mod dataset;
#[cfg(feature = "gdal")]
mod demo;
#[cfg(feature = "gdal")]
mod detect;
#[cfg(feature = "gdal")]
mod lineage;
#[cfg(feature = "gdal")]
mod model;
#[cfg(feature = "gdal")]
mod model_eval;
#[cfg(feature = "gdal")]
mod model_learn;
#[cfg(feature = "gdal")]
mod model_push;
#[cfg(feature = "gdal")]
mod model_show;
#[cfg(feature = "gdal")]
mod model_train;
#[cfg(feature = "gdal")]
mod run;
#[cfg(feature = "gdal")]
mod simulate;
#[cfg(feature = "gdal")]
mod stitch;
#[cfg(feature = "gdal")]
mod upload;
#[cfg(feature = "gdal")]
mod whole_file;
mod with_torch;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::config::{self, Settings};
#[cfg(feature = "gdal")]
use crate::detection;
use output::Output;

/// From drone photos of a dike to an orthophoto, detections and a STAC catalog.
///
/// Start with `polder up`: it runs everything on this machine. Then `polder upload`, `polder run`, and open the address that `up` has shown.
#[derive(Parser, Debug)]
#[command(name = "polder", version, max_term_width = 110, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    #[command(flatten)]
    settings: Settings,

    /// Print one JSON object a line on stdout instead of sentences
    #[arg(long, global = true)]
    json: bool,

    /// Settings file (TOML); its keys are the long flags with underscores, unknown ones are errors
    #[arg(long, env = "POLDER_CONFIG", value_name = "FILE", global = true)]
    config: Option<PathBuf>,

    /// What to log on stderr: error, warn, info, debug, or a filter as `polder=debug,sqlx=warn`
    #[arg(long, env = "POLDER_LOG", value_name = "FILTER", default_value = "warn,sqlx=error,s3s=off", global = true)]
    log: String,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Run everything on this machine: database, buckets, API and start page
    Up(up::Args),
    /// Run the API alone, against a configured database and S3
    Serve(serve::Args),
    /// Make the four buckets, versioned and closed; safe to repeat
    Init(init::Args),
    /// Bring the database schema up to date; safe to repeat
    Migrate(migrate::Args),
    /// Make, narrow, list and revoke the tokens of the API
    Token(token::Args),
    /// Look at detections, accept, reject and correct them, and see what that says about the model
    Review(review::Args),
    /// Say what changed between two flights
    Changes(changes::Args),
    /// Render a synthetic flight over a dike, with the truth beside it
    #[cfg(feature = "gdal")]
    Simulate(simulate::Args),
    /// Put photos into the raw bucket and the catalog
    #[cfg(feature = "gdal")]
    Upload(upload::Args),
    /// Turn overlapping photos into one orthophoto
    #[cfg(feature = "gdal")]
    Stitch(stitch::Args),
    /// Find things on an orthophoto
    #[cfg(feature = "gdal")]
    Detect(detect::Args),
    /// Stitch a flight, search it, publish the results
    #[cfg(feature = "gdal")]
    Run(run::Args),
    /// Write detections as `GeoJSON`, `GeoParquet`, `FlatGeobuf`, COCO or YOLO
    #[cfg(feature = "gdal")]
    Export(export::Args),
    /// Freeze pictures and labels as data sets, and check, compare and export them
    #[cfg(feature = "gdal")]
    Dataset(dataset::Args),
    /// Tell what something was made from: which photos, which versions, which code
    #[cfg(feature = "gdal")]
    Lineage(lineage::Args),
    /// Train, register, stage and list detectors
    #[cfg(feature = "gdal")]
    Model(model::Args),
    /// The whole river once, on a synthetic flight or on your photos, judged and shown
    #[cfg(feature = "gdal")]
    Demo(demo::Args),
}

#[cfg(feature = "gdal")]
impl Command {
    /// Tells whether the command asks a model anything in its own process.
    const fn runs_models(&self) -> bool {
        match self {
            Self::Detect(_) | Self::Run(_) => true,
            Self::Model(model) => model.runs_models(),
            Self::Up(_) | Self::Serve(_) | Self::Init(_) | Self::Migrate(_) | Self::Token(_) | Self::Review(_) | Self::Changes(_) | Self::Export(_) | Self::Simulate(_)
            | Self::Upload(_) | Self::Stitch(_) | Self::Dataset(_) | Self::Lineage(_)
            // The steps of a demo are processes of their own.
            | Self::Demo(_) => false,
        }
    }
}

/// What every command gets beside its own arguments.
struct Session {
    settings: Settings,
    output: Output,
}

/// How a command that did not fail ended.
enum Outcome {
    Done,
    /// Something was left out, and the user asked to be told by the exit code.
    Rejects,
}

/// Runs the command of this process's command line.
pub fn main() -> ExitCode {
    let cli = match parse() {
        Ok(cli) => cli,
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::from(2);
        }
    };
    start_log(&cli.log);
    let output = Output::new(cli.json);
    #[cfg(feature = "gdal")]
    if cli.command.runs_models()
        && !detection::runs_models()
        && let Err(error) = with_torch::become_it()
    {
        output.failed(&error);
        return ExitCode::from(1);
    }
    match dispatch(cli.command, &Session { settings: cli.settings, output }) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Rejects) => ExitCode::from(3),
        Err(error) => {
            output.failed(&error);
            ExitCode::from(1)
        }
    }
}

/// A settings file changes the defaults, so it is looked for before the command line is read for good.
fn parse() -> anyhow::Result<Cli> {
    let arguments: Vec<_> = std::env::args_os().collect();
    let flag = arguments.iter().position(|a| a == "--config").and_then(|at| arguments.get(at + 1));
    let flag =
        flag.cloned().or_else(|| arguments.iter().find_map(|a| a.to_str()?.strip_prefix("--config=").map(Into::into)));
    let file = flag.or_else(|| std::env::var_os("POLDER_CONFIG").filter(|v| !v.is_empty()));
    let mut command = Cli::command();
    if let Some(file) = file {
        command = config::with_file(command, file.as_ref())?;
    }
    Cli::from_arg_matches(&command.get_matches_from(arguments)).context("cannot read the command line")
}

fn dispatch(command: Command, session: &Session) -> anyhow::Result<Outcome> {
    match command {
        Command::Up(args) => {
            memory::give_back();
            wait_for(up::run(args, session))
        }
        Command::Serve(args) => {
            memory::give_back();
            wait_for(serve::run(args, session))
        }
        Command::Init(args) => wait_for(init::run(args, session)),
        Command::Migrate(args) => wait_for(migrate::run(args, session)),
        Command::Token(args) => wait_for(token::run(args, session)),
        Command::Review(args) => wait_for(review::run(args, session)),
        Command::Changes(args) => wait_for(changes::run(args, session)),
        #[cfg(feature = "gdal")]
        Command::Simulate(args) => simulate::run(&args, session),
        #[cfg(feature = "gdal")]
        Command::Upload(args) => wait_for(upload::run(args, session)),
        #[cfg(feature = "gdal")]
        Command::Stitch(args) => stitch::run(&args, session),
        #[cfg(feature = "gdal")]
        Command::Detect(args) => detect::run(&args, session),
        #[cfg(feature = "gdal")]
        Command::Run(args) => wait_for(run::run(args, session)),
        #[cfg(feature = "gdal")]
        Command::Export(args) => wait_for(export::run(args, session)),
        #[cfg(feature = "gdal")]
        Command::Model(args) => model::run(args, session),
        #[cfg(feature = "gdal")]
        Command::Lineage(args) => wait_for(lineage::run(args, session)),
        #[cfg(feature = "gdal")]
        Command::Dataset(args) => wait_for(dataset::run(args, session)),
        #[cfg(feature = "gdal")]
        Command::Demo(args) => demo::run(&args, session),
    }
}

fn wait_for<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")?.block_on(work)
}

fn start_log(filter: &str) {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("warn"));
    let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(ansi)
        .with_target(false)
        .init();
}
