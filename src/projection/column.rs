//! Columns and values of rows, between a projection and a database.
//!
//! A projection declares its columns. A store knows how its database writes each type of value. Neither knows
//! the other.

use crate::ids::{AccountId, CustomerId, EventId, InvoiceId, SubscriptionId};
use crate::time::StripeTime;

/// Value of a column, in a type that every supported database has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// SQL `NULL`.
    Null,
    /// Boolean (`0` or `1` in SQLite).
    Bool(bool),
    /// Integer. Money is in minor units.
    Integer(i64),
    /// Text without U+0000.
    Text(String),
    /// Instant (`YYYY-MM-DDTHH:MM:SSZ` as text in SQLite).
    Instant(StripeTime),
    /// JSON document as compact text.
    Json(String),
}

/// Type of a column: the [`Value`] that it holds, besides `Null`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// [`Value::Bool`].
    Bool,
    /// [`Value::Integer`].
    Integer,
    /// [`Value::Text`].
    Text,
    /// [`Value::Instant`].
    Instant,
    /// [`Value::Json`].
    Json,
}

/// Column of a projection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Name in SQL and in JSON.
    pub name: &'static str,
    /// Type of its values.
    pub column_type: ColumnType,
}

impl Column {
    /// Column with this name and type.
    pub const fn new(name: &'static str, column_type: ColumnType) -> Self {
        Self { name, column_type }
    }
}

/// Stored value of another type than its column's: the table was edited, or belongs to another version.
#[derive(Debug, thiserror::Error)]
#[error("the value cannot be read as {expected}")]
pub struct WrongValue {
    /// Expected type.
    pub expected: &'static str,
}

/// Rust type of the values of a column.
pub trait Cell: Sized {
    /// Type of the column.
    const COLUMN_TYPE: ColumnType;
    /// Converts to the stored value.
    fn to_value(&self) -> Value;
    /// Converts from the stored value.
    fn from_value(value: Value) -> Result<Self, WrongValue>;
}

macro_rules! cell {
    ($rust:ty, $kind:ident, $write:expr, $read:expr) => {
        impl Cell for $rust {
            const COLUMN_TYPE: ColumnType = ColumnType::$kind;

            fn to_value(&self) -> Value {
                Value::$kind($write(self))
            }

            fn from_value(value: Value) -> Result<Self, WrongValue> {
                let wrong = || WrongValue { expected: stringify!($kind) };
                match value {
                    Value::$kind(inner) => $read(inner).ok_or_else(wrong),
                    _ => Err(wrong()),
                }
            }
        }
    };
}

cell!(bool, Bool, |v: &bool| *v, Some);
cell!(i64, Integer, |v: &i64| *v, Some);
cell!(String, Text, String::clone, Some);
cell!(StripeTime, Instant, |v: &StripeTime| *v, Some);
cell!(AccountId, Text, text, |id| Some(AccountId::new(id)));
cell!(CustomerId, Text, text, |id| Some(CustomerId::new(id)));
cell!(EventId, Text, text, |id| Some(EventId::new(id)));
cell!(InvoiceId, Text, text, |id| Some(InvoiceId::new(id)));
cell!(SubscriptionId, Text, text, |id| Some(SubscriptionId::new(id)));

fn text(id: &impl ToString) -> String {
    id.to_string()
}

impl<T: Cell> Cell for Option<T> {
    const COLUMN_TYPE: ColumnType = T::COLUMN_TYPE;

    fn to_value(&self) -> Value {
        self.as_ref().map_or(Value::Null, Cell::to_value)
    }

    fn from_value(value: Value) -> Result<Self, WrongValue> {
        match value {
            Value::Null => Ok(None),
            value => T::from_value(value).map(Some),
        }
    }
}

/// List or object inside a row, stored as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Json<T>(pub T);

impl<T: serde::Serialize + serde::de::DeserializeOwned> Cell for Json<T> {
    const COLUMN_TYPE: ColumnType = ColumnType::Json;

    fn to_value(&self) -> Value {
        // Rows hold only maps with text keys, lists, text and numbers, so this cannot fail.
        Value::Json(serde_json::to_string(&self.0).unwrap_or_default())
    }

    fn from_value(value: Value) -> Result<Self, WrongValue> {
        let wrong = || WrongValue { expected: "Json" };
        match value {
            Value::Json(text) => serde_json::from_str(&text).map(Self).map_err(|_| wrong()),
            _ => Err(wrong()),
        }
    }
}

/// Declares a row: the struct, its columns and the conversions, so that they always agree.
macro_rules! row {
    ($(#[$doc:meta])* pub struct $name:ident { $($(#[$field_doc:meta])* pub $field:ident: $type:ty,)+ }) => {
        $(#[$doc])*
        pub struct $name { $($(#[$field_doc])* pub $field: $type,)+ }

        impl $name {
            /// The columns, in the order of the table.
            pub const COLUMNS: &'static [$crate::projection::column::Column] = &[$(
                $crate::projection::column::Column {
                    name: stringify!($field),
                    column_type: <$type as $crate::projection::column::Cell>::COLUMN_TYPE,
                },
            )+];

            /// The values, in the order of [`Self::COLUMNS`].
            pub fn to_values(&self) -> Vec<$crate::projection::column::Value> {
                vec![$($crate::projection::column::Cell::to_value(&self.$field),)+]
            }

            /// The row of these values, which are in the order of [`Self::COLUMNS`].
            pub fn from_values(
                values: Vec<$crate::projection::column::Value>,
            ) -> Result<Self, $crate::projection::column::WrongValue> {
                let mut values = values.into_iter();
                Ok(Self { $($field: $crate::projection::column::Cell::from_value(
                    values.next().unwrap_or($crate::projection::column::Value::Null),
                )?,)+ })
            }
        }
    };
}
pub(crate) use row;
