//! Reading subscriptions: by filter, from the live generation.

use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{AssertSqlSafe, Row as _};

use super::bulk::{add, add_customer};
use super::generation::live_stamp;
use super::{GenerationStamp, ReadModel, cells};
use crate::ids::{AccountId, CustomerId, CustomerKey, Scope, SubscriptionId};
use crate::projection::row::SubscriptionRow;
use crate::store::StoreError;
use crate::time::StripeTime;

/// Which subscriptions are asked for: those that meet all of what is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscriptionFilter {
    /// Of this account.
    pub account: Option<AccountId>,
    /// In this mode.
    pub livemode: Option<bool>,
    /// Of this user of the application.
    pub user_id: Option<String>,
    /// Of this customer.
    pub customer_id: Option<CustomerId>,
    /// This one.
    pub subscription_id: Option<SubscriptionId>,
    /// With this status.
    pub status: Option<String>,
    /// Whether access is granted at this instant.
    pub active: Option<(bool, StripeTime)>,
    /// Whose first item has this price.
    pub price_id: Option<String>,
}

/// By what subscriptions are ordered: account, mode, id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SubscriptionKey {
    /// The account and mode.
    pub scope: Scope,
    /// The subscription.
    pub id: SubscriptionId,
}

impl ReadModel {
    /// The subscriptions of the live generation that meet a filter, ordered by [`SubscriptionKey`],
    /// of those after `after` at most `limit`.
    ///
    /// [`StoreError::ReadModelBuilding`] where no generation is live yet.
    pub async fn subscriptions(
        &self,
        filter: &SubscriptionFilter,
        after: Option<&SubscriptionKey>,
        limit: usize,
    ) -> Result<(GenerationStamp, Vec<SubscriptionRow>), StoreError> {
        let (conditions, arguments) = filter.to_sql(after, limit)?;
        let mut transaction = self.0.readers.begin().await?;
        let stamp = live_stamp(&mut transaction).await?;
        let shape = self.live_shape(&mut transaction, stamp.generation).await?;
        let statement = shape.select()?.replace("{conditions}", &conditions);
        let rows = sqlx::query_with(AssertSqlSafe(statement), arguments)
            .fetch_all(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok((stamp, rows.iter().map(|row| read(row, 0)).collect::<Result<_, _>>()?))
    }

    /// Whether a customer is known to the live generation.
    pub async fn customer_exists(
        &self,
        customer: &CustomerKey,
    ) -> Result<(GenerationStamp, bool), StoreError> {
        let mut transaction = self.0.readers.begin().await?;
        let stamp = live_stamp(&mut transaction).await?;
        let mut arguments = SqliteArguments::default();
        add_customer(&mut arguments, customer)?;
        let shape = self.live_shape(&mut transaction, stamp.generation).await?;
        let statement = shape.statement(sql::CUSTOMER_EXISTS)?;
        let row = sqlx::query_with(AssertSqlSafe(statement), arguments)
            .fetch_one(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok((stamp, row.try_get(0)?))
    }
}

impl SubscriptionFilter {
    /// The conditions, and the values they compare with.
    pub(in crate::store) fn to_sql(
        &self,
        after: Option<&SubscriptionKey>,
        limit: usize,
    ) -> Result<(String, SqliteArguments), StoreError> {
        let mut conditions = vec!["TRUE".to_owned()];
        let mut to = SqliteArguments::default();
        for (column, text) in [
            ("account", self.account.as_ref().map(AccountId::as_str)),
            ("user_id", self.user_id.as_deref()),
            ("customer_id", self.customer_id.as_ref().map(CustomerId::as_str)),
            ("subscription_id", self.subscription_id.as_ref().map(SubscriptionId::as_str)),
            ("status", self.status.as_deref()),
            ("price_id", self.price_id.as_deref()),
        ] {
            if let Some(text) = text {
                conditions.push(format!("s.{column} = ?"));
                add(&mut to, text)?;
            }
        }
        if let Some(livemode) = self.livemode {
            conditions.push("s.livemode = ?".to_owned());
            add(&mut to, livemode)?;
        }
        if let Some((active, now)) = self.active {
            conditions.push(sql::ACTIVE.to_owned());
            add(&mut to, now.to_string())?;
            add(&mut to, active)?;
        }
        if let Some(SubscriptionKey { scope, id }) = after {
            conditions.push(sql::AFTER.to_owned());
            super::bulk::add_scope(&mut to, scope)?;
            add(&mut to, id.as_str())?;
        }
        add_limit(&mut to, limit)?;
        Ok((conditions.join(" AND "), to))
    }
}

pub(super) fn add_limit(arguments: &mut SqliteArguments, limit: usize) -> Result<(), StoreError> {
    add(arguments, i64::try_from(limit).unwrap_or(i64::MAX))
}

/// Reads account, livemode and customer from the first three columns.
pub(super) fn read_customer(row: &SqliteRow) -> Result<CustomerKey, StoreError> {
    let account = AccountId::new(row.try_get::<String, _>(0)?);
    let scope = Scope { account, livemode: row.try_get(1)? };
    Ok(CustomerKey { scope, customer: CustomerId::new(row.try_get::<String, _>(2)?) })
}

fn read(row: &SqliteRow, first: usize) -> Result<SubscriptionRow, StoreError> {
    let values = cells::read(row, first, SubscriptionRow::COLUMNS)?;
    SubscriptionRow::from_values(values)
        .map_err(|error| StoreError::Corrupt(format!("a row of the read model: {error}")))
}

pub(in crate::store) mod sql {
    crate::store::statements::statements! {
        SELECT = "SELECT {columns} FROM {tables} WHERE {conditions}
            ORDER BY s.account, s.livemode, s.subscription_id LIMIT ?";
        CUSTOMER_EXISTS = "SELECT EXISTS (SELECT 1 FROM customers_g{g} WHERE account = ? AND livemode = ? AND customer_id = ?)";
    }

    // Conditions that a filter adds.
    pub(in crate::store) const ACTIVE: &str =
        "(s.entitled AND (s.entitled_until IS NULL OR s.entitled_until > ?)) = ?";
    pub(in crate::store) const AFTER: &str =
        "(s.account, s.livemode, s.subscription_id) > (?, ?, ?)";
}
