//! Failure of a database, for the log of the program and for commands: a message with code and object, and a hint.
//!
//! It has no value, no body and no password. A database puts the values of a row into the detail of its message, and
//! into the message itself if a value does not fit: these are left out.

pub(super) mod class;
mod hints;
mod postgres;

use std::borrow::Cow;
use std::fmt;

use sqlx::postgres::PgDatabaseError;

use self::class::FailureClass;

/// Failure of a database. `{}` displays the message, `{:#}` the message and the hint.
#[derive(Clone, Debug)]
pub(super) struct DatabaseFailure {
    message: String,
    hint: Option<Cow<'static, str>>,
    /// SQLSTATE of PostgreSQL, or result code of SQLite.
    code: Option<String>,
    class: FailureClass,
    /// True if no server listens at the address.
    is_refused: bool,
}

impl DatabaseFailure {
    /// Creates a transient failure that this program detected.
    pub(super) fn new(message: impl Into<String>, hint: impl Into<Cow<'static, str>>) -> Self {
        let hint = Some(hint.into());
        let message = message.into();
        Self { message, hint, code: None, class: FailureClass::Transient, is_refused: false }
    }

    /// Code of the database.
    pub(super) fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    pub(super) fn class(&self) -> FailureClass {
        self.class
    }

    /// True if the server may soon accept a connection.
    pub(super) fn is_server_starting(&self) -> bool {
        self.is_refused || matches!(self.code(), Some("53300" | "57P03"))
    }

    /// Advice to the operator.
    pub(super) fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    fn from_sqlite(error: &dyn sqlx::error::DatabaseError) -> Self {
        let code = error.code().unwrap_or_default().into_owned();
        let is_missing = MISSING_OBJECT_MESSAGES.iter().any(|it| error.message().starts_with(it));
        let class = match FailureClass::from_sqlite_code(code.parse().unwrap_or(0)) {
            FailureClass::Other if is_missing => FailureClass::Damage,
            class => class,
        };
        let message = match class {
            FailureClass::Damage if !is_missing => {
                format!("SQLite error {code}: the file cannot be read as a database")
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
                    Some(error) => Self {
                        message: postgres::message(error),
                        hint: hints::for_postgres(error.code(), error.message()),
                        code: Some(error.code().to_owned()),
                        class: FailureClass::from_sqlstate(error.code()),
                        is_refused: false,
                    },
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
                format!("the server does not speak the protocol of PostgreSQL: {error}"),
                Some(hints::NOT_POSTGRES),
                FailureClass::Transient,
            ),
            sqlx::Error::PoolTimedOut => (
                "no connection to the file became free in time".to_owned(),
                Some("the operation is retried"),
                FailureClass::Transient,
            ),
            sqlx::Error::PoolClosed => {
                ("the ledger was closed".to_owned(), None, FailureClass::Transient)
            }
            sqlx::Error::WorkerCrashed => {
                ("a thread of SQLite ended".to_owned(), None, FailureClass::Transient)
            }
            // Its text may include a part of the address.
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

/// Prefixes of the messages of SQLite about a missing table or column, which have no code of their own.
const MISSING_OBJECT_MESSAGES: [&str; 2] = ["no such table", "no such column"];
