//! Opens a ledger to be read as it is: nothing is made, migrated or written, also on a medium that only reads.

use tokio::sync::Mutex;

use super::db::{self, Database, Writer};
use super::log::{
    ExistingSchema, Log, detect_schema, display_location, needs_migration, no_log_error, options,
};
use super::read_model::{self, ReadModel};
use super::{DatabaseUrl, StoreError};
use crate::clock::Clock;

impl Log {
    /// Opens a log to be read. Its schema must be the one of this program.
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
        // What is opened is closed, so that no file of it is left.
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

    /// A log that is there, whatever its schema. None where there is no log.
    pub(crate) async fn open_read_only(
        url: &DatabaseUrl,
        clock: Clock,
    ) -> Result<Option<Self>, StoreError> {
        let connected = connect_read_only(url).await?;
        let log = connected.filter(|(_, found)| matches!(found, ExistingSchema::Log { .. }));
        Ok(log.map(|(db, _)| Self::new(url, clock, db)))
    }
}

/// The database of a log, and what it holds; none where there is no file.
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
            let db = Database::for_server(server, db::POSTGRES_LOG_SCHEMA)?;
            db.check().await.map_err(|error| error.into_unreachable(url))?;
            db
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
    /// Opens the read models to be read. Where there are none, or none that can be opened, every read says so.
    pub(super) async fn open_existing_read_only(
        url: &DatabaseUrl,
        clock: Clock,
    ) -> Result<Self, StoreError> {
        let absent = |why| Ok(Self::new(Database::Absent(why), clock.clone()));
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
        read_model::must_be_known(url, version)?;
        if version < read_model::SCHEMA_VERSION { absent(None) } else { Ok(Self::new(db, clock)) }
    }

    /// The read models that are there, to be read as they are: nothing is made, and nothing removed. None
    /// where [`Self::open`] would begin from nothing.
    pub(crate) async fn open_read_only(
        url: &DatabaseUrl,
        clock: Clock,
    ) -> Result<Option<Self>, StoreError> {
        let connected = match Self::connect_read_only(url).await {
            Err(StoreError::Corrupt(_)) => return Ok(None),
            connected => connected?,
        };
        let known = connected.filter(|(_, version)| *version >= read_model::SCHEMA_VERSION);
        Ok(known.map(|(db, _)| Self::new(db, clock)))
    }

    /// The database of read models, and the version of its schema; none where there is no file.
    async fn connect_read_only(url: &DatabaseUrl) -> Result<Option<(Database, i64)>, StoreError> {
        let db = match url {
            DatabaseUrl::Postgres(server) => {
                let db = Database::for_server(server, db::POSTGRES_READ_SCHEMA)?;
                db.check().await.map_err(|error| error.into_unreachable(url))?;
                db
            }
            DatabaseUrl::Sqlite(_) => {
                let path = url.read_path().unwrap_or_default();
                if !path.exists() {
                    return Ok(None);
                }
                let writer = Mutex::new(Writer::for_existing_file(read_model::options(&path))?);
                Database::Sqlite { writer, readers: db::read_only_readers(&path).await? }
            }
        };
        let (version, _) = read_model::version(&mut db.read().await?.session()).await?;
        Ok(Some((db, version)))
    }
}
