//! Setting of the memory of a rebuild.

use clap::Args;

use crate::projector::MemoryLimit;

/// Setting of commands that rebuild.
#[derive(Args, Clone, Copy, Debug)]
pub struct MemorySettings {
    /// Limit on the memory of a rebuild, in bytes, or as 512MiB or 2GiB. The rest is kept in a temporary file
    #[arg(
        long,
        value_name = "SIZE",
        env = "SUBLEDGER_MEMORY",
        default_value_t = MemoryLimit::DEFAULT
    )]
    pub memory: MemoryLimit,
}
