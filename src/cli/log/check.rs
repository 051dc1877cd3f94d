//! `log check`: checks checkpoints and proofs against the public key and each other, without a ledger.

use std::io::Write as _;
use std::path::PathBuf;

use super::super::output::stdout;
use super::super::report::Exit;
use super::proof_files::ProofFiles;
use super::{KeyArgs, read};
use crate::visible::visible;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Files with checkpoints, proofs and records of events, in any order
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    key: KeyArgs,
}

pub(super) fn run(args: Args) -> anyhow::Result<Exit> {
    let mut files = ProofFiles::new(args.key.required()?);
    for path in args.files {
        files.add(&read(&path)?, path)?;
    }
    let mut out = stdout();
    for line in files.check()? {
        writeln!(out, "{}", visible(&line))?;
    }
    out.flush()?;
    Ok(Exit::Done)
}
