//! Bringing the schema of a log up to date, in one transaction.

use sqlx::migrate::{Migrate, MigrateError, Migration, Migrator};

use super::{Dialect, Session};
use crate::clock::Clock;
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
    let missing = match session {
        Session::Sqlite(connection) => missing(&SQLITE, &mut **connection).await,
        Session::Postgres(link) => missing(&POSTGRES, link.connection()).await,
    };
    for migration in missing.map_err(failed)? {
        match session {
            Session::Sqlite(connection) => {
                connection.apply(TABLE, migration).await.map_err(failed)?;
            }
            // What sqlx does here begins a transaction of its own.
            Session::Postgres(_) => {
                let stopwatch = Clock::stopwatch();
                session.run(migration.sql.clone()).await?;
                let took = i64::try_from(stopwatch.elapsed().as_nanos()).unwrap_or(i64::MAX);
                let note = session.query(sql::APPLIED).bind(migration.version);
                let note = note.bind(&*migration.description).bind(&*migration.checksum);
                note.bind(took).execute().await?;
            }
        }
    }
    Ok(())
}

/// Migrations that are not yet applied.
async fn missing<C: Migrate>(
    migrations: &'static Migrator,
    connection: &mut C,
) -> Result<Vec<&'static Migration>, MigrateError> {
    connection.ensure_migrations_table(TABLE).await?;
    let applied = connection.list_applied_migrations(TABLE).await?;
    let mut missing = Vec::new();
    for migration in migrations.iter() {
        match applied.iter().find(|it| it.version == migration.version) {
            None => missing.push(migration),
            Some(it) if it.checksum != migration.checksum => {
                return Err(MigrateError::VersionMismatch(migration.version));
            }
            Some(_) => {}
        }
    }
    Ok(missing)
}

fn failed(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
        other => StoreError::Internal(other.into()),
    }
}

pub(in crate::store) mod sql {
    crate::store::db::statements! {
        /// Notes that a migration was applied, as sqlx does.
        APPLIED = postgres "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
            VALUES ($1, $2, TRUE, $3, $4)";
    }
}
