//! Events as they stand in the log.

use super::facts::{EventFacts, EventSource};
use super::record::{self, Record};
use super::signature;
use crate::ids::Position;
use crate::stripe::observation::TYPE_PREFIX;
use crate::time::{ReceivedAt, StripeTime};
use crate::tree::Hash;

/// Event of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedEvent {
    /// Position in the log.
    pub position: Position,
    /// Fields of the envelope.
    pub facts: EventFacts,
    /// Time of arrival by the clock of this program. It rises with the position.
    pub received_at: ReceivedAt,
    /// Way in which the event arrived.
    pub source: EventSource,
    /// Signature header exactly as received. None if it was erased with the payload.
    pub signature: Option<String>,
    /// Webhook secret that verified the signature, as [`SignedWith`](crate::stripe::SignedWith) writes it. None if
    /// nothing was verified, and for events of earlier versions. No hash commits to it.
    pub signed_with: Option<String>,
    /// Hash of the signature that the leaf commits to. None if there was no signature, or if its hash has no salt and
    /// can be computed from the signature.
    pub signature_hash: Option<Hash>,
    /// `SHA-256(salt || payload)`.
    pub payload_hash: Hash,
    /// Leaf hash in the Merkle tree.
    pub leaf_hash: Hash,
    /// None if the payload was erased.
    pub salt: Option<[u8; 16]>,
    /// Body exactly as received. None if it was erased.
    pub payload: Option<String>,
}

/// Event without its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventHeader {
    /// Position in the log.
    pub position: Position,
    /// Time of the event by Stripe's clock.
    pub created: StripeTime,
    /// Time of arrival by the clock of this program.
    pub received_at: ReceivedAt,
    /// Way in which the event arrived.
    pub source: EventSource,
    /// Length of the body; 0 if it was erased.
    pub payload_bytes: u32,
}

impl LoggedEvent {
    /// Returns the event without its body.
    pub fn header(&self) -> EventHeader {
        let bytes = self.payload.as_ref().map_or(0, String::len);
        EventHeader {
            position: self.position,
            created: self.facts.created,
            received_at: self.received_at,
            source: self.source,
            payload_bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
        }
    }

    /// True if only Stripe's API has shown the event: no webhook has delivered it, and it is no observation.
    pub fn is_never_delivered(&self, redeliveries: i64) -> bool {
        self.source == EventSource::Api
            && redeliveries == 0
            && !self.facts.event_type.starts_with(TYPE_PREFIX)
    }

    /// Computes the leaf hash from the columns. It equals [`Self::leaf_hash`] unless the log was tampered with.
    pub fn recomputed_leaf_hash(&self) -> Hash {
        let Self { facts, source, payload_hash, received_at, .. } = self;
        let (source, received_at) = (*source, *received_at);
        let signature_hash = signature::committed(self.signature.as_deref(), self.signature_hash);
        Record { facts, source, signature_hash, payload_hash, received_at }.leaf_hash()
    }

    /// True if the payload has the stored hash, or was erased.
    pub fn payload_matches_hash(&self) -> bool {
        match (&self.salt, &self.payload) {
            (Some(salt), Some(payload)) => record::payload_hash(salt, payload) == self.payload_hash,
            (None, None) => true,
            _ => false,
        }
    }

    /// True if the signature has the stored hash, or was erased.
    pub fn signature_matches_hash(&self) -> bool {
        let (signature, hash) = (self.signature.as_deref(), self.signature_hash.as_ref());
        signature::fits(signature, hash, self.salt.as_ref())
    }

    /// True if there was a signature that was erased with the payload.
    pub fn is_signature_erased(&self) -> bool {
        self.signature.is_none() && self.signature_hash.is_some()
    }
}
