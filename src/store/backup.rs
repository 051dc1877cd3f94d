//! Backup of a log in a file, while it is in use.
//!
//! The copy is written under a temporary name in the same directory, synced and then renamed, so that a file with the
//! name of the backup is always complete.

use std::fs::File;
use std::path::Path;

use sqlx::Connection as _;
use tempfile::NamedTempFile;

use super::db::Session;
use super::error::StoreError;
use super::log::Log;

/// Suffix of the temporary name.
const PARTIAL: &str = ".partial";

impl Log {
    /// Copies the current log into a new file. No file is left if this fails or is cancelled.
    #[tracing::instrument(skip_all)]
    pub async fn backup(&self, to: &Path) -> Result<(), StoreError> {
        let from = self.path().ok_or(StoreError::NotAFile)?;
        if to.symlink_metadata().is_ok() {
            return Err(StoreError::FileExists { path: to.to_owned() });
        }
        let copy = temporary(to)?;
        let name = copy.path().to_str().ok_or_else(|| cannot(to, "its name is not UTF-8", None))?;
        if name.starts_with("file:") {
            return Err(cannot(to, "its name must not start with `file:`", None));
        }
        let mut connection = self.0.db.dedicated_reader(from).await?;
        let mut session = Session::Sqlite(&mut connection);
        let copied = session.query(sql::BACKUP).bind(name).execute().await;
        copied.map_err(|error| match error {
            StoreError::Unavailable(source) | StoreError::CannotGrow(source) => {
                cannot(to, "it cannot be written", Some(source))
            }
            other => other,
        })?;
        // This connection wrote nothing to the log.
        let _ = connection.close().await;
        let written = keep(copy, to);
        written.map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => StoreError::FileExists { path: to.to_owned() },
            _ => cannot(to, "it cannot be written", Some(error.into())),
        })
    }
}

/// Creates an empty file in the directory of the backup. It is deleted unless it is persisted.
fn temporary(to: &Path) -> Result<NamedTempFile, StoreError> {
    let name = to.file_name().ok_or_else(|| cannot(to, "it names no file", None))?;
    let mut prefix = name.to_owned();
    prefix.push(".");
    // Only its owner can read it, as the log itself.
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(PARTIAL);
    builder.tempfile_in(directory(to)).map_err(|error| {
        let reason = if directory(to).is_dir() {
            "it cannot be written".to_owned()
        } else {
            format!("the directory {} does not exist", directory(to).display())
        };
        cannot(to, &reason, Some(error.into()))
    })
}

/// Syncs the copy, renames it, and syncs the directory.
fn keep(copy: NamedTempFile, to: &Path) -> std::io::Result<()> {
    copy.as_file().sync_all()?;
    copy.persist_noclobber(to)?;
    #[cfg(unix)]
    File::open(directory(to))?.sync_all()?;
    Ok(())
}

fn directory(of: &Path) -> &Path {
    of.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn cannot(to: &Path, reason: &str, source: Option<super::error::Source>) -> StoreError {
    StoreError::CannotOpen { path: to.to_owned(), reason: reason.to_owned(), source }
}

pub(in crate::store) mod sql {
    crate::store::db::statements! {
        /// Copies into an empty file.
        BACKUP = sqlite "VACUUM INTO $1";
    }
}
