//! `log`: makes proofs that nobody edited the log, and checks them without the ledger.

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
    /// Generate a secret key that signs checkpoints, and print the public key that checks them
    ///
    /// Anybody who has the secret key can sign for this log. If possible, keep it from those who can edit the log.
    Keygen(keygen::Args),
    /// Print a checkpoint: the signed size and root of the log
    Checkpoint(checkpoint::Args),
    /// Prove that an event is in the log
    ///
    /// Prints the proof with a new checkpoint, in the format of c2sp.org/tlog-proof.
    Prove(prove::Args),
    /// Prove that the log has only grown since an older checkpoint
    ///
    /// Prints the proof with the newer checkpoint, in the format for a witness (c2sp.org/tlog-witness).
    Consistency(consistency::Args),
    /// Check checkpoints and proofs, without a ledger
    ///
    /// Pass a proof of an event together with the record of the event (a line of `export`, or the output of `event
    /// EVT`), and a proof of consistency together with the older checkpoint. Every record in a file is checked and
    /// needs a proof. Fields that no proof covers are listed. Exit status: 1 if something does not hold, 2 if a file
    /// is missing that another one needs.
    Check(check::Args),
}

/// Public key, for the commands that check signatures.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct KeyArgs {
    /// Public key of the log, as printed by `log keygen`: NAME+HASH+KEY
    #[arg(long, value_name = "KEY", env = "SUBLEDGER_VERIFIER_KEY")]
    key: Option<VerifierKey>,
}

impl KeyArgs {
    /// Returns the key, which must be set.
    fn required(&self) -> anyhow::Result<&VerifierKey> {
        self.key.as_ref().ok_or_else(|| {
            Failure::usage(
                "no key to check the checkpoints with",
                "set --key or SUBLEDGER_VERIFIER_KEY to the public key that `subledger log keygen` printed",
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

/// Reads a text file.
fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).map_err(|error| {
        Failure::usage(
            format!("cannot read {}: {error}", path.display()),
            "pass readable text files",
        )
    })
}

/// Error of a file whose content does not hold.
fn does_not_hold(path: &Path, why: &dyn std::fmt::Display) -> anyhow::Error {
    Failure::no(
        format!("{} does not hold: {why}", path.display()),
        "the file was edited, or belongs to another log or another key",
    )
}
