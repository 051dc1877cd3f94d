//! How statements are written down: each once, by name, as a constant.
//!
//! Parameters are `$1`, `$2`, … in both databases. A statement may be a template: `{rows}` stands for
//! as many rows of parameters as are bound at once, `{g}` for the number of a generation.
//!
//! In a statement that is asked often a limit stands as `CAST($1 AS bigint)`: SQLite looks at the value of a bare
//! parameter there when it plans a statement, and so plans it again each time one is bound, which takes longer than
//! a short answer.

use std::borrow::Cow;

use sqlx::{AssertSqlSafe, SqlSafeStr as _, SqlStr};

use super::Dialect;

/// A statement, as each database takes it; nothing where it is for the other one alone.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Statement {
    pub(in crate::store) sqlite: &'static str,
    pub(in crate::store) postgres: &'static str,
}

impl Statement {
    pub(in crate::store) const fn text(self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::Sqlite => self.sqlite,
            Dialect::Postgres => self.postgres,
        }
    }
}

/// What can be sent: a constant, or a template that was filled in.
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

impl IntoSql for Cow<'static, str> {
    fn into_sql(self, _: Dialect) -> SqlStr {
        AssertSqlSafe(self).into_sql_str()
    }
}

/// Declares statements as constants, and a `CATALOGUE` of them all for the test that prepares
/// each on a migrated database. One text is for both databases; `sqlite` and `postgres` are texts for
/// one of them.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $($database:ident)? $sql:literal $(, $other:ident $other_sql:literal)?;)+) => {
        $($(#[$doc])* pub(in crate::store) const $name: $crate::store::db::Statement =
            $crate::store::db::statements!(@ $($database)? $sql $(, $other $other_sql)?);)+

        /// Every statement with its name.
        #[cfg(test)]
        pub(in crate::store) const CATALOGUE: &[(&str, $crate::store::db::Statement)] =
            &[$((stringify!($name), $name),)+];
    };
    (@ $sql:literal) => { $crate::store::db::Statement { sqlite: $sql, postgres: $sql } };
    (@ sqlite $sql:literal) => { $crate::store::db::Statement { sqlite: $sql, postgres: "" } };
    (@ postgres $sql:literal) => { $crate::store::db::Statement { sqlite: "", postgres: $sql } };
    (@ sqlite $sql:literal, postgres $other:literal) => {
        $crate::store::db::Statement { sqlite: $sql, postgres: $other }
    };
}
pub(in crate::store) use statements;
