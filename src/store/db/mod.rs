//! The two databases behind one: connections, statements and rows of either.
//!
//! What a verb of the store does is the same in both, so each verb stands once. Where they say it
//! differently, a [`Statement`] has two texts.

mod bulk;
mod database;
mod link;
mod look;
mod migrate;
mod pool;
mod postgres;
pub(super) mod private;
mod readers;
mod rewrite;
mod session;
mod sqlite;
mod statement;
mod writer;

pub(super) use bulk::{Cells, Column, bind_instant, with_rows};
pub(super) use database::{Database, Reader, sql};
pub(super) use look::look;
#[cfg(test)]
pub(super) use look::sql::CATALOGUE as LOOK_CATALOGUE;
pub(super) use migrate::{known, migrate, migrations, scripts};
pub(super) use postgres::{POSTGRES_LOG_SCHEMA, POSTGRES_READ_SCHEMA};
pub use rewrite::Rewritten;
pub(super) use session::{Query, Row, Session};
pub(super) use sqlite::{connect, options, readers};
pub(super) use statement::{Statement, Text, statements};
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
