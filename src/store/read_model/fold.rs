//! Writing what a fold made: rows, states and the checkpoint in one transaction.

use std::collections::{BTreeSet, HashMap};

use super::generation::{for_generation, is_joined};
use super::schema::GenerationSchema;
use super::subscriptions::read_customer;
use super::{GenerationId, Lease, ReadModel, item_properties};
use crate::ids::{AccountId, CustomerId, CustomerKey, EventId, Position, Scope, SubscriptionId};
use crate::projection::catalogue::{Catalogue, CatalogueEntry, NameRank};
use crate::projection::column::Value;
pub use crate::projection::effects::{Parked, TimelineEntry};
use crate::projection::observe::Link;
use crate::projection::row::SubscriptionRow;
use crate::store::StoreError;
use crate::store::db::{BindType, RowBinder, Session, Statement};
use crate::time::{ReceivedAt, StripeTime};
use crate::tree::Hash;

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
    /// Customers and the users that events link them to.
    pub users: Vec<(CustomerKey, String)>,
    /// Names of products and prices.
    pub catalogue: Vec<CatalogueEntry>,
    /// Events whose fold failed.
    pub parked: Vec<Parked>,
}

impl ReadModel {
    /// The states of these customers, of those that have one.
    pub async fn states(
        &self,
        generation: GenerationId,
        customers: &[CustomerKey],
    ) -> Result<HashMap<CustomerKey, Vec<u8>>, StoreError> {
        let mut reader = self.0.db.read().await?;
        let mut session = reader.session();
        let template = for_generation(session.text(sql::STATES), generation);
        let rows = session.bulk(&template, &CUSTOMER, customers, bind_customer).await?;
        rows.iter().map(|row| Ok((read_customer(row)?, row.get(3)?))).collect()
    }

    /// What the catalogue calls the products and prices of these rows, as far as it knows them.
    pub async fn catalogue<'r>(
        &self,
        generation: GenerationId,
        rows: impl IntoIterator<Item = &'r SubscriptionRow>,
    ) -> Result<Catalogue, StoreError> {
        let wanted: BTreeSet<(Scope, &str)> = rows
            .into_iter()
            .flat_map(|row| {
                let scope = Scope { account: row.account.as_str().into(), livemode: row.livemode };
                let of_items = row.items.0.iter().flat_map(|it| [&it.product_id, &it.price_id]);
                let ids = of_items.chain([&row.product_id, &row.price_id]).flatten();
                ids.map(move |id| (scope.clone(), id.as_str()))
            })
            .collect();
        let wanted: Vec<_> = wanted.into_iter().collect();
        let mut reader = self.0.db.read().await?;
        let mut session = reader.session();
        if !GenerationSchema::load(&mut session, generation).await?.has("catalogue") {
            return Ok(Catalogue::default());
        }
        let template = for_generation(session.text(sql::NAMES), generation);
        let found = session.bulk(&template, &CUSTOMER, &wanted, |to, (scope, id)| {
            bind_scope(to, scope);
            to.text(*id);
        });
        let mut catalogue = Catalogue::default();
        for row in &found.await? {
            catalogue.join(CatalogueEntry {
                scope: Scope {
                    account: AccountId::new(row.get::<String, _>(0)?),
                    livemode: row.get(1)?,
                },
                id: row.get(2)?,
                name: row.get(3)?,
                rank: NameRank {
                    deleted: row.get(4)?,
                    created: StripeTime(row.get(5)?),
                    changed: row.get(6)?,
                    event_id: EventId::new(row.get::<String, _>(7)?),
                },
            });
        }
        Ok(catalogue)
    }

    /// Writes the fold of the events after `from` up to `to`, and moves the checkpoint. The leaf hash is none
    /// where the event at `to` is damaged.
    ///
    /// `false` where the lease has gone to another or the checkpoint is no longer at `from`: then
    /// nothing was written.
    pub async fn fold_commit(
        &self,
        lease: &Lease,
        from: Position,
        to: Position,
        leaf_hash_at_to: impl Into<Option<Hash>>,
        batch: &FoldBatch,
    ) -> Result<bool, StoreError> {
        let leaf_hash: Option<Hash> = leaf_hash_at_to.into();
        let mut write = self.0.db.write().await?;
        let mut session = write.session();
        let moved = session
            .query(sql::CHECKPOINT)
            .bind(lease.generation)
            .bind(lease.token)
            .bind(from.0)
            .bind(to.0)
            .bind(leaf_hash.as_ref().map(|hash| &hash[..]))
            .bind(batch.folded_received_at.0)
            .execute()
            .await?;
        if moved != 1 {
            write.rollback().await?;
            return Ok(false);
        }
        write_batch(&mut session, lease.generation, batch).await?;
        write.commit().await?;
        Ok(true)
    }

    /// Writes a part of a fold whose checkpoint is moved later, by [`Self::fold_commit`]: of a generation
    /// that nobody reads or goes on with before.
    ///
    /// `false` where the lease has gone to another: then nothing was written.
    pub async fn fold_write(&self, lease: &Lease, batch: &FoldBatch) -> Result<bool, StoreError> {
        let mut write = self.0.db.write().await?;
        let mut session = write.session();
        let holds = lease.is_held(&mut session).await?;
        if holds {
            write_batch(&mut session, lease.generation, batch).await?;
        }
        write.commit().await?;
        Ok(holds)
    }
}

/// The columns of a customer's key.
const CUSTOMER: [BindType; 3] = [BindType::Text, BindType::Bool, BindType::Text];

fn bind_scope(to: &mut RowBinder<'_, '_>, scope: &Scope) {
    to.text(scope.account.as_str());
    to.bool(scope.livemode);
}

fn bind_customer(to: &mut RowBinder<'_, '_>, key: &CustomerKey) {
    bind_scope(to, &key.scope);
    to.text(key.customer.as_str());
}

async fn write_batch(
    session: &mut Session<'_>,
    generation: GenerationId,
    batch: &FoldBatch,
) -> Result<(), StoreError> {
    use BindType::{Bool, Bytes, Integer, Text};
    let dialect = session.dialect();
    let template = |statement: Statement| for_generation(statement.text(dialect), generation);
    session
        .bulk(
            &template(sql::STATE),
            &[Text, Bool, Text, Bytes],
            &batch.states,
            |to, (key, state)| {
                bind_customer(to, key);
                to.bytes(state.as_slice());
            },
        )
        .await?;
    write_rows(session, generation, &batch.rows).await?;
    item_properties::write(session, generation, &batch.rows).await?;
    let columns = [Text, Bool, Text, Text, Integer, Integer];
    session
        .bulk(&template(sql::TIMELINE), &columns, &batch.timeline, |to, entry| {
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
    let columns = [Text, Bool, Text, Text];
    session
        .bulk(&template(sql::PAIR), &columns, &pairs, |to, (customer, subscription)| {
            bind_customer(to, customer);
            to.text(subscription.as_str());
        })
        .await?;
    session
        .bulk(&template(sql::LINK), &columns, &batch.links, |to, link| {
            bind_scope(to, &link.scope);
            to.text(link.object_id.as_str());
            to.text(link.owner_id.as_str());
        })
        .await?;
    let columns = [Text, Bool, Text, Text];
    session
        .bulk(&template(sql::USER), &columns, &batch.users, |to, (customer, user)| {
            bind_customer(to, customer);
            to.text(user.as_str());
        })
        .await?;
    let columns = [Text, Bool, Text, Text, Bool, Integer, Bool, Text];
    // One statement changes a row once.
    let mut names = Catalogue::default();
    batch.catalogue.iter().cloned().for_each(|entry| names.join(entry));
    let names: Vec<_> = names.into_entries().collect();
    session
        .bulk(&template(sql::CATALOGUE_ENTRY), &columns, &names, |to, entry| {
            bind_scope(to, &entry.scope);
            to.text(entry.id.as_str());
            to.text(entry.name.as_deref());
            to.bool(entry.rank.deleted);
            to.integer(entry.rank.created.0);
            to.bool(entry.rank.changed);
            to.text(entry.rank.event_id.as_str());
        })
        .await?;
    let columns = [Integer, Text, Text, Bool, Text, Text, Text, Text];
    session
        .bulk(&template(sql::PARK), &columns, &batch.parked, |to, parked| {
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

async fn write_rows(
    session: &mut Session<'_>,
    generation: GenerationId,
    rows: &[Vec<Value>],
) -> Result<(), StoreError> {
    let columns = SubscriptionRow::COLUMNS;
    if let Some(row) = rows.iter().find(|row| row.len() != columns.len()) {
        let message = format!("a row has {} values for {} columns", row.len(), columns.len());
        return Err(StoreError::Internal(message.into()));
    }
    let stored: Vec<_> = row_columns();
    let template = for_generation(&row_template(), generation);
    session
        .bulk(&template, &stored, rows, |to, row| {
            let stored = columns.iter().zip(row).filter(|(column, _)| !is_joined(column));
            stored.for_each(|(_, value)| to.value(value));
        })
        .await?;
    Ok(())
}

/// The stored columns.
pub(in crate::store) fn row_columns() -> Vec<BindType> {
    let stored = SubscriptionRow::COLUMNS.iter().filter(|column| !is_joined(column));
    stored.map(|column| column.column_type.into()).collect()
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
    crate::store::db::statements! {
        STATES = sqlite "SELECT c.account, c.livemode, c.customer_id, c.state FROM ({rows}) AS k
            CROSS JOIN customers_g{g} AS c ON c.account = k.column1 AND c.livemode = k.column2 AND c.customer_id = k.column3",
            postgres "SELECT c.* FROM ({rows}) AS k CROSS JOIN LATERAL (SELECT account, livemode, customer_id, state FROM customers_g{g}
                WHERE account = k.column1 AND livemode = k.column2 AND customer_id = k.column3 OFFSET 0) AS c";
        NAMES = sqlite "SELECT c.account, c.livemode, c.id, c.name, c.deleted, c.created, c.changed, c.event_id FROM ({rows}) AS k
            CROSS JOIN catalogue_g{g} AS c ON c.account = k.column1 AND c.livemode = k.column2 AND c.id = k.column3",
            postgres "SELECT c.* FROM ({rows}) AS k CROSS JOIN LATERAL (SELECT account, livemode, id, name, deleted, created, changed, event_id
                FROM catalogue_g{g} WHERE account = k.column1 AND livemode = k.column2 AND id = k.column3 OFFSET 0) AS c";
        CHECKPOINT = "UPDATE generations SET position = $4, leaf_hash = $5, folded_received_at = $6
            WHERE id = $1 AND token = $2 AND position = $3";
        STATE = "INSERT INTO customers_g{g} (account, livemode, customer_id, state)
            SELECT * FROM ({rows}) AS k WHERE column1 IS NOT NULL
            ON CONFLICT (account, livemode, customer_id) DO UPDATE SET state = excluded.state";
        TIMELINE = "INSERT INTO timeline_g{g} (account, livemode, customer_id, subscription_id, position, created)
            SELECT * FROM ({rows}) AS k WHERE column1 IS NOT NULL ON CONFLICT DO NOTHING";
        PAIR = "INSERT INTO subscription_customers_g{g} (account, livemode, customer_id, subscription_id)
            SELECT * FROM ({rows}) AS k WHERE column1 IS NOT NULL ON CONFLICT DO NOTHING";
        LINK = "INSERT INTO links_g{g} (account, livemode, object_id, owner_id)
            SELECT * FROM ({rows}) AS k WHERE column1 IS NOT NULL ON CONFLICT DO NOTHING";
        USER = "INSERT INTO user_customers_g{g} (account, livemode, customer_id, user_id)
            SELECT * FROM ({rows}) AS k WHERE column1 IS NOT NULL ON CONFLICT DO NOTHING";
        CATALOGUE_ENTRY = "INSERT INTO catalogue_g{g} AS c (account, livemode, id, name, deleted, created, changed, event_id)
            SELECT * FROM ({rows}) AS k WHERE column1 IS NOT NULL
            ON CONFLICT (account, livemode, id) DO UPDATE SET name = excluded.name, deleted = excluded.deleted,
                created = excluded.created, changed = excluded.changed, event_id = excluded.event_id
                WHERE (excluded.deleted, excluded.created, excluded.changed, excluded.event_id) > (c.deleted, c.created, c.changed, c.event_id)";
        PARK = "INSERT INTO parked_g{g} (position, event_id, account, livemode, customer_id, subscription_id, type, reason)
            SELECT * FROM ({rows}) AS k WHERE column1 IS NOT NULL ON CONFLICT DO NOTHING";
    }

    // With columns to fill in. An update and no replacement, which would write every index anew.
    pub(in crate::store) const ROW: &str = "INSERT INTO current_subscriptions_g{g} ({columns})
            SELECT * FROM ({rows}) AS k WHERE column1 IS NOT NULL
            ON CONFLICT (account, livemode, customer_id, subscription_id) DO UPDATE SET {assignments}";
}
