//! Address of a ledger's databases, as `DATABASE_URL` gives it.

mod server;

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

pub use server::Server;

/// The address of a database, as `DATABASE_URL` gives it.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// `sqlite://PATH`: the file of the log.
    Sqlite(PathBuf),
    /// `postgres://…`: a database of a server.
    Postgres(Server),
}

/// An address that names no database we can use. No text of it repeats the address, which may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Another scheme, or none.
    #[error("a database address starts with sqlite:// or postgres://, as in sqlite://subledger.db")]
    UnknownScheme,
    /// `sqlite://` alone, or a path that ends in a slash.
    #[error("the database address names no file, as in sqlite://subledger.db")]
    NoPath,
    /// `:memory:`, `file:…` or `?option=…`, which SQLite would understand by itself.
    #[error("the database address is a plain path: no `:memory:`, no `file:`, no `?` options")]
    NotAPlainPath,
    /// An address of a server whose parts cannot be told apart.
    #[error(
        "it cannot be read: percent-encode the special characters of its user name and password \
         (%23 for #, %2F for /, %3F for ?, %40 for @, %25 for %, %3A for :)"
    )]
    Unreadable,
    /// A parameter after `?` that no program of PostgreSQL's has.
    #[error(
        "a parameter after its `?` is unknown: percent-encode a `?` of the password as %3F; known are {}",
        server::KNOWN.join(", ")
    )]
    UnknownParameter,
    /// A parameter after `?` whose value cannot be used.
    #[error("the value of its parameter {0} cannot be used")]
    BadParameter(&'static str),
}

impl DatabaseUrl {
    /// Reads `sqlite://PATH`, whose path is taken as it is written, relative or absolute; or
    /// `postgres://…`. White space around it is dropped: it comes from files and shells.
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

    /// The ledger whose log is this file.
    pub fn from_path(log_path: impl Into<PathBuf>) -> Self {
        Self::Sqlite(log_path.into())
    }

    /// The same database, to which a process opens this many connections at most. A file is not concerned.
    #[must_use]
    pub fn with_connections(self, connections: u32) -> Self {
        match self {
            Self::Sqlite(_) => self,
            Self::Postgres(server) => Self::Postgres(server.with_connections(connections)),
        }
    }

    /// The file of the log, the one that needs a backup; none where a server keeps it.
    pub fn log_path(&self) -> Option<&Path> {
        match self {
            Self::Sqlite(path) => Some(path),
            Self::Postgres(_) => None,
        }
    }

    /// The file of the read models, beside the log: `subledger.read.db` for `subledger.db`. It may
    /// be deleted, and is then built again. None where a server keeps them.
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
