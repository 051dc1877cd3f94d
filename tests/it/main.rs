//! Tests of the public interface: the library, the commands and HTTP. One binary; a module is a behaviour.
//!
//! The variable `SUBLEDGER_TEST_DATABASE` chooses the database: `sqlite`, which is the default, or `postgres`.
//! `tests/run.sh` runs every test with SQLite, and then with PostgreSQL those in none of these modules:
//!
//! - `run_once`: tests that need no database, or whose outcome does not depend on which it is
//! - `sqlite_only`: tests of SQLite's files
//! - `postgres_only`: tests of a server that processes share; they always use PostgreSQL

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod app;
mod audit;
mod backfill;
mod cluster;
mod corpus;
mod damage;
mod database_outage;
mod diff;
mod explain;
mod export;
mod field;
mod generations;
mod history;
mod ingest;
mod ledger;
mod order;
mod parking;
mod policy;
mod postgres_only;
mod proof;
mod raw;
mod read_models;
mod readme;
mod rebuild;
mod reconcile;
mod run_once {
    mod allocations;
    pub(crate) mod fold;
    mod footprint;
}
mod stalls;
mod store;
mod stripe_api {
    mod fake;
    mod run_once;
}
mod sync;
mod upgrade;
mod user;

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use subledger::store::DatabaseUrl;
use tempfile::TempDir;

/// Beginning of the name of a folder whose database is always one of PostgreSQL's.
const ON_POSTGRES: &str = "postgres-";

/// True if tests that run on either database run on PostgreSQL.
fn is_on_postgres() -> bool {
    static IS_ON_POSTGRES: LazyLock<bool> =
        LazyLock::new(|| match std::env::var("SUBLEDGER_TEST_DATABASE").as_deref() {
            Ok("postgres") => true,
            Ok("sqlite") | Err(_) => false,
            Ok(other) => panic!("SUBLEDGER_TEST_DATABASE is sqlite or postgres, and not {other}"),
        });
    *IS_ON_POSTGRES
}

/// New HTTP client, whose time limit only ends a test that hangs.
fn client() -> reqwest::Client {
    subledger::http_client::builder().timeout(Duration::from_mins(1)).build().unwrap()
}

/// New folder whose database is one of PostgreSQL's.
fn folder_on_postgres() -> TempDir {
    tempfile::Builder::new().prefix(ON_POSTGRES).tempdir().unwrap()
}

/// Address that a command needs in its folder: none with SQLite, which finds the file by itself.
fn address(folder: &Path) -> Option<String> {
    let is_marked = || folder.file_name().unwrap().to_str().unwrap().starts_with(ON_POSTGRES);
    (is_on_postgres() || is_marked()).then(|| cluster::address(folder))
}

/// Database of a folder.
fn database(folder: &Path) -> DatabaseUrl {
    match address(folder) {
        Some(address) => DatabaseUrl::parse(&address).unwrap(),
        None => DatabaseUrl::from_path(folder.join("subledger.db")),
    }
}
