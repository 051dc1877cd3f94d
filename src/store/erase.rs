//! Erasing bodies: the only change to what was logged.

use std::collections::BTreeMap;
use std::time::Duration;

use super::db::{BindType, RewriteOutcome, Session};
use super::event::{Appended, NewEvent};
use super::log::Log;
use super::{StoreError, signature};
use crate::ids::Position;
use crate::tree::Hash;

/// Positions that are looked through at once for signatures of erased events.
const POSITIONS_AT_ONCE: i64 = 65_536;

/// Commands for the owner of a PostgreSQL database that end what an erasure leaves in its tables: the old
/// versions of the rows, samples of them in the planner's statistics, and files of dropped tables.
pub const SERVER_CLEANUP_COMMANDS: [&str; 3] = [
    "VACUUM (FULL, ANALYZE) subledger.events, subledger.redeliveries",
    "VACUUM FULL pg_catalog.pg_statistic",
    "CHECKPOINT",
];

impl Log {
    /// Erases the bodies, salts and signatures of the events at these positions, and the bodies of their
    /// redeliveries, and appends the records that say so, in one transaction.
    ///
    /// The bytes are gone from a file once it is rewritten ([`Self::rewrite`]), and from PostgreSQL after
    /// [`SERVER_CLEANUP_COMMANDS`]. [`StoreError::IdTaken`] where a record has the id of another event: nothing is erased.
    pub async fn erase(
        &self,
        positions: &[Position],
        records: &[NewEvent],
    ) -> Result<Vec<Appended>, StoreError> {
        self.append_erasing(positions, records).await
    }

    /// Erases the signatures of events whose bodies an earlier version erased alone.
    pub async fn erase_remaining_signatures(&self) -> Result<(), StoreError> {
        let size = self.head().await?.size;
        let mut after = Position::ZERO;
        while after < size {
            let up_to = after.plus(POSITIONS_AT_ONCE);
            let mut reader = self.0.db.read().await?;
            let mut session = reader.session();
            let rows = session.query(sql::LEFT_SIGNATURES).bind(after.0).bind(up_to.0).fetch_all();
            let left: Vec<Position> = (rows.await?.iter())
                .map(|row| row.get(0).map(Position))
                .collect::<Result<_, _>>()?;
            drop(reader);
            if !left.is_empty() {
                let mut write = self.0.db.write().await?;
                bodies(&mut write.session(), &left).await?;
                write.commit().await?;
            }
            after = up_to;
        }
        Ok(())
    }

    /// Rewrites the file of the log, so that neither it nor its write-ahead log holds what was erased. Appends wait
    /// meanwhile. Waits so long for other processes.
    pub async fn rewrite(&self, patience: Duration) -> Result<RewriteOutcome, StoreError> {
        self.0.db.rewrite(patience).await
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
    let bind = |to: &mut super::db::RowBinder<'_, '_>, position: &Position| to.integer(position.0);
    let position = [BindType::Integer];
    // A signature whose hash has no salt is hashed now, because its hash is not stored beside it.
    let template = session.text(sql::UNSALTED);
    let mut unsalted: BTreeMap<Position, Hash> = BTreeMap::new();
    for row in session.bulk(template, &position, positions, bind).await? {
        unsalted.insert(Position(row.get(0)?), signature::signature_hash(None, row.get(1)?));
    }
    let template = session.text(sql::ERASE);
    let erased =
        session.bulk(template, &[BindType::Integer, BindType::Bytes], positions, |to, it| {
            to.integer(it.0);
            to.bytes(unsalted.get(it).map(|hash| &hash[..]));
        });
    erased.await?;
    let template = session.text(sql::ERASE_REDELIVERIES);
    session.bulk(template, &position, positions, bind).await?;
    Ok(())
}

pub(super) mod sql {
    crate::store::db::statements! {
        OVERWRITE = sqlite "PRAGMA secure_delete = ON";
        UNSALTED = "SELECT position, signature FROM events
            WHERE position IN (SELECT column1 FROM ({rows}) AS bound) AND signature IS NOT NULL AND signature_hash IS NULL";
        ERASE = "UPDATE events SET payload = NULL, salt = NULL, signature = NULL, signature_hash = coalesce(signature_hash, bound.column2)
            FROM ({rows}) AS bound WHERE position = bound.column1 AND (payload IS NOT NULL OR signature IS NOT NULL)";
        ERASE_REDELIVERIES = "UPDATE redeliveries SET payload = NULL
            WHERE position IN (SELECT column1 FROM ({rows}) AS bound) AND payload IS NOT NULL";
        LEFT_SIGNATURES = "SELECT position FROM events
            WHERE position > $1 AND position <= $2 AND payload IS NULL AND signature IS NOT NULL";
    }
}
