//! Appending: one transaction for a whole batch.
//!
//! It takes the lock of the log's head, reads it, and asks which ids are known; then positions, timestamps and
//! hashes are given; then it inserts, moves the head, and commits.

pub(super) mod batch;
pub(super) mod postgres;
pub(super) mod sqlite;

#[cfg(test)]
pub(super) use self::batch::COLUMNS;
use self::batch::{AppendBatch, Timestamps};
use super::StoreError;
use super::db::Database;
use super::event::{Appended, NewEvent};
use super::log::Log;
use crate::ids::Position;
use crate::time::ReceivedAt;

impl Log {
    /// Appends a batch in one transaction; the answers are in the order of the events, and are
    /// given after the commit has reached the disk.
    ///
    /// An event whose id the log knows (or that stands twice in the batch) is a duplicate: it is
    /// recorded as a redelivery and the first bytes stay. On an error nothing was appended, and the
    /// next append starts anew. (A connection to PostgreSQL may break after a commit and before its
    /// answer: then the events are known when they are appended again.)
    pub async fn append(&self, events: &[NewEvent]) -> Result<Vec<Appended>, StoreError> {
        self.write(events, Timestamps::Assign, &[]).await
    }

    /// Appends the events of an export with the timestamps they were received at, so that the log has
    /// the root of the one that was exported.
    ///
    /// Only into an empty log, or to go on with such a restore; known ids are skipped.
    pub async fn restore(&self, events: &[NewEvent]) -> Result<Vec<Appended>, StoreError> {
        self.write(events, Timestamps::Preserve, &[]).await
    }

    /// Appends, and erases the bodies at these positions in the same transaction.
    pub(super) async fn append_erasing(
        &self,
        erased: &[Position],
        records: &[NewEvent],
    ) -> Result<Vec<Appended>, StoreError> {
        self.write(records, Timestamps::Assign, erased).await
    }

    /// Whether the log accepts events now: takes the lock of its head and lets it go.
    ///
    /// While this process appends to a file, the answer is yes without asking.
    pub async fn check_append(&self) -> Result<(), StoreError> {
        // Somebody is appending right now; whoever asks must not stand in the queue before events.
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
                // Whatever fails or is cancelled below drops the connection, and so rolls back.
                let mut connection = writer.take().await?;
                let batch =
                    sqlite::append(&mut connection, events, timestamps, erased, now).await?;
                self.announce(&batch);
                // The events are on the disk now: nothing that goes wrong from here on is the sender's.
                let mut checkpointer = self.0.checkpointer.lock().await;
                match checkpointer.after_commit(&mut connection, batch.bytes()).await {
                    Ok(()) => writer.put_back(connection),
                    Err(error) => {
                        tracing::warn!(%error, "a checkpoint of the log failed; it is tried again");
                    }
                }
                batch
            }
        };
        Ok(batch.answers)
    }

    /// Wakes whoever waits for what this process appends.
    fn announce(&self, batch: &AppendBatch<'_>) {
        if batch.head.size > batch.start {
            self.0.appended.send_if_modified(|position| {
                let is_news = *position < batch.head.size;
                *position = batch.head.size.max(*position);
                is_news
            });
        }
    }
}

/// Now, for whoever holds the lock.
trait Now: Fn() -> ReceivedAt {}
impl<F: Fn() -> ReceivedAt> Now for F {}
