//! Where connections come from: one that writes and some that read, or a pool.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::SqliteConnection;
use tokio::sync::{Mutex, MutexGuard};

use super::pool::{Pool, PooledConnection};
use super::readers::{PooledReader, ReaderPool};
use super::writer::Writer;
use super::{Dialect, IntoSql, Session, Statement};
use crate::store::{Server, StoreError};

/// A database: a file of SQLite's, or a schema of PostgreSQL's.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "there are two in a process, and they stay where they are"
)]
pub(in crate::store) enum Database {
    /// One connection writes, so that nobody waits inside a transaction; others read beside it.
    Sqlite { writer: Mutex<Writer>, readers: ReaderPool },
    /// Any connection does.
    Postgres(Pool),
    /// There is none, or none that can be opened: the path and why.
    Absent(Option<(PathBuf, String)>),
}

/// A connection that reads.
#[derive(Debug)]
pub(in crate::store) enum Reader {
    Sqlite(PooledReader),
    Postgres(PooledConnection),
}

/// A transaction that writes, or a connection for one statement, which is a transaction by itself. Dropped
/// before it is committed, it is rolled back.
#[derive(Debug)]
pub(in crate::store) enum WriteTransaction<'d> {
    Sqlite { writer: MutexGuard<'d, Writer>, connection: SqliteConnection, is_in_transaction: bool },
    Postgres { pooled: PooledConnection, is_in_transaction: bool },
}

impl Database {
    /// A schema of a server's database. The first connection is made when it is needed.
    pub(in crate::store) fn for_server(
        server: &Server,
        schema: &'static str,
    ) -> Result<Self, StoreError> {
        Ok(Self::Postgres(Pool::new(server, schema)?))
    }

    /// Checks that a server can be used as it is reached: a failure says why not.
    pub(in crate::store) async fn check(&self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite { .. } | Self::Absent(_) => Ok(()),
            Self::Postgres(pool) => pool.check().await,
        }
    }

    pub(in crate::store) fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite { .. } | Self::Absent(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Error of a read model that is not there.
    pub(in crate::store) fn absent_error(why: Option<&(PathBuf, String)>) -> StoreError {
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
            Self::Absent(why) => return Err(Self::absent_error(why.as_ref())),
        })
    }

    /// A connection to which everything looks as it did at one moment, for several statements.
    pub(in crate::store) async fn read_transaction(&self) -> Result<Reader, StoreError> {
        Ok(match self {
            Self::Sqlite { readers, .. } => {
                let mut pooled = readers.acquire().await?;
                pooled.begin().await?;
                Reader::Sqlite(pooled)
            }
            Self::Postgres(pool) => {
                let mut pooled = pool.acquire().await?;
                let begin = sql::BEGIN_READ.into_sql(Dialect::Postgres);
                pooled.connection_mut().begin(begin).await?;
                Reader::Postgres(pooled)
            }
            Self::Absent(why) => return Err(Self::absent_error(why.as_ref())),
        })
    }

    /// Begins a transaction that writes.
    pub(in crate::store) async fn write(&self) -> Result<WriteTransaction<'_>, StoreError> {
        self.begin(sql::BEGIN).await
    }

    /// A connection of its own that reads a file as the others do: for a statement that takes long.
    pub(in crate::store) async fn dedicated_reader(
        &self,
        path: &Path,
    ) -> Result<SqliteConnection, StoreError> {
        match self {
            Self::Sqlite { readers, .. } => readers.connect(path).await,
            Self::Postgres(_) | Self::Absent(_) => Err(StoreError::NotAFile),
        }
    }

    /// A connection for one statement that writes.
    pub(in crate::store) async fn write_autocommit(
        &self,
    ) -> Result<WriteTransaction<'_>, StoreError> {
        Ok(match self {
            Self::Sqlite { writer, .. } => {
                let mut writer = writer.lock().await;
                let connection = writer.take().await?;
                WriteTransaction::Sqlite { writer, connection, is_in_transaction: false }
            }
            Self::Postgres(pool) => WriteTransaction::Postgres {
                pooled: pool.acquire().await?,
                is_in_transaction: false,
            },
            Self::Absent(why) => return Err(Self::absent_error(why.as_ref())),
        })
    }

    /// Begins a transaction, with a statement that does.
    pub(in crate::store) async fn begin(
        &self,
        begin: Statement,
    ) -> Result<WriteTransaction<'_>, StoreError> {
        Ok(match self {
            Self::Sqlite { writer, .. } => {
                let mut writer = writer.lock().await;
                let connection = writer.take().await?;
                let mut write =
                    WriteTransaction::Sqlite { writer, connection, is_in_transaction: true };
                write.session().run(begin).await?;
                write
            }
            Self::Postgres(pool) => {
                let mut pooled = pool.acquire().await?;
                pooled.connection_mut().begin(begin.into_sql(Dialect::Postgres)).await?;
                WriteTransaction::Postgres { pooled, is_in_transaction: true }
            }
            Self::Absent(why) => return Err(Self::absent_error(why.as_ref())),
        })
    }

    /// Takes the connection that writes, outside of a transaction, and runs statements that are SQLite's
    /// alone.
    pub(in crate::store) async fn run(&self, text: impl IntoSql) -> Result<(), StoreError> {
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
            Self::Sqlite(pooled) => pooled.session(),
            Self::Postgres(pooled) => Session::Postgres(pooled.connection_mut()),
        }
    }

    /// Gives the connection back at once.
    pub(in crate::store) async fn end(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(pooled) => pooled.end().await?,
            Self::Postgres(mut pooled) => pooled.connection_mut().end().await?,
        }
        Ok(())
    }
}

impl WriteTransaction<'_> {
    pub(in crate::store) fn session(&mut self) -> Session<'_> {
        match self {
            Self::Sqlite { connection, .. } => Session::Sqlite(connection),
            Self::Postgres { pooled, .. } => Session::Postgres(pooled.connection_mut()),
        }
    }

    /// Makes what was written last.
    pub(in crate::store) async fn commit(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite { mut writer, mut connection, is_in_transaction } => {
                if is_in_transaction {
                    Session::Sqlite(&mut connection).run(sql::COMMIT).await?;
                }
                writer.put_back(connection);
            }
            Self::Postgres { mut pooled, is_in_transaction } => {
                if is_in_transaction {
                    pooled.connection_mut().commit().await?;
                }
            }
        }
        Ok(())
    }

    /// Takes back what was written, and closes the connection.
    pub(in crate::store) fn discard(self) {
        if let Self::Postgres { mut pooled, .. } = self {
            pooled.connection_mut().discard();
        }
    }

    /// Takes back what was written; the connection stays in use.
    pub(in crate::store) async fn rollback(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite { mut writer, mut connection, .. } => {
                Session::Sqlite(&mut connection).run(sql::ROLLBACK).await?;
                writer.put_back(connection);
            }
            Self::Postgres { mut pooled, is_in_transaction } => {
                if is_in_transaction {
                    pooled.connection_mut().rollback().await?;
                }
            }
        }
        Ok(())
    }
}

/// How long a connection may have been silent before it is asked whether it still answers: it costs a trip,
/// and no server is away and back within so little.
pub(super) const PING_AFTER_IDLE: Duration = Duration::from_millis(20);
/// How long a read waits for a free connection.
pub(super) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

pub(in crate::store) mod sql {
    crate::store::db::statements! {
        BEGIN = sqlite "BEGIN IMMEDIATE", postgres "BEGIN";
        COMMIT = "COMMIT";
        ROLLBACK = "ROLLBACK";
        BEGIN_READ = sqlite "BEGIN", postgres "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        NO_STATEMENT_TIMEOUT = postgres "SET LOCAL statement_timeout = 0";
    }
}
