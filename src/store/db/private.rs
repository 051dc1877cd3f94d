//! Creation of files that only their owner can read, independent of the umask.
//!
//! SQLite gives `-wal` and `-shm` the mode of the database file, so that it is enough to create that file before SQLite
//! does. The mode of an existing file stays, because the operator may have set it.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};

/// Creates an empty file with mode 600. False if the file exists.
pub(in crate::store) fn create(path: &Path) -> io::Result<bool> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    match options.open(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Creates the file of a database if it is missing. Ignores errors, because SQLite reports them when it opens the file.
pub(in crate::store) fn create_if_missing(path: &Path) {
    let _ = create(path);
}

/// Returns the files that every user of the machine can read.
pub(in crate::store) fn readable_by_all(paths: impl IntoIterator<Item = PathBuf>) -> Vec<PathBuf> {
    #[cfg(unix)]
    let is_open = |path: &PathBuf| {
        use std::os::unix::fs::PermissionsExt as _;
        path.metadata().is_ok_and(|it| it.permissions().mode() & 0o004 != 0)
    };
    #[cfg(not(unix))]
    let is_open = |_: &PathBuf| false;
    paths.into_iter().filter(is_open).collect()
}
