//! A batch on its way: which of its events are new, where each stands, and the log's head after it.

use std::collections::HashMap;

use crate::ids::{AccountId, EventId, Position, Scope};
use crate::store::db::{BindType, Query, Row, RowBinder};
use crate::store::event::{Appended, NewEvent};
use crate::store::nodes::{self, Node};
use crate::store::{StoreError, redelivery};
use crate::time::ReceivedAt;
use crate::tree::{Frontier, Hash};

/// Where `received_at` comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timestamps {
    Assign,
    Preserve,
}

/// The head of the log inside a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) size: Position,
    pub(super) tree: Frontier,
    pub(super) last_received_at: ReceivedAt,
    pub(super) restored: i64,
}

/// What makes an event one: its id, within an account and mode.
pub(super) type Identity<'a> = (&'a EventId, &'a Scope);
/// Where the events that the log knew before a batch stand.
pub(super) type KnownEvents = HashMap<(EventId, Scope), Position>;

fn identity(event: &NewEvent) -> Identity<'_> {
    (&event.facts.event_id, &event.facts.scope)
}

/// Takes note of an event that the log has: position, id, account, mode.
pub(super) fn add_known(known: &mut KnownEvents, row: &Row) -> Result<(), StoreError> {
    let account = AccountId::new(row.get::<String, _>(2)?);
    let scope = Scope { account, livemode: row.get(3)? };
    known.insert((EventId::new(row.get::<String, _>(1)?), scope), Position(row.get(0)?));
    Ok(())
}

/// Reads the columns of the head: size, frontier, last time of arrival, restored.
pub(super) fn read_head(row: &Row) -> Result<Head, StoreError> {
    let size: i64 = row.get(0)?;
    let frontier: Vec<u8> = row.get(1)?;
    let tree = u64::try_from(size).ok().and_then(|size| Frontier::from_bytes(size, &frontier));
    Ok(Head {
        size: Position(size),
        tree: tree
            .ok_or_else(|| StoreError::Corrupt("the head's tree is not of its size".into()))?,
        last_received_at: ReceivedAt(row.get(2)?),
        restored: row.get(3)?,
    })
}

/// A batch whose positions, times and hashes are given.
pub(super) struct AppendBatch<'a> {
    pub(super) start: Position,
    pub(super) head: Head,
    pub(super) new: Vec<PositionedEvent<'a>>,
    /// The subtrees that this batch completes and whose hashes are stored.
    pub(super) nodes: Vec<Node>,
    pub(super) duplicates: Vec<redelivery::Duplicate<'a>>,
    pub(super) answers: Vec<Appended>,
}

/// A new event and its place.
pub(super) struct PositionedEvent<'a> {
    pub(super) event: &'a NewEvent,
    pub(super) position: Position,
    pub(super) received_at: ReceivedAt,
    pub(super) leaf_hash: Hash,
}

impl<'a> AppendBatch<'a> {
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
        let mut places: HashMap<Identity<'a>, Position> = HashMap::with_capacity(events.len());
        if !known.is_empty() {
            places.extend(events.iter().filter_map(|event| {
                let (event_id, scope) = identity(event);
                Some(((event_id, scope), *known.get(&(event_id.clone(), scope.clone()))?))
            }));
        }
        let mut new = Vec::with_capacity(events.len());
        let mut nodes = Vec::new();
        let mut duplicates = Vec::new();
        let mut answers = Vec::with_capacity(events.len());
        for event in events {
            if let Some(&position) = places.get(&identity(event)) {
                if timestamps == Timestamps::Assign {
                    duplicates.push(redelivery::Duplicate { position, event, received_at: now });
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
            places.insert(identity(event), head.size);
            new.push(PositionedEvent { event, position: head.size, received_at, leaf_hash });
            answers.push(Appended { position: head.size, duplicate: false });
        }
        if timestamps == Timestamps::Preserve {
            head.restored = head.size.0;
        }
        Ok(Self { start, head, new, nodes, duplicates, answers })
    }

    /// Refuses a batch of which the log holds an event already.
    pub(super) fn must_be_new(&self) -> Result<(), StoreError> {
        self.duplicates.first().map_or(Ok(()), |duplicate| {
            Err(StoreError::IdTaken { event_id: duplicate.event.facts.event_id.clone() })
        })
    }

    /// Whether there is nothing to write.
    pub(super) fn is_empty(&self) -> bool {
        self.new.is_empty() && self.duplicates.is_empty()
    }

    /// Bytes of the new payloads.
    pub(super) fn bytes(&self) -> usize {
        let payloads = self.new.iter().filter_map(|event| event.event.payload.as_deref());
        payloads.map(str::len).sum()
    }
}

/// The columns of an event, as [`PositionedEvent::bind`] gives them.
pub(in crate::store) const COLUMNS: [BindType; 17] = [
    BindType::Integer,
    BindType::Text,
    BindType::Text,
    BindType::Bool,
    BindType::Text,
    BindType::Text,
    BindType::Integer,
    BindType::Integer,
    BindType::Integer,
    BindType::Text,
    BindType::Text,
    BindType::Bytes,
    BindType::Bytes,
    BindType::Bytes,
    BindType::Text,
    BindType::Text,
    BindType::Bytes,
];

impl Head {
    /// Binds what the head is moved to: size, root, frontier, last time of arrival, restored.
    pub(super) fn bind<'q>(&self, query: Query<'q>) -> Query<'q> {
        query
            .bind(self.size.0)
            .bind(self.tree.root().to_vec())
            .bind(self.tree.to_bytes())
            .bind(self.last_received_at.0)
            .bind(self.restored)
    }
}

impl PositionedEvent<'_> {
    /// The columns in their order.
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
