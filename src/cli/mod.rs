//! The command line: one command, one file.
//!
//! Data goes to stdout and everything else to stderr, so that a pipe carries data alone. How a
//! command ends is an interface too: see [`Exit`].

mod backup;
mod current;
mod demo;
mod diff;
mod erase;
mod event;
mod explain;
mod export;
mod history;
mod import;
mod log;
mod output;
mod post;
mod progress;
mod projections;
mod rebuild;
mod report;
mod serve;
mod signals;
mod simulate;
mod telemetry;
mod verify;

use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use clap::{Parser, Subcommand};

use crate::clock::Clock;
use crate::config::Settings;
use crate::store::{Opening, Store};

pub use report::Exit;

/// The variables that no flag stands for, for the end of the help.
const ENVIRONMENT: &str = "\
Environment:
  STRIPE_WEBHOOK_SECRET        the endpoint's signing secret, whsec_…; several by commas or white
                               space, each bound to the events of its endpoint by live:, test: or
                               connect: before it; `serve` needs one, `import` and `verify
                               --signatures` verify with it
                               [no flag: it would show in a process list]
  SUBLEDGER_API_TOKEN          bearer tokens that may read everything under /v1  [default: none]
  SUBLEDGER_ACCESS_TOKEN       bearer tokens that may only ask /v1/users/{id}  [default: none]
  STRIPE_WEBHOOK_SECRET_FILE, SUBLEDGER_API_TOKEN_FILE, SUBLEDGER_ACCESS_TOKEN_FILE
                               files that hold them, where the variables do not  [default: none]
  SUBLEDGER_LISTEN             `serve --listen`  [default: 127.0.0.1:8000]
  SUBLEDGER_PRIVATE_LISTEN     `serve --private-listen`: a second address for /v1 and /metrics
                               [default: none]
  SUBLEDGER_TOLERANCE_SECONDS  `serve --tolerance-seconds`  [default: 300]
  SUBLEDGER_NO_AUTO_REBUILD    `serve --no-auto-rebuild`: refuse to start where the read model would be
                               made anew  [default: it is, in the background]
  SUBLEDGER_SIGNING_KEY        the secret key that signs checkpoints of the log, as `log keygen` makes it
                               [no flag]  [default: none]
  SUBLEDGER_SIGNING_KEY_FILE   `--signing-key-file`: a file that holds it  [default: none]
  SUBLEDGER_VERIFIER_KEY       `--key`: the public key that checks them  [default: none]
  SUBLEDGER_CHECKPOINT_FILE    `serve --checkpoint-file`: where checkpoints are written  [default: none]
  SUBLEDGER_CHECKPOINT_EVERY_SECONDS
                               `serve --checkpoint-every-seconds`  [default: 60 with a file]
  SUBLEDGER_LOG                what is logged, as info or subledger=debug  [default: info]
  SUBLEDGER_LOG_FORMAT         text or json  [default: text]

Exit status:
  0 done; 1 the answer is no; 2 wrong use or configuration; 3 the database or another part failed";

/// An event-sourced subscription ledger for Stripe.
#[derive(Debug, Parser)]
#[command(name = "subledger", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = ENVIRONMENT)]
pub struct Cli {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Receive webhooks, keep the read model current, answer questions
    Serve(serve::Args),
    /// All of it with nothing to set up: simulated lives, posted with real signatures
    Demo(demo::Args),
    /// Show the current subscriptions
    Current(current::Args),
    /// Show what happened to a user, a customer or a subscription
    History(history::Args),
    /// Show for every field of a subscription the event that set it
    Explain(explain::Args),
    /// Show one event of the log, or its exact bytes
    Event(event::Args),
    /// Build the read model anew from the log, and show what that changes
    Rebuild(rebuild::Args),
    /// Show the generations of the read model, go back to one, remove one
    Projections(projections::Args),
    /// Copy the log while it is in use
    Backup(backup::Args),
    /// Check the log, its indexes and triggers, and the read model against a fresh fold
    ///
    /// The log is checked against its head and hashes; its ids are counted; the database runs its own check;
    /// the triggers are compared with those that the migrations make. Exit status: 1 where anything differs.
    Verify(verify::Args),
    /// Prove that nobody edited the log: sign checkpoints, make proofs, check them
    Log(log::Args),
    /// Append events from files: events, lines, list pages, exports
    ///
    /// An export into an empty ledger is restored: the same log, root and all; if it is interrupted, import the
    /// same export again. Any other ledger takes from a line of an export the payload alone: the event says
    /// `webhook` if its signature verifies with `STRIPE_WEBHOOK_SECRET`, and `import` otherwise; records of erasures
    /// and erased events are refused.
    Import(import::Args),
    /// Write the log, a line an event
    Export(export::Args),
    /// Erase what events said, for a person who asks to be forgotten
    ///
    /// Erases the body and signature of each event, and the bodies of its redeliveries. That the event was, its
    /// hashes, and a record of the erasure stay, so that every proof holds. Then the read model is rebuilt from
    /// what is left, older generations are dropped, and the files are rewritten. Exits with 3 while a file
    /// still holds the bytes: run the same command again.
    Erase(erase::Args),
    /// Make up the events of whole subscription lives, with the truth known
    Simulate(simulate::Args),
}

/// What every command is given.
struct Context {
    settings: Settings,
    clock: Clock,
    /// What was opened, to be closed however the command ends: SQLite then leaves no files beside its own.
    opened: Mutex<Vec<Store>>,
}

impl Context {
    async fn open(&self, opening: Opening) -> anyhow::Result<Store> {
        let url = self.settings.database_url()?;
        let store = Store::open(&url, opening, self.clock.clone()).await?;
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).push(store.clone());
        Ok(store)
    }

    async fn close(self) {
        for store in self.opened.into_inner().unwrap_or_else(PoisonError::into_inner) {
            store.close().await;
        }
    }
}

/// Runs a command to its end.
pub fn run(cli: Cli) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return report::report(&error.into()).into(),
    };
    let exit = runtime.block_on(dispatch(cli)).unwrap_or_else(|error| report::report(&error));
    // A thread that waits for standard input would be waited for.
    runtime.shutdown_background();
    exit.into()
}

async fn dispatch(cli: Cli) -> anyhow::Result<Exit> {
    let context =
        Context { settings: cli.settings, clock: Clock::System, opened: Mutex::default() };
    // What a service does is worth telling; a command tells it itself.
    telemetry::start(match cli.command {
        Command::Serve(_) => "info",
        Command::Demo(_) => "error",
        _ => "warn",
    })?;
    let ended = run_command(cli.command, &context).await;
    context.close().await;
    ended
}

async fn run_command(command: Command, context: &Context) -> anyhow::Result<Exit> {
    match command {
        Command::Serve(args) => serve::run(args, context).await,
        Command::Demo(args) => demo::run(args, context).await,
        Command::Current(args) => current::run(args, context).await,
        Command::History(args) => history::run(args, context).await,
        Command::Explain(args) => explain::run(args, context).await,
        Command::Event(args) => event::run(args, context).await,
        Command::Rebuild(args) => rebuild::run(args, context).await,
        Command::Projections(args) => projections::run(args, context).await,
        Command::Backup(args) => backup::run(args, context).await,
        Command::Verify(args) => verify::run(args, context).await,
        Command::Log(args) => log::run(args, context).await,
        Command::Import(args) => import::run(args, context).await,
        Command::Export(args) => export::run(args, context).await,
        Command::Erase(args) => erase::run(args, context).await,
        Command::Simulate(args) => simulate::run(args, context).await,
    }
}
