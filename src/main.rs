//! The binary: parses, dispatches, and turns the outcome into an exit status.

use std::process::ExitCode;

use clap::Parser as _;
use subledger::cli::{self, Cli};

/// Every request and every fold makes many small pieces of text: this allocator stores an eighth more
/// events a second than the C library's (`cargo bench --bench ingest`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Clap ends the process with status 2 on wrong use, and with 0 after --help.
    cli::run(Cli::parse())
}
