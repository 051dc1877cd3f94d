//! A range of the log, read and understood: everything about its fold that needs no state.
//!
//! Reading Stripe's JSON is the expensive part, so it runs beside the runtime's own threads, which
//! answer webhooks. Because it needs no state, the next range can be read while this one is folded
//! and committed.

use std::panic::catch_unwind;

use super::{BATCH_BYTES_MAX, BATCH_EVENTS_MAX};
use crate::ids::{CustomerId, CustomerKey, Position, SubscriptionId};
use crate::projection::observe::{FoldError, Observation, observe_envelope};
use crate::store::{Log, LoggedEvent, Parked, Source, StoreError};
use crate::stripe::Envelope;
use crate::stripe::routing::Routing;
use crate::time::{ReceivedAt, StripeTime};

/// The events after one position and up to another.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) entries: Vec<Entry>,
    /// When the first of them reached us.
    pub(super) first_received_at: ReceivedAt,
    /// When the last of them reached us.
    pub(super) last_received_at: ReceivedAt,
    /// The last position.
    pub(super) to: Position,
    /// The leaf hash there.
    pub(super) leaf_hash: [u8; 32],
    /// Whether it ended because of its size, so that there is probably more.
    pub(super) is_full: bool,
}

/// One event of a batch.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) position: Position,
    pub(super) created: StripeTime,
    pub(super) read: Read,
}

/// What became of an event's body.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly every event is of the largest variant")]
pub(super) enum Read {
    /// It was understood.
    Observed(Observation),
    /// It is of a kind that is folded, and it could not be.
    Parked(Parked),
    /// There is nothing to fold: our own records, and bodies that were erased.
    Nothing,
}

impl Batch {
    /// Reads the events after a position; none if there are none.
    pub(super) async fn read(log: Log, after: Position) -> Result<Option<Self>, StoreError> {
        let events = log.scan(after, BATCH_EVENTS_MAX, BATCH_BYTES_MAX).await?;
        let (Some(first), Some(last)) = (events.first(), events.last()) else { return Ok(None) };
        let bytes: usize = events.iter().filter_map(|e| e.payload.as_ref()).map(String::len).sum();
        let batch = Self {
            entries: Vec::new(),
            first_received_at: first.received_at,
            last_received_at: last.received_at,
            to: last.position,
            leaf_hash: last.leaf_hash,
            is_full: events.len() >= BATCH_EVENTS_MAX || bytes >= BATCH_BYTES_MAX,
        };
        beside_the_runtime(move || {
            let entries = events.iter().map(Entry::read).collect();
            Some(Self { entries, ..batch })
        })
        .await
    }
}

impl Entry {
    fn read(event: &LoggedEvent) -> Self {
        // A defect that one event brings to light parks that event and holds up no other.
        let read = catch_unwind(|| Read::of(event))
            .unwrap_or_else(|_| Read::Parked(park(event, &Routing::default(), &FoldError::Defect)));
        Self { position: event.position, created: event.facts.created, read }
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

impl Read {
    fn of(event: &LoggedEvent) -> Self {
        let from_stripe = event.source != Source::Subledger;
        let Some(payload) = event.payload.as_deref().filter(|_| from_stripe) else {
            return Self::Nothing;
        };
        let envelope = match Envelope::parse(payload) {
            Ok(envelope) => envelope,
            Err(error) => return Self::Parked(park(event, &Routing::default(), &error.into())),
        };
        match observe_envelope(&envelope) {
            Ok(observation) => Self::Observed(observation),
            Err(error) => {
                // Whom it names may still be readable.
                let routing = envelope.object.and_then(|object| Routing::read(object).ok());
                Self::Parked(park(event, &routing.unwrap_or_default(), &error))
            }
        }
    }
}

fn park(event: &LoggedEvent, routing: &Routing<'_>, error: &FoldError) -> Parked {
    Parked {
        position: event.position,
        event_id: event.facts.event_id.clone(),
        scope: event.facts.scope.clone(),
        customer: routing.customer.as_deref().map(CustomerId::from),
        subscription: routing.subscription.as_deref().map(SubscriptionId::from),
        event_type: event.facts.event_type.clone(),
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
