//! Fold layers: what the log says, whatever the rules.
//!
//! A fold layer holds the states of the customers, the timelines and what else depends on the log and the fold's version
//! alone. Several generations may stand over one layer: their rows are made from its states. Whoever folds a batch of
//! the log moves the layer's position in the same transaction, and only from the position that the batch begins at. So
//! of two processes that fold the same events one is refused, and then makes its rows from the states of the other.

use sha2::{Digest as _, Sha256};

use super::generation_id::LayerId;
use super::handle::ReadModel;
use super::subscriptions::{limit_of, read_customer};
use super::tables::{GenerationTables, TableGroup};
use crate::ids::{CustomerKey, Position};
use crate::store::db::{Dialect, Row, Session, to_hash};
use crate::store::error::StoreError;
use crate::time::ReceivedAt;
use crate::tree::Hash;

/// Fold layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoldLayer {
    /// Number of the layer.
    pub id: LayerId,
    /// Hash over the version of the fold and the layer's tables.
    pub fingerprint: String,
    /// Last folded event.
    pub position: Position,
    /// Leaf hash of that event. None before the first event, or if it is damaged.
    pub leaf_hash: Option<Hash>,
    /// Time of arrival of that event.
    pub folded_received_at: ReceivedAt,
}

/// Fingerprint of the layers that a version of the fold makes in the tables of this program.
pub fn layer_fingerprint(fold_version: i64) -> String {
    let mut hash = Sha256::new();
    let text = |dialect| {
        let (tables, indexes) = TableGroup::fold_layer().tables_and_indexes(dialect);
        format!("{tables}{indexes}")
    };
    for part in [fold_version.to_string(), text(Dialect::Sqlite), text(Dialect::Postgres)] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hex::encode(&hash.finalize()[..8])
}

impl ReadModel {
    /// Reads a fold layer. None if it does not exist.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn layer(&self, id: LayerId) -> Result<Option<FoldLayer>, StoreError> {
        let mut reader = self.0.db.read().await?;
        let row = reader.session().query(sql::LAYER).bind(id).fetch_optional().await?;
        row.as_ref().map(read).transpose()
    }

    /// Counts the customers of a generation's layer.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn customer_count(&self, tables: GenerationTables) -> Result<i64, StoreError> {
        let mut reader = self.0.db.read().await?;
        let mut session = reader.session();
        let statement = tables.fill(session.text(sql::CUSTOMER_COUNT));
        session.query(statement).fetch_one().await?.get(0)
    }

    /// Reads the states of at most `limit` customers after a key, in the order of the keys.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn states_after(
        &self,
        tables: GenerationTables,
        after: &CustomerKey,
        limit: usize,
    ) -> Result<Vec<(CustomerKey, Vec<u8>)>, StoreError> {
        let mut reader = self.0.db.read().await?;
        states_after(&mut reader.session(), tables, after, limit).await
    }
}

/// Position of a layer. None if it does not exist.
pub(super) async fn position(
    session: &mut Session<'_>,
    id: LayerId,
) -> Result<Option<Position>, StoreError> {
    let row = session.query(sql::LAYER).bind(id).fetch_optional().await?;
    Ok(row.as_ref().map(read).transpose()?.map(|it| it.position))
}

/// Reads the states of customers after a key.
pub(super) async fn states_after(
    session: &mut Session<'_>,
    tables: GenerationTables,
    after: &CustomerKey,
    limit: usize,
) -> Result<Vec<(CustomerKey, Vec<u8>)>, StoreError> {
    let statement = tables.fill(session.text(sql::STATES_AFTER));
    let query = session.query(statement).bind(after.scope.account.as_str());
    let query = query.bind(after.scope.livemode).bind(after.customer.as_str());
    let rows = query.bind(limit_of(limit)).fetch_all().await?;
    rows.iter().map(|row| Ok((read_customer(row)?, row.get(3)?))).collect()
}

/// Begins a layer together with its first generation.
pub(super) async fn begin(
    session: &mut Session<'_>,
    id: LayerId,
    fold_version: i64,
) -> Result<(), StoreError> {
    let fingerprint = layer_fingerprint(fold_version);
    session.query(sql::BEGIN).bind(id).bind(fingerprint.as_str()).execute().await?;
    Ok(())
}

/// True if a complete generation stands over a layer, inside a transaction that excludes other writers of generations.
pub(super) async fn is_in_use(session: &mut Session<'_>, id: LayerId) -> Result<bool, StoreError> {
    Ok(session.query(sql::IS_IN_USE).bind(id).fetch_optional().await?.is_some())
}

/// Moves the position of a layer. False if it was no longer at `from`.
pub(super) async fn advance(
    session: &mut Session<'_>,
    id: LayerId,
    (from, to): (Position, Position),
    leaf_hash: Option<&Hash>,
    folded_received_at: ReceivedAt,
) -> Result<bool, StoreError> {
    let query = session.query(sql::ADVANCE).bind(id).bind(from.0).bind(to.0);
    let query = query.bind(leaf_hash.map(|hash| &hash[..])).bind(folded_received_at.0);
    Ok(query.execute().await? == 1)
}

/// Layers over which no generation stands any more.
pub(super) async fn unused(session: &mut Session<'_>) -> Result<Vec<LayerId>, StoreError> {
    let rows = session.query(sql::UNUSED).fetch_all().await?;
    rows.iter().map(|row| row.get(0)).collect()
}

fn read(row: &Row) -> Result<FoldLayer, StoreError> {
    let leaf_hash: Option<&[u8]> = row.get(3)?;
    Ok(FoldLayer {
        id: row.get(0)?,
        fingerprint: row.get(1)?,
        position: Position(row.get(2)?),
        leaf_hash: leaf_hash.map(to_hash).transpose()?,
        folded_received_at: ReceivedAt(row.get(4)?),
    })
}

pub(in crate::store) mod sql {
    crate::store::db::statements! {
        LAYER = "SELECT id, fingerprint, position, leaf_hash, folded_received_at FROM fold_layers WHERE id = $1";
        BEGIN = "INSERT INTO fold_layers (id, fingerprint) VALUES ($1, $2)";
        ADVANCE = "UPDATE fold_layers SET position = $3, leaf_hash = $4, folded_received_at = $5 WHERE id = $1 AND position = $2";
        IS_IN_USE = "SELECT 1 FROM fold_layers AS l WHERE l.id = $1
            AND EXISTS (SELECT 1 FROM generations AS g WHERE g.layer = l.id AND g.status <> 'building')";
        UNUSED = "SELECT id FROM fold_layers AS l WHERE NOT EXISTS (SELECT 1 FROM generations AS g WHERE g.layer = l.id) ORDER BY id";
        CUSTOMER_COUNT = "SELECT count(*) FROM customers_{l}";
        STATES_AFTER = "SELECT account, livemode, customer_id, state FROM customers_{l}
            WHERE (account, livemode, customer_id) > ($1, $2, $3) ORDER BY account, livemode, customer_id LIMIT CAST($4 AS bigint)";
    }

    // Template.
    pub(in crate::store) const DELETE: &str = "DELETE FROM fold_layers WHERE id = {layer}";
}
