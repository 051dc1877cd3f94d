//! Writing of a fold: the fold layer, the rows, and the positions of both in one transaction.

use std::collections::{BTreeSet, HashMap};

use super::generation_id::LayerId;
use super::handle::ReadModel;
use super::lease::Lease;
use super::rows::{self, Tables};
use super::subscriptions::read_customer;
use super::tables::{GenerationTables, bind_customer, bind_scope, bulk};
use super::version::ReadModelVersion;
use super::{catalogue, layer};
use crate::ids::{CustomerId, CustomerKey, Position, SubscriptionId};
use crate::projection::catalogue::CatalogueEntry;
use crate::projection::effects::{Parked, TimelineEntry};
use crate::projection::observe::PaymentLink;
use crate::projection::read_model::MadeRows;
use crate::projection::user_candidate::UserCandidate;
use crate::store::db::Session;
use crate::store::error::StoreError;
use crate::time::ReceivedAt;
use crate::tree::Hash;

/// Changes of the fold of a range of events. Writing them is idempotent.
#[derive(Clone, Debug, Default)]
pub struct FoldBatch {
    /// Time of arrival of the last event of the range.
    pub folded_received_at: ReceivedAt,
    /// New states of customers.
    pub states: Vec<(CustomerKey, Vec<u8>)>,
    /// New rows of the read models.
    pub rows: Vec<MadeRows>,
    /// Entries of timelines.
    pub timeline: Vec<TimelineEntry>,
    /// Links from objects to their owners.
    pub links: Vec<PaymentLink>,
    /// Customers, and the values by which events may name their users.
    pub candidates: Vec<(CustomerKey, UserCandidate)>,
    /// Names of products and prices.
    pub catalogue: Vec<CatalogueEntry>,
    /// Events whose fold failed.
    pub parked: Vec<Parked>,
}

/// Outcome of a commit of a fold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoldOutcome {
    /// The batch is written.
    Committed,
    /// Nothing is written: another process has taken the lease, or the generation is no longer at the position that the
    /// batch begins at.
    Fenced,
    /// Nothing is written: another process has folded these events into the layer. The rows are to be made from its
    /// states.
    LayerMoved,
}

impl ReadModel {
    /// Reads the states of these customers, as far as they have one.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn states(
        &self,
        tables: GenerationTables,
        customers: &[CustomerKey],
    ) -> Result<HashMap<CustomerKey, Vec<u8>>, StoreError> {
        let mut reader = self.0.db.read().await?;
        let mut session = reader.session();
        let rows = bulk(&mut session, sql::STATES, tables, customers, bind_customer).await?;
        rows.iter().map(|row| Ok((read_customer(row)?, row.get(3)?))).collect()
    }

    /// Writes the fold of the events after `from` up to `to`, and advances the generation and its layer. The leaf hash is
    /// none if the event at `to` is damaged.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn fold_commit(
        &self,
        lease: &Lease,
        from: Position,
        to: Position,
        leaf_hash_at_to: impl Into<Option<Hash>>,
        batch: &FoldBatch,
    ) -> Result<FoldOutcome, StoreError> {
        self.commit(lease, lease.layer, (from, to), leaf_hash_at_to.into(), batch).await
    }

    /// Like [`Self::fold_commit`], for events that the layer has folded already: advances the generation alone. The rows
    /// of the batch must come from states of the layer at `to` or later.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn rows_commit(
        &self,
        lease: &Lease,
        from: Position,
        to: Position,
        leaf_hash_at_to: impl Into<Option<Hash>>,
        batch: &FoldBatch,
    ) -> Result<FoldOutcome, StoreError> {
        self.commit(lease, None, (from, to), leaf_hash_at_to.into(), batch).await
    }

    async fn commit(
        &self,
        lease: &Lease,
        layer: Option<LayerId>,
        (from, to): (Position, Position),
        leaf_hash: Option<Hash>,
        batch: &FoldBatch,
    ) -> Result<FoldOutcome, StoreError> {
        let mut write = self.0.db.write().await?;
        let mut session = write.session();
        let advanced = session
            .query(sql::ADVANCE)
            .bind(lease.generation)
            .bind(lease.token)
            .bind(from.0)
            .bind(to.0)
            .bind(leaf_hash.as_ref().map(|hash| &hash[..]))
            .bind(batch.folded_received_at.0)
            .execute()
            .await?;
        if advanced != 1 {
            write.rollback().await?;
            return Ok(FoldOutcome::Fenced);
        }
        if let Some(layer) = layer {
            let (leaf_hash, received_at) = (leaf_hash.as_ref(), batch.folded_received_at);
            let moved = layer::advance(&mut session, layer, (from, to), leaf_hash, received_at);
            if !moved.await? {
                write.rollback().await?;
                return Ok(FoldOutcome::LayerMoved);
            }
        }
        let of_live = of_other_live(&mut session, lease).await?;
        let is_own = |made: &&MadeRows| !of_live.iter().any(|it| it == made.read_model);
        let rows = batch.rows.iter().filter(is_own);
        self.write_batch(&mut session, lease.tables(), batch, rows, Tables::Filled).await?;
        write.commit().await?;
        Ok(FoldOutcome::Committed)
    }

    /// Writes a part of a fold without advancing the generation, which [`Self::fold_commit`] does later. The generation
    /// must not be read or folded further before, and a customer has rows in one part only. Rows of joined tables are
    /// written as the batch has them.
    ///
    /// `false` if another process has taken the lease: then nothing was written.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn fold_write(&self, lease: &Lease, batch: &FoldBatch) -> Result<bool, StoreError> {
        let mut write = self.0.db.write().await?;
        let mut session = write.session();
        let holds = lease.is_held(&mut session).await?;
        if holds {
            let (tables, rows) = (lease.tables(), batch.rows.iter());
            self.write_batch(&mut session, tables, batch, rows, Tables::Fresh).await?;
        }
        write.commit().await?;
        Ok(holds)
    }

    async fn write_batch(
        &self,
        session: &mut Session<'_>,
        tables: GenerationTables,
        batch: &FoldBatch,
        rows: impl Iterator<Item = &MadeRows>,
        state: Tables,
    ) -> Result<(), StoreError> {
        write_layer(session, tables, batch).await?;
        for made in rows {
            let projection = self.projections().iter().find(|it| it.name() == made.read_model);
            let projection = *projection.ok_or_else(|| {
                StoreError::Internal(format!("no read model {}", made.read_model).into())
            })?;
            rows::write(session, tables, projection, made, state).await?;
        }
        Ok(())
    }
}

/// Read models whose tables are those of another generation, which is live: only that one writes there. The generation
/// with the lease was advanced before in the same transaction, which excludes swaps.
async fn of_other_live(
    session: &mut Session<'_>,
    lease: &Lease,
) -> Result<Vec<String>, StoreError> {
    let row = session.query(sql::OTHER_LIVE).bind(lease.generation).fetch_optional().await?;
    let stored = row.as_ref().map(|row| row.get::<Option<&str>, _>(0)).transpose()?.flatten();
    let tables = lease.tables();
    let shared = ReadModelVersion::parse_all(stored).into_iter();
    let shared = shared.filter(|it| it.made_by == tables.maker_of(&it.name));
    Ok(shared.map(|it| it.name).collect())
}

/// Writes what depends on the log alone.
async fn write_layer(
    session: &mut Session<'_>,
    tables: GenerationTables,
    batch: &FoldBatch,
) -> Result<(), StoreError> {
    bulk(session, sql::STATE, tables, &batch.states, |to, (key, state)| {
        bind_customer(to, key);
        to.bytes(state.as_slice());
    })
    .await?;
    bulk(session, sql::TIMELINE, tables, &batch.timeline, |to, entry| {
        bind_customer(to, &entry.customer);
        to.text(entry.subscription.as_ref().map_or("", SubscriptionId::as_str));
        to.integer(entry.position.0);
        to.integer(entry.created.0);
    })
    .await?;
    let pairs = |entry: &TimelineEntry| {
        entry.subscription.clone().map(|subscription| (entry.customer.clone(), subscription))
    };
    let pairs: BTreeSet<_> = batch.timeline.iter().filter_map(pairs).collect();
    let pairs: Vec<_> = pairs.into_iter().collect();
    bulk(session, sql::PAIR, tables, &pairs, |to, (customer, subscription)| {
        bind_customer(to, customer);
        to.text(subscription.as_str());
    })
    .await?;
    bulk(session, sql::LINK, tables, &batch.links, |to, link| {
        bind_scope(to, &link.scope);
        to.text(link.object_id.as_str());
        to.text(link.owner_id.as_str());
    })
    .await?;
    bulk(session, sql::CANDIDATE, tables, &batch.candidates, |to, (customer, candidate)| {
        bind_customer(to, customer);
        to.text(candidate.value.as_str());
        to.text(candidate.source.as_str());
        to.text(candidate.key.as_str());
    })
    .await?;
    catalogue::write(session, tables, &batch.catalogue).await?;
    bulk(session, sql::PARK, tables, &batch.parked, |to, parked| {
        to.integer(parked.position.0);
        to.text(parked.event_id.as_str());
        bind_scope(to, &parked.scope);
        to.text(parked.customer.as_ref().map_or("", CustomerId::as_str));
        to.text(parked.subscription.as_ref().map_or("", SubscriptionId::as_str));
        to.text(parked.event_type.as_str());
        to.text(parked.reason.as_str());
    })
    .await?;
    Ok(())
}

pub(in crate::store) mod sql {
    crate::store::db::statements! {
        STATES [Text, Bool, Text] = sqlite "SELECT c.account, c.livemode, c.customer_id, c.state FROM ({rows}) AS k
            CROSS JOIN customers_{l} AS c ON c.account = k.column1 AND c.livemode = k.column2 AND c.customer_id = k.column3",
            postgres "SELECT c.* FROM ({rows}) AS k CROSS JOIN LATERAL (SELECT account, livemode, customer_id, state FROM customers_{l}
                WHERE account = k.column1 AND livemode = k.column2 AND customer_id = k.column3 OFFSET 0) AS c";
        ADVANCE = "UPDATE generations SET position = $4, leaf_hash = $5, folded_received_at = $6
            WHERE id = $1 AND token = $2 AND position = $3";
        OTHER_LIVE = "SELECT read_models FROM generations WHERE status = 'live' AND id <> $1";
        STATE [Text, Bool, Text, Bytes] = "INSERT INTO customers_{l} (account, livemode, customer_id, state)
            SELECT * FROM ({rows}) AS k WHERE column1 IS NOT NULL
            ON CONFLICT (account, livemode, customer_id) DO UPDATE SET state = excluded.state";
        TIMELINE [Text, Bool, Text, Text, Integer, Integer] = "INSERT INTO timeline_{l} (account, livemode, customer_id, subscription_id, position, created)
            SELECT * FROM ({rows}) AS k WHERE column1 IS NOT NULL ON CONFLICT DO NOTHING";
        PAIR [Text, Bool, Text, Text] = "INSERT INTO subscription_customers_{l} (account, livemode, customer_id, subscription_id)
            SELECT * FROM ({rows}) AS k WHERE column1 IS NOT NULL ON CONFLICT DO NOTHING";
        LINK [Text, Bool, Text, Text] = "INSERT INTO links_{l} (account, livemode, object_id, owner_id)
            SELECT * FROM ({rows}) AS k WHERE column1 IS NOT NULL ON CONFLICT DO NOTHING";
        CANDIDATE [Text, Bool, Text, Text, Text, Text] = "INSERT INTO user_candidates_{l} (account, livemode, customer_id, value, source, key)
            SELECT * FROM ({rows}) AS k WHERE column1 IS NOT NULL ON CONFLICT DO NOTHING";
        PARK [Integer, Text, Text, Bool, Text, Text, Text, Text] = "INSERT INTO parked_{l} (position, event_id, account, livemode, customer_id, subscription_id, type, reason)
            SELECT * FROM ({rows}) AS k WHERE column1 IS NOT NULL ON CONFLICT DO NOTHING";
    }
}
