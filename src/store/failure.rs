//! Cause of a database's failure, as the program's log and a command show it: what failed, with its code and
//! object, and what to do.
//!
//! It holds no value, no body and no password. A database puts the values of a row into the detail of its message,
//! and into the message itself where a value does not fit: these are left out.

mod hints;
mod postgres;

use std::borrow::Cow;
use std::fmt;

use sqlx::postgres::PgDatabaseError;

use super::StoreError;

/// Cause of a failure. Displayed with `{}` it says what failed, with `{:#}` what to do as well.
#[derive(Debug)]
pub(super) struct DatabaseFailure {
    message: String,
    hint: Option<Cow<'static, str>>,
    /// SQLSTATE of PostgreSQL's, or result code of SQLite's.
    code: Option<String>,
    class: FailureClass,
    /// Nobody listens at the address.
    is_refused: bool,
}

/// Class of a failure: whether trying again may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FailureClass {
    /// Trying again may help.
    Transient,
    /// There is no room.
    NoSpace,
    /// The database is damaged.
    Damage,
    /// Neither.
    Other,
}

impl DatabaseFailure {
    /// A cause that this program found.
    pub(super) fn new(message: impl Into<String>, hint: impl Into<Cow<'static, str>>) -> Self {
        let hint = Some(hint.into());
        let message = message.into();
        Self { message, hint, code: None, class: FailureClass::Transient, is_refused: false }
    }

    /// The code that the database gave.
    pub(super) fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// True if a server is there that will soon take a connection.
    pub(super) fn is_server_starting(&self) -> bool {
        self.is_refused || matches!(self.code(), Some("53300" | "57P03"))
    }

    /// Advice to a person.
    pub(super) fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    fn from_sqlite(error: &dyn sqlx::error::DatabaseError) -> Self {
        let code = error.code().unwrap_or_default().into_owned();
        let is_missing = MISSING_OBJECT_MESSAGES.iter().any(|it| error.message().starts_with(it));
        let class = match FailureClass::from_sqlite(code.parse().unwrap_or(0)) {
            FailureClass::Other if is_missing => FailureClass::Damage,
            class => class,
        };
        let message = match class {
            FailureClass::Damage if !is_missing => {
                format!("SQLite error {code}: the file is not readable as a database")
            }
            _ => format!("{} (SQLite error {code})", error.message()),
        };
        Self { message, hint: hints::for_sqlite(class), code: Some(code), class, is_refused: false }
    }
}

impl fmt::Display for DatabaseFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) if f.alternate() => write!(f, ": {hint}"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for DatabaseFailure {}

impl From<sqlx::Error> for DatabaseFailure {
    fn from(error: sqlx::Error) -> Self {
        let (message, hint, class) = match &error {
            sqlx::Error::Database(inner) => {
                return match inner.try_downcast_ref::<PgDatabaseError>() {
                    Some(error) => Self::from_postgres(error),
                    None => Self::from_sqlite(inner.as_ref()),
                };
            }
            sqlx::Error::Io(error) => (
                format!("the connection failed: {error}"),
                Some(hints::for_io(error.kind())),
                FailureClass::Transient,
            ),
            sqlx::Error::Tls(error) => {
                (format!("TLS was refused: {error}"), Some(hints::TLS), FailureClass::Transient)
            }
            sqlx::Error::Protocol(error) => (
                format!("the server does not speak as PostgreSQL does: {error}"),
                Some(hints::NOT_POSTGRES),
                FailureClass::Transient,
            ),
            sqlx::Error::PoolTimedOut => (
                "no connection to the file became free in time".to_owned(),
                Some("it is tried again"),
                FailureClass::Transient,
            ),
            sqlx::Error::PoolClosed => {
                ("the ledger was closed".to_owned(), None, FailureClass::Transient)
            }
            sqlx::Error::WorkerCrashed => {
                ("a thread of SQLite's ended".to_owned(), None, FailureClass::Transient)
            }
            // Its text may hold a part of the address.
            sqlx::Error::Configuration(_) => {
                ("the address of the database cannot be used".to_owned(), None, FailureClass::Other)
            }
            other => (other.to_string(), None, FailureClass::Other),
        };
        let refused = |io: &std::io::Error| io.kind() == std::io::ErrorKind::ConnectionRefused;
        let is_refused = matches!(&error, sqlx::Error::Io(io) if refused(io));
        Self { message, hint: hint.map(Cow::Borrowed), code: None, class, is_refused }
    }
}

impl From<DatabaseFailure> for StoreError {
    fn from(cause: DatabaseFailure) -> Self {
        match cause.class {
            FailureClass::Transient => Self::Unavailable(cause.into()),
            FailureClass::NoSpace => Self::CannotGrow(cause.into()),
            FailureClass::Damage => Self::Corrupt(cause.to_string()),
            FailureClass::Other => Self::Internal(cause.into()),
        }
    }
}

/// The result codes of SQLite of a write that found no room: full, and an I/O error of a write or of the
/// index of the write-ahead log, which is how a limit or a quota shows. <https://sqlite.org/rescode.html>
const NO_SPACE: [i32; 3] = [13, 778, 4874];
/// The primary result codes that pass: busy, locked, out of memory, read-only, I/O error, cannot open.
const TRANSIENT: [i32; 6] = [5, 6, 7, 8, 10, 14];
/// Malformed, and not a database.
const DAMAGED: [i32; 2] = [11, 26];

/// Beginnings of the messages of SQLite about a table or column that is not there; its code is that of any error.
const MISSING_OBJECT_MESSAGES: [&str; 2] = ["no such table", "no such column"];

impl FailureClass {
    fn from_sqlite(code: i32) -> Self {
        let primary = code & 0xff;
        if NO_SPACE.contains(&code) {
            Self::NoSpace
        } else if TRANSIENT.contains(&primary) {
            Self::Transient
        } else if DAMAGED.contains(&primary) {
            Self::Damage
        } else {
            Self::Other
        }
    }
}
