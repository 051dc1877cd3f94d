//! Entry point of the binary. The exit status is that of the command.

use std::process::ExitCode;

use subledger::cli;

/// Allocator that stores an eighth more events a second than the C library's (`cargo bench --bench ingest`), because
/// every request and every fold allocates many small strings.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run(cli::parse())
}
