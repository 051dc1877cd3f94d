//! Write connection of a SQLite file.

use std::path::{Path, PathBuf};

use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use super::sqlite::{self, FileIdentity};
use crate::store::error::StoreError;

/// Write connection of a file. None if its last use failed.
///
/// An operation takes the connection, and puts it back when it succeeds. If it fails or is cancelled, the connection is
/// dropped, which rolls back, and the next operation opens another one.
#[derive(Debug)]
pub(in crate::store) struct Writer {
    connection: Option<SqliteConnection>,
    options: SqliteConnectOptions,
    path: PathBuf,
    file: FileIdentity,
}

impl Writer {
    /// Creates a writer with an open connection that was opened with these options.
    pub(in crate::store) fn new(
        connection: SqliteConnection,
        options: SqliteConnectOptions,
    ) -> Result<Self, StoreError> {
        Ok(Self { connection: Some(connection), ..Self::for_existing_file(options)? })
    }

    /// Creates a writer of an existing file. It connects on first use.
    pub(in crate::store) fn for_existing_file(
        options: SqliteConnectOptions,
    ) -> Result<Self, StoreError> {
        let path = options.get_filename().to_owned();
        let file = FileIdentity::for_path(&path).ok_or_else(StoreError::file_gone)?;
        let options = options.create_if_missing(false);
        Ok(Self { connection: None, options, path, file })
    }

    /// Takes the connection. Refused if the file was moved, replaced or deleted, because writes would be lost.
    pub(in crate::store) async fn take(&mut self) -> Result<SqliteConnection, StoreError> {
        if FileIdentity::for_path(&self.path) != Some(self.file) {
            self.connection = None;
            return Err(StoreError::file_gone());
        }
        if let Some(connection) = self.connection.take() {
            return Ok(connection);
        }
        sqlite::connect(&self.path, self.options.clone()).await.map_err(|error| match error {
            StoreError::CannotOpen { source: Some(source), .. } => StoreError::Unavailable(source),
            other => other,
        })
    }

    /// True if the path still leads to the same file.
    pub(in crate::store) fn is_same_file(&self) -> bool {
        FileIdentity::for_path(&self.path) == Some(self.file)
    }

    /// Opens the file that is at the path now, or creates it.
    pub(in crate::store) async fn reopen(
        &mut self,
        options: SqliteConnectOptions,
    ) -> Result<(), StoreError> {
        self.close().await;
        let connection = sqlite::connect(&self.path, options.clone()).await?;
        *self = Self::new(connection, options)?;
        Ok(())
    }

    pub(in crate::store) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the connection after an operation that succeeded.
    pub(in crate::store) fn put_back(&mut self, connection: SqliteConnection) {
        self.connection = Some(connection);
    }

    pub(in crate::store) async fn close(&mut self) {
        if let Some(connection) = self.connection.take() {
            // A failed close loses nothing that was committed.
            let _ = connection.close().await;
        }
    }
}
