//! Reading subscriptions: by filter, from the live generation.

use std::sync::Arc;

use super::generation::{live_stamp, read_stamp};
use super::shape::Shape;
use super::{GenerationStamp, ReadModel, cells};
use crate::ids::{AccountId, CustomerId, CustomerKey, Scope, SubscriptionId};
use crate::projection::row::SubscriptionRow;
use crate::store::StoreError;
use crate::store::db::{Dialect, Query, Reader, Row, bind_instant};
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

/// Subscriptions of one generation at one position, page by page: all in one read transaction, whatever is
/// folded or swapped meanwhile.
///
/// As long as it is open, SQLite's write-ahead log of the read model cannot be reset and grows by what is
/// written; PostgreSQL keeps the old versions of rows, ends the transaction where no page is asked for within 60
/// seconds, and does not drop this generation before it has ended.
#[derive(Debug)]
pub struct SubscriptionPages {
    /// Which generation, and how far it had folded.
    pub stamp: GenerationStamp,
    reader: Option<Reader>,
    shape: Arc<Shape>,
    filter: SubscriptionFilter,
    after: Option<SubscriptionKey>,
    rows: usize,
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
        if let Some(answer) = self.subscriptions_at_once(filter, after, limit).await? {
            return Ok(answer);
        }
        let mut pages = self.subscription_pages(filter.clone(), after.cloned(), limit).await?;
        let rows = pages.next().await?;
        pages.end().await?;
        Ok((pages.stamp, rows))
    }

    /// In one statement, which sees one moment by itself: a snapshot is three trips more. None where the tables
    /// that are known are not, or no longer, those of the live generation.
    async fn subscriptions_at_once(
        &self,
        filter: &SubscriptionFilter,
        after: Option<&SubscriptionKey>,
        limit: usize,
    ) -> Result<Option<(GenerationStamp, Vec<SubscriptionRow>)>, StoreError> {
        let Some(shape) = self.remembered_shape() else { return Ok(None) };
        let Some(select) = shape.select_stamped() else { return Ok(None) };
        let mut reader = self.0.db.read().await?;
        let mut session = reader.session();
        let conditions = filter.conditions(session.dialect(), after.is_some());
        let statement = select.replace("{conditions}", &conditions);
        let query = filter.bind(session.query(statement).bind(limit_of(limit)), after);
        let rows = match query.fetch_all().await {
            // They may have been dropped.
            Err(StoreError::Internal(_)) => return Ok(None),
            rows => rows?,
        };
        let Some(first) = rows.first() else { return Ok(None) };
        let stamp = read_stamp(first)?;
        if stamp.generation != shape.generation {
            return Ok(None);
        }
        let is_none = first.get::<Option<&str>, _>(STAMP_COLUMNS)?.is_none();
        let rows = rows.iter().skip(usize::from(is_none)).map(|row| read(row, STAMP_COLUMNS));
        Ok(Some((stamp, rows.collect::<Result<_, _>>()?)))
    }

    /// The same subscriptions, all of them, to be read so many at a time: see [`SubscriptionPages`].
    pub async fn subscription_pages(
        &self,
        filter: SubscriptionFilter,
        after: Option<SubscriptionKey>,
        rows: usize,
    ) -> Result<SubscriptionPages, StoreError> {
        let mut reader = self.0.db.snapshot().await?;
        let mut session = reader.session();
        let stamp = live_stamp(&mut session).await?;
        let shape = self.live_shape(&mut session, stamp.generation).await?;
        Ok(SubscriptionPages { stamp, reader: Some(reader), shape, filter, after, rows })
    }

    /// Whether a customer is known to the live generation.
    pub async fn customer_exists(
        &self,
        customer: &CustomerKey,
    ) -> Result<(GenerationStamp, bool), StoreError> {
        let mut reader = self.0.db.snapshot().await?;
        let mut session = reader.session();
        let stamp = live_stamp(&mut session).await?;
        let shape = self.live_shape(&mut session, stamp.generation).await?;
        let query = session.query(shape.statement(sql::CUSTOMER_EXISTS)?);
        let query = query.bind(customer.scope.account.as_str()).bind(customer.scope.livemode);
        let exists = query.bind(customer.customer.as_str()).fetch_one().await?.get(0)?;
        reader.end().await?;
        Ok((stamp, exists))
    }
}

impl SubscriptionPages {
    /// The next rows, fewer than were asked for only where they are the last.
    pub async fn next(&mut self) -> Result<Vec<SubscriptionRow>, StoreError> {
        let Some(reader) = &mut self.reader else { return Ok(Vec::new()) };
        let mut session = reader.session();
        let conditions = self.filter.conditions(session.dialect(), self.after.is_some());
        let statement = self.shape.select()?.replace("{conditions}", &conditions);
        let query = session.query(statement).bind(limit_of(self.rows));
        let rows = self.filter.bind(query, self.after.as_ref()).fetch_all().await?;
        let rows: Vec<_> = rows.iter().map(|row| read(row, 0)).collect::<Result<_, _>>()?;
        if let Some(last) = rows.last() {
            self.after = Some(SubscriptionKey::of(last));
        }
        Ok(rows)
    }

    /// Gives the transaction back; after it there are no more rows.
    pub async fn end(&mut self) -> Result<(), StoreError> {
        match self.reader.take() {
            Some(reader) => reader.end().await,
            None => Ok(()),
        }
    }
}

impl SubscriptionKey {
    /// Where a row stands.
    pub fn of(row: &SubscriptionRow) -> Self {
        let scope = Scope { account: row.account.as_str().into(), livemode: row.livemode };
        Self { scope, id: row.subscription_id.as_str().into() }
    }
}

impl SubscriptionFilter {
    /// What is asked for text by text: a column and its value.
    fn texts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = [
            ("account", self.account.as_ref().map(AccountId::as_str)),
            ("user_id", self.user_id.as_deref()),
            ("customer_id", self.customer_id.as_ref().map(CustomerId::as_str)),
            ("subscription_id", self.subscription_id.as_ref().map(SubscriptionId::as_str)),
            ("status", self.status.as_deref()),
            ("price_id", self.price_id.as_deref()),
        ];
        all.into_iter().filter_map(|(column, text)| Some((column, text?)))
    }

    /// The conditions, whose parameters are numbered from the second on: the first is the limit.
    pub(in crate::store) fn conditions(&self, dialect: Dialect, after: bool) -> String {
        let mut number = 1;
        let mut next = || {
            number += 1;
            format!("${number}")
        };
        let mut conditions = vec!["TRUE".to_owned()];
        conditions.extend(self.texts().map(|(column, _)| format!("s.{column} = {}", next())));
        if self.livemode.is_some() {
            conditions.push(format!("s.livemode = {}", next()));
        }
        if self.active.is_some() {
            let active = sql::ACTIVE.of(dialect);
            conditions.push(active.replace("{now}", &next()).replace("{active}", &next()));
        }
        if after {
            conditions.push(sql::AFTER.replace("{key}", &[next(), next(), next()].join(", ")));
        }
        conditions.join(" AND ")
    }

    /// Binds the values in the order of the conditions.
    fn bind<'q>(&self, mut query: Query<'q>, after: Option<&SubscriptionKey>) -> Query<'q> {
        self.texts().for_each(|(_, text)| query.add(text));
        if let Some(livemode) = self.livemode {
            query.add(livemode);
        }
        if let Some((active, now)) = self.active {
            query = bind_instant(query, now).bind(active);
        }
        if let Some(SubscriptionKey { scope, id }) = after {
            query = query.bind(scope.account.as_str()).bind(scope.livemode).bind(id.as_str());
        }
        query
    }
}

/// Columns before those of the subscription, where a statement tells of the generation too.
const STAMP_COLUMNS: usize = 3;

pub(super) fn limit_of(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Reads account, livemode and customer from the first three columns.
pub(super) fn read_customer(row: &Row) -> Result<CustomerKey, StoreError> {
    let account = AccountId::new(row.get::<String, _>(0)?);
    let scope = Scope { account, livemode: row.get(1)? };
    Ok(CustomerKey { scope, customer: CustomerId::new(row.get::<String, _>(2)?) })
}

fn read(row: &Row, first: usize) -> Result<SubscriptionRow, StoreError> {
    let values = cells::read(row, first, SubscriptionRow::COLUMNS)?;
    SubscriptionRow::from_values(values)
        .map_err(|error| StoreError::Corrupt(format!("a row of the read model: {error}")))
}

pub(in crate::store) mod sql {
    use crate::store::db::Statement;

    crate::store::db::statements! {
        SELECT = "SELECT {columns} FROM {tables} WHERE {conditions}
            ORDER BY s.account, s.livemode, s.subscription_id LIMIT CAST($1 AS bigint)";
        CUSTOMER_EXISTS = "SELECT EXISTS (SELECT 1 FROM customers_g{g} WHERE account = $1 AND livemode = $2 AND customer_id = $3)";
    }

    /// The live generation, and beside it what there is on a page of another statement.
    pub(in crate::store) const STAMPED: &str =
        "SELECT g.id, g.position, g.folded_received_at, page.*
            FROM generations AS g LEFT JOIN ({page}) AS page ON TRUE WHERE g.status = 'live'
            ORDER BY page.account, page.livemode, page.subscription_id";

    // Conditions that a filter adds.
    pub(in crate::store) const ACTIVE: Statement = Statement {
        sqlite: "(s.entitled AND (s.entitled_until IS NULL OR s.entitled_until > {now})) = {active}",
        postgres: "(s.entitled AND (s.entitled_until IS NULL OR s.entitled_until > to_timestamp({now}))) = {active}",
    };
    pub(in crate::store) const AFTER: &str = "(s.account, s.livemode, s.subscription_id) > ({key})";
}
