//! Dropping generations, and giving their space back to the disk.
//!
//! A generation may be gigabytes, and whoever folds waits for the one connection that writes. So it
//! goes table by table, the file shrinks a little at a time, and between any two steps there is
//! time for others.

use std::time::Duration;

use super::generation::sql::IDS;
use super::generation::{TABLE_NAMES, for_generation, status_of};
use super::swap::sql::BEGIN_EXCLUSIVE;
use super::{GenerationId, GenerationStatus, ReadModel};
use crate::clock::Clock;
use crate::store::StoreError;
use crate::store::db::{Dialect, Query, RewriteOutcome, Session};
use crate::time::ReceivedAt;

impl ReadModel {
    /// Drops a generation that is not live, and gives its space back.
    pub async fn generation_drop(&self, id: GenerationId) -> Result<(), StoreError> {
        let mut write = self.0.db.begin(BEGIN_EXCLUSIVE).await?;
        let mut session = write.session();
        if status_of(&mut session, id).await? == GenerationStatus::Live {
            return Err(StoreError::GenerationIsLive(id));
        }
        abandon(&mut session, id).await?;
        write.commit().await?;
        self.discard(&[id]).await
    }

    /// Drops the generations that were never completed and that nobody has held since this instant:
    /// whoever was making one has ended, or finds that its lease is gone.
    pub async fn abandoned_drop(&self, since: ReceivedAt) -> Result<(), StoreError> {
        let mut write = self.0.db.begin(BEGIN_EXCLUSIVE).await?;
        let abandoned = ids(write.session().query(sql::ABANDONED).bind(since.0)).await?;
        write.commit().await?;
        self.discard(&abandoned).await
    }

    /// Drops every generation, the live one too: for when they were made from another log. Reads
    /// answer [`StoreError::ReadModelBuilding`] until one is complete again.
    pub async fn generations_clear(&self) -> Result<(), StoreError> {
        let mut write = self.0.db.begin(BEGIN_EXCLUSIVE).await?;
        let mut session = write.session();
        session.run(sql::VIEW_DROP).await?;
        let all = ids(session.query(IDS)).await?;
        for id in &all {
            abandon(&mut session, *id).await?;
        }
        write.commit().await?;
        self.discard(&all).await
    }

    /// Rewrites the file, so that neither it nor its write-ahead log holds what was dropped or changed. Folding waits
    /// meanwhile. Waits so long for other processes.
    pub async fn rewrite(&self, patience: Duration) -> Result<RewriteOutcome, StoreError> {
        self.0.db.rewrite(patience).await
    }

    /// Drops what is abandoned, table by table.
    pub(super) async fn discard(&self, abandoned: &[GenerationId]) -> Result<(), StoreError> {
        for id in abandoned {
            for table in TABLE_NAMES {
                let stopwatch = Clock::stopwatch();
                self.run(for_generation(&sql::DROP_TABLE.replace("{table}", table), *id)).await?;
                yield_to_writers(stopwatch.elapsed()).await;
            }
            self.run(for_generation(sql::DROP, *id)).await?;
        }
        if abandoned.is_empty() { Ok(()) } else { self.shrink().await }
    }

    /// Moves what stands at the end of SQLite's file into its gaps, a little at a time, and cuts the end off.
    /// PostgreSQL's tables are files of their own.
    async fn shrink(&self) -> Result<(), StoreError> {
        if self.0.db.dialect() == Dialect::Postgres {
            return Ok(());
        }
        let mut gaps = i64::MAX;
        loop {
            let stopwatch = Clock::stopwatch();
            self.0.db.run(sql::SHRINK).await?;
            let mut reader = self.0.db.read().await?;
            let left: i64 = reader.session().query(sql::GAPS).fetch_one().await?.get(0)?;
            // Others may make gaps meanwhile, and fill them: theirs are not waited for.
            if left == 0 || left >= gaps {
                break;
            }
            gaps = left;
            yield_to_writers(stopwatch.elapsed()).await;
        }
        // The file itself is as long as it was until the write-ahead log has gone into it. Where
        // somebody reads an older state that does not happen now, but with a later commit.
        self.0.db.run(sql::CHECKPOINT).await
    }

    /// Runs a statement in a transaction of its own.
    async fn run(&self, statement: String) -> Result<(), StoreError> {
        let mut write = self.0.db.write().await?;
        write.session().run(statement).await?;
        write.commit().await
    }
}

async fn ids(query: Query<'_>) -> Result<Vec<GenerationId>, StoreError> {
    query.fetch_all().await?.iter().map(|row| row.get(0)).collect()
}

/// Leaves the database to other writers for as long as it was held: another process retries only now and then.
pub(super) async fn yield_to_writers(held_for: Duration) {
    tokio::time::sleep(held_for).await;
}

/// Marks a generation as one that was never completed and that nobody makes: whoever begins a rebuild
/// drops it, should it still be there.
pub(super) async fn abandon(session: &mut Session<'_>, id: GenerationId) -> Result<(), StoreError> {
    session.query(sql::ABANDON).bind(id).execute().await?;
    Ok(())
}

pub(in crate::store) mod sql {
    crate::store::db::statements! {
        ABANDON = "UPDATE generations SET status = 'building', pinned = 0, token = token + 1, lease_holder = NULL, lease_until = 0
            WHERE id = $1";
        ABANDONED = "UPDATE generations SET token = token + 1, lease_holder = NULL, lease_until = 0
            WHERE status = 'building' AND lease_until <= $1 RETURNING id";
        VIEW_DROP = "DROP VIEW IF EXISTS current_subscriptions";
        /// In pages: 16 MiB a step.
        SHRINK = sqlite "PRAGMA incremental_vacuum(2048)";
        GAPS = sqlite "SELECT freelist_count FROM pragma_freelist_count";
        CHECKPOINT = sqlite "PRAGMA wal_checkpoint(TRUNCATE)";
    }

    // Statements with names to fill in.
    pub(in crate::store) const DROP: &str = "DELETE FROM generations WHERE id = {g}";
    pub(in crate::store) const DROP_TABLE: &str = "DROP TABLE IF EXISTS {table}_g{g}";
}
