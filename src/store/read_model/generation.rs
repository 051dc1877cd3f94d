//! Generations: one build of all projections each, side by side; one of them is live.

use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Connection as _, Row as _};

use super::space::let_others;
use super::{GenerationStamp, Lease, ReadModel, lease};
use crate::clock::Clock;
use crate::ids::Position;
use crate::projection::column::Column;
use crate::projection::row::SubscriptionRow;
use crate::store::tree::Hash;
use crate::store::{StoreError, append, log};
use crate::time::ReceivedAt;

/// The number of a generation; never given twice.
pub type GenerationId = i64;

/// The tables of a generation.
pub(super) const TABLES: &str =
    include_str!("../../../projections/current_subscriptions/sqlite.sql");
/// Their names.
pub(super) const TABLE_NAMES: [&str; 7] = [
    "current_subscriptions",
    "customers",
    "timeline",
    "subscription_customers",
    "links",
    "catalogue",
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
pub enum Begun {
    /// It is there, in the hands of whoever asked.
    Begun(Generation, Lease),
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
    /// The text that makes a generation's tables: part of a generation's fingerprint.
    pub const SCHEMA: &'static str = TABLES;

    /// All generations, the oldest first.
    pub async fn generations(&self) -> Result<Vec<Generation>, StoreError> {
        let rows = sqlx::query(sql::ALL).fetch_all(&self.0.readers).await?;
        rows.iter().map(read).collect()
    }

    /// The generation that reads are answered from, once there is one.
    pub async fn live(&self) -> Result<Option<Generation>, StoreError> {
        let row = sqlx::query(sql::LIVE).fetch_optional(&self.0.readers).await?;
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
    ) -> Result<Begun, StoreError> {
        let mut writer = self.0.writer.lock().await;
        let mut connection = writer.take().await?;
        let mut transaction = connection.begin_with(append::sql::BEGIN).await?;
        let building =
            sqlx::query(sql::BUILDING).bind(now.0).fetch_optional(&mut *transaction).await?;
        if let Some(row) = building {
            transaction.rollback().await?;
            writer.put_back(connection);
            return Ok(Begun::AlreadyBuilding(read(&row)?));
        }
        let row = sqlx::query(sql::BEGIN)
            .bind(&logic.fingerprint)
            .bind(logic.fold_version)
            .bind(&logic.policy)
            .bind(&logic.user_keys)
            .bind(log_id)
            .bind(self.0.clock.now().0)
            .bind(holder)
            .bind(lease::until(now, ttl_seconds).0)
            .fetch_one(&mut *transaction)
            .await?;
        let generation = read(&row)?;
        let lease = Lease { generation: generation.id, token: row.try_get("token")? };
        let tables = of(&TABLES[..indexes_start()], generation.id);
        sqlx::raw_sql(AssertSqlSafe(tables)).execute(&mut *transaction).await?;
        transaction.commit().await?;
        writer.put_back(connection);
        Ok(Begun::Begun(generation, lease))
    }

    /// Makes the indexes of a generation whose rows are written: at once, which takes a fraction of the
    /// time that it takes row by row. Between two of them there is time for others who write. False where
    /// the lease has gone to another.
    pub(super) async fn generation_index(&self, lease: &Lease) -> Result<bool, StoreError> {
        let indexes = TABLES[indexes_start()..].split(';').filter(|it| !it.trim().is_empty());
        for index in indexes {
            let stopwatch = Clock::stopwatch();
            let mut writer = self.0.writer.lock().await;
            let mut connection = writer.take().await?;
            let mut transaction = connection.begin_with(append::sql::BEGIN).await?;
            let holds = lease.holds(&mut transaction).await?;
            if holds {
                let index = of(index, lease.generation);
                sqlx::raw_sql(AssertSqlSafe(index)).execute(&mut *transaction).await?;
            }
            transaction.commit().await?;
            writer.put_back(connection);
            drop(writer);
            if !holds {
                return Ok(false);
            }
            let_others(stopwatch).await;
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
pub(super) async fn live_stamp(
    connection: &mut SqliteConnection,
) -> Result<GenerationStamp, StoreError> {
    let row: Option<(GenerationId, i64, i64)> =
        sqlx::query_as(sql::LIVE_STAMP).fetch_optional(connection).await?;
    let (generation, position, received_at) = row.ok_or(StoreError::ReadModelBuilding)?;
    Ok(GenerationStamp {
        generation,
        position: Position(position),
        folded_received_at: ReceivedAt(received_at),
    })
}

fn indexes_start() -> usize {
    TABLES.find(INDEXES).unwrap_or(TABLES.len())
}

/// A statement on the tables of this generation.
pub(super) fn of(template: &str, generation: GenerationId) -> String {
    template.replace("{g}", &generation.to_string())
}

/// Whether a column is not stored but joined.
pub(super) fn is_joined(column: &Column) -> bool {
    SubscriptionRow::JOINED.contains(&column.name)
}

/// What a generation is for, inside a transaction.
pub(super) async fn status_of(
    connection: &mut SqliteConnection,
    id: GenerationId,
) -> Result<GenerationStatus, StoreError> {
    let status: Option<String> =
        sqlx::query_scalar(sql::STATUS).bind(id).fetch_optional(connection).await?;
    status.as_deref().and_then(GenerationStatus::parse).ok_or(StoreError::NoGeneration(id))
}

pub(super) fn read(row: &SqliteRow) -> Result<Generation, StoreError> {
    let status = GenerationStatus::parse(row.try_get("status")?)
        .ok_or_else(|| StoreError::Corrupt("a generation has an unknown status".to_owned()))?;
    let leaf_hash: Option<&[u8]> = row.try_get("leaf_hash")?;
    Ok(Generation {
        id: row.try_get("id")?,
        status,
        logic: GenerationLogic {
            fingerprint: row.try_get("fingerprint")?,
            fold_version: row.try_get("fold_version")?,
            policy: row.try_get("policy")?,
            user_keys: row.try_get("user_keys")?,
        },
        log_id: row.try_get("log_id")?,
        position: Position(row.try_get("position")?),
        leaf_hash: leaf_hash.map(log::hash).transpose()?,
        folded_received_at: ReceivedAt(row.try_get("folded_received_at")?),
        built: row.try_get("built")?,
        lease_holder: row.try_get("lease_holder")?,
        lease_until: ReceivedAt(row.try_get("lease_until")?),
        created_at: ReceivedAt(row.try_get("created_at")?),
        completed_at: row.try_get::<Option<i64>, _>("completed_at")?.map(ReceivedAt),
        pinned: row.try_get::<i64, _>("pinned")? != 0,
    })
}

pub(in crate::store) mod sql {
    crate::store::statements::statements! {
        ALL = "SELECT id, status, fingerprint, fold_version, policy, user_keys, log_id, position, leaf_hash, folded_received_at, built,
                lease_holder, lease_until, created_at, completed_at, pinned
            FROM generations ORDER BY id";
        LIVE = "SELECT id, status, fingerprint, fold_version, policy, user_keys, log_id, position, leaf_hash, folded_received_at, built,
                lease_holder, lease_until, created_at, completed_at, pinned
            FROM generations WHERE status = 'live'";
        LIVE_STAMP = "SELECT id, position, folded_received_at FROM generations WHERE status = 'live'";
        STATUS = "SELECT status FROM generations WHERE id = ?";
        /// Of those that are being made, one that somebody holds.
        BUILDING = "SELECT id, status, fingerprint, fold_version, policy, user_keys, log_id, position, leaf_hash, folded_received_at, built,
                lease_holder, lease_until, created_at, completed_at, pinned
            FROM generations WHERE status = 'building' AND lease_until > ? LIMIT 1";
        BEGIN = "INSERT INTO generations (status, fingerprint, fold_version, policy, user_keys, log_id, created_at, token, lease_holder, lease_until)
            VALUES ('building', ?, ?, ?, ?, ?, ?, 1, ?, ?)
            RETURNING id, status, fingerprint, fold_version, policy, user_keys, log_id, position, leaf_hash, folded_received_at, built,
                token, lease_holder, lease_until, created_at, completed_at, pinned";
        IDS = "SELECT id FROM generations";
    }
}
