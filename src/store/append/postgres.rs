//! Append to PostgreSQL. The row of the head is the lock, for any number of processes.

use super::batch::{AppendBatch, KnownEvents, Timestamps, add_known};
use crate::ids::Position;
use crate::store::db::{Database, Session};
use crate::store::error::StoreError;
use crate::store::event::NewEvent;
use crate::store::failure::DatabaseFailure;
use crate::store::head::{CachedHead, Head};
use crate::store::{erase, nodes};
use crate::time::ReceivedAt;

/// Appends in one trip where the head is still as it was cached, and with its lock where it is not.
pub(super) async fn append<'e>(
    db: &Database,
    cached: &mut Option<CachedHead>,
    events: &'e [NewEvent],
    timestamps: Timestamps,
    erased: &[Position],
    now: impl Fn() -> ReceivedAt,
) -> Result<AppendBatch<'e>, StoreError> {
    // Taken out, because the head is unknown if this fails.
    let before = cached.take();
    if let Some(CachedHead { head, exclusive: true }) = &before
        && timestamps == Timestamps::Assign
        && erased.is_empty()
    {
        let batch =
            AppendBatch::assign(events, head.clone(), &KnownEvents::new(), timestamps, now())?;
        // One event in 256 completes a stored node.
        if batch.duplicates.is_empty() && batch.nodes.is_empty() {
            let mut statement = db.write_autocommit().await?;
            if advance_head(&mut statement.session(), head, &batch).await? {
                statement.commit().await?;
                *cached = Some(CachedHead { head: batch.head.clone(), exclusive: true });
                return Ok(batch);
            }
        }
    }
    let (locked, batch) = append_locked(db, events, timestamps, erased, now).await?;
    let exclusive = before.is_some_and(|before| before.head == locked);
    *cached = Some(CachedHead { head: batch.head.clone(), exclusive });
    Ok(batch)
}

/// Appends with the lock of the head, and also returns the head before the append.
async fn append_locked<'e>(
    db: &Database,
    events: &'e [NewEvent],
    timestamps: Timestamps,
    erased: &[Position],
    now: impl Fn() -> ReceivedAt,
) -> Result<(Head, AppendBatch<'e>), StoreError> {
    let mut write = db.write().await?;
    let mut session = write.session();
    let row = session.query(sql::HEAD).fetch_one().await?;
    if !row.get::<bool, _>(4)? {
        write.discard();
        return Err(DatabaseFailure::new(
            "synchronous_commit is not on in this session, so that nothing is appended",
            "leave it on for the role of `serve`; a pooler must run in session mode",
        )
        .into());
    }
    let head = Head::read(&row)?;
    erase::bodies(&mut session, erased).await?;
    // Delivered events are seldom known, and the statement that advances the head detects it. Others skip known events.
    let mut known = match timestamps {
        Timestamps::Assign => KnownEvents::new(),
        Timestamps::AssignNew | Timestamps::Preserve => find_known(&mut session, events).await?,
    };
    let mut batch = AppendBatch::assign(events, head.clone(), &known, timestamps, now())?;
    let mut is_advanced = batch.new.is_empty() || advance_head(&mut session, &head, &batch).await?;
    if !is_advanced {
        known = find_known(&mut session, events).await?;
        batch = AppendBatch::assign(events, head.clone(), &known, timestamps, now())?;
        is_advanced = batch.new.is_empty() || advance_head(&mut session, &head, &batch).await?;
    }
    if !erased.is_empty() {
        batch.require_new()?;
    }
    if !is_advanced {
        return Err(StoreError::Corrupt("the log's head moved while it was locked".to_owned()));
    }
    nodes::insert(&mut session, &batch.nodes).await?;
    for duplicate in &batch.duplicates {
        duplicate.record(&mut session).await?;
    }
    if batch.is_empty() {
        write.rollback().await?;
    } else {
        write.commit().await?;
    }
    Ok((head, batch))
}

/// Finds the events that are already in the log, in a separate statement, which sees everything that was committed
/// before the lock was taken.
async fn find_known(
    session: &mut Session<'_>,
    events: &[NewEvent],
) -> Result<KnownEvents, StoreError> {
    let ids = session.bulk(sql::KNOWN, events, |to, event| {
        to.text(event.facts.event_id.as_str());
    });
    let mut known = KnownEvents::new();
    for row in ids.await? {
        add_known(&mut known, &row)?;
    }
    Ok(known)
}

/// Advances the head and inserts the events, if the head equals `from`, no event is known, and the commit waits for the
/// disk.
///
/// This is safe without a lock: the log grows only together with its head, and PostgreSQL checks the condition again if
/// the head changes while this statement waits for it.
async fn advance_head(
    session: &mut Session<'_>,
    from: &Head,
    batch: &AppendBatch<'_>,
) -> Result<bool, StoreError> {
    let query = session.query_rows(
        sql::APPEND.postgres,
        sql::APPEND.columns,
        &batch.new,
        |to, event| {
            event.bind(to);
        },
    )?;
    let query = batch.head.bind(query);
    let query = query
        .bind(from.size.0)
        .bind(from.tree.to_bytes())
        .bind(from.last_received_at.0)
        .bind(from.restored);
    query.fetch_one().await?.get(0)
}

pub(in crate::store) mod sql {
    crate::store::db::statements! {
        /// The last column is true if a commit of this session waits for the disk.
        HEAD = postgres "SELECT size, frontier, last_received_at, restored, current_setting('synchronous_commit') = 'on'
            FROM log_head FOR UPDATE";
        /// Positions of the events with these ids. OFFSET 0 makes PostgreSQL look up each id in the index, whatever
        /// number of rows it expects.
        KNOWN [Text] = postgres "SELECT e.position, e.event_id, e.account, e.livemode FROM ({rows}) AS k CROSS JOIN LATERAL
                (SELECT position, event_id, account, livemode FROM events WHERE event_id = k.column1 OFFSET 0) AS e";
        APPEND of crate::store::append::batch::COLUMNS = postgres "WITH head AS (
                UPDATE log_head SET size = $18, root = $19, frontier = $20, last_received_at = $21, restored = $22
                WHERE (size, frontier, last_received_at, restored) = ($23, $24, $25, $26)
                    AND current_setting('synchronous_commit') = 'on'
                    AND NOT EXISTS (SELECT FROM unnest($2::text[], $3::text[], $4::boolean[]) AS k (event_id, account, livemode)
                        CROSS JOIN LATERAL (SELECT FROM events AS e WHERE (e.event_id, e.account, e.livemode)
                            = (k.event_id, k.account, k.livemode) OFFSET 0) AS known)
                RETURNING size),
            appended AS (
                INSERT INTO events (position, event_id, account, livemode, type, api_version, created, created_nanos,
                    received_at, source, signature, payload_hash, leaf_hash, salt, payload, signed_with, signature_hash)
                SELECT bound.* FROM ({rows}) AS bound CROSS JOIN head)
            SELECT count(*) = 1 FROM head";
        /// Locks the head. In SQLite the transaction has locked it.
        ACCEPTS = sqlite "SELECT size FROM log_head", postgres "SELECT size FROM log_head FOR UPDATE";
    }
}
