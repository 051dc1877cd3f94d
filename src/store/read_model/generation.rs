//! Generations: one build of all projections each, side by side; one of them is live.

use super::reclaim::yield_to_writers;
use super::swap::sql::BEGIN_EXCLUSIVE;
use super::{GenerationStamp, Lease, ReadModel, lease};
use crate::clock::Clock;
use crate::ids::Position;
use crate::projection::column::Column;
use crate::projection::row::SubscriptionRow;
use crate::store::db::{Database, Dialect, Row, Session, Statement};
use crate::store::{StoreError, log};
use crate::time::ReceivedAt;
use crate::tree::Hash;

/// The number of a generation; never given twice.
pub type GenerationId = i64;

/// The tables of a generation.
const TABLES: Statement = Statement {
    sqlite: include_str!("../../../projections/current_subscriptions/sqlite.sql"),
    postgres: include_str!("../../../projections/current_subscriptions/postgres.sql"),
};
/// Their names.
pub(super) const TABLE_NAMES: [&str; 9] = [
    "current_subscriptions",
    "customers",
    "timeline",
    "subscription_customers",
    "user_customers",
    "links",
    "catalogue",
    "item_properties",
    "parked",
];
/// Where the tables end and their indexes begin, which are made when the rows are there.
const INDEXES: &str = "\nCREATE INDEX";

/// One build of all projections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generation {
    /// Its number.
    pub id: GenerationId,
    /// What it is for.
    pub status: GenerationStatus,
    /// What built it.
    pub logic: GenerationLogic,
    /// The log that it was built from.
    pub log_id: String,
    /// The last event that was folded.
    pub position: Position,
    /// That event's leaf hash, by which another log is noticed; none before the first.
    pub leaf_hash: Option<Hash>,
    /// When that event was received.
    pub folded_received_at: ReceivedAt,
    /// How many events its builder has folded, which come to be written later.
    pub built: i64,
    /// Who folds it, if anyone has begun.
    pub lease_holder: Option<String>,
    /// Until when that one may.
    pub lease_until: ReceivedAt,
    /// When it was begun.
    pub created_at: ReceivedAt,
    /// When it went live first.
    pub completed_at: Option<ReceivedAt>,
    /// Whether a person chose it, so that no newer logic replaces it by itself.
    pub pinned: bool,
}

/// What became of the wish to begin a generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BeginOutcome {
    /// It is there, in the hands of whoever asked.
    Started(Generation, Lease),
    /// Somebody is making this one, and only one is made at a time.
    AlreadyBuilding(Generation),
}

/// What a generation is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GenerationStatus {
    /// It is not complete.
    Building,
    /// The reads are answered from it.
    Live,
    /// It was live before, and is kept to go back to.
    Previous,
}

/// The logic that builds a generation, stored with it and used by whoever folds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerationLogic {
    /// A hash over all of it.
    pub fingerprint: String,
    /// The version of the fold.
    pub fold_version: i64,
    /// The text of the policy.
    pub policy: String,
    /// The metadata keys that name a user.
    pub user_keys: String,
}

impl ReadModel {
    /// The text that makes a generation's tables, in either database: part of a generation's fingerprint.
    pub const SCHEMA: &'static str = concat!(
        include_str!("../../../projections/current_subscriptions/sqlite.sql"),
        include_str!("../../../projections/current_subscriptions/postgres.sql"),
    );

    /// All generations, the oldest first.
    pub async fn generations(&self) -> Result<Vec<Generation>, StoreError> {
        if matches!(self.database(), Database::Absent(None)) {
            return Ok(Vec::new());
        }
        let mut reader = self.0.db.read().await?;
        let rows = reader.session().query(sql::ALL).fetch_all().await?;
        rows.iter().map(read).collect()
    }

    /// The generation that reads are answered from, once there is one.
    pub async fn live(&self) -> Result<Option<Generation>, StoreError> {
        if self.is_absent() {
            return Ok(None);
        }
        let mut reader = self.0.db.read().await?;
        let row = reader.session().query(sql::LIVE).fetch_optional().await?;
        row.as_ref().map(read).transpose()
    }

    /// Begins a generation, held by whoever asks: empty tables without indexes, nothing folded.
    ///
    /// It and its lease are made in one transaction, and not where somebody holds another one that is
    /// being made: of two who begin at the same moment one is refused.
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
        if let Some(row) = session.query(sql::BUILDING).bind(now.0).fetch_optional().await? {
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

    /// Makes the indexes of a generation whose rows are written: at once, which takes a fraction of the
    /// time that it takes row by row. Between two of them there is time for others who write. False where
    /// the lease has gone to another.
    pub(super) async fn generation_index(&self, lease: &Lease) -> Result<bool, StoreError> {
        let (_, indexes) = tables_and_indexes(self.0.db.dialect());
        for index in indexes.split(';').filter(|it| !it.trim().is_empty()) {
            let stopwatch = Clock::stopwatch();
            let mut write = self.0.db.write().await?;
            let mut session = write.session();
            session.disable_timeouts().await?;
            // Not held on to: to make an index takes long, and the lease is renewed meanwhile. Where another
            // takes it, the index is of a generation that is dropped.
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
            // It plans by what it knows of a table, and knows nothing of a new one.
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

impl GenerationStatus {
    /// The word that is stored.
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

/// The generation that answers, inside the transaction of a read.
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

/// What makes the tables of a generation, and what makes their indexes.
pub(super) fn tables_and_indexes(dialect: Dialect) -> (&'static str, &'static str) {
    let all = TABLES.text(dialect);
    all.split_at(all.find(INDEXES).unwrap_or(all.len()))
}

/// A statement on the tables of this generation.
pub(super) fn for_generation(template: &str, generation: GenerationId) -> String {
    template.replace("{g}", &generation.to_string())
}

/// Whether a column is not stored but joined.
pub(super) fn is_joined(column: &Column) -> bool {
    SubscriptionRow::JOINED.contains(&column.name)
}

/// What a generation is for, inside a transaction.
pub(super) async fn status_of(
    session: &mut Session<'_>,
    id: GenerationId,
) -> Result<GenerationStatus, StoreError> {
    let row = session.query(sql::STATUS).bind(id).fetch_optional().await?;
    let status: Option<String> = row.map(|row| row.get(0)).transpose()?;
    status.as_deref().and_then(GenerationStatus::parse).ok_or(StoreError::NoGeneration(id))
}

pub(super) fn read(row: &Row) -> Result<Generation, StoreError> {
    let status = GenerationStatus::parse(row.get("status")?)
        .ok_or_else(|| StoreError::Corrupt("a generation has an unknown status".to_owned()))?;
    let leaf_hash: Option<&[u8]> = row.get("leaf_hash")?;
    Ok(Generation {
        id: row.get("id")?,
        status,
        logic: GenerationLogic {
            fingerprint: row.get("fingerprint")?,
            fold_version: row.get("fold_version")?,
            policy: row.get("policy")?,
            user_keys: row.get("user_keys")?,
        },
        log_id: row.get("log_id")?,
        position: Position(row.get("position")?),
        leaf_hash: leaf_hash.map(log::hash).transpose()?,
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
        ALL = "SELECT id, status, fingerprint, fold_version, policy, user_keys, log_id, position, leaf_hash, folded_received_at, built,
                lease_holder, lease_until, created_at, completed_at, pinned
            FROM generations ORDER BY id";
        LIVE = "SELECT id, status, fingerprint, fold_version, policy, user_keys, log_id, position, leaf_hash, folded_received_at, built,
                lease_holder, lease_until, created_at, completed_at, pinned
            FROM generations WHERE status = 'live'";
        LIVE_STAMP = "SELECT id, position, folded_received_at FROM generations WHERE status = 'live'";
        STATUS = "SELECT status FROM generations WHERE id = $1";
        /// Of those that are being made, one that somebody holds.
        BUILDING = "SELECT id, status, fingerprint, fold_version, policy, user_keys, log_id, position, leaf_hash, folded_received_at, built,
                lease_holder, lease_until, created_at, completed_at, pinned
            FROM generations WHERE status = 'building' AND lease_until > $1 LIMIT 1";
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
        IDS = "SELECT id FROM generations";
    }

    // A statement with names to fill in.
    pub(in crate::store) const ANALYZE: &str = "ANALYZE {table}_g{g}";
}
