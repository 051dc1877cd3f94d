//! Tables of a read model, as far as writing, comparing and verifying them needs to know.

use crate::ids::{AccountId, CustomerId, CustomerKey, Scope};
use crate::projection::column::{Column, Value};

/// Row of a table, in the order of [`Table::columns`].
pub type Row = Vec<Value>;

/// Definition of the tables of a read model.
#[derive(Clone, Copy, Debug)]
pub struct Definition {
    /// Statements that create the tables and their indexes in SQLite, the indexes last. `{g}` is the number of the
    /// generation, and the name of each table ends with `_g{g}`.
    pub sqlite: &'static str,
    /// The same in PostgreSQL.
    pub postgres: &'static str,
    /// The tables. A table whose rows are joined comes after the one that they are joined from.
    pub tables: &'static [Table],
}

/// Table of a read model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// Name, without the number of a generation.
    pub name: &'static str,
    /// Columns. The first is never null.
    pub columns: &'static [Column],
    /// Primary key, by the names of its columns.
    pub key: &'static [&'static str],
    /// Origin of its rows.
    pub rows: RowsFrom,
}

/// Origin of the rows of a table, which says how they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowsFrom {
    /// The states of customers. New rows replace those of the same key, and no other: a later state has every row of an
    /// earlier one. The key has `account`, `livemode` and `customer_id`.
    Customers,
    /// The states of customers. Rows are only added: the key is the whole row.
    CustomersAdded,
    /// The states of customers. New rows replace all rows of their customer. The key begins with `account`, `livemode`
    /// and `customer_id`.
    CustomersReplaced,
    /// Another table, whose rows with equal values of this table's key are joined into one row. The key begins with
    /// `account` and `livemode`; rows whose last column of the key is empty text are not joined. That other table has
    /// [`Self::CustomersReplaced`] and an index that begins with this key.
    Joined(&'static str),
}

impl Table {
    /// Position of a column. None if the table has no such column.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// Values of these columns in a row.
    pub fn values(&self, row: &Row, columns: &[&str]) -> Row {
        let value = |name: &&str| self.column(name).and_then(|at| row.get(at)).cloned();
        columns.iter().map(|name| value(name).unwrap_or(Value::Null)).collect()
    }

    /// Values of the primary key in a row.
    pub fn key_of(&self, row: &Row) -> Row {
        self.values(row, self.key)
    }

    /// Customer of a row of a table of customers.
    pub fn customer_of(&self, row: &Row) -> CustomerKey {
        let text = |value: &Value| match value {
            Value::Text(text) => text.clone(),
            _ => String::new(),
        };
        let values = self.values(row, &["account", "livemode", "customer_id"]);
        let [account, livemode, customer] = &values[..] else { return CustomerKey::default() };
        let scope = Scope {
            account: AccountId::new(text(account)),
            livemode: *livemode == Value::Bool(true),
        };
        CustomerKey { scope, customer: CustomerId::new(text(customer)) }
    }

    /// Key of the row of this joined table that a row of another table is joined into. None if it is joined into none.
    pub fn joined_key(&self, from: &Self, row: &Row) -> Option<Row> {
        let key = from.values(row, self.key);
        let is_none = matches!(key.last(), Some(Value::Text(text)) if text.is_empty());
        (!is_none).then_some(key)
    }

    /// Ids by which a message names a row: of its subscription, or else of its customer. A user's id may be an address, and
    /// names none.
    pub fn name_of(&self, row: &Row) -> String {
        let id = |name| match self.column(name).and_then(|at| row.get(at)) {
            Some(Value::Text(id)) if !id.is_empty() => Some(id.clone()),
            _ => None,
        };
        let id = id("subscription_id").or_else(|| id("customer_id"));
        id.unwrap_or_else(|| self.name.to_owned())
    }
}
