//! What can go wrong with a database, in the words of a ledger.

use std::path::PathBuf;

use super::failure::DatabaseFailure;
use super::{Damage, DatabaseUrl};
use crate::ids::{EventId, Position};

/// Error of the layer below.
pub(super) type Source = Box<dyn std::error::Error + Send + Sync>;

/// A verb of the store that could not be done. Nothing of it was written.
///
/// The text is for the program's log and for whoever runs a command: it holds the database's code and object, and no
/// value, body or password. It is not for an answer over HTTP.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Locked, unreadable or gone. Trying again may help.
    #[error("the ledger is not available at the moment: {0:#}")]
    Unavailable(Source),
    /// The disk is full, or the file has reached a limit. Trying again helps once there is room.
    #[error("a file of the ledger cannot grow: its disk is full, or a limit is reached ({0})")]
    CannotGrow(Source),
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
    #[error("cannot use {database}: {cause}")]
    Unreachable {
        /// Its address, without user name and password.
        database: String,
        /// Why.
        cause: Source,
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
    /// The live generation was made from events that the log does not hold.
    #[error("the read model was made from another log, or the log lost events")]
    OtherLog,
    /// An event of the log cannot be read. Those beside it can.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// A row of the read model holds what it must not hold. The log is as it was.
    #[error("the read model is damaged: {0}")]
    ReadModelDamaged(String),
    /// What is stored contradicts itself.
    #[error("the ledger is damaged: {0}")]
    Corrupt(String),
    /// A failure that trying again does not mend: a missing privilege or table, or a defect of this program.
    #[error("{0:#}")]
    Internal(Source),
}

impl StoreError {
    /// What a person can do about it.
    pub fn hint(&self) -> Option<&str> {
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
            Self::Unreachable { cause, .. } => {
                let hint = cause.downcast_ref().and_then(DatabaseFailure::hint);
                hint.or(Some("DATABASE_URL names the server, the database and the role"))
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
            // The message says it.
            Self::Unavailable(cause) if cause.is::<DatabaseFailure>() => None,
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
            Self::OtherLog => Some(
                "restore the log; or start `subledger serve --accept-new-log` once, which drops the read model",
            ),
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

    /// The failure to use a server at all.
    pub(super) fn into_unreachable(self, url: &DatabaseUrl) -> Self {
        match self {
            Self::Unavailable(cause) | Self::Internal(cause) => {
                Self::Unreachable { database: url.to_string(), cause }
            }
            other => other,
        }
    }

    /// The same error as one of the read model, where it says that what is stored is wrong.
    pub(super) fn into_read_model_damage(self) -> Self {
        match self {
            Self::Corrupt(what) => Self::ReadModelDamaged(what),
            other => other,
        }
    }

    pub(super) fn file_gone() -> Self {
        Self::Unavailable("the file was moved, replaced or deleted".into())
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::ColumnDecode { index, .. } => {
                Self::Corrupt(format!("the column {index} holds something else"))
            }
            error => DatabaseFailure::from(error).into(),
        }
    }
}
