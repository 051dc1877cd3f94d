//! Customers whose rows cannot be made in one read model. Their rows there stay as they were; all others go on.

use std::collections::BTreeSet;

use super::generation::Generation;
use super::generation_id::GenerationId;
use super::handle::ReadModel;
use super::subscriptions::{limit_of, read_customer};
use super::tables::bind_customer;
use crate::ids::CustomerKey;
use crate::store::db::Session;
use crate::store::error::StoreError;

/// Customer whose rows cannot be made in one read model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkedCustomer {
    /// Account, mode and id.
    pub customer: CustomerKey,
    /// Read model.
    pub read_model: String,
    /// Reason, without personal data.
    pub reason: String,
}

impl ReadModel {
    /// Counts the customers that are parked in the read models of a generation, once for each read model.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn parked_customer_count(&self, generation: &Generation) -> Result<i64, StoreError> {
        let mut count = 0;
        let mut reader = self.0.db.read().await?;
        let mut session = reader.session();
        for version in &generation.read_models {
            let query = session.query(sql::COUNT).bind(version.made_by).bind(version.name.as_str());
            count += query.fetch_one().await?.get::<i64, _>(0)?;
        }
        Ok(count)
    }

    /// Reads at most `limit` customers that are parked in each read model of a generation.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn parked_customers(
        &self,
        generation: &Generation,
        limit: usize,
    ) -> Result<Vec<ParkedCustomer>, StoreError> {
        let mut parked = Vec::new();
        let mut reader = self.0.db.read().await?;
        let mut session = reader.session();
        for version in &generation.read_models {
            let query = session.query(sql::LIST).bind(version.made_by).bind(version.name.as_str());
            for row in &query.bind(limit_of(limit)).fetch_all().await? {
                let (customer, read_model) = (read_customer(row)?, version.name.clone());
                parked.push(ParkedCustomer { customer, read_model, reason: row.get(3)? });
            }
        }
        Ok(parked)
    }
}

/// Those of some customers that are parked in a read model.
pub(super) async fn among(
    session: &mut Session<'_>,
    generation: GenerationId,
    read_model: &str,
    customers: &[CustomerKey],
) -> Result<BTreeSet<CustomerKey>, StoreError> {
    let any = session.query(sql::ANY).bind(generation).bind(read_model).fetch_optional().await?;
    if any.is_none() || customers.is_empty() {
        return Ok(BTreeSet::new());
    }
    let found = session.bulk(sql::AMONG, customers, |to, customer| {
        bind_customer(to, customer);
        to.integer(generation);
        to.text(read_model);
    });
    found.await?.iter().map(read_customer).collect()
}

/// Parks customers.
pub(super) async fn park(
    session: &mut Session<'_>,
    generation: GenerationId,
    read_model: &str,
    parked: &[(CustomerKey, String)],
) -> Result<(), StoreError> {
    if parked.is_empty() {
        return Ok(());
    }
    session
        .bulk(sql::PARK, parked, |to, (customer, reason)| {
            bind_customer(to, customer);
            to.integer(generation);
            to.text(read_model);
            to.text(reason.as_str());
        })
        .await?;
    Ok(())
}

/// Ends the parking of customers whose rows were made.
pub(super) async fn unpark(
    session: &mut Session<'_>,
    generation: GenerationId,
    read_model: &str,
    customers: &BTreeSet<CustomerKey>,
) -> Result<(), StoreError> {
    let customers: Vec<&CustomerKey> = customers.iter().collect();
    if customers.is_empty() {
        return Ok(());
    }
    session
        .bulk(sql::UNPARK, &customers, |to, customer| {
            bind_customer(to, customer);
            to.integer(generation);
            to.text(read_model);
        })
        .await?;
    Ok(())
}

pub(in crate::store) mod sql {
    crate::store::db::statements! {
        COUNT = "SELECT count(*) FROM parked_customers WHERE generation = $1 AND read_model = $2";
        LIST = "SELECT account, livemode, customer_id, reason FROM parked_customers WHERE generation = $1 AND read_model = $2
            ORDER BY account, livemode, customer_id LIMIT CAST($3 AS bigint)";
        ANY = "SELECT 1 FROM parked_customers WHERE generation = $1 AND read_model = $2 LIMIT 1";
        AMONG [Text, Bool, Text, Integer, Text] = "SELECT p.account, p.livemode, p.customer_id FROM parked_customers AS p
            WHERE (p.account, p.livemode, p.customer_id, p.generation, p.read_model) IN
                (SELECT column1, column2, column3, column4, column5 FROM ({rows}) AS k)";
        PARK [Text, Bool, Text, Integer, Text, Text] = "INSERT INTO parked_customers (account, livemode, customer_id, generation, read_model, reason)
            SELECT * FROM ({rows}) AS k WHERE column1 IS NOT NULL
            ON CONFLICT (generation, read_model, account, livemode, customer_id) DO UPDATE SET reason = excluded.reason";
        UNPARK [Text, Bool, Text, Integer, Text] = "DELETE FROM parked_customers WHERE (account, livemode, customer_id, generation, read_model) IN
            (SELECT column1, column2, column3, column4, column5 FROM ({rows}) AS k)";
    }

    // Template. Names of read models have no quotes.
    pub(in crate::store) const CLEAR: &str =
        "DELETE FROM parked_customers WHERE generation = {g} AND read_model = '{read_model}'";
}
