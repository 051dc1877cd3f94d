//! Reading of timelines and of parked events.

use std::collections::BTreeSet;

use futures_util::TryStreamExt as _;

use super::generation::{GenerationStamp, live_stamp};
use super::generation_id::GenerationId;
use super::handle::ReadModel;
use super::subscriptions::{limit_of, read_customer};
use super::tables::{bind_scope, bulk};
use crate::ids::{AccountId, CustomerId, CustomerKey, EventId, Position, Scope, SubscriptionId};
use crate::projection::effects::{Parked, TimelineEntry};
use crate::store::db::Row;
use crate::store::error::StoreError;
use crate::time::StripeTime;

/// Key of a timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimelineKey {
    /// Events of a customer, and of the objects linked to the customer.
    Customer(CustomerKey),
    /// Events that name a subscription.
    Subscription(Scope, SubscriptionId),
}

impl ReadModel {
    /// Reads at most `limit` entries of a timeline after a position, in the order of the log. An event may have several
    /// entries.
    ///
    /// [`StoreError::ReadModelBuilding`] if no generation is live.
    pub async fn timeline(
        &self,
        subject: &TimelineKey,
        after: Position,
        limit: usize,
    ) -> Result<(GenerationStamp, Vec<TimelineEntry>), StoreError> {
        let mut entries = Vec::new();
        let stamp = self.timeline_each(subject, after, limit, |entry| entries.push(entry)).await?;
        Ok((stamp, entries))
    }

    /// Like [`Self::timeline`], but calls `each` for each entry, without holding all of them in memory.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn timeline_each(
        &self,
        subject: &TimelineKey,
        after: Position,
        limit: usize,
        mut each: impl FnMut(TimelineEntry) + Send,
    ) -> Result<GenerationStamp, StoreError> {
        let (template, scope, id) = match subject {
            TimelineKey::Customer(CustomerKey { scope, customer }) => {
                (sql::OF_CUSTOMER, scope, customer.as_str())
            }
            TimelineKey::Subscription(scope, id) => (sql::OF_SUBSCRIPTION, scope, id.as_str()),
        };
        let mut reader = self.0.db.read_transaction().await?;
        let mut session = reader.session();
        let stamp = live_stamp(&mut session).await?;
        let schema = self.schema_of(&mut session, stamp.generation).await?;
        let query = session.query(schema.statement(template)?).bind(after.0).bind(limit_of(limit));
        let query = query.bind(scope.account.as_str()).bind(scope.livemode).bind(id);
        let mut rows = query.fetch();
        while let Some(row) = rows.try_next().await? {
            each(read_entry(&row).map_err(StoreError::into_read_model_damage)?);
        }
        drop(rows);
        reader.end().await?;
        Ok(stamp)
    }

    /// Reads all customers that any event links to a user, by the rules of the live generation.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn customers_of_user(
        &self,
        scope: &Scope,
        user_id: &str,
    ) -> Result<(GenerationStamp, Vec<CustomerKey>), StoreError> {
        let mut reader = self.0.db.read_transaction().await?;
        let mut session = reader.session();
        let live = self.live_in(&mut session).await?.ok_or(StoreError::ReadModelBuilding)?;
        let schema = self.schema_of(&mut session, live.id).await?;
        if !schema.has("user_candidates") {
            return Err(StoreError::OtherVersion(live.id));
        }
        let logic = live.logic.parse(live.id)?;
        let counted = logic.counted_candidates();
        let (template, tables) = (sql::CUSTOMERS_OF_USER, schema.tables);
        let rows = bulk(&mut session, template, tables, &counted, |to, (source, key)| {
            bind_scope(to, scope);
            to.text(user_id);
            to.text(*source);
            to.text(*key);
        });
        let rows = rows.await?;
        reader.end().await?;
        let customers = rows.iter().map(read_customer).collect::<Result<BTreeSet<_>, _>>()?;
        Ok((live.stamp(), customers.into_iter().collect()))
    }

    /// Reads the first events that a generation could not fold.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn parked(
        &self,
        generation: GenerationId,
        limit: usize,
    ) -> Result<Vec<Parked>, StoreError> {
        let mut reader = self.0.db.read().await?;
        let mut session = reader.session();
        let schema = self.schema_of(&mut session, generation).await?;
        if !schema.has("parked") {
            return Ok(Vec::new());
        }
        let statement = schema.statement(sql::PARKED)?;
        let rows = session.query(statement).bind(limit_of(limit)).fetch_all().await?;
        rows.iter().map(read_parked).collect()
    }

    /// Counts the events that a generation could not fold.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn parked_count(&self, generation: GenerationId) -> Result<i64, StoreError> {
        let mut reader = self.0.db.read().await?;
        let mut session = reader.session();
        let schema = self.schema_of(&mut session, generation).await?;
        if !schema.has("parked") {
            return Ok(0);
        }
        let statement = schema.statement(sql::PARKED_COUNT)?;
        session.query(statement).fetch_one().await?.get(0)
    }
}

fn read_entry(row: &Row) -> Result<TimelineEntry, StoreError> {
    Ok(TimelineEntry {
        customer: read_customer(row)?,
        subscription: not_empty(row.get(3)?).map(SubscriptionId::new),
        position: Position(row.get(4)?),
        created: StripeTime(row.get(5)?),
    })
}

fn read_parked(row: &Row) -> Result<Parked, StoreError> {
    Ok(Parked {
        position: Position(row.get(0)?),
        event_id: EventId::new(row.get::<String, _>(1)?),
        scope: Scope { account: AccountId::new(row.get::<String, _>(2)?), livemode: row.get(3)? },
        customer: not_empty(row.get(4)?).map(CustomerId::new),
        subscription: not_empty(row.get(5)?).map(SubscriptionId::new),
        event_type: row.get(6)?,
        reason: row.get(7)?,
    })
}

fn not_empty(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

pub(in crate::store) mod sql {
    crate::store::db::statements! {
        /// Entries of the customer, and of the objects that links connect to it. PostgreSQL does not know that these
        /// are few; OFFSET makes it look up each of them in the index.
        OF_CUSTOMER = sqlite "WITH RECURSIVE own (id) AS (SELECT $5 UNION
                SELECT object_id FROM own CROSS JOIN links_{l} ON account = $3 AND livemode = $4 AND owner_id = own.id)
            SELECT account, livemode, customer_id, subscription_id, position, created FROM timeline_{l}
            WHERE account = $3 AND livemode = $4 AND position > $1 AND customer_id IN (SELECT id FROM own)
            ORDER BY position, subscription_id LIMIT CAST($2 AS bigint)",
            postgres "WITH RECURSIVE own (id) AS (SELECT $5::text COLLATE \"C\" UNION
                SELECT l.object_id FROM own CROSS JOIN LATERAL (SELECT object_id FROM links_{l}
                    WHERE account = $3 AND livemode = $4 AND owner_id = own.id OFFSET 0) AS l)
            SELECT t.account, t.livemode, t.customer_id, t.subscription_id, t.position, t.created
            FROM own CROSS JOIN LATERAL (SELECT account, livemode, customer_id, subscription_id, position, created FROM timeline_{l}
                WHERE account = $3 AND livemode = $4 AND customer_id = own.id AND position > $1 OFFSET 0) AS t
            ORDER BY t.position, t.subscription_id LIMIT CAST($2 AS bigint)";
        /// Finds the customer first, because the timeline has an index by customer only.
        OF_SUBSCRIPTION = sqlite "SELECT t.account, t.livemode, t.customer_id, t.subscription_id, t.position, t.created
            FROM subscription_customers_{l} AS c CROSS JOIN timeline_{l} AS t
                ON t.account = c.account AND t.livemode = c.livemode AND t.customer_id = c.customer_id AND t.subscription_id = c.subscription_id
            WHERE c.account = $3 AND c.livemode = $4 AND c.subscription_id = $5 AND t.position > $1
            ORDER BY t.position, t.customer_id LIMIT CAST($2 AS bigint)",
            postgres "SELECT t.account, t.livemode, t.customer_id, t.subscription_id, t.position, t.created
            FROM subscription_customers_{l} AS c JOIN timeline_{l} AS t
                ON t.account = c.account AND t.livemode = c.livemode AND t.customer_id = c.customer_id AND t.subscription_id = c.subscription_id
            WHERE c.account = $3 AND c.livemode = $4 AND c.subscription_id = $5 AND t.position > $1
            ORDER BY t.position, t.customer_id LIMIT CAST($2 AS bigint)";

        CUSTOMERS_OF_USER [Text, Bool, Text, Text, Text] = sqlite "SELECT c.account, c.livemode, c.customer_id FROM ({rows}) AS k
            CROSS JOIN user_candidates_{l} AS c ON c.account = k.column1 AND c.livemode = k.column2 AND c.value = k.column3
                AND c.source = k.column4 AND c.key = k.column5",
            postgres "SELECT c.* FROM ({rows}) AS k CROSS JOIN LATERAL (SELECT account, livemode, customer_id FROM user_candidates_{l}
                WHERE account = k.column1 AND livemode = k.column2 AND value = k.column3 AND source = k.column4 AND key = k.column5
                OFFSET 0) AS c";
        PARKED = "SELECT position, event_id, account, livemode, customer_id, subscription_id, type, reason FROM parked_{l}
            ORDER BY position LIMIT CAST($1 AS bigint)";
        PARKED_COUNT = "SELECT count(*) FROM parked_{l}";
    }
}
