//! The one connection of a file that writes.

use std::path::{Path, PathBuf};

use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use super::sqlite::{self, FileIdentity};
use crate::store::StoreError;

/// The connection that writes, or none where the last use of it did not end well.
///
/// A verb takes it out and puts it back when everything went well. Where it fails, or whoever asked
/// stops waiting, the connection is dropped instead: that rolls back, and the next verb opens
/// another.
#[derive(Debug)]
pub(in crate::store) struct Writer {
    connection: Option<SqliteConnection>,
    options: SqliteConnectOptions,
    path: PathBuf,
    file: FileIdentity,
}

impl Writer {
    /// A writer whose first connection is this one, made with these options.
    pub(in crate::store) fn new(
        connection: SqliteConnection,
        options: SqliteConnectOptions,
    ) -> Result<Self, StoreError> {
        Ok(Self { connection: Some(connection), ..Self::for_existing_file(options)? })
    }

    /// A writer of a file that is there; it connects when it is first used.
    pub(in crate::store) fn for_existing_file(
        options: SqliteConnectOptions,
    ) -> Result<Self, StoreError> {
        let path = options.get_filename().to_owned();
        let file = FileIdentity::for_path(&path).ok_or_else(StoreError::file_gone)?;
        let options = options.create_if_missing(false);
        Ok(Self { connection: None, options, path, file })
    }

    /// The connection. A file that is no longer where it was takes nothing: it would be lost.
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

    /// True if the file is where it was.
    pub(in crate::store) fn is_same_file(&self) -> bool {
        FileIdentity::for_path(&self.path) == Some(self.file)
    }

    /// Opens the file that is there now, or makes it.
    pub(in crate::store) async fn reopen(
        &mut self,
        options: SqliteConnectOptions,
    ) -> Result<(), StoreError> {
        self.close().await;
        let connection = sqlite::connect(&self.path, options.clone()).await?;
        *self = Self::new(connection, options)?;
        Ok(())
    }

    /// The file.
    pub(in crate::store) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the connection back after a verb that went well.
    pub(in crate::store) fn put_back(&mut self, connection: SqliteConnection) {
        self.connection = Some(connection);
    }

    pub(in crate::store) async fn close(&mut self) {
        if let Some(connection) = self.connection.take() {
            // What was committed is on the disk; a connection that closes badly loses nothing.
            let _ = connection.close().await;
        }
    }
}
