//! `log`: proofs that nobody edited the log, made with the ledger and checked without it.

mod check;
mod checkpoint;
mod consistency;
mod keygen;
mod proof_files;
mod prove;

use std::path::Path;

use super::Context;
use super::report::{Exit, Failure};
use crate::proof::{Checkpoint, VerifierKey};

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a secret key that signs checkpoints, and print the public key that checks them
    ///
    /// Whoever has the secret key can sign for this log. Keep it from those who can edit the log, where you can.
    Keygen(keygen::Args),
    /// Sign the size of the log and its root, and print the checkpoint
    Checkpoint(checkpoint::Args),
    /// Prove that an event is in the log
    ///
    /// Prints the proof with a fresh checkpoint, in the format of c2sp.org/tlog-proof.
    Prove(prove::Args),
    /// Prove that the log has only grown since an older checkpoint
    ///
    /// Prints the proof with the newer checkpoint, as a log sends it to a witness (c2sp.org/tlog-witness).
    Consistency(consistency::Args),
    /// Check checkpoints and proofs, without a ledger
    ///
    /// Give a proof of an event together with the record of the event (a line of `export`, or the output of `event
    /// EVT`), and a proof of consistency together with the older checkpoint. Every record in a file is checked and
    /// needs a proof; fields that no proof covers are named. Exit status: 1 if something does not hold, 2 if
    /// a file that belongs to another is missing.
    Check(check::Args),
}

/// The key that checks, for the commands that do.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct KeyArgs {
    /// Public key of the log, as `log keygen` prints it: NAME+HASH+KEY
    #[arg(long, value_name = "KEY", env = "SUBLEDGER_VERIFIER_KEY")]
    key: Option<VerifierKey>,
}

impl KeyArgs {
    /// The key, of which there must be one.
    fn required(&self) -> anyhow::Result<&VerifierKey> {
        self.key.as_ref().ok_or_else(|| {
            Failure::usage(
                "no key is given that checkpoints could be checked with",
                "`subledger log keygen` has shown it; give it with --key or SUBLEDGER_VERIFIER_KEY",
            )
        })
    }

    /// Reads a signed checkpoint from a file.
    pub(super) fn open(&self, path: &Path) -> anyhow::Result<Checkpoint> {
        let key = self.required()?;
        let text = read(path)?;
        Checkpoint::open(&text, key).map_err(|error| does_not_hold(path, &error))
    }
}

pub(super) async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    match args.command {
        Command::Keygen(args) => keygen::run(args),
        Command::Checkpoint(args) => checkpoint::run(args, context).await,
        Command::Prove(args) => prove::run(args, context).await,
        Command::Consistency(args) => consistency::run(args, context).await,
        Command::Check(args) => check::run(args),
    }
}

/// The text of a file.
fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).map_err(|error| {
        Failure::usage(format!("cannot read {}: {error}", path.display()), "give files of text")
    })
}

/// What a file says is not so.
fn does_not_hold(path: &Path, why: &dyn std::fmt::Display) -> anyhow::Error {
    Failure::no(
        format!("{} does not hold: {why}", path.display()),
        "it was edited, or is another log's or another key's",
    )
}
