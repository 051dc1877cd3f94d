//! Beginning of a generation, and the creation of its indexes.

use super::generation::sql::{BEGIN_EXCLUSIVE, BUILDING};
use super::generation::{Generation, GenerationLogic, read};
use super::handle::ReadModel;
use super::lease::{self, Lease};
use super::reclaim::yield_to_writers;
use super::tables::{TABLE_NAMES, for_generation, tables_and_indexes};
use crate::clock::Clock;
use crate::store::db::Dialect;
use crate::store::error::StoreError;
use crate::time::ReceivedAt;

/// Outcome of beginning a generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BeginOutcome {
    /// The generation was created, and the caller has its lease.
    Started(Generation, Lease),
    /// Another process is building this generation, and only one is built at a time.
    AlreadyBuilding(Generation),
}

impl ReadModel {
    /// Statements that create the tables of a generation, in both dialects. They are part of the fingerprint of a
    /// generation.
    pub const SCHEMA: &'static str = concat!(
        include_str!("../../../projections/current_subscriptions/sqlite.sql"),
        include_str!("../../../projections/current_subscriptions/postgres.sql"),
    );

    /// Begins a generation with empty tables and without indexes, and takes its lease.
    ///
    /// Both are done in one transaction, and only if no other process is building a generation: of two processes that
    /// begin at the same moment one is refused.
    #[tracing::instrument(skip_all)]
    pub async fn generation_begin(
        &self,
        logic: &GenerationLogic,
        log_id: &str,
        holder: &str,
        now: ReceivedAt,
        ttl_seconds: u32,
    ) -> Result<BeginOutcome, StoreError> {
        let mut write = self.0.db.begin(BEGIN_EXCLUSIVE).await?;
        let mut session = write.session();
        if let Some(row) = session.query(BUILDING).bind(now.0).fetch_optional().await? {
            write.rollback().await?;
            return Ok(BeginOutcome::AlreadyBuilding(read(&row)?));
        }
        let row = session
            .query(sql::BEGIN)
            .bind(logic.fingerprint.as_str())
            .bind(logic.fold_version)
            .bind(logic.policy.as_str())
            .bind(logic.user_keys.as_str())
            .bind(log_id)
            .bind(self.0.clock.now().0)
            .bind(holder)
            .bind(lease::expiry(now, ttl_seconds).0)
            .fetch_one()
            .await?;
        let generation = read(&row)?;
        let lease = Lease { generation: generation.id, token: row.get("token")? };
        let (tables, _) = tables_and_indexes(session.dialect());
        session.run(for_generation(tables, generation.id)).await?;
        write.commit().await?;
        Ok(BeginOutcome::Started(generation, lease))
    }

    /// Creates the indexes of a generation after its rows were written, which takes a fraction of the time that
    /// updating them row by row takes. Yields to other writers between two indexes. False if another process has taken
    /// the lease.
    pub(super) async fn generation_index(&self, lease: &Lease) -> Result<bool, StoreError> {
        let (_, indexes) = tables_and_indexes(self.0.db.dialect());
        for index in indexes.split(';').filter(|it| !it.trim().is_empty()) {
            let stopwatch = Clock::stopwatch();
            let mut write = self.0.db.write().await?;
            let mut session = write.session();
            session.disable_timeouts().await?;
            // The lease is checked without a lock, because it must be renewed while an index is created. If another
            // process takes it meanwhile, the generation is dropped together with the index.
            let query = session.query(sql::IS_HELD).bind(lease.generation).bind(lease.token);
            let holds = query.fetch_optional().await?.is_some();
            if holds {
                session.run(for_generation(index, lease.generation)).await?;
            }
            write.commit().await?;
            if !holds {
                return Ok(false);
            }
            yield_to_writers(stopwatch.elapsed()).await;
        }
        if self.0.db.dialect() == Dialect::Postgres {
            // PostgreSQL has no statistics of a new table.
            for table in TABLE_NAMES {
                let mut write = self.0.db.write().await?;
                let mut session = write.session();
                session.disable_timeouts().await?;
                let analyze = sql::ANALYZE.replace("{table}", table);
                session.run(for_generation(&analyze, lease.generation)).await?;
                write.commit().await?;
            }
        }
        Ok(true)
    }
}

pub(in crate::store) mod sql {
    crate::store::db::statements! {
        BEGIN = sqlite "INSERT INTO generations (status, fingerprint, fold_version, policy, user_keys, log_id, created_at, token, lease_holder, lease_until)
            VALUES ('building', $1, $2, $3, $4, $5, $6, 1, $7, $8)
            RETURNING id, status, fingerprint, fold_version, policy, user_keys, log_id, position, leaf_hash, folded_received_at, built,
                token, lease_holder, lease_until, created_at, completed_at, pinned",
            postgres "WITH number AS (UPDATE generation_numbers SET last = last + 1 RETURNING last)
            INSERT INTO generations (id, status, fingerprint, fold_version, policy, user_keys, log_id, created_at, token, lease_holder, lease_until)
            SELECT last, 'building', $1, $2::bigint, $3, $4, $5, $6::bigint, 1, $7, $8::bigint FROM number
            RETURNING id, status, fingerprint, fold_version, policy, user_keys, log_id, position, leaf_hash, folded_received_at, built,
                token, lease_holder, lease_until, created_at, completed_at, pinned";
        IS_HELD = "SELECT 1 FROM generations WHERE id = $1 AND token = $2";
    }

    // Template.
    pub(in crate::store) const ANALYZE: &str = "ANALYZE {table}_g{g}";
}
