//! Where connections come from: one that writes and some that read, or a pool.

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use sqlx::{PgPool, Postgres, Sqlite, Transaction};
use tokio::sync::{Mutex, MutexGuard};

use super::writer::Writer;
use super::{Dialect, Session, Statement, Text};
use crate::store::StoreError;

/// A database: a file of SQLite's, or a schema of PostgreSQL's.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "there are two in a process, and they stay where they are"
)]
pub(in crate::store) enum Database {
    /// One connection writes, so that nobody waits inside a transaction; others read beside it.
    Sqlite { writer: Mutex<Writer>, readers: SqlitePool },
    /// Any connection does.
    Postgres(PgPool),
}

/// A connection that reads.
#[derive(Debug)]
pub(in crate::store) enum Reader {
    Sqlite(PoolConnection<Sqlite>),
    SqliteSnapshot(Transaction<'static, Sqlite>),
    Postgres(PoolConnection<Postgres>),
    PostgresSnapshot(Open),
}

/// A transaction of PostgreSQL's. Whoever gives it up in the middle, even while it begins, leaves a connection
/// of which nobody knows what it is in: so that is closed, and the server rolls back.
#[derive(Debug)]
pub(in crate::store) struct Open {
    connection: PoolConnection<Postgres>,
    ended: bool,
}

impl Open {
    async fn begin(pool: &PgPool, begin: Statement) -> Result<Self, StoreError> {
        let mut open = Self { connection: pool.acquire().await?, ended: false };
        Session::Postgres(&mut open.connection).run(begin).await?;
        Ok(open)
    }

    async fn end(mut self, how: Statement) -> Result<(), StoreError> {
        Session::Postgres(&mut self.connection).run(how).await?;
        self.ended = true;
        Ok(())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if !self.ended {
            self.connection.close_on_drop();
        }
    }
}

/// A transaction that writes, or a connection for one statement, which is a transaction by itself. Dropped
/// before it is committed, it is rolled back.
#[derive(Debug)]
pub(in crate::store) enum Write<'d> {
    Sqlite { writer: MutexGuard<'d, Writer>, connection: SqliteConnection, begun: bool },
    Postgres(Open),
    PostgresStatement(PoolConnection<Postgres>),
}

impl Database {
    pub(in crate::store) fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite { .. } => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// A connection for one statement.
    pub(in crate::store) async fn read(&self) -> Result<Reader, StoreError> {
        Ok(match self {
            Self::Sqlite { readers, .. } => Reader::Sqlite(readers.acquire().await?),
            Self::Postgres(pool) => Reader::Postgres(pool.acquire().await?),
        })
    }

    /// A connection to which everything looks as it did at one moment, for several statements.
    pub(in crate::store) async fn snapshot(&self) -> Result<Reader, StoreError> {
        Ok(match self {
            Self::Sqlite { readers, .. } => Reader::SqliteSnapshot(readers.begin().await?),
            Self::Postgres(pool) => {
                Reader::PostgresSnapshot(Open::begin(pool, sql::SNAPSHOT).await?)
            }
        })
    }

    /// Begins a transaction that writes.
    pub(in crate::store) async fn write(&self) -> Result<Write<'_>, StoreError> {
        self.begin(sql::BEGIN).await
    }

    /// A connection for one statement that writes.
    pub(in crate::store) async fn write_once(&self) -> Result<Write<'_>, StoreError> {
        Ok(match self {
            Self::Sqlite { writer, .. } => {
                let mut writer = writer.lock().await;
                let connection = writer.take().await?;
                Write::Sqlite { writer, connection, begun: false }
            }
            Self::Postgres(pool) => Write::PostgresStatement(pool.acquire().await?),
        })
    }

    /// Begins a transaction, with a statement that does.
    pub(in crate::store) async fn begin(&self, begin: Statement) -> Result<Write<'_>, StoreError> {
        Ok(match self {
            Self::Sqlite { writer, .. } => {
                let mut writer = writer.lock().await;
                let connection = writer.take().await?;
                let mut write = Write::Sqlite { writer, connection, begun: true };
                write.session().run(begin).await?;
                write
            }
            Self::Postgres(pool) => Write::Postgres(Open::begin(pool, begin).await?),
        })
    }

    /// Takes the connection that writes, outside of a transaction, and runs statements that are SQLite's
    /// alone.
    pub(in crate::store) async fn run(&self, text: impl Text) -> Result<(), StoreError> {
        if let Self::Sqlite { writer, .. } = self {
            let mut writer = writer.lock().await;
            let mut connection = writer.take().await?;
            Session::Sqlite(&mut connection).run(text).await?;
            writer.put_back(connection);
        }
        Ok(())
    }

    pub(in crate::store) async fn close(&self) {
        match self {
            Self::Sqlite { writer, readers } => {
                readers.close().await;
                writer.lock().await.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

impl Reader {
    pub(in crate::store) fn session(&mut self) -> Session<'_> {
        match self {
            Self::Sqlite(connection) => Session::Sqlite(connection),
            Self::SqliteSnapshot(transaction) => Session::Sqlite(transaction),
            Self::Postgres(connection) => Session::Postgres(connection),
            Self::PostgresSnapshot(open) => Session::Postgres(&mut open.connection),
        }
    }

    /// Gives the connection back at once.
    pub(in crate::store) async fn end(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(_) | Self::Postgres(_) => {}
            Self::SqliteSnapshot(transaction) => transaction.commit().await?,
            Self::PostgresSnapshot(open) => open.end(sql::COMMIT).await?,
        }
        Ok(())
    }
}

impl Write<'_> {
    pub(in crate::store) fn session(&mut self) -> Session<'_> {
        match self {
            Self::Sqlite { connection, .. } => Session::Sqlite(connection),
            Self::Postgres(open) => Session::Postgres(&mut open.connection),
            Self::PostgresStatement(connection) => Session::Postgres(connection),
        }
    }

    /// Makes what was written last.
    pub(in crate::store) async fn commit(self) -> Result<(), StoreError> {
        self.end(sql::COMMIT).await
    }

    /// Takes back what was written; the connection stays in use.
    pub(in crate::store) async fn rollback(self) -> Result<(), StoreError> {
        self.end(sql::ROLLBACK).await
    }

    async fn end(self, how: Statement) -> Result<(), StoreError> {
        match self {
            Self::Sqlite { mut writer, mut connection, begun } => {
                if begun {
                    Session::Sqlite(&mut connection).run(how).await?;
                }
                writer.put_back(connection);
            }
            Self::PostgresStatement(_) => {}
            Self::Postgres(open) => open.end(how).await?,
        }
        Ok(())
    }
}

/// How long a read waits for a free connection.
pub(super) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

pub(in crate::store) mod sql {
    crate::store::db::statements! {
        BEGIN = sqlite "BEGIN IMMEDIATE", postgres "BEGIN";
        COMMIT = "COMMIT";
        ROLLBACK = "ROLLBACK";
        SNAPSHOT = sqlite "BEGIN", postgres "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    }
}
