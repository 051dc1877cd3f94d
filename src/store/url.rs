//! Where the ledger is kept.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The address of a database, as `DATABASE_URL` gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseUrl {
    log_path: PathBuf,
}

/// An address that names no database we can use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// `postgres://…`
    #[error("PostgreSQL is not part of this build, which knows SQLite only: sqlite://PATH")]
    Postgres,
    /// Another scheme, or none.
    #[error("a database address starts with sqlite://, as in sqlite://subledger.db")]
    UnknownScheme,
    /// `sqlite://` alone, or a path that ends in a slash.
    #[error("the database address names no file, as in sqlite://subledger.db")]
    NoPath,
    /// `:memory:`, `file:…` or `?option=…`, which SQLite would understand by itself.
    #[error("the database address is a plain path: no `:memory:`, no `file:`, no `?` options")]
    NotAPlainPath,
}

impl DatabaseUrl {
    /// Reads `sqlite://PATH`; the path is taken as it is written, relative or absolute.
    pub fn parse(url: &str) -> Result<Self, UrlError> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Err(UrlError::Postgres);
        }
        let path = url.strip_prefix("sqlite://").ok_or(UrlError::UnknownScheme)?;
        if path.is_empty() || path.ends_with('/') {
            return Err(UrlError::NoPath);
        }
        if path.contains(['?', '\0']) || path.starts_with(":memory:") || path.starts_with("file:") {
            return Err(UrlError::NotAPlainPath);
        }
        Ok(Self::from_path(path))
    }

    /// The ledger whose log is this file.
    pub fn from_path(log_path: impl Into<PathBuf>) -> Self {
        Self { log_path: log_path.into() }
    }

    /// The file of the log: the one that needs a backup.
    pub fn log_path(&self) -> &Path {
        &self.log_path
    }

    /// The file of the read models, beside the log: `subledger.read.db` for `subledger.db`. It may
    /// be deleted, and is then built again.
    pub fn read_path(&self) -> PathBuf {
        let mut name = OsString::from(self.log_path.file_stem().unwrap_or_default());
        name.push(".read");
        if let Some(extension) = self.log_path.extension() {
            name.push(".");
            name.push(extension);
        }
        self.log_path.with_file_name(name)
    }
}

impl std::fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "sqlite://{}", self.log_path.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_read_model_lies_beside_the_log() {
        for (url, read) in [
            ("sqlite://subledger.db", "subledger.read.db"),
            ("sqlite:///var/lib/ledger.v1.sqlite3", "/var/lib/ledger.v1.read.sqlite3"),
            ("sqlite://data/ledger", "data/ledger.read"),
        ] {
            assert_eq!(DatabaseUrl::parse(url).unwrap().read_path(), Path::new(read), "{url}");
        }
    }

    #[test]
    fn an_address_that_is_not_a_file_is_refused_with_its_reason() {
        for (url, error) in [
            ("postgres://localhost/ledger", UrlError::Postgres),
            ("postgresql://localhost/ledger", UrlError::Postgres),
            ("subledger.db", UrlError::UnknownScheme),
            ("mysql://localhost", UrlError::UnknownScheme),
            ("sqlite://", UrlError::NoPath),
            ("sqlite:///var/lib/", UrlError::NoPath),
            ("sqlite://:memory:", UrlError::NotAPlainPath),
            ("sqlite://file:x", UrlError::NotAPlainPath),
            ("sqlite://x.db?mode=ro", UrlError::NotAPlainPath),
        ] {
            assert_eq!(DatabaseUrl::parse(url), Err(error), "{url}");
        }
    }
}
