//! `polder model`: detectors.

use super::{Outcome, Session, model_train};

/// Train a detector.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    Train(model_train::Args),
}

pub(super) fn run(args: Args, session: &Session) -> anyhow::Result<Outcome> {
    match args.command {
        Command::Train(args) => model_train::run(&args, session),
    }
}
