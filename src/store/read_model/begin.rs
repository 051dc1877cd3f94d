//! Beginning of a generation and its fold layer, and the creation of their indexes.

use super::generation::sql::{BEGIN_EXCLUSIVE, BUILDING};
use super::generation::{Generation, GenerationLogic, read};
use super::generation_id::LayerId;
use super::handle::ReadModel;
use super::layer;
use super::lease::{self, Lease};
use super::reclaim::yield_to_writers;
use super::tables::{GenerationTables, TableGroup};
use crate::clock::Clock;
use crate::projection::read_model::Projections;
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
    /// No complete generation stands over this fold layer any more.
    LayerIsGone(LayerId),
}

impl ReadModel {
    /// Begins a generation with empty tables and without indexes, and takes its lease.
    ///
    /// It stands over an existing fold layer, from whose states its rows are yet to be made, or over a new one that begins
    /// with it. Everything is done in one transaction, and only if no other process is building a generation: of two
    /// processes that begin at the same moment one is refused.
    #[tracing::instrument(skip_all)]
    pub async fn generation_begin(
        &self,
        over: Option<LayerId>,
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
        if let Some(layer) = over
            && !layer::is_in_use(&mut session, layer).await?
        {
            write.rollback().await?;
            return Ok(BeginOutcome::LayerIsGone(layer));
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
        let layer = over.unwrap_or(generation.id);
        session.query(sql::SET_LAYER).bind(generation.id).bind(layer).execute().await?;
        let generation = Generation { layer: Some(layer), ..generation };
        let lease =
            Lease { generation: generation.id, layer: Some(layer), token: row.get("token")? };
        if over.is_none() {
            layer::begin(&mut session, layer, logic.fold_version).await?;
        }
        for group in groups_of(self.projections(), lease.tables()) {
            let (tables, _) = group.tables_and_indexes(session.dialect());
            session.run(lease.tables().fill(tables)).await?;
        }
        write.commit().await?;
        Ok(BeginOutcome::Started(generation, lease))
    }

    /// Creates the indexes of a generation after its rows were written, which takes a fraction of the time that
    /// updating them row by row takes. Yields to other writers between two indexes. False if another process has taken
    /// the lease.
    pub(super) async fn generation_index(&self, lease: &Lease) -> Result<bool, StoreError> {
        let (tables, dialect) = (lease.tables(), self.0.db.dialect());
        let indexes = indexes_of(self.projections(), tables, dialect);
        if !self.create_indexes(lease, indexes).await? {
            return Ok(false);
        }
        if dialect == Dialect::Postgres {
            // PostgreSQL has no statistics of a new table.
            for table in names_of(self.projections(), tables) {
                let mut write = self.0.db.write().await?;
                let mut session = write.session();
                session.disable_timeouts().await?;
                session.run(sql::ANALYZE.replace("{table}", &table)).await?;
                write.commit().await?;
            }
        }
        Ok(true)
    }

    /// Creates indexes one by one. False if another process has taken the lease.
    pub(super) async fn create_indexes(
        &self,
        lease: &Lease,
        indexes: Vec<&'static str>,
    ) -> Result<bool, StoreError> {
        for index in indexes {
            let stopwatch = Clock::stopwatch();
            let mut write = self.0.db.write().await?;
            let mut session = write.session();
            session.disable_timeouts().await?;
            // The lease is checked without a lock, because it must be renewed while an index is created. If another
            // process takes it meanwhile, the generation is dropped together with the index.
            let query = session.query(sql::IS_HELD).bind(lease.generation).bind(lease.token);
            let holds = query.fetch_optional().await?.is_some();
            if holds {
                session.run(lease.tables().fill(index)).await?;
            }
            write.commit().await?;
            if !holds {
                return Ok(false);
            }
            yield_to_writers(stopwatch.elapsed()).await;
        }
        Ok(true)
    }
}

/// Groups of tables that are created with a generation: those of its layer only if it begins the layer.
fn groups_of(
    projections: Projections,
    tables: GenerationTables,
) -> impl Iterator<Item = TableGroup> {
    let layer = tables.began_layer().then(TableGroup::fold_layer);
    layer.into_iter().chain(projections.iter().map(|it| TableGroup::of(*it)))
}

/// Statements that create the indexes of these tables.
fn indexes_of(
    projections: Projections,
    tables: GenerationTables,
    dialect: Dialect,
) -> Vec<&'static str> {
    groups_of(projections, tables).flat_map(|it| it.indexes(dialect).collect::<Vec<_>>()).collect()
}

/// Names of these tables.
fn names_of(projections: Projections, tables: GenerationTables) -> Vec<String> {
    let of_group = |group: TableGroup| {
        let names = group.tables.iter().map(|table| tables.fill(&group.name_of(table)));
        names.collect::<Vec<_>>()
    };
    groups_of(projections, tables).flat_map(of_group).collect()
}

pub(in crate::store) mod sql {
    crate::store::db::statements! {
        BEGIN = sqlite "INSERT INTO generations (status, fingerprint, fold_version, policy, user_keys, log_id, created_at, token, lease_holder, lease_until)
            VALUES ('building', $1, $2, $3, $4, $5, $6, 1, $7, $8)
            RETURNING id, status, fingerprint, fold_version, policy, user_keys, layer, log_id, position, leaf_hash, folded_received_at, built,
                token, lease_holder, lease_until, created_at, completed_at, pinned",
            postgres "WITH number AS (UPDATE generation_numbers SET last = last + 1 RETURNING last)
            INSERT INTO generations (id, status, fingerprint, fold_version, policy, user_keys, log_id, created_at, token, lease_holder, lease_until)
            SELECT last, 'building', $1, $2::bigint, $3, $4, $5, $6::bigint, 1, $7, $8::bigint FROM number
            RETURNING id, status, fingerprint, fold_version, policy, user_keys, layer, log_id, position, leaf_hash, folded_received_at, built,
                token, lease_holder, lease_until, created_at, completed_at, pinned";
        SET_LAYER = "UPDATE generations SET layer = $2 WHERE id = $1";
        IS_HELD = "SELECT 1 FROM generations WHERE id = $1 AND token = $2";
    }

    // Template.
    pub(in crate::store) const ANALYZE: &str = "ANALYZE {table}";
}
