//! Where connections come from: one that writes and some that read, or a pool.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{PgPool, Postgres, Transaction};
use tokio::sync::{Mutex, MutexGuard};

use super::readers::{Lent, Readers};
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
    Sqlite { writer: Mutex<Writer>, readers: Readers },
    /// Any connection does.
    Postgres(PgPool),
    /// There is none, or none that can be opened: the path and why.
    Absent(Option<(PathBuf, String)>),
}

/// A connection that reads.
#[derive(Debug)]
pub(in crate::store) enum Reader {
    Sqlite(Lent),
    Postgres(PoolConnection<Postgres>),
    PostgresSnapshot(Transaction<'static, Postgres>),
}

/// A transaction that writes, or a connection for one statement, which is a transaction by itself. Dropped
/// before it is committed, it is rolled back.
#[derive(Debug)]
pub(in crate::store) enum Write<'d> {
    Sqlite { writer: MutexGuard<'d, Writer>, connection: SqliteConnection, begun: bool },
    Postgres(Transaction<'static, Postgres>),
    PostgresStatement(PoolConnection<Postgres>),
}

impl Database {
    pub(in crate::store) fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite { .. } | Self::Absent(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Error of a read model that is not there.
    pub(in crate::store) fn absent(why: Option<&(PathBuf, String)>) -> StoreError {
        match why {
            None => StoreError::ReadModelBuilding,
            Some((path, reason)) => {
                StoreError::CannotOpen { path: path.clone(), reason: reason.clone(), source: None }
            }
        }
    }

    /// A connection for one statement.
    pub(in crate::store) async fn read(&self) -> Result<Reader, StoreError> {
        Ok(match self {
            Self::Sqlite { readers, .. } => Reader::Sqlite(readers.acquire().await?),
            Self::Postgres(pool) => Reader::Postgres(pool.acquire().await?),
            Self::Absent(why) => return Err(Self::absent(why.as_ref())),
        })
    }

    /// A connection to which everything looks as it did at one moment, for several statements.
    pub(in crate::store) async fn snapshot(&self) -> Result<Reader, StoreError> {
        Ok(match self {
            Self::Sqlite { readers, .. } => {
                let mut lent = readers.acquire().await?;
                lent.begin().await?;
                Reader::Sqlite(lent)
            }
            Self::Postgres(pool) => {
                Reader::PostgresSnapshot(begin_to_the_end(pool, sql::SNAPSHOT).await?)
            }
            Self::Absent(why) => return Err(Self::absent(why.as_ref())),
        })
    }

    /// Begins a transaction that writes.
    pub(in crate::store) async fn write(&self) -> Result<Write<'_>, StoreError> {
        self.begin(sql::BEGIN).await
    }

    /// A connection of its own that reads a file as the others do: for a statement that takes long.
    pub(in crate::store) async fn own_reader(
        &self,
        path: &Path,
    ) -> Result<SqliteConnection, StoreError> {
        match self {
            Self::Sqlite { readers, .. } => readers.connect(path).await,
            Self::Postgres(_) | Self::Absent(_) => Err(StoreError::NotAFile),
        }
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
            Self::Absent(why) => return Err(Self::absent(why.as_ref())),
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
            Self::Postgres(pool) => Write::Postgres(begin_to_the_end(pool, begin).await?),
            Self::Absent(why) => return Err(Self::absent(why.as_ref())),
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
            Self::Absent(_) => {}
        }
    }
}

impl Reader {
    pub(in crate::store) fn session(&mut self) -> Session<'_> {
        match self {
            Self::Sqlite(lent) => lent.session(),
            Self::Postgres(connection) => Session::Postgres(connection),
            Self::PostgresSnapshot(transaction) => Session::Postgres(transaction),
        }
    }

    /// Gives the connection back at once.
    pub(in crate::store) async fn end(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(lent) => lent.end().await?,
            Self::Postgres(_) => {}
            Self::PostgresSnapshot(transaction) => transaction.commit().await?,
        }
        Ok(())
    }
}

impl Write<'_> {
    pub(in crate::store) fn session(&mut self) -> Session<'_> {
        match self {
            Self::Sqlite { connection, .. } => Session::Sqlite(connection),
            Self::Postgres(transaction) => Session::Postgres(transaction),
            Self::PostgresStatement(connection) => Session::Postgres(connection),
        }
    }

    /// Makes what was written last.
    pub(in crate::store) async fn commit(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite { mut writer, mut connection, begun } => {
                if begun {
                    Session::Sqlite(&mut connection).run(sql::COMMIT).await?;
                }
                writer.put_back(connection);
            }
            Self::Postgres(transaction) => transaction.commit().await?,
            Self::PostgresStatement(_) => {}
        }
        Ok(())
    }

    /// Takes back what was written; the connection stays in use.
    pub(in crate::store) async fn rollback(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite { mut writer, mut connection, .. } => {
                Session::Sqlite(&mut connection).run(sql::ROLLBACK).await?;
                writer.put_back(connection);
            }
            Self::Postgres(transaction) => transaction.rollback().await?,
            Self::PostgresStatement(_) => {}
        }
        Ok(())
    }
}

/// Begins a transaction on a task of its own, which ends whether or not somebody still waits: a connection that
/// was given up while it began would go back into the pool inside a transaction of which nobody knows, and
/// the next one's writes would never be committed.
async fn begin_to_the_end(
    pool: &PgPool,
    begin: Statement,
) -> Result<Transaction<'static, Postgres>, StoreError> {
    let pool = pool.clone();
    let begun = tokio::spawn(async move { pool.begin_with(begin.postgres).await });
    Ok(begun.await.map_err(|error| StoreError::Internal(error.into()))??)
}

/// How long a connection may have been silent before it is asked whether it still answers: it costs a trip,
/// and no server is away and back within so little.
pub(super) const TRUSTED: Duration = Duration::from_millis(20);
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
