//! Generations of the read model, one of which is live.

use super::generation_id::{GenerationId, LayerId};
use super::handle::ReadModel;
use super::tables::GenerationTables;
use super::version::{MadeBy, ReadModelVersion};
use crate::ids::Position;
use crate::projection::Logic;
use crate::projection::read_model::Projections;
use crate::store::db::{Database, Row, Session, to_hash};
use crate::store::error::StoreError;
use crate::time::ReceivedAt;
use crate::tree::Hash;

/// One version of every read model, over a fold layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generation {
    /// Number of the generation.
    pub id: GenerationId,
    /// Status of the generation.
    pub status: GenerationStatus,
    /// Logic that builds it.
    pub logic: GenerationLogic,
    /// Fold layer that its rows are made from. None for a generation of an earlier version of this program, whose tables
    /// are all its own.
    pub layer: Option<LayerId>,
    /// Its read models, and the generations that made their tables. Empty for a generation of an earlier version of this
    /// program.
    pub read_models: Vec<ReadModelVersion>,
    made_by: MadeBy,
    /// Id of the log that it is built from.
    pub log_id: String,
    /// Last folded event.
    pub position: Position,
    /// Leaf hash of that event, by which another log is detected. None before the first event.
    pub leaf_hash: Option<Hash>,
    /// Time of arrival of that event.
    pub folded_received_at: ReceivedAt,
    /// Number of events that a rebuild has folded but not yet written.
    pub built: i64,
    /// Process that folds it, if there is or was one.
    pub lease_holder: Option<String>,
    /// End of the lease of that process.
    pub lease_until: ReceivedAt,
    /// Time when it was begun.
    pub created_at: ReceivedAt,
    /// Time when it became live first.
    pub completed_at: Option<ReceivedAt>,
    /// True if an operator activated it, so that newer logic does not replace it automatically.
    pub pinned: bool,
}

/// Status of a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GenerationStatus {
    /// Not complete.
    Building,
    /// Answers all reads.
    Live,
    /// Live before, and kept so that it can be activated again.
    Previous,
}

/// Logic that builds a generation. It is stored with the generation, and used by each process that folds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerationLogic {
    /// Hash over all of it.
    pub fingerprint: String,
    /// Version of the fold.
    pub fold_version: i64,
    /// Text of the policy.
    pub policy: String,
    /// Metadata keys that name a user.
    pub user_keys: String,
}

/// Generation that an answer was read from, and its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GenerationStamp {
    /// Number of the generation.
    pub generation: GenerationId,
    /// Last folded event.
    pub position: Position,
    /// Time of arrival of that event; zero before the first event.
    pub folded_received_at: ReceivedAt,
}

impl ReadModel {
    /// Reads all generations, the oldest first.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn generations(&self) -> Result<Vec<Generation>, StoreError> {
        if matches!(self.database(), Database::Absent(None)) {
            return Ok(Vec::new());
        }
        let mut reader = self.0.db.read().await?;
        let mut session = reader.session();
        let statement = self.with_layer(session.text(sql::ALL));
        let rows = session.query(statement).fetch_all().await?;
        rows.iter().map(|row| read(row, self.projections())).collect()
    }

    /// Reads the live generation, if there is one.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn live(&self) -> Result<Option<Generation>, StoreError> {
        if self.is_absent() {
            return Ok(None);
        }
        let mut reader = self.0.db.read().await?;
        self.live_in(&mut reader.session()).await
    }

    /// Reads the live generation inside a transaction.
    pub(super) async fn live_in(
        &self,
        session: &mut Session<'_>,
    ) -> Result<Option<Generation>, StoreError> {
        let statement = self.with_layer(session.text(sql::LIVE));
        let row = session.query(statement).fetch_optional().await?;
        row.as_ref().map(|row| read(row, self.projections())).transpose()
    }

    /// Statement that reads generations, also from tables of an earlier version, which know no layers.
    fn with_layer(&self, statement: &str) -> String {
        if self.0.has_layers {
            return statement.to_owned();
        }
        statement.replace(
            " layer, read_models,",
            " CAST(NULL AS bigint) AS layer, CAST(NULL AS text) AS read_models,",
        )
    }

    /// Numbers in the names of the tables of a generation.
    pub(super) async fn tables_of(
        &self,
        session: &mut Session<'_>,
        generation: GenerationId,
    ) -> Result<GenerationTables, StoreError> {
        if self.0.has_layers {
            return tables_of(session, generation, self.projections()).await;
        }
        Ok(GenerationTables::own(self.projections(), generation, None))
    }
}

impl Generation {
    /// Its number and position, as an answer shows them.
    pub(super) fn stamp(&self) -> GenerationStamp {
        let Self { id: generation, position, folded_received_at, .. } = *self;
        GenerationStamp { generation, position, folded_received_at }
    }

    /// Numbers in the names of its tables.
    pub fn tables(&self) -> GenerationTables {
        GenerationTables { generation: self.id, layer: self.layer, made_by: self.made_by }
    }
}

impl GenerationLogic {
    /// Parses the rules of a generation.
    pub fn parse(&self, of: GenerationId) -> Result<Logic, StoreError> {
        Logic::parse(&self.policy, &self.user_keys)
            .map_err(|error| StoreError::Corrupt(format!("the policy of generation {of}: {error}")))
    }
}

impl GenerationStatus {
    /// Word that is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Building => "building",
            Self::Live => "live",
            Self::Previous => "previous",
        }
    }

    pub(super) fn parse(word: &str) -> Option<Self> {
        [Self::Building, Self::Live, Self::Previous].into_iter().find(|it| it.as_str() == word)
    }
}

/// Reads the stamp of the live generation, inside a read transaction.
pub(super) async fn live_stamp(session: &mut Session<'_>) -> Result<GenerationStamp, StoreError> {
    let row = session.query(sql::LIVE_STAMP).fetch_optional().await?;
    read_stamp(&row.ok_or(StoreError::ReadModelBuilding)?)
}

/// Reads a stamp from the first three columns.
pub(super) fn read_stamp(row: &Row) -> Result<GenerationStamp, StoreError> {
    Ok(GenerationStamp {
        generation: row.get(0)?,
        position: Position(row.get(1)?),
        folded_received_at: ReceivedAt(row.get(2)?),
    })
}

/// Reads the numbers in the names of a generation's tables.
pub(super) async fn tables_of(
    session: &mut Session<'_>,
    generation: GenerationId,
    projections: Projections,
) -> Result<GenerationTables, StoreError> {
    let row = session.query(sql::TABLES_OF).bind(generation).fetch_optional().await?;
    let Some(row) = row else { return Ok(GenerationTables::own(projections, generation, None)) };
    let versions = ReadModelVersion::parse_all(row.get(1)?);
    let made_by = MadeBy::of(projections, generation, &versions);
    Ok(GenerationTables { generation, layer: row.get(0)?, made_by })
}

/// Reads the status of a generation, inside a transaction.
pub(super) async fn status_of(
    session: &mut Session<'_>,
    id: GenerationId,
) -> Result<GenerationStatus, StoreError> {
    let row = session.query(sql::STATUS).bind(id).fetch_optional().await?;
    let status: Option<String> = row.map(|row| row.get(0)).transpose()?;
    status.as_deref().and_then(GenerationStatus::parse).ok_or(StoreError::NoGeneration(id))
}

pub(super) fn read(row: &Row, projections: Projections) -> Result<Generation, StoreError> {
    let (id, read_models) = (row.get("id")?, ReadModelVersion::parse_all(row.get("read_models")?));
    let status = GenerationStatus::parse(row.get("status")?)
        .ok_or_else(|| StoreError::Corrupt("a generation has an unknown status".to_owned()))?;
    let leaf_hash: Option<&[u8]> = row.get("leaf_hash")?;
    Ok(Generation {
        id,
        status,
        logic: GenerationLogic {
            fingerprint: row.get("fingerprint")?,
            fold_version: row.get("fold_version")?,
            policy: row.get("policy")?,
            user_keys: row.get("user_keys")?,
        },
        layer: row.get("layer")?,
        made_by: MadeBy::of(projections, id, &read_models),
        read_models,
        log_id: row.get("log_id")?,
        position: Position(row.get("position")?),
        leaf_hash: leaf_hash.map(to_hash).transpose()?,
        folded_received_at: ReceivedAt(row.get("folded_received_at")?),
        built: row.get("built")?,
        lease_holder: row.get("lease_holder")?,
        lease_until: ReceivedAt(row.get("lease_until")?),
        created_at: ReceivedAt(row.get("created_at")?),
        completed_at: row.get::<Option<i64>, _>("completed_at")?.map(ReceivedAt),
        pinned: row.get::<i64, _>("pinned")? != 0,
    })
}

pub(in crate::store) mod sql {
    crate::store::db::statements! {
        ALL = "SELECT id, status, fingerprint, fold_version, policy, user_keys, layer, read_models, log_id, position, leaf_hash, folded_received_at, built,
                lease_holder, lease_until, created_at, completed_at, pinned
            FROM generations ORDER BY id";
        LIVE = "SELECT id, status, fingerprint, fold_version, policy, user_keys, layer, read_models, log_id, position, leaf_hash, folded_received_at, built,
                lease_holder, lease_until, created_at, completed_at, pinned
            FROM generations WHERE status = 'live'";
        LIVE_STAMP = "SELECT id, position, folded_received_at FROM generations WHERE status = 'live'";
        TABLES_OF = "SELECT layer, read_models FROM generations WHERE id = $1";
        STATUS = "SELECT status FROM generations WHERE id = $1";
        /// A generation that is being built by a process with a valid lease.
        BUILDING = "SELECT id, status, fingerprint, fold_version, policy, user_keys, layer, read_models, log_id, position, leaf_hash, folded_received_at, built,
                lease_holder, lease_until, created_at, completed_at, pinned
            FROM generations WHERE status = 'building' AND lease_until > $1 LIMIT 1";
        IDS = "SELECT id FROM generations";
        /// Begins a transaction that excludes other writers of this table, and whose commit waits for the disk.
        BEGIN_EXCLUSIVE = sqlite "BEGIN IMMEDIATE",
            postgres "BEGIN; SET LOCAL synchronous_commit = on; LOCK TABLE generations IN SHARE ROW EXCLUSIVE MODE";
    }
}
