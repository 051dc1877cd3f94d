//! A database that is not a file: shared by processes, reached by a network, kept by a server that stops and
//! starts.

mod erased;
mod faults;
mod inspected;
mod moving;
mod pooler;
mod processes;
mod proxy;
mod refusals;
mod roles;
mod stalled;
mod ways;
