//! Erasure of bodies: the only change to logged events.

use std::collections::BTreeMap;
use std::time::Duration;

use super::db::{RewriteOutcome, RowBinder, Session};
use super::error::StoreError;
use super::event::signature;
use super::log::Log;
use crate::ids::Position;
use crate::tree::Hash;

/// Number of positions that one statement searches for signatures of erased events.
const POSITIONS_AT_ONCE: i64 = 65_536;

/// Commands for the owner of a PostgreSQL database that remove what an erasure leaves in its files: old versions of
/// rows, samples of them in the planner's statistics, and files of dropped tables.
pub const SERVER_CLEANUP_COMMANDS: [&str; 3] = [
    "VACUUM (FULL, ANALYZE) subledger.events, subledger.redeliveries",
    "VACUUM FULL pg_catalog.pg_statistic",
    "CHECKPOINT",
];

impl Log {
    /// Erases the signatures of events of which an earlier version erased only the body.
    #[tracing::instrument(skip_all)]
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

    /// Rewrites the file of the log, so that neither it nor its write-ahead log holds erased bytes. Appends wait
    /// meanwhile. Waits at most `patience` for the lock of another process.
    #[tracing::instrument(skip_all)]
    pub async fn rewrite(&self, patience: Duration) -> Result<RewriteOutcome, StoreError> {
        self.0.db.rewrite(patience).await
    }
}

/// Enables the overwriting of deleted bytes. To be called before a transaction begins.
pub(super) async fn prepare(session: &mut Session<'_>) -> Result<(), StoreError> {
    session.run(sql::OVERWRITE).await
}

/// Erases the bodies, salts and signatures at these positions, inside a transaction. Reports of reconciliations go
/// with them: they name users and values, and the next reconciliation writes new ones.
pub(super) async fn bodies(
    session: &mut Session<'_>,
    positions: &[Position],
) -> Result<(), StoreError> {
    let bind = |to: &mut RowBinder<'_, '_>, position: &Position| to.integer(position.0);
    // An unsalted hash of a signature is not stored, so that it is computed now.
    let mut unsalted: BTreeMap<Position, Hash> = BTreeMap::new();
    for row in session.bulk(sql::UNSALTED, positions, bind).await? {
        unsalted.insert(Position(row.get(0)?), signature::signature_hash(None, row.get(1)?));
    }
    let erased = session.bulk(sql::ERASE, positions, |to, it| {
        to.integer(it.0);
        to.bytes(unsalted.get(it).map(|hash| &hash[..]));
    });
    erased.await?;
    session.bulk(sql::ERASE_REDELIVERIES, positions, bind).await?;
    if !positions.is_empty() {
        session.query(sql::ERASE_REPORTS).execute().await?;
    }
    Ok(())
}

pub(super) mod sql {
    crate::store::db::statements! {
        OVERWRITE = sqlite "PRAGMA secure_delete = ON";
        UNSALTED [Integer] = "SELECT position, signature FROM events
            WHERE position IN (SELECT column1 FROM ({rows}) AS bound) AND signature IS NOT NULL AND signature_hash IS NULL";
        ERASE [Integer, Bytes] = "UPDATE events SET payload = NULL, salt = NULL, signature = NULL, signature_hash = coalesce(signature_hash, bound.column2)
            FROM ({rows}) AS bound WHERE position = bound.column1 AND (payload IS NOT NULL OR signature IS NOT NULL)";
        ERASE_REDELIVERIES [Integer] = "UPDATE redeliveries SET payload = NULL
            WHERE position IN (SELECT column1 FROM ({rows}) AS bound) AND payload IS NOT NULL";
        ERASE_REPORTS = "UPDATE sync_state SET reconciled_at = NULL, drift = NULL WHERE drift IS NOT NULL";
        LEFT_SIGNATURES = "SELECT position FROM events
            WHERE position > $1 AND position <= $2 AND payload IS NULL AND signature IS NOT NULL";
    }
}
