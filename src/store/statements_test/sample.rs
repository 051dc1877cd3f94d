//! Ledger with thousands of rows, so that PostgreSQL plans as for a real one.

use sqlx::{AssertSqlSafe, Executor as _};

use super::bare::{Bare, Databases};
use crate::projection::column::ColumnType;
use crate::projection::row::SubscriptionRow;

/// Inserts thousands of rows, because PostgreSQL plans by statistics.
pub(super) async fn fill(databases: &mut Databases) {
    let (Bare::Postgres(log), Bare::Postgres(read)) = (&mut databases.log, &mut databases.read)
    else {
        return;
    };
    log.execute(
        "INSERT INTO events SELECT i, 'evt_' || i, '', TRUE, 'customer.updated', NULL, i, 0, i, 'webhook', NULL, '', '', '',
            repeat('x', 100), NULL FROM generate_series(1, 20000) AS i;
         INSERT INTO redeliveries SELECT i, '', NULL, i, i, 1, NULL FROM generate_series(1, 5000) AS i;
         INSERT INTO nodes SELECT 8, i, '' FROM generate_series(0, 5000) AS i;
         INSERT INTO thin_events SELECT i, '', TRUE, CASE WHEN i % 100 = 0 THEN 'waiting' ELSE 'fetched' END, 'sub_' || i,
            i + 1, 0, NULL FROM generate_series(1, 10000) AS i;
         ANALYZE events; ANALYZE redeliveries; ANALYZE nodes; ANALYZE thin_events",
    )
    .await
    .unwrap();
    let columns = SubscriptionRow::COLUMNS.iter();
    let stored = columns.filter(|it| !SubscriptionRow::JOINED.contains(&it.name));
    let values: Vec<_> = stored
        .map(|column| match (column.name, column.column_type) {
            ("account", _) => "''",
            ("subscription_id", _) => "'sub_' || i",
            ("customer_id", _) => "'cus_' || i",
            ("user_id", _) => "'user_' || i",
            ("price_id", _) => "'price_' || i % 20",
            (_, ColumnType::Text) => "'text'",
            (_, ColumnType::Bool) => "TRUE",
            (_, ColumnType::Integer) => "i",
            (_, ColumnType::Instant) => "to_timestamp(i)",
            (_, ColumnType::Json) => "'[]'",
        })
        .collect();
    let rows = format!(
        "INSERT INTO current_subscriptions_g1 SELECT {} FROM generate_series(1, 5000) AS i;
         INSERT INTO customers_l1 SELECT '', TRUE, 'cus_' || i, '' FROM generate_series(1, 5000) AS i;
         INSERT INTO timeline_l1 SELECT '', TRUE, 'cus_' || i % 5000, 'sub_' || i % 5000, i, i
            FROM generate_series(1, 20000) AS i;
         INSERT INTO subscription_customers_l1 SELECT '', TRUE, 'sub_' || i, 'cus_' || i FROM generate_series(1, 5000) AS i;
         INSERT INTO user_candidates_l1 SELECT '', TRUE, 'user_' || i, 'customer.metadata', 'user_id', 'cus_' || i FROM generate_series(1, 5000) AS i;
         INSERT INTO user_access_parts_g1 SELECT '', TRUE, 'cus_' || i, 'user_' || i, '' FROM generate_series(1, 5000) AS i;
         INSERT INTO user_access_g1 SELECT '', TRUE, 'user_' || i, TRUE, NULL, NULL, '', NULL, NULL, '', '', 1, ''
            FROM generate_series(1, 5000) AS i;
         INSERT INTO links_l1 SELECT '', TRUE, 'in_' || i, 'cus_' || i % 5000 FROM generate_series(1, 20000) AS i;
         INSERT INTO catalogue_l1 SELECT '', TRUE, 'prod_' || i, 'name', FALSE, i, FALSE, '' FROM generate_series(1, 3000) AS i;
         INSERT INTO item_properties_g1 SELECT '', TRUE, 'cus_' || i, 'sub_' || i, 'price_id', 'price_' || i % 20
            FROM generate_series(1, 5000) AS i;
         INSERT INTO parked_l1 SELECT i, 'evt_' || i, '', TRUE, 'cus_' || i, 'sub_' || i, 'x', 'y' FROM generate_series(1, 2000) AS i;
         INSERT INTO generations (id, status, fingerprint, fold_version, policy, user_keys, log_id, created_at)
            SELECT i, 'previous', '', 1, '', '', '', 0 FROM generate_series(2, 300) AS i;
         ANALYZE",
        values.join(", ")
    );
    read.execute(AssertSqlSafe(rows)).await.unwrap();
}
