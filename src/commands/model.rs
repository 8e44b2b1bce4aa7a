//! `polder model`: detectors.

use super::{Outcome, Session, model_eval, model_learn, model_push, model_show, model_train, wait_for};

/// Train detectors, and keep them: every version, how far it has come, and what it was made of.
///
/// A model is a name, a version has one set of weights for ever. `polder detect --model NAME` takes the version in
/// production, else the newest that is not retired; NAME@VERSION takes that one.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    Train(Box<model_train::Args>),
    Eval(model_eval::Args),
    Push(model_push::Args),
    Stage(model_show::StageArgs),
    List(model_show::ListArgs),
    Show(model_show::ShowArgs),
}

impl Args {
    /// Tells whether the command asks a model anything in its own process.
    pub(super) const fn runs_models(&self) -> bool {
        matches!(self.command, Command::Train(_) | Command::Push(_) | Command::Eval(_))
    }
}

pub(super) fn run(args: Args, session: &Session) -> anyhow::Result<Outcome> {
    match args.command {
        Command::Train(args) if args.dataset.is_some() => model_learn::run(&args, session),
        Command::Train(args) => model_train::run(&args, session),
        Command::Eval(args) => wait_for(model_eval::run(args, session)),
        Command::Push(args) => wait_for(model_push::run(args, session)),
        Command::Stage(args) => wait_for(model_show::stage(args, session)),
        Command::List(args) => wait_for(model_show::list(args, session)),
        Command::Show(args) => wait_for(model_show::show(args, session)),
    }
}
