//! Beginning of a generation and its fold layer, and the creation of their indexes.

use super::generation::sql::{BEGIN_EXCLUSIVE, BUILDING};
use super::generation::{Generation, GenerationLogic, read};
use super::generation_id::{GenerationId, LayerId};
use super::handle::ReadModel;
use super::layer;
use super::lease::{self, Lease};
use super::reclaim::yield_to_writers;
use super::tables::{GenerationTables, TableGroup};
use super::version::ReadModelVersion;
use crate::clock::Clock;
use crate::store::db::{Dialect, Session};
use crate::store::error::StoreError;
use crate::time::ReceivedAt;

/// Parts of the live generation that a new one takes over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foundation {
    /// Fold layer, from whose states the rows are made.
    pub layer: LayerId,
    /// Read models whose tables are shared.
    pub shared: Vec<ReadModelVersion>,
}

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
    /// It stands over an existing fold layer, from whose states its rows are yet to be made, and may share read models with
    /// the live generation; or over a new layer that begins with it. Everything is done in one transaction, and only if no other process is building a generation: of two
    /// processes that begin at the same moment one is refused.
    #[tracing::instrument(skip_all)]
    pub async fn generation_begin(
        &self,
        over: Option<&Foundation>,
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
            return Ok(BeginOutcome::AlreadyBuilding(read(&row, self.projections())?));
        }
        if let Some(Foundation { layer, shared }) = over {
            let live = read_models_of_live(&mut session).await?;
            let is_there = shared.iter().all(|version| live.contains(version));
            if !is_there || !layer::is_in_use(&mut session, *layer).await? {
                write.rollback().await?;
                return Ok(BeginOutcome::LayerIsGone(*layer));
            }
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
        let id: GenerationId = row.get("id")?;
        let layer = over.map_or(id, |it| it.layer);
        let shared = over.map_or(&[][..], |it| &it.shared);
        let read_models: Vec<_> = self
            .projections()
            .iter()
            .map(|projection| {
                let is_it = |it: &&ReadModelVersion| it.name == projection.name();
                let own =
                    || ReadModelVersion::new(*projection, id, logic.fingerprint_of(*projection));
                shared.iter().find(is_it).cloned().unwrap_or_else(own)
            })
            .collect();
        let text = serde_json::to_string(&read_models)
            .map_err(|error| StoreError::Internal(error.into()))?;
        let query = session.query(sql::SET_TABLES).bind(id).bind(layer).bind(text);
        let generation = read(&query.fetch_one().await?, self.projections())?;
        let made_by = generation.tables().made_by;
        let lease = Lease { generation: id, layer: Some(layer), made_by, token: row.get("token")? };
        if over.is_none() {
            layer::begin(&mut session, layer, logic.fold_version).await?;
        }
        for group in groups_of(lease.tables()) {
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
        let indexes = indexes_of(tables, dialect);
        if !self.create_indexes(lease, indexes).await? {
            return Ok(false);
        }
        if dialect == Dialect::Postgres {
            // PostgreSQL has no statistics of a new table.
            for table in names_of(tables) {
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

/// Groups of tables that are created with a generation: those of its layer only if it begins the layer, and those of the
/// read models that it shares with no other.
fn groups_of(tables: GenerationTables) -> impl Iterator<Item = TableGroup> {
    let layer = tables.began_layer().then(TableGroup::fold_layer);
    layer.into_iter().chain(tables.own_projections().map(TableGroup::of))
}

/// Statements that create the indexes of these tables.
fn indexes_of(tables: GenerationTables, dialect: Dialect) -> Vec<&'static str> {
    groups_of(tables).flat_map(|it| it.indexes(dialect).collect::<Vec<_>>()).collect()
}

/// Names of these tables.
fn names_of(tables: GenerationTables) -> Vec<String> {
    let of_group = |group: TableGroup| {
        let names = group.tables.iter().map(|table| tables.fill(&group.name_of(table)));
        names.collect::<Vec<_>>()
    };
    groups_of(tables).flat_map(of_group).collect()
}

/// Read models of the live generation, inside a transaction.
pub(super) async fn read_models_of_live(
    session: &mut Session<'_>,
) -> Result<Vec<ReadModelVersion>, StoreError> {
    let row = session.query(sql::READ_MODELS_OF_LIVE).fetch_optional().await?;
    let stored = row.as_ref().map(|row| row.get::<Option<&str>, _>(0)).transpose()?.flatten();
    Ok(ReadModelVersion::parse_all(stored))
}

pub(in crate::store) mod sql {
    crate::store::db::statements! {
        BEGIN = sqlite "INSERT INTO generations (status, fingerprint, fold_version, policy, user_keys, log_id, created_at, token, lease_holder, lease_until)
            VALUES ('building', $1, $2, $3, $4, $5, $6, 1, $7, $8)
            RETURNING id, status, fingerprint, fold_version, policy, user_keys, layer, read_models, log_id, position, leaf_hash, folded_received_at, built,
                token, lease_holder, lease_until, created_at, completed_at, pinned",
            postgres "WITH number AS (UPDATE generation_numbers SET last = last + 1 RETURNING last)
            INSERT INTO generations (id, status, fingerprint, fold_version, policy, user_keys, log_id, created_at, token, lease_holder, lease_until)
            SELECT last, 'building', $1, $2::bigint, $3, $4, $5, $6::bigint, 1, $7, $8::bigint FROM number
            RETURNING id, status, fingerprint, fold_version, policy, user_keys, layer, read_models, log_id, position, leaf_hash, folded_received_at, built,
                token, lease_holder, lease_until, created_at, completed_at, pinned";
        SET_TABLES = "UPDATE generations SET layer = $2, read_models = $3 WHERE id = $1
            RETURNING id, status, fingerprint, fold_version, policy, user_keys, layer, read_models, log_id, position, leaf_hash, folded_received_at, built,
                lease_holder, lease_until, created_at, completed_at, pinned";
        READ_MODELS_OF_LIVE = "SELECT read_models FROM generations WHERE status = 'live'";
        IS_HELD = "SELECT 1 FROM generations WHERE id = $1 AND token = $2";
    }

    // Template.
    pub(in crate::store) const ANALYZE: &str = "ANALYZE {table}";
}
