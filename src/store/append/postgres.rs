//! Appending to PostgreSQL: the row of the head is the lock, for however many processes.

use super::Now;
use super::batch::{Batch, COLUMNS, Known, Times, read_end, read_known};
use crate::store::StoreError;
use crate::store::db::{Column, Database};
use crate::store::event::NewEvent;
use crate::store::nodes;

pub(super) async fn append<'e>(
    db: &Database,
    events: &'e [NewEvent],
    times: Times,
    now: impl Now,
) -> Result<Batch<'e>, StoreError> {
    let mut write = db.write().await?;
    let mut session = write.session();
    let end = read_end(&session.query(sql::END).fetch_one().await?)?;
    // Only now, in a statement of its own: it sees what was committed before the lock was ours.
    let mut known = Known::new();
    let ids = session.bulk(sql::KNOWN.postgres, &[Column::Text], events, |to, event| {
        to.text(event.facts.event_id.as_str());
    });
    for row in ids.await? {
        read_known(&mut known, &row)?;
    }
    let batch = Batch::assign(events, end, &known, times, now())?;
    if batch.is_empty() {
        write.rollback().await?;
        return Ok(batch);
    }
    session.bulk(sql::INSERT.postgres, &COLUMNS, &batch.new, |to, placed| placed.cells(to)).await?;
    nodes::insert(&mut session, &batch.nodes).await?;
    for duplicate in &batch.duplicates {
        duplicate.record(&mut session).await?;
    }
    batch.end.bind(session.query(sql::END_MOVE)).execute().await?;
    write.commit().await?;
    Ok(batch)
}

pub(in crate::store) mod sql {
    crate::store::db::statements! {
        END = postgres "SELECT size, frontier, last_received_at, restored FROM log_head FOR UPDATE";
        END_MOVE = postgres "UPDATE log_head SET size = $1, root = $2, frontier = $3, last_received_at = $4, restored = $5";
        /// Where the events of these ids stand. With OFFSET each is looked up, however many there seem to be.
        KNOWN = postgres "SELECT e.position, e.event_id, e.account, e.livemode FROM ({rows}) AS k CROSS JOIN LATERAL
                (SELECT position, event_id, account, livemode FROM events WHERE event_id = k.column1 OFFSET 0) AS e";
        INSERT = postgres "INSERT INTO events (position, event_id, account, livemode, type, api_version, created, created_nanos,
                received_at, source, signature, payload_hash, leaf_hash, salt, payload)
            SELECT * FROM ({rows}) AS bound";
        /// Whether the head can be locked: SQLite's transaction has done it already.
        ACCEPTS = sqlite "SELECT size FROM log_head", postgres "SELECT size FROM log_head FOR UPDATE";
    }
}
