//! Rows as a database sees them: a list of typed values under a list of names.
//!
//! A projection says what its columns are; a store knows only these values and how its database
//! writes each of them. Neither knows the other.

use crate::time::StripeTime;

/// One value of a row, in the types that every supported database has.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// A truth value (`0`/`1` in SQLite).
    Bool(bool),
    /// A whole number; money is in minor units.
    Integer(i64),
    /// Text without U+0000.
    Text(String),
    /// An instant (`YYYY-MM-DDTHH:MM:SSZ` as text in SQLite).
    Instant(StripeTime),
    /// A JSON document, as compact text.
    Json(String),
}

/// The type of a column: which [`Value`] stands in it, besides `Null`.
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

/// A column of a projection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name in SQL and in JSON.
    pub name: &'static str,
    /// Its type.
    pub column_type: ColumnType,
}

/// A stored value that is not of its column's type: the table was edited, or is of another
/// version.
#[derive(Debug, thiserror::Error)]
#[error("the value cannot be read as {expected}")]
pub struct WrongValue {
    /// The type that was expected.
    pub expected: &'static str,
}

/// A Rust type that stands in a column.
pub trait Cell: Sized {
    /// The column's type.
    const COLUMN_TYPE: ColumnType;
    /// The value to store.
    fn to_value(&self) -> Value;
    /// The stored value, read back.
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

/// A list or an object inside a row, stored as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Json<T>(pub T);

impl<T: serde::Serialize + serde::de::DeserializeOwned> Cell for Json<T> {
    const COLUMN_TYPE: ColumnType = ColumnType::Json;

    fn to_value(&self) -> Value {
        // Rows hold only maps with text keys, lists, text, numbers: always writable.
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

/// Declares a row: the struct, its columns, and the way to and from [`Value`]s, so that the three
/// cannot drift apart.
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

            /// The row that these values, in the order of [`Self::COLUMNS`], stand for.
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
