//! Many rows in few statements.

use std::sync::Arc;

use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{Arguments as _, AssertSqlSafe};

use super::GenerationId;
use super::generation::of;
use crate::ids::{CustomerKey, Scope};
use crate::store::StoreError;
use crate::store::statements::with_rows;

/// Parameters in one statement, at most; SQLite's limit is 32,766.
const PARAMETERS: usize = 4_096;

/// Runs a template with `{rows}` over many items, as many at a time as one statement holds.
///
/// `bind` binds the given number of columns for one item, the first of them never NULL.
pub(super) async fn run<T>(
    connection: &mut SqliteConnection,
    template: &str,
    generation: GenerationId,
    columns: usize,
    items: &[T],
    bind: impl Fn(&mut SqliteArguments, &T) -> Result<(), StoreError>,
) -> Result<Vec<SqliteRow>, StoreError> {
    // The greatest power of two that fits: statements come in few sizes, and stay prepared.
    let most = 1 << (PARAMETERS / columns).ilog2();
    let mut whole: Option<Arc<str>> = None;
    let mut found = Vec::new();
    for chunk in items.chunks(most) {
        let mut arguments = SqliteArguments::default();
        for item in chunk {
            bind(&mut arguments, item)?;
        }
        let statement =
            |rows| Arc::<str>::from(with_rows(&of(template, generation), columns, rows));
        let sql = if chunk.len() == most {
            Arc::clone(whole.get_or_insert_with(|| statement(most)))
        } else {
            statement(chunk.len().next_power_of_two())
        };
        let query = sqlx::query_with(AssertSqlSafe(sql), arguments);
        found.extend(query.fetch_all(&mut *connection).await?);
    }
    Ok(found)
}

pub(super) fn add<'q, T>(arguments: &mut SqliteArguments, value: T) -> Result<(), StoreError>
where
    T: sqlx::Encode<'q, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
{
    arguments.add(value).map_err(StoreError::Internal)
}

/// Binds account and livemode.
pub(super) fn add_scope(arguments: &mut SqliteArguments, scope: &Scope) -> Result<(), StoreError> {
    add(arguments, scope.account.as_str())?;
    add(arguments, scope.livemode)
}

/// Binds account, livemode and customer.
pub(super) fn add_customer(
    arguments: &mut SqliteArguments,
    key: &CustomerKey,
) -> Result<(), StoreError> {
    add_scope(arguments, &key.scope)?;
    add(arguments, key.customer.as_str())
}
