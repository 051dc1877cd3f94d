//! Bringing the schema of a log up to date, in one transaction.

use sqlx::migrate::{Migrate, MigrateError, Migrator};

use super::{Dialect, Session};
use crate::store::StoreError;

/// Schema versions of the log; only ever added to.
static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

/// Where the schema versions of a log are noted; as `sqlx` names it.
const TABLE: &str = "_sqlx_migrations";

/// The scripts of all schema versions, in their order.
pub(in crate::store) fn scripts(dialect: Dialect) -> impl Iterator<Item = &'static str> {
    migrator(dialect).iter().map(|migration| migration.sql.as_str())
}

/// The newest schema version that this program knows.
pub(in crate::store) fn known(dialect: Dialect) -> i64 {
    migrator(dialect).iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// Number of migrations that this program knows.
pub(in crate::store) fn migrations(dialect: Dialect) -> i64 {
    i64::try_from(migrator(dialect).iter().count()).unwrap_or(i64::MAX)
}

fn migrator(dialect: Dialect) -> &'static Migrator {
    match dialect {
        Dialect::Sqlite => &SQLITE,
        Dialect::Postgres => &POSTGRES,
    }
}

/// Applies what was not yet applied, in the caller's transaction.
pub(in crate::store) async fn migrate(session: &mut Session<'_>) -> Result<(), StoreError> {
    let applied = match session {
        Session::Sqlite(connection) => apply(&SQLITE, &mut **connection).await,
        Session::Postgres(connection) => apply(&POSTGRES, &mut **connection).await,
    };
    applied.map_err(|error| match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
        other => StoreError::Internal(other.into()),
    })
}

async fn apply<C: Migrate>(migrations: &Migrator, connection: &mut C) -> Result<(), MigrateError> {
    connection.ensure_migrations_table(TABLE).await?;
    let applied = connection.list_applied_migrations(TABLE).await?;
    for migration in migrations.iter() {
        match applied.iter().find(|it| it.version == migration.version) {
            None => {
                connection.apply(TABLE, migration).await?;
            }
            Some(it) if it.checksum != migration.checksum => {
                return Err(MigrateError::VersionMismatch(migration.version));
            }
            Some(_) => {}
        }
    }
    Ok(())
}
