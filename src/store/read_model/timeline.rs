//! Reading timelines: which events concern a subject, and what could not be folded.

use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{AssertSqlSafe, Row as _};

use super::bulk::{add, add_customer, add_scope};
use super::generation::{live_stamp, of};
use super::shape::Shape;
use super::subscriptions::{add_limit, read_customer};
use super::{GenerationId, GenerationStamp, Parked, ReadModel, TimelineEntry};
use crate::ids::{AccountId, CustomerId, CustomerKey, EventId, Position, Scope, SubscriptionId};
use crate::store::StoreError;
use crate::time::StripeTime;

/// Whose timeline is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// All that concerns a customer, and the objects linked to them.
    Customer(CustomerKey),
    /// What names a subscription.
    Subscription(Scope, SubscriptionId),
}

impl ReadModel {
    /// The entries of a subject's timeline after a position, in the order of the log, at most
    /// `limit`. One event may have several entries.
    ///
    /// [`StoreError::ReadModelBuilding`] where no generation is live yet.
    pub async fn timeline(
        &self,
        subject: &Subject,
        after: Position,
        limit: usize,
    ) -> Result<(GenerationStamp, Vec<TimelineEntry>), StoreError> {
        let mut arguments = SqliteArguments::default();
        add(&mut arguments, after.0)?;
        add_limit(&mut arguments, limit)?;
        let template = match subject {
            Subject::Customer(customer) => {
                add_customer(&mut arguments, customer)?;
                sql::OF_CUSTOMER
            }
            Subject::Subscription(scope, id) => {
                add_scope(&mut arguments, scope)?;
                add(&mut arguments, id.as_str())?;
                sql::OF_SUBSCRIPTION
            }
        };
        let (stamp, rows) = self.read_live(template, arguments).await?;
        Ok((stamp, rows.iter().map(read_entry).collect::<Result<_, _>>()?))
    }

    /// The customers whose subscriptions belong to a user of the application.
    pub async fn customers_of_user(
        &self,
        scope: &Scope,
        user_id: &str,
    ) -> Result<(GenerationStamp, Vec<CustomerKey>), StoreError> {
        let mut arguments = SqliteArguments::default();
        add(&mut arguments, user_id)?;
        add_scope(&mut arguments, scope)?;
        let (stamp, rows) = self.read_live(sql::CUSTOMERS_OF_USER, arguments).await?;
        Ok((stamp, rows.iter().map(read_customer).collect::<Result<_, _>>()?))
    }

    /// The first of the events that a generation could not fold.
    pub async fn parked(
        &self,
        generation: GenerationId,
        limit: usize,
    ) -> Result<Vec<Parked>, StoreError> {
        let mut arguments = SqliteArguments::default();
        add_limit(&mut arguments, limit)?;
        let mut reader = self.0.readers.acquire().await?;
        if !Shape::load(&mut reader, generation).await?.has("parked") {
            return Ok(Vec::new());
        }
        let rows = sqlx::query_with(AssertSqlSafe(of(sql::PARKED, generation)), arguments)
            .fetch_all(&mut *reader)
            .await?;
        rows.iter().map(read_parked).collect()
    }

    /// How many events a generation could not fold.
    pub async fn parked_count(&self, generation: GenerationId) -> Result<i64, StoreError> {
        let mut reader = self.0.readers.acquire().await?;
        if !Shape::load(&mut reader, generation).await?.has("parked") {
            return Ok(0);
        }
        let count = sqlx::query_scalar(AssertSqlSafe(of(sql::PARKED_COUNT, generation)));
        Ok(count.fetch_one(&mut *reader).await?)
    }

    /// Runs a template on the live generation, in one snapshot with its stamp.
    async fn read_live(
        &self,
        template: &'static str,
        arguments: SqliteArguments,
    ) -> Result<(GenerationStamp, Vec<SqliteRow>), StoreError> {
        let mut transaction = self.0.readers.begin().await?;
        let stamp = live_stamp(&mut transaction).await?;
        let shape = self.live_shape(&mut transaction, stamp.generation).await?;
        let statement = AssertSqlSafe(shape.statement(template)?);
        let rows = sqlx::query_with(statement, arguments).fetch_all(&mut *transaction).await?;
        transaction.commit().await?;
        Ok((stamp, rows))
    }
}

fn read_entry(row: &SqliteRow) -> Result<TimelineEntry, StoreError> {
    Ok(TimelineEntry {
        customer: read_customer(row)?,
        subscription: not_empty(row.try_get(3)?).map(SubscriptionId::new),
        position: Position(row.try_get(4)?),
        created: StripeTime(row.try_get(5)?),
    })
}

fn read_parked(row: &SqliteRow) -> Result<Parked, StoreError> {
    Ok(Parked {
        position: Position(row.try_get(0)?),
        event_id: EventId::new(row.try_get::<String, _>(1)?),
        scope: Scope {
            account: AccountId::new(row.try_get::<String, _>(2)?),
            livemode: row.try_get(3)?,
        },
        customer: not_empty(row.try_get(4)?).map(CustomerId::new),
        subscription: not_empty(row.try_get(5)?).map(SubscriptionId::new),
        event_type: row.try_get(6)?,
        reason: row.try_get(7)?,
    })
}

fn not_empty(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

pub(in crate::store) mod sql {
    crate::store::statements::statements! {
        /// The customer's own entries, and those of the objects from which links lead to it.
        OF_CUSTOMER = "WITH RECURSIVE own (id) AS (SELECT ?5 UNION
                SELECT object_id FROM own CROSS JOIN links_g{g} ON account = ?3 AND livemode = ?4 AND owner_id = own.id)
            SELECT account, livemode, customer_id, subscription_id, position, created FROM timeline_g{g}
            WHERE account = ?3 AND livemode = ?4 AND position > ?1 AND customer_id IN (SELECT id FROM own)
            ORDER BY position, subscription_id LIMIT ?2";
        /// Through whom it belongs to: of a timeline there is no other index than the customer's.
        OF_SUBSCRIPTION = "SELECT t.account, t.livemode, t.customer_id, t.subscription_id, t.position, t.created
            FROM subscription_customers_g{g} AS c CROSS JOIN timeline_g{g} AS t
                ON t.account = c.account AND t.livemode = c.livemode AND t.customer_id = c.customer_id AND t.subscription_id = c.subscription_id
            WHERE c.account = ?3 AND c.livemode = ?4 AND c.subscription_id = ?5 AND t.position > ?1
            ORDER BY t.position, t.customer_id LIMIT ?2";
        /// The index by name: for the sake of DISTINCT, SQLite would rather walk through the whole account.
        CUSTOMERS_OF_USER = "SELECT DISTINCT account, livemode, customer_id
            FROM current_subscriptions_g{g} INDEXED BY current_subscriptions_g{g}_by_user
            WHERE user_id = ? AND account = ? AND livemode = ? ORDER BY customer_id";
        PARKED = "SELECT position, event_id, account, livemode, customer_id, subscription_id, type, reason FROM parked_g{g}
            ORDER BY position LIMIT ?";
        PARKED_COUNT = "SELECT count(*) FROM parked_g{g}";
    }
}
