//! Address of a ledger's databases.

mod error;
mod parameters;
mod server;

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

pub use error::UrlError;
pub use server::Server;

/// Address of a ledger's databases, as in `DATABASE_URL`.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// `sqlite://PATH`: file of the log.
    Sqlite(PathBuf),
    /// `postgres://…`: database of a server.
    Postgres(Server),
}

impl DatabaseUrl {
    /// Reads `sqlite://PATH`, with a relative or absolute path that is not decoded, or `postgres://…`. White space
    /// around it is ignored, because files and shells add it.
    pub fn parse(url: &str) -> Result<Self, UrlError> {
        let url =
            url.trim_matches(|c: char| c.is_whitespace() || c.is_control() || c == '\u{feff}');
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(Self::Postgres(Server::parse(url)?));
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

    /// Address of the ledger whose log is this file.
    pub fn from_path(log_path: impl Into<PathBuf>) -> Self {
        Self::Sqlite(log_path.into())
    }

    /// Sets the maximum number of connections of a process. It has no effect on a file.
    #[must_use]
    pub fn with_connections(self, connections: u32) -> Self {
        match self {
            Self::Sqlite(_) => self,
            Self::Postgres(server) => Self::Postgres(server.with_connections(connections)),
        }
    }

    /// File of the log, which needs a backup. None for a server.
    pub fn log_path(&self) -> Option<&Path> {
        match self {
            Self::Sqlite(path) => Some(path),
            Self::Postgres(_) => None,
        }
    }

    /// File of the read models beside the log: `subledger.read.db` for `subledger.db`. It may be deleted, and is then
    /// rebuilt. None for a server.
    pub fn read_path(&self) -> Option<PathBuf> {
        let log_path = self.log_path()?;
        let mut name = OsString::from(log_path.file_stem().unwrap_or_default());
        name.push(".read");
        if let Some(extension) = log_path.extension() {
            name.push(".");
            name.push(extension);
        }
        Some(log_path.with_file_name(name))
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(server) => server.fmt(f),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
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
            (" sqlite://subledger.db\r\n", "subledger.read.db"),
        ] {
            assert_eq!(
                DatabaseUrl::parse(url).unwrap().read_path().unwrap(),
                Path::new(read),
                "{url}"
            );
        }
    }

    #[test]
    fn an_address_that_is_not_a_file_is_refused_with_its_reason() {
        for (url, error) in [
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
