//! Database handle: a writer and a reader pool of a SQLite file, or a pool of connections to PostgreSQL.

use std::path::{Path, PathBuf};

use sqlx::sqlite::SqliteConnection;
use tokio::sync::{Mutex, MutexGuard};

use super::pool::{Pool, PooledConnection};
use super::readers::{PooledReader, ReaderPool};
use super::session::Session;
use super::sql;
use super::statement::{Dialect, IntoSql, Statement};
use super::writer::Writer;
use crate::store::error::StoreError;
use crate::store::url::Server;

/// Database: a SQLite file, or a schema of a PostgreSQL database.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "there are two in a process, and they stay where they are"
)]
pub(in crate::store) enum Database {
    /// SQLite file. One connection writes, so that no transaction waits for another; the others read.
    Sqlite { writer: Mutex<Writer>, readers: ReaderPool },
    /// PostgreSQL schema. Any connection reads and writes.
    Postgres(Pool),
    /// Missing database. Path and reason if there is a file that cannot be opened.
    Absent(Option<(PathBuf, String)>),
}

/// Connection for reading.
#[derive(Debug)]
pub(in crate::store) enum Reader {
    Sqlite(PooledReader),
    Postgres(PooledConnection),
}

/// Write transaction, or a connection for a single statement, which is a transaction by itself. It is rolled back if it
/// is dropped before it is committed.
#[derive(Debug)]
pub(in crate::store) enum WriteTransaction<'d> {
    Sqlite { writer: MutexGuard<'d, Writer>, connection: SqliteConnection, is_in_transaction: bool },
    Postgres { pooled: PooledConnection, is_in_transaction: bool },
}

impl Database {
    /// Creates the handle of a PostgreSQL schema. The first connection is opened on demand.
    pub(in crate::store) fn for_server(
        server: &Server,
        schema: &'static str,
    ) -> Result<Self, StoreError> {
        Ok(Self::Postgres(Pool::new(server, schema)?))
    }

    /// Creates the handle of a PostgreSQL schema, and checks that the server can be used through this address.
    pub(in crate::store) async fn connect_server(
        server: &Server,
        schema: &'static str,
    ) -> Result<Self, StoreError> {
        let pool = Pool::new(server, schema)?;
        pool.check().await.map_err(|error| error.into_unreachable(server))?;
        Ok(Self::Postgres(pool))
    }

    pub(in crate::store) fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite { .. } | Self::Absent(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Error of a missing read model.
    pub(in crate::store) fn absent_error(why: Option<&(PathBuf, String)>) -> StoreError {
        match why {
            None => StoreError::ReadModelBuilding,
            Some((path, reason)) => {
                StoreError::CannotOpen { path: path.clone(), reason: reason.clone(), source: None }
            }
        }
    }

    /// Acquires a connection for a single read.
    pub(in crate::store) async fn read(&self) -> Result<Reader, StoreError> {
        Ok(match self {
            Self::Sqlite { readers, .. } => Reader::Sqlite(readers.acquire().await?),
            Self::Postgres(pool) => Reader::Postgres(pool.acquire().await?),
            Self::Absent(why) => return Err(Self::absent_error(why.as_ref())),
        })
    }

    /// Begins a read transaction: all of its statements see the database at one moment.
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

    /// Begins a write transaction.
    pub(in crate::store) async fn write(&self) -> Result<WriteTransaction<'_>, StoreError> {
        self.begin(sql::BEGIN).await
    }

    /// Opens a separate connection to a file, for a long read.
    pub(in crate::store) async fn dedicated_reader(
        &self,
        path: &Path,
    ) -> Result<SqliteConnection, StoreError> {
        match self {
            Self::Sqlite { readers, .. } => readers.connect(path).await,
            Self::Postgres(_) | Self::Absent(_) => Err(StoreError::NotAFile),
        }
    }

    /// Acquires a connection for a single write statement.
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

    /// Begins a write transaction with this statement.
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

    /// Runs statements of SQLite on the writer, outside of a transaction. Does nothing for PostgreSQL.
    pub(in crate::store) async fn run_on_writer(
        &self,
        text: impl IntoSql,
    ) -> Result<(), StoreError> {
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

    /// Ends the read transaction, and returns the connection to its pool.
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

    /// Commits the transaction.
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

    /// Rolls back the transaction and closes the connection.
    pub(in crate::store) fn discard(self) {
        if let Self::Postgres { mut pooled, .. } = self {
            pooled.connection_mut().discard();
        }
    }

    /// Rolls back the transaction, and returns the connection.
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
