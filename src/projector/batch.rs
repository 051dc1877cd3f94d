//! Batch of effects: a range of the log, read as far as that needs no state.
//!
//! Reading Stripe's JSON is the expensive part of folding, so it runs on threads of its own, beside those that answer
//! webhooks. It needs no state, so several chunks are read at once, and the next range while this one is folded and
//! committed.

use std::collections::HashSet;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{BATCH_BYTES_MAX, BATCH_CHUNKS_MAX, CHUNK_EVENTS, CHUNKS_AT_ONCE};
use crate::ids::{CustomerKey, Position};
use crate::projection::effects::{EventEffects, LoggedInput};
use crate::store::{ChunkEvent, EventChunk, EventSource, Log, StoreError};
use crate::time::ReceivedAt;

/// Effects of the events after one position and up to another.
#[derive(Debug)]
pub(super) struct EffectsBatch {
    pub(super) effects: Vec<EventEffects>,
    /// Position before the first event.
    after: Position,
    /// Time of receipt of the first event.
    pub(super) first_received_at: ReceivedAt,
    /// Time of receipt of the last event.
    pub(super) last_received_at: ReceivedAt,
    /// Position of the last event.
    pub(super) to: Position,
    /// True if it ended at a size limit, so that there are probably more events.
    pub(super) is_full: bool,
    /// Size of the bodies.
    pub(super) bytes: usize,
}

impl EffectsBatch {
    /// Reads the events after a position. None if there are none.
    pub(super) async fn read(log: Log, after: Position) -> Result<Option<Self>, StoreError> {
        let Some(mut batch) = Self::read_chunk(log.clone(), after).await? else {
            return Ok(None);
        };
        if !batch.is_full {
            return Ok(Some(batch));
        }
        // The start of each chunk is known beforehand only if none is cut short for its size.
        let to = batch.to;
        let starts = (1..BATCH_CHUNKS_MAX).map(|n| to.plus((n - 1) * CHUNK_EVENTS));
        let mut others = stream::iter(starts)
            .map(|start| Self::read_chunk(log.clone(), start))
            .buffered(CHUNKS_AT_ONCE);
        while let Some(Some(next)) = others.try_next().await? {
            if next.after != batch.to {
                break;
            }
            batch.extend(next);
            if !batch.is_full || batch.bytes >= BATCH_BYTES_MAX {
                break;
            }
        }
        Ok(Some(batch))
    }

    /// Reads a chunk of the events after a position. None if there are none.
    async fn read_chunk(log: Log, after: Position) -> Result<Option<Self>, StoreError> {
        Self::read_range(&log, after, after.plus(CHUNK_EVENTS)).await
    }

    /// Reads the events after a position and up to another, or the first of them. None if there are none. If one is
    /// damaged they are read one by one, so that the damage parks this event and no other.
    pub(super) async fn read_range(
        log: &Log,
        after: Position,
        up_to: Position,
    ) -> Result<Option<Self>, StoreError> {
        let batch = match log.event_chunk(after, up_to).await {
            Ok(None) => return Ok(None),
            Ok(Some(chunk)) => beside_the_runtime(move || Self::from_chunk(after, &chunk)).await?,
            Err(error) => Err(error),
        };
        match batch {
            Err(error) if !error.is_unavailable() => {
                let chunk = log.event_chunk_by_event(after, up_to).await?;
                let Some(chunk) = chunk else { return Ok(None) };
                beside_the_runtime(move || Self::from_chunk(after, &chunk)).await?.map(Some)
            }
            batch => batch.map(Some),
        }
    }

    /// Reads a chunk of the events after a position.
    fn from_chunk(after: Position, chunk: &EventChunk) -> Result<Self, StoreError> {
        let events = chunk.events()?;
        Ok(Self {
            bytes: events.iter().filter_map(|event| event.body).map(str::len).sum(),
            effects: events.iter().map(effects_of).collect(),
            after,
            to: chunk.to,
            first_received_at: chunk.first_received_at,
            last_received_at: chunk.last_received_at,
            is_full: chunk.is_full,
        })
    }

    /// Customers whose state the events change, each once.
    pub(super) fn changed_customers(&self) -> Vec<CustomerKey> {
        let customers = self.effects.iter().filter_map(EventEffects::changed_customer);
        customers.collect::<HashSet<_>>().into_iter().cloned().collect()
    }

    fn extend(&mut self, next: Self) {
        self.effects.extend(next.effects);
        self.bytes += next.bytes;
        (self.to, self.is_full) = (next.to, next.is_full);
        self.last_received_at = next.last_received_at;
    }
}

/// Reads the effects of an event of the log.
pub(crate) fn effects_of(event: &ChunkEvent<'_>) -> EventEffects {
    EventEffects::read(&LoggedInput {
        position: event.position,
        created: event.created,
        scope: &event.scope,
        event_id: &event.event_id,
        event_type: &event.event_type,
        is_own_record: event.source == EventSource::Subledger,
        body: event.body,
        damage: event.damage.map(ToString::to_string),
    })
}

/// Runs long work that waits for nothing on a thread of its own. A panic there is an error here, so that the
/// follower can report it and try again.
pub(super) async fn beside_the_runtime<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| StoreError::Internal(error.into()))
}
