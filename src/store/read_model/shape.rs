//! What a generation's tables have of what this program reads.
//!
//! A generation of another version of this program may lack columns, or whole tables. It answers what
//! it can: what it lacks reads as in an empty row, but never where an answer about access rests on it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError};

use sqlx::sqlite::SqliteConnection;

use super::generation::{TABLE_NAMES, TABLES, is_joined, of};
use super::{GenerationId, ReadModel, subscriptions};
use crate::projection::column::{Column, Value};
use crate::projection::row::SubscriptionRow;
use crate::store::StoreError;

/// The columns that say whose access is asked for, to what, and whether it is granted. A default in
/// the place of one of them would be a wrong answer.
const INDISPENSABLE: [&str; 13] = [
    "subscription_id",
    "account",
    "livemode",
    "customer_id",
    "user_id",
    "status",
    "entitled",
    "entitled_until",
    "price_id",
    "product_id",
    "lookup_key",
    "items",
    "items_truncated",
];

/// The columns of one generation's tables, and the statements that read them.
#[derive(Debug)]
pub(in crate::store) struct Shape {
    generation: GenerationId,
    /// Name and type of every column, by table.
    columns: HashMap<String, HashSet<(String, String)>>,
    /// How subscriptions are read, but for the conditions.
    select: String,
}

impl ReadModel {
    /// The shape of the live generation, which does not change.
    pub(super) async fn live_shape(
        &self,
        connection: &mut SqliteConnection,
        live: GenerationId,
    ) -> Result<Arc<Shape>, StoreError> {
        let remembered = || self.0.shape.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shape) = remembered().as_ref().filter(|it| it.generation == live) {
            return Ok(Arc::clone(shape));
        }
        let shape = Arc::new(Shape::load(connection, live).await?);
        *remembered() = Some(Arc::clone(&shape));
        Ok(shape)
    }
}

impl Shape {
    pub(super) async fn load(
        connection: &mut SqliteConnection,
        generation: GenerationId,
    ) -> Result<Self, StoreError> {
        let found: Vec<(String, String, String)> =
            sqlx::query_as(sql::COLUMNS).bind(generation).fetch_all(connection).await?;
        let suffix = of("_g{g}", generation);
        let mut columns: HashMap<_, HashSet<_>> = HashMap::new();
        for (table, name, sql_type) in found {
            let table = table.strip_suffix(&suffix).unwrap_or(&table).to_owned();
            columns.entry(table).or_default().insert((name, sql_type));
        }
        Ok(Self::new(generation, columns))
    }

    /// That of a generation made by this program.
    #[cfg(test)]
    pub(in crate::store) fn of_this_program(generation: GenerationId) -> Self {
        let owned = |(name, sql_type): (&str, &str)| (name.to_owned(), sql_type.to_owned());
        let columns = TABLE_NAMES
            .map(|table| (table.to_owned(), columns_of(table).map(owned).collect::<HashSet<_>>()));
        Self::new(generation, columns.into())
    }

    fn new(generation: GenerationId, columns: HashMap<String, HashSet<(String, String)>>) -> Self {
        let mut shape = Self { generation, columns, select: String::new() };
        shape.select = shape.filled(subscriptions::sql::SELECT);
        shape
    }

    /// Whether a table has all that this program reads of it.
    pub(super) fn has(&self, table: &str) -> bool {
        columns_of(table).all(|column| {
            let dispensable =
                table == "current_subscriptions" && !INDISPENSABLE.contains(&column.0);
            dispensable || self.stores(table, column)
        })
    }

    /// A statement on this generation, if its tables have what that reads.
    pub(super) fn statement(&self, template: &str) -> Result<String, StoreError> {
        // With the space before it, because the name of one table ends like that of another.
        let reads = |table: &&&str| template.contains(&format!(" {table}_g{{g}}"));
        if TABLE_NAMES.iter().filter(reads).all(|table| self.has(table)) {
            return Ok(of(template, self.generation));
        }
        Err(StoreError::OtherVersion(self.generation))
    }

    /// How subscriptions are read, but for the conditions.
    pub(in crate::store) fn select(&self) -> Result<&str, StoreError> {
        let readable = self.has("current_subscriptions");
        readable.then_some(&*self.select).ok_or(StoreError::OtherVersion(self.generation))
    }

    /// What points the view at this generation.
    pub(super) fn view(&self) -> Result<String, StoreError> {
        self.select()?;
        Ok(self.filled(sql::VIEW))
    }

    /// A template with the columns and tables that subscriptions are read from.
    fn filled(&self, template: &str) -> String {
        let of_nothing = SubscriptionRow::default().to_values();
        let columns = SubscriptionRow::COLUMNS.iter().zip(&of_nothing);
        let columns: Vec<_> =
            columns.map(|(column, absent)| self.expression(column, absent)).collect();
        let joins = if self.has("catalogue") { sql::CATALOGUE_JOINS } else { "" };
        let tables = format!("{}{joins}", sql::SUBSCRIPTIONS);
        of(
            &template.replace("{columns}", &columns.join(", ")).replace("{tables}", &tables),
            self.generation,
        )
    }

    /// What is shown in a column: what other tables have to say, what is stored, or else nothing.
    fn expression(&self, column: &Column, absent: &Value) -> String {
        let name = column.name;
        let stored = columns_of("current_subscriptions")
            .find(|it| it.0 == name)
            .is_some_and(|column| self.stores("current_subscriptions", column));
        let joined = joined(column).filter(|(table, _)| self.has(table));
        match joined {
            Some((_, expression)) if stored || is_joined(column) => {
                format!("{expression} AS {name}")
            }
            _ if stored => format!("s.{name}"),
            _ => format!("{} AS {name}", literal(absent)),
        }
    }

    fn stores(&self, table: &str, (name, sql_type): (&str, &str)) -> bool {
        let column = (name.to_owned(), sql_type.to_owned());
        self.columns.get(table).is_some_and(|columns| columns.contains(&column))
    }
}

/// The columns and their types that a table of this program has: the first two words of each line of
/// its definition.
fn columns_of(table: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let begin = format!("CREATE TABLE {table}_g{{g}} (");
    TABLES
        .lines()
        .skip_while(move |line| *line != begin)
        .skip(1)
        .take_while(|line| !line.starts_with(')'))
        .filter_map(|line| {
            let mut words = line.split([' ', ',']).filter(|word| !word.is_empty());
            Some((words.next()?, words.next()?))
        })
        .filter(|(name, _)| *name != "PRIMARY")
}

/// A table that has a say in what is shown, of the subscription `s`, in a column, and what it says.
fn joined(column: &Column) -> Option<(&'static str, &'static str)> {
    Some(match column.name {
        "product_name" => ("catalogue", sql::PRODUCT_NAME),
        "price_nickname" => ("catalogue", sql::PRICE_NICKNAME),
        "items" => ("catalogue", sql::ITEMS),
        "parked" => ("parked", sql::PARKED),
        "event_count" => ("timeline", sql::EVENT_COUNT),
        _ => return None,
    })
}

fn literal(value: &Value) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Bool(truth) => i64::from(*truth).to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Text(text) | Value::Json(text) => quoted(text),
        Value::Instant(at) => quoted(&at.to_string()),
    }
}

pub(in crate::store) mod sql {
    crate::store::statements::statements! {
        COLUMNS = "SELECT t.name AS of_table, c.name, c.type FROM sqlite_schema AS t, pragma_table_info(t.name) AS c
            WHERE t.type = 'table' AND t.name GLOB '*_g' || ?";
    }

    // Parts of statements, and statements with names to fill in.
    pub(in crate::store) const VIEW: &str = "DROP VIEW IF EXISTS current_subscriptions;
            CREATE VIEW current_subscriptions AS SELECT {columns} FROM {tables}";
    pub(in crate::store) const SUBSCRIPTIONS: &str = "current_subscriptions_g{g} AS s";
    /// What the catalogue says of the first item.
    pub(in crate::store) const CATALOGUE_JOINS: &str = "
            LEFT JOIN catalogue_g{g} AS product ON product.account = s.account AND product.livemode = s.livemode AND product.id = s.product_id
            LEFT JOIN catalogue_g{g} AS price ON price.account = s.account AND price.livemode = s.livemode AND price.id = s.price_id";
    pub(in crate::store) const PRODUCT_NAME: &str = "product.name";
    pub(in crate::store) const PRICE_NICKNAME: &str =
        "iif(price.id IS NULL, s.price_nickname, price.name)";
    pub(in crate::store) const ITEMS: &str = "(SELECT json_group_array(json_set(item.value, '$.product_name', product.name,
                '$.price_nickname', iif(price.id IS NULL, item.value ->> 'price_nickname', price.name)) ORDER BY item.key)
            FROM json_each(s.items) AS item
            LEFT JOIN catalogue_g{g} AS product ON product.account = s.account AND product.livemode = s.livemode
                AND product.id = item.value ->> 'product_id'
            LEFT JOIN catalogue_g{g} AS price ON price.account = s.account AND price.livemode = s.livemode
                AND price.id = item.value ->> 'price_id')";
    pub(in crate::store) const PARKED: &str = "(SELECT count(*) FROM parked_g{g} AS p WHERE p.account = s.account AND p.livemode = s.livemode
            AND p.subscription_id = s.subscription_id)";
    pub(in crate::store) const EVENT_COUNT: &str = "(SELECT count(*) FROM timeline_g{g} AS t WHERE t.account = s.account AND t.livemode = s.livemode
            AND t.customer_id = s.customer_id AND t.subscription_id = s.subscription_id)";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_this_program_has_is_read_from_its_own_definition() {
        use sqlx::{AssertSqlSafe, Connection as _};

        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(of(TABLES, 7))).execute(&mut connection).await.unwrap();
        let made = Shape::load(&mut connection, 7).await.unwrap();
        let defined = Shape::of_this_program(7);
        assert_eq!(made.columns, defined.columns);
        assert!(
            TABLE_NAMES.iter().all(|table| defined.has(table) && !made.columns[*table].is_empty())
        );
        assert!(
            INDISPENSABLE.iter().all(|it| columns_of("current_subscriptions").any(|c| c.0 == *it))
        );
    }
}
