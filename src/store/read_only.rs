//! Opens a ledger to be read as it is: nothing is made, migrated or written, also on a medium that only reads.

use tokio::sync::Mutex;

use super::db::{self, Database, Writer};
use super::log::{Found, Log, found, needs_migration, nothing_at, options, place};
use super::read_model::{self, ReadModel};
use super::{DatabaseUrl, StoreError};
use crate::clock::Clock;

impl Log {
    /// Opens a log to be read. Its schema must be the one of this program.
    pub(super) async fn open_to_read(url: &DatabaseUrl, clock: Clock) -> Result<Self, StoreError> {
        let Some((db, found)) = look_at(url).await? else {
            return Err(StoreError::NoLedger { ledger: place(url) });
        };
        let is_usable = match found {
            Found::Nothing => Err(nothing_at(url)),
            found => match needs_migration(url, db.dialect(), found) {
                Ok(true) => Err(StoreError::OlderSchema { ledger: place(url) }),
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
    pub(crate) async fn look(url: &DatabaseUrl, clock: Clock) -> Result<Option<Self>, StoreError> {
        let looked = look_at(url).await?;
        let log = looked.filter(|(_, found)| matches!(found, Found::Log { .. }));
        Ok(log.map(|(db, _)| Self::new(url, clock, db)))
    }
}

/// The database of a log, and what it holds; none where there is no file.
async fn look_at(url: &DatabaseUrl) -> Result<Option<(Database, Found)>, StoreError> {
    let db = match url {
        DatabaseUrl::Sqlite(path) if !path.exists() => return Ok(None),
        DatabaseUrl::Sqlite(path) => Database::Sqlite {
            writer: Mutex::new(Writer::unopened(options(path))?),
            readers: db::look(path).await?,
        },
        DatabaseUrl::Postgres(server) => {
            let db = Database::of_server(server, db::POSTGRES_LOG_SCHEMA)?;
            db.check().await.map_err(|error| error.of_server(url))?;
            db
        }
    };
    let looked = async { found(&mut db.read().await?.session()).await };
    match looked.await {
        Ok(found) => Ok(Some((db, found))),
        Err(error) => {
            db.close().await;
            Err(error)
        }
    }
}

impl ReadModel {
    /// Opens the read models to be read. Where there are none, or none that can be opened, every read says so.
    pub(super) async fn open_to_read(url: &DatabaseUrl, clock: Clock) -> Result<Self, StoreError> {
        let absent = |why| Ok(Self::new(Database::Absent(why), clock.clone()));
        let looked = match Self::look_at(url).await {
            Ok(looked) => looked,
            Err(StoreError::CannotOpen { path, reason, .. }) => {
                return absent(Some((path, reason)));
            }
            Err(StoreError::Corrupt(reason)) => {
                return absent(Some((url.read_path().unwrap_or_default(), reason)));
            }
            Err(error) => return Err(error),
        };
        let Some((db, version)) = looked else { return absent(None) };
        read_model::must_be_known(url, version)?;
        if version < read_model::SCHEMA_VERSION { absent(None) } else { Ok(Self::new(db, clock)) }
    }

    /// The read models that are there, to be read as they are: nothing is made, and nothing removed. None
    /// where [`Self::open`] would begin from nothing.
    pub(crate) async fn look(url: &DatabaseUrl, clock: Clock) -> Result<Option<Self>, StoreError> {
        let looked = match Self::look_at(url).await {
            Err(StoreError::Corrupt(_)) => return Ok(None),
            looked => looked?,
        };
        let known = looked.filter(|(_, version)| *version >= read_model::SCHEMA_VERSION);
        Ok(known.map(|(db, _)| Self::new(db, clock)))
    }

    /// The database of read models, and the version of its schema; none where there is no file.
    async fn look_at(url: &DatabaseUrl) -> Result<Option<(Database, i64)>, StoreError> {
        let db = match url {
            DatabaseUrl::Postgres(server) => {
                let db = Database::of_server(server, db::POSTGRES_READ_SCHEMA)?;
                db.check().await.map_err(|error| error.of_server(url))?;
                db
            }
            DatabaseUrl::Sqlite(_) => {
                let path = url.read_path().unwrap_or_default();
                if !path.exists() {
                    return Ok(None);
                }
                let writer = Mutex::new(Writer::unopened(read_model::options(&path))?);
                Database::Sqlite { writer, readers: db::look(&path).await? }
            }
        };
        let (version, _) = read_model::version(&mut db.read().await?.session()).await?;
        Ok(Some((db, version)))
    }
}
