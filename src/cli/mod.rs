//! Command line: one command, one file.
//!
//! Data goes to stdout and everything else to stderr, so that a pipe gets only data. The exit status is an interface
//! too: see [`Exit`].

mod accounts;
mod backfill;
mod backup;
mod command;
mod compare;
mod coverage;
mod csv_cells;
mod csv_table;
mod current;
mod demo;
mod diff;
mod erase;
mod event;
mod explain;
mod export;
mod history;
mod import;
mod json;
mod log;
mod not_found;
mod open_files;
mod output;
mod policy;
mod post;
mod private_file;
mod progress;
mod projections;
mod rebuild;
mod reconcile;
mod report;
mod serve;
mod signals;
mod simulate;
mod simulate_server;
mod stripe;
mod telemetry;
mod users;
mod verify;

use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use clap::{FromArgMatches as _, Parser, Subcommand};

use crate::clock::Clock;
use crate::config::Settings;
use crate::store::{OpenMode, Store};

pub use report::Exit;

/// Variables and exit statuses, for the end of the help.
const ENVIRONMENT: &str = "\
Environment (an empty variable counts as not set):
  STRIPE_WEBHOOK_SECRET
      Signing secrets of the webhook endpoints, whsec_…, separated by commas or
      white space. Put live:, test: or connect: before a secret to bind it to
      such events. Used by `serve`, `import`, `simulate --to` and
      `verify --signatures`. There is no flag, because process lists show flags.
  STRIPE_API_KEY
      Key of Stripe's API, rk_live_… or rk_test_…, for `stripe`, `backfill`,
      `reconcile` and the syncs of `serve`. It must belong to SUBLEDGER_MODE
      [default: none]
  STRIPE_API_BASE
      Address of Stripe's API or of a proxy [default: https://api.stripe.com]
  SUBLEDGER_API_TOKEN
      Bearer tokens that may read everything under /v1 [default: none]
  SUBLEDGER_ACCESS_TOKEN
      Bearer tokens that may only ask who has access: /v1/users/{id}/access,
      /v1/customers/{id}/access and /v1/access, in the platform's own account
      and the mode of SUBLEDGER_MODE [default: none]
  STRIPE_WEBHOOK_SECRET_FILE, STRIPE_API_KEY_FILE, SUBLEDGER_API_TOKEN_FILE,
  SUBLEDGER_ACCESS_TOKEN_FILE
      Files with these values, instead of the variables [default: none]
  SUBLEDGER_SIGNING_KEY
      Secret key that signs checkpoints, from `log keygen` [default: none]
  SUBLEDGER_LISTEN, SUBLEDGER_PRIVATE_LISTEN, SUBLEDGER_TOLERANCE_SECONDS,
  SUBLEDGER_NO_AUTO_REBUILD, SUBLEDGER_UNKNOWN, SUBLEDGER_SIGNING_KEY_FILE,
  SUBLEDGER_CHECKPOINT_FILE, SUBLEDGER_CHECKPOINT_EVERY_SECONDS,
  SUBLEDGER_SYNC_EVERY_SECONDS
      See `serve --help`
  SUBLEDGER_VERIFIER_KEY
      Public key that checks checkpoints, see `log check --help`
  SUBLEDGER_LOG
      Filter of the program's log, such as info or subledger=debug
      [default: info for `serve`, else warn]
  SUBLEDGER_LOG_FORMAT
      text or json [default: text]

Exit status:
  0  done
  1  the answer is no
  2  wrong use or configuration
  3  the database or another part failed
  A reader that ends early, as in `| head`, does not change the status.";

/// Event-sourced subscription ledger for Stripe
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
    /// Receive webhooks, update the read model, and serve the HTTP API
    Serve(serve::Args),
    /// Try the ledger with simulated events, without any setup
    Demo(demo::Args),
    /// Show the current subscriptions
    Current(current::Args),
    /// Show from when to when the ledger is known to be complete
    ///
    /// Shows the complete spans of each account and mode, the gaps with their reasons and what closes them, the events
    /// that no webhook delivered, the last sync, and the webhook endpoints. The end of the latest span may be some
    /// minutes old before it counts as a gap. Exit status: 1 if your own account has a gap in the mode of --mode.
    Coverage(coverage::Args),
    /// Compare the answers of another program about access with those of the ledger
    Compare(compare::Args),
    /// Show the history of a user, a customer or a subscription
    History(history::Args),
    /// Show the event that set each field of a subscription
    Explain(explain::Args),
    /// Show one event of the log, or its exact bytes
    Event(event::Args),
    /// Show the policy that decides who has access
    Policy(policy::Args),
    /// Rebuild the read model from the log, and show what changes
    Rebuild(rebuild::Args),
    /// List, activate or remove generations of the read model
    Projections(projections::Args),
    /// Copy the log to a new file while it is in use
    Backup(backup::Args),
    /// Check the log, the databases and the read model
    ///
    /// Checks the log against its head and hashes, counts its ids, runs the database's own check, compares the triggers
    /// with those of the migrations, and compares the read model with a new fold. Exit status: 1 if anything differs.
    Verify(verify::Args),
    /// Sign checkpoints of the log, and make and check proofs
    Log(log::Args),
    /// Append events and objects of Stripe's from files: JSON lines, arrays, list pages, exports
    ///
    /// Objects that are not events, such as the subscriptions of a list page, become observations: they count as
    /// snapshots of the time that --seen-at states, and any event of the same second or later wins over them.
    ///
    /// Importing an export into an empty ledger restores it: the log is the same, with the same root. If that is
    /// interrupted, import the same export again. Any other ledger takes only the payload of an exported event: its
    /// source is `webhook` if its signature verifies with `STRIPE_WEBHOOK_SECRET`, and `import` otherwise. Such a ledger
    /// refuses records of erasures and erased events.
    Import(import::Args),
    /// Append what Stripe's API shows and the log does not say
    ///
    /// Reads the events of 30 days, and customers, subscriptions, schedules, checkout sessions, invoices, products and
    /// prices. An object is appended only if it says something new, as it was seen at Stripe. An interrupted backfill
    /// goes on where it was. The key comes from `STRIPE_API_KEY` or `STRIPE_API_KEY_FILE` and needs read permissions only.
    Backfill(backfill::Args),
    /// Compare Stripe's current state with the ledger, and name the reason of each difference
    ///
    /// Reads the lists that `backfill` reads and appends nothing. With --apply it appends what heals the differences,
    /// as `backfill` does; a row is never edited. Checkouts that were not paid, subscriptions on test clocks, and changes
    /// of the last two minutes are listed and are no drift.
    Reconcile(reconcile::Args),
    /// Link customers to the users of your application
    Users(users::Args),
    /// Write the log to stdout, one event a line
    Export(export::Args),
    /// Erase the content of events, for a person who wants to be forgotten
    ///
    /// Erases the body and signature of each event, and the bodies of its redeliveries. The event's entry, its hashes
    /// and a record of the erasure stay, so that all proofs hold. Then rebuilds the read model from the remaining
    /// events, drops older generations, and rewrites the files. Exit status: 3 while a file still contains the bytes;
    /// run the same command again.
    Erase(erase::Args),
    /// Check the API key and webhook endpoints at Stripe, and create an endpoint
    Stripe(stripe::Args),
    /// Generate simulated events, and the expected final state
    Simulate(simulate::Args),
}

/// Context of a command.
struct Context {
    settings: Settings,
    clock: Clock,
    /// Opened stores, to be closed however the command ends, so that SQLite removes its auxiliary files.
    opened: Mutex<Vec<Store>>,
}

impl Context {
    async fn open(&self, mode: OpenMode) -> anyhow::Result<Store> {
        let url = self.settings.database_url()?;
        let store = Store::open(&url, mode, self.clock.clone()).await?;
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).push(store.clone());
        Ok(store)
    }

    async fn close(self) {
        for store in self.opened.into_inner().unwrap_or_else(PoisonError::into_inner) {
            store.close().await;
        }
    }
}

/// Parses the command line. Wrong use ends the process with status 2, and `--help` with 0.
pub fn parse() -> Cli {
    let matches = command::command().get_matches();
    Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

/// Runs a command to its end.
pub fn run(cli: Cli) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return report::report(&error.into()).into(),
    };
    let logging = match telemetry::start(default_log(&cli.command)) {
        Ok(logging) => logging,
        Err(error) => return report::report(&error).into(),
    };
    let exit = runtime.block_on(dispatch(cli)).unwrap_or_else(|error| report::report(&error));
    // Otherwise the runtime would wait for a thread that reads standard input.
    runtime.shutdown_background();
    drop(logging);
    exit.into()
}

/// Default filter of the log. A service logs what it does; a command prints it.
fn default_log(command: &Command) -> &'static str {
    match command {
        Command::Serve(_) => "info",
        Command::Demo(_) => "error",
        _ => "warn",
    }
}

async fn dispatch(cli: Cli) -> anyhow::Result<Exit> {
    let context =
        Context { settings: cli.settings, clock: Clock::System, opened: Mutex::default() };
    let ended = run_command(cli.command, &context).await;
    context.close().await;
    ended
}

async fn run_command(command: Command, context: &Context) -> anyhow::Result<Exit> {
    match command {
        Command::Serve(args) => serve::run(args, context).await,
        Command::Demo(args) => demo::run(args, context).await,
        Command::Current(args) => current::run(args, context).await,
        Command::Coverage(args) => coverage::run(args, context).await,
        Command::Compare(args) => compare::run(args, context).await,
        Command::History(args) => history::run(args, context).await,
        Command::Explain(args) => explain::run(args, context).await,
        Command::Event(args) => event::run(args, context).await,
        Command::Policy(args) => policy::run(args, context).await,
        Command::Rebuild(args) => rebuild::run(args, context).await,
        Command::Projections(args) => projections::run(args, context).await,
        Command::Backfill(args) => backfill::run(args, context).await,
        Command::Reconcile(args) => reconcile::run(args, context).await,
        Command::Backup(args) => backup::run(args, context).await,
        Command::Verify(args) => verify::run(args, context).await,
        Command::Log(args) => log::run(args, context).await,
        Command::Import(args) => import::run(args, context).await,
        Command::Users(args) => users::run(args, context).await,
        Command::Export(args) => export::run(args, context).await,
        Command::Erase(args) => erase::run(args, context).await,
        Command::Stripe(args) => stripe::run(args, context).await,
        Command::Simulate(args) => simulate::run(args, context).await,
    }
}
