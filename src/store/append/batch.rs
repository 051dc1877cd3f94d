//! Batch of events inside an append: the new events with their positions, and the head after them.

use std::collections::HashMap;

use crate::ids::{AccountId, EventId, Position, Scope};
use crate::store::db::{BindType, Row, RowBinder};
use crate::store::error::StoreError;
use crate::store::event::NewEvent;
use crate::store::head::Head;
use crate::store::nodes::{self, Node};
use crate::store::redelivery::Duplicate;
use crate::time::ReceivedAt;
use crate::tree::Hash;

/// Result of appending an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Position of the event, or of the first event with its id.
    pub position: Position,
    /// True if the log already had an event with this id.
    pub duplicate: bool,
}

/// Source of the times of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timestamps {
    /// Assigns the current time.
    Assign,
    /// Assigns the current time, and leaves out the events that are known: listing them again is no delivery.
    AssignNew,
    /// Keeps the times of an export.
    Preserve,
}

/// Identity of an event: id, account and mode.
type Identity<'a> = (&'a EventId, &'a Scope);
/// Positions of the events of a batch that are already in the log.
pub(super) type KnownEvents = HashMap<(EventId, Scope), Position>;

fn identity(event: &NewEvent) -> Identity<'_> {
    (&event.facts.event_id, &event.facts.scope)
}

/// Adds an event from a row of position, id, account and mode.
pub(super) fn add_known(known: &mut KnownEvents, row: &Row) -> Result<(), StoreError> {
    let account = AccountId::new(row.get::<String, _>(2)?);
    let scope = Scope { account, livemode: row.get(3)? };
    known.insert((EventId::new(row.get::<String, _>(1)?), scope), Position(row.get(0)?));
    Ok(())
}

/// Batch with assigned positions, times and hashes.
pub(super) struct AppendBatch<'a> {
    pub(super) start: Position,
    pub(super) head: Head,
    pub(super) new: Vec<PositionedEvent<'a>>,
    /// Stored subtrees of the Merkle tree that this batch completes.
    pub(super) nodes: Vec<Node>,
    pub(super) duplicates: Vec<Duplicate<'a>>,
    pub(super) answers: Vec<Appended>,
}

/// New event with its position.
pub(super) struct PositionedEvent<'a> {
    event: &'a NewEvent,
    position: Position,
    received_at: ReceivedAt,
    leaf_hash: Hash,
}

impl<'a> AppendBatch<'a> {
    /// Assigns positions, times and hashes to the events that are not known.
    pub(super) fn assign(
        events: &'a [NewEvent],
        mut head: Head,
        known: &KnownEvents,
        timestamps: Timestamps,
        now: ReceivedAt,
    ) -> Result<Self, StoreError> {
        if timestamps == Timestamps::Preserve && head.restored != head.size.0 {
            return Err(StoreError::NotEmpty { size: head.size });
        }
        let start = head.size;
        let mut positions: HashMap<Identity<'a>, Position> = HashMap::with_capacity(events.len());
        if !known.is_empty() {
            positions.extend(events.iter().filter_map(|event| {
                let (event_id, scope) = identity(event);
                Some(((event_id, scope), *known.get(&(event_id.clone(), scope.clone()))?))
            }));
        }
        let mut new = Vec::with_capacity(events.len());
        let mut nodes = Vec::new();
        let mut duplicates = Vec::new();
        let mut answers = Vec::with_capacity(events.len());
        for event in events {
            if let Some(&position) = positions.get(&identity(event)) {
                if timestamps == Timestamps::Assign {
                    duplicates.push(Duplicate { position, event, received_at: now });
                }
                answers.push(Appended { position, duplicate: true });
                continue;
            }
            let after_last = ReceivedAt(head.last_received_at.0 + 1);
            let received_at = match (timestamps, event.received_at) {
                (Timestamps::Preserve, Some(exported))
                    if exported < after_last && head.size.0 > 0 =>
                {
                    return Err(StoreError::NotInOrder { event_id: event.facts.event_id.clone() });
                }
                (Timestamps::Preserve, Some(exported)) => exported,
                _ => now.max(after_last),
            };
            let leaf_hash = event.leaf_hash(received_at);
            head.tree.push_with(leaf_hash, |subtree, hash| {
                if nodes::is_stored(subtree) {
                    nodes.push((subtree, hash));
                }
            });
            head.size = head.size.next();
            head.last_received_at = received_at;
            positions.insert(identity(event), head.size);
            new.push(PositionedEvent { event, position: head.size, received_at, leaf_hash });
            answers.push(Appended { position: head.size, duplicate: false });
        }
        if timestamps == Timestamps::Preserve {
            head.restored = head.size.0;
        }
        Ok(Self { start, head, new, nodes, duplicates, answers })
    }

    /// Refuses a batch with an event that is already in the log.
    pub(super) fn require_new(&self) -> Result<(), StoreError> {
        self.duplicates.first().map_or(Ok(()), |duplicate| {
            Err(StoreError::IdTaken { event_id: duplicate.event.facts.event_id.clone() })
        })
    }

    /// True if there is nothing to write.
    pub(super) fn is_empty(&self) -> bool {
        self.new.is_empty() && self.duplicates.is_empty()
    }

    /// Number of bytes of the new payloads.
    pub(super) fn bytes(&self) -> usize {
        let payloads = self.new.iter().filter_map(|it| it.event.payload.as_deref());
        payloads.map(str::len).sum()
    }
}

/// Types of the columns of an event, in the order of [`PositionedEvent::bind`].
pub(super) const COLUMNS: [BindType; 17] = {
    use BindType::{Bool, Bytes, Integer, Text};
    [
        Integer, Text, Text, Bool, Text, Text, Integer, Integer, Integer, Text, Text, Bytes, Bytes,
        Bytes, Text, Text, Bytes,
    ]
};

impl PositionedEvent<'_> {
    /// Binds all columns.
    pub(super) fn bind(&self, to: &mut RowBinder<'_, '_>) {
        let event = self.event;
        let facts = &event.facts;
        to.integer(self.position.0);
        to.text(facts.event_id.as_str());
        to.text(facts.scope.account.as_str());
        to.bool(facts.scope.livemode);
        to.text(facts.event_type.as_str());
        to.text(facts.api_version.as_deref());
        to.integer(facts.created.0);
        to.integer(i64::from(facts.created_nanos));
        to.integer(self.received_at.0);
        to.text(event.source.as_str());
        to.text(event.signature.as_deref());
        to.bytes(&event.payload_hash[..]);
        to.bytes(&self.leaf_hash[..]);
        to.bytes(event.salt.as_ref().map(|salt| &salt[..]));
        to.text(event.payload.as_deref());
        to.text(event.signed_with.as_deref());
        to.bytes(event.signature_hash.as_ref().map(|hash| &hash[..]));
    }
}
