//! Everything that needs more than one room of the crate: one binary, one module a behaviour.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

/// What is for files of SQLite alone.
macro_rules! sqlite_only {
    ($($item:item)*) => { $($item)* };
}
use sqlite_only;

/// What needs no database, and so runs with one of them.
macro_rules! run_once {
    ($($item:item)*) => { $($item)* };
}
use run_once;

mod allocations;
mod app;
mod audit;
mod corpus;
mod damage;
mod diff;
mod explain;
mod export;
mod field;
mod fold;
mod generations;
mod history;
mod ingest;
mod ledger;
mod order;
mod parking;
mod policy;
mod proof;
mod raw_sqlite;
mod readme;
mod rebuild;
mod stalls;
mod store;
mod upgrade;
mod user;

use std::path::Path;

use raw_sqlite as raw;
use subledger::store::DatabaseUrl;

/// The address that a command needs beside the folder it runs in: none, a file there is found by itself.
fn address(_: &Path) -> Option<String> {
    None
}

/// The database that belongs to a folder.
fn database(folder: &Path) -> DatabaseUrl {
    DatabaseUrl::from_path(folder.join("subledger.db"))
}
