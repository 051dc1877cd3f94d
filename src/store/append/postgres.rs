//! Appending to PostgreSQL: the row of the head is the lock, for however many processes.

use super::Now;
use super::batch::{AppendBatch, COLUMNS, Head, KnownEvents, Timestamps, add_known, read_head};
use crate::ids::Position;
use crate::store::StoreError;
use crate::store::db::{BindType, Database, Session};
use crate::store::event::NewEvent;
use crate::store::failure::DatabaseFailure;
use crate::store::{erase, nodes};

/// The head as this process cached it.
#[derive(Debug)]
pub(in crate::store) struct CachedHead {
    head: Head,
    /// Whether nobody else seems to append.
    exclusive: bool,
}

/// Appends in one trip where the head is still as it was cached, and with its lock where it is not.
pub(super) async fn append<'e>(
    db: &Database,
    cached: &mut Option<CachedHead>,
    events: &'e [NewEvent],
    timestamps: Timestamps,
    erased: &[Position],
    now: impl Now,
) -> Result<AppendBatch<'e>, StoreError> {
    // Taken: if this fails on its way, nobody knows where the head is.
    let before = cached.take();
    if let Some(CachedHead { head, exclusive: true }) = &before
        && timestamps == Timestamps::Assign
        && erased.is_empty()
    {
        let batch =
            AppendBatch::assign(events, head.clone(), &KnownEvents::new(), timestamps, now())?;
        // Nodes that are kept come with one event in 256.
        if batch.duplicates.is_empty() && batch.nodes.is_empty() {
            let mut statement = db.write_autocommit().await?;
            if advance_head(&mut statement.session(), head, &batch).await? {
                statement.commit().await?;
                *cached = Some(CachedHead { head: batch.head.clone(), exclusive: true });
                return Ok(batch);
            }
        }
    }
    let (found, batch) = append_locked(db, events, timestamps, erased, now).await?;
    let exclusive = before.is_some_and(|before| before.head == found);
    *cached = Some(CachedHead { head: batch.head.clone(), exclusive });
    Ok(batch)
}

/// Appends while nobody else does; says as well where the head was.
async fn append_locked<'e>(
    db: &Database,
    events: &'e [NewEvent],
    timestamps: Timestamps,
    erased: &[Position],
    now: impl Now,
) -> Result<(Head, AppendBatch<'e>), StoreError> {
    let mut write = db.write().await?;
    let mut session = write.session();
    let row = session.query(sql::HEAD).fetch_one().await?;
    if !row.get::<bool, _>(4)? {
        write.discard();
        return Err(DatabaseFailure::new(
            "the session's synchronous_commit is not on, so that nothing is appended",
            "leave it on for the role of `serve`; a pooler must run in session mode",
        )
        .into());
    }
    let head = read_head(&row)?;
    erase::bodies(&mut session, erased).await?;
    // Known events are rare, and the statement that moves the head finds them; but a restore passes them over.
    let mut known = match timestamps {
        Timestamps::Assign => KnownEvents::new(),
        Timestamps::Preserve => look_up(&mut session, events).await?,
    };
    let mut batch = AppendBatch::assign(events, head.clone(), &known, timestamps, now())?;
    let mut moved = batch.new.is_empty() || advance_head(&mut session, &head, &batch).await?;
    if !moved {
        known = look_up(&mut session, events).await?;
        batch = AppendBatch::assign(events, head.clone(), &known, timestamps, now())?;
        moved = batch.new.is_empty() || advance_head(&mut session, &head, &batch).await?;
    }
    if !erased.is_empty() {
        batch.must_be_new()?;
    }
    if !moved {
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

/// Which of the events the log has, in a statement of its own: it sees all that was committed before the
/// lock was ours.
async fn look_up(
    session: &mut Session<'_>,
    events: &[NewEvent],
) -> Result<KnownEvents, StoreError> {
    let ids = session.bulk(sql::KNOWN.postgres, &[BindType::Text], events, |to, event| {
        to.text(event.facts.event_id.as_str());
    });
    let mut known = KnownEvents::new();
    for row in ids.await? {
        add_known(&mut known, &row)?;
    }
    Ok(known)
}

/// Moves the head and inserts, if the head is where it is thought to be, no event is known, and the commit waits for
/// the disk. That is certain although nothing was locked: the log grows only with its head, and a head that moves
/// while this waits for it is looked at again.
async fn advance_head(
    session: &mut Session<'_>,
    from: &Head,
    batch: &AppendBatch<'_>,
) -> Result<bool, StoreError> {
    let query = session.query_rows(sql::APPEND.postgres, &COLUMNS, &batch.new, |to, event| {
        event.bind(to);
    })?;
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
        /// With whether a commit of this session waits for the disk.
        HEAD = postgres "SELECT size, frontier, last_received_at, restored, current_setting('synchronous_commit') = 'on'
            FROM log_head FOR UPDATE";
        /// Where the events of these ids stand. With OFFSET each is looked up, however many there seem to be.
        KNOWN = postgres "SELECT e.position, e.event_id, e.account, e.livemode FROM ({rows}) AS k CROSS JOIN LATERAL
                (SELECT position, event_id, account, livemode FROM events WHERE event_id = k.column1 OFFSET 0) AS e";
        APPEND = postgres "WITH head AS (
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
        /// Whether the head can be locked: SQLite's transaction has done it already.
        ACCEPTS = sqlite "SELECT size FROM log_head", postgres "SELECT size FROM log_head FOR UPDATE";
    }
}
