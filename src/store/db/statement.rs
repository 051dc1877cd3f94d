//! Statements, each declared once as a named constant.
//!
//! Parameters are `$1`, `$2`, … in both databases. A statement may be a template: `{rows}` stands for the rows of
//! parameters that are bound at once, `{g}` for the number of a generation, `{l}` for the suffix of its fold layer.
//!
//! In a frequent statement a limit is written `CAST($1 AS bigint)`. For a bare parameter in that place SQLite plans the
//! statement again each time a value is bound, which takes longer than a short answer.

use sqlx::{AssertSqlSafe, SqlSafeStr as _, SqlStr};

use crate::projection::column::ColumnType;

/// Database whose SQL a text is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Dialect {
    Sqlite,
    Postgres,
}

/// Statement in both dialects. A text is empty if the statement is for the other database only.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Statement {
    pub(in crate::store) sqlite: &'static str,
    pub(in crate::store) postgres: &'static str,
    /// Types of the columns of `{rows}`; empty if the statement has no `{rows}`.
    pub(in crate::store) columns: &'static [BindType],
}

/// Type of a column of `{rows}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum BindType {
    Bool,
    Integer,
    Text,
    Bytes,
    Instant,
    Json,
}

impl Statement {
    pub(in crate::store) const fn new(sqlite: &'static str, postgres: &'static str) -> Self {
        Self { sqlite, postgres, columns: &[] }
    }

    /// Sets the types of the columns of `{rows}`.
    pub(in crate::store) const fn with_columns(self, columns: &'static [BindType]) -> Self {
        Self { columns, ..self }
    }

    pub(in crate::store) const fn text(self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::Sqlite => self.sqlite,
            Dialect::Postgres => self.postgres,
        }
    }
}

impl BindType {
    /// Element type of the PostgreSQL array, and the expression that converts an element to the value of the column.
    const fn in_postgres(self) -> (&'static str, &'static str) {
        match self {
            Self::Bool => ("boolean", "{it}"),
            Self::Integer => ("bigint", "{it}"),
            Self::Text => ("text", "{it}"),
            Self::Bytes => ("bytea", "{it}"),
            Self::Instant => ("bigint", "to_timestamp({it})"),
            Self::Json => ("text", "{it}::jsonb"),
        }
    }
}

impl From<ColumnType> for BindType {
    fn from(kind: ColumnType) -> Self {
        match kind {
            ColumnType::Bool => Self::Bool,
            ColumnType::Integer => Self::Integer,
            ColumnType::Text => Self::Text,
            ColumnType::Instant => Self::Instant,
            ColumnType::Json => Self::Json,
        }
    }
}

/// Expands `{rows}` to this number of rows, whose columns are named `column1`, `column2`, ….
///
/// In SQLite parameters that are not bound are NULL: the template must ignore a row whose first column is NULL.
pub(in crate::store) fn with_rows(
    template: &str,
    dialect: Dialect,
    columns: &[BindType],
    rows: usize,
) -> String {
    let rows = match dialect {
        Dialect::Sqlite => {
            let row = format!("({})", vec!["?"; columns.len()].join(", "));
            format!("VALUES {}", vec![row; rows].join(", "))
        }
        Dialect::Postgres => {
            let (mut values, mut arrays, mut names) = (Vec::new(), Vec::new(), Vec::new());
            for (number, column) in (1..).zip(columns) {
                let (sql_type, value) = column.in_postgres();
                let value = value.replace("{it}", &format!("c{number}"));
                values.push(format!("{value} AS column{number}"));
                arrays.push(format!("${number}::{sql_type}[]"));
                names.push(format!("c{number}"));
            }
            let (values, arrays) = (values.join(", "), arrays.join(", "));
            format!("SELECT {values} FROM unnest({arrays}) AS bound ({})", names.join(", "))
        }
    };
    template.replace("{rows}", &rows)
}

/// SQL that can be sent: a constant, or a filled template.
pub(in crate::store) trait IntoSql {
    fn into_sql(self, dialect: Dialect) -> SqlStr;
}

impl IntoSql for Statement {
    fn into_sql(self, dialect: Dialect) -> SqlStr {
        self.text(dialect).into_sql_str()
    }
}

impl IntoSql for &'static str {
    fn into_sql(self, _: Dialect) -> SqlStr {
        self.into_sql_str()
    }
}

impl IntoSql for String {
    fn into_sql(self, _: Dialect) -> SqlStr {
        AssertSqlSafe(self).into_sql_str()
    }
}

impl IntoSql for SqlStr {
    fn into_sql(self, _: Dialect) -> SqlStr {
        self
    }
}

/// Declares statements as constants, and a `CATALOGUE` of all of them for the test that prepares each statement on a
/// migrated database.
///
/// A text without a prefix is for both databases; `sqlite` and `postgres` prefix a text for one of them. The types of
/// the columns of `{rows}` follow the name: `NAME [Text, Bool] = …`, or `NAME of COLUMNS = …`.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident $([$($column:ident),+])? $(of $columns:path)?
        = $($database:ident)? $sql:literal $(, $other:ident $other_sql:literal)?;)+) => {
        $($(#[$doc])* pub(in crate::store) const $name: $crate::store::db::statement::Statement =
            $crate::store::db::statement::statements!(@ $($database)? $sql $(, $other $other_sql)?)
                $(.with_columns(&[$($crate::store::db::statement::BindType::$column),+]))?
                $(.with_columns(&$columns))?;)+

        /// Every statement with its name.
        #[cfg(test)]
        pub(in crate::store) const CATALOGUE: &[(&str, $crate::store::db::statement::Statement)] =
            &[$((stringify!($name), $name),)+];
    };
    (@ $sql:literal) => { $crate::store::db::statement::Statement::new($sql, $sql) };
    (@ sqlite $sql:literal) => { $crate::store::db::statement::Statement::new($sql, "") };
    (@ postgres $sql:literal) => { $crate::store::db::statement::Statement::new("", $sql) };
    (@ sqlite $sql:literal, postgres $other:literal) => {
        $crate::store::db::statement::Statement::new($sql, $other)
    };
}
pub(in crate::store) use statements;
