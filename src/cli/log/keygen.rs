//! `log keygen`: generates a signing key, writes it to a file, and prints the public key.

use std::io::{self, Write as _};
use std::path::PathBuf;

use super::super::output::stdout;
use super::super::private_file;
use super::super::report::{Exit, Failure, print_message};
use crate::proof::SigningKey;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Unique name of the log, such as example.com/ledger [default: random]
    #[arg(long, value_name = "ORIGIN")]
    name: Option<String>,

    /// File for the secret key, readable by its owner only. It must not exist
    #[arg(long, value_name = "FILE", default_value = "subledger.key")]
    out: PathBuf,
}

pub(super) fn run(args: Args) -> anyhow::Result<Exit> {
    let name = match args.name {
        Some(name) => name,
        None => format!("subledger/{}", hex::encode(random::<8>()?)),
    };
    let key = SigningKey::new(&name, &random()?).map_err(|error| {
        Failure::usage(error.to_string(), "for example --name example.com/ledger")
    })?;
    let cannot = |error: io::Error| {
        let message = format!("cannot write {}: {error}", args.out.display());
        Failure::usage(message, "choose a file that does not exist with --out")
    };
    let mut file = private_file::create(&args.out).map_err(cannot)?;
    writeln!(file, "{}", key.to_secret_text()).map_err(cannot)?;
    file.sync_all().map_err(cannot)?;
    print_message(&format!(
        "the signing key is in {}. Public key, for checking:",
        args.out.display()
    ));
    let mut out = stdout();
    writeln!(out, "{}", key.verifier())?;
    out.flush()?;
    Ok(Exit::Done)
}

fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(io::Error::from)?;
    Ok(bytes)
}
