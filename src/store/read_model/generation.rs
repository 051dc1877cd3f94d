//! Generations: one build of all projections each, side by side; one of them is live.

use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Connection as _, Row as _};

use super::{GenerationStamp, ReadModel};
use crate::ids::Position;
use crate::projection::column::Column;
use crate::projection::row::SubscriptionRow;
use crate::store::tree::Hash;
use crate::store::{StoreError, append, log};
use crate::time::ReceivedAt;

/// The number of a generation; never given twice.
pub type GenerationId = i64;

/// The tables of a generation.
const TABLES: &str = include_str!("../../../projections/current_subscriptions/sqlite.sql");
/// Their names, for dropping them.
const TABLE_NAMES: [&str; 6] =
    ["current_subscriptions", "customers", "timeline", "links", "catalogue", "parked"];

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

    /// Begins a generation: empty tables, nothing folded.
    pub async fn generation_create(
        &self,
        logic: &GenerationLogic,
        log_id: &str,
    ) -> Result<Generation, StoreError> {
        let mut writer = self.0.writer.lock().await;
        let mut connection = writer.take().await?;
        let mut transaction = connection.begin_with(append::sql::BEGIN).await?;
        let row = sqlx::query(sql::CREATE)
            .bind(&logic.fingerprint)
            .bind(logic.fold_version)
            .bind(&logic.policy)
            .bind(&logic.user_keys)
            .bind(log_id)
            .bind(self.0.clock.now().0)
            .fetch_one(&mut *transaction)
            .await?;
        let generation = read(&row)?;
        let tables = of(TABLES, generation.id);
        sqlx::raw_sql(AssertSqlSafe(tables)).execute(&mut *transaction).await?;
        transaction.commit().await?;
        writer.put_back(connection);
        Ok(generation)
    }

    /// Makes a generation the live one: from one read to the next, all answers come from it. The
    /// one that was live is kept as the previous one; older ones are dropped.
    pub async fn generation_complete(&self, id: GenerationId) -> Result<(), StoreError> {
        let mut writer = self.0.writer.lock().await;
        let mut connection = writer.take().await?;
        let mut transaction = connection.begin_with(append::sql::BEGIN).await?;
        sqlx::query(sql::DEMOTE).bind(id).execute(&mut *transaction).await?;
        let promoted = sqlx::query(sql::PROMOTE)
            .bind(id)
            .bind(self.0.clock.now().0)
            .execute(&mut *transaction)
            .await?;
        if promoted.rows_affected() != 1 {
            return Err(StoreError::NoGeneration(id));
        }
        sqlx::raw_sql(AssertSqlSafe(view(id))).execute(&mut *transaction).await?;
        let old: Vec<GenerationId> =
            sqlx::query_scalar(sql::OUTDATED).bind(id).fetch_all(&mut *transaction).await?;
        for old in &old {
            drop_tables(&mut transaction, *old).await?;
        }
        transaction.commit().await?;
        sqlx::raw_sql(sql::GIVE_BACK_SPACE).execute(&mut connection).await?;
        writer.put_back(connection);
        Ok(())
    }

    /// Drops a generation that is not live.
    pub async fn generation_drop(&self, id: GenerationId) -> Result<(), StoreError> {
        let mut writer = self.0.writer.lock().await;
        let mut connection = writer.take().await?;
        let mut transaction = connection.begin_with(append::sql::BEGIN).await?;
        let status: Option<String> =
            sqlx::query_scalar(sql::STATUS).bind(id).fetch_optional(&mut *transaction).await?;
        match status.as_deref().and_then(GenerationStatus::parse) {
            Some(GenerationStatus::Live) => return Err(StoreError::GenerationIsLive(id)),
            Some(_) => drop_tables(&mut transaction, id).await?,
            None => return Err(StoreError::NoGeneration(id)),
        }
        transaction.commit().await?;
        sqlx::raw_sql(sql::GIVE_BACK_SPACE).execute(&mut connection).await?;
        writer.put_back(connection);
        Ok(())
    }
}

impl ReadModel {
    /// Drops every generation, the live one too: for when they were made from another log. Reads
    /// answer [`StoreError::ReadModelBuilding`] until one is complete again.
    pub async fn generations_clear(&self) -> Result<(), StoreError> {
        let mut writer = self.0.writer.lock().await;
        let mut connection = writer.take().await?;
        let mut transaction = connection.begin_with(append::sql::BEGIN).await?;
        sqlx::query(sql::VIEW_DROP).execute(&mut *transaction).await?;
        let all: Vec<GenerationId> =
            sqlx::query_scalar(sql::IDS).fetch_all(&mut *transaction).await?;
        for id in all {
            drop_tables(&mut transaction, id).await?;
        }
        transaction.commit().await?;
        sqlx::raw_sql(sql::GIVE_BACK_SPACE).execute(&mut connection).await?;
        writer.put_back(connection);
        Ok(())
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

    fn parse(word: &str) -> Option<Self> {
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

/// A statement on the tables of this generation.
pub(super) fn of(template: &str, generation: GenerationId) -> String {
    template.replace("{g}", &generation.to_string())
}

/// Whether a column is not stored but joined.
pub(super) fn is_joined(column: &Column) -> bool {
    SubscriptionRow::JOINED.contains(&column.name)
}

/// The names of all columns, the joined ones replaced by what these expressions say.
pub(super) fn select_list() -> String {
    let columns = SubscriptionRow::COLUMNS.iter().map(|column| match joined(column) {
        Some(expression) => format!("{expression} AS {}", column.name),
        None => format!("s.{}", column.name),
    });
    columns.collect::<Vec<_>>().join(", ")
}

/// What is shown, of the subscription `s`, in a column that other tables have a say in.
fn joined(column: &Column) -> Option<&'static str> {
    Some(match column.name {
        "product_name" => sql::PRODUCT_NAME,
        "price_nickname" => sql::PRICE_NICKNAME,
        "items" => sql::ITEMS,
        "parked" => sql::PARKED,
        "event_count" => sql::EVENT_COUNT,
        _ => return None,
    })
}

/// Points the view at a generation.
fn view(generation: GenerationId) -> String {
    let columns = sql::VIEW.replace("{columns}", &select_list());
    of(&columns.replace("{tables}", sql::TABLES), generation)
}

async fn drop_tables(
    connection: &mut SqliteConnection,
    id: GenerationId,
) -> Result<(), StoreError> {
    for table in TABLE_NAMES {
        let statement = of(&sql::DROP_TABLE.replace("{table}", table), id);
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *connection).await?;
    }
    sqlx::query(sql::DROP).bind(id).execute(connection).await?;
    Ok(())
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
        lease_holder: row.try_get("lease_holder")?,
        lease_until: ReceivedAt(row.try_get("lease_until")?),
        created_at: ReceivedAt(row.try_get("created_at")?),
        completed_at: row.try_get::<Option<i64>, _>("completed_at")?.map(ReceivedAt),
        pinned: row.try_get("pinned")?,
    })
}

pub(in crate::store) mod sql {
    crate::store::statements::statements! {
        ALL = "SELECT id, status, fingerprint, fold_version, policy, user_keys, log_id, position, leaf_hash, folded_received_at,
                lease_holder, lease_until, created_at, completed_at, pinned
            FROM generations ORDER BY id";
        LIVE = "SELECT id, status, fingerprint, fold_version, policy, user_keys, log_id, position, leaf_hash, folded_received_at,
                lease_holder, lease_until, created_at, completed_at, pinned
            FROM generations WHERE status = 'live'";
        LIVE_STAMP = "SELECT id, position, folded_received_at FROM generations WHERE status = 'live'";
        STATUS = "SELECT status FROM generations WHERE id = ?";
        CREATE = "INSERT INTO generations (status, fingerprint, fold_version, policy, user_keys, log_id, created_at)
            VALUES ('building', ?, ?, ?, ?, ?, ?)
            RETURNING id, status, fingerprint, fold_version, policy, user_keys, log_id, position, leaf_hash, folded_received_at,
                lease_holder, lease_until, created_at, completed_at, pinned";
        DEMOTE = "UPDATE generations SET status = 'previous', pinned = 0 WHERE status = 'live' AND id <> ?";
        PROMOTE = "UPDATE generations SET status = 'live', completed_at = ifnull(completed_at, ?2) WHERE id = ?1";
        /// All previous generations but the one that was live until now.
        OUTDATED = "SELECT id FROM generations WHERE status = 'previous' AND id <> ?
            ORDER BY completed_at DESC, id DESC LIMIT -1 OFFSET 1";
        DROP = "DELETE FROM generations WHERE id = ?";
        IDS = "SELECT id FROM generations";
        VIEW_DROP = "DROP VIEW IF EXISTS current_subscriptions";
        GIVE_BACK_SPACE = "PRAGMA incremental_vacuum";
    }

    // Parts of statements, and statements with names to fill in.
    pub(in crate::store) const VIEW: &str = "DROP VIEW IF EXISTS current_subscriptions;
            CREATE VIEW current_subscriptions AS SELECT {columns} FROM {tables}";
    /// The subscriptions `s` with what the catalogue says of the first item.
    pub(in crate::store) const TABLES: &str = "current_subscriptions_g{g} AS s
            LEFT JOIN catalogue_g{g} AS product ON product.account = s.account AND product.livemode = s.livemode AND product.id = s.product_id
            LEFT JOIN catalogue_g{g} AS price ON price.account = s.account AND price.livemode = s.livemode AND price.id = s.price_id";
    pub(in crate::store) const PRODUCT_NAME: &str = "product.name";
    pub(in crate::store) const PRICE_NICKNAME: &str =
        "iif(price.id IS NULL, s.price_nickname, price.name)";
    pub(in crate::store) const ITEMS: &str = "(SELECT json_group_array(json_set(item.value, '$.product_name', product.name,
                '$.price_nickname', iif(price.id IS NULL, item.value ->> 'price_nickname', price.name)) ORDER BY item.key)
            FROM json_each(s.items) AS item
            LEFT JOIN catalogue_g{g} AS product ON product.account = s.account AND product.livemode = s.livemode
                AND product.id = item.value ->> 'product_id'
            LEFT JOIN catalogue_g{g} AS price ON price.account = s.account AND price.livemode = s.livemode
                AND price.id = item.value ->> 'price_id')";
    pub(in crate::store) const PARKED: &str = "(SELECT count(*) FROM parked_g{g} AS p WHERE p.account = s.account AND p.livemode = s.livemode
            AND p.subscription_id = s.subscription_id)";
    pub(in crate::store) const EVENT_COUNT: &str = "(SELECT count(*) FROM timeline_g{g} AS t WHERE t.account = s.account AND t.livemode = s.livemode
            AND t.customer_id = s.customer_id AND t.subscription_id = s.subscription_id)";
    pub(in crate::store) const DROP_TABLE: &str = "DROP TABLE IF EXISTS {table}_g{g}";
}
