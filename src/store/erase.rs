//! Erasing bodies: the only change to what was logged.

use super::StoreError;
use super::db::{Column, Session};
use super::event::{Appended, NewEvent};
use super::log::Log;
use crate::ids::Position;

impl Log {
    /// Erases the bodies and salts of the events at these positions, and the bodies of their redeliveries, and
    /// appends the records that say so, in one transaction.
    ///
    /// In a file the bytes are overwritten; its write-ahead log starts from the front as soon as no reader
    /// needs it. PostgreSQL keeps the old versions of the rows until they are vacuumed.
    pub async fn erase(
        &self,
        positions: &[Position],
        records: &[NewEvent],
    ) -> Result<Vec<Appended>, StoreError> {
        let answers = self.append_erasing(positions, records).await?;
        self.0.db.run(sql::EMPTY_WAL).await?;
        Ok(answers)
    }
}

/// Makes what is erased be overwritten, before a transaction begins.
pub(super) async fn prepare(session: &mut Session<'_>) -> Result<(), StoreError> {
    session.run(sql::OVERWRITE).await
}

/// Erases, inside of an append's transaction.
pub(super) async fn bodies(
    session: &mut Session<'_>,
    positions: &[Position],
) -> Result<(), StoreError> {
    for statement in [sql::ERASE, sql::ERASE_REDELIVERIES] {
        let template = session.text(statement);
        let erased = session.bulk(template, &[Column::Integer], positions, |to, position| {
            to.integer(position.0);
        });
        erased.await?;
    }
    Ok(())
}

pub(super) mod sql {
    crate::store::db::statements! {
        OVERWRITE = sqlite "PRAGMA secure_delete = ON";
        ERASE = "UPDATE events SET payload = NULL, salt = NULL
            WHERE position IN (SELECT column1 FROM ({rows}) AS bound) AND payload IS NOT NULL";
        ERASE_REDELIVERIES = "UPDATE redeliveries SET payload = NULL
            WHERE position IN (SELECT column1 FROM ({rows}) AS bound) AND payload IS NOT NULL";
        EMPTY_WAL = sqlite "PRAGMA wal_checkpoint(TRUNCATE)";
    }
}
