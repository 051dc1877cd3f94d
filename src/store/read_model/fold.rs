//! Writing what a fold made: rows, states and the checkpoint in one transaction.

use std::collections::{BTreeSet, HashMap};

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection as _, Row as _};

use super::bulk::{self, add, add_customer, add_scope};
use super::generation::is_joined;
use super::shape::Shape;
use super::{GenerationId, Lease, ReadModel, cells};
use crate::ids::{AccountId, CustomerId, CustomerKey, EventId, Position, Scope, SubscriptionId};
use crate::projection::catalogue::{Catalogue, CatalogueEntry, NameRank};
use crate::projection::column::Value;
use crate::projection::observe::Link;
use crate::projection::row::SubscriptionRow;
use crate::store::tree::Hash;
use crate::store::{StoreError, append};
use crate::time::{ReceivedAt, StripeTime};

/// What the fold of a range of events changes. Writing it twice is the same as once.
#[derive(Clone, Debug, Default)]
pub struct FoldBatch {
    /// When the last event of the range was received.
    pub folded_received_at: ReceivedAt,
    /// The new states of customers.
    pub states: Vec<(CustomerKey, Vec<u8>)>,
    /// The new rows, in the order of [`SubscriptionRow::COLUMNS`]; joined columns are not stored.
    pub rows: Vec<Vec<Value>>,
    /// Which events concern whom.
    pub timeline: Vec<TimelineEntry>,
    /// Which objects belong to whom.
    pub links: Vec<Link>,
    /// Names of products and prices.
    pub catalogue: Vec<CatalogueEntry>,
    /// Events whose fold failed.
    pub parked: Vec<Parked>,
}

/// One event on one timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimelineEntry {
    /// Whom it concerns. Where an event names no customer, an object of its payment stands in
    /// their place, and [`Link`]s lead from it to the customer when the timeline is read.
    pub customer: CustomerKey,
    /// The subscription, where the event names one.
    pub subscription: Option<SubscriptionId>,
    /// The event.
    pub position: Position,
    /// When it happened.
    pub created: StripeTime,
}

/// An event whose fold failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parked {
    /// The event's place.
    pub position: Position,
    /// The event.
    pub event_id: EventId,
    /// The account and mode.
    pub scope: Scope,
    /// The customer, where that much could be read.
    pub customer: Option<CustomerId>,
    /// The subscription, where that much could be read.
    pub subscription: Option<SubscriptionId>,
    /// The event's type.
    pub event_type: String,
    /// What went wrong.
    pub reason: String,
}

impl ReadModel {
    /// The states of these customers, of those that have one.
    pub async fn states(
        &self,
        generation: GenerationId,
        customers: &[CustomerKey],
    ) -> Result<HashMap<CustomerKey, Vec<u8>>, StoreError> {
        let mut reader = self.0.readers.acquire().await?;
        let rows =
            bulk::run(&mut reader, sql::STATES, generation, 3, customers, add_customer).await?;
        rows.iter()
            .map(|row| {
                let account = AccountId::new(row.try_get::<String, _>(0)?);
                let scope = Scope { account, livemode: row.try_get(1)? };
                let customer = CustomerId::new(row.try_get::<String, _>(2)?);
                Ok((CustomerKey { scope, customer }, row.try_get(3)?))
            })
            .collect()
    }

    /// What the catalogue calls the products and prices of these rows, as far as it knows them.
    pub async fn catalogue(
        &self,
        generation: GenerationId,
        rows: &[SubscriptionRow],
    ) -> Result<Catalogue, StoreError> {
        let wanted: BTreeSet<(Scope, &str)> = rows
            .iter()
            .flat_map(|row| {
                let scope = Scope { account: row.account.as_str().into(), livemode: row.livemode };
                let of_items = row.items.0.iter().flat_map(|it| [&it.product_id, &it.price_id]);
                let ids = of_items.chain([&row.product_id, &row.price_id]).flatten();
                ids.map(move |id| (scope.clone(), id.as_str()))
            })
            .collect();
        let wanted: Vec<_> = wanted.into_iter().collect();
        let mut reader = self.0.readers.acquire().await?;
        if !Shape::load(&mut reader, generation).await?.has("catalogue") {
            return Ok(Catalogue::default());
        }
        let found =
            bulk::run(&mut reader, sql::NAMES, generation, 3, &wanted, |to, (scope, id)| {
                add_scope(to, scope)?;
                add(to, *id)
            });
        let mut catalogue = Catalogue::default();
        for row in &found.await? {
            catalogue.join(CatalogueEntry {
                scope: Scope {
                    account: AccountId::new(row.try_get::<String, _>(0)?),
                    livemode: row.try_get(1)?,
                },
                id: row.try_get(2)?,
                name: row.try_get(3)?,
                rank: NameRank {
                    deleted: row.try_get(4)?,
                    created: StripeTime(row.try_get(5)?),
                    changed: row.try_get(6)?,
                    event_id: EventId::new(row.try_get::<String, _>(7)?),
                },
            });
        }
        Ok(catalogue)
    }

    /// Writes the fold of the events after `from` up to `to`, and moves the checkpoint.
    ///
    /// `false` where the lease has gone to another or the checkpoint is no longer at `from`: then
    /// nothing was written.
    pub async fn fold_commit(
        &self,
        lease: &Lease,
        from: Position,
        to: Position,
        leaf_hash_at_to: Hash,
        batch: &FoldBatch,
    ) -> Result<bool, StoreError> {
        let mut writer = self.0.writer.lock().await;
        let mut connection = writer.take().await?;
        let mut transaction = connection.begin_with(append::sql::BEGIN).await?;
        let moved = sqlx::query(sql::CHECKPOINT)
            .bind(lease.generation)
            .bind(lease.token)
            .bind(from.0)
            .bind(to.0)
            .bind(&leaf_hash_at_to[..])
            .bind(batch.folded_received_at.0)
            .execute(&mut *transaction)
            .await?;
        let holds = moved.rows_affected() == 1;
        if holds {
            write(&mut transaction, lease.generation, batch).await?;
            transaction.commit().await?;
        } else {
            transaction.rollback().await?;
        }
        writer.put_back(connection);
        Ok(holds)
    }
}

impl ReadModel {
    /// Writes a part of a fold whose checkpoint is moved later, by [`Self::fold_commit`]: of a generation
    /// that nobody reads or goes on with before.
    ///
    /// `false` where the lease has gone to another: then nothing was written.
    pub async fn fold_write(&self, lease: &Lease, batch: &FoldBatch) -> Result<bool, StoreError> {
        let mut writer = self.0.writer.lock().await;
        let mut connection = writer.take().await?;
        let mut transaction = connection.begin_with(append::sql::BEGIN).await?;
        let holds = lease.holds(&mut transaction).await?;
        if holds {
            write(&mut transaction, lease.generation, batch).await?;
        }
        transaction.commit().await?;
        writer.put_back(connection);
        Ok(holds)
    }
}

async fn write(
    connection: &mut SqliteConnection,
    generation: GenerationId,
    batch: &FoldBatch,
) -> Result<(), StoreError> {
    bulk::run(connection, sql::STATE, generation, 4, &batch.states, |to, (customer, state)| {
        add_customer(to, customer)?;
        add(to, state.as_slice())
    })
    .await?;
    write_rows(connection, generation, &batch.rows).await?;
    bulk::run(connection, sql::TIMELINE, generation, 6, &batch.timeline, |to, entry| {
        add_customer(to, &entry.customer)?;
        add(to, entry.subscription.as_ref().map_or("", SubscriptionId::as_str))?;
        add(to, entry.position.0)?;
        add(to, entry.created.0)
    })
    .await?;
    let pairs = |entry: &TimelineEntry| {
        entry.subscription.clone().map(|subscription| (entry.customer.clone(), subscription))
    };
    let pairs: BTreeSet<_> = batch.timeline.iter().filter_map(pairs).collect();
    let pairs: Vec<_> = pairs.into_iter().collect();
    bulk::run(connection, sql::PAIR, generation, 4, &pairs, |to, (customer, subscription)| {
        add_customer(to, customer)?;
        add(to, subscription.as_str())
    })
    .await?;
    bulk::run(connection, sql::LINK, generation, 4, &batch.links, |to, link| {
        add_scope(to, &link.scope)?;
        add(to, link.object_id.as_str())?;
        add(to, link.owner_id.as_str())
    })
    .await?;
    bulk::run(connection, sql::CATALOGUE_ENTRY, generation, 8, &batch.catalogue, |to, entry| {
        add_scope(to, &entry.scope)?;
        add(to, entry.id.as_str())?;
        add(to, entry.name.as_deref())?;
        add(to, entry.rank.deleted)?;
        add(to, entry.rank.created.0)?;
        add(to, entry.rank.changed)?;
        add(to, entry.rank.event_id.as_str())
    })
    .await?;
    bulk::run(connection, sql::PARK, generation, 8, &batch.parked, |to, parked| {
        add(to, parked.position.0)?;
        add(to, parked.event_id.as_str())?;
        add_scope(to, &parked.scope)?;
        add(to, parked.customer.as_ref().map_or("", CustomerId::as_str))?;
        add(to, parked.subscription.as_ref().map_or("", SubscriptionId::as_str))?;
        add(to, parked.event_type.as_str())?;
        add(to, parked.reason.as_str())
    })
    .await?;
    Ok(())
}

async fn write_rows(
    connection: &mut SqliteConnection,
    generation: GenerationId,
    rows: &[Vec<Value>],
) -> Result<(), StoreError> {
    let columns = SubscriptionRow::COLUMNS;
    if let Some(row) = rows.iter().find(|row| row.len() != columns.len()) {
        let message = format!("a row has {} values for {} columns", row.len(), columns.len());
        return Err(StoreError::Internal(message.into()));
    }
    let stored = columns.iter().filter(|column| !is_joined(column)).count();
    bulk::run(connection, &row_template(), generation, stored, rows, |to, row| {
        let stored = columns.iter().zip(row).filter(|(column, _)| !is_joined(column));
        stored.into_iter().try_for_each(|(_, value)| cells::bind(to, value))
    })
    .await?;
    Ok(())
}

/// [`sql::ROW`] with the stored columns.
pub(in crate::store) fn row_template() -> String {
    let stored = SubscriptionRow::COLUMNS.iter().filter(|column| !is_joined(column));
    let names: Vec<_> = stored.map(|column| column.name).collect();
    let assignments: Vec<_> =
        names.iter().map(|name| format!("{name} = excluded.{name}")).collect();
    sql::ROW
        .replace("{columns}", &names.join(", "))
        .replace("{assignments}", &assignments.join(", "))
}

pub(in crate::store) mod sql {
    crate::store::statements::statements! {
        STATES = "SELECT c.account, c.livemode, c.customer_id, c.state FROM (VALUES {rows}) AS k
            CROSS JOIN customers_g{g} AS c ON c.account = k.column1 AND c.livemode = k.column2 AND c.customer_id = k.column3";
        NAMES = "SELECT c.account, c.livemode, c.id, c.name, c.deleted, c.created, c.changed, c.event_id FROM (VALUES {rows}) AS k
            CROSS JOIN catalogue_g{g} AS c ON c.account = k.column1 AND c.livemode = k.column2 AND c.id = k.column3";
        CHECKPOINT = "UPDATE generations SET position = ?4, leaf_hash = ?5, folded_received_at = ?6
            WHERE id = ?1 AND token = ?2 AND position = ?3";
        STATE = "INSERT INTO customers_g{g} (account, livemode, customer_id, state)
            SELECT * FROM (VALUES {rows}) WHERE column1 IS NOT NULL
            ON CONFLICT (account, livemode, customer_id) DO UPDATE SET state = excluded.state";
        /// An update and no replacement, which would write every index anew.
        ROW = "INSERT INTO current_subscriptions_g{g} ({columns})
            SELECT * FROM (VALUES {rows}) WHERE column1 IS NOT NULL
            ON CONFLICT (account, livemode, customer_id, subscription_id) DO UPDATE SET {assignments}";
        TIMELINE = "INSERT OR IGNORE INTO timeline_g{g} (account, livemode, customer_id, subscription_id, position, created)
            SELECT * FROM (VALUES {rows}) WHERE column1 IS NOT NULL";
        PAIR = "INSERT OR IGNORE INTO subscription_customers_g{g} (account, livemode, customer_id, subscription_id)
            SELECT * FROM (VALUES {rows}) WHERE column1 IS NOT NULL";
        LINK = "INSERT OR IGNORE INTO links_g{g} (account, livemode, object_id, owner_id)
            SELECT * FROM (VALUES {rows}) WHERE column1 IS NOT NULL";
        CATALOGUE_ENTRY = "INSERT INTO catalogue_g{g} (account, livemode, id, name, deleted, created, changed, event_id)
            SELECT * FROM (VALUES {rows}) WHERE column1 IS NOT NULL
            ON CONFLICT (account, livemode, id) DO UPDATE SET name = excluded.name, deleted = excluded.deleted,
                created = excluded.created, changed = excluded.changed, event_id = excluded.event_id
                WHERE (excluded.deleted, excluded.created, excluded.changed, excluded.event_id) > (deleted, created, changed, event_id)";
        PARK = "INSERT OR IGNORE INTO parked_g{g} (position, event_id, account, livemode, customer_id, subscription_id, type, reason)
            SELECT * FROM (VALUES {rows}) WHERE column1 IS NOT NULL";
    }
}
