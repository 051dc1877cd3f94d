//! A range of the log, read and understood: everything about its fold that needs no state.
//!
//! Reading Stripe's JSON is the expensive part, so it runs beside the runtime's own threads, which
//! answer webhooks. Because it needs no state, several chunks are read at once, and the next range
//! while this one is folded and committed.

use std::panic::{UnwindSafe, catch_unwind};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{BATCH_BYTES_MAX, BATCH_CHUNKS_MAX, CHUNK_EVENTS, CHUNKS_AT_ONCE};
use crate::erasure::{ErasedSubject, ErasureRecord};
use crate::ids::{CustomerId, CustomerKey, EventId, Position, Scope, SubscriptionId};
use crate::projection::catalogue::CatalogueEntry;
use crate::projection::observe::{FoldError, Link, Observation, observe_as};
use crate::projection::state::Change;
use crate::store::{ChunkEvent, EventChunk, EventSource, Log, Parked, StoreError, TimelineEntry};
use crate::stripe::Envelope;
use crate::stripe::json::Text;
use crate::stripe::routing::{self, Routing};
use crate::time::{ReceivedAt, StripeTime};

/// The events after one position and up to another.
#[derive(Debug)]
pub(super) struct EffectsBatch {
    pub(super) entries: Vec<Entry>,
    /// The position before the first.
    after: Position,
    /// When the first of them reached us.
    pub(super) first_received_at: ReceivedAt,
    /// When the last of them reached us.
    pub(super) last_received_at: ReceivedAt,
    /// The last position.
    pub(super) to: Position,
    /// Whether it ended because of its size, so that there is probably more.
    pub(super) is_full: bool,
    /// Bytes of bodies.
    bytes: usize,
}

/// One event of a batch.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) position: Position,
    pub(crate) created: StripeTime,
    pub(crate) read: Read,
}

/// What became of an event's body.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly every event is of the largest variant")]
pub(crate) enum Read {
    /// It was understood.
    Observed(Observation),
    /// It is of a kind that is folded, and it could not be.
    Parked(Parked),
    /// It says what was erased, and stands in the history of whom that concerned.
    Erasure(Scope, Vec<ErasedSubject>),
    /// There is nothing to fold: types that name nobody, and bodies that were erased.
    Nothing,
}

impl EffectsBatch {
    /// Reads the events after a position; none if there are none.
    pub(super) async fn read(log: Log, after: Position) -> Result<Option<Self>, StoreError> {
        let Some(mut batch) = Self::read_chunk(log.clone(), after).await? else {
            return Ok(None);
        };
        if !batch.is_full {
            return Ok(Some(batch));
        }
        // Where each begins is known beforehand only if none is cut short for its size.
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

    /// Reads a chunk of the events after a position; none if there are none.
    async fn read_chunk(log: Log, after: Position) -> Result<Option<Self>, StoreError> {
        Self::read_range(&log, after, after.plus(CHUNK_EVENTS)).await
    }

    /// Reads the events after a position and up to another, or the first of them; none if there are none. Where
    /// one is damaged they are read one by one, so that the damage parks this one and no other.
    pub(super) async fn read_range(
        log: &Log,
        after: Position,
        up_to: Position,
    ) -> Result<Option<Self>, StoreError> {
        let understood = match log.event_chunk(after, up_to).await {
            Ok(None) => return Ok(None),
            Ok(Some(chunk)) => beside_the_runtime(move || Self::of(after, &chunk)).await?,
            Err(error) => Err(error),
        };
        match understood {
            Err(error) if !error.is_unavailable() => {
                let chunk = log.event_chunk_by_event(after, up_to).await?;
                let Some(chunk) = chunk else { return Ok(None) };
                beside_the_runtime(move || Self::of(after, &chunk)).await?.map(Some)
            }
            understood => understood.map(Some),
        }
    }

    /// Understands a chunk of the events after a position.
    fn of(after: Position, chunk: &EventChunk) -> Result<Self, StoreError> {
        let events = chunk.events()?;
        Ok(Self {
            bytes: events.iter().filter_map(|event| event.body).map(str::len).sum(),
            entries: events.iter().map(Entry::read).collect(),
            after,
            to: chunk.to,
            first_received_at: chunk.first_received_at,
            last_received_at: chunk.last_received_at,
            is_full: chunk.is_full,
        })
    }

    fn extend(&mut self, next: Self) {
        self.entries.extend(next.entries);
        self.bytes += next.bytes;
        (self.to, self.is_full) = (next.to, next.is_full);
        self.last_received_at = next.last_received_at;
    }
}

impl Entry {
    /// Understands an event.
    pub(crate) fn read(event: &ChunkEvent<'_>) -> Self {
        Self::guarded(event, || Read::of(event))
    }

    /// A defect that one event brings to light parks that event and holds up no other.
    fn guarded(event: &ChunkEvent<'_>, read: impl FnOnce() -> Read + UnwindSafe) -> Self {
        let read = catch_unwind(read)
            .unwrap_or_else(|_| Read::Parked(park(event, &Routing::default(), &FoldError::Defect)));
        Self { position: event.position, created: event.created, read }
    }

    /// The customer whose state the event changes.
    pub(super) fn changed_customer(&self) -> Option<&CustomerKey> {
        match &self.read {
            Read::Observed(observation) if observation.change.is_some() => {
                observation.customer.as_ref()
            }
            _ => None,
        }
    }
}

/// What one event comes to.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) timeline: Vec<TimelineEntry>,
    pub(crate) change: Option<(CustomerKey, Change)>,
    pub(crate) links: Vec<Link>,
    pub(crate) catalogue: Option<CatalogueEntry>,
    pub(crate) parked: Option<Parked>,
}

impl Entry {
    /// What is to be joined in and written down.
    pub(crate) fn outcome(self) -> Outcome {
        let Self { position, created, read } = self;
        let entry =
            |customer, subscription| TimelineEntry { customer, subscription, position, created };
        match read {
            Read::Nothing => Outcome::default(),
            Read::Erasure(scope, subjects) => {
                let key = |customer| CustomerKey { scope: scope.clone(), customer };
                let timeline =
                    subjects.into_iter().map(|it| entry(key(it.customer), it.subscription));
                Outcome { timeline: timeline.collect(), ..Outcome::default() }
            }
            Read::Parked(parked) => {
                // It still stands on the timeline of whom it names.
                let key = |customer| CustomerKey { scope: parked.scope.clone(), customer };
                let customer = parked.customer.clone().map(key);
                let timeline = customer.map(|it| entry(it, parked.subscription.clone()));
                let timeline = timeline.into_iter().collect();
                Outcome { timeline, parked: Some(parked), ..Outcome::default() }
            }
            Read::Observed(it) => Outcome {
                timeline: (it.stand_ins.into_iter().chain(it.customer.clone()))
                    .map(|customer| entry(customer, it.subscription.clone()))
                    .collect(),
                change: it.customer.zip(it.change),
                links: it.links,
                catalogue: it.catalogue,
                parked: None,
            },
        }
    }
}

impl Read {
    fn of(event: &ChunkEvent<'_>) -> Self {
        if let Some(cause) = event.damage {
            let error = FoldError::Damaged(cause.to_string());
            return Self::Parked(park(event, &routing_of_rest(event.body), &error));
        }
        let Some(body) = event.body else { return Self::Nothing };
        if event.source == EventSource::Subledger {
            return ErasureRecord::read(body).map_or(Self::Nothing, |erasure| {
                let subjects = erasure.subjects().into_iter().cloned().collect();
                Self::Erasure(event.scope.clone(), subjects)
            });
        }
        // What no projection folds is not parsed.
        if routing::names_nobody(&event.event_type) {
            return Self::Nothing;
        }
        match observe_as(&event.event_type, body) {
            Ok(observation) => Self::Observed(observation),
            Err(error) => {
                // Whom it names may still be readable.
                Self::Parked(park(event, &routing(body), &error))
            }
        }
    }
}

/// Whom a body names, as far as that can be read.
fn routing(body: &str) -> Routing<'_> {
    let routing = Envelope::<Routing<'_>>::read(body).ok().and_then(|it| it.object);
    routing.unwrap_or_default()
}

/// Whom the rest of a damaged body names. An id that is damaged itself names nobody.
fn routing_of_rest(body: Option<&str>) -> Routing<'_> {
    let mut routing = body.map(routing).unwrap_or_default();
    let is_whole = |id: &Text<'_>| !id.contains(char::REPLACEMENT_CHARACTER);
    routing.customer = routing.customer.filter(is_whole);
    routing.subscription = routing.subscription.filter(is_whole);
    routing
}

fn park(event: &ChunkEvent<'_>, routing: &Routing<'_>, error: &FoldError) -> Parked {
    Parked {
        position: event.position,
        event_id: EventId::new(event.event_id.as_ref()),
        scope: event.scope.clone(),
        customer: routing.customer.as_deref().map(CustomerId::from),
        subscription: routing.subscription.as_deref().map(SubscriptionId::from),
        event_type: event.event_type.to_string(),
        reason: error.to_string(),
    }
}

/// Runs work that takes long and waits for nothing on a thread of its own. A panic there is an error
/// here, so that whoever follows the log can say so and try again.
pub(super) async fn beside_the_runtime<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| StoreError::Internal(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_of_a_type_that_names_nobody_is_not_parsed() {
        let event = |event_type: &'static str| ChunkEvent {
            position: Position(7),
            event_id: "evt_7".into(),
            scope: Scope::default(),
            event_type: event_type.into(),
            api_version: None,
            created: StripeTime(1),
            source: EventSource::Webhook,
            body: Some("no JSON"),
            damage: None,
        };
        assert!(matches!(Read::of(&event("payout.paid")), Read::Nothing));
        assert!(matches!(Read::of(&event("charge.refunded")), Read::Parked(_)));
    }

    #[test]
    fn a_defect_that_an_event_brings_to_light_parks_it() {
        let event = ChunkEvent {
            position: Position(7),
            event_id: "evt_7".into(),
            scope: Scope::default(),
            event_type: "customer.updated".into(),
            api_version: None,
            created: StripeTime(1),
            source: EventSource::Webhook,
            body: Some("{}"),
            damage: None,
        };
        let entry = Entry::guarded(&event, || panic!("a defect"));
        let parked = entry.outcome().parked.unwrap();
        assert_eq!((parked.position, parked.event_id.as_str()), (Position(7), "evt_7"));
        assert_eq!(parked.reason, FoldError::Defect.to_string());
    }
}
