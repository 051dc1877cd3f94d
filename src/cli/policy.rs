//! `policy`: rules that decide who has access.

use std::io::Write as _;

use super::Context;
use super::output::stdout;
use super::report::Exit;

#[derive(clap::Args, Clone, Copy, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, Debug, clap::Subcommand)]
enum Command {
    /// Print the policy: the file of `--policy`, or the built-in policy with its comments
    ///
    /// Checks the file first. Comments at the start list the keys that the file leaves out, with their built-in
    /// values. The output is a policy file: `subledger policy show > policy.toml` creates one to edit.
    Show,
}

pub(super) fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let Command::Show = args.command;
    let mut out = stdout();
    out.write_all(context.settings.policy_text()?.as_bytes())?;
    out.flush()?;
    Ok(Exit::Done)
}
