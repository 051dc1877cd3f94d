//! Common interface of SQLite and PostgreSQL: connections, statements and rows.
//!
//! Each operation of the store is written once for both databases. A [`Statement`] has two texts where their SQL
//! differs.

mod bulk;
mod database;
mod migrate;
mod pool;
mod postgres;
mod postgres_connection;
pub(super) mod private;
mod read_only;
mod readers;
mod rewrite;
mod row;
mod session;
pub(super) mod sql;
mod sqlite;
pub(super) mod statement;
mod timeouts;
mod writer;

pub(super) use bulk::{RowBinder, bind_instant};
pub(super) use database::{Database, Reader};
pub(super) use migrate::{latest_version, migrate, migration_count, scripts};
pub(super) use postgres::{POSTGRES_LOG_SCHEMA, POSTGRES_READ_SCHEMA};
pub(super) use read_only::read_only_readers;
pub(super) use readers::ReaderPool;
pub use rewrite::RewriteOutcome;
pub(super) use row::{Row, to_hash};
pub(super) use session::{Query, Session};
pub(super) use sqlite::{connect, options};
pub(super) use statement::{BindType, Dialect, Statement, statements, with_rows};
pub(super) use writer::Writer;
#[cfg(test)]
pub(super) use {
    migrate::sql::CATALOGUE as MIGRATE_CATALOGUE, read_only::sql::CATALOGUE as READ_ONLY_CATALOGUE,
    rewrite::sql::CATALOGUE as REWRITE_CATALOGUE,
};
