//! Dropping generations, and giving their space back to the disk.
//!
//! A generation may be gigabytes, and whoever folds waits for the one connection that writes. So it
//! goes table by table, the file shrinks a little at a time, and between any two steps there is
//! time for others.

use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection as _};

use super::generation::sql::IDS;
use super::generation::{TABLE_NAMES, of, status_of};
use super::{GenerationId, GenerationStatus, ReadModel};
use crate::clock::{Clock, Stopwatch};
use crate::store::{StoreError, append};
use crate::time::ReceivedAt;

impl ReadModel {
    /// Drops a generation that is not live, and gives its space back.
    pub async fn generation_drop(&self, id: GenerationId) -> Result<(), StoreError> {
        let mut writer = self.0.writer.lock().await;
        let mut connection = writer.take().await?;
        let mut transaction = connection.begin_with(append::sql::BEGIN).await?;
        if status_of(&mut transaction, id).await? == GenerationStatus::Live {
            return Err(StoreError::GenerationIsLive(id));
        }
        abandon(&mut transaction, id).await?;
        transaction.commit().await?;
        writer.put_back(connection);
        drop(writer);
        self.discard(&[id]).await
    }

    /// Drops the generations that were never completed and that nobody has held since this instant:
    /// whoever was making one has ended, or finds that its lease is gone.
    pub async fn abandoned_drop(&self, since: ReceivedAt) -> Result<(), StoreError> {
        let mut writer = self.0.writer.lock().await;
        let mut connection = writer.take().await?;
        let abandoned: Vec<GenerationId> =
            sqlx::query_scalar(sql::ABANDONED).bind(since.0).fetch_all(&mut connection).await?;
        writer.put_back(connection);
        drop(writer);
        self.discard(&abandoned).await
    }

    /// Drops every generation, the live one too: for when they were made from another log. Reads
    /// answer [`StoreError::ReadModelBuilding`] until one is complete again.
    pub async fn generations_clear(&self) -> Result<(), StoreError> {
        let mut writer = self.0.writer.lock().await;
        let mut connection = writer.take().await?;
        let mut transaction = connection.begin_with(append::sql::BEGIN).await?;
        sqlx::query(sql::VIEW_DROP).execute(&mut *transaction).await?;
        let all: Vec<GenerationId> = sqlx::query_scalar(IDS).fetch_all(&mut *transaction).await?;
        for id in &all {
            abandon(&mut transaction, *id).await?;
        }
        transaction.commit().await?;
        writer.put_back(connection);
        drop(writer);
        self.discard(&all).await
    }

    /// Drops what is abandoned, table by table.
    pub(super) async fn discard(&self, abandoned: &[GenerationId]) -> Result<(), StoreError> {
        for id in abandoned {
            for table in TABLE_NAMES {
                let stopwatch = Clock::stopwatch();
                self.write(&of(&sql::DROP_TABLE.replace("{table}", table), *id)).await?;
                let_others(stopwatch).await;
            }
            self.write(&of(sql::DROP, *id)).await?;
        }
        if abandoned.is_empty() { Ok(()) } else { self.shrink().await }
    }

    /// Moves what stands at the end of the file into its gaps, a little at a time, and cuts the end off.
    async fn shrink(&self) -> Result<(), StoreError> {
        let mut gaps = i64::MAX;
        loop {
            let stopwatch = Clock::stopwatch();
            self.write(sql::SHRINK).await?;
            let left: i64 = sqlx::query_scalar(sql::GAPS).fetch_one(&self.0.readers).await?;
            // Others may make gaps meanwhile, and fill them: theirs are not waited for.
            if left == 0 || left >= gaps {
                break;
            }
            gaps = left;
            let_others(stopwatch).await;
        }
        // The file itself is as long as it was until the write-ahead log has gone into it. Where
        // somebody reads an older state that does not happen now, but with a later commit.
        self.write(sql::CHECKPOINT).await
    }

    /// Runs statements, each a transaction of its own.
    pub(super) async fn write(&self, statements: &str) -> Result<(), StoreError> {
        let mut writer = self.0.writer.lock().await;
        let mut connection = writer.take().await?;
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut connection).await?;
        writer.put_back(connection);
        Ok(())
    }
}

/// Leaves the file to others for as long as a step took: another process asks for it only now and then.
pub(super) async fn let_others(step: Stopwatch) {
    tokio::time::sleep(step.elapsed()).await;
}

/// Marks a generation as one that was never completed and that nobody makes: whoever begins a rebuild
/// drops it, should it still be there.
pub(super) async fn abandon(
    connection: &mut SqliteConnection,
    id: GenerationId,
) -> Result<(), StoreError> {
    sqlx::query(sql::ABANDON).bind(id).execute(connection).await?;
    Ok(())
}

pub(in crate::store) mod sql {
    crate::store::statements::statements! {
        ABANDON = "UPDATE generations SET status = 'building', pinned = 0, token = token + 1, lease_holder = NULL, lease_until = 0
            WHERE id = ?";
        ABANDONED = "UPDATE generations SET token = token + 1, lease_holder = NULL, lease_until = 0
            WHERE status = 'building' AND lease_until <= ? RETURNING id";
        DROP = "DELETE FROM generations WHERE id = {g}";
        VIEW_DROP = "DROP VIEW IF EXISTS current_subscriptions";
        /// In pages: 16 MiB a step.
        SHRINK = "PRAGMA incremental_vacuum(2048)";
        GAPS = "SELECT freelist_count FROM pragma_freelist_count";
        CHECKPOINT = "PRAGMA wal_checkpoint(TRUNCATE)";
    }

    // A statement with a name to fill in.
    pub(in crate::store) const DROP_TABLE: &str = "DROP TABLE IF EXISTS {table}_g{g}";
}
