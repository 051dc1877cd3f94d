//! Failures of the temporary file.

use std::io;
use std::path::Path;

use crate::store::StoreError;

/// Failure of the temporary file.
#[derive(Debug)]
pub(super) enum SpillFailure {
    Io(io::Error),
    /// The file does not hold what was written.
    Damaged(&'static str),
}

impl From<io::Error> for SpillFailure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Damaged("it is shorter than what was written"),
            _ => Self::Io(error),
        }
    }
}

impl SpillFailure {
    /// Error that names the directory.
    pub(super) fn into_store_error(self, directory: &Path) -> StoreError {
        let file = format!("the temporary file of the rebuild in {}", directory.display());
        match self {
            Self::Io(error) => match error.kind() {
                io::ErrorKind::StorageFull
                | io::ErrorKind::QuotaExceeded
                | io::ErrorKind::FileTooLarge => {
                    StoreError::CannotGrow(format!("{file}: {error}").into())
                }
                _ => StoreError::Internal(format!("{file} cannot be used: {error}").into()),
            },
            Self::Damaged(what) => {
                StoreError::Internal(format!("{file} is damaged: {what}; rebuild again").into())
            }
        }
    }
}
