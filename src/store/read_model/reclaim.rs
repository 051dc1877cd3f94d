//! Dropping of generations, and reclaiming of their space.
//!
//! A generation may have gigabytes, and the fold waits for the writer meanwhile. Tables are therefore dropped one by
//! one, the file shrinks in small steps, and each step yields to other writers.

use std::time::Duration;

use super::generation::sql::{BEGIN_EXCLUSIVE, IDS};
use super::generation::{GenerationStatus, status_of};
use super::generation_id::GenerationId;
use super::handle::ReadModel;
use super::tables::{FOLD_LAYER_TABLES, FORMER_TABLES, layer_suffix, read_model_tables};
use super::version::ReadModelVersion;
use super::{layer, parked_customers};
use crate::clock::Clock;
use crate::store::db::{Dialect, Query, RewriteOutcome, Session};
use crate::store::error::StoreError;
use crate::time::ReceivedAt;

/// Number of attempts of a step while another process has locked the database.
const LOCK_ATTEMPTS: u32 = 5;

impl ReadModel {
    /// Drops a generation that is not live, and reclaims its space.
    #[tracing::instrument(skip_all)]
    pub async fn generation_drop(&self, id: GenerationId) -> Result<(), StoreError> {
        let mut write = self.0.db.begin(BEGIN_EXCLUSIVE).await?;
        let mut session = write.session();
        if status_of(&mut session, id).await? == GenerationStatus::Live {
            return Err(StoreError::GenerationIsLive(id));
        }
        abandon(&mut session, id).await?;
        write.commit().await?;
        self.drop_abandoned(&[id]).await
    }

    /// Drops the incomplete generations whose lease expired before this instant. A process that is still building one
    /// finds that its lease is gone.
    #[tracing::instrument(skip_all)]
    pub async fn abandoned_drop(&self, since: ReceivedAt) -> Result<(), StoreError> {
        let mut write = self.0.db.begin(BEGIN_EXCLUSIVE).await?;
        let abandoned = ids(write.session().query(sql::ABANDONED).bind(since.0)).await?;
        write.commit().await?;
        self.drop_abandoned(&abandoned).await
    }

    /// Drops every generation, including the live one, because they were built from another log. Reads fail with
    /// [`StoreError::ReadModelBuilding`] until a new one is complete.
    #[tracing::instrument(skip_all)]
    pub async fn generations_clear(&self) -> Result<(), StoreError> {
        let mut write = self.0.db.begin(BEGIN_EXCLUSIVE).await?;
        let mut session = write.session();
        session.run(sql::VIEW_DROP).await?;
        session.run(sql::USERS_VIEW_DROP).await?;
        let all = ids(session.query(IDS)).await?;
        for id in &all {
            abandon(&mut session, *id).await?;
        }
        write.commit().await?;
        self.drop_abandoned(&all).await
    }

    /// Rewrites the file, so that neither it nor its write-ahead log holds dropped or changed bytes. The fold waits
    /// meanwhile. Waits at most `patience` for the lock of another process.
    #[tracing::instrument(skip_all)]
    pub async fn rewrite(&self, patience: Duration) -> Result<RewriteOutcome, StoreError> {
        self.0.db.rewrite(patience).await
    }

    /// Drops the tables of abandoned generations one by one, and reclaims their space.
    pub(super) async fn drop_abandoned(
        &self,
        abandoned: &[GenerationId],
    ) -> Result<(), StoreError> {
        for id in abandoned {
            for version in self.unshared_versions(*id).await? {
                let suffix = format!("g{}", version.made_by);
                self.drop_tables(version.tables.iter().map(String::as_str), &suffix).await?;
                let statement = parked_customers::sql::CLEAR
                    .replace("{g}", &version.made_by.to_string())
                    .replace("{read_model}", &version.name);
                retry_while_locked(|| self.run(statement.clone())).await?;
            }
            let statement = sql::DROP.replace("{g}", &id.to_string());
            retry_while_locked(|| self.run(statement.clone())).await?;
        }
        let has_dropped_layers = self.drop_unused_layers().await?;
        if abandoned.is_empty() && !has_dropped_layers { Ok(()) } else { self.shrink().await }
    }

    /// Versions of read models that no other generation has. Those of a generation of an earlier version of this program
    /// are all its own.
    async fn unshared_versions(
        &self,
        id: GenerationId,
    ) -> Result<Vec<ReadModelVersion>, StoreError> {
        let generations = self.generations().await?;
        let (own, others): (Vec<_>, Vec<_>) = generations.into_iter().partition(|it| it.id == id);
        let Some(generation) = own.into_iter().next() else { return Ok(Vec::new()) };
        if generation.read_models.is_empty() {
            let of_read_models = read_model_tables(self.projections());
            let tables = of_read_models.chain(FOLD_LAYER_TABLES).chain(FORMER_TABLES);
            return Ok(vec![ReadModelVersion {
                name: String::new(),
                made_by: id,
                fingerprint: String::new(),
                tables: tables.map(str::to_owned).collect(),
            }]);
        }
        let is_shared = |version: &ReadModelVersion| {
            let mut all = others.iter().flat_map(|it| &it.read_models);
            all.any(|it| (&it.name, it.made_by) == (&version.name, version.made_by))
        };
        Ok(generation.read_models.into_iter().filter(|it| !is_shared(it)).collect())
    }

    /// Drops the fold layers over which no generation stands. True if there were any.
    async fn drop_unused_layers(&self) -> Result<bool, StoreError> {
        let mut reader = self.0.db.read().await?;
        let unused = layer::unused(&mut reader.session()).await?;
        drop(reader);
        for id in &unused {
            let tables = FOLD_LAYER_TABLES.into_iter();
            self.drop_tables(tables, &layer_suffix(*id)).await?;
            // Last, so that a drop that was interrupted is repeated.
            let statement = layer::sql::DELETE.replace("{layer}", &id.to_string());
            retry_while_locked(|| self.run(statement.clone())).await?;
        }
        Ok(!unused.is_empty())
    }

    /// Drops tables one by one, as far as they exist.
    async fn drop_tables<'t>(
        &self,
        tables: impl Iterator<Item = &'t str>,
        suffix: &str,
    ) -> Result<(), StoreError> {
        for table in tables {
            let stopwatch = Clock::stopwatch();
            let statement = sql::DROP_TABLE.replace("{table}", &format!("{table}_{suffix}"));
            retry_while_locked(|| self.run(statement.clone())).await?;
            yield_to_writers(stopwatch.elapsed()).await;
        }
        Ok(())
    }

    /// Moves pages from the end of the SQLite file into its free pages, in small steps, and truncates the file.
    /// PostgreSQL has a file for each table.
    async fn shrink(&self) -> Result<(), StoreError> {
        if self.0.db.dialect() == Dialect::Postgres {
            return Ok(());
        }
        let mut free_pages = i64::MAX;
        loop {
            let stopwatch = Clock::stopwatch();
            retry_while_locked(|| self.0.db.run_on_writer(sql::SHRINK)).await?;
            let mut reader = self.0.db.read().await?;
            let left: i64 = reader.session().query(sql::FREE_PAGES).fetch_one().await?.get(0)?;
            // Stops if other writers free pages faster.
            if left == 0 || left >= free_pages {
                break;
            }
            free_pages = left;
            yield_to_writers(stopwatch.elapsed()).await;
        }
        // The file shrinks when the write-ahead log is moved into it. If a reader needs an older state, a later commit
        // does so.
        retry_while_locked(|| self.0.db.run_on_writer(sql::TRUNCATE_WAL)).await
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

/// Retries a step while another process has locked the database, which may commit without a pause. Each attempt waits
/// for the lock until the busy timeout.
async fn retry_while_locked<F>(step: impl Fn() -> F) -> Result<(), StoreError>
where
    F: Future<Output = Result<(), StoreError>>,
{
    for _ in 1..LOCK_ATTEMPTS {
        match step().await {
            Err(error) if error.is_locked() => {}
            done => return done,
        }
    }
    step().await
}

/// Leaves the database to other writers for as long as it was held: another process retries only now and then.
pub(super) async fn yield_to_writers(held_for: Duration) {
    tokio::time::sleep(held_for).await;
}

/// Marks a generation as incomplete and without a lease, so that the next rebuild drops it if this process does not.
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
        USERS_VIEW_DROP = "DROP VIEW IF EXISTS user_access";
        /// Frees 2048 pages in a step: 16 MiB.
        SHRINK = sqlite "PRAGMA incremental_vacuum(2048)";
        FREE_PAGES = sqlite "SELECT freelist_count FROM pragma_freelist_count";
        TRUNCATE_WAL = sqlite "PRAGMA wal_checkpoint(TRUNCATE)";
    }

    // Templates.
    pub(in crate::store) const DROP: &str = "DELETE FROM generations WHERE id = {g}";
    pub(in crate::store) const DROP_TABLE: &str = "DROP TABLE IF EXISTS {table}";
}
