//! Progress of a backfill, kept beside the log, so that it goes on after an interruption.

use super::db::Row;
use super::error::StoreError;
use super::log::Log;
use crate::ids::Scope;
use crate::time::ReceivedAt;

/// Progress of one step of a backfill: of one list of one account and mode.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackfillProgress {
    /// Name of the step.
    pub step: String,
    /// Id of the last object that was read; none before the first page.
    pub cursor: Option<String>,
    /// Start of the step, by the ledger's clock.
    pub started_at: ReceivedAt,
    /// End of the step; none while it is not complete.
    pub ended_at: Option<ReceivedAt>,
    /// Time of the last write of this progress.
    pub saved_at: ReceivedAt,
    /// Number of objects that were read.
    pub seen: u64,
    /// Number of objects that say nothing new.
    pub confirmed: u64,
    /// Number of events that were appended.
    pub appended: u64,
    /// Number of objects that cannot be read, and were not appended.
    pub unreadable: u64,
}

impl Log {
    /// Reads the progress of the latest backfill of an account and mode, by steps.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn backfill_progress(
        &self,
        scope: &Scope,
    ) -> Result<Vec<BackfillProgress>, StoreError> {
        let mut reader = self.0.db.read().await?;
        let mut session = reader.session();
        let query = session.query(sql::READ).bind(scope.account.as_str()).bind(scope.livemode);
        query.fetch_all().await?.iter().map(read).collect()
    }

    /// Writes the progress of one step.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn save_backfill_progress(
        &self,
        scope: &Scope,
        progress: &BackfillProgress,
    ) -> Result<(), StoreError> {
        let BackfillProgress {
            step,
            cursor,
            started_at,
            ended_at,
            saved_at,
            seen,
            confirmed,
            appended,
            unreadable,
        } = progress;
        let mut write = self.0.db.write_autocommit().await?;
        let mut session = write.session();
        let query = session.query(sql::SAVE).bind(scope.account.as_str()).bind(scope.livemode);
        let query = query.bind(step.as_str()).bind(cursor.as_deref());
        let query = query.bind(started_at.0).bind(ended_at.map(|at| at.0)).bind(saved_at.0);
        let query = query.bind(count(*seen)).bind(count(*confirmed));
        query.bind(count(*appended)).bind(count(*unreadable)).execute().await?;
        write.commit().await
    }

    /// Removes the progress of the latest backfill, so that the next one begins at the start.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn clear_backfill_progress(&self, scope: &Scope) -> Result<(), StoreError> {
        let mut write = self.0.db.write_autocommit().await?;
        let mut session = write.session();
        let query = session.query(sql::CLEAR).bind(scope.account.as_str()).bind(scope.livemode);
        query.execute().await?;
        write.commit().await
    }
}

fn count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn read(row: &Row) -> Result<BackfillProgress, StoreError> {
    let count = |column| Ok::<_, StoreError>(row.get::<i64, _>(column)?.unsigned_abs());
    Ok(BackfillProgress {
        step: row.get(0)?,
        cursor: row.get(1)?,
        started_at: ReceivedAt(row.get(2)?),
        ended_at: row.get::<Option<i64>, _>(3)?.map(ReceivedAt),
        saved_at: ReceivedAt(row.get(4)?),
        seen: count(5)?,
        confirmed: count(6)?,
        appended: count(7)?,
        unreadable: count(8)?,
    })
}

pub(in crate::store) mod sql {
    crate::store::db::statements! {
        READ = "SELECT step, cursor, started_at, ended_at, saved_at, seen, confirmed, appended, unreadable FROM backfills
            WHERE account = $1 AND livemode = $2 ORDER BY started_at, step";
        SAVE = "INSERT INTO backfills (account, livemode, step, cursor, started_at, ended_at, saved_at, seen, confirmed, appended, unreadable)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
            ON CONFLICT (account, livemode, step) DO UPDATE SET cursor = excluded.cursor, started_at = excluded.started_at,
                ended_at = excluded.ended_at, saved_at = excluded.saved_at, seen = excluded.seen, confirmed = excluded.confirmed,
                appended = excluded.appended, unreadable = excluded.unreadable";
        CLEAR = "DELETE FROM backfills WHERE account = $1 AND livemode = $2";
    }
}
