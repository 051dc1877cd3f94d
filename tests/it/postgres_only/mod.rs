//! Ledgers on a PostgreSQL server that processes share, that is reached through a network, and that stops and
//! starts.

mod erased;
mod faults;
mod inspected;
mod moving;
mod pooler;
mod processes;
pub(crate) mod proxy;
mod refusals;
mod roles;
mod stalled;
mod ways;
