//! What can go wrong with a database, in the words of a ledger.

use std::path::PathBuf;

use sqlx::postgres::PgDatabaseError;

use super::Damage;
use crate::ids::{EventId, Position};

/// What happened below, for the log and never for an answer.
pub(super) type Source = Box<dyn std::error::Error + Send + Sync>;

/// A verb of the store that could not be done. Nothing of it was written.
///
/// The text is for outside and holds no database's words; those are the error's source.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Locked, unreadable or gone. Trying again may help.
    #[error("the ledger is not available at the moment")]
    Unavailable(#[source] Source),
    /// The disk is full, or the file has reached a limit. Trying again helps once there is room.
    #[error("a file of the ledger cannot grow: its disk is full, or a limit is reached")]
    CannotGrow(#[source] Source),
    /// No generation of the read model is complete yet.
    #[error("the read model is being built")]
    ReadModelBuilding,
    /// There is no such generation, or no longer.
    #[error("there is no generation {0}")]
    NoGeneration(i64),
    /// A generation that reads are answered from cannot be dropped.
    #[error("generation {0} is live")]
    GenerationIsLive(i64),
    /// A generation that is not complete cannot be made live.
    #[error("generation {0} is not complete")]
    GenerationIsBuilding(i64),
    /// A person has chosen another generation while this one was made.
    #[error("generation {by} was activated while generation {generation} was made")]
    Superseded {
        /// The one that was made.
        generation: i64,
        /// The one that was chosen.
        by: i64,
    },
    /// A generation's tables lack something without which this cannot be answered.
    #[error("generation {0} was made by another version of this program and lacks what this needs")]
    OtherVersion(i64),
    /// A command that needs a ledger found none.
    #[error("there is no ledger at {ledger}")]
    NoLedger {
        /// Where one was looked for.
        ledger: String,
    },
    /// A newer program has migrated this ledger.
    #[error("the ledger at {ledger} has schema version {found}, this program knows {known}")]
    NewerSchema {
        /// The log, or the read models.
        ledger: String,
        /// Its schema version.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// An older program made this ledger, and it is only to be read.
    #[error("the ledger at {ledger} was made by an older version of this program")]
    OlderSchema {
        /// The log.
        ledger: String,
    },
    /// The file cannot be opened or made, or is no ledger.
    #[error("cannot open {}: {reason}", .path.display())]
    CannotOpen {
        /// The file.
        path: PathBuf,
        /// Why, for people.
        reason: String,
        /// What happened below, if anything did.
        #[source]
        source: Option<Source>,
    },
    /// The server cannot be reached, or its database cannot be used.
    #[error("cannot use {database}: {reason}")]
    Unreachable {
        /// Its address, without a password.
        database: String,
        /// Why, for people.
        reason: String,
        /// What happened below, if anything did.
        #[source]
        source: Option<Source>,
    },
    /// PostgreSQL's own programs make backups of its databases.
    #[error("a database of PostgreSQL is not copied into a file")]
    NotAFile,
    /// The file of a backup is there already.
    #[error("{} exists already", .path.display())]
    FileExists {
        /// The file.
        path: PathBuf,
    },
    /// An export can only be restored into an empty log.
    #[error(
        "the log has {size} events that no export brought: an export cannot be restored into it"
    )]
    NotEmpty {
        /// How many events the log has.
        size: Position,
    },
    /// The record of an erasure has the id of an event that the log holds. Nothing was erased.
    #[error("the log already holds an event with the id {event_id}")]
    IdTaken {
        /// The id.
        event_id: EventId,
    },
    /// The events of an export must be restored in the order of the log.
    #[error("the event {event_id} was received no later than the one before it")]
    NotInOrder {
        /// The event that is out of place.
        event_id: EventId,
    },
    /// An event of the log cannot be read. Those beside it can.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// A row of the read model holds what it must not hold. The log is as it was.
    #[error("the read model is damaged: {0}")]
    ReadModelDamaged(String),
    /// What is stored contradicts itself.
    #[error("the ledger is damaged: {0}")]
    Corrupt(String),
    /// A defect of this program.
    #[error("the ledger met an unexpected error")]
    Internal(#[source] Source),
}

impl StoreError {
    /// What a person can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoLedger { .. } => {
                Some("`subledger serve` or `subledger import` makes one; DATABASE_URL says where")
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
            Self::Unreachable { .. } => {
                Some("DATABASE_URL names the server, the database and the role")
            }
            Self::NotAFile => Some("`pg_dump --schema=subledger` makes a backup of the log"),
            Self::FileExists { .. } => Some("choose a file that does not exist yet"),
            Self::NotEmpty { .. } => Some("restore into a new file, or import to append"),
            Self::ReadModelBuilding => Some("`subledger rebuild` builds it, and so does `serve`"),
            Self::Damaged(_) => Some(
                "`subledger verify` names every damaged event; a backup or an export may still hold them",
            ),
            Self::ReadModelDamaged(_) => Some(
                "`subledger serve` makes it anew from the log, and so does `subledger rebuild`",
            ),
            Self::Corrupt(_) => Some("`subledger verify` says what is wrong"),
            Self::Unavailable(_) => Some(
                "another program may hold the ledger, its disk may be full, or its server away",
            ),
            Self::CannotGrow(_) => Some("make room on the disk of the ledger"),
            Self::NoGeneration(_) => Some("`subledger projections list` shows what there is"),
            Self::GenerationIsLive(_) => {
                Some("`subledger projections activate N` makes another one live first")
            }
            Self::GenerationIsBuilding(_) => Some(
                "it goes live by itself when its rebuild ends; `subledger projections list` shows how far it is",
            ),
            Self::Superseded { .. } => {
                Some("`subledger rebuild` makes another one, which goes live")
            }
            Self::OtherVersion(_) => Some("`subledger rebuild` makes one that this version reads"),
            Self::IdTaken { .. } => Some("run the same command again: it takes another id"),
            Self::NotInOrder { .. } | Self::Internal(_) => None,
        }
    }

    /// Whether the same verb may succeed when it is tried again.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::CannotGrow(_))
    }

    /// True if what is stored may be the reason, so that others of it may be readable.
    pub(super) fn is_damage(&self) -> bool {
        matches!(self, Self::Corrupt(_) | Self::Damaged(_))
    }

    /// The same error as one of the read model, where it says that what is stored is wrong.
    pub(super) fn of_read_model(self) -> Self {
        match self {
            Self::Corrupt(what) => Self::ReadModelDamaged(what),
            other => other,
        }
    }

    pub(super) fn gone() -> Self {
        Self::Unavailable("the file was moved, replaced or deleted".into())
    }
}

/// The result codes of SQLite of a write that found no room: full, and an I/O error of a write or of the
/// index of the write-ahead log, which is how a limit or a quota shows. <https://sqlite.org/rescode.html>
const NO_ROOM: [i32; 3] = [13, 778, 4874];
/// The primary result codes that pass: busy, locked, out of memory, read-only, I/O error, cannot open.
const PASSING: [i32; 6] = [5, 6, 7, 8, 10, 14];
/// Malformed, and not a database.
const DAMAGED: [i32; 2] = [11, 26];

/// The classes and codes of PostgreSQL, by their beginnings.
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
///
/// Disk full.
const NO_ROOM_POSTGRES: [&str; 1] = ["53100"];
/// What passes: a connection that broke or is refused, a role or database that is not there (yet), a server that stops, starts, recovers, is promoted
/// or only reads, too many connections or too little memory, a lock or a statement that took too long, and
/// transactions that got into each other's way.
const PASSING_POSTGRES: [&str; 11] =
    ["08", "28", "3D", "57P", "25006", "53", "55P03", "57014", "40", "25P03", "58"];
/// Data or an index that is corrupted; a table or column that is not there.
const DAMAGED_POSTGRES: [&str; 3] = ["XX00", "42P01", "42703"];
/// Beginnings of the messages of SQLite about a table or column that is not there; its code is that of any error.
const NOT_THERE: [&str; 2] = ["no such table", "no such column"];

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(inner)
                if inner.try_downcast_ref::<PgDatabaseError>().is_some() =>
            {
                let code = inner.code().unwrap_or_default();
                let is = |codes: &[&str]| codes.iter().any(|it| code.starts_with(it));
                if is(&NO_ROOM_POSTGRES) {
                    Self::CannotGrow(error.into())
                } else if is(&PASSING_POSTGRES) {
                    Self::Unavailable(error.into())
                } else if is(&DAMAGED_POSTGRES) {
                    Self::Corrupt("the database says that it is damaged".to_owned())
                } else {
                    Self::Internal(error.into())
                }
            }
            sqlx::Error::Database(inner) => {
                let code = inner.code().and_then(|code| code.parse::<i32>().ok()).unwrap_or(0);
                let primary = code & 0xff;
                if NO_ROOM.contains(&code) {
                    Self::CannotGrow(error.into())
                } else if PASSING.contains(&primary) {
                    Self::Unavailable(error.into())
                } else if DAMAGED.contains(&primary) {
                    Self::Corrupt("the file is not readable as a database".to_owned())
                } else if NOT_THERE.iter().any(|it| inner.message().starts_with(it)) {
                    Self::Corrupt("a table is missing".to_owned())
                } else {
                    Self::Internal(error.into())
                }
            }
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable(error.into()),
            sqlx::Error::ColumnDecode { index, .. } => {
                Self::Corrupt(format!("the column {index} holds something else"))
            }
            _ => Self::Internal(error.into()),
        }
    }
}
