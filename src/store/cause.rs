//! Cause of a database's failure, as the program's log and a command show it: what failed, with its code and
//! object, and what to do.
//!
//! It holds no value, no body and no password. A database puts the values of a row into the detail of its message,
//! and into the message itself where a value does not fit: these are left out.

mod advice;
mod postgres;

use std::borrow::Cow;
use std::fmt;

use sqlx::postgres::PgDatabaseError;

use super::StoreError;

/// Cause of a failure. Displayed with `{}` it says what failed, with `{:#}` what to do as well.
#[derive(Debug)]
pub(super) struct Cause {
    what: String,
    to_do: Option<Cow<'static, str>>,
    /// SQLSTATE of PostgreSQL's, or result code of SQLite's.
    code: Option<String>,
    class: Class,
    /// Nobody listens at the address.
    is_refused: bool,
}

/// Class of a failure: whether trying again may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// Trying again may help.
    Passing,
    /// There is no room.
    NoRoom,
    /// The database is damaged.
    Damage,
    /// Neither.
    Other,
}

impl Cause {
    /// A cause that this program found.
    pub(super) fn new(what: impl Into<String>, to_do: impl Into<Cow<'static, str>>) -> Self {
        let to_do = Some(to_do.into());
        let what = what.into();
        Self { what, to_do, code: None, class: Class::Passing, is_refused: false }
    }

    /// The code that the database gave.
    pub(super) fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// True if a server is there that will soon take a connection.
    pub(super) fn is_of_a_server_that_starts(&self) -> bool {
        self.is_refused || matches!(self.code(), Some("53300" | "57P03"))
    }

    /// Advice to a person.
    pub(super) fn to_do(&self) -> Option<&str> {
        self.to_do.as_deref()
    }

    fn of_sqlite(error: &dyn sqlx::error::DatabaseError) -> Self {
        let code = error.code().unwrap_or_default().into_owned();
        let is_missing = NOT_THERE.iter().any(|it| error.message().starts_with(it));
        let class = match Class::of_sqlite(code.parse().unwrap_or(0)) {
            Class::Other if is_missing => Class::Damage,
            class => class,
        };
        let what = match class {
            Class::Damage if !is_missing => {
                format!("SQLite error {code}: the file is not readable as a database")
            }
            _ => format!("{} (SQLite error {code})", error.message()),
        };
        Self { what, to_do: advice::of_sqlite(class), code: Some(code), class, is_refused: false }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match &self.to_do {
            Some(to_do) if f.alternate() => write!(f, ": {to_do}"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for Cause {}

impl From<sqlx::Error> for Cause {
    fn from(error: sqlx::Error) -> Self {
        let (what, to_do, class) = match &error {
            sqlx::Error::Database(inner) => {
                return match inner.try_downcast_ref::<PgDatabaseError>() {
                    Some(error) => Self::of_postgres(error),
                    None => Self::of_sqlite(inner.as_ref()),
                };
            }
            sqlx::Error::Io(error) => (
                format!("the connection failed: {error}"),
                Some(advice::of_io(error.kind())),
                Class::Passing,
            ),
            sqlx::Error::Tls(error) => {
                (format!("TLS was refused: {error}"), Some(advice::TLS), Class::Passing)
            }
            sqlx::Error::Protocol(error) => (
                format!("the server does not speak as PostgreSQL does: {error}"),
                Some(advice::NOT_POSTGRES),
                Class::Passing,
            ),
            sqlx::Error::PoolTimedOut => (
                "no connection to the file became free in time".to_owned(),
                Some("it is tried again"),
                Class::Passing,
            ),
            sqlx::Error::PoolClosed => ("the ledger was closed".to_owned(), None, Class::Passing),
            sqlx::Error::WorkerCrashed => {
                ("a thread of SQLite's ended".to_owned(), None, Class::Passing)
            }
            // Its text may hold a part of the address.
            sqlx::Error::Configuration(_) => {
                ("the address of the database cannot be used".to_owned(), None, Class::Other)
            }
            other => (other.to_string(), None, Class::Other),
        };
        let refused = |io: &std::io::Error| io.kind() == std::io::ErrorKind::ConnectionRefused;
        let is_refused = matches!(&error, sqlx::Error::Io(io) if refused(io));
        Self { what, to_do: to_do.map(Cow::Borrowed), code: None, class, is_refused }
    }
}

impl From<Cause> for StoreError {
    fn from(cause: Cause) -> Self {
        match cause.class {
            Class::Passing => Self::Unavailable(cause.into()),
            Class::NoRoom => Self::CannotGrow(cause.into()),
            Class::Damage => Self::Corrupt(cause.to_string()),
            Class::Other => Self::Internal(cause.into()),
        }
    }
}

/// The result codes of SQLite of a write that found no room: full, and an I/O error of a write or of the
/// index of the write-ahead log, which is how a limit or a quota shows. <https://sqlite.org/rescode.html>
const NO_ROOM: [i32; 3] = [13, 778, 4874];
/// The primary result codes that pass: busy, locked, out of memory, read-only, I/O error, cannot open.
const PASSING: [i32; 6] = [5, 6, 7, 8, 10, 14];
/// Malformed, and not a database.
const DAMAGED: [i32; 2] = [11, 26];

/// Beginnings of the messages of SQLite about a table or column that is not there; its code is that of any error.
const NOT_THERE: [&str; 2] = ["no such table", "no such column"];

impl Class {
    fn of_sqlite(code: i32) -> Self {
        let primary = code & 0xff;
        if NO_ROOM.contains(&code) {
            Self::NoRoom
        } else if PASSING.contains(&primary) {
            Self::Passing
        } else if DAMAGED.contains(&primary) {
            Self::Damage
        } else {
            Self::Other
        }
    }
}
