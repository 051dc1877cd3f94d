//! Read-only opening of a ledger, also on a read-only medium: nothing is created, migrated or written.

use tokio::sync::Mutex;

use super::db::{self, Database, Writer};
use super::error::StoreError;
use super::log::{
    ExistingSchema, Log, detect_schema, display_location, needs_migration, no_log_error, options,
};
use super::read_model::ReadModel;
use super::read_model::open::{
    SCHEMA_VERSION, has_layers, options as read_model_options, require_known_version, version,
};
use super::url::DatabaseUrl;
use crate::clock::Clock;
use crate::projection::read_model::{PROJECTIONS, Projections};

impl Log {
    /// Opens an existing log of the schema version of this program.
    pub(super) async fn open_existing_read_only(
        url: &DatabaseUrl,
        clock: Clock,
    ) -> Result<Self, StoreError> {
        let Some((db, found)) = connect_read_only(url).await? else {
            return Err(StoreError::NoLedger { ledger: display_location(url) });
        };
        let is_usable = match found {
            ExistingSchema::Empty => Err(no_log_error(url)),
            found => match needs_migration(url, db.dialect(), found) {
                Ok(true) => Err(StoreError::OlderSchema { ledger: display_location(url) }),
                needs => needs.map(drop),
            },
        };
        let log = Self::new(url, clock, db);
        // Closed on an error, so that SQLite removes its temporary files.
        let head = match is_usable {
            Ok(()) => log.head().await,
            Err(error) => Err(error),
        };
        match head {
            Ok(head) => {
                log.0.appended.send_replace(head.size);
                Ok(log)
            }
            Err(error) => {
                log.close().await;
                Err(error)
            }
        }
    }

    /// Opens a log of any schema version. None if there is no log.
    pub(crate) async fn open_read_only(
        url: &DatabaseUrl,
        clock: Clock,
    ) -> Result<Option<Self>, StoreError> {
        let connected = connect_read_only(url).await?;
        let log = connected.filter(|(_, found)| matches!(found, ExistingSchema::Log { .. }));
        Ok(log.map(|(db, _)| Self::new(url, clock, db)))
    }
}

/// Connects to the database of a log, and detects its schema. None if there is no file.
async fn connect_read_only(
    url: &DatabaseUrl,
) -> Result<Option<(Database, ExistingSchema)>, StoreError> {
    let db = match url {
        DatabaseUrl::Sqlite(path) if !path.exists() => return Ok(None),
        DatabaseUrl::Sqlite(path) => Database::Sqlite {
            writer: Mutex::new(Writer::for_existing_file(options(path))?),
            readers: db::read_only_readers(path).await?,
        },
        DatabaseUrl::Postgres(server) => {
            Database::connect_server(server, db::POSTGRES_LOG_SCHEMA).await?
        }
    };
    let connected = async { detect_schema(&mut db.read().await?.session()).await };
    match connected.await {
        Ok(found) => Ok(Some((db, found))),
        Err(error) => {
            db.close().await;
            Err(error)
        }
    }
}

impl ReadModel {
    /// Opens the read models. If they are missing or cannot be opened, every read fails with that reason.
    pub(super) async fn open_existing_read_only(
        url: &DatabaseUrl,
        projections: Projections,
        clock: Clock,
    ) -> Result<Self, StoreError> {
        let absent = |why| Ok(Self::new(Database::Absent(why), false, projections, clock.clone()));
        let connected = match Self::connect_read_only(url).await {
            Ok(connected) => connected,
            Err(StoreError::CannotOpen { path, reason, .. }) => {
                return absent(Some((path, reason)));
            }
            Err(StoreError::Corrupt(reason)) => {
                return absent(Some((url.read_path().unwrap_or_default(), reason)));
            }
            Err(error) => return Err(error),
        };
        let Some((db, version)) = connected else { return absent(None) };
        require_known_version(url, version)?;
        if version < SCHEMA_VERSION {
            return absent(None);
        }
        let has_layers = has_layers(&db).await?;
        Ok(Self::new(db, has_layers, projections, clock))
    }

    /// Opens the read models, and creates and removes nothing. None if [`Self::open`] would start from nothing.
    pub(crate) async fn open_read_only(
        url: &DatabaseUrl,
        clock: Clock,
    ) -> Result<Option<Self>, StoreError> {
        let connected = match Self::connect_read_only(url).await {
            Err(StoreError::Corrupt(_)) => return Ok(None),
            connected => connected?,
        };
        let known = connected.filter(|(_, version)| *version >= SCHEMA_VERSION);
        let Some((db, _)) = known else { return Ok(None) };
        let has_layers = has_layers(&db).await?;
        Ok(Some(Self::new(db, has_layers, PROJECTIONS, clock)))
    }

    /// Connects to the database of the read models, and reads its schema version. None if there is no file.
    async fn connect_read_only(url: &DatabaseUrl) -> Result<Option<(Database, i64)>, StoreError> {
        let db = match url {
            DatabaseUrl::Postgres(server) => {
                Database::connect_server(server, db::POSTGRES_READ_SCHEMA).await?
            }
            DatabaseUrl::Sqlite(_) => {
                let path = url.read_path().unwrap_or_default();
                if !path.exists() {
                    return Ok(None);
                }
                let writer = Mutex::new(Writer::for_existing_file(read_model_options(&path))?);
                Database::Sqlite { writer, readers: db::read_only_readers(&path).await? }
            }
        };
        let (version, _) = version(&mut db.read().await?.session()).await?;
        Ok(Some((db, version)))
    }
}
