//! The binary: parses, dispatches, and turns the outcome into an exit status.

use std::process::ExitCode;

use clap::Parser as _;
use subledger::cli::{self, Cli};

fn main() -> ExitCode {
    // Clap ends the process with status 2 on wrong use, and with 0 after --help.
    cli::run(Cli::parse())
}
