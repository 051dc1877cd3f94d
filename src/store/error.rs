//! Errors of the store.

use std::path::PathBuf;

use super::damage::Damage;
use super::failure::DatabaseFailure;
use super::failure::class::FailureClass;
use super::url::Server;
use crate::ids::{EventId, Position};

/// Error of a lower layer.
pub(super) type Source = Box<dyn std::error::Error + Send + Sync>;

/// Error of an operation of the store. The operation wrote nothing.
///
/// The message is for the log of the program and for commands: it has the code and object of the database, and no
/// value, body or password. It must not be sent over HTTP.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is locked, unreadable or gone. A retry may help.
    #[error("the ledger is not available at the moment: {0:#}")]
    Unavailable(Source),
    /// The disk is full, or the file has reached a limit. A retry helps after space was freed.
    #[error("a file of the ledger cannot grow: its disk is full, or a limit is reached ({0})")]
    CannotGrow(Source),
    /// No generation of the read model is complete.
    #[error("the read model is being built")]
    ReadModelBuilding,
    /// The generation does not exist.
    #[error("there is no generation {0}")]
    NoGeneration(i64),
    /// The live generation cannot be dropped.
    #[error("generation {0} is live")]
    GenerationIsLive(i64),
    /// An incomplete generation cannot be activated.
    #[error("generation {0} is not complete")]
    GenerationIsBuilding(i64),
    /// An operator activated another generation while this one was built.
    #[error("generation {by} was activated while generation {generation} was built")]
    Superseded {
        /// Generation that was built.
        generation: i64,
        /// Generation that was activated.
        by: i64,
    },
    /// The tables of the generation lack columns that the operation needs.
    #[error("generation {0} was made by another version of this program and lacks what this needs")]
    OtherVersion(i64),
    /// The ledger does not exist.
    #[error("there is no ledger at {ledger}")]
    NoLedger {
        /// Location of the ledger.
        ledger: String,
    },
    /// A newer version of this program has migrated the ledger.
    #[error("the ledger at {ledger} has schema version {found}, this program knows {known}")]
    NewerSchema {
        /// Location of the log or of the read models.
        ledger: String,
        /// Schema version of the ledger.
        found: i64,
        /// Newest schema version of this program.
        known: i64,
    },
    /// An older version of this program created the ledger, which is opened read-only.
    #[error("the ledger at {ledger} was made by an older version of this program")]
    OlderSchema {
        /// Location of the log.
        ledger: String,
    },
    /// The file cannot be opened or created, or is not a ledger.
    #[error("cannot open {}: {reason}", .path.display())]
    CannotOpen {
        /// Path of the file.
        path: PathBuf,
        /// Reason, for a message.
        reason: String,
        /// Error of the lower layer, if there is one.
        #[source]
        source: Option<Source>,
    },
    /// The server cannot be reached, or its database cannot be used.
    #[error("cannot use {database}: {cause}")]
    Unreachable {
        /// Address, without user name and password.
        database: String,
        /// Reason.
        cause: Source,
    },
    /// A PostgreSQL database is backed up with PostgreSQL's own programs.
    #[error("a PostgreSQL database cannot be copied into a file")]
    NotAFile,
    /// The file of the backup exists.
    #[error("{} exists already", .path.display())]
    FileExists {
        /// Path of the file.
        path: PathBuf,
    },
    /// An export can only be restored into an empty log.
    #[error(
        "the log has {size} events that do not come from an export: an export cannot be restored into it"
    )]
    NotEmpty {
        /// Number of events in the log.
        size: Position,
    },
    /// The record of an erasure has the id of an event in the log. Nothing was erased.
    #[error("the log already has an event with the id {event_id}")]
    IdTaken {
        /// Id of both events.
        event_id: EventId,
    },
    /// The events of an export must be restored in the order of the log.
    #[error("the event {event_id} was received no later than the one before it")]
    NotInOrder {
        /// Event that is out of order.
        event_id: EventId,
    },
    /// The live generation was built from events that are not in the log.
    #[error("the read model was made from another log, or the log lost events")]
    OtherLog,
    /// An event of the log cannot be read. Other events can.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// A row of the read model has an invalid value. The log is not affected.
    #[error("the read model is damaged: {0}")]
    ReadModelDamaged(String),
    /// The stored data is inconsistent.
    #[error("the ledger is damaged: {0}")]
    Corrupt(String),
    /// A failure that a retry does not fix: a missing privilege or table, or a defect of this program.
    #[error("{0:#}")]
    Internal(Source),
}

impl StoreError {
    /// Advice to the operator.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::NoLedger { .. } => {
                Some("`subledger serve` or `subledger import` creates one at DATABASE_URL")
            }
            Self::NewerSchema { .. } => {
                Some("use the version of subledger that wrote it, or a newer one")
            }
            Self::OlderSchema { .. } => {
                Some("`subledger serve` or `subledger rebuild` brings it up to date")
            }
            Self::CannotOpen { .. } => {
                Some("DATABASE_URL names the file; its directory must exist and be writable")
            }
            Self::Unreachable { cause, .. } => {
                let hint = cause.downcast_ref().and_then(DatabaseFailure::hint);
                hint.or(Some("DATABASE_URL names the server, the database and the role"))
            }
            Self::NotAFile => Some("`pg_dump --schema=subledger` makes a backup of the log"),
            Self::FileExists { .. } => Some("choose a file that does not exist yet"),
            Self::NotEmpty { .. } => Some("restore into a new file, or import to append"),
            Self::ReadModelBuilding => Some("`subledger rebuild` or `subledger serve` builds it"),
            Self::Damaged(_) => Some(
                "`subledger verify` names every damaged event; a backup or an export may still have them",
            ),
            Self::ReadModelDamaged(_) => {
                Some("`subledger serve` or `subledger rebuild` rebuilds it from the log")
            }
            Self::Corrupt(_) => Some("`subledger verify` reports the damage"),
            // The message includes the hint.
            Self::Unavailable(cause) if cause.is::<DatabaseFailure>() => None,
            Self::Unavailable(_) => Some(
                "another program may have locked the ledger, its disk may be full, or its server unreachable",
            ),
            Self::CannotGrow(_) => Some("make room on the disk of the ledger"),
            Self::NoGeneration(_) => Some("`subledger projections list` shows all generations"),
            Self::GenerationIsLive(_) => {
                Some("`subledger projections activate N` makes another one live first")
            }
            Self::GenerationIsBuilding(_) => Some(
                "it becomes live when its rebuild ends; `subledger projections list` shows the progress",
            ),
            Self::Superseded { .. } => {
                Some("`subledger rebuild` builds another one, which becomes live")
            }
            Self::OtherVersion(_) => Some("`subledger rebuild` builds one that this version reads"),
            Self::OtherLog => Some(
                "restore the log; or start `subledger serve --accept-new-log` once, which drops the read model",
            ),
            Self::IdTaken { .. } => Some("run the same command again: it draws another id"),
            Self::NotInOrder { .. } | Self::Internal(_) => None,
        }
    }

    /// True if a retry of the same operation may succeed.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::CannotGrow(_))
    }

    /// Copy for another caller, if the same failure concerns everybody: the database is not available, or has no read
    /// model.
    pub(super) fn copy_for_all(&self) -> Option<Self> {
        let copy = |cause: &Source| -> Source {
            match cause.downcast_ref::<DatabaseFailure>() {
                Some(failure) => failure.clone().into(),
                None => cause.to_string().into(),
            }
        };
        match self {
            Self::Unavailable(cause) => Some(Self::Unavailable(copy(cause))),
            Self::CannotGrow(cause) => Some(Self::CannotGrow(copy(cause))),
            Self::ReadModelBuilding => Some(Self::ReadModelBuilding),
            _ => None,
        }
    }

    /// True if another process has locked a SQLite file.
    pub(super) fn is_locked(&self) -> bool {
        let Self::Unavailable(source) = self else { return false };
        let code = source.downcast_ref().and_then(DatabaseFailure::code);
        matches!(code, Some("5" | "261" | "517"))
    }

    /// True if the stored data may be the reason, so that other rows may be readable.
    pub(super) fn is_damage(&self) -> bool {
        matches!(self, Self::Corrupt(_) | Self::Damaged(_))
    }

    /// Converts a failure of the first connection to [`Self::Unreachable`].
    pub(super) fn into_unreachable(self, server: &Server) -> Self {
        match self {
            Self::Unavailable(cause) | Self::Internal(cause) => {
                Self::Unreachable { database: server.to_string(), cause }
            }
            other => other,
        }
    }

    /// Converts corrupt data to damage of the read model.
    pub(super) fn into_read_model_damage(self) -> Self {
        match self {
            Self::Corrupt(what) => Self::ReadModelDamaged(what),
            other => other,
        }
    }

    /// Error of a file that is no longer at its path.
    pub(super) fn file_gone() -> Self {
        Self::Unavailable("the file was moved, replaced or deleted".into())
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::ColumnDecode { index, .. } => {
                Self::Corrupt(format!("column {index} has a value of another type"))
            }
            error => DatabaseFailure::from(error).into(),
        }
    }
}

impl From<DatabaseFailure> for StoreError {
    fn from(failure: DatabaseFailure) -> Self {
        match failure.class() {
            FailureClass::Transient => Self::Unavailable(failure.into()),
            FailureClass::NoSpace => Self::CannotGrow(failure.into()),
            FailureClass::Damage => Self::Corrupt(failure.to_string()),
            FailureClass::Other => Self::Internal(failure.into()),
        }
    }
}
