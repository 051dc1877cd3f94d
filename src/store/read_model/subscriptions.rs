//! Reading of subscriptions of the live generation, by filter.

use std::sync::Arc;

use super::filter::{Parameters, SubscriptionFilter, SubscriptionKey};
use super::generation::{GenerationStamp, live_stamp, read_stamp};
use super::handle::ReadModel;
use super::schema::GenerationSchema;
use super::{layer, row_values, rows};
use crate::ids::{AccountId, CustomerId, CustomerKey, Position, Scope};
use crate::projection::read_model;
use crate::projection::row::SubscriptionRow;
use crate::store::db::{Query, Reader, Row, Session};
use crate::store::error::StoreError;

/// Pages of subscriptions of one generation at one position, in one read transaction, independent of folds and swaps
/// meanwhile.
///
/// While it is open, SQLite's write-ahead log of the read model cannot be reset and grows with every write. PostgreSQL
/// keeps old versions of rows, ends the transaction if no page is requested within 60 seconds, and does not drop this
/// generation before the end of the transaction.
#[derive(Debug)]
pub struct SubscriptionPages {
    /// Generation, and its position.
    pub stamp: GenerationStamp,
    reader: Option<Reader>,
    schema: Arc<GenerationSchema>,
    filter: SubscriptionFilter,
    after: Option<SubscriptionKey>,
    rows: usize,
}

impl ReadModel {
    /// Reads at most `limit` subscriptions of the live generation that match a filter, after a key, ordered by
    /// [`SubscriptionKey`].
    ///
    /// [`StoreError::ReadModelBuilding`] if no generation is live.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn subscriptions(
        &self,
        filter: &SubscriptionFilter,
        after: Option<&SubscriptionKey>,
        limit: usize,
    ) -> Result<(GenerationStamp, Vec<SubscriptionRow>), StoreError> {
        let page = self.stamped(|schema, session| {
            let mut parameters = Parameters::new(session.dialect(), limit);
            let select = schema.select_stamped(filter.leading_table())?;
            let conditions = filter.conditions(select.leading, after, &mut parameters);
            let statement = select.text.replace("{conditions}", &conditions);
            Ok(parameters.bind(session.query(statement)))
        });
        let (stamp, rows) = page.await?;
        let is_none = rows[0].get::<Option<&str>, _>(STAMP_COLUMNS)?.is_none();
        let rows = rows.iter().skip(usize::from(is_none)).map(|row| read(row, STAMP_COLUMNS));
        Ok((stamp, rows.collect::<Result<_, _>>()?))
    }

    /// Runs a statement whose first columns are the stamp of the live generation, and returns at least one row.
    ///
    /// A single statement reads at one moment, and a read transaction costs three more round trips. The statement is
    /// therefore sent without one if the schema of the live generation is cached.
    pub(super) async fn stamped(
        &self,
        query: impl for<'s> Fn(&GenerationSchema, &'s mut Session<'_>) -> Result<Query<'s>, StoreError>,
    ) -> Result<(GenerationStamp, Vec<Row>), StoreError> {
        if let Some(schema) = self.cached_schema() {
            let mut reader = self.0.db.read().await?;
            let mut session = reader.session();
            if let Ok(query) = query(&schema, &mut session) {
                match query.fetch_all().await {
                    // The tables of the cached schema may have been dropped.
                    Err(StoreError::Corrupt(_)) => {}
                    rows => {
                        let rows = rows?;
                        let stamp = rows.first().map(read_stamp).transpose()?;
                        if let Some(stamp) =
                            stamp.filter(|it| it.generation == schema.tables.generation)
                        {
                            return Ok((stamp, rows));
                        }
                    }
                }
            }
        }
        let mut reader = self.0.db.read_transaction().await?;
        let mut session = reader.session();
        let stamp = live_stamp(&mut session).await?;
        let schema = self.schema_of(&mut session, stamp.generation).await?;
        let rows = query(&schema, &mut session)?.fetch_all().await?;
        reader.end().await?;
        if rows.is_empty() {
            return Err(StoreError::ReadModelBuilding);
        }
        Ok((stamp, rows))
    }

    /// Begins reading all subscriptions that match a filter, in pages of `rows`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn subscription_pages(
        &self,
        filter: SubscriptionFilter,
        after: Option<SubscriptionKey>,
        rows: usize,
    ) -> Result<SubscriptionPages, StoreError> {
        let mut reader = self.0.db.read_transaction().await?;
        let mut session = reader.session();
        let stamp = live_stamp(&mut session).await?;
        let schema = self.schema_of(&mut session, stamp.generation).await?;
        Ok(SubscriptionPages { stamp, reader: Some(reader), schema, filter, after, rows })
    }

    /// Checks whether a customer exists in the live generation.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn customer_exists(
        &self,
        customer: &CustomerKey,
    ) -> Result<(GenerationStamp, bool), StoreError> {
        let mut reader = self.0.db.read_transaction().await?;
        let mut session = reader.session();
        let stamp = live_stamp(&mut session).await?;
        let schema = self.schema_of(&mut session, stamp.generation).await?;
        let query = session.query(schema.statement(sql::CUSTOMER_EXISTS)?);
        let query = query.bind(customer.scope.account.as_str()).bind(customer.scope.livemode);
        let exists = query.bind(customer.customer.as_str()).fetch_one().await?.get(0)?;
        reader.end().await?;
        Ok((stamp, exists))
    }
}

impl SubscriptionPages {
    /// Reads the next page. Only the last page is not full.
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

    /// Reads the states of at most `limit` customers after a key, in the order of the keys, in the same transaction.
    pub async fn states_after(
        &mut self,
        after: &CustomerKey,
        limit: usize,
    ) -> Result<Vec<(CustomerKey, Vec<u8>)>, StoreError> {
        let Some(reader) = &mut self.reader else { return Ok(Vec::new()) };
        layer::states_after(&mut reader.session(), self.schema.tables, after, limit).await
    }

    /// Position of the generation's fold layer, in the same transaction. That of the generation if it has no layer.
    pub async fn layer_position(&mut self) -> Result<Position, StoreError> {
        let (Some(reader), Some(layer)) = (&mut self.reader, self.schema.tables.layer) else {
            return Ok(self.stamp.position);
        };
        let position = layer::position(&mut reader.session(), layer).await?;
        Ok(position.unwrap_or(self.stamp.position))
    }

    /// Reads at most `limit` rows of a table of a read model after a key, in the order of the key, in the same
    /// transaction.
    pub async fn rows_after(
        &mut self,
        table: &read_model::Table,
        after: Option<&read_model::Row>,
        limit: usize,
    ) -> Result<Vec<read_model::Row>, StoreError> {
        let Some(reader) = &mut self.reader else { return Ok(Vec::new()) };
        let session = &mut reader.session();
        rows::page(session, self.schema.tables, table, table.key, after, limit).await
    }

    /// Ends the read transaction. Later pages are empty.
    pub async fn end(&mut self) -> Result<(), StoreError> {
        match self.reader.take() {
            Some(reader) => reader.end().await,
            None => Ok(()),
        }
    }
}

/// Number of columns of a stamp.
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

/// Reads the columns of a subscription, beginning at `first`.
pub(super) fn read(row: &Row, first: usize) -> Result<SubscriptionRow, StoreError> {
    let values = row_values::read(row, first, SubscriptionRow::COLUMNS);
    SubscriptionRow::from_values(values.map_err(StoreError::into_read_model_damage)?)
        .map_err(|error| StoreError::ReadModelDamaged(format!("a row: {error}")))
}

pub(in crate::store) mod sql {
    crate::store::db::statements! {
        CUSTOMER_EXISTS = "SELECT EXISTS (SELECT 1 FROM customers_{l} WHERE account = $1 AND livemode = $2 AND customer_id = $3)";
    }
}
