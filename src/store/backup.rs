//! Backup of a log in a file, while it is in use.
//!
//! The copy is made under a temporary name beside its own, synced and then renamed, so that a file with the name of a
//! backup is a whole one.

use std::fs::File;
use std::path::Path;

use sqlx::Connection as _;
use tempfile::NamedTempFile;

use super::StoreError;
use super::db::Session;
use super::log::Log;

/// End of the temporary name.
const PARTIAL: &str = ".partial";

impl Log {
    /// Copies the log as it is now into a new file. Where that fails, or whoever asked stops waiting, no file is left.
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
        // It wrote nothing to the log.
        let _ = connection.close().await;
        let written = keep(copy, to);
        written.map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => StoreError::FileExists { path: to.to_owned() },
            _ => cannot(to, "it cannot be written", Some(error.into())),
        })
    }
}

/// An empty file beside the backup, which goes unless it is kept.
fn temporary(to: &Path) -> Result<NamedTempFile, StoreError> {
    let name = to.file_name().ok_or_else(|| cannot(to, "it names no file", None))?;
    let mut prefix = name.to_owned();
    prefix.push(".");
    // Only its owner can read it: it holds what the log holds.
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

/// Gives the copy its name once all of it is on the disk; the name is then there, too.
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
        /// Into a file that is empty.
        BACKUP = sqlite "VACUUM INTO $1";
    }
}
