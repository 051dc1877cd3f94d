//! Appending to PostgreSQL: the row of the head is the lock, for however many processes.

use super::Now;
use super::batch::{Batch, COLUMNS, End, Known, Times, read_end, read_known};
use crate::ids::Position;
use crate::store::StoreError;
use crate::store::cause::Cause;
use crate::store::db::{Column, Database, Session};
use crate::store::event::NewEvent;
use crate::store::{erase, nodes};

/// The head as this process left it.
#[derive(Debug)]
pub(in crate::store) struct Left {
    end: End,
    /// Whether nobody else seems to append.
    alone: bool,
}

/// Appends in one trip where the head is still as it was left, and with its lock where it is not.
pub(super) async fn append<'e>(
    db: &Database,
    left: &mut Option<Left>,
    events: &'e [NewEvent],
    times: Times,
    erased: &[Position],
    now: impl Now,
) -> Result<Batch<'e>, StoreError> {
    // Taken: if this fails on its way, nobody knows where the head is.
    let before = left.take();
    if let Some(Left { end, alone: true }) = &before
        && times == Times::Now
        && erased.is_empty()
    {
        let batch = Batch::assign(events, end.clone(), &Known::new(), times, now())?;
        // Nodes that are kept come with one event in 256.
        if batch.duplicates.is_empty() && batch.nodes.is_empty() {
            let mut statement = db.write_once().await?;
            if move_end(&mut statement.session(), end, &batch).await? {
                statement.commit().await?;
                *left = Some(Left { end: batch.end.clone(), alone: true });
                return Ok(batch);
            }
        }
    }
    let (found, batch) = append_locked(db, events, times, erased, now).await?;
    let alone = before.is_some_and(|before| before.end == found);
    *left = Some(Left { end: batch.end.clone(), alone });
    Ok(batch)
}

/// Appends while nobody else does; says as well where the head was.
async fn append_locked<'e>(
    db: &Database,
    events: &'e [NewEvent],
    times: Times,
    erased: &[Position],
    now: impl Now,
) -> Result<(End, Batch<'e>), StoreError> {
    let mut write = db.write().await?;
    let mut session = write.session();
    let row = session.query(sql::END).fetch_one().await?;
    if !row.get::<bool, _>(4)? {
        write.give_up();
        return Err(Cause::new(
            "the session's synchronous_commit is not on, so that nothing is appended",
            "leave it on for the role of `serve`; a pooler must run in session mode",
        )
        .into());
    }
    let end = read_end(&row)?;
    erase::bodies(&mut session, erased).await?;
    // Known events are rare, and the statement that moves the head finds them; but a restore passes them over.
    let mut known = match times {
        Times::Now => Known::new(),
        Times::Exported => look_up(&mut session, events).await?,
    };
    let mut batch = Batch::assign(events, end.clone(), &known, times, now())?;
    let mut moved = batch.new.is_empty() || move_end(&mut session, &end, &batch).await?;
    if !moved {
        known = look_up(&mut session, events).await?;
        batch = Batch::assign(events, end.clone(), &known, times, now())?;
        moved = batch.new.is_empty() || move_end(&mut session, &end, &batch).await?;
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
    Ok((end, batch))
}

/// Which of the events the log has, in a statement of its own: it sees all that was committed before the
/// lock was ours.
async fn look_up(session: &mut Session<'_>, events: &[NewEvent]) -> Result<Known, StoreError> {
    let ids = session.bulk(sql::KNOWN.postgres, &[Column::Text], events, |to, event| {
        to.text(event.facts.event_id.as_str());
    });
    let mut known = Known::new();
    for row in ids.await? {
        read_known(&mut known, &row)?;
    }
    Ok(known)
}

/// Moves the head and inserts, if the head is where it is thought to be, no event is known, and the commit waits for
/// the disk. That is certain although nothing was locked: the log grows only with its head, and a head that moves
/// while this waits for it is looked at again.
async fn move_end(
    session: &mut Session<'_>,
    from: &End,
    batch: &Batch<'_>,
) -> Result<bool, StoreError> {
    let query = session.query_rows(sql::APPEND.postgres, &COLUMNS, &batch.new, |to, placed| {
        placed.cells(to);
    })?;
    let query = batch.end.bind(query);
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
        END = postgres "SELECT size, frontier, last_received_at, restored, current_setting('synchronous_commit') = 'on'
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
