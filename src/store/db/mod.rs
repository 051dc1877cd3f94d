//! The two databases behind one: connections, statements and rows of either.
//!
//! What a verb of the store does is the same in both, so each verb stands once. Where they say it
//! differently, a [`Statement`] has two texts.

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
mod session;
mod sqlite;
mod statement;
mod writer;

pub(super) use bulk::{BindType, RowBinder, bind_instant, with_rows};
pub(super) use database::{Database, Reader, sql};
pub(super) use migrate::{latest_version, migrate, migration_count, scripts};
pub(super) use postgres::{POSTGRES_LOG_SCHEMA, POSTGRES_READ_SCHEMA};
pub(super) use read_only::read_only_readers;
#[cfg(test)]
pub(super) use read_only::sql::CATALOGUE as READ_ONLY_CATALOGUE;
pub use rewrite::RewriteOutcome;
pub(super) use session::{Query, Row, Session};
pub(super) use sqlite::{connect, options, reader_pool};
pub(super) use statement::{IntoSql, Statement, statements};
pub(super) use writer::Writer;
#[cfg(test)]
pub(super) use {
    migrate::sql::CATALOGUE as MIGRATE_CATALOGUE, rewrite::sql::CATALOGUE as REWRITE_CATALOGUE,
};

/// Which of the two a text is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Sqlite,
    Postgres,
}
