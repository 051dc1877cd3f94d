//! Files that only their owner can read, whatever the umask says.
//!
//! SQLite gives `-wal` and `-shm` the mode of the file that they belong to. So it is enough to make that file
//! before SQLite does. The mode of a file that is there stays: whoever runs the ledger may have set it.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};

/// Makes an empty file, mode 600. False where the file exists.
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

/// Makes the file of a database where it is missing. Why it cannot be made, SQLite finds out and says.
pub(in crate::store) fn create_if_missing(path: &Path) {
    let _ = create(path);
}

/// Those of these files that every user of the machine can read.
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
