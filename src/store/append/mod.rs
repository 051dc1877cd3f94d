//! Append of a batch of events in one transaction.
//!
//! The transaction locks and reads the head of the log and looks up which events are known. Then positions, times and
//! hashes are assigned, the new events are inserted, the head is advanced, and the transaction is committed.

mod batch;
pub(super) mod postgres;
pub(super) mod sqlite;

pub use self::batch::Appended;
use self::batch::{AppendBatch, Timestamps};
use super::db::Database;
use super::error::StoreError;
use super::event::NewEvent;
use super::log::Log;
use crate::ids::Position;

impl Log {
    /// Appends a batch in one transaction. The answers are in the order of the events, and are returned after the
    /// commit has reached the disk.
    ///
    /// An event whose id is already in the log, or earlier in the batch, is a duplicate: it is recorded as a
    /// redelivery, and the first bytes stay. On an error nothing was appended, and a later append is not affected. (A
    /// connection to PostgreSQL may break after the commit and before its answer: then the events are duplicates when
    /// they are appended again.)
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn append(&self, events: &[NewEvent]) -> Result<Vec<Appended>, StoreError> {
        self.write(events, Timestamps::Assign, &[]).await
    }

    /// Like [`Self::append`], but leaves duplicates out and does not record them: events and objects of Stripe's lists,
    /// which show the same event again and again.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn append_listed(&self, events: &[NewEvent]) -> Result<Vec<Appended>, StoreError> {
        self.write(events, Timestamps::AssignNew, &[]).await
    }

    /// Appends the events of an export with their times of arrival, so that the log has the root of the exported log.
    ///
    /// The log must be empty, or have only events of such a restore. Known events are skipped.
    #[tracing::instrument(skip_all)]
    pub async fn restore(&self, events: &[NewEvent]) -> Result<Vec<Appended>, StoreError> {
        self.write(events, Timestamps::Preserve, &[]).await
    }

    /// Erases the bodies, salts and signatures of the events at these positions, and the bodies of their redeliveries,
    /// and appends the records of the erasure, in one transaction.
    ///
    /// A file has no erased bytes after [`Self::rewrite`], PostgreSQL after
    /// [`SERVER_CLEANUP_COMMANDS`](crate::store::SERVER_CLEANUP_COMMANDS). [`StoreError::IdTaken`] if a record has the
    /// id of another event: then nothing is erased.
    #[tracing::instrument(skip_all)]
    pub async fn erase(
        &self,
        positions: &[Position],
        records: &[NewEvent],
    ) -> Result<Vec<Appended>, StoreError> {
        self.write(records, Timestamps::Assign, positions).await
    }

    /// Checks that the log accepts events: locks its head and releases it.
    ///
    /// Returns at once while this process appends to a file.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn check_append(&self) -> Result<(), StoreError> {
        // An append is running; the check must not delay the appends that wait behind it.
        if let Database::Sqlite { writer, .. } = &self.0.db
            && writer.try_lock().is_err()
        {
            return Ok(());
        }
        let mut write = self.0.db.write().await?;
        write.session().query(postgres::sql::ACCEPTS).fetch_all().await?;
        write.rollback().await
    }

    async fn write(
        &self,
        events: &[NewEvent],
        timestamps: Timestamps,
        erased: &[Position],
    ) -> Result<Vec<Appended>, StoreError> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let now = || self.0.clock.now();
        let batch = match &self.0.db {
            Database::Postgres(_) => {
                let mut cached = self.0.cached_head.lock().await;
                let batch =
                    postgres::append(&self.0.db, &mut cached, events, timestamps, erased, now)
                        .await?;
                drop(cached);
                self.announce(&batch);
                batch
            }
            Database::Absent(why) => return Err(Database::absent_error(why.as_ref())),
            Database::Sqlite { writer, .. } => {
                let mut writer = writer.lock().await;
                // A failure or a cancellation below drops the connection, which rolls back.
                let mut connection = writer.take().await?;
                let batch =
                    sqlite::append(&mut connection, events, timestamps, erased, now).await?;
                self.announce(&batch);
                // The events are committed: a failure from here on is not reported to the sender.
                let mut checkpointer = self.0.checkpointer.lock().await;
                match checkpointer.after_commit(&mut connection, batch.bytes()).await {
                    Ok(()) => writer.put_back(connection),
                    Err(error) => {
                        tracing::warn!(%error, "a checkpoint of the log failed and is retried");
                    }
                }
                batch
            }
        };
        Ok(batch.answers)
    }

    /// Notifies the tasks that wait for events of this process.
    fn announce(&self, batch: &AppendBatch<'_>) {
        if batch.head.size > batch.start {
            self.0.appended.send_if_modified(|position| {
                let is_later = *position < batch.head.size;
                *position = batch.head.size.max(*position);
                is_later
            });
        }
    }
}
