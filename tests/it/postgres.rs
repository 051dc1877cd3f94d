//! What must hold with PostgreSQL as it does with SQLite: the same tests, on a server of their own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(dead_code, reason = "some of what the tests share is for files alone")]

/// What is for files of SQLite alone.
macro_rules! sqlite_only {
    ($($item:item)*) => {};
}
use sqlite_only;

/// What needs no database, and so runs with one of them.
macro_rules! run_once {
    ($($item:item)*) => {};
}
use run_once;

mod app;
mod audit;
mod cluster;
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
mod raw_postgres;
mod readme;
mod rebuild;
mod shared;
mod stalls;
mod store;
mod upgrade;
mod user;

use std::path::Path;

use raw_postgres as raw;
use subledger::store::DatabaseUrl;

/// The address of the database that belongs to a folder, for a command that runs there.
#[expect(clippy::unnecessary_wraps, reason = "a file is found without one")]
fn address(folder: &Path) -> Option<String> {
    Some(cluster::address(folder))
}

/// The database that belongs to a folder.
fn database(folder: &Path) -> DatabaseUrl {
    DatabaseUrl::parse(&cluster::address(folder)).unwrap()
}
