//! Migrations of the log.

use std::sync::LazyLock;

use sqlx::SqlStr;
use sqlx::migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator};

use super::session::Session;
use super::statement::Dialect;
use crate::clock::Clock;
use crate::store::error::StoreError;

/// Migrations of a folder, embedded by the names of their files without a version. The first has version 1.
///
/// `sqlx::migrate!` does the same, but it compiles both database drivers and TLS a second time, for the host.
macro_rules! embedded {
    ($folder:literal, $($version:literal $name:literal),+ $(,)?) => {
        LazyLock::new(|| {
            Migrator::with_migrations(vec![$({
                let text = include_str!(concat!(
                    "../../../migrations/", $folder, "/", $version, "_", $name, ".sql"
                ));
                migration($version, $name, text)
            }),+])
        })
    };
}

/// Migrations of the log in SQLite. New ones are only added.
static SQLITE: LazyLock<Migrator> = embedded!(
    "sqlite",
    "0001" "log",
    "0002" "nodes",
    "0003" "signed_with",
    "0004" "erased_signatures",
    "0005" "backfills",
    "0006" "coverage",
);

/// Migrations of the log in PostgreSQL. New ones are only added.
static POSTGRES: LazyLock<Migrator> = embedded!(
    "postgres",
    "0001" "log",
    "0002" "nodes",
    "0003" "signed_with",
    "0004" "erased_signatures",
    "0005" "backfills",
    "0006" "coverage",
);

fn migration(version: &str, name: &str, text: &'static str) -> Migration {
    let version = version.parse().unwrap_or_else(|_| unreachable!("a version is a number"));
    let description = name.replace('_', " ").into();
    let sql = SqlStr::from_static(text);
    Migration::new(version, description, MigrationType::Simple, sql, false)
}

/// Table of the applied migrations, under the name that `sqlx` gives it.
const TABLE: &str = "_sqlx_migrations";

/// Scripts of all migrations, in order.
pub(in crate::store) fn scripts(dialect: Dialect) -> impl Iterator<Item = &'static str> {
    migrator(dialect).iter().map(|migration| migration.sql.as_str())
}

/// Newest schema version of this program.
pub(in crate::store) fn latest_version(dialect: Dialect) -> i64 {
    migrator(dialect).iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// Number of migrations of this program.
pub(in crate::store) fn migration_count(dialect: Dialect) -> i64 {
    i64::try_from(migrator(dialect).iter().count()).unwrap_or(i64::MAX)
}

fn migrator(dialect: Dialect) -> &'static Migrator {
    match dialect {
        Dialect::Sqlite => &SQLITE,
        Dialect::Postgres => &POSTGRES,
    }
}

/// Applies the missing migrations in the caller's transaction.
pub(in crate::store) async fn migrate(session: &mut Session<'_>) -> Result<(), StoreError> {
    let missing = match session {
        Session::Sqlite(connection) => missing(&SQLITE, &mut **connection).await,
        Session::Postgres(connection) => missing(&POSTGRES, connection.connection()).await,
    };
    for migration in missing.map_err(failed)? {
        match session {
            Session::Sqlite(connection) => {
                connection.apply(TABLE, migration).await.map_err(failed)?;
            }
            // `apply` would begin a transaction of its own.
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

/// Migrations that are not applied yet.
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
    crate::store::db::statement::statements! {
        /// Records an applied migration in the table of sqlx.
        APPLIED = postgres "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
            VALUES ($1, $2, TRUE, $3, $4)";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_migrations_is_embedded() {
        for (folder, dialect) in [("sqlite", Dialect::Sqlite), ("postgres", Dialect::Postgres)] {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/").to_owned() + folder;
            let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
            let mut files: Vec<_> =
                files.map(|file| std::fs::read_to_string(file).unwrap()).collect();
            let mut embedded: Vec<_> = scripts(dialect).map(str::to_owned).collect();
            files.sort();
            embedded.sort();
            assert_eq!(embedded, files);
            let versions: Vec<_> = migrator(dialect).iter().map(|it| it.version).collect();
            assert_eq!(versions, (1..=latest_version(dialect)).collect::<Vec<_>>());
        }
    }
}
