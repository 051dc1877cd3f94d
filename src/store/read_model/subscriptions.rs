//! Reading subscriptions: by filter, from the live generation.

use std::sync::Arc;

use super::filter::{Parameters, SubscriptionFilter, SubscriptionKey};
use super::generation::{live_stamp, read_stamp};
use super::schema::GenerationSchema;
use super::{GenerationStamp, ReadModel, row_values};
use crate::ids::{AccountId, CustomerId, CustomerKey, Scope};
use crate::projection::row::SubscriptionRow;
use crate::store::StoreError;
use crate::store::db::{Dialect, Reader, Row};

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
    schema: Arc<GenerationSchema>,
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
        let fill = |schema: &GenerationSchema, dialect: Dialect| {
            let mut parameters = Parameters::new(dialect, limit);
            let select = schema.select_stamped(filter.leading_table())?;
            let conditions = filter.conditions(select.leading, after, &mut parameters);
            Ok((select.text.replace("{conditions}", &conditions), parameters))
        };
        let (stamp, rows) = self.stamped(fill).await?;
        let is_none = rows[0].get::<Option<&str>, _>(STAMP_COLUMNS)?.is_none();
        let rows = rows.iter().skip(usize::from(is_none)).map(|row| read(row, STAMP_COLUMNS));
        Ok((stamp, rows.collect::<Result<_, _>>()?))
    }

    /// The rows of a statement that tells of the live generation too, in its first columns; there
    /// is at least one.
    ///
    /// One statement sees one moment by itself, and a read transaction is three trips more. So it is
    /// sent at once where the live generation is the one whose tables are known.
    pub(super) async fn stamped<'a>(
        &self,
        fill: impl Fn(&GenerationSchema, Dialect) -> Result<(String, Parameters<'a>), StoreError>,
    ) -> Result<(GenerationStamp, Vec<Row>), StoreError> {
        if let Some(schema) = self.cached_schema() {
            let mut reader = self.0.db.read().await?;
            let mut session = reader.session();
            if let Ok((statement, parameters)) = fill(&schema, session.dialect()) {
                match parameters.bind(session.query(statement)).fetch_all().await {
                    // The tables may have been dropped.
                    Err(StoreError::Corrupt(_)) => {}
                    rows => {
                        let rows = rows?;
                        let stamp = rows.first().map(read_stamp).transpose()?;
                        if let Some(stamp) = stamp.filter(|it| it.generation == schema.generation) {
                            return Ok((stamp, rows));
                        }
                    }
                }
            }
        }
        let mut reader = self.0.db.read_transaction().await?;
        let mut session = reader.session();
        let stamp = live_stamp(&mut session).await?;
        let schema = self.live_schema(&mut session, stamp.generation).await?;
        let (statement, parameters) = fill(&schema, session.dialect())?;
        let rows = parameters.bind(session.query(statement)).fetch_all().await?;
        reader.end().await?;
        if rows.is_empty() {
            return Err(StoreError::ReadModelBuilding);
        }
        Ok((stamp, rows))
    }

    /// The same subscriptions, all of them, to be read so many at a time: see [`SubscriptionPages`].
    pub async fn subscription_pages(
        &self,
        filter: SubscriptionFilter,
        after: Option<SubscriptionKey>,
        rows: usize,
    ) -> Result<SubscriptionPages, StoreError> {
        let mut reader = self.0.db.read_transaction().await?;
        let mut session = reader.session();
        let stamp = live_stamp(&mut session).await?;
        let schema = self.live_schema(&mut session, stamp.generation).await?;
        Ok(SubscriptionPages { stamp, reader: Some(reader), schema, filter, after, rows })
    }

    /// Whether a customer is known to the live generation.
    pub async fn customer_exists(
        &self,
        customer: &CustomerKey,
    ) -> Result<(GenerationStamp, bool), StoreError> {
        let mut reader = self.0.db.read_transaction().await?;
        let mut session = reader.session();
        let stamp = live_stamp(&mut session).await?;
        let schema = self.live_schema(&mut session, stamp.generation).await?;
        let query = session.query(schema.statement(sql::CUSTOMER_EXISTS)?);
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
        let mut parameters = Parameters::new(session.dialect(), self.rows);
        let select = self.schema.select(self.filter.leading_table())?;
        let conditions =
            self.filter.conditions(select.leading, self.after.as_ref(), &mut parameters);
        let statement = select.text.replace("{conditions}", &conditions);
        let rows = parameters.bind(session.query(statement)).fetch_all().await?;
        let rows: Vec<_> = rows.iter().map(|row| read(row, 0)).collect::<Result<_, _>>()?;
        if let Some(last) = rows.last() {
            self.after = Some(SubscriptionKey::from_row(last));
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

/// Columns before those of the subscription, where a statement tells of the generation too.
pub(super) const STAMP_COLUMNS: usize = 3;

pub(super) fn limit_of(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Reads account, livemode and customer from the first three columns.
pub(super) fn read_customer(row: &Row) -> Result<CustomerKey, StoreError> {
    let account = AccountId::new(row.get::<String, _>(0)?);
    let scope = Scope { account, livemode: row.get(1)? };
    Ok(CustomerKey { scope, customer: CustomerId::new(row.get::<String, _>(2)?) })
}

/// Reads the columns of a subscription, which stand in their order from `first` on.
pub(super) fn read(row: &Row, first: usize) -> Result<SubscriptionRow, StoreError> {
    let values = row_values::read(row, first, SubscriptionRow::COLUMNS);
    SubscriptionRow::from_values(values.map_err(StoreError::into_read_model_damage)?)
        .map_err(|error| StoreError::ReadModelDamaged(format!("a row: {error}")))
}

pub(in crate::store) mod sql {
    crate::store::db::statements! {
        SELECT = "SELECT {columns} FROM {tables} WHERE {conditions}
            ORDER BY s.account, s.livemode, s.subscription_id LIMIT CAST($1 AS bigint)";
        /// The table of the properties leads: in SQLite CROSS JOIN keeps it first, in PostgreSQL OFFSET does.
        SELECT_BY_ITEMS = sqlite "SELECT {columns} FROM item_properties_g{g} AS k CROSS JOIN {tables}
            WHERE s.account = k.account AND s.livemode = k.livemode AND s.customer_id = k.customer_id
                AND s.subscription_id = k.subscription_id AND {conditions}
            ORDER BY k.account, k.livemode, k.subscription_id LIMIT CAST($1 AS bigint)",
            postgres "SELECT {columns} FROM item_properties_g{g} AS k CROSS JOIN LATERAL (SELECT * FROM current_subscriptions_g{g}
                WHERE account = k.account AND livemode = k.livemode AND customer_id = k.customer_id
                    AND subscription_id = k.subscription_id OFFSET 0) AS s {joins}
            WHERE {conditions}
            ORDER BY k.account, k.livemode, k.subscription_id LIMIT CAST($1 AS bigint)";
        CUSTOMER_EXISTS = "SELECT EXISTS (SELECT 1 FROM customers_g{g} WHERE account = $1 AND livemode = $2 AND customer_id = $3)";
    }

    /// The live generation, and beside it what there is on a page of another statement.
    pub(in crate::store) const STAMPED: &str =
        "SELECT g.id, g.position, g.folded_received_at, page.*
            FROM generations AS g LEFT JOIN ({page}) AS page ON TRUE WHERE g.status = 'live'
            ORDER BY page.account, page.livemode, page.subscription_id";
}
